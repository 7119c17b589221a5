"""A generator with every part of the real one, small enough for quick tests."""

from __future__ import annotations

from typing import Any

import torch

from hfstyle import StyleGenerator
from hfstyle.models.sizes import SIZES

SMALL_GENERATOR: dict[str, Any] = dict(SIZES["tiny"])


def small_generator(seed: int = 0, **changes: Any) -> StyleGenerator:
    """Random weights, the same for the same seed."""
    torch.manual_seed(seed)
    return StyleGenerator(**{**SMALL_GENERATOR, **changes})
