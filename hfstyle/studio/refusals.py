"""What a visitor is told when something does not work: one sentence, never a stack trace or a path of the server."""

from __future__ import annotations

import functools
import logging
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from hfstyle import ImageError, StyleCodeError

_log = logging.getLogger(__name__)


def refusal(sentence: str) -> gr.Error:
    """A sentence for the visitor (Gradio shows it as HTML); nothing for the log."""
    plain = sentence.replace("&", "&amp;").replace("<", "&lt;")
    return gr.Error(plain, title="That did not work", print_exception=False)


def whole(value: float | None, what: str) -> int:
    """A whole number from a slider or a program, which may send whatever counts as a number: none, NaN, infinity."""
    if value is None or not math.isfinite(value):
        raise refusal(f"The {what} is {value}; give a whole number.")
    return int(value)


def needed(path: str | None, what: str) -> str:
    """The path of an upload, or a refusal that asks for it."""
    if not path:
        raise refusal(f"Choose a {what} first.")
    return path


def friendly(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Turns what a visitor can cause into a sentence, and anything else into an apology and a line in the log."""

    @functools.wraps(handler)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return handler(*args, **kwargs)
        except gr.Error:
            raise
        except (ImageError, StyleCodeError, ValueError) as error:
            raise refusal(_sentence(error)) from error
        except Exception as error:
            _log.exception("%s failed", handler.__name__)
            raise refusal("Something went wrong on our side; please try again.") from error

    return wrapped


def friendly_steps(handler: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """The same for a handler that yields."""

    @functools.wraps(handler)
    def wrapped(*args: Any, **kwargs: Any) -> Iterator[Any]:
        steps = handler(*args, **kwargs)
        advance = friendly(lambda: next(steps, steps))
        while (step := advance()) is not steps:
            yield step

    return wrapped


def _sentence(error: Exception) -> str:
    text = str(error).replace(get_upload_folder(), "")
    text = re.sub(r"/[0-9a-f]{32,64}/", "", text)  # the upload's folder
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def display_name(path: str) -> str:
    return re.sub(r"[^\w .()+-]", "_", Path(path).name)[:80] or "picture"
