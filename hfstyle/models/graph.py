"""The arithmetic of `layers` as few operators of ONNX, while the networks are exported.

Left to itself, the exporter writes each step of a formula as an operator, and an operator passes once over its map:
a graph's time beside its convolutions is the number of such passes. Results equal those of the plain operations up to rounding.

B batch (1) · C channels · H, W height and width of a map
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "activate",
    "clipped",
    "convolve_beside",
    "convolve_halved",
    "convolve_inside",
    "convolve_places",
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
    "with_frame",
]

_LANES: Final = 16  # of a processor's vectors
_ALIGNED: Final = 4  # onnxruntime has fast convolutions for channels in multiples of this


_making: ContextVar[bool] = ContextVar("making", default=False)


def wanted() -> bool:
    """Whether a graph of ONNX is being made: torch's own exported programs have no such operators."""
    return torch.compiler.is_exporting() and _making.get()  # in this order it can be compiled


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
    """x (1, C, H, W) scale + shift, both (1, C, 1, 1): a convolution, with which an activation or a sum after it is one pass."""
    channels = x.shape[1]
    scale, shift = (each.reshape(-1).expand(channels) for each in (scale, shift))
    return F.conv2d(x, scale.reshape(-1, 1, 1, 1), shift, groups=channels)


def lerp(start: Tensor, end: Tensor, amount: Tensor) -> Tensor:
    """As `torch.lerp`, which takes one of two formulas at each place."""
    return start + amount * (end - start)


def clipped(x: Tensor) -> Tensor:
    """x between 0 and 1, in one pass."""
    ends = (torch.tensor(end, dtype=x.dtype) for end in (0.0, 1.0))
    return _operator("Clip", (x, *ends), x.shape)


def weighted_sum(x: Tensor, weights: Tensor) -> Tensor:
    """Of channels: x (1, C, H, W), weights (1, C) -> (1, 1, H, W)."""
    return (weights @ x.flatten(2)).unflatten(2, x.shape[2:])


def map_colors(x: Tensor, matrix: Tensor, shift: Tensor | None = None) -> Tensor:
    """matrix (1, c, C) times each colour of x (1, C, H, W), plus shift (1, c, 1) -> (1, c, H, W)."""
    return F.conv2d(x, matrix[0, :, :, None, None], None if shift is None else shift[0, :, 0])


def moved(x: Tensor, offsets: Tensor, mode: str) -> Tensor:
    """y(i) = x(i + offset), each of the offsets (1, 2) from -4 to 4; beyond the ends "reflect" or "edge".

    As padding by the offset at one end, and by as much less than nothing at the other.
    """
    offsets = offsets.reshape(-1)
    none = torch.zeros_like(offsets)
    return _operator("Pad", (x, torch.cat((none, -offsets, none, offsets))), x.shape, mode=mode)


def convolve_halved(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 3x3 convolution, reflection-padded, of 2 x 2 pixels as channels of one: (B, C, H, W) -> (B, c, H/2, W/2).

    weight: (c, 4 C, 3, 3), as for `F.pixel_unshuffle`.
    """
    for axis in (2, 3):
        length = x.shape[axis]
        x = torch.cat((x.narrow(axis, 2, 2), x, x.narrow(axis, length - 4, 2)), dim=axis)
    return convolve_unshuffled(x, weight, bias, 2)


def convolve_unshuffled(
    x: Tensor, weight: Tensor, bias: Tensor | None, side: int, padding: int = 0
) -> Tensor:
    """A 3x3 convolution of side x side pixels as channels of one, as one of 3 side x 3 side pixels.

    These need not be brought together first. weight: (c, C side^2, 3, 3), channel side^2 k + side i + j for pixel (i, j) of
    channel k. padding: with zeros, in px.
    """
    kernel = weight.unflatten(1, (-1, side, side)).permute(0, 1, 4, 2, 5, 3)  # (c, C, 3, i, 3, j)
    return F.conv2d(x, kernel.flatten(4, 5).flatten(2, 3), bias, side, padding)


def convolve_places(
    x: Tensor, weight: Tensor, bias: Tensor | None, side: int, padding: int = 0
) -> Tensor:
    """A 3x3 convolution to few channels, of side x side places at once: x (B, C, H + 2, W + 2) -> (B, c, H, W).

    Few channels would leave most lanes of a processor's vectors empty. weight: (c, C or less, 3, 3), for the first channels
    of x; H, W multiples of `side`. padding: with zeros, in px; with 1, x is of the result's size.
    """
    last = side - 1
    weight = F.pad(weight, (0, 0, 0, 0, 0, x.shape[1] - weight.shape[1]))
    shifted = [
        F.pad(weight, (column, last - column, row, last - row))
        for row in range(side)
        for column in range(side)
    ]
    together = torch.stack(shifted, dim=1).flatten(0, 1)  # (c side^2, C, side + 2, side + 2)
    biases = None if bias is None else bias.repeat_interleave(side**2)
    return F.pixel_shuffle(F.conv2d(x, together, biases, side, padding), side)


def convolve_beside(padded: Tensor, layers: Sequence[torch.nn.Conv2d]) -> tuple[Tensor, ...]:
    """What several 3x3 convolutions to few channels make of one map (B, C, H + 2, W + 2), in one: each (B, its channels, H, W)."""
    weight = torch.cat([layer.weight for layer in layers])
    bias = torch.cat([layer.bias for layer in layers if layer.bias is not None])
    found = convolve_places(padded, weight, bias, 2)
    return found.split([layer.out_channels for layer in layers], dim=1)


def convolve_together(maps: Sequence[Tensor], weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 3x3 convolution, reflection-padded, of several maps (B, *, H, W), some of whose channels it gets twice, times 0."""
    rest = -weight.shape[1] % _ALIGNED
    together = torch.cat((*maps, maps[0][:, :rest]), dim=1)
    weight = F.pad(weight, (0, 0, 0, 0, 0, rest))
    return F.conv2d(F.pad(together, (1, 1, 1, 1), mode="reflect"), weight, bias)


def with_frame(
    x: Tensor,
    inside: Callable[[Tensor], Tensor],
    whole: Callable[[Tensor], Tensor],
    reach: int,
) -> Tensor:
    """`whole(x)`, as `inside(x)` with what lies near its borders taken from `whole`: x (1, C, H, W) -> (1, c, k H, k W).

    Reflection padding is a copy of a map, and one to another layout and back; padding with zeros is none.

    Args:
        inside: as `whole`, but wrong within `reach` of the borders.
        whole: looks no farther than `reach`.
        reach: in places of x.
    """
    y = inside(x)
    for axis in (2, 3):
        length = x.shape[axis]
        ends = (x.narrow(axis, 0, 2 * reach), x.narrow(axis, length - 2 * reach, 2 * reach))
        found = whole(torch.cat(ends, axis))  # wrong where the two meet
        count = found.shape[axis] // 4
        kept = (found.narrow(axis, 0, count), found.narrow(axis, 3 * count, count))
        frame = torch.cat(kept, axis)
        steps = torch.arange(-count, count)
        places = torch.cat((steps[count:], steps[:count]))  # from the beginning, and from the end
        places = places[:, None] if axis == 2 else places[None]
        y = _operator("ScatterElements", (y, places.expand(frame.shape), frame), y.shape, axis=axis)
    return y


def convolve_inside(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 3x3 convolution, padded with zeros: (B, C, H, W) -> (B, c, H, W), and channels of zeros, that c is a multiple of 16."""
    rest = -len(weight) % _LANES
    weight = F.pad(weight, (0, 0, 0, 0, 0, 0, 0, rest))
    return F.conv2d(x, weight, None if bias is None else F.pad(bias, (0, rest)), padding=1)


def activate(x: Tensor, slope: float) -> Tensor:
    """Leaky ReLU after a convolution that changes nothing: so, onnxruntime need not bring x into another layout."""
    one = x.new_ones(x.shape[1], 1, 1, 1)
    return F.leaky_relu(F.conv2d(x, one, groups=x.shape[1]), slope)


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
