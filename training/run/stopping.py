"""Ending a run: from outside, on all processes at the same step; and with one sentence where it cannot go on."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
from accelerate import Accelerator

from training.game.monitor import GameDegenerated

__all__ = ["StopRequest", "TrainingBroken", "any_process", "run_told"]


_LAUNCHED_BY: Final = "ACCELERATE_MIXED_PRECISION"
"""`accelerate launch` sets it for what it starts."""
_PARENT: Final = os.getppid()
_SAME: Final = 2.0  # s


class TrainingBroken(RuntimeError):
    """A run cannot go on; the message says why, and what to change."""


class StopRequest:
    """SIGTERM, SIGINT and the end of its terminal ask the run to end with a checkpoint; some seconds later, a second one ends it
    at once. Before that it may be the same: a terminal tells all processes, and so does `torchrun`, or a shell, of its own.

    `accelerate launch` ends at a SIGTERM without a word to the process that it started: that the launcher is gone asks as well,
    also if it was gone before this process had imported all it needs. Whoever starts a script without it (`nohup python training/train.py &`) may log out.
    """

    def __init__(self) -> None:
        self._asked_at: float | None = None
        self._launched = _LAUNCHED_BY in os.environ
        self._orphan = self._launched and _PARENT == 1 and not _launcher_is_first()
        self._before = {number: signal.signal(number, self._ask) for number in _asking()}

    @property
    def asked(self) -> bool:
        """Whether the run is to end."""
        gone = self._launched and os.getppid() != _PARENT
        return self._asked_at is not None or self._orphan or gone

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: Any) -> None:
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
        elif now - self._asked_at > _SAME and number in (signal.SIGTERM, signal.SIGINT):
            raise KeyboardInterrupt


def _launcher_is_first() -> bool:
    """Whether process 1, who inherits orphans, is `accelerate launch` itself, as in a container; True where that cannot be seen."""
    try:
        words = Path("/proc/1/cmdline").read_bytes().split(b"\0")
    except OSError:
        return True
    return b"python" in words[0] and any(b"accelerate" in word for word in words[1:3])


def _asking() -> list[int]:
    """The signals that ask; `nohup` has the end of a terminal ignored."""
    hang_up = getattr(signal, "SIGHUP", None)  # not on Windows
    heard = hang_up is not None and signal.getsignal(hang_up) != signal.SIG_IGN
    return [signal.SIGTERM, signal.SIGINT, *([hang_up] if heard else [])]


def any_process(accelerator: Accelerator, flag: bool) -> bool:
    """True on every rank if it is true on one, so that all stop at the same step."""
    if accelerator.num_processes == 1:
        return flag
    value = torch.tensor([float(flag)], device=accelerator.device)
    return bool(accelerator.reduce(value, reduction="sum").item() > 0)


def run_told(main: Callable[[Any], None], args: Any) -> None:
    """Run a script; what a user can mend is told in one line, without a traceback, and ends with exit code 1.

    `accelerate launch` adds a traceback of its own, unless it is called with --quiet.
    """
    try:
        main(args)
    except (ValueError, OSError, ModuleNotFoundError, GameDegenerated, TrainingBroken) as error:
        if os.environ.get("HFSTYLE_DEBUG"):
            raise
        script = os.path.basename(sys.argv[0])
        print(f"{script}: error: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
        sys.exit(1)
