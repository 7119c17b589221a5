"""Instance statistics that follow a film.

B = 1 · C channels
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from hfstyle.models.statistics import InstanceStatistics

__all__ = ["FollowingStatistics"]


class FollowingStatistics(InstanceStatistics):
    """Statistics between those of the frames before and those of this one, mean and variance each.

    Args:
        before: `taken` of the frame before; empty for the first.
        share: of this frame's own, in [0, 1].
    """

    def __init__(self, before: Mapping[str, Tensor], share: float) -> None:
        super().__init__()
        self._before, self._share = before, share

    def of(self, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
        """As of the base class."""
        own = torch.stack(super().of(name, x))  # (2, B, C, 1, 1)
        before = self._before.get(name)
        if before is not None and before.shape == own.shape:
            mean = torch.lerp(before[0], own[0], self._share)
            variance = torch.lerp(before[1].pow(-2), own[1].pow(-2), self._share)
            self.taken[name] = own = torch.stack((mean, variance.rsqrt()))
        return own[0], own[1]
