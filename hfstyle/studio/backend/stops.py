"""Stop on pages that keep what is done until then: the work is told to end, instead of being cancelled.

It may be pressed while the work still waits for its turn, which then does not begin.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import gradio as gr

__all__ = ["Stops"]

_VISITORS: Final = 200


class Stops:
    """Of one page: what each visitor has asked for, and whether it is to end."""

    def __init__(self) -> None:
        self._events: OrderedDict[str, threading.Event] = OrderedDict()
        self._lock = threading.Lock()

    def asked(self, request: gr.Request) -> None:
        """For an event that waits in no queue, before the one that does the work: from now on that can be stopped."""
        self._of(_visitor(request))

    def press(self, request: gr.Request) -> None:
        """The visitor's work ends where it is; of other visitors, and without work, nothing happens."""
        with self._lock:
            event = self._events.get(_visitor(request))
        if event is not None:
            event.set()

    @contextmanager
    def during(self, request: gr.Request | None) -> Iterator[threading.Event]:
        """Work for a visitor, and whether it is to end."""
        visitor = _visitor(request)
        try:
            yield self._of(visitor)
        finally:
            with self._lock:
                self._events.pop(visitor, None)

    def _of(self, visitor: str) -> threading.Event:
        with self._lock:
            event = self._events.setdefault(visitor, threading.Event())
            while len(self._events) > _VISITORS:
                self._events.popitem(last=False)
            return event


def _visitor(request: gr.Request | None) -> str:
    return "" if request is None else str(request.session_hash)
