"""Command lines that take options by their whole names only, and say which was meant. Imports nothing that takes time."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Final, NoReturn

__all__ = ["Parser"]

_MOST_MEANT: Final = 3  # options that are suggested
_ALIKE: Final = 0.75  # of difflib's ratio, at least


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` without abbreviations, which a later option of a similar name would break or change.

    An unknown option ends with exit code 2 and the options of similar names, before anything else is said of the command
    line: what is required and missing may have been misspelled.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"allow_abbrev": False} | options)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\nTry: {self.prog} --help\n")

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        given = sys.argv[1:] if args is None else list(args)
        if (
            self._subparsers is None
        ):  # else most options are those of a command, which looks at them
            self._check_names(given)
        return super().parse_known_args(given, namespace)

    def _check_names(self, given: Sequence[str]) -> None:
        known = [name for name in self._option_string_actions if name.startswith("--")]
        for argument in given:
            if argument == "--":  # what follows are no options
                return
            name = argument.partition("=")[0]
            # As argparse has it, what holds a space is a value.
            if not name.startswith("--") or " " in argument or name in known:
                continue
            begun = [other for other in known if other.startswith(name)]
            meant = (begun or get_close_matches(name, known, cutoff=_ALIKE))[:_MOST_MEANT]
            hint = f"; did you mean {' or '.join(meant)}?" if meant else ""
            self.error(f"there is no option {name}{hint}")
