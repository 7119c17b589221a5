"""Internal to `hfstyle.images`: what a picture's metadata say about it, and what of them a changed copy may keep."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import numpy as np
from PIL import ExifTags, Image

from hfstyle.messages import short_reason

_log = logging.getLogger(__name__)

Resolution: TypeAlias = tuple[float, float]
"""Pixels per inch, across and down."""

_UPRIGHT: Final = 1
_PER_INCH: Final = {2: 1.0, 3: 2.54}  # units of EXIF's resolution: inch, centimetre
_JFIF_UNITS: Final = (1, 2)  # the same
_MOST_PER_INCH: Final = 100_000
_HALF_PER_METRE: Final = 0.5 * 0.0254
_BYTES_OF_GPS: Final = (
    0,
    5,
)  # its version, above or below the sea: the only values that EXIF calls bytes there
_LARGEST_EXIF: Final = 65_533  # what a JPEG holds
# When and by whom a photo was taken. Not the layout of the old file, not its thumbnail
# (which shows the picture before it was changed), not the maker's private notes.
_KEPT_TAGS = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.Copyright,
    *range(0x9C9B, 0x9CA0),  # Windows' title, comment, author, keywords, subject
)
_DROPPED_EXIF_TAGS = (
    ExifTags.Base.MakerNote,
    ExifTags.Base.ExifImageWidth,
    ExifTags.Base.ExifImageHeight,
    ExifTags.IFD.Interop,
)


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation 1 ... 8 of a decoded Pillow image; 1 (upright) if absent or unreadable."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, _UPRIGHT)
    except Exception as error:  # broken metadata must not cost the picture
        _log.warning("EXIF data that cannot be read is ignored: %s", short_reason(error))
        return _UPRIGHT
    return int(orientation) if orientation in range(1, 9) else _UPRIGHT


def as_stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """A view of `upright` (C, H, W) into which the stored rows of a picture can be written."""
    match orientation:
        case 2:
            return upright[:, :, ::-1]
        case 3:
            return upright[:, ::-1, ::-1]
        case 4:
            return upright[:, ::-1, :]
        case 5:
            return upright.transpose(0, 2, 1)
        case 6:
            return np.rot90(upright, 1, axes=(1, 2))
        case 7:
            return upright.transpose(0, 2, 1)[:, ::-1, ::-1]
        case 8:
            return np.rot90(upright, -1, axes=(1, 2))
    return upright


def resolution_of(image: Image.Image) -> Resolution | None:
    """Pixels per inch of a decoded Pillow image when it is upright; None if it says none.

    From where its format has it (JFIF, pHYs, TIFF's and BMP's header), else from the EXIF data.
    """
    found = image.info.get("dpi")
    try:
        exif = image.getexif()
        if image.format in ("JPEG", "MPO") and image.info.get("jfif_unit") not in _JFIF_UNITS:
            found = None  # Pillow says 72 where the EXIF data say nothing
        unit = _PER_INCH.get(exif.get(ExifTags.Base.ResolutionUnit, 2))
        if found is None and unit is not None and ExifTags.Base.XResolution in exif:
            across = exif[ExifTags.Base.XResolution]
            found = (across * unit, exif.get(ExifTags.Base.YResolution, across) * unit)
        across, down = (float(number) for number in found or (0, 0))
    except Exception as error:  # broken metadata must not cost the picture
        _log.debug("a resolution that cannot be read is ignored: %s", short_reason(error))
        return None
    if not all(
        math.isfinite(n) and 1 < n <= _MOST_PER_INCH for n in (across, down)
    ):  # 1 is TIFF's "unknown"
        return None
    across, down = (_whole(number) for number in (across, down))
    return (down, across) if orientation_of(image) >= 5 else (across, down)


def _whole(number: float) -> float:
    """300 of 299.9994, which a PNG says because it counts whole pixels per metre."""
    return float(round(number)) if abs(number - round(number)) < _HALF_PER_METRE else number


def portable_exif(image: Image.Image, place: bool = False) -> bytes | None:
    """The EXIF block for a changed copy of `image`: no orientation, thumbnail, maker's notes or, unless asked, place.

    Texts keep their bytes, whatever their encoding: EXIF says ASCII, cameras and Lightroom write UTF-8.
    """
    try:
        exif = image.getexif()
        kept = Image.Exif()
        for tag in _KEPT_TAGS:
            if tag in exif:
                kept[tag] = as_it_was(exif[tag])
        for ifd in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)[: 2 if place else 1]:
            values = {t: v for t, v in exif.get_ifd(ifd).items() if t not in _DROPPED_EXIF_TAGS}
            if ExifTags.Base.ColorSpace in values:
                values[ExifTags.Base.ColorSpace] = 1  # sRGB from here on
            if values:
                kept[ifd] = writable(values, ifd)
        block = kept.tobytes()
        return block if len(kept) > 0 and len(block) <= _LARGEST_EXIF else None
    except Exception as error:  # broken metadata must not cost the picture
        _log.warning("EXIF data that cannot be kept is dropped: %s", short_reason(error))
        return None


def with_resolution(exif: bytes | None, resolution: Resolution) -> bytes:
    """An EXIF block that says the resolution beside what it said, for formats that have no other place for it."""
    block = Image.Exif()
    if exif is not None:
        block.load(exif)
    said = Image.Exif()
    for tag, value in block.items():
        inner = tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
        said[tag] = writable(block.get_ifd(tag), tag) if inner else as_it_was(value)
    said[ExifTags.Base.XResolution], said[ExifTags.Base.YResolution] = resolution
    said[ExifTags.Base.ResolutionUnit] = 2
    return said.tobytes()


def writable(values: Mapping[int, Any], ifd: int) -> dict[int, Any]:
    """Values of an inner directory of EXIF, so that Pillow writes them with the bytes and the types they had."""
    if ifd == ExifTags.IFD.GPSInfo:
        return {tag: as_it_was(v, tag not in _BYTES_OF_GPS) for tag, v in values.items()}
    return {tag: as_it_was(value, True) for tag, value in values.items()}


class _Text(str):
    """A text that Pillow has read byte by byte (as Latin-1), and writes so, too, instead of as ASCII with "?"."""

    def encode(self, encoding: str = "", errors: str = "") -> bytes:
        return super().encode("latin-1", "replace")


def as_it_was(value: Any, undefined: bool = False) -> Any:
    """undefined: whether bytes are of EXIF's type "undefined", which Pillow gives to no value but a sequence of this kind."""
    if isinstance(value, str):
        return _Text(value)
    return (bytearray(value),) if undefined and isinstance(value, bytes) else value
