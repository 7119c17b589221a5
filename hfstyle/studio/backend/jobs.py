"""Work that shows how far it is and can be stopped: in a thread of its own, with marks where it may end early."""

from __future__ import annotations

import contextvars
import math
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import gradio as gr
from torch import nn

from hfstyle.studio.backend.refusals import refusal

__all__ = [
    "MOST_SECONDS",
    "PROGRESS",
    "UNATTENDED_SECONDS",
    "UNKNOWN",
    "Line",
    "Stopped",
    "job",
    "mark",
    "mark_layers",
    "marked_from",
    "taken",
    "until",
]

PROGRESS: Final = gr.Progress()
"""As the default of a handler's parameter it tells Gradio to show how far the handler is."""

MOST_SECONDS: Final = 240.0
"""Of one job; a full-size picture of 40 megapixels takes a fifth of that on two cores."""

UNATTENDED_SECONDS: Final = 10.0
"""For which nobody asks how far a job is, until it ends: of a request that is cancelled at once, Gradio may keep the generator
instead of closing it."""

UNKNOWN: Final = -1.0
"""In place of a share, of work that does not tell how far it is: the page then shows how long it will take, and no percentage."""

_TICK: Final = 0.1  # seconds between two looks at a job


class Stopped(BaseException):
    """Raised by `mark` in a job that nobody waits for any more.

    Not an `Exception`: what reads a damaged picture catches those.
    """


class _TooLong(Stopped):
    """Raised by `mark` in a job that has used its time."""


class _Job:
    def __init__(self, seconds: float) -> None:
        self.stopped = threading.Event()
        self.done = threading.Event()
        self.until = time.monotonic() + seconds
        self.asked = time.monotonic()
        self.share, self.doing = 0.0, ""
        self.left, self.ends = 0.0, 0.0
        self.result: Any = None
        self.error: BaseException | None = None


_current: contextvars.ContextVar[_Job | None] = contextvars.ContextVar("job", default=None)


def mark(share: float | None = None, doing: str | None = None, left: float | None = None) -> None:
    """Say how far the present job is, and end it here if it was stopped; outside of a job, nothing.

    Args:
        share: of the work that is done, from 0 to 1, or `UNKNOWN`; None leaves it.
        doing: what comes next, for the visitor; None leaves it.
        left: seconds until the end, as far as that is known; None leaves it.

    Raises:
        Stopped: nobody waits for the result any more.
    """
    current = _current.get()
    if current is None:
        return
    current.share = current.share if share is None else share
    current.doing = current.doing if doing is None else doing
    now = time.monotonic()
    if left is not None:
        current.left, current.ends = left, now + left
    if current.stopped.is_set() or now > current.asked + UNATTENDED_SECONDS:
        raise Stopped
    if now > current.until:
        raise _TooLong


def marked_from(low: float, high: float) -> Callable[[int, int], None]:
    """A callback `(done, total)` of a part of the present job, which is from `low` to `high` of the whole."""
    return partial(_mark_between, low, high)


def _mark_between(low: float, high: float, done: int, total: int) -> None:
    mark(low + (high - low) * done / max(1, total))


class Line:
    """What a job is doing, told once a second: Gradio's own tracker is hidden once a handler has answered."""

    def __init__(self) -> None:
        self._told, self._at = "", -math.inf

    def of(self, doing: str) -> Any:
        """For the text that tells it: new words, or `gr.skip()`."""
        if doing == self._told or time.monotonic() < self._at + 1:
            return gr.skip()
        self._told, self._at = doing, time.monotonic()
        return doing


@contextmanager
def taken(lock: threading.Lock | threading.Semaphore) -> Iterator[None]:
    """The lock, waited for as long as somebody waits for the present job."""
    while not lock.acquire(timeout=_TICK):
        mark()
    try:
        mark()
        yield
    finally:
        lock.release()


def mark_layers(network: nn.Module) -> None:
    """Let jobs end before every layer of a network, not only between pictures and tiles."""
    for module in network.modules():
        module.register_forward_pre_hook(lambda *_: mark())


def until(
    stopped: Callable[[], bool], steps: Generator[Any, None, Any]
) -> Generator[Any, None, Any]:
    """The steps of a `job` and its result; or None once it is stopped, which ends the work."""
    while not stopped():
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value
        yield step
    steps.close()
    return None


def job(
    work: Callable[[], Any],
    waiting: Any,
    tell: Callable[..., Any] | None = None,
    seconds: float | None = None,
) -> Generator[Any, None, Any]:
    """Do the work in a thread, yield `waiting` again and again until it is done, and return its result.

    For handlers: ``yield (yield from job(work, gr.skip()))``. A generator that is closed, as Gradio does when a visitor presses Stop or leaves, or that
    is not asked any more, stops the work at its next `mark`.

    Args:
        work: returns the result; its exceptions are raised here.
        waiting: what a handler yields when there is nothing new, such as `gr.skip()`; or what makes that of the words
            given to `mark`.
        tell: called as `tell(share, desc=...)` when that has changed, and once a second, such as a `gr.Progress`; the words end with the
            seconds that are left, where `mark` was told of them. While the share is not known, as `tell((seconds, None), unit=...)`.
        seconds: after which it is ended; `MOST_SECONDS` if None.
    """
    this = _Job(MOST_SECONDS if seconds is None else seconds)

    def run() -> None:
        _current.set(this)
        try:
            this.result = work()
        except _TooLong:
            this.error = refusal(
                f"This took more than {MOST_SECONDS:.0f} seconds and was ended. Please give a smaller picture, or less "
                "detail."
            )
        except Stopped:
            this.error = refusal(
                "Nobody waited for this any more, so it was ended. Please ask again."
            )
        except BaseException as error:
            this.error = error
        finally:
            this.done.set()

    context = contextvars.copy_context()  # in which Gradio keeps whose request this is
    threading.Thread(target=context.run, args=(run,), name="job", daemon=True).start()
    told: tuple[float, str, int] | None = None
    try:
        while not this.done.wait(_TICK):
            # Once a second in any case: with a handler's first step, Gradio's page hides what it was told before.
            now = round(this.share, 2), this.doing + _left(this.ends), int(time.monotonic())
            if tell is not None and now != told and this.doing:
                if this.share == UNKNOWN:  # with words, Gradio's page would show "0.0%"
                    tell((max(1, round(this.left)), None), unit=f"s expected: {this.doing}")
                else:
                    tell(this.share, desc=now[1])
                told = now
            yield waiting(this.doing) if callable(waiting) else waiting
            this.asked = time.monotonic()
        if this.error is not None:
            raise this.error
        return this.result
    finally:
        this.stopped.set()


def _left(ends: float) -> str:
    """How long it takes until then, a moment of `time.monotonic`; nothing of what is past or about to be."""
    left = ends - time.monotonic()
    return f", about {left:.0f} s left" if left > 1 else ""
