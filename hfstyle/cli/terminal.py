"""Progress, failures and facts as the commands print them."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from hfstyle.messages import reason

__all__ = ["Progress"]


class Progress:
    """A bar of tqdm on the last line of the terminal; nothing where standard error is not one.

    Args:
        total: number of steps; a bar is drawn from two on.
        quiet: draw nothing.
        done: steps that an earlier run has done, which say nothing of how long the others take.
    """

    def __init__(self, total: int, quiet: bool = False, done: int = 0) -> None:
        from tqdm import tqdm

        tqdm.monitor_interval = 0  # no thread for bars that are drawn anyway
        self._bar = tqdm(
            total=total,
            initial=done,
            disable=total < 2 or quiet or not sys.stderr.isatty(),
            leave=False,
            dynamic_ncols=True,
            ascii=".#",
            bar_format="[{bar:20}] {n_fmt}/{total_fmt}  {remaining} left  {desc}",
        )

    def show(self, doing: str = "") -> None:
        """Draw the bar, and what is being done."""
        self._bar.set_description_str(doing)

    def step(self, count: int = 1) -> None:
        """That many more are done."""
        self._bar.update(count)

    def clear(self) -> None:
        """Take the bar away, so that other lines can be printed."""
        self._bar.clear()


class Failures:
    """Messages about what failed, kept for the end."""

    def __init__(self, debug: bool, messages: Sequence[str] = ()) -> None:
        self._debug = debug
        self.messages = list(messages)

    def add(self, error: Exception, about: str) -> None:
        if self._debug:
            traceback.print_exception(error)
        self.messages.append(reason(error, about))

    def report(self) -> int:
        """Print them; returns the exit code."""
        for message in self.messages:
            print(f"hfstyle: error: {message}", file=sys.stderr)
        return 1 if self.messages else 0


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_facts(facts: dict[str, Any], prefix: str = "") -> None:
    """Nested facts as lines "name: value"; sizes of files in readable units."""
    for key, value in facts.items():
        name = f"{prefix}{key.replace('_', ' ')}"
        if isinstance(value, dict):
            if key == "files":
                value = {file: f"{size / 1e6:.2f} MB" for file, size in value.items()}
                print(f"{name}: {', '.join(f'{k} {v}' for k, v in value.items())}")
            else:
                print_facts(value, f"{prefix}{key} " if key == "model" else prefix)
        elif isinstance(value, bool):
            print(f"{name}: {'yes' if value else 'no'}")
        elif isinstance(value, int):
            print(f"{name}: {value:,}")
        elif isinstance(value, list):
            print(f"{name}: {', '.join(map(str, value))}")
        elif value is not None:
            print(f"{name}: {value}")
