"""The trainer with a look inside at its end: each process writes its weights and data position (see test_train.py)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from training import train
from training.run import networks
from training.run.arguments import parse_args
from training.run.checkpoints import Counters

seen: dict[str, Any] = {}


class WatchedCounters(Counters):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        # What the process would see after the data position of its end.
        self.loaders["content"].close = lambda: None
        seen["counters"] = self


class WatchedAverage(torch.optim.swa_utils.AveragedModel):
    def __init__(self, model: torch.nn.Module, **options: Any) -> None:
        super().__init__(model, **options)
        seen["generator"], seen["ema"] = model, self.module


class WatchedDiscriminator(networks.StyleDiscriminator):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        seen["discriminator"] = self


train.Counters = WatchedCounters  # type: ignore[misc]
train.AveragedModel = WatchedAverage  # type: ignore[misc]
networks.StyleDiscriminator = WatchedDiscriminator  # type: ignore[misc]
train.main(parse_args())
rank = os.environ["RANK"]
torch.save(
    {name: seen[name].state_dict() for name in ("generator", "discriminator", "ema")}
    | {
        "content": seen["counters"].loaders["content"].next_batch(),
        "positions": seen["counters"].state_dict()["data"],
        "strength": torch.rand(4),
    },
    Path(os.environ["HFSTYLE_TEST_WEIGHTS"]) / f"rank-{rank}.pt",
)
