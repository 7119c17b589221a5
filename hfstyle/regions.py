"""Regions of a picture with styles of their own: masks, label maps, and how they overlap.

R regions and the background · H, W size of the photo
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from PIL import ImageColor
from torch import Tensor

from hfstyle._arguments import as_share
from hfstyle._pixels import strip_bounds
from hfstyle._shapes import INSIDE, SHAPES
from hfstyle.images import ImageError, ImageInput, Picture, load_image, resize

if TYPE_CHECKING:
    from hfstyle._style_codes import StyleInput

__all__ = ["MOST_REGIONS", "SHAPES", "Region", "region_weights", "regions_from_labels"]

MaskInput: TypeAlias = ImageInput
LabelColor: TypeAlias = str | tuple[int, int, int]

MOST_REGIONS: Final = 16
"""Greatest number of regions of one picture: each has a pass of attention, or of the whole network, of its own."""

_LUMINANCE: Final = (0.299, 0.587, 0.114)
_LABEL_TOLERANCE: Final = (
    32  # of 255, root of the sum of squares: JPEG's error, less than that between colours
)
_COUNTED_PIXELS: Final = 1_000_000  # of a label map, for the names of its colours


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the photo that is painted in a style of its own, or shows another photo, or both.

    Args:
        mask: where it is: a picture (its luminance; white is inside), an array or tensor (H, W), in [0, 1] if floating,
            0 to 255 if uint8, or bool, or a name of `SHAPES`, unless a file has that name. Of any size: it is brought
            to that of the photo.
        style: a picture, a `StyleCode`, or a file of either; None leaves the photo as it is.
        strength: in [0, 1], as of the pipeline.
        color: in [0, 1], as of the pipeline; the palette that is kept at 0 is that of the photo inside the mask.
        feather: width of the soft edge in short sides of the photo, 0 to 0.5. 0 takes the mask as it is.
        content: another photo that is seen inside the mask, of any size: it is scaled until it covers the photo, and its
            middle is taken. None is the photo itself.

    Raises:
        ValueError: strength, color or feather out of range. Mask and content are read when the picture is painted.
    """

    mask: MaskInput
    style: StyleInput | None
    strength: float = 1.0
    color: float = 1.0
    feather: float = 0.01
    content: ImageInput | Picture | None = None

    def __post_init__(self) -> None:
        for name in ("strength", "color"):
            object.__setattr__(self, name, as_share(name, getattr(self, name)))
        object.__setattr__(self, "feather", as_share("feather", self.feather, 0.5))


def regions_from_labels(
    labels: ImageInput,
    styles: Mapping[LabelColor, StyleInput | None],
    *,
    strength: float = 1.0,
    color: float = 1.0,
    feather: float = 0.01,
) -> list[Region]:
    """Regions of a colour-coded label map, as drawing programs and segmentation networks make them.

    Args:
        labels: a picture, or an array or tensor that `load_image` takes. Write it as PNG: JPEG blurs colours, which is
            tolerated up to a distance of 32 of 255; then the nearest of the given colours is taken.
        styles: the style for each colour: "#ff0000", "red" (names of CSS), or (255, 0, 0). Other colours are background.
        strength, color, feather: of all regions; `dataclasses.replace` changes those of one.

    Returns:
        A region for each colour, in the order given.

    Raises:
        ImageError: labels that are no picture.
        ValueError: no styles, an unknown colour, one that the map does not have, or two of one value.
    """
    if not styles:
        raise ValueError("styles is empty; give a style for at least one colour of the label map")
    values = [_rgb(key) for key in styles]
    if len(set(values)) < len(values):
        raise ValueError(f"two keys of styles are the same colour: {list(styles)}")
    pixels = load_image(labels, name=None, compact=True).rgb  # (3, H, W)
    index = torch.full(pixels.shape[1:], -1, dtype=torch.int16)
    for top, bottom in strip_bounds(
        *index.shape
    ):  # of a large map, no float32 copy for each colour
        strip = _levels(pixels[:, top:bottom])
        best = torch.full(strip.shape[1:], float(_LABEL_TOLERANCE) ** 2)
        for number, value in enumerate(values):
            distance = (strip - torch.tensor(value)[:, None, None]).square_().sum(0)  # (h, W)
            index[top:bottom][distance < best] = number
            best = torch.minimum(best, distance)
    regions = []
    for number, (key, style) in enumerate(styles.items()):
        mask = index == number
        if not bool(mask.any()):
            raise ValueError(f"the label map has no pixel of colour {key!r}; {_present(pixels)}")
        regions.append(Region(mask, style, strength, color, feather))
    return regions


def region_weights(regions: Sequence[Region], size: tuple[int, int]) -> Tensor:
    """The share of each region in each pixel: (1 + R, H, W) float32 in [0, 1] that sum to 1, the background first.

    Where regions overlap, the later one lies over the earlier ones.

    Args:
        regions: at most `MOST_REGIONS`.
        size: (H, W) of the photo.

    Raises:
        ImageError: a mask that is no picture.
        ValueError: too many regions, or masks that do not lie in [0, 1].
    """
    if len(regions) > MOST_REGIONS:
        raise ValueError(f"{len(regions)} regions; give at most {MOST_REGIONS}")
    weights = torch.ones(1 + len(regions), *size)
    for number, region in enumerate(regions, start=1):
        mask = _mask(region.mask, f"mask of regions[{number - 1}]", size)
        mask = _blurred(mask, region.feather * min(size))
        weights[:number] *= 1 - mask
        weights[number] = mask
    return weights


def _mask(source: MaskInput, name: str, size: tuple[int, int]) -> Tensor:
    """(H, W) float32 in [0, 1], of `size`."""
    if isinstance(source, Picture):
        source = source.rgb
    if isinstance(source, np.ndarray) and source.dtype == bool:
        source = source.astype(np.float32)
    if isinstance(source, Tensor):
        source = source.float() if source.dtype == torch.bool else source
        source = source[None] if source.dim() == 2 else source
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        if path in INSIDE and not os.path.exists(path):
            return _shape(path, size)
        name = f"{name}, {path}"
    try:
        rgb = load_image(source, background=(0.0, 0.0, 0.0), name=name).rgb
    except ImageError as error:
        raise ImageError(
            f"{error}. A mask is a picture, (H, W) with values in [0, 1], or one of {', '.join(SHAPES)}"
        ) from None
    mask = torch.einsum("chw,c->hw", rgb, torch.tensor(_LUMINANCE)).clamp_(0, 1)
    mask = torch.where(mask > 1 - 1e-4, 1.0, mask)  # the luminance of white, rounded
    return resize(mask[None, None].expand(1, 3, -1, -1), size, mode="bilinear")[0, 0]


def _shape(name: str, size: tuple[int, int]) -> Tensor:
    """(H, W) float32 of 0 and 1."""
    y, x = ((torch.arange(side) + 0.5) / side for side in size)
    return INSIDE[name](x[None, :], y[:, None]).expand(size).float()


def _blurred(mask: Tensor, width: float) -> Tensor:
    """Edges of `width` pixels from 0 to 1: three box filters, whose sum is nearly a Gaussian of that width."""
    radius = round(width / 3)
    if radius < 1:
        return mask
    x = mask[None, None]
    for _ in range(3):
        for kernel, padding in (
            ((2 * radius + 1, 1), (0, 0, radius, radius)),
            ((1, 2 * radius + 1), (radius, radius, 0, 0)),
        ):
            x = F.avg_pool2d(F.pad(x, padding, mode="replicate"), kernel, stride=1)
    return x[0, 0].clamp(0, 1)


def _rgb(color: LabelColor) -> tuple[int, ...]:
    if isinstance(color, str):
        try:
            return ImageColor.getrgb(color)[:3]
        except ValueError:
            raise ValueError(f"{color!r} is no colour; give '#ff0000' or (255, 0, 0)") from None
    value = tuple(int(part) for part in color)
    if len(value) != 3 or not all(0 <= part <= 255 for part in value):
        raise ValueError(f"{color!r} is no colour; give '#ff0000' or three numbers in 0 to 255")
    return value


def _levels(pixels: Tensor) -> Tensor:
    """uint8, or float in [0, 1] -> float32 in [0, 255]."""
    return pixels.float() if pixels.dtype == torch.uint8 else pixels * 255


def _present(pixels: Tensor) -> str:
    """The commonest colours of a label map (3, H, W), for a message; of a large one, those of evenly spread pixels."""
    step = max(1, math.isqrt(pixels[0].numel() // _COUNTED_PIXELS))
    levels = _levels(pixels[:, ::step, ::step]).round().int().flatten(1)  # (3, N)
    values, counts = torch.unique(
        (levels[0] << 16) + (levels[1] << 8) + levels[2], return_counts=True
    )
    common = values[counts.argsort(descending=True)[:6]].tolist()
    return f"its commonest are {', '.join(f'#{value:06x}' for value in common)}"
