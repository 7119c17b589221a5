"""A generator with every part of the real one, small enough for quick tests."""

from __future__ import annotations

from typing import Any

import torch

from hfstyle import StyleGenerator

SMALL_GENERATOR: dict[str, Any] = {
    "widths": (8, 8, 16, 16),
    "fine_width": 8,
    "blocks": (1, 1, 1),
    "style_width": 16,
    "token_width": 16,
    "token_grid": 4,
    "heads": 2,
}


def small_generator(seed: int = 0, **changes: Any) -> StyleGenerator:
    """Random weights, the same for the same seed."""
    torch.manual_seed(seed)
    return StyleGenerator(**{**SMALL_GENERATOR, **changes})
