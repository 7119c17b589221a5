"""Internal to `hfstyle.images`: whole numbers of 16 bits of which none is above 255, 1023 or 4095.

Whoever puts a picture of 8, 10 or 12 bits into one of 16 without a factor has written them, and the largest number of so many
bits is meant to be white: with 65535 as white, all of it would be black, or nearly. A picture so dark on purpose shows little
but noise.
"""

from __future__ import annotations

import logging
from typing import Final, NamedTuple, Self

import numpy as np
from PIL import ExifTags, Image

from hfstyle.images.decode import Decoded

__all__ = ["Largest", "largest_in", "largest_of", "tell_unscaled"]

_log = logging.getLogger(__name__)

_WHITES: Final = (255, 1023, 4095)
_USUAL: Final = 65535
_TWELVE: Final = 12  # bits of a TIFF whose white is 4095
_ROWS: Final = 256


class Largest(NamedTuple):
    """The largest numbers of a picture, in colours and in alpha; 0 if it has none of more than 8 bits.

    Above 255 they are bounds, and need not occur.
    """

    color: int = 0
    alpha: int = 0

    @property
    def unscaled(self) -> bool:
        """Whether less than 65535 is white."""
        return 0 < self.color <= _WHITES[-1]

    @property
    def whites(self) -> tuple[int, int]:
        """The numbers that are white, and opaque."""
        if not self.unscaled:
            return _USUAL, _USUAL
        white = next(white for white in _WHITES if self.color <= white)
        return white, white if self.alpha <= white else _USUAL

    def and_of(self, other: Largest) -> Self:
        """Of two parts of a picture."""
        return type(self)(max(self.color, other.color), max(self.alpha, other.alpha))


def largest_in(decoded: Decoded) -> Largest:
    """Of a decoded picture."""
    image, low = decoded.image, decoded.low
    if decoded.values is not None:
        return largest_of(decoded.values, len(image.mode.removesuffix("A")))
    if low is None:
        if not image.mode.startswith("I") or _bits(image) == _TWELVE:
            return Largest()
        tops = range(0, image.height, _ROWS)
        parts = (image.crop((0, top, image.width, min(top + _ROWS, image.height))) for top in tops)
        return Largest(max(int(np.asarray(part).max()) for part in parts))
    if decoded.grey:
        grey, grey_low, alpha, alpha_low = _tops(low)
        return Largest(grey << 8 | grey_low, alpha << 8 | alpha_low)
    numbers = [high << 8 | low for high, low in zip(_tops(image), _tops(low), strict=True)]
    alpha = numbers.pop() if image.mode == "RGBA" else 0
    return Largest(max(numbers), alpha)


def largest_of(pixels: np.ndarray, colors: int) -> Largest:
    """Of (H, W, C), of whose channels the first are colours."""
    if pixels.dtype != np.uint16 or not pixels.size:
        return Largest()
    alpha = pixels[:, :, colors:]
    return Largest(int(pixels[:, :, :colors].max()), int(alpha.max()) if alpha.size else 0)


def tell_unscaled(name: str, largest: Largest) -> None:
    """A warning, if less than 65535 is taken for white."""
    if largest.unscaled:
        _log.warning(
            "%s has more than 8 bits and no value above %d; %d is taken to be white; if it is to be that dark, give it "
            "as floating point numbers in [0, 1]",
            name,
            largest.color,
            largest.whites[0],
        )


def _tops(image: Image.Image) -> list[int]:
    """The largest level of each channel."""
    return [int(top) for _, top in image.getextrema()]  # type: ignore[misc]


def _bits(image: Image.Image) -> int | None:
    tags = getattr(image, "tag_v2", None) or {}  # only a TIFF has them
    bits = tags.get(ExifTags.Base.BitsPerSample)
    return bits[0] if isinstance(bits, tuple) else bits
