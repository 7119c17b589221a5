"""`--dry_run`: what would run, and what it would cost, measured in a few steps."""

from __future__ import annotations

import sys
from typing import Any, Final

import torch

from training.run.recipes import RECIPES

__all__ = ["DRY_STEPS", "told_cost", "told_settings"]

DRY_STEPS: Final = 3
"""One for each size at which the losses look at pictures."""


def told_settings(args: Any) -> str:
    """The recipe and its settings, those that were given beside it marked, as lines."""
    recipe = RECIPES.get(args.recipe or "", {})
    lines = [f"recipe {args.recipe or 'none: the defaults'}"]
    for name, value in recipe.items():
        now = getattr(args, name)
        told = f" (given; the recipe has {value})" if _plain(now) != _plain(value) else ""
        lines.append(f"  --{name} {now}{told}")
    for name in (
        "content_dataset_name",
        "content_data_dir",
        "style_dataset_name",
        "style_data_dir",
    ):
        if value := getattr(args, name):
            lines.append(f"  --{name} {value}")
    lines.append(f"  --perceptual_model {' '.join(args.perceptual_model)}")
    lines.append(f"  --output_dir {args.output_dir}")
    return "\n".join(lines)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def told_cost(args: Any, seconds: float, device: torch.device) -> str:
    """Time and memory of the whole run, from those of DRY_STEPS steps; seconds: of these."""
    step = seconds / DRY_STEPS
    whole = step * args.max_train_steps / 60
    minutes = min(whole, args.max_train_minutes or whole)
    told = f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"
    memory = (
        f"{_peak(device) / 2**30:.1f} GiB of {'the GPU' if device.type == 'cuda' else 'memory'}"
    )
    steps = min(args.max_train_steps, int(60 * minutes / step))
    return (
        f"dry run: {step:.2g} s a step (of three, the first ones, which are the slowest), so {steps} steps in {told}, and "
        f"{memory}; nothing was written"
    )


def _peak(device: torch.device) -> int:
    """Most memory of the process so far, in bytes: the GPU's, else that of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else 1024 * used
