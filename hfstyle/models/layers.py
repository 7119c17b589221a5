"""Parts shared by the networks: reflection-padded convolutions, instance statistics, modulation.

B batch · C channels · H, W height and width · D style width
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hfstyle.models import fast

__all__ = [
    "ColorSpread",
    "ColorTransfer",
    "FeatureTransfer",
    "Grain",
    "InstanceStatistics",
    "ModulatedBlock",
    "Modulation",
    "ResidualBlock",
    "activate",
    "activate_styled",
    "add",
    "blur_pool",
    "conv3x3",
    "double",
    "folded",
    "halve",
    "luminance",
    "moments",
    "reflected",
    "scale_and_shift",
    "standardise",
    "unstandardise",
]

# Centre and spread of photographs in [0, 1], all channels alike, so that grey stays grey.
_IMAGE_MEAN, _IMAGE_STD = 0.45, 0.25
_LUMA = (0.299, 0.587, 0.114)

# Lightness, red against blue, green against both: orthonormal, and nearly uncorrelated in photographs.
_OPPONENT = (
    (3**-0.5, 3**-0.5, 3**-0.5),
    (2**-0.5, 0.0, -(2**-0.5)),
    (6**-0.5, -2 * 6**-0.5, 6**-0.5),
)
_BINOMIAL = (0.125, 0.375, 0.375, 0.125)
# Deviation, in units of `standardise`, below which a channel of colour is not amplified further.
_FAINTEST_COLOR = 0.1
_ROOT_FLOOR = 1e-3  # least deviation of a colour, for the roots of grey pictures


def standardise(image: Tensor) -> Tensor:
    """Map (B, 3, H, W) in [0, 1] to about zero mean and unit deviation. The networks own this step."""
    return _line(image, 1 / _IMAGE_STD, -_IMAGE_MEAN / _IMAGE_STD)


def unstandardise(x: Tensor) -> Tensor:
    """The inverse of `standardise`."""
    return _line(x, _IMAGE_STD, _IMAGE_MEAN)


def _line(x: Tensor, slope: float, offset: float) -> Tensor:
    """slope x + offset in one pass over x."""
    return torch.add(torch.tensor(offset, dtype=x.dtype, device=x.device), x, alpha=slope)


def luminance(image: Tensor) -> Tensor:
    """(B, 3, H, W) in [0, 1] -> (B, 1, H, W) float32, by the weights of ITU-R BT.601."""
    weights = torch.tensor([_LUMA], device=image.device)
    if fast.possible(image) and image.shape[3] % 4 == 0:
        return in_own_type(fast.map_colors, image.float(), weights)
    return in_own_type(F.conv2d, image.float(), weights[:, :, None, None])


def activate(x: Tensor, out: Tensor | None = None) -> Tensor:
    """The one non-linearity of all networks: leaky ReLU, slope 0.2 (cheap on a CPU, no dead channels).

    Without gradients in place, or in `out`; x is always fresh.
    """
    if out is not None:
        return torch.ops.aten.leaky_relu.out(x, 0.2, out=out)
    return F.leaky_relu(x, 0.2, inplace=not torch.is_grad_enabled())


def add(x: Tensor, change: Tensor) -> Tensor:
    """x + change; `change` is fresh, and its memory is used again where that is allowed."""
    return change.add_(x) if fast.possible(change) else x + change


def scale_and_shift(x: Tensor, scale: Tensor, shift: Tensor, out: Tensor | None = None) -> Tensor:
    """x (B, C, H, W) scale + shift, both (B, C, 1, 1) float32, in the type of `x`, in `out` if that is given."""
    if len(x) == 1 and x.dtype != scale.dtype and fast.possible(x):
        return fast.scale_and_shift(x, scale, shift, out)
    return torch.addcmul(shift.to(x.dtype), x, scale.to(x.dtype), out=out)  # in one pass over x


def reflected(x: Tensor) -> Tensor:
    """x with the frame that a 3x3 convolution wants: (B, C, H, W) -> (B, C, H + 2, W + 2)."""
    return in_own_type(F.pad, x, (1, 1, 1, 1), mode="reflect")


_Weights: TypeAlias = tuple[Tensor, Tensor]
"""Weight and bias of a convolution."""


class ReflectConv2d(nn.Conv2d):
    """A 3x3 convolution with reflection padding that stays in the compute type under autocast."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__(in_channels, out_channels, 3, stride)

    def forward(self, input: Tensor, own: _Weights | None = None) -> Tensor:
        return self.of_padded(reflected(input), own)

    def of(
        self,
        make: Callable[[Tensor | None], Tensor],
        shape: Sequence[int],
        near: Tensor,
        own: _Weights | None = None,
    ) -> Tensor:
        """The convolution of what `make(out)` makes, without a copy to pad it where that is possible.

        Args:
            make: returns a map, which it has written into `out` unless that is None.
            shape: of that map, (B, C, H, W).
            near: what it is made of.
            own: weight and bias to be used for the layer's.
        """
        if fast.possible(near) and min(shape[2:]) > 1:
            return self.of_padded(fast.framed(shape, near.dtype, make), own)
        return self(make(None), own)

    def of_padded(self, padded: Tensor, own: _Weights | None = None) -> Tensor:
        """(B, C, H + 2, W + 2) -> (B, out_channels, H, W)."""
        weight, bias = (self.weight, self.bias) if own is None else own
        if self.out_channels <= 3 and fast.possible(padded) and padded.shape[3] % 4 == 2:
            return fast.convolve_columns(padded, weight, bias)
        return F.conv2d(padded, weight, bias, self.stride)


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> ReflectConv2d:
    """A 3x3 convolution with reflection padding: no dark or bright frame at the picture's border."""
    layer = ReflectConv2d(in_channels, out_channels, stride)
    nn.init.kaiming_normal_(layer.weight, a=0.2, nonlinearity="leaky_relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def double(x: Tensor, out: Tensor | None = None) -> Tensor:
    """Twice the resolution by bilinear interpolation: (B, C, H, W) -> (B, C, 2H, 2W), in `out` where `fast` may write.

    Not by pixel shuffle: with sub-pixels of their own, short runs learn a lattice of the shuffle's period in flat
    areas (seen here, in spite of an ICNR initialisation), and the same place would be painted differently after a
    shift of the picture by a pixel.
    """
    if fast.possible(x):
        return fast.double(x, out)
    return in_own_type(F.interpolate, x, scale_factor=2, mode="bilinear", align_corners=False)


def halve(x: Tensor) -> Tensor:
    """Half the resolution by averaging four neighbours: (B, C, H, W), even -> (B, C, H/2, W/2)."""
    if fast.possible(x):
        return fast.halve(x)
    return F.avg_pool2d(x, 2)


def blur_pool(x: Tensor) -> Tensor:
    """Half the resolution by a binomial filter of 4 x 4 (Zhang 2019): (B, C, H, W), even -> (B, C, H/2, W/2).

    `halve` lets more of the detail that the coarser grid cannot hold through as aliases, which depend on where the
    picture lies on that grid.
    """
    taps = torch.tensor(_BINOMIAL, device=x.device, dtype=x.dtype)  # exact in bfloat16, too
    kernel = (taps[:, None] * taps).expand(x.shape[1], 1, -1, -1)
    padded = reflected(x)
    return in_own_type(F.conv2d, padded, kernel, stride=2, groups=x.shape[1])


def in_own_type(function: Callable[..., Tensor], x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Call `function(x, ...)` without autocast, which on a CPU sends padding and interpolation through float32.

    The detour and the copies it makes cost a fifth of a bfloat16 training step there.
    """
    if not torch.is_autocast_enabled(x.device.type):
        return function(x, *args, **kwargs)
    with torch.autocast(x.device.type, enabled=False):
        return function(x, *args, **kwargs)


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance over space: (B, C, H, W) -> two (B, C, 1, 1), float32 whatever the type of `x`.

    Sums over the rows of a (B, HW, C) matrix, which for the channels-last layout is many times faster on a CPU than
    `torch.var_mean` over the last two dimensions.
    """
    if len(x) == 1 and fast.possible(x):
        return fast.moments(x)
    rows = x.permute(0, 2, 3, 1).flatten(1, 2).float()  # (B, HW, C)
    mean = rows.mean(1, keepdim=True)
    variance = (rows - mean).square().mean(1)
    return mean[:, 0, :, None, None], variance[:, :, None, None]


class InstanceStatistics:
    """Mean and reciprocal deviation of each normalised feature map, in the order in which they are met.

    A fresh object measures: `of` computes the statistics of the map it is shown and appends them to `taken`.
    An object built with `given` (the `taken` of an earlier pass) replays them instead, which is how tiles of a large
    picture, or frames of a film, share one look.

    Args:
        given: tensors of shape (2, B, C, 1, 1) float32, one for each normalised map; None to measure.
    """

    def __init__(self, given: Sequence[Tensor] | None = None) -> None:
        self._given = None if given is None else list(given)
        self.taken: list[Tensor] = []

    def of(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Statistics of `x` (B, C, H, W): mean and 1 / sqrt(variance + eps), each (B, C, 1, 1) float32."""
        if self._given is not None:
            stacked = self._given[len(self.taken)]
        else:
            mean, variance = moments(x)
            stacked = torch.stack((mean, torch.rsqrt(variance + 1e-5)))
        self.taken.append(stacked)
        return stacked[0], stacked[1]

    def row(self, index: int) -> InstanceStatistics:
        """Those of picture `index` alone, from here on; of given ones only."""
        assert self._given is not None
        return InstanceStatistics(
            [given[:, index : index + 1] for given in self._given[len(self.taken) :]]
        )

    def skip(self, count: int) -> None:
        """Leave out the next `count` of given ones, which another object replayed."""
        assert self._given is not None
        begin = len(self.taken)
        self.taken += self._given[begin : begin + count]


class Modulation(nn.Module):
    """Style-dependent scale and shift of a feature map, with or without instance normalisation before it.

    Conditional instance normalisation (Dumoulin et al. 2017; AdaIN, Huang & Belongie 2017, eq. 8), the affine
    parameters computed from the style by a linear layer. `normalise=False` is for the last blocks, where instance
    normalisation makes droplets (Karras et al. 2020).
    """

    def __init__(self, channels: int, style_width: int, normalise: bool = True) -> None:
        super().__init__()
        self.normalise = normalise
        self.affine = nn.Linear(style_width, 2 * channels)
        nn.init.normal_(self.affine.weight, std=0.5 / style_width**0.5)
        nn.init.zeros_(self.affine.bias)

    def forward(
        self,
        x: Tensor,
        style: Tensor,
        statistics: InstanceStatistics,
        *,
        out: Tensor | None = None,
    ) -> Tensor:
        """x (B, C, H, W), style (B, D) -> (B, C, H, W), in `out` if that is given."""
        scale, shift = self._affine(style)
        if self.normalise:
            mean, rstd = statistics.of(x)
            scale = scale * rstd
            shift = shift - mean * scale
        return scale_and_shift(x, scale, shift, out)

    def _affine(self, style: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift, (B, C, 1, 1) float32 each."""
        scale, shift = self.affine(style).float()[:, :, None, None].chunk(2, dim=1)
        return 1 + scale, shift

    def folded(self, convolution: nn.Conv2d, style: Tensor) -> _Weights | None:
        """Weight and bias with which the convolution does what this would do to its result; None where that is impossible.

        Possible without normalisation, of one style, where no gradients are needed.
        """
        if self.normalise or len(style) > 1 or not fast.possible(style):
            return None
        scale, shift = self._affine(style)
        weight, bias = convolution.weight, convolution.bias
        assert bias is not None
        mixed = torch.addcmul(shift.flatten(), bias.float(), scale.flatten())
        return (weight * scale.view(-1, 1, 1, 1)).to(weight.dtype), mixed.to(bias.dtype)


def activate_styled(
    x: Tensor,
    own: _Weights | None,
    modulation: nn.Module,
    style: Tensor,
    statistics: InstanceStatistics,
    out: Tensor | None,
) -> Tensor:
    """Activation of what a convolution gave, modulated; of that itself where the modulation was folded into weights `own`."""
    if own is not None:
        return activate(x, out)
    return activate(modulation(x, style, statistics, out=out))


def folded(modulation: nn.Module, convolution: nn.Conv2d, style: Tensor) -> _Weights | None:
    """`modulation.folded(convolution, style)`; None of a module that only stands for a `Modulation`."""
    if isinstance(modulation, Modulation):
        return modulation.folded(convolution, style)
    return None


class ColorTransfer(nn.Module):
    """The picture in the style's colours: mean and covariance of the opponent colours become those of the style.

    Linear colour transfer by triangular roots of both covariances (Pitie & Kokaram 2007, eq. 8-9, lightness first), so
    that dark stays dark. It carries the palette exactly, at full resolution and whatever the shift of the picture,
    from the first training step on, and leaves shapes and strokes to the convolutions. No parameters.
    """

    WIDTH = 9
    """Length of a style's colours: mean (3), and the root of the covariance (6), lower triangle by rows."""

    @staticmethod
    def measure(x: Tensor) -> Tensor:
        """Colours of a standardised picture (B, 3, H, W) -> (B, 9) float32."""
        mean, variance = moments(_opponent_sums(x))
        return torch.cat(_mean_and_root(mean, variance), dim=1)

    @staticmethod
    def look(x: Tensor, statistics: InstanceStatistics) -> Tensor:
        """Colours of a standardised picture (B, 3, H, W) -> (2, B, 3, 1, 1), measured or, by tiles, given."""
        statistics.of(_opponent_sums(x))
        return statistics.taken[-1]

    def forward(self, x: Tensor, colors: Tensor, statistics: InstanceStatistics) -> Tensor:
        """x (B, 3, H, W) standardised, colors (B, 9) of a style -> (B, 3, H, W) float32."""
        mean, rstd = statistics.of(_opponent_sums(x))
        own_mean, own = _mean_and_root(mean, rstd.pow(-2))
        # T = L_style L_own^-1, both triangular: a 3x3 matrix in closed form, which exports.
        a, b, c, d, e, f = own.unbind(1)
        p, q, r, s, t, u = colors[:, 3:].float().unbind(1)
        t00, t11, t22 = _gain(p, a), _gain(r, c), _gain(u, f)
        a, c = a.clamp(min=_FAINTEST_COLOR), c.clamp(min=_FAINTEST_COLOR)
        t21 = (t - t22 * e) / c
        t10 = (q - t11 * b) / a
        t20 = (s - t21 * b - t22 * d) / a
        zero = torch.zeros_like(a)
        matrix = torch.stack((t00, zero, zero, t10, t11, zero, t20, t21, t22), dim=1).unflatten(
            1, (3, 3)
        )
        opponent = torch.tensor(_OPPONENT, device=x.device)  # (3, 3), orthonormal
        shift = colors[:, :3, None] - in_own_type(torch.matmul, matrix, own_mean[:, :, None])
        matrix = in_own_type(torch.matmul, matrix, opponent)
        matrix = in_own_type(torch.matmul, opponent.T, matrix)  # (B, 3, 3), of x
        shift = in_own_type(torch.matmul, opponent.T, shift)  # (B, 3, 1)
        if len(x) == 1 and fast.possible(x) and x.shape[3] % 4 == 0:
            return in_own_type(fast.map_colors, x, matrix[0], shift[0, :, 0])
        # A product of (B, HW, 3): a view of the channels-last layout, in which the result is, too.
        rows = x.float().permute(0, 2, 3, 1).flatten(1, 2)
        mapped = in_own_type(torch.matmul, rows, matrix.mT) + shift.mT  # (B, HW, 3)
        return mapped.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)


class ColorSpread(nn.Module):
    """Painted detail takes the spread of the style's colours: what a pencil drawing is painted with is grey.

    Detail is painted in coordinates in which all styles' colours vary alike (lightness, then what of each opponent
    colour the former do not explain), and the root of the style's covariance makes colours of it. No parameters.
    """

    def forward(self, x: Tensor, colors: Tensor) -> Tensor:
        """Make colours of what is painted.

        Args:
            x: (B, 3, H, W) all coordinates, (B, 1, H, W) lightness alone, or (B, 2, H, W) the other two.
            colors: (B, 9) of a style.

        Returns:
            (B, 3, H, W) float32, to be added to a standardised picture.
        """
        p, q, r, s, t, u = colors[:, 3:].float().unbind(1)
        p, r, u = (root.clamp(min=0) for root in (p, r, u))  # drawn codes may lie
        zero = torch.zeros_like(p)
        root = torch.stack((p, zero, zero, q, r, zero, s, t, u), dim=1).unflatten(1, (3, 3))
        root = root[:, :, 1:] if x.shape[1] == 2 else root[:, :, : x.shape[1]]
        opponent = torch.tensor(_OPPONENT, device=x.device)
        matrix = in_own_type(torch.matmul, opponent.T, root)  # (B, 3, channels of x), to RGB
        rows = x.float().permute(0, 2, 3, 1).flatten(1, 2)  # (B, HW, channels of x)
        mapped = in_own_type(torch.matmul, rows, matrix.mT)
        return mapped.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)


def _gain(goal: Tensor, own: Tensor) -> Tensor:
    """goal / own, both deviations: 0 for a goal without this colour, no more than faint colours stand."""
    goal = goal.clamp(min=0)  # drawn codes may lie
    return goal / torch.maximum(own, goal.clamp(min=_ROOT_FLOOR, max=_FAINTEST_COLOR))


def _opponent_sums(x: Tensor) -> Tensor:
    """Opponent colours and their pairwise sums, whose variances hold the covariances: (B, 3, H, W) -> (B, 6, H/2, W/2).

    At half the resolution, which costs a quarter and leaves out most of a photo's noise.
    """
    x = halve(x.float())
    opponent = torch.tensor(_OPPONENT, device=x.device)
    rows = torch.stack(
        (opponent[0] + opponent[1], opponent[0] + opponent[2], opponent[1] + opponent[2])
    )
    return in_own_type(F.conv2d, x, torch.cat((opponent, rows))[:, :, None, None])


def _mean_and_root(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Moments (B, 6, 1, 1) of `_opponent_sums` -> mean (B, 3) and triangular root of the covariance (B, 6)."""
    v0, v1, v2, v01, v02, v12 = variance[:, :, 0, 0].unbind(1)
    c01, c02, c12 = ((v01 - v0 - v1) / 2, (v02 - v0 - v2) / 2, (v12 - v1 - v2) / 2)
    floor = _ROOT_FLOOR**2
    a = torch.sqrt(v0 + floor)
    b, d = c01 / a, c02 / a
    c = torch.sqrt((v1 + floor - b * b).clamp(min=floor))
    e = (c12 - d * b) / c
    f = torch.sqrt((v2 + floor - d * d - e * e).clamp(min=floor))
    return mean[:, :3, 0, 0], torch.stack((a, b, c, d, e, f), dim=1)


class FeatureTransfer(nn.Module):
    """Adaptive instance normalisation: feature maps take the channel means and deviations of the style's own features.

    AdaIN (Huang & Belongie 2017, eq. 8). Content and style pass through the same layers, so that nothing has to be
    learned about which statistics belong to which style.
    """

    def forward(
        self, x: Tensor, moments_of_style: Tensor, strength: Tensor, statistics: InstanceStatistics
    ) -> tuple[Tensor, Tensor]:
        """Give `x` the statistics of a style, and say how far they were apart.

        Args:
            x: (B, C, H, W).
            moments_of_style: (B, 2C) mean and deviation.
            strength: (B,), 0 leaves `x` as it is.
            statistics: measures or replays the statistics of `x`.

        Returns:
            (B, C, H, W), and (B,) float32 >= 0: squared distance of both statistics in units of the style's own energy.
        """
        mean, rstd = statistics.of(x)
        goal_mean, goal_std = moments_of_style.float()[:, :, None, None].chunk(2, dim=1)
        goal_std = goal_std.clamp(min=0)  # of codes that are drawn or beyond a mixture
        distance = (goal_mean - mean).square() + (goal_std - 1 / rstd).square()
        energy = goal_mean.square() + goal_std.square()
        distance = distance.flatten(1).sum(1) / (energy.flatten(1).sum(1) + 1e-5)
        amount = strength.float()[:, None, None, None]
        scale = 1 + amount * (goal_std * rstd - 1)
        shift = amount * (goal_mean - goal_std * rstd * mean)
        return scale_and_shift(x, scale, shift), distance


class Grain(nn.Module):
    """A fixed random pattern, added to a feature map as strongly as the style asks: strokes where the photo is flat.

    Convolutions that treat all places alike can draw nothing but one colour there, unless places differ (Karras et al.
    2019, section 3.2). Trained on small crops without it, networks begin such strokes at the border, which they know
    from the padding, and whole pictures get them there and nowhere else. The pattern lies still on the canvas and not on
    what moves over it, so pictures are painted without it.
    """

    def __init__(self, pattern_channels: int, channels: int, style_width: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(pattern_channels, channels, 1, bias=False)
        self.amount = nn.Linear(style_width, channels)
        nn.init.zeros_(self.amount.weight)
        nn.init.zeros_(self.amount.bias)

    def forward(self, x: Tensor, pattern: Tensor, style: Tensor) -> Tensor:
        """x (B, C, H, W), pattern (B, K, H, W), style (B, D) -> (B, C, H, W)."""
        amount = self.amount(style).to(x.dtype)[:, :, None, None]
        return torch.addcmul(x, self.mix(pattern.to(x.dtype)).to(x.dtype), amount)


class ModulatedBlock(nn.Module):
    """Residual block of two convolutions, each followed by a modulation."""

    def __init__(self, channels: int, style_width: int, normalise: bool = True) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels, channels)
        self.modulate1 = Modulation(channels, style_width, normalise)
        self.conv2 = conv3x3(channels, channels)
        self.modulate2 = Modulation(channels, style_width, normalise)
        with torch.no_grad():
            self.conv2.weight.mul_(0.5)

    def forward(self, x: Tensor, style: Tensor, statistics: InstanceStatistics) -> Tensor:
        """x (B, C, H, W), style (B, D) -> (B, C, H, W)."""
        own1 = folded(self.modulate1, self.conv1, style)
        own2 = folded(self.modulate2, self.conv2, style)
        h = self.conv1(x, own1)
        change = self.conv2.of(
            lambda out: activate_styled(h, own1, self.modulate1, style, statistics, out),
            h.shape,
            h,
            own2,
        )
        if own2 is None:
            change = self.modulate2(change, style, statistics)
        return add(x, change)


class ResidualBlock(nn.Module):
    """Plain residual block of two convolutions, used where no style is known yet."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels, channels)
        self.conv2 = conv3x3(channels, channels)
        with torch.no_grad():
            self.conv2.weight.mul_(0.3)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, C, H, W)."""
        h = self.conv1(x)
        return add(x, self.conv2.of(lambda out: activate(h, out), h.shape, h))
