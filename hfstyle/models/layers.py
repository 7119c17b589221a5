"""Parts shared by the networks: reflection-padded convolutions, instance statistics, modulation, token attention.

B batch · C channels · H, W height and width · T style tokens · E token width · D style width
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "ColorModulation",
    "InstanceStatistics",
    "ModulatedBlock",
    "Modulation",
    "ResidualBlock",
    "TokenAttention",
    "activate",
    "conv3x3",
    "double",
    "moments",
    "standardise",
]

# Centre and spread of photographs in [0, 1], all channels alike, so that grey stays grey.
_IMAGE_MEAN, _IMAGE_STD = 0.45, 0.25

# Lightness, red against blue, green against both: orthonormal, and nearly uncorrelated in photographs.
_OPPONENT = (
    (3**-0.5, 3**-0.5, 3**-0.5),
    (2**-0.5, 0.0, -(2**-0.5)),
    (6**-0.5, -2 * 6**-0.5, 6**-0.5),
)
_FAINTEST_COLOR = (
    0.1  # deviation, in those of `standardise`, below which a channel is not amplified further
)


def standardise(image: Tensor) -> Tensor:
    """Map (B, 3, H, W) in [0, 1] to about zero mean and unit deviation. The networks own this step."""
    return (image - _IMAGE_MEAN) / _IMAGE_STD


def activate(x: Tensor) -> Tensor:
    """The one non-linearity of all networks: leaky ReLU, slope 0.2 (cheap on a CPU, no dead channels)."""
    return F.leaky_relu(x, 0.2, inplace=not torch.is_grad_enabled())  # x is always fresh


class _ReflectConv2d(nn.Conv2d):
    """A 3x3 convolution with reflection padding that stays in the compute type under autocast."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__(in_channels, out_channels, 3, stride)

    def forward(self, input: Tensor) -> Tensor:
        padded = in_own_type(F.pad, input, (1, 1, 1, 1), mode="reflect")
        return F.conv2d(padded, self.weight, self.bias, self.stride)


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution with reflection padding: no dark or bright frame at the picture's border."""
    layer = _ReflectConv2d(in_channels, out_channels, stride)
    nn.init.kaiming_normal_(layer.weight, a=0.2, nonlinearity="leaky_relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def double(x: Tensor) -> Tensor:
    """Twice the resolution by bilinear interpolation: (B, C, H, W) -> (B, C, 2H, 2W).

    Not by pixel shuffle: with sub-pixels of their own, short runs learn a lattice of the shuffle's period in flat
    areas (seen here, in spite of an ICNR initialisation), and the same place would be painted differently after a
    shift of the picture by a pixel.
    """
    return in_own_type(F.interpolate, x, scale_factor=2, mode="bilinear", align_corners=False)


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

    def forward(self, x: Tensor, style: Tensor, statistics: InstanceStatistics) -> Tensor:
        """x (B, C, H, W), style (B, D) -> (B, C, H, W)."""
        scale, shift = (
            self.affine(style).float()[:, :, None, None].chunk(2, dim=1)
        )  # (B, C, 1, 1) each
        scale = 1 + scale
        if self.normalise:
            mean, rstd = statistics.of(x)
            scale = scale * rstd
            shift = shift - mean * scale
        return torch.addcmul(shift.to(x.dtype), x, scale.to(x.dtype))  # in one pass over x


class ColorModulation(nn.Module):
    """The picture in the style's colours: an affine map of its normalised opponent colours that the style chooses.

    Global colour transfer (Reinhard et al. 2001, eq. 10-11, the second moments matched by a full matrix as in Pitie &
    Kokaram 2007), its target learned. It carries the palette in one step, exactly shift-invariant and at full
    resolution, and leaves strokes to the convolutions. Starts at zero.
    """

    def __init__(self, style_width: int) -> None:
        super().__init__()
        self.affine = nn.Linear(style_width, 12)
        nn.init.zeros_(self.affine.weight)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, style: Tensor, statistics: InstanceStatistics) -> Tensor:
        """x (B, 3, H, W) standardised, style (B, D) -> (B, 3, H, W) float32."""
        opponent = torch.tensor(_OPPONENT, device=x.device)  # (3, 3)
        # Products of (B, HW, 3): views of the channels-last layout, in which the result is, too.
        rows = x.float().permute(0, 2, 3, 1).flatten(1, 2)
        colors = in_own_type(torch.matmul, rows, opponent.mT)
        size = x.shape[2:]
        mean, rstd = statistics.of(colors.unflatten(1, size).permute(0, 3, 1, 2))
        gain = (rstd / (1 + _FAINTEST_COLOR * rstd))[:, None, :, 0, 0]  # (B, 1, 3)
        affine = self.affine(style).float().unflatten(1, (3, 4))  # (B, 3, 4)
        matrix = affine[:, :, :3] * gain  # (B, 3, 3), of opponent colours
        shift = affine[:, :, 3:] - in_own_type(torch.matmul, matrix, mean[:, :, 0])  # (B, 3, 1)
        matrix = in_own_type(torch.matmul, matrix, opponent)  # (B, 3, 3), of x
        mapped = in_own_type(torch.matmul, rows, matrix.mT) + shift.mT  # (B, HW, 3)
        return mapped.unflatten(1, size).permute(0, 3, 1, 2)


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
        h = activate(self.modulate1(self.conv1(x), style, statistics))
        return x + self.modulate2(self.conv2(h), style, statistics)


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
        return x + self.conv2(activate(self.conv1(x)))


class TokenAttention(nn.Module):
    """Every position of the content asks the style tokens which of them it should look like; cost linear in pixels.

    Multi-head cross-attention (Vaswani et al. 2017, eq. 1; for style transfer: SANet, Park & Lee 2019). Queries come
    from instance-normalised content features, so that the match is by structure and not by colour.
    """

    def __init__(self, channels: int, token_width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Conv2d(channels, token_width, 1)
        self.key = nn.Linear(token_width, token_width)
        self.value = nn.Linear(token_width, token_width)
        self.out = nn.Conv2d(token_width, channels, 1)

    def weights(self, x: Tensor, tokens: Tensor, statistics: InstanceStatistics) -> Tensor:
        """Attention weights (B, heads, H * W, T), rows summing to 1."""
        mean, rstd = statistics.of(x)
        q = self.query(((x - mean) * rstd).to(x.dtype)).flatten(2)  # (B, E, HW)
        q = q.unflatten(1, (self.heads, -1)).transpose(2, 3)  # (B, heads, HW, E/heads)
        k = (
            self.key(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)
        )  # (B, heads, T, E/heads)
        return torch.softmax(q @ k.transpose(2, 3).to(q.dtype) * q.shape[-1] ** -0.5, dim=-1)

    def forward(self, x: Tensor, tokens: Tensor, statistics: InstanceStatistics) -> Tensor:
        """x (B, C, H, W), tokens (B, T, E) -> (B, C, H, W)."""
        weights = self.weights(x, tokens, statistics)
        v = (
            self.value(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)
        )  # (B, heads, T, E/heads)
        h = (weights @ v.to(weights.dtype)).transpose(2, 3).flatten(1, 2)  # (B, E, HW)
        return x + self.out(h.unflatten(2, x.shape[2:]))
