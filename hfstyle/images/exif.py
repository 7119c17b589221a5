"""Internal to `hfstyle.images`: what a picture's EXIF data say about it, and what of them a changed copy may keep."""

from __future__ import annotations

import logging
from typing import Final

import numpy as np
from PIL import ExifTags, Image

from hfstyle._decode import short_reason

_log = logging.getLogger(__name__)

_UPRIGHT: Final = 1
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


def portable_exif(image: Image.Image, place: bool = False) -> bytes | None:
    """The EXIF block for a changed copy of `image`: no orientation, thumbnail, maker's notes or, unless asked, place."""
    try:
        exif = image.getexif()
        kept = Image.Exif()
        for tag in _KEPT_TAGS:
            if tag in exif:
                kept[tag] = exif[tag]
        for ifd in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)[: 2 if place else 1]:
            values = {t: v for t, v in exif.get_ifd(ifd).items() if t not in _DROPPED_EXIF_TAGS}
            if ExifTags.Base.ColorSpace in values:
                values[ExifTags.Base.ColorSpace] = 1  # sRGB from here on
            if values:
                kept[ifd] = values
        block = kept.tobytes()
        return block if len(kept) > 0 and len(block) <= _LARGEST_EXIF else None
    except Exception as error:  # broken metadata must not cost the picture
        _log.warning("EXIF data that cannot be kept is dropped: %s", short_reason(error))
        return None
