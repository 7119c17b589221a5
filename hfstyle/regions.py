"""Regions of a picture with styles of their own: masks, label maps, and how they overlap.

R regions and the background · H, W size of the photo
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import torch
import torch.nn.functional as F
from PIL import ImageColor
from torch import Tensor

from hfstyle.images.decode import ImageError
from hfstyle.images.geometry import resize
from hfstyle.images.load import ImageInput, Picture, load_image, load_input
from hfstyle.images.masks import read_mask
from hfstyle.images.pixels import strip_bounds
from hfstyle.limits import as_share
from hfstyle.painting.found import found_mask
from hfstyle.painting.layers import Layer
from hfstyle.painting.shapes import FOUND, INSIDE, SHAPES

if TYPE_CHECKING:
    from hfstyle.styles.code import StyleInput
    from hfstyle.styles.finder import StyleFinder

__all__ = [
    "FOUND",
    "MOST_REGIONS",
    "SHAPES",
    "Region",
    "as_regions",
    "layers_of",
    "region_weights",
    "regions_from_labels",
]

_log = logging.getLogger(__name__)

MaskInput: TypeAlias = ImageInput
LabelColor: TypeAlias = str | tuple[int, int, int]

MOST_REGIONS: Final = 16
"""Greatest number of regions of one picture: each has a pass of attention, or of the whole network, of its own."""

_LABEL_TOLERANCE: Final = (
    32  # of 255, root of the sum of squares: JPEG's error, less than that between colours
)
_COUNTED_PIXELS: Final = 1_000_000  # of a label map, for the names of its colours


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the photo that is painted in a style of its own, or shows another photo, or both.

    Args:
        mask: where it is: a picture, an array or tensor (H, W), in [0, 1] if floating, 0 to 255 if uint8, or bool, or a
            name of `SHAPES`, or of `FOUND` for what is found in the photo ("faces" of people, the "subject", or the
            "background", which is the rest), unless a file has that name. Of any size: it is brought to that of the photo. What is white
            is inside, by luminance; of a cut-out, what is opaque; of whole numbers 0 and 1, the ones.
        style: a picture, a `StyleCode`, or a file of either; None leaves the photo as it is.
        strength: in [0, 1], as of the pipeline.
        color: in [0, 1], as of the pipeline; the palette that is kept at 0 is that of the photo inside the mask.
        feather: width of the soft edge in short sides of the photo, 0 to 0.5. 0 takes the mask as it is.
        content: another photo that is seen inside the mask, of any size: it is scaled until it covers the photo, and its
            middle is taken. None is the photo itself.

    Raises:
        ValueError: strength, color or feather out of range. Mask and content are read when the picture is painted; then
            a package that finds faces or subject may be absent (ModuleNotFoundError, which names it).
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
        best = torch.full(strip.shape[1:], float(_LABEL_TOLERANCE) ** 2, dtype=strip.dtype)
        for number, value in enumerate(values):
            distance = (
                (strip - torch.tensor(value, dtype=strip.dtype)[:, None, None]).square_().sum(0)
            )  # (h, W)
            index[top:bottom][distance < best] = number
            best = torch.minimum(best, distance)
    regions = []
    for number, (key, style) in enumerate(styles.items()):
        mask = index == number
        if not bool(mask.any()):
            raise ValueError(f"the label map has no pixel of colour {key!r}; {_present(pixels)}")
        regions.append(Region(mask, style, strength, color, feather))
    return regions


def as_regions(regions: Iterable[Region] | None) -> list[Region]:
    """A list of regions; empty for None.

    Raises:
        ValueError: something else, such as one region or a shape's name outside a list.
    """
    remedy = "give a list of regions, as [Region('left-half', style)]"
    if regions is None:
        return []
    if isinstance(regions, (str, bytes, Mapping, Region)) or not isinstance(regions, Iterable):
        raise ValueError(f"regions is {regions!r}; {remedy}")
    given = list(regions)
    for index, region in enumerate(given):
        if not isinstance(region, Region):
            raise ValueError(f"regions holds {region!r} at place {index}; {remedy}")
    return given


def region_weights(
    regions: Sequence[Region], size: tuple[int, int], photo: Tensor | None = None
) -> Tensor:
    """The share of each region in each pixel: (1 + R, H, W) float32 in [0, 1] that sum to 1, the background first.

    Where regions overlap, the later one lies over the earlier ones.

    Args:
        regions: at most `MOST_REGIONS`.
        size: (H, W) of the photo.
        photo: (3, H, W), uint8 or float in [0, 1], in which the masks of `FOUND` are found.

    Raises:
        ImageError: a mask that is no picture.
        ModuleNotFoundError: a package that finds a mask is not installed.
        ValueError: too many regions, masks that do not lie in [0, 1], or nothing to find one in.
    """
    if len(regions) > MOST_REGIONS:
        raise ValueError(f"{len(regions)} regions; give at most {MOST_REGIONS}")
    weights = torch.ones(1 + len(regions), *size, dtype=torch.float32)
    for number, region in enumerate(regions, start=1):
        mask = _mask(region.mask, f"mask of regions[{number - 1}]", size, photo)
        mask = _blurred(mask, region.feather * min(size))
        weights[:number] *= 1 - mask
        weights[number] = mask
    return weights


def _mask(
    source: MaskInput | Picture, name: str, size: tuple[int, int], photo: Tensor | None
) -> Tensor:
    """(H, W) float32 in [0, 1], of `size`."""
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        if path in INSIDE and not os.path.exists(path):
            return _shape(path, size)
        if path in FOUND and not os.path.exists(path):
            if photo is None:
                raise ValueError(f"{name} is {path!r}; give the photo in which it is found")
            found = found_mask(path, photo)
            if not bool(found.any()):
                _log.warning("%s: there are no %s in the photo", name, path)
            return found
        name = f"{name}, {path}"
    try:
        mask = read_mask(source, name)
    except ImageError as error:
        raise ImageError(
            f"{error}. A mask is a picture, (H, W) with values in [0, 1], or one of {', '.join((*SHAPES, *FOUND))}"
        ) from None
    return resize(mask[None, None].expand(1, 3, -1, -1), size, mode="bilinear")[0, 0]


def _shape(name: str, size: tuple[int, int]) -> Tensor:
    """(H, W) float32 of 0 and 1."""
    y, x = ((torch.arange(side, dtype=torch.float32) + 0.5) / side for side in size)
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


def layers_of(regions: Sequence[Region], finder: StyleFinder, style_size: int) -> list[Layer]:
    """Regions with the codes of their styles, which the finder encodes at that size."""
    styles = [region.style for region in regions if region.style is not None]
    codes = iter(finder.encode_all(styles, style_size))
    return [
        Layer(
            None if region.style is None else next(codes),
            region.strength,
            region.color,
            None
            if region.content is None
            else load_input(region.content, f"content of regions[{index}]", keep_alpha=False).rgb,
        )
        for index, region in enumerate(regions)
    ]
