"""Parameters that many endpoints have, written down once: Gradio names and describes each, the handler gets them as one."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

__all__ = ["spread"]

_Handler = TypeVar("_Handler", bound=Callable[..., Any])
_NONE = inspect.Parameter.empty


def spread(
    name: str, defaults: Mapping[str, Any], about: Mapping[str, str], gather: Callable[..., Any]
) -> Callable[[_Handler], _Handler]:
    """In place of its parameter `name`, a handler takes several, and is given what `gather` makes of their values.

    defaults: by name of each; they hold where the handler has a default for its parameter.
    about: the same, a sentence for the docstring, in place of the line that begins with `name`.
    gather: called with the values, in that order.
    """

    def decorate(handler: _Handler) -> _Handler:
        signature = inspect.signature(handler)
        parameters: list[inspect.Parameter] = []
        for parameter in signature.parameters.values():
            if parameter.name != name:
                parameters.append(parameter)
                continue
            optional = parameter.default is not _NONE
            parameters += [
                parameter.replace(
                    name=one, default=default if optional else _NONE, annotation=_NONE
                )
                for one, default in defaults.items()
            ]
        signature = signature.replace(parameters=parameters)

        def call(args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
            bound = signature.bind(*args, **keywords)
            bound.apply_defaults()
            given = dict(bound.arguments)
            gathered = gather(*(given.pop(one) for one in defaults))
            return handler(**given, **{name: gathered})

        if inspect.isgeneratorfunction(handler):

            @functools.wraps(handler)
            def wrapped(*args: Any, **keywords: Any) -> Any:
                yield from call(args, keywords)
        else:

            @functools.wraps(handler)
            def wrapped(*args: Any, **keywords: Any) -> Any:
                return call(args, keywords)

        wrapped.__signature__ = signature  # type: ignore[attr-defined]
        lines = "\n".join(f"{one}: {sentence}." for one, sentence in about.items())
        wrapped.__doc__ = _with_lines(handler.__doc__, name, lines)
        return wrapped  # type: ignore[return-value]

    return decorate


def _with_lines(doc: str | None, name: str, lines: str) -> str | None:
    """A docstring in which lines stand in place of an argument's."""
    found = re.search(rf"^( *){name}: .*$", doc or "", re.MULTILINE)
    if doc is None or found is None:
        return doc
    indented = "\n".join(found[1] + line for line in lines.splitlines())
    return doc[: found.start()] + indented + doc[found.end() :]
