"""What a visitor is told when something does not work: one sentence, never a stack trace or a path of the server."""

from __future__ import annotations

import functools
import inspect
import logging
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import gradio as gr
from gradio.utils import get_upload_folder

from hfstyle import ImageError, StyleCodeError

_log = logging.getLogger(__name__)


LONGEST_NAME: Final = 80
"""Characters of a name that a visitor gives, or that comes in a file."""
LONGEST_SENTENCE: Final = 500
OUR_FAULT: Final = "Something went wrong on our side; please try again."
_FOR_PROGRAMS: Final = re.compile(r"[;,] (or )?[^;,]*`[^`]*`[^;,.]*")
"""Advice that is no use to who sees a page: what to type or to call."""


def one_line(text: str, longest: int = LONGEST_NAME) -> str:
    """Text from outside in one line of bounded length, without characters that are not seen or turn others around."""
    text = text[: 4 * longest]  # of a megabyte no more is looked at
    seen = "".join(c if c.isprintable() else " " for c in text)
    seen = " ".join(seen.split())
    return seen if len(seen) <= longest else seen[: longest - 1].rstrip() + "…"


def plain(text: str) -> str:
    """Text that Markdown shows as it is: no pictures, links, headings or HTML come of it."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


def in_hint(text: str) -> str:
    """Text that the small line below a component's label shows as it is: Gradio makes links and bold letters there."""
    return text.replace("](", "]\u2060(").replace("*", "∗").replace("`", "ˋ")


def as_text(sentence: str, longest: int = LONGEST_SENTENCE) -> str:
    """A sentence for a message of Gradio, which shows it as HTML."""
    return one_line(sentence, longest).replace("&", "&amp;").replace("<", "&lt;")


def refusal(sentence: str) -> gr.Error:
    """A sentence for the visitor (Gradio shows it as HTML); nothing for the log."""
    return gr.Error(as_text(sentence), title="That did not work", print_exception=False)


def whole(value: float | None, what: str) -> int:
    """A whole number from a slider or a program, which may send whatever counts as a number: none, NaN, infinity."""
    if value is None or not math.isfinite(value):
        raise refusal(f"The {what} is {value}; give a whole number.")
    return int(value)


def within(value: float | None, what: str, least: float, most: float) -> int:
    """A whole number in a range, or a refusal."""
    number = whole(value, what)
    if not least <= number <= most:
        raise refusal(f"The {what} is {number}; give a whole number from {least:g} to {most:g}.")
    return number


def number(value: float | None, what: str, least: float, most: float) -> float:
    """A number in a range, or a refusal."""
    if value is None or not least <= value <= most:  # NaN as well
        raise refusal(f"The {what} is {value}; give a number from {least:g} to {most:g}.")
    return float(value)


def needed(path: str | None, what: str) -> str:
    """The path of an upload, or a refusal that asks for it."""
    if not path:
        raise refusal(f"Choose a {what} first.")
    return path


def _in_one_line_each(doc: str | None) -> str | None:
    """A docstring whose arguments take one line each: Gradio and its tools for language models read no further."""
    if doc is None:
        return None
    lines: list[str] = []
    for line in inspect.cleandoc(doc).splitlines():
        if line.startswith(8 * " ") and lines:
            lines[-1] += " " + line.strip()
        else:
            lines.append(line)
    return "\n".join(lines)


def _described_as(handler: Callable[..., Any], wrapped: Callable[..., Any]) -> Callable[..., Any]:
    """As Gradio sees it: with the handler's parameters, which a method's own list tells with `self`."""
    wrapped.__signature__ = inspect.signature(handler)  # type: ignore[attr-defined]
    wrapped.__doc__ = _in_one_line_each(handler.__doc__)
    return wrapped


def friendly(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Turns what a visitor can cause into a sentence, and anything else into an apology and a line in the log."""

    @functools.wraps(handler)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return handler(*args, **kwargs)
        except gr.Error:
            raise
        except (ImageError, StyleCodeError, ValueError) as error:
            raise refusal(sentence_of(error)) from error
        except Exception as error:
            _log.exception("%s failed", handler.__name__)
            raise refusal(OUR_FAULT) from error

    return _described_as(handler, wrapped)


def friendly_steps(handler: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """The same for a handler that yields."""

    @functools.wraps(handler)
    def wrapped(*args: Any, **kwargs: Any) -> Iterator[Any]:
        steps = handler(*args, **kwargs)
        advance = friendly(lambda: next(steps, steps))
        while (step := advance()) is not steps:
            yield step

    return _described_as(handler, wrapped)


def sentence_of(error: Exception) -> str:
    text = str(error).replace(get_upload_folder(), "")
    text = re.sub(r"/[0-9a-f]{32,64}/", "", text)  # the upload's folder
    text = _FOR_PROGRAMS.sub("", text)
    begins_with_name = "." in text.partition(" ")[0]  # of a file, which is as its visitor wrote it
    begin = text[:1] if begins_with_name else text[:1].upper()
    return begin + text[1:] + ("" if text.endswith(".") else ".")


def display_name(path: str) -> str:
    return one_line(re.sub(r"[^\w .()+-]", "_", Path(path).name)) or "picture"
