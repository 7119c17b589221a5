"""Statistics of a whole picture's feature maps, gathered where only pieces of it are painted."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from hfstyle.models.statistics import STATISTICS_EPS, InstanceStatistics, moments
from hfstyle.painting.spans import Tile


class Sample(InstanceStatistics):
    """A batch of pieces normalised by their common statistics, or by those corrected for the whole picture.

    Args:
        whole: F(g), what was measured over the whole picture; None for the sample's own.
        before: S(g), the sample's own when that was measured.

    own: S of this pass. `taken`: the statistics it used.
    """

    def __init__(
        self, whole: Mapping[str, Tensor] | None = None, before: Mapping[str, Tensor] | None = None
    ) -> None:
        super().__init__()
        self._measured, self._before = whole, before
        self.own: dict[str, Tensor] = {}

    def of(self, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
        means, variances = moments(x)  # (B, C, 1, 1)
        mean = means.mean(0, keepdim=True)
        variance = (variances + (means - mean).square()).mean(0, keepdim=True)
        own = used = torch.stack((mean, torch.rsqrt(variance + STATISTICS_EPS)))  # (2, 1, C, 1, 1)
        if self._measured is not None and self._before is not None:
            whole, before = self._measured[name], self._before[name]
            # Deviations change by a factor, so that they stay positive.
            used = torch.stack((whole[0] + own[0] - before[0], whole[1] * own[1] / before[1]))
        self.own[name], self.taken[name] = own, used
        return used[0], used[1]


class Measured(Exception):
    """All feature maps of a tile are measured: the rest of the network need not run."""


class Whole(InstanceStatistics):
    """Replays given statistics, and adds up the moments of each map over the tiles, without their margins."""

    def __init__(self, given: Mapping[str, Tensor]) -> None:
        super().__init__(given)
        self._sums = {name: torch.zeros_like(g, dtype=torch.float64) for name, g in given.items()}
        self._counts = dict.fromkeys(given, 0)
        self._tile: Tile
        self._height: int

    def begin(self, tile: Tile, height: int) -> None:
        """The maps that follow are those of `tile`, read with `height` pixels."""
        self._tile, self._height = tile, height
        self.taken.clear()

    def of(self, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
        given = super().of(name, x)
        inner = x[:, :, *self._tile.inside(self._height // x.shape[2])]
        mean, variance = (m.double() for m in moments(inner))
        count = inner.shape[2] * inner.shape[3]
        self._sums[name] += count * torch.stack((mean, variance + mean.square()))
        self._counts[name] += count
        if len(self.taken) == len(self._sums):
            raise Measured
        return given

    def statistics(self) -> dict[str, Tensor]:
        """F(g), one (2, 1, C, 1, 1) for each map."""
        found = {}
        for name, total in self._sums.items():
            mean, square = total / self._counts[name]
            variance = (square - mean.square()).clamp(min=0)
            found[name] = torch.stack((mean, torch.rsqrt(variance + STATISTICS_EPS))).float()
        return found
