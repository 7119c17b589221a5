"""Layers of the networks: reflection-padded convolutions, blocks that a style modulates, attention to its tokens.

B batch · C channels · H, W height and width · D style width · T style tokens · E token width
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hfstyle.models import fast, graph
from hfstyle.models.resample import reflected
from hfstyle.models.statistics import STATISTICS_EPS, InstanceStatistics, scale_and_shift

__all__ = [
    "LEAK",
    "ModulatedBlock",
    "Modulation",
    "ResidualBlock",
    "TokenAttention",
    "activate",
    "add",
    "conv3x3",
]

LEAK = 0.2
"""Slope of the one non-linearity of all networks below 0."""


def activate(x: Tensor, out: Tensor | None = None) -> Tensor:
    """The one non-linearity of all networks: leaky ReLU (cheap on a CPU, no dead channels).

    Without gradients in place, or in `out`; x is always fresh.
    """
    if out is not None:
        return torch.ops.aten.leaky_relu.out(x, LEAK, out=out)
    return F.leaky_relu(x, LEAK, inplace=not torch.is_grad_enabled())


def add(x: Tensor, change: Tensor) -> Tensor:
    """x + change; `change` is fresh, and its memory is used again where that is allowed."""
    return change.add_(x) if fast.possible(change) else x + change


_Weights: TypeAlias = tuple[Tensor, Tensor]
"""Weight and bias of a convolution."""


class ReflectConv2d(nn.Conv2d):
    """A 3x3 convolution with reflection padding that stays in the compute type under autocast."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__(in_channels, out_channels, 3, stride)
        fast.keep_freed_memory()

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
        height, width = padded.shape[2:]
        if self.out_channels <= 3 and fast.possible(padded) and height % 2 == 0 and width % 4 == 2:
            return fast.convolve_blocks(padded, weight, bias)
        if self.out_channels == 1 and graph.wanted():
            return graph.convolve_places(padded, weight, bias, 4)
        return F.conv2d(padded, weight, bias, self.stride)


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> ReflectConv2d:
    """A 3x3 convolution with reflection padding: no dark or bright frame at the picture's border."""
    layer = ReflectConv2d(in_channels, out_channels, stride)
    nn.init.kaiming_normal_(layer.weight, a=0.2, nonlinearity="leaky_relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


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
        name: str,
        *,
        out: Tensor | None = None,
    ) -> Tensor:
        """x (B, C, H, W), which has that name among the statistics, style (B, D) -> (B, C, H, W), in `out` if that is given."""
        scale, shift = self._affine(style)
        if self.normalise and graph.wanted():
            return graph.normalised(x, scale, shift, STATISTICS_EPS)
        if self.normalise:
            mean, rstd = statistics.of(name, x)
            scale = scale * rstd
            shift = shift - mean * scale
        if not statistics.several:
            return scale_and_shift(x, scale, shift, out)
        blended = statistics.blend(scale_and_shift(x, scale, shift))
        return blended if out is None else out.copy_(blended)

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

    def activated(
        self,
        x: Tensor,
        own: _Weights | None,
        style: Tensor,
        statistics: InstanceStatistics,
        name: str,
        out: Tensor | None,
    ) -> Tensor:
        """Activation of x modulated, in `out` if that is given; of x itself where this was folded into weights `own`."""
        if own is not None:
            return activate(x, out)
        return activate(self(x, style, statistics, name, out=out))


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
        """x (B, C, H, W), style (B, D) -> (B, C, H, W); statistics "1" and "2"."""
        own1 = self.modulate1.folded(self.conv1, style)
        own2 = self.modulate2.folded(self.conv2, style)
        h = self.conv1(x, own1)
        change = self.conv2.of(
            lambda out: self.modulate1.activated(h, own1, style, statistics, "1", out),
            h.shape,
            h,
            own2,
        )
        if own2 is None:
            change = self.modulate2(change, style, statistics, "2")
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
        """Attention weights (B, heads, H * W, T), rows summing to 1; statistics "attend"."""
        q, k = self._queries(x, statistics), self._split(self.key(tokens))
        return torch.softmax(q @ k.transpose(2, 3).to(q.dtype) * q.shape[-1] ** -0.5, dim=-1)

    def forward(self, x: Tensor, tokens: Tensor, statistics: InstanceStatistics) -> Tensor:
        """x (B, C, H, W), tokens (B, T, E) -> (B, C, H, W); statistics "attend"."""
        v = self._split(self.value(tokens))
        if fast.possible(x):  # without the weights in memory
            q, k = self._queries(x, statistics), self._split(self.key(tokens))
            h = F.scaled_dot_product_attention(q, k, v)  # (B, heads, HW, E/heads)
        else:
            weights = self.weights(x, tokens, statistics)
            h = weights @ v.to(weights.dtype)
        h = h.transpose(2, 3).flatten(1, 2)  # (B, E, HW)
        return add(x, statistics.blend(self.out(h.unflatten(2, x.shape[2:]))))

    def _queries(self, x: Tensor, statistics: InstanceStatistics) -> Tensor:
        """(B, C, H, W) -> (B, heads, HW, E/heads)."""
        if graph.wanted():
            one = x.new_ones(x.shape[1])
            x = graph.normalised(x, one, torch.zeros_like(one), STATISTICS_EPS)
        else:
            mean, rstd = statistics.of("attend", x)
            x = scale_and_shift(x, rstd, -mean * rstd)
        q = self.query(x).flatten(2)  # (B, E, HW)
        return q.unflatten(1, (self.heads, -1)).transpose(2, 3)

    def _split(self, tokens: Tensor) -> Tensor:
        """(B, T, E) -> (B, heads, T, E/heads)."""
        return tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)
