"""Ending a run from outside, on all processes at the same step."""

from __future__ import annotations

import signal
from typing import Any

import torch
from accelerate import Accelerator

__all__ = ["StopRequest", "any_process"]


class StopRequest:
    """SIGTERM and SIGINT ask the run to end with a checkpoint; a second one ends it at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before = {
            number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)
        }

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def any_process(accelerator: Accelerator, flag: bool) -> bool:
    """True on every rank if it is true on one, so that all stop at the same step."""
    if accelerator.num_processes == 1:
        return flag
    value = torch.tensor([float(flag)], device=accelerator.device)
    return bool(accelerator.reduce(value, reduction="sum").item() > 0)
