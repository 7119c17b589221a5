"""Internal to `hfstyle.cli`: what a person at a terminal sees. Imports nothing that takes time."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from typing import Final

__all__ = ["Progress", "UsageError", "reason", "table"]

_OUT_OF_MEMORY: Final = ("out of memory", "can't allocate memory", "not enough memory")


class UsageError(Exception):
    """A command line that cannot be meant: exit code 2."""


class Progress:
    """A bar on the last line of the terminal; nothing where standard error is not one.

    Args:
        total: number of steps; a bar is drawn from two on.
        quiet: draw nothing.
    """

    def __init__(self, total: int, quiet: bool = False) -> None:
        self._total = total
        self._done = 0
        self._begun = time.monotonic()
        self._stream = sys.stderr if total > 1 and not quiet and sys.stderr.isatty() else None

    def show(self, doing: str = "") -> None:
        """Draw the bar, and what is being done."""
        if self._stream is None:
            return
        seconds = time.monotonic() - self._begun
        left = seconds / self._done * (self._total - self._done) if self._done else 0.0
        bar = ("#" * (20 * self._done // self._total)).ljust(20, ".")
        line = f"[{bar}] {self._done}/{self._total}"
        line += f"  {_clock(left)} left" if self._done else ""
        line = f"{line}  {doing}"[: shutil.get_terminal_size().columns - 1]
        print(f"\r\x1b[K{line}", end="", file=self._stream, flush=True)

    def step(self, count: int = 1) -> None:
        """That many more are done."""
        self._done += count

    def clear(self) -> None:
        """Take the bar away, so that other lines can be printed."""
        if self._stream is not None:
            print("\r\x1b[K", end="", file=self._stream, flush=True)


def reason(error: BaseException, about: str = "") -> str:
    """An error as one line for a user, which begins with what it is about and ends with what to do."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or any(words in text.lower() for words in _OUT_OF_MEMORY):
        text = "not enough memory; give a smaller --size"
    elif isinstance(error, OSError) and error.filename is not None and error.strerror:
        text = f"{error.filename}: {error.strerror}"
    elif not isinstance(error, (ValueError, OSError, ModuleNotFoundError, UsageError)):
        text = f"{type(error).__name__}: {text}; --debug shows where"
    text = text or type(error).__name__
    return text if not about or about in text else f"{about}: {text}"


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Rows in aligned columns, the first row being the head; the columns in `right` are aligned to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = (
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
    return "\n".join(lines)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
