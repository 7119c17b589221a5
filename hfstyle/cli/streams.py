"""Internal to the command lines: standard output and error that may be closed, full, or read to their middle only."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from io import TextIOWrapper

__all__ = [
    "OutputError",
    "drop_output",
    "flush_output",
    "is_closed",
    "open_streams",
    "output_trouble",
    "say",
    "write_output",
]


class OutputError(OSError):
    """Standard output cannot be written."""


class _Closed(TextIOWrapper):
    """Standard output that was closed before the program began. What would be printed is an error, at its end."""

    used = False

    def write(self, text: str) -> int:
        self.used = True
        return len(text)


def open_streams() -> None:
    """Put something in the place of closed streams, and print names of files that are no text as they are."""
    if sys.stdout is None:
        sys.stdout = _Closed(open(os.devnull, "wb"))  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="surrogateescape")


def is_closed() -> bool:
    """Whether standard output was closed before the program began."""
    return sys.stdout is None or isinstance(sys.stdout, _Closed)


def flush_output(needed: bool = True) -> None:
    """All of the output has gone out, or an error.

    Args:
        needed: whether a closed output is an error, if there was something to print.

    Raises:
        BrokenPipeError: nobody reads it any more.
        OutputError: it was closed, or cannot be written.
    """
    if isinstance(sys.stdout, _Closed):
        if needed and sys.stdout.used:
            raise OutputError(
                "standard output is closed, so nothing was printed; open it, as by > FILE"
            )
        return
    with _told():
        sys.stdout.flush()


def say(text: object) -> None:
    """A line on standard output, at once. Errors as of `flush_output`."""
    with _told():
        print(text, flush=True)


def output_trouble(error: Exception) -> str | None:
    """What to say of an error of writing that names no file: it is standard output's, since files are named."""
    if not isinstance(error, OSError) or error.filename is not None:
        return None
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF):
        return None
    drop_output()
    return f"standard output cannot be written: {error.strerror}; check rights and space"


def write_output(data: bytes) -> None:
    """Bytes on standard output. Errors as of `flush_output`."""
    with _told():
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        drop_output()
        why = error.strerror or error
        raise OutputError(
            f"standard output cannot be written: {why}; check rights and space"
        ) from error


def drop_output() -> None:
    """Nothing more is printed, not even what waits to be: Python would complain of it at its end."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a file
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
