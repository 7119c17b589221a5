"""Ending a run: from outside, on all processes at the same step; and with one sentence where it cannot go on."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

import torch
from accelerate import Accelerator

from training.game.monitor import GameDegenerated

__all__ = ["StopRequest", "any_process", "run_told"]


_LAUNCHED_BY: Final = "ACCELERATE_MIXED_PRECISION"
"""`accelerate launch` sets it for what it starts."""
_PARENT: Final = os.getppid()


class StopRequest:
    """SIGTERM and SIGINT ask the run to end with a checkpoint; a second one ends it at once.

    `accelerate launch` ends at a SIGTERM without a word to the process that it started: that the launcher is gone asks as well.
    Whoever starts a script without it (`nohup python training/train.py &`) may log out.
    """

    def __init__(self) -> None:
        self._asked = False
        self._launched = _LAUNCHED_BY in os.environ and _PARENT != 1
        self._before = {
            number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)
        }

    @property
    def asked(self) -> bool:
        """Whether the run is to end."""
        return self._asked or (self._launched and os.getppid() != _PARENT)

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: Any) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True


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
    except (ValueError, OSError, ModuleNotFoundError, GameDegenerated) as error:
        if os.environ.get("HFSTYLE_DEBUG"):
            raise
        script = os.path.basename(sys.argv[0])
        print(f"{script}: error: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
        sys.exit(1)
