"""Internal to `hfstyle.images`: encoded pictures (files, bytes, streams) as Pillow images, whatever they hold."""

from __future__ import annotations

import io
import logging
import os
from typing import IO, Any, Final, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageFile, TiffImagePlugin

from hfstyle.images.chunks import ColorNumbers, count_scans
from hfstyle.images.low_bytes import low_layout, with_rawmode
from hfstyle.images.opening import (
    ImageError,
    as_image_error,
    open_file,
    opened,
    prepared_file,
    refuse_tiff,
    seekable,
)
from hfstyle.messages import short_reason

__all__ = ["MAX_IMAGE_PIXELS", "Decoded", "ImageError", "check_size", "decode_file", "decode_pil"]

_log = logging.getLogger(__name__)

# 2.4 GB once decoded to float32; the largest phone cameras give 200 megapixels.
MAX_IMAGE_PIXELS: int = 200_000_000

# A strip of pixels costs the network as much as a picture as high as its least size (64 px).
_LONGEST_ANY: Final = 8192  # px, of pictures of any proportions
_MOST_ASPECT: Final = 200  # long sides in short ones, of longer pictures
_MOST_SCANS: Final = (
    100  # of a progressive JPEG; encoders write about ten, and each takes a pass over all pixels
)

_GREY_STEPS: Final = {
    "1": 255,
    "L;2": 85,
    "L;4": 17,
}  # one level of a PNG of 1, 2, 4 bits, in 8 bits
_SAMPLE_FORMAT: Final = 339  # a TIFF's tag
_SIGNED: Final = 2
_APART: Final = 2
_SUBFILE: Final = 254


class Decoded(NamedTuple):
    """A decoded picture.

    image: in its own mode; of 16-bit colours, the higher bytes, which is all that Pillow has room for.
    low: of 16-bit colours, the lower bytes: RGB, RGBA or CMYK as `image`; of grey with alpha, RGBA whose
        channels are the higher and lower bytes of grey, and those of alpha. Else None.
    grey: whether `low` is such a picture of grey with alpha.
    colors: what its file says of its colours by numbers.
    values: (H, W, C), the pixels in the channels of `image.mode`, of uint8, uint16 or float32, where tifffile read them;
        `image` then has none. Else None.
    """

    image: Image.Image
    low: Image.Image | None = None
    grey: bool = False
    colors: ColorNumbers = ColorNumbers()
    values: np.ndarray | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(W, H)"""
        return self.image.size if self.values is None else self.values.shape[1::-1]


def check_size(name: str, width: int, height: int, max_pixels: int | None) -> None:
    """Raises ImageError when a picture has no pixels, or more than `max_pixels`, or is a very long strip; None sets no limit."""
    if width < 1 or height < 1:
        raise ImageError(
            f"{name} is {width} x {height} px, so it has no pixels; give a picture of at least 1 x 1 px"
        )
    if max_pixels is not None and width * height > max_pixels:
        raise ImageError(
            f"{name} is {width} x {height} px ({width * height / 1e6:,.1f} megapixels); the limit is "
            f"{max_pixels / 1e6:,.1f} megapixels; make it smaller, or raise `max_pixels` if you trust it"
        )
    long, short = max(width, height), min(width, height)
    if max_pixels is not None and long > max(_LONGEST_ANY, _MOST_ASPECT * short):
        raise ImageError(
            f"{name} is {width} x {height} px; the long side may be {_LONGEST_ANY} px, or {_MOST_ASPECT} times the "
            "short one; cut it into parts, or give `max_pixels=None` if you trust it"
        )


def decode_file(
    source: bytes | str | os.PathLike[str] | IO[bytes],
    name: str,
    max_pixels: int | None,
    least_side: int | None = None,
) -> Decoded:
    """The picture of an encoded file, of several frames the first. ImageError if it is not one.

    least_side: px; a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size while its short side has at least as many.
    """
    if isinstance(source, bytes):
        if not source:
            raise ImageError(f"{name} is empty (0 bytes); give the bytes of an encoded picture")
        return _decode_stream(io.BytesIO(source), name, max_pixels, least_side)
    if not isinstance(source, (str, os.PathLike)):
        return _decode_stream(seekable(source, name), name, max_pixels, least_side)
    with open_file(source, name) as stream:
        return _decode_stream(seekable(stream, name), name, max_pixels, least_side)


def decode_pil(image: Image.Image, name: str, max_pixels: int | None) -> None:
    """Makes sure that the pixels of a Pillow image (its current frame) are in memory."""
    check_size(name, *image.size, max_pixels)
    _scale_transparent_color(image)
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(_SUBFILE, 0) == 1:
        _log.warning(
            "%s: the current frame is a smaller copy, by its own word; give the path for the picture",
            name,
        )
    if _lost_its_file(image):
        raise ImageError(
            f"{name} was closed before its pixels were read; call its `load()` before its file is closed, or give the path"
        )
    try:
        image.load()
    except Exception as error:  # whatever a broken file makes a decoder raise
        raise ImageError(
            f"{name} ({image.format or image.mode}, {image.width} x {image.height} px) cannot be "
            f"decoded, it is truncated or damaged: {short_reason(error)}; export or download it again"
        ) from error
    check_size(name, *image.size, max_pixels)  # what was decoded may differ from the header


def _lost_its_file(image: Image.Image) -> bool:
    """Whether Pillow would have to read pixels from a file that is closed."""
    if not isinstance(image, ImageFile.ImageFile) or not getattr(image, "tile", None):
        return False
    stream = getattr(image, "fp", None)
    return stream is None or bool(getattr(stream, "closed", False))


def _decode_stream(
    stream: IO[bytes], name: str, max_pixels: int | None, least_side: int | None
) -> Decoded:
    prepared = prepared_file(stream, name)
    image = opened(prepared, name)
    check_size(name, *image.size, max_pixels)
    _check_scans(image, prepared.stream, name)
    if least_side is not None and image.format in ("JPEG", "MPO"):
        image.draft(None, (least_side, least_side))
    if prepared.tiff is not None:
        with as_image_error(name):
            return Decoded(image, colors=prepared.colors, values=prepared.tiff.whole())
    layout = low_layout(image)
    _refuse_misread(image, prepared.stream, name)
    decode_pil(image, name, max_pixels)
    if layout is None:
        return Decoded(image, colors=prepared.colors)
    # Pillow takes the higher byte of each 16-bit colour. The same data in the other byte order show the lower.
    low = opened(prepared, name)
    mode, rawmodes = layout
    low._mode = mode
    low.tile = [
        tile._replace(args=with_rawmode(tile.args, rawmode))
        for tile, rawmode in zip(low.tile, rawmodes, strict=True)
    ]
    decode_pil(low, name, max_pixels)
    return Decoded(image, low, rawmodes == ["RGBA"], prepared.colors)


def _refuse_misread(image: ImageFile.ImageFile, stream: IO[bytes], name: str) -> None:
    """ImageError for TIFFs that Pillow takes for 8 bits without a sign: 8 bits with one, and 16 whose channels lie apart."""
    tags: Any = getattr(image, "tag_v2", None) or {}
    signed = set(_many(tags.get(_SAMPLE_FORMAT))) == {_SIGNED} and image.mode == "L"
    raw = all(tile.codec_name == "raw" for tile in image.tile)
    apart = tags.get(ExifTags.Base.PlanarConfiguration) == _APART and raw
    if signed or (apart and max(_many(tags.get(ExifTags.Base.BitsPerSample)), default=8) > 8):
        refuse_tiff(stream, b"II*\0", name)


def _check_scans(image: ImageFile.ImageFile, stream: IO[bytes], name: str) -> None:
    """ImageError for a JPEG, or a part of a TIFF in JPEG's compression, of very many scans."""
    if image.format in ("JPEG", "MPO"):
        stream.seek(0)
        scans = count_scans(stream.read(), _MOST_SCANS)
    elif image.format == "TIFF" and image.info.get("compression") in ("jpeg", "tiff_jpeg"):
        scans = 0
        tags: Any = getattr(image, "tag_v2", {})
        for places, lengths in ((273, 279), (324, 325)):  # of strips, of tiles
            for place, length in zip(
                _many(tags.get(places)), _many(tags.get(lengths)), strict=False
            ):
                stream.seek(place)
                scans = max(scans, count_scans(stream.read(length), _MOST_SCANS))
    else:
        return
    if scans > _MOST_SCANS:
        raise ImageError(
            f"{name} is a JPEG of more than {_MOST_SCANS} scans, each of which takes a pass over the whole picture; "
            "save it again in an image editor"
        )


def _many(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else () if value is None else (value,)


def _scale_transparent_color(image: Image.Image) -> None:
    """PNG: brings the transparent colour to the 8 bits to which Pillow decodes the pixels."""
    key = image.info.get("transparency")
    tiles = getattr(image, "tile", None)  # empty once decoded
    if image.format != "PNG" or not tiles:
        return
    rawmode = tiles[0][3]
    if rawmode == "RGB;16B" and isinstance(key, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in key)
    elif rawmode in _GREY_STEPS and isinstance(key, int):
        image.info["transparency"] = min(key * _GREY_STEPS[rawmode], 255)
