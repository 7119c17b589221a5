"""What each visitor wants to see now: older work of the same page gives way to it.

A browser asks for a picture only when the one before has come. So a page tells its wish first, by an event that waits in no
queue, and whatever paints something else for it ends within a fraction of a second.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Final, cast

import gradio as gr

__all__ = ["Wishes"]

_VISITORS: Final = 2000
_LONGEST: Final = 1000  # letters of a value that is kept as it is
_ASKED_LATE: Final = 1.0
"""Seconds in which a page has told what its button asks for; its request for the files may come first."""
OUTDATED: Final = (
    "The settings have changed, so the file of the old ones was dropped. Press the button again."
)


class Wishes:
    """The newest wish of each visitor on one page."""

    def __init__(self) -> None:
        self._newest: OrderedDict[str, Hashable] = OrderedDict()
        self._shown: OrderedDict[str, Hashable] = OrderedDict()
        self._asked: OrderedDict[str, Hashable] = OrderedDict()
        self._times: OrderedDict[str, Any] = OrderedDict()
        self._lock = threading.Lock()

    def told(self, outputs: int = 0) -> Callable[..., Any]:
        """For an event that is registered before the one that paints: the visitor wants what these inputs give.

        It takes them as they come from the browser, so `preprocess` is False, with the browser's clock after them, as requests
        may overtake each other; and it empties its outputs, which are files, unless these were asked for with the same inputs.
        """

        def tell(request: gr.Request, *inputs_and_time: Any) -> Any:
            *listed, time = inputs_and_time
            inputs = tuple(listed)
            left = [gr.skip()] * outputs if outputs > 1 else gr.skip() if outputs else None
            if time < self._times.get(_visitor(request), time):
                return left
            self._note(self._times, request, time)
            self._note(self._newest, request, _key(inputs))
            if self._asked.get(_visitor(request)) == _key(inputs):
                return left
            return [None] * outputs if outputs > 1 else None

        return tell

    def asked(self, request: gr.Request, *inputs_and_time: Any) -> None:
        """For an event that is registered before the one that makes files of these inputs, which it takes as `told` does.

        A change may be told late, when the visitor has seen it and asked for the files: it must not take them away.
        """
        *inputs, time = inputs_and_time
        if time < self._times.get(_visitor(request), time):
            return
        self._note(self._times, request, time)
        for notes in (self._newest, self._asked):
            self._note(notes, request, _key(tuple(inputs)))

    def files(
        self, steps: Callable[..., Iterator[Any]], inputs: int, outputs: int = 1
    ) -> Callable[..., Iterator[Any]]:
        """The handler that makes files, which ends early, and says so, when the visitor wants something else.

        What is saved would not be what is shown. A program, which tells no wishes, gets its files whatever comes.

        Args:
            steps: the handler.
            inputs: how many of its first inputs are those of `told`.
            outputs: how many files it gives.
        """

        @functools.wraps(steps)
        def giving_way(request: gr.Request, *values: Any, **named: Any) -> Iterator[Any]:
            key, begun = _key(values[:inputs]), time.monotonic()
            running = steps(*values, **named)
            waiting = (gr.skip(),) * outputs if outputs > 1 else gr.skip()
            try:
                for step in running:
                    made = step[0] if outputs > 1 else step
                    sure = isinstance(made, str) or time.monotonic() > begun + _ASKED_LATE
                    if sure and self._newest.get(_visitor(request), key) != key:
                        gr.Info(OUTDATED)
                        yield waiting
                        return
                    yield step
            finally:
                running.close()  # type: ignore[attr-defined]

        # Gradio finds by name and type that it wants the request, and documents the rest for programs.
        signature = inspect.signature(steps)
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        wanted = inspect.Parameter("request", kind, annotation=gr.Request)
        giving_way.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[wanted, *signature.parameters.values()]
        )
        giving_way.__annotations__ = {"request": gr.Request, **steps.__annotations__}
        return giving_way

    def newest(self, steps: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """The handler, which ends early when the visitor wants something else."""

        def giving_way(request: gr.Request, *inputs: Any) -> Iterator[Any]:
            self._note(self._newest, request, _key(inputs))
            yield from self._while_wanted(request, inputs, steps)
            if self._wants(request, inputs):
                self._note(self._shown, request, _key(inputs))

        return giving_way

    def afterwards(self, steps: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """A handler that adds to what `newest` has shown, only as long as that is still wanted."""

        def giving_way(request: gr.Request, *inputs: Any) -> Iterator[Any]:
            if self._shown.get(_visitor(request)) == _key(inputs):
                yield from self._while_wanted(request, inputs, steps)
            else:
                yield gr.skip()

        return giving_way

    def _while_wanted(
        self, request: gr.Request, inputs: tuple[Any, ...], steps: Callable[..., Iterator[Any]]
    ) -> Iterator[Any]:
        yield gr.skip()  # a generator that gives nothing would empty what is shown
        running = steps(*inputs)
        try:
            for step in running:
                if not self._wants(request, inputs):
                    return
                yield step
        finally:
            running.close()  # type: ignore[attr-defined]

    def _wants(self, request: gr.Request, inputs: tuple[Any, ...]) -> bool:
        return self._newest.get(_visitor(request)) == _key(inputs)

    def _note(self, notes: OrderedDict[str, Any], request: gr.Request, value: Any) -> None:
        with self._lock:
            notes[_visitor(request)] = value
            notes.move_to_end(_visitor(request))
            while len(notes) > _VISITORS:
                notes.popitem(last=False)


def _visitor(request: gr.Request) -> str:
    return str(request.session_hash)


def _key(inputs: tuple[Any, ...]) -> Hashable:
    """The inputs, the same before and after preprocessing: an uploaded file is its path. Of what no page sends, no more is kept than
    tells it from others.
    """
    return tuple(_kept(value.get("path") if isinstance(value, dict) else value) for value in inputs)


def _kept(value: Any) -> Hashable:
    if isinstance(value, (dict, list, tuple)) or (isinstance(value, str) and len(value) > _LONGEST):
        return hashlib.blake2b(repr(value).encode(errors="replace")).digest()
    return cast(Hashable, value)
