"""Internal to `hfstyle.regions`: what a picture says as a mask, in the ways in which programs write masks.

H, W size of the mask
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hfstyle.images.arrays import as_float
from hfstyle.images.decode import ImageError
from hfstyle.images.load import ImageInput, Picture, load_image
from hfstyle.models.color import LUMA

__all__ = ["read_mask"]

_DEPTHS: Final = (65535, 32767)  # white of whole numbers of 16 bits, without and with a sign
_SENSORS: Final = (1023, 4095, 16383)  # white of 10, 12 and 14 bits, stored in 16
_LABELS: Final = 15  # of 255: what is no brighter is rather a map of numbered parts
_SLACK: Final = 5e-6  # of a whole number as float32; 1/32767 and 2/65535 differ by more
_NEAR: Final = 0.05  # to black or white
_MOSTLY: Final = 0.9
_TRANSPARENT: Final = 0.5
_COLORED: Final = 8 / 255


def read_mask(source: ImageInput | Picture, name: str) -> Tensor:
    """(H, W) float32 in [0, 1], 1 inside.

    Inside is what is white, by luminance. Where there is transparency, what is opaque is inside, unless the opaque part is
    itself black and white. Whole numbers that are but 0 and 1 say outside and inside; those of 16 or 32 bits up to 255 are
    taken as if they had 8 bits, those of 16 bits up to 1023, 4095 or 16383 as if they had 10, 12 or 14. Of black and one other colour that is not grey, the other one is inside.

    Args:
        source: a picture of any kind; an array or tensor may be bool, and a tensor (H, W).
        name: for errors.

    Raises:
        ImageError: not a picture, or whole numbers up to less than 16 of 255: a map of numbered parts.
    """
    picture = load_image(_as_picture(source), keep_alpha=True, name=name, compact=True)
    rgb = as_float(picture.rgb)
    luminance = torch.einsum("chw,c->hw", rgb, torch.tensor(LUMA, dtype=rgb.dtype)).clamp_(0, 1)
    whole = not _floats(source)
    alpha = torch.ones(()) if picture.alpha is None else as_float(picture.alpha)[0]
    alpha = _of_ones(alpha) if whole else alpha
    if bool((alpha < 1).any()):
        luminance = _of_ones(luminance) if whole else luminance
        if bool((alpha < _TRANSPARENT).any()) and not _black_and_white(luminance, alpha):
            return alpha
        luminance = luminance * alpha
    elif (inside := _one_color(rgb)) is not None:
        return inside
    elif whole:
        luminance = _scaled(luminance, name)
    return torch.where(luminance > 1 - 1e-4, 1.0, luminance)  # the luminance of white, rounded


def _as_picture(source: ImageInput | Picture) -> ImageInput | Picture:
    if isinstance(source, np.ndarray) and source.dtype == bool:
        return source.astype(np.float32)
    if isinstance(source, Tensor):
        source = source.float() if source.dtype == torch.bool else source
        return source[None] if source.dim() == 2 else source
    return source


def _floats(source: ImageInput | Picture) -> bool:
    """Whether the values are known to be shares, however small."""
    if isinstance(source, Tensor):
        return source.is_floating_point()
    if isinstance(source, np.ndarray):
        return source.dtype.kind == "f"
    if isinstance(source, Picture):
        return source.rgb.is_floating_point()
    return isinstance(source, Image.Image) and source.mode == "F"


def _of_ones(values: Tensor) -> Tensor:
    """Whole numbers that are but 0 and 1, as shares; others as they are."""
    return (values > 0).float() if 0 < float(values.max()) < 1.5 / 255 else values


def _black_and_white(luminance: Tensor, alpha: Tensor) -> bool:
    """Whether what can be seen is black in part, white in part, and little else."""
    seen = luminance[alpha >= _TRANSPARENT]
    black, white = seen < _NEAR, seen > 1 - _NEAR
    return (
        bool(black.any()) and bool(white.any()) and bool((black | white).float().mean() >= _MOSTLY)
    )


def _one_color(rgb: Tensor) -> Tensor | None:
    """(H, W) of 0 and 1 if a picture has two colours, black and one that is not grey; else None."""
    inside = (rgb > 0).any(0)
    if not bool(inside.any()) or bool(inside.all()):
        return None
    place = int(inside.flatten().int().argmax())
    color = rgb.flatten(1)[:, place]
    if color.max() - color.min() < _COLORED or not bool((rgb[:, inside] == color[:, None]).all()):
        return None
    return inside.float()


def _scaled(values: Tensor, name: str) -> Tensor:
    """What whole numbers mean that use but a small part of their range."""
    most = float(values.max())
    if (sensor := round(most * 65535)) in _SENSORS and abs(most * 65535 - sensor) < _SLACK * sensor:
        return (values / most).clamp(0, 1)
    for white in (255, *_DEPTHS):
        top = most * white
        if not 0.5 < top < 255.5 or (white == 255 and top > _LABELS + 0.5):
            continue
        levels = values * white
        if bool(((levels - levels.round()).abs() > _SLACK * levels.clamp(min=1)).any()):
            continue
        if top < 1.5:
            return levels.round()
        if top < _LABELS + 0.5:
            raise ImageError(
                f"{name} has whole numbers from 0 to {round(top)} of {white}, nearly black; if it numbers parts of the "
                f"photo, give (numbers == {round(top)}) for one part, or `regions_from_labels` for coloured ones"
            )
        return (levels / 255).clamp(0, 1)
    return values
