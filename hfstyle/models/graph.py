"""The arithmetic of `layers` as few operators of ONNX, while the networks are exported.

Left to itself, the exporter writes each step of a formula as an operator, and an operator passes once over its map:
a graph's time beside its convolutions is the number of such passes. Results equal those of the plain operations up to rounding.

B batch (1) · C channels · H, W height and width of a map
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "convolve_beside",
    "convolve_pixels",
    "convolve_together",
    "convolve_unshuffled",
    "lerp",
    "making",
    "map_colors",
    "moments",
    "moved",
    "normalised",
    "pooled",
    "scale_and_shift",
    "wanted",
    "weighted_sum",
]

_REACH: Final = 5  # px that `moved` adds on each side: more than any offset, so that no end is 0
_PIXELS: Final = 4  # side of the squares that `convolve_pixels` takes as one place
_ALIGNED: Final = 4  # onnxruntime has fast convolutions for channels in multiples of this


_making: ContextVar[bool] = ContextVar("making", default=False)


def wanted() -> bool:
    """Whether a graph of ONNX is being made: torch's own exported programs have no such operators."""
    return _making.get() and torch.compiler.is_exporting()


@contextmanager
def making() -> Iterator[None]:
    """In the block, exports are for ONNX; what other threads do is not."""
    token = _making.set(True)
    try:
        yield
    finally:
        _making.reset(token)


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance over space: (B, C, H, W) -> two (B, C, 1, 1)."""
    mean = x.mean((2, 3), keepdim=True)
    apart = x - mean
    return mean, (apart * apart).mean((2, 3), keepdim=True)


def normalised(x: Tensor, scale: Tensor, shift: Tensor, eps: float) -> Tensor:
    """Instance normalisation, then x scale + shift: (1, C, H, W), both (1, C, 1, 1) -> (1, C, H, W)."""
    inputs = (x, scale.reshape(-1), shift.reshape(-1))
    return _operator("InstanceNormalization", inputs, x.shape, epsilon=eps)


def scale_and_shift(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """x (1, C, H, W) scale + shift, both (1, C, 1, 1), in one pass."""
    channels = x.shape[1]
    scale, shift = (each.reshape(-1).expand(channels) for each in (scale, shift))
    zero, one = x.new_zeros(channels), x.new_ones(channels)
    return _operator("BatchNormalization", (x, scale, shift, zero, one), x.shape, epsilon=0.0)


def lerp(start: Tensor, end: Tensor, amount: Tensor) -> Tensor:
    """As `torch.lerp`, which takes one of two formulas at each place."""
    return start + amount * (end - start)


def weighted_sum(x: Tensor, weights: Tensor) -> Tensor:
    """Of channels: x (1, C, H, W), weights (1, C) -> (1, 1, H, W)."""
    return (weights @ x.flatten(2)).unflatten(2, x.shape[2:])


def map_colors(x: Tensor, matrix: Tensor, shift: Tensor | None = None) -> Tensor:
    """matrix (1, c, C) times each colour of x (1, C, H, W), plus shift (1, c, 1) -> (1, c, H, W)."""
    return F.conv2d(x, matrix[0, :, :, None, None], None if shift is None else shift[0, :, 0])


def moved(x: Tensor, offsets: Tensor, mode: str) -> Tensor:
    """y(i) = x(i + offset), each of the offsets (1, 2) from -4 to 4; beyond the ends "reflect" or "replicate"."""
    padded = F.pad(x, (_REACH,) * 4, mode=mode)
    starts = offsets.reshape(-1) + _REACH
    ends = offsets.reshape(-1) - _REACH  # from the ends
    axes = torch.tensor([2, 3])
    return _operator("Slice", (padded, starts, ends, axes), x.shape)


def convolve_unshuffled(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 3x3 convolution, reflection-padded, of 2 x 2 pixels as channels of one: (B, C, H, W) -> (B, c, H/2, W/2).

    As one of 6 x 6 pixels, which need not be brought together first. weight: (c, 4 C, 3, 3), channel 4 k + 2 i + j for pixel
    (i, j) of channel k.
    """
    for axis in (2, 3):
        length = x.shape[axis]
        x = torch.cat((x.narrow(axis, 2, 2), x, x.narrow(axis, length - 4, 2)), dim=axis)
    kernel = weight.unflatten(1, (-1, 2, 2)).permute(0, 1, 4, 2, 5, 3)  # (c, C, 3, i, 3, j)
    return F.conv2d(x, kernel.flatten(4, 5).flatten(2, 3), bias, 2)


def convolve_pixels(padded: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 3x3 convolution to one channel, of 4 x 4 places at once: padded (B, C, H + 2, W + 2) -> (B, 1, H, W).

    One channel would leave most lanes of a processor's vectors empty. weight: (1, C, 3, 3); H, W multiples of 4.
    """
    last = _PIXELS - 1
    shifted = [
        F.pad(weight, (column, last - column, row, last - row))
        for row in range(_PIXELS)
        for column in range(_PIXELS)
    ]
    biases = None if bias is None else bias.expand(_PIXELS**2)
    return F.pixel_shuffle(F.conv2d(padded, torch.cat(shifted), biases, _PIXELS), _PIXELS)


def convolve_beside(padded: Tensor, layers: Sequence[torch.nn.Conv2d]) -> tuple[Tensor, ...]:
    """What several 3x3 convolutions make of one map (B, C, H + 2, W + 2), in one: each (B, its channels, H, W)."""
    counts = [layer.out_channels for layer in layers]
    weight = torch.cat([layer.weight for layer in layers])
    biases = [layer.bias for layer in layers if layer.bias is not None]
    rest = -sum(counts) % _ALIGNED
    weight = F.pad(weight, (0, 0, 0, 0, 0, 0, 0, rest))
    found = F.conv2d(padded, weight, F.pad(torch.cat(biases), (0, rest)))
    return found.split((*counts, rest), dim=1)[: len(counts)]


def convolve_together(maps: Sequence[Tensor], weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 3x3 convolution, reflection-padded, of several maps (B, *, H, W), some of whose channels it gets twice, times 0."""
    rest = -weight.shape[1] % _ALIGNED
    together = torch.cat((*maps, maps[0][:, :rest]), dim=1)
    weight = F.pad(weight, (0, 0, 0, 0, 0, rest))
    return F.conv2d(F.pad(together, (1, 1, 1, 1), mode="reflect"), weight, bias)


def pooled(x: Tensor, sides: Sequence[int]) -> Tensor:
    """Adaptive average pooling to these sides, (B, C, H, W) -> (B, C, *sides), as two products with matrices.

    ONNX has no such operator, and torch's exporter writes one that is right for the size of its example only.
    """
    rows, columns = (_averages(x, axis, side) for axis, side in zip((2, 3), sides, strict=True))
    return rows @ x @ columns.transpose(0, 1)


def _operator(name: str, inputs: Sequence[Tensor], shape: Any, **attributes: Any) -> Tensor:
    """One operator of ONNX, whose result has the type of the first input."""
    from torch.onnx.ops import symbolic  # takes time, and is wanted here only

    return symbolic(name, inputs, attributes, dtype=inputs[0].dtype, shape=shape)


def _averages(x: Tensor, axis: int, side: int) -> Tensor:
    """(side, length of the axis): row i averages over pixels floor(i L / side) to ceil((i + 1) L / side) - 1."""
    length = x.shape[axis]
    steps = torch.arange(side, device=x.device)
    first = (steps * length) // side
    stop = ((steps + 1) * length + side - 1) // side
    place = torch.arange(length, device=x.device)
    inside = (place >= first[:, None]) & (place < stop[:, None])  # (side, L)
    weights = inside.to(x.dtype)
    return weights / weights.sum(1, keepdim=True)
