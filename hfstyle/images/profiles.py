"""Internal to `hfstyle.images`: colours of any space or ICC profile to sRGB."""

from __future__ import annotations

import io
import itertools
import logging
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

from hfstyle.images.chunks import ColorNumbers
from hfstyle.images.primaries import NumberedColors, numbered_colors

_log = logging.getLogger(__name__)

_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_MODE_OF_SPACE = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK", "LAB": "LAB"}


@dataclass(frozen=True)
class ColorTransform:
    """From `mode`, in the colours of a profile, to sRGB."""

    mode: str
    cms: ImageCms.ImageCmsTransform

    def apply(self, image: Image.Image) -> Image.Image:
        """8 bits per channel without alpha, to mode RGB."""
        if image.mode != self.mode:
            image = image.convert(self.mode)
        converted = ImageCms.applyTransform(image, self.cms)
        assert converted is not None  # only None when it works in place
        return converted

    def apply_grey(self, grey: np.ndarray) -> np.ndarray:
        """(h, W) float32 in [0, 1] to (h, W, 3), by interpolation between the 256 greys."""
        ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
        table = np.asarray(self.apply(ramp))[0] / np.float32(255)  # (256, 3)
        steps = np.linspace(0, 1, 256)
        channels = [np.interp(grey, steps, table[:, c]).astype(np.float32) for c in range(3)]
        return np.stack(channels, axis=-1)


def color_transform(
    image: Image.Image, name: str, numbers: ColorNumbers
) -> ColorTransform | NumberedColors | None:
    """How the colours of `image` become sRGB; None if Pillow's plain conversion to RGB will do.

    An ICC profile comes first, but in a PNG the numbers of its chunk cICP. A profile that is broken or meant for other
    modes is ignored with a warning in the log.
    """
    data = image.info.get("icc_profile")
    if numbers.coded is not None and image.format == "PNG":
        return numbered_colors(image, numbers, name)
    try:
        if isinstance(data, bytes) and data:
            transform = _from_profile(image.mode, ImageCms.ImageCmsProfile(io.BytesIO(data)))
            return None if transform is None or _changes_nothing(transform) else transform
    except Exception as error:  # littlecms raises several kinds
        _log.warning("%s: its ICC profile cannot be used and is ignored (%s)", name, error)
    if image.mode not in ("LAB", "CMYK"):
        return numbered_colors(image, numbers, name)
    if image.mode == "LAB":
        return _build("LAB", ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    return None


def _from_profile(mode: str, profile: ImageCms.ImageCmsProfile) -> ColorTransform | None:
    space = profile.profile.xcolor_space.strip()
    if mode in _GREY_MODES:
        fits = space in ("GRAY", "RGB")
    elif mode in ("CMYK", "LAB"):
        fits = space == mode
    else:
        fits = space == "RGB"
    if not fits:
        raise ValueError(f"it describes {space or 'unknown'} colours, the picture is {mode}")
    return _build(_MODE_OF_SPACE[space], profile)


def _build(mode: str, profile: ImageCms.ImageCmsProfile) -> ColorTransform:
    cms = ImageCms.buildTransform(
        profile,
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    return ColorTransform(mode, cms)


def _changes_nothing(transform: ColorTransform) -> bool:
    """Whether this is sRGB by another name: then rounding twice would only lose levels."""
    if transform.mode not in ("L", "RGB"):
        return False
    levels = range(0, 256, 15)
    if transform.mode == "L":
        before = np.array(levels, dtype=np.uint8)[None]
    else:
        before = np.array([list(itertools.product(levels, repeat=3))], dtype=np.uint8)
    after = np.asarray(transform.apply(Image.fromarray(before))).astype(int)
    return bool(np.abs(after - before.reshape(*before.shape[:2], -1)).max() <= 1)
