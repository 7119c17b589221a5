"""What is known of a photo before it is painted: its size, and at which size the network will run. And the example photos."""

from __future__ import annotations

import logging
import math
import warnings
from pathlib import Path
from typing import Final

from PIL import ExifTags, Image
from torch import Tensor

from hfstyle.examples import EXAMPLE_PHOTOS, example_photo_path
from hfstyle.images import load_image, resize, to_pil
from hfstyle.limits import working_size
from hfstyle.studio.backend.results import slug, write_webp

PAINTED_PIXELS: Final = 2_500_000
"""At which the network runs at most: panoramas have a long side."""
_EXAMPLE_SIDE: Final = 128  # short side in pixels

_log = logging.getLogger(__name__)


def size_of(path: str) -> tuple[int, int] | None:
    """Width and height of a picture as it is shown, from its header; None if that cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # large pictures are refused when they are opened
            with Image.open(path) as header:
                width, height = header.size
                turned = header.getexif().get(ExifTags.Base.Orientation, 1) > 4
    except Exception:  # whatever is wrong with it is said when it is opened
        return None
    return (height, width) if turned else (width, height)


def painting_side(
    size: tuple[int, int], resolution: int, most_pixels: int = PAINTED_PIXELS
) -> int | None:
    """Short side at which the network runs, None for the picture's own; it is larger for small photos."""
    short, long = sorted(size)
    most = max(short, working_size("auto", short) or short)
    side = min(resolution, most, int(math.sqrt(most_pixels * short / long)))
    side = max(side, min(64, short))
    if side < 64:  # a narrow panorama
        side = short
    return None if side == short else side


def enlarged_side(size: tuple[int, int], resolution: int) -> int | None:
    """The same for what `Studio.preview` shows, which is reduced already; None unless it is enlarged."""
    side = painting_side(size, resolution)
    return side if side is not None and side > min(size) else None


def example_paths() -> dict[str, str]:
    """The example photos that are installed, by name."""
    try:
        return {name: str(example_photo_path(name)) for name in EXAMPLE_PHOTOS}
    except (ModuleNotFoundError, FileNotFoundError) as error:
        _log.warning("no example photos: %s", error)
        return {}


def with_long_side(rgb: Tensor, longest: int, least: int = 1) -> Image.Image:
    """A picture (3, H, W) with a long side of so many pixels at most, and a short one of `least`, if it has as many."""
    short, long = sorted(rgb.shape[1:])
    side = min(short, max(least, round(longest * short / long)))
    return to_pil(resize(rgb, side).clamp(0, 1))


def example_thumbnail(path: str) -> str:
    """A small copy of an example photo, for pages that show what may be chosen."""
    rgb = load_image(path).rgb
    small = to_pil(resize(rgb, min(_EXAMPLE_SIDE, *rgb.shape[1:])).clamp(0, 1))
    return write_webp(small, f"example_{slug(Path(path).stem)}", quality=75, keep=True)
