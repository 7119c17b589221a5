"""Several pictures of a visitor, of which those that cannot be used are left out, each with the reason."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import gradio as gr

from hfstyle.images.decode import ImageError
from hfstyle.studio.backend.jobs import mark
from hfstyle.studio.backend.refusals import refusal

__all__ = ["look_at_all", "told_of"]

_TOLD: Final = 5  # pictures of which is told why they were left out

T = TypeVar("T")


def look_at_all(
    files: Sequence[str], look: Callable[[str], T], left_out: list[str], share: float = 0.0
) -> list[T]:
    """What `look` makes of each file; of one that cannot be used, `left_out` gets why, a sentence.

    share: of the present job, which this is.

    Raises:
        gr.Error: none of them can be used.
    """
    seen: list[T] = []
    for index, file in enumerate(files):
        mark(share * index / len(files), f"Looking at picture {index + 1} of {len(files)}")
        try:
            seen.append(look(file))
        except (ImageError, gr.Error) as error:
            left_out.append(_why(error))
    if not seen:
        which = f"None of the {len(files)} pictures can be used. " if len(files) > 1 else ""
        raise refusal(f"{which}{left_out[0]}")
    return seen


def told_of(left_out: Sequence[str], count: int) -> str:
    """Which of so many pictures could not be used, and why."""
    said = [f"{sentence.rstrip('.')}." for sentence in left_out[:_TOLD]]
    if more := len(left_out) - len(said):
        said.append(f"And {more} more.")
    number = f"{len(left_out)} of the {count} pictures {'was' if len(left_out) == 1 else 'were'}"
    return f"{number} left out. {' '.join(said)}"


def _why(error: ImageError | gr.Error) -> str:
    """A sentence; a refusal's is written for HTML."""
    sentence = html.unescape(error.message) if isinstance(error, gr.Error) else str(error)
    return sentence[:1].upper() + sentence[1:]
