"""Instance statistics: measured, or given from outside; and feature maps that take those of a style.

B batch · C channels · H, W height and width
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hfstyle.models import fast, graph
from hfstyle.models.resample import placed

__all__ = [
    "STATISTICS_EPS",
    "FeatureTransfer",
    "InstanceStatistics",
    "moments",
    "scale_and_shift",
]

STATISTICS_EPS = 1e-5
"""Added to variances before their root is taken."""


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance over space: (B, C, H, W) -> two (B, C, 1, 1), float32 whatever the type of `x`.

    Sums over the rows of a (B, HW, C) matrix, which for the channels-last layout is many times faster on a CPU than
    `torch.var_mean` over the last two dimensions.
    """
    if len(x) == 1 and fast.possible(x):
        return fast.moments(x)
    if graph.wanted():
        return graph.moments(x.float())
    rows = x.permute(0, 2, 3, 1).flatten(1, 2).float()  # (B, HW, C)
    mean = rows.mean(1, keepdim=True)
    variance = (rows - mean).square().mean(1)
    return mean[:, 0, :, None, None], variance[:, :, None, None]


def scale_and_shift(x: Tensor, scale: Tensor, shift: Tensor, out: Tensor | None = None) -> Tensor:
    """x (B, C, H, W) scale + shift, both (B, C, 1, 1) float32, in the type of `x`, in `out` if that is given."""
    if len(x) == len(scale) == 1 and x.dtype != scale.dtype and fast.possible(x):
        return fast.scale_and_shift(x, scale, shift, out)
    if graph.wanted():
        return graph.scale_and_shift(x, scale, shift)
    return torch.addcmul(shift.to(x.dtype), x, scale.to(x.dtype), out=out)  # in one pass over x


class InstanceStatistics:
    """Mean and reciprocal deviation of each normalised feature map, by the map's name.

    A fresh object measures: `of` computes the statistics of the map it is shown and keeps them in `taken`. An object built
    with `given` (the `taken` of an earlier pass) looks them up instead, which is how tiles of a large picture, or frames of
    a film, share one look. Names are as "coarse.high.attend": the level, where in it, and what for.

    Args:
        given: tensors of shape (2, B, C, 1, 1) float32 by name; None to measure.
    """

    place = ""
    """Of what part of the network this is: the beginning of its maps' names."""
    several = False
    """Whether one picture is painted in several styles, so that what acts by style gives several maps (see `blend`)."""

    def __init__(self, given: Mapping[str, Tensor] | None = None) -> None:
        self._given = given
        self.taken: dict[str, Tensor] = {}

    def of(self, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
        """Statistics of the map x (B, C, H, W) of that name: mean and 1 / sqrt(variance + eps), each (B, C, 1, 1) float32.

        Raises:
            KeyError: given statistics lack the name.
        """
        if self._given is None:
            mean, variance = moments(x)
            rstd = torch.rsqrt(variance + STATISTICS_EPS)
            self.taken[name] = torch.stack((mean, rstd))
            return mean, rstd
        self.taken[name] = self._given[name]
        mean, rstd = self.taken[name]
        return mean, rstd

    def blend(self, x: Tensor) -> Tensor:
        """What acts by style has made: a map or a number for each style of a picture -> that of the picture; here, itself."""
        return x

    def below(self, prefix: str) -> InstanceStatistics:
        """The same statistics, for a part of the network that knows the end of its maps' names only."""
        return _Below(self, prefix)


class _Below(InstanceStatistics):
    def __init__(self, whole: InstanceStatistics, prefix: str) -> None:
        self._whole, self._prefix = whole, prefix
        self.place = f"{whole.place}{prefix}."
        self.several, self.taken = whole.several, whole.taken
        self.blend = whole.blend  # type: ignore[method-assign]

    def of(self, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._whole.of(f"{self._prefix}.{name}", x)


class FeatureTransfer(nn.Module):
    """Adaptive instance normalisation: feature maps take the channel means and deviations of the style's own features.

    AdaIN (Huang & Belongie 2017, eq. 8). Content and style pass through the same layers, so that nothing has to be
    learned about which statistics belong to which style. No parameters.
    """

    def forward(
        self, x: Tensor, measured: tuple[Tensor, Tensor], look: Tensor, amount: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Give `x` the statistics of a style, and say how far they were apart.

        Args:
            x: (B, C, H, W).
            measured: its statistics, as of `InstanceStatistics.of`.
            look: (B, 2C) mean and deviation of the style.
            amount: (B, 1, 1, 1), or of each place (B, 1, h, w); 0 leaves `x` as it is.

        Returns:
            (B, C, H, W), and (B,) float32 >= 0: squared distance of both statistics in units of the style's own energy.
        """
        mean, rstd = measured
        goal_mean, goal_std = look.float()[:, :, None, None].chunk(2, dim=1)
        goal_std = goal_std.clamp(min=0)  # of codes that are drawn or beyond a mixture
        distance = (goal_mean - mean).square() + (goal_std - 1 / rstd).square()
        energy = goal_mean.square() + goal_std.square()
        distance = distance.flatten(1).sum(1) / (energy.flatten(1).sum(1) + 1e-5)
        if amount.shape[2:] == (1, 1):
            scale = 1 + amount * (goal_std * rstd - 1)
            return scale_and_shift(
                x, scale, amount * (goal_mean - goal_std * rstd * mean)
            ), distance
        whole = scale_and_shift(x, goal_std * rstd, goal_mean - goal_std * rstd * mean)
        return torch.lerp(x.expand_as(whole), whole, placed(amount, x).to(x.dtype)), distance
