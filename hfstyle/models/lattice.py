"""Flat areas of the coarse level without the lattice of dots that its blocks at 1/4 of the resolution draw there.

B batch · C channels · H, W height and width
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from hfstyle.models.color import luminance
from hfstyle.models.detail import around
from hfstyle.models.resample import in_own_type

__all__ = ["without_lattice"]

# Deviation of the lightness around a place, of values in [0, 1], at which half of the filter acts.
_FLAT: Final = 0.008
# What the filter takes away along a line: the fourth difference / 16 (Shapiro 1970, "Smoothing, filtering, and boundary
# effects"). Nothing is left of a period of 2 cells, 44 % of one of 3, 75 % of one of 4 and 98 % of one of 8.
_KEPT: Final = (-1 / 16, 4 / 16, 10 / 16, 4 / 16, -1 / 16)


def without_lattice(h: Tensor, seen: Tensor) -> Tensor:
    """Features without what is finer than three cells, where the picture is flat; elsewhere as they are.

    h + (f(h) - h) 0.008^2 / (v + 0.008^2), f the filter along rows and columns and v the variance of the lightness around
    a place: strokes pass, dots one and a half to two cells apart do not.

    Args:
        h: (B, C, H/4, W/4), that leave the last blocks.
        seen: (B, 3, H, W) in [0, 1], what the level sees of the picture.
    """
    _, variance = around(luminance(seen).float())
    flat = (_FLAT**2 / (variance + _FLAT**2)).to(h.dtype)  # (B, 1, H/4, W/4)
    kept = torch.tensor(_KEPT, device=h.device)
    change = kept[:, None] * kept
    change[2, 2] -= 1
    kernel = change.to(h.dtype).expand(h.shape[1], 1, 5, 5)
    padded = in_own_type(F.pad, h, (2, 2, 2, 2), mode="reflect")
    return torch.addcmul(h, F.conv2d(padded, kernel, groups=h.shape[1]), flat)
