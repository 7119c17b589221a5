"""Resolution: doubled, halved, padded, and maps computed in bands of rows. Each with a faster way where there are no gradients.

B batch · C channels · H, W height and width
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hfstyle.models import fast, graph

__all__ = ["double", "halve", "in_bands", "in_own_type", "placed", "reduced", "reflected"]


def in_own_type(function: Callable[..., Tensor], x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Call `function(x, ...)` without autocast, which on a CPU sends padding and interpolation through float32.

    The detour and the copies it makes cost a fifth of a bfloat16 training step there.
    """
    if not torch.is_autocast_enabled(x.device.type):
        return function(x, *args, **kwargs)
    with torch.autocast(x.device.type, enabled=False):
        return function(x, *args, **kwargs)


def reflected(x: Tensor) -> Tensor:
    """x with the frame that a 3x3 convolution wants: (B, C, H, W) -> (B, C, H + 2, W + 2)."""
    return in_own_type(F.pad, x, (1, 1, 1, 1), mode="reflect")


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


def reduced(picture: Tensor) -> Tensor:
    """Half the resolution, each pixel the mean of 4 x 4: without aliases, which a move of the photo would make flicker."""
    if fast.possible(picture):
        return fast.reduced(picture)
    return F.avg_pool2d(picture, 4, stride=2, padding=1, count_include_pad=False)


def placed(amount: Tensor, x: Tensor) -> Tensor:
    """A number for each place, (B, 1, h, w), at the resolution of x (B, C, H, W); (B, 1, 1, 1) as it is."""
    size = x.shape[2:]
    if amount.shape[2:] in ((1, 1), size):
        return amount
    if graph.wanted() and amount.shape[2] > size[0]:
        return F.avg_pool2d(amount, int(amount.shape[2] // size[0]))
    for times in (4, 2):
        if fast.possible(amount) and list(amount.shape[2:]) == [times * side for side in size]:
            amount = fast.halve(amount)
    if amount.shape[2:] == size:
        return amount
    if amount.shape[2] > size[0]:
        return F.adaptive_avg_pool2d(amount, (size[0], size[1]))
    return in_own_type(F.interpolate, amount, (size[0], size[1]), mode="bilinear")


def in_bands(function: Callable[..., Tensor], maps: Sequence[Tensor], margin: int) -> Tensor:
    """`function(*maps)`, in bands of rows where that is faster; arguments as of `fast.by_bands`."""
    return fast.by_bands(function, maps, margin) if fast.possible(maps[0]) else function(*maps)
