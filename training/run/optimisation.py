"""What is trained and how: a generator's configuration, its groups of parameters, their average, the schedule, the precision."""

from __future__ import annotations

import inspect
import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hfstyle.models.devices import computes_in_bfloat16
from hfstyle.models.generator import StyleGenerator
from hfstyle.models.hub import check_options
from hfstyle.models.hub import read_config as read_model_config
from hfstyle.models.sizes import SIZES

__all__ = [
    "ema_update",
    "hidden_and_others",
    "make_scheduler",
    "precision",
    "read_config",
]

logger = logging.getLogger(__name__)


def precision(asked: str, device: torch.device | str) -> str:
    """What --mixed_precision means on a device: "no" or "bf16".

    "auto" is bf16 where the device computes in it: a processor that only stores it takes five to eight times as long for a step.
    A "bf16" asked for by name is obeyed, with a warning there.
    """
    if torch.device(device).type == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        able = torch.device(device).type == "cpu" and computes_in_bfloat16()
    if asked == "auto":
        return "bf16" if able else "no"
    if asked == "bf16" and not able:
        logger.warning(
            "--mixed_precision bf16: this %s does not compute in it, which takes several times as long; leave it to "
            "`auto`, or give `no`",
            "processor" if torch.device(device).type == "cpu" else "device",
        )
    return asked


def read_config(path: str | None) -> dict[str, Any]:
    """Keyword arguments of the generator: of a size by its name, or from a JSON file, such as another model's config.json."""
    if path is None:
        return {}
    if path in SIZES:
        return dict(SIZES[path])
    config = read_model_config(Path(path))
    check_options(config, path, StyleGenerator)
    known = inspect.signature(StyleGenerator.__init__).parameters.keys() - {"self"}
    return {key: value for key, value in config.items() if key in known}


def hidden_and_others(generator: StyleGenerator) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Weights between hidden layers, and all other parameters: what sees pixels, makes pixels, or is a bias."""
    outer = (
        "encoder.trunk.stem.",
        "encoder.linear.",
        "encoder.mlp",
        "style1.",
        "head.paint.",
        "tint.",
        "head.refine.",
    )
    hidden, others = [], []
    for name, parameter in generator.named_parameters():
        if not parameter.requires_grad:  # the map of faces
            continue
        inner = parameter.ndim > 1 and not name.startswith(outer)
        (hidden if inner else others).append(parameter)
    return hidden, others


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
