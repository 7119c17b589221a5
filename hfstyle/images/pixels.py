"""Internal to `hfstyle.images`: the pixels of a decoded Pillow image of any mode, in sRGB.

Pixels leave here in strips of rows, so that beside Pillow's own buffer and the caller's result only a
few megabytes are ever in use, whatever the mode of the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from PIL import ExifTags, Image

from hfstyle.images.decode import Decoded, ImageError
from hfstyle.images.primaries import NumberedColors
from hfstyle.images.profiles import ColorTransform, color_transform
from hfstyle.images.unscaled import Largest
from hfstyle.messages import short_reason

Transform: TypeAlias = ColorTransform | NumberedColors

_STRIP_PIXELS = 1 << 20
_DEEP_MODES: Final = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_SAMPLE_FORMAT: Final = 339
_SIGNED: Final = 2
_FLOAT_SLACK: Final = 1e-4  # rounding in the caller's arithmetic, not a range of its own


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


def has_alpha(image: Image.Image) -> bool:
    """Whether a decoded Pillow image has an alpha channel, alpha palette or transparent colour."""
    if image.mode == "P" and image.palette is None:  # a damaged icon
        return "transparency" in image.info
    return image.has_transparency_data


def has_8_bits(decoded: Decoded) -> bool:
    """Whether the channels of a picture have 256 levels or fewer, or are converted as if they had."""
    image = decoded.image
    if decoded.values is not None:
        return decoded.values.dtype == np.uint8 or image.mode == "CMYK"
    return image.mode not in _DEEP_MODES and (decoded.low is None or image.mode == "CMYK")


def pil_strips(decoded: Decoded, name: str, largest: Largest) -> Iterator[Strip]:
    """The pixels of a decoded picture of any mode, in the rows it stores, converted to sRGB.

    largest: of the whole picture, if this is a part of one.
    """
    image = decoded.image
    transform = color_transform(image, name, decoded.colors)
    deep = _deep_scale(image, largest) if image.mode in _DEEP_MODES else None
    width, height = decoded.size
    for top, bottom in strip_bounds(height, width):
        box = (0, top, width, bottom)
        try:
            if decoded.values is not None:
                yield Strip(
                    top, *_values(decoded.values[top:bottom], image.mode, transform, largest, name)
                )
                continue
            part = image.crop(box)
            if decoded.low is not None:
                low = decoded.low.crop(box)
                yield Strip(top, *_sixteen_bits(part, low, decoded.grey, transform, largest))
            elif deep is None:
                yield Strip(top, *_shallow(part, transform))
            else:
                yield Strip(top, *_deep(part, transform, deep, name))
        except ImageError:
            raise
        except Exception as error:
            raise ImageError(
                f"{name} has mode {image.mode!r}, which cannot be converted to RGB: {short_reason(error)}; "
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


def _shallow(
    part: Image.Image, transform: Transform | None
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


def _sixteen_bits(
    high: Image.Image,
    low: Image.Image,
    grey: bool,
    transform: Transform | None,
    largest: Largest,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Colour and alpha of a strip of 16-bit colours, given by their higher and lower bytes (see `Decoded`)."""
    if grey:
        both = np.asarray(low).astype(np.uint16)  # (h, W, 4)
        values = both[:, :, ::2] << 8 | both[:, :, 1::2]  # (h, W, 2), grey and alpha
        return _deep_values(values, "LA", transform, largest)
    values = np.asarray(high).astype(np.uint16) << 8 | np.asarray(low)  # (h, W, C)
    color, alpha = _deep_values(values, high.mode, transform, largest)
    key = low.info.get("transparency")
    if alpha is None and isinstance(key, tuple):
        alpha = (values != np.array(key)).any(-1, keepdims=True).astype(np.float32)
    return color, alpha


def _values(
    values: np.ndarray, mode: str, transform: Transform | None, largest: Largest, name: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Colour and alpha of a strip that is an array (see `Decoded`)."""
    if values.dtype == np.uint8:
        size = values.shape[1::-1]
        return _shallow(Image.frombuffer(mode, size, np.ascontiguousarray(values)), transform)
    if values.dtype.kind == "f":
        values = float_pixels(values, name)
    return _deep_values(values, mode, transform, largest)


def _deep_values(
    values: np.ndarray, mode: str, transform: Transform | None, largest: Largest
) -> tuple[np.ndarray, np.ndarray | None]:
    """Colour and alpha of (h, W, C), uint16 or float32 in [0, 1], in the channels of a mode of Pillow."""
    whites = largest.whites if values.dtype == np.uint16 else (1, 1)
    count = len(mode.removesuffix("A"))
    color = values[:, :, :count] / np.float32(whites[0])
    alpha = values[:, :, -1:] / np.float32(whites[1]) if mode.endswith("A") else None
    if count == 1:
        return (transform.apply_grey(color[:, :, 0]) if transform else color), alpha
    if transform is None and mode != "CMYK":
        return color, alpha
    if isinstance(transform, NumberedColors):
        return transform.convert(color), alpha
    # Profiles and inks are converted in 8 bits.
    levels = np.rint(255 * color).astype(np.uint8)
    part = Image.frombytes(mode.removesuffix("A"), values.shape[1::-1], levels.tobytes())
    return np.asarray(transform.apply(part) if transform else part.convert("RGB")), alpha


def _deep(
    part: Image.Image, transform: Transform | None, scale: _DeepScale, name: str
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


def _deep_scale(image: Image.Image, largest: Largest) -> _DeepScale:
    tags = getattr(image, "tag_v2", None) or {}  # only a TIFF has them
    bits = tags.get(ExifTags.Base.BitsPerSample)
    bits = bits[0] if isinstance(bits, tuple) else bits
    signed = set(_as_tuple(tags.get(_SAMPLE_FORMAT))) == {_SIGNED}
    white = 4095 if bits == 12 else 32767 if signed and bits == 16 else 65535
    if largest.unscaled:
        white = largest.whites[0]
    return _DeepScale(white=white, inverted=tags.get(ExifTags.Base.PhotometricInterpretation) == 0)


def _as_tuple(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value,)


def flattened(
    strip: Strip, keep_alpha: bool, over: np.ndarray, compact: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Colour (h, W, 3 or 1) and, with `keep_alpha`, alpha (h, W, 1) or None: uint8 if `compact`, else float32.

    over: (3,) float32, what is seen through alpha that is not kept.
    """
    color = strip.color
    if strip.alpha is None or keep_alpha:
        alpha = None if strip.alpha is None else as_type(strip.alpha, compact)
        return as_type(color, compact), alpha
    opacity = as_type(strip.alpha, False)
    color = np.clip(as_type(color, False) * opacity + over * (1 - opacity), 0.0, 1.0)
    return as_type(color, compact), None


def as_type(values: np.ndarray, compact: bool) -> np.ndarray:
    """uint8, or float32 in [0, 1], as uint8 if `compact` and as float32 if not."""
    if compact:
        return values if values.dtype == np.uint8 else np.rint(values * 255).astype(np.uint8)
    return values / np.float32(255) if values.dtype == np.uint8 else values
