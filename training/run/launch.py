"""What a run says once, however many its processes are, and what `accelerate launch` does on CPUs that nobody would expect."""

from __future__ import annotations

import logging
import os

import torch
from accelerate import PartialState

__all__ = ["OfMainProcess", "warn_of_launch"]

logger = logging.getLogger(__name__)


class OfMainProcess(logging.LoggerAdapter[logging.Logger]):
    """A logger to which only the main process's lines come. Accelerate's own puts "[RANK 0]" before each."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802
        return PartialState().is_main_process and super().isEnabledFor(level)


def warn_of_launch(processes: int, device: torch.device, recipe: str | None = None) -> None:
    """Log a warning if there are fewer processes or threads than the machine has room for, or no GPU where one is meant.

    Args:
        processes: of the run.
        device: where it trains.
        recipe: the name of one, or None.
    """
    if recipe == "gpu" and device.type == "cpu":
        logger.warning(
            "torch finds no GPU here, and the recipe gpu is for one: on a CPU, a step takes many minutes; --recipe scratch is "
            "for that"
        )
    if "MASTER_ADDR" in os.environ and "RANK" not in os.environ and processes == 1:
        logger.warning(
            "`accelerate launch --cpu` starts one process whatever --num_processes says; for N processes on CPUs use "
            "`torchrun --nproc_per_node N training/train.py ...`"
        )
    launched = "ACCELERATE_MIXED_PRECISION" in os.environ
    cores = os.cpu_count() or 1
    if (
        launched
        and device.type == "cpu"
        and processes == 1 < cores
        and torch.get_num_threads() == 1
    ):
        logger.warning(
            f"one thread of {cores}: `accelerate launch` gives a process on a CPU no more, unless it is told; "
            f"`accelerate launch --num_cpu_threads_per_process {cores}` is faster"
        )
