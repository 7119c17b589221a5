"""Internal to `hfstyle.pipeline`: pictures with transparency, whose invisible pixels have colours that nobody meant.

Programs leave anything under alpha 0: black, white, or what was cut away. The network measures the whole picture, so it
gets the mean of what is seen there instead; the palette of the photo is that of what is seen.

H, W size of the picture
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hfstyle.images.arrays import as_float
from hfstyle.images.pixel_file import PixelFile, Pixels
from hfstyle.images.pixels import strip_bounds

__all__ = ["fill_hidden", "without_hidden"]

_UNSEEN = 0.5 / 255  # of alpha: what 8 bits write as 0
_NOTHING_SEEN = 0.5  # grey


def without_hidden(rgb: Tensor, alpha: Tensor) -> Tensor:
    """The colours of a picture, those that are not seen replaced by the mean of the others, weighted by alpha.

    Args:
        rgb: (3, H, W) uint8, or float32 in [0, 1].
        alpha: (1, H, W), likewise.

    Returns:
        (3, H, W) of the same type: a copy, or `rgb` itself if all is seen.
    """
    hidden = as_float(alpha) < _UNSEEN
    if not bool(hidden.any()):
        return rgb
    return torch.where(hidden, _seen_mean(rgb, alpha), rgb)


def fill_hidden(rgb: PixelFile, alpha: PixelFile) -> None:
    """The same of pixels in files, (1, 3, H, W) and (1, 1, H, W), in their place."""
    mean = _seen_mean(rgb, alpha)
    for top, bottom in strip_bounds(*rgb.shape[2:]):
        hidden = as_float(alpha[..., top:bottom, :][0]) < _UNSEEN
        if bool(hidden.any()):
            filled = torch.where(hidden, mean, rgb[..., top:bottom, :][0])
            rgb.write(top, 0, np.ascontiguousarray(filled.permute(1, 2, 0).numpy()))


def _seen_mean(rgb: Pixels, alpha: Pixels) -> Tensor:
    """(3, 1, 1) of the type of `rgb`."""
    total, mass = torch.zeros(3, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for top, bottom in strip_bounds(*rgb.shape[-2:]):
        opacity = as_float(alpha[..., top:bottom, :]).double().reshape(-1)
        opacity = torch.where(opacity < _UNSEEN, 0.0, opacity)
        colors = as_float(rgb[..., top:bottom, :]).double().reshape(3, -1)
        total, mass = total + colors @ opacity, mass + opacity.sum()
    mean = total / mass if mass > 0 else torch.full_like(total, _NOTHING_SEEN)
    levels = mean.mul(255).round() if rgb.dtype == torch.uint8 else mean
    return levels.to(rgb.dtype)[:, None, None]
