"""The arithmetic of `layers`, faster, where no gradients are needed: float32 or bfloat16 on a CPU.

There, most of the time that is not spent in convolutions is spent on memory: for pages that are new to the process,
and for maps that no cache holds. Results equal those of the plain operations up to rounding.

B batch · C channels · H, W height and width of a map
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "by_bands",
    "channels_last",
    "convolve_blocks",
    "double",
    "framed",
    "halve",
    "keep_freed_memory",
    "map_colors",
    "moments",
    "possible",
    "reduced",
    "scale_and_shift",
    "unshuffled",
    "weighted_sum",
]

_BAND: Final = 512  # rows of the picture in a band
_COLUMNS: Final = 4
_LARGEST_BLOCK: Final = (32 << 20) - (128 << 10)  # bytes: just below what glibc never keeps


def possible(x: Tensor) -> bool:
    """Whether what this file holds may be used for `x`: not with gradients or in an export."""
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.bfloat16)
        and not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
    )


@cache
def keep_freed_memory() -> None:
    """Ask glibc's malloc, once, to keep for the next picture what one took; where there is none, nothing happens.

    It gives memory at the end of its heap back to the system as soon as there is more than twice the largest block that was
    freed before, and the system clears each page that it hands out anew: a tenth of the time of a picture of 512 px. A block
    of nearly 32 MiB, freed at once and never written, raises that limit to 64 MiB.
    """
    torch.empty(_LARGEST_BLOCK, dtype=torch.uint8, device="cpu")


def channels_last(x: Tensor) -> Tensor:
    """x (B, C, H, W) in channels-last memory, without a copy where it lies so.

    Of a single picture, `contiguous` keeps whatever stride its batch has, by which oneDNN takes it for another layout
    and orders it anew in each operation.
    """
    rows = x.permute(0, 2, 3, 1)
    return rows.reshape(-1).view(rows.shape).permute(0, 3, 1, 2)


def by_bands(function: Callable[..., Tensor], maps: Sequence[Tensor], margin: int) -> Tensor:
    """`function(*maps)`, where that looks at a neighbourhood only, computed in bands of rows that a cache holds.

    Args:
        function: maps of one picture at several resolutions to a map (B, C, H, W); pads at the borders of what it is
            given.
        maps: (B, *, H / k, W / k) each, k a whole number.
        margin: how far, in rows of the coarsest map, `function` looks up or down.

    Returns:
        (B, C, H, W) in channels-last memory.
    """
    height = min(x.shape[2] for x in maps)
    count = -(-max(x.shape[2] for x in maps) // _BAND)
    step = max(4 * margin, -(-height // count))
    if step >= height:
        return function(*maps)
    whole: Tensor | None = None
    for top in range(0, height, step):
        bottom = min(top + step, height)
        first, last = max(0, top - margin), min(height, bottom + margin)
        band = function(*(_rows(x, height, first, last) for x in maps))
        scale = band.shape[2] // (last - first)
        if whole is None:
            shape = (*band.shape[:2], scale * height, band.shape[3])
            whole = torch.empty(shape, dtype=band.dtype, memory_format=torch.channels_last)
        inside = _rows(band, last - first, top - first, bottom - first)
        _rows(whole, height, top, bottom).copy_(inside)
    assert whole is not None
    return whole


def _rows(x: Tensor, height: int, first: int, last: int) -> Tensor:
    """Rows `first` to `last` of a map with `height` rows, in a map of the same place that may have more rows."""
    scale = x.shape[2] // height
    return x[:, :, scale * first : scale * last]


def convolve_blocks(padded: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 3x3 convolution to few channels, of several places at once: padded (B, C, H + 2, W + 2), weight (c, C, 3, 3).

    Three channels would leave most lanes of a CPU's vectors empty; side by side, as channels of one place, those of two
    rows and eight columns fill them, which pays in spite of the zeros in the weights.

    Returns:
        (B, c, H, W); H must be even and W a multiple of 4.
    """
    down, right = 2, 8 if padded.shape[3] % 8 == 2 else 4
    count, channels = weight.shape[:2]
    wide = weight.new_zeros(down, right, count, channels, down + 2, right + 2)
    # Of place (i, j), the weights begin at row i and column j: a view that goes down and right from place to place.
    strides = wide.stride()
    diagonal = (strides[0] + strides[4], strides[1] + strides[5], *strides[2:])
    wide.as_strided((down, right, *weight.shape), diagonal).copy_(weight)
    biases = None if bias is None else bias.repeat(down * right)
    together = F.conv2d(padded, wide.flatten(0, 2), biases, (down, right))
    places = together.permute(0, 2, 3, 1).unflatten(3, (down, right, -1))
    return places.transpose(2, 3).flatten(1, 2).flatten(2, 3).permute(0, 3, 1, 2)


def framed(shape: Sequence[int], dtype: torch.dtype, fill: Callable[[Tensor], object]) -> Tensor:
    """A map (B, C, H, W) with the frame that reflection padding makes, (B, C, H + 2, W + 2) in channels-last memory.

    `fill` writes the map where it will lie, which saves the copy that padding a finished one takes.
    """
    batch, channels, height, width = shape
    x = torch.empty(
        (batch, channels, height + 2, width + 2), dtype=dtype, memory_format=torch.channels_last
    )
    fill(x[:, :, 1:-1, 1:-1])
    for axis in (2, 3):  # rows first: the corners come with the columns
        for place, source in ((0, 2), (-1, -3)):
            x.select(axis, place).copy_(x.select(axis, source))
    return x


def scale_and_shift(x: Tensor, scale: Tensor, shift: Tensor, out: Tensor | None = None) -> Tensor:
    """x (1, C, H, W) scale + shift, both (1, C, 1, 1) float32, in one pass over x of another type.

    Where types differ, other functions convert whole maps first.
    """
    zero, one = torch.zeros_like(scale.flatten()), torch.ones_like(scale.flatten())
    result = F.batch_norm(x, zero, one, scale.flatten(), shift.flatten(), eps=0.0)
    return result if out is None else out.copy_(result)


def double(x: Tensor, out: Tensor | None = None) -> Tensor:
    """Bilinear interpolation to twice the resolution, (B, C, H, W) -> (B, C, 2H, 2W), on all cores.

    `F.interpolate` divides a batch of channels-last pictures among them, not a picture.
    """
    rows = None if out is None else out.permute(0, 2, 3, 1)
    return _double(_double(x.permute(0, 2, 3, 1), 2), 1, rows).permute(0, 3, 1, 2)


def _double(x: Tensor, axis: int, out: Tensor | None = None) -> Tensor:
    """Twice as many places along an axis, each a quarter of the step from its origin to the neighbour there."""
    count = x.shape[axis]
    if out is None:
        out = x.new_empty((*x.shape[:axis], 2 * count, *x.shape[axis + 1 :]))
    left, right = out.unflatten(axis, (count, 2)).unbind(axis + 1)
    former, latter = x.narrow(axis, 0, count - 1), x.narrow(axis, 1, count - 1)
    torch.lerp(latter, former, 0.25, out=left.narrow(axis, 1, count - 1))
    torch.lerp(former, latter, 0.25, out=right.narrow(axis, 0, count - 1))
    left.select(axis, 0).copy_(x.select(axis, 0))
    right.select(axis, count - 1).copy_(x.select(axis, count - 1))
    return out


def halve(x: Tensor) -> Tensor:
    """Averages of four neighbours, (B, C, H, W) -> (B, C, H/2, W/2): `F.avg_pool2d` is slow for few channels."""
    rows = x[:, :, ::2] + x[:, :, 1::2]
    return rows[..., ::2].add(rows[..., 1::2]).mul_(0.25)


def reduced(x: Tensor) -> Tensor:
    """Half the resolution, each pixel the mean of 4 x 4 of those there are, (B, C, H, W), even -> (B, C, H/2, W/2)."""
    return _reduced(_reduced(x.permute(0, 2, 3, 1), 1), 2).permute(0, 3, 1, 2)


def _reduced(x: Tensor, axis: int) -> Tensor:
    """Half as many places along an axis, each the mean of 4, at the ends of 3."""
    count = x.shape[axis] // 2
    left, right = x.unflatten(axis, (count, 2)).unbind(axis + 1)
    total = left + right
    total.narrow(axis, 1, count - 1).add_(right.narrow(axis, 0, count - 1))
    total.narrow(axis, 0, count - 1).add_(left.narrow(axis, 1, count - 1))
    total.narrow(axis, 1, max(0, count - 2)).mul_(0.25)
    for end in {0, count - 1}:
        total.select(axis, end).div_(3 if count > 1 else 2)
    return total


def map_colors(x: Tensor, matrix: Tensor, shift: Tensor | None = None) -> Tensor:
    """matrix (c, 3) times each colour of x (B, 3, H, W), plus shift (c,); W must be a multiple of 4.

    Of several columns at once, which fill the lanes of vectors.
    """
    batch, _, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(-1, 3 * _COLUMNS)
    matrix = torch.block_diag(*[matrix] * _COLUMNS)
    mapped = (
        rows @ matrix.T if shift is None else torch.addmm(shift.repeat(_COLUMNS), rows, matrix.T)
    )
    return mapped.view(batch, height, width, -1).permute(0, 3, 1, 2)


def weighted_sum(x: Tensor, weights: Tensor) -> Tensor:
    """The sum over the channels of x (B, C, H, W) by weights (C,): (B, 1, H, W)."""
    batch, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(-1, channels)
    return (rows @ weights).view(batch, 1, height, width)


def unshuffled(x: Tensor, out: Tensor) -> None:
    """2 x 2 pixels as channels of one, x (B, C, H, W) -> out (B, 4 C, H/2, W/2): channel 2 C i + C j + c is pixel (i, j) of c.

    So pixels that lie side by side in memory stay so; `F.pixel_unshuffle` has another order.
    """
    rows = x.permute(0, 2, 3, 1).unflatten(2, (-1, 2)).flatten(3)  # (B, H, W/2, 2 C)
    for half, place in zip(out.permute(0, 2, 3, 1).chunk(2, dim=3), (0, 1), strict=True):
        half.copy_(rows[:, place::2])


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance over space of one picture, (1, C, H, W) -> two (1, C, 1, 1), without a copy of it.

    Those of each column first: sums over a column alone lose little to rounding.
    """
    _, channels, height, width = x.shape
    columns = x.float().permute(0, 2, 3, 1).reshape(1, height, width * channels, 1).transpose(1, 2)
    means, variances = torch.batch_norm_update_stats(columns, None, None, 0.0)  # (W * C,)
    means, variances = means.view(width, channels), variances.view(width, channels)
    mean = means.mean(0)
    variance = variances.mean(0) + (means - mean).square().mean(0)
    return mean[None, :, None, None], variance[None, :, None, None]
