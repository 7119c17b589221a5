"""Internal to `hfstyle.images`: encoded pictures (files, bytes, Pillow images) to pixels in [0, 1].

Pixels leave here in strips of rows, so that beside Pillow's own buffer and the caller's result only a
few megabytes are ever in use, whatever the mode of the picture.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import stat
import struct
from collections.abc import Iterator
from typing import IO, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageFile

from hfstyle._color import ColorTransform, color_transform

_log = logging.getLogger(__name__)

# 2.4 GB once decoded to float32; the largest phone cameras give 200 megapixels.
MAX_IMAGE_PIXELS: int = 200_000_000

_STRIP_PIXELS = 1 << 20
# PostScript is a program: Pillow would hand it to Ghostscript.
_REFUSED_FORMATS = frozenset({"EPS"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1"})
_DEEP_MODES = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_GREY_STEPS = {"1": 255, "L;2": 85, "L;4": 17}  # one level of a PNG of 1, 2, 4 bits, in 8 bits
_UPRIGHT = 1
_FLOAT_SLACK = 1e-4  # rounding in the caller's arithmetic, not a range of its own
_LARGEST_EXIF = 65_533  # what a JPEG holds
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


class ImageError(ValueError):
    """A picture that cannot be used: the message names it, what is wrong, the limit and the remedy."""


class Strip(NamedTuple):
    """Rows `top` ... `top + h - 1` of a picture as it is stored."""

    top: int
    color: np.ndarray  # (h, W, 3) or (h, W, 1), sRGB, float32 in [0, 1] or uint8
    alpha: np.ndarray | None  # (h, W, 1), likewise


class _DeepScale(NamedTuple):
    """What the numbers of a grey picture of more than 8 bits mean (Pillow does not scale them)."""

    white: int  # the largest value
    inverted: bool  # TIFF's WhiteIsZero


def strip_bounds(height: int, width: int) -> Iterator[tuple[int, int]]:
    """(top, bottom) of consecutive strips of about a million pixels."""
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def check_size(name: str, width: int, height: int, max_pixels: int | None) -> None:
    """Raises ImageError when a picture has no pixels or more than `max_pixels`."""
    if width < 1 or height < 1:
        raise ImageError(
            f"{name} is {width} x {height} px, so it has no pixels; give a picture of at least 1 x 1 px"
        )
    if max_pixels is not None and width * height > max_pixels:
        raise ImageError(
            f"{name} is {width} x {height} px ({width * height / 1e6:,.1f} megapixels); the limit is "
            f"{max_pixels / 1e6:,.1f} megapixels; make it smaller, or raise `max_pixels` if you trust it"
        )


def decode_file(
    source: bytes | str | os.PathLike[str] | IO[bytes], name: str, max_pixels: int | None
) -> Image.Image:
    """The first frame of an encoded picture, decoded, in its own mode. ImageError if it is not one."""
    if isinstance(source, bytes):
        if not source:
            raise ImageError(f"{name} is empty (0 bytes); give the bytes of an encoded picture")
        return _decode_stream(io.BytesIO(source), name, max_pixels)
    if not isinstance(source, (str, os.PathLike)):
        return _decode_stream(_seekable(source, name), name, max_pixels)
    if str(source).lower().startswith(("http://", "https://")):
        raise ImageError(f"{name} is a web address; download the picture and give the file's path")
    try:
        with open(source, "rb") as stream:
            status = os.fstat(stream.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_size == 0:
                raise ImageError(f"{name} is an empty file (0 bytes); copy or download it again")
            return _decode_stream(_seekable(stream, name), name, max_pixels)
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{name}: there is no such file; check the path") from error
    except IsADirectoryError as error:
        raise ImageError(f"{name} is a folder; give the path of one picture in it") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(
            f"{name} cannot be opened: {reason}; check the path and its rights"
        ) from error


def decode_pil(image: Image.Image, name: str, max_pixels: int | None) -> None:
    """Makes sure that the pixels of a Pillow image (its current frame) are in memory."""
    check_size(name, *image.size, max_pixels)
    _scale_transparent_color(image)
    try:
        image.load()
    except Exception as error:  # whatever a broken file makes a decoder raise
        raise ImageError(
            f"{name} ({image.format or image.mode}, {image.width} x {image.height} px) cannot be "
            f"decoded, it is truncated or damaged: {_reason(error)}; export or download it again"
        ) from error
    check_size(name, *image.size, max_pixels)  # what was decoded may differ from the header


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation 1 ... 8 of a decoded Pillow image; 1 (upright) if absent or unreadable."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, _UPRIGHT)
    except Exception as error:  # broken metadata must not cost the picture
        _log.warning("EXIF data that cannot be read is ignored: %s", _reason(error))
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
        _log.warning("EXIF data that cannot be kept is dropped: %s", _reason(error))
        return None


def has_alpha(image: Image.Image) -> bool:
    """Whether a decoded Pillow image has an alpha channel, alpha palette or transparent colour."""
    if image.mode == "P" and image.palette is None:  # a damaged icon
        return "transparency" in image.info
    return image.has_transparency_data


def has_8_bits(image: Image.Image) -> bool:
    """Whether the channels of a Pillow image have 256 levels or fewer."""
    return image.mode not in _DEEP_MODES


def pil_strips(image: Image.Image, name: str) -> Iterator[Strip]:
    """The pixels of a decoded Pillow image of any mode, in the rows it stores, converted to sRGB."""
    transform = color_transform(image, name)
    deep = _deep_scale(image) if image.mode in _DEEP_MODES else None
    for top, bottom in strip_bounds(image.height, image.width):
        try:
            part = image.crop((0, top, image.width, bottom))
            if deep is None:
                yield Strip(top, *_shallow(part, transform))
            else:
                yield Strip(top, *_deep(part, transform, deep, name))
        except ImageError:
            raise
        except Exception as error:
            raise ImageError(
                f"{name} has mode {image.mode!r}, which cannot be converted to RGB: {_reason(error)}; "
                "convert it to 'RGB' first"
            ) from error


def float_pixels(values: np.ndarray, name: str) -> np.ndarray:
    """Float pixels as float32 after checking that they are finite and in [0, 1]; else ImageError."""
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ImageError(f"{name} contains NaN or infinite values; replace them (numpy.nan_to_num)")
    if low < -_FLOAT_SLACK or high > 1 + _FLOAT_SLACK:
        raise ImageError(
            f"{name} has floating point values from {low:.6g} to {high:.6g}, expected [0, 1]; "
            "divide by the largest possible value (255 for 8-bit pixels), or clip"
        )
    return np.clip(values.astype(np.float32), 0.0, 1.0)


def _seekable(stream: IO[bytes], name: str) -> IO[bytes]:
    """`stream` from its beginning, read into memory if it is a pipe."""
    try:
        try:
            stream.seek(0)
            return stream
        except (AttributeError, OSError):  # io.UnsupportedOperation is an OSError
            return io.BytesIO(stream.read())
    except Exception as error:  # a stream can be anything that has `read`
        raise ImageError(
            f"{name} cannot be read: {_reason(error)}; open it in binary mode ('rb')"
        ) from error


def _decode_stream(stream: IO[bytes], name: str, max_pixels: int | None) -> Image.Image:
    image = _identify(stream, name)
    decode_pil(image, name, max_pixels)
    return image


def _identify(stream: IO[bytes], name: str) -> ImageFile.ImageFile:
    """Header only. `Image.open` without its own pixel limit, which is global and partly a warning.

    No file name is given to the plugins, so none maps the file into memory: it may change later.
    """
    tried: set[str] = set()
    try:
        prefix = stream.read(16)
        if not prefix:
            raise ImageError(f"{name} is empty (0 bytes); give an encoded picture")
        if not isinstance(prefix, bytes):
            raise ImageError(f"{name} is open as text; open it in binary mode ('rb')")
        # the common formats, then all
        for register in (_register_heic, Image.preinit, Image.init)[not _is_heic(prefix) :]:
            register()
            for format_name in [f for f in Image.ID if f not in tried]:
                tried.add(format_name)
                factory, accepts = Image.OPEN[format_name]
                accepted = accepts(prefix) if accepts else True
                if not accepted or isinstance(accepted, str) or format_name in _REFUSED_FORMATS:
                    continue
                stream.seek(0)
                try:
                    return factory(stream, "")
                except (SyntaxError, IndexError, TypeError, struct.error) as error:
                    _log.debug("%s is not %s: %s", name, format_name, error)
    except ImageError:
        raise
    except Exception as error:  # whatever a broken header makes a plugin raise
        raise ImageError(
            f"{name} is not a readable picture: {_reason(error)}; export or download it again"
        ) from error
    hint = "HEIC needs the package pillow-heif; " if _is_heic(prefix) else ""
    raise ImageError(
        f"{name} is not a picture in a known format; {hint}"
        "give a JPEG, PNG, WebP, TIFF, AVIF, GIF or BMP"
    )


def _is_heic(prefix: bytes) -> bool:
    return prefix[4:8] == b"ftyp" and prefix[8:12] in _HEIC_BRANDS


def _register_heic() -> None:
    with contextlib.suppress(ModuleNotFoundError):  # an optional package
        import pillow_heif

        pillow_heif.register_heif_opener()


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


def _shallow(
    part: Image.Image, transform: ColorTransform | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Colour and alpha of a strip of 8 bits per channel or less."""
    alpha = None
    if has_alpha(part):
        if part.mode == "La":
            part = part.convert("LA")
        part = part.convert("RGBA")
        alpha = np.asarray(part.getchannel("A"))[:, :, None]
        part = part.convert("RGB")
    part = transform.apply(part) if transform else part.convert("RGB")
    return np.asarray(part), alpha


def _deep(
    part: Image.Image, transform: ColorTransform | None, scale: _DeepScale, name: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Colour and alpha of a strip of 16-bit, 32-bit or floating point grey."""
    values = np.asarray(part)
    key = part.info.get("transparency")
    alpha = None
    if isinstance(key, int):
        alpha = (values != key).astype(np.float32)[:, :, None]
    if part.mode == "F":
        grey = float_pixels(values, name)
    else:
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > scale.white:
            raise ImageError(
                f"{name} has integer values from {low} to {high}, expected 0 to {scale.white}; "
                "rescale it to 16 bits"
            )
        grey = values.astype(np.float32) / np.float32(scale.white)
    if scale.inverted:
        grey = 1 - grey
    return (transform.apply_grey(grey) if transform else grey[:, :, None]), alpha


def _deep_scale(image: Image.Image) -> _DeepScale:
    tags = getattr(image, "tag_v2", None) or {}  # only a TIFF has them
    bits = tags.get(ExifTags.Base.BitsPerSample)
    return _DeepScale(
        white=4095 if bits in (12, (12,)) else 65535,
        inverted=tags.get(ExifTags.Base.PhotometricInterpretation) == 0,
    )


def _reason(error: BaseException) -> str:
    """An exception in one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
