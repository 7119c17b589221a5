"""Work that shows how far it is and can be stopped: in a thread of its own, with marks where it may end early."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Generator
from typing import Any, Final

import gradio as gr

__all__ = ["PROGRESS", "Stopped", "job", "mark"]

PROGRESS: Final = gr.Progress()
"""As the default of a handler's parameter it tells Gradio to show how far the handler is."""

_TICK: Final = 0.1  # seconds between two looks at a job


class Stopped(Exception):
    """Raised by `mark` in a job that nobody waits for any more."""


class _Job:
    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.done = threading.Event()
        self.share, self.doing = 0.0, ""
        self.result: Any = None
        self.error: BaseException | None = None


_current: contextvars.ContextVar[_Job | None] = contextvars.ContextVar("job", default=None)


def mark(share: float | None = None, doing: str | None = None) -> None:
    """Say how far the present job is, and end it here if it was stopped; outside of a job, nothing.

    Args:
        share: of the work that is done, from 0 to 1; None leaves it.
        doing: what comes next, for the visitor; None leaves it.

    Raises:
        Stopped: nobody waits for the result any more.
    """
    current = _current.get()
    if current is None:
        return
    current.share = current.share if share is None else share
    current.doing = current.doing if doing is None else doing
    if current.stopped.is_set():
        raise Stopped


def job(
    work: Callable[[], Any],
    waiting: Any,
    tell: Callable[..., Any] | None = None,
) -> Generator[Any, None, Any]:
    """Do the work in a thread, yield `waiting` again and again until it is done, and return its result.

    For handlers: ``yield (yield from job(work, gr.skip()))``. A generator that is closed, as Gradio does when a visitor presses Stop or leaves, stops the work at its next `mark`.

    Args:
        work: returns the result; its exceptions are raised here.
        waiting: what a handler yields when there is nothing new, such as `gr.skip()`.
        tell: called as `tell(share, desc=...)` when that has changed, such as a `gr.Progress`.
    """
    this = _Job()

    def run() -> None:
        _current.set(this)
        try:
            this.result = work()
        except Stopped:
            pass
        except BaseException as error:
            this.error = error
        finally:
            this.done.set()

    context = contextvars.copy_context()  # in which Gradio keeps whose request this is
    threading.Thread(target=context.run, args=(run,), name="job", daemon=True).start()
    told: tuple[float, str] | None = None
    try:
        while not this.done.wait(_TICK):
            now = this.share, this.doing
            if tell is not None and now != told and this.doing:
                tell(this.share, desc=this.doing)
                told = now
            yield waiting
        if this.error is not None:
            raise this.error
        return this.result
    finally:
        this.stopped.set()
