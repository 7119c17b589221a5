"""What is trained and how: a generator's configuration, its groups of parameters, their average, the schedule."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hfstyle.models.generator import StyleGenerator

__all__ = ["ema_update", "freeze_unused", "hidden_and_others", "make_scheduler", "read_config"]


def read_config(path: str | None) -> dict[str, Any]:
    """Keyword arguments of the generator from a JSON file, for instance the config.json of another model."""
    if path is None:
        return {}
    config = json.loads(Path(path).read_text())
    known = inspect.signature(StyleGenerator.__init__).parameters.keys() - {"self"}
    return {key: value for key, value in config.items() if key in known}


def hidden_and_others(generator: StyleGenerator) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Weights between hidden layers, and all other parameters: what sees pixels, makes pixels, or is a bias."""
    outer = (
        "encoder.trunk.stem.",
        "encoder.linear.",
        "encoder.mlp",
        "style1.",
        "paint.",
        "tint.",
        "refine.",
    )
    hidden, others = [], []
    for name, parameter in generator.named_parameters():
        inner = parameter.ndim > 1 and not name.startswith(outer) and ".mix." not in name
        (hidden if inner else others).append(parameter)
    return hidden, others


def freeze_unused(generator: StyleGenerator) -> None:
    """Parameters that no forward pass uses would make DDP wait for their gradients."""
    if not generator.use_tokens:
        for module in (generator.attend_high, generator.attend_mid, generator.encoder.token):
            module.requires_grad_(False)


def ema_update(decay: float) -> Any:
    """EMA with a ramp, min(decay, (1 + n) / (10 + n)), so that the first steps do not linger."""

    def update(averaged: list[Tensor], current: list[Tensor], n: Tensor | int) -> None:
        count = int(n)
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + count) / (10 + count)))

    return update


def make_scheduler(args: Any, optimizer: torch.optim.Optimizer, processes: int) -> Any:
    """diffusers' schedule where diffusers is installed; constant and linear ones do without it.

    A prepared scheduler steps `processes` times per call, so steps are counted accordingly.
    """
    warmup, total = args.lr_warmup_steps * processes, args.max_train_steps * processes
    try:
        from diffusers.optimization import get_scheduler
    except ImportError:
        if args.lr_scheduler not in ("constant", "constant_with_warmup", "linear"):
            raise ValueError(
                f"--lr_scheduler {args.lr_scheduler} needs the package diffusers; without it choose constant, "
                "constant_with_warmup or linear"
            ) from None
        if args.lr_scheduler == "constant":
            warmup = 0
        falling = args.lr_scheduler == "linear"

        def share(step: int) -> float:
            if step < warmup:
                return step / warmup
            return max(0.0, (total - step) / max(1, total - warmup)) if falling else 1.0

        return torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    return get_scheduler(
        args.lr_scheduler, optimizer, num_warmup_steps=warmup, num_training_steps=total
    )
