"""What a person at a terminal reads: an error in one line, rows as a table. Imports nothing that takes time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_OUT_OF_MEMORY: Final = ("out of memory", "can't allocate memory", "not enough memory")


def short_reason(error: BaseException) -> str:
    """An exception in one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."


class UsageError(Exception):
    """A command line that cannot be meant: exit code 2."""


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
