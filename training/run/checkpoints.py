"""What a run must remember to go on where it stopped: whole checkpoints, counters, where the data is.

Accelerate saves weights, optimisers, schedules and random states; :class:`Counters` adds the rest.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from accelerate import Accelerator
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from hfstyle.models.hub import unusable
from training.data.sources import DataError
from training.game.monitor import GameMonitor
from training.run.folder import written

__all__ = ["Counters", "check_output_dir", "resume", "save_checkpoint"]

logger = logging.getLogger(__name__)


class Counters:
    """What a run must remember besides weights: steps, pairs, minutes, numbers that are in no row of the log yet, and where the
    data streams are.

    All processes are at the same place of their own streams, so the state of one serves all.
    """

    def __init__(self, loaders: dict[str, Any], monitor: GameMonitor) -> None:
        self.step = self.pairs = self.bad_steps = 0
        self.minutes = 0.0
        self.unlogged: dict[str, list[float]] = {}  # of `Log`
        self.loaders, self.monitor = loaders, monitor

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "pairs": self.pairs,
            "bad_steps": self.bad_steps,
            "minutes": self.minutes,
            "unlogged": dict(self.unlogged),
            "data": {name: loader.state_dict() for name, loader in self.loaders.items()},
            "monitor": self.monitor.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self.pairs, self.minutes = state["step"], state["pairs"], state["minutes"]
        self.bad_steps = state["bad_steps"]
        self.unlogged = dict(state.get("unlogged", {}))  # checkpoints of an earlier version lack it
        data = state["data"]
        if isinstance(data, list):  # checkpoints of an earlier version: one for each process
            data = data[0]
        for name, loader in self.loaders.items():
            loader.load_state_dict(data[name])
        self.monitor.load_state_dict(state["monitor"])


def _checkpoints(output_dir: Path) -> list[Path]:
    """Whole checkpoints, oldest first."""
    found = [p for p in output_dir.glob("checkpoint-*") if p.name.split("-")[1].isdigit()]
    return sorted(found, key=lambda p: int(p.name.split("-")[1]))


def check_output_dir(output_dir: Path, resume_from: str | None) -> None:
    """A new run among an old run's checkpoints would mix with them: its own, being of lower steps, would be deleted first.

    Raises:
        ValueError: `output_dir` holds checkpoints and the run does not continue from one.
    """
    found = _checkpoints(output_dir)
    if found and not resume_from:
        raise ValueError(
            f"{output_dir} holds checkpoints of another run (the latest is {found[-1].name}): continue it with "
            "--resume_from_checkpoint latest, or choose another --output_dir"
        )


def save_checkpoint(
    accelerator: Accelerator, counters: Counters, output_dir: Path, total_limit: int
) -> None:
    """Write checkpoint-STEP under another name first, so that a killed run leaves no half of one; drop the oldest ones.

    total_limit: checkpoints to keep; 0 keeps all. Raises OSError if it cannot be written.
    """
    partial, final = output_dir / "partial-checkpoint", output_dir / f"checkpoint-{counters.step}"
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)
    accelerator.wait_for_everyone()
    with written(
        final,
        "free some space, and go on from the checkpoint before: --resume_from_checkpoint latest",
        partial,
    ):
        accelerator.save_state(str(partial))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        for file in partial.glob("*.safetensors"):  # which Accelerate writes for their owner alone
            file.chmod(partial.stat().st_mode & 0o666)
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        if total_limit:
            for old in _checkpoints(output_dir)[:-total_limit]:
                shutil.rmtree(old)
    accelerator.wait_for_everyone()


def resume(
    accelerator: Accelerator, output_dir: Path, resume_from: str | None, averaged: nn.Module
) -> Path | None:
    """Continue from a checkpoint: step, weights, both optimisers, EMA, random states and data position.

    Args:
        resume_from: a checkpoint folder, "latest" of `output_dir`, or None to start anew.
        averaged: the averaged weights, which are registered for checkpointing.

    Returns:
        The checkpoint continued from, None for a new run.

    Raises:
        ValueError: there is no such folder, it is damaged or of a run with other options, or weights in it are not floating or
            not finite; they are named.
    """
    if not resume_from:
        return None
    if resume_from == "latest":
        found = _checkpoints(output_dir)
        if not found:
            logger.warning(f"no checkpoint in {output_dir}; starting anew")
            return None
        path = found[-1]
    else:
        path = Path(resume_from)
        if not path.is_dir():
            raise ValueError(
                f"--resume_from_checkpoint {path}: no such folder; give a checkpoint-N folder or `latest`"
            )
    with _told_of(path):
        weights = {file: load_file(file) for file in sorted(path.glob("*.safetensors"))}
    for file, tensors in weights.items():
        _check(tensors, str(file))
    with _told_of(path):
        accelerator.load_state(str(path))
    _check(dict(averaged.named_parameters()), f"the averaged weights of {path}")
    return path


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    """Whatever keeps a checkpoint from being read meanwhile is told as a ValueError in one sentence."""
    try:
        yield
    except DataError:  # says it already
        raise
    except (
        OSError,
        ValueError,
        RuntimeError,
        LookupError,
        EOFError,
        UnpicklingError,
        SafetensorError,
    ) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0].strip(" :")
        raise ValueError(
            f"{path} cannot be continued from ({why}): it is damaged, or of a run with other options; give the options of that "
            "run, or an earlier checkpoint by --resume_from_checkpoint"
        ) from error


def _check(weights: Mapping[str, Tensor], where: str) -> None:
    if damage := unusable(weights):
        raise ValueError(f"{where}: tensors {damage}; continue from an earlier checkpoint")
