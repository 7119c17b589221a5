"""Animated WebP: its frames by Pillow, with their times, as FFmpeg's libraries do not read it; and XMP, which they do not write.

H, W size of a frame
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from hfstyle.film.errors import VideoError
from hfstyle.images.provenance import Mark, packet

__all__ = ["SHORTEST", "WebpFacts", "is_animation", "mark_webp", "webp_facts", "webp_frames"]

_HEAD: Final = 21  # bytes: RIFF, a length, WEBP, VP8X, a length, flags
_ANIMATED: Final = 0x02
_HAS_XMP: Final = 0x04
SHORTEST: Final = 11
"""Milliseconds of a frame; browsers show what says less for 100."""
_OFTEN: Final = 100


class WebpFacts(NamedTuple):
    """size (W, H); frames; seconds in all."""

    size: tuple[int, int]
    frames: int
    seconds: Fraction


def is_animation(path: Path) -> bool:
    """Whether a file is a WebP that moves, by its head."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    return (
        len(head) == _HEAD
        and (head[:4], head[8:16]) == (b"RIFF", b"WEBPVP8X")
        and bool(head[20] & _ANIMATED)
    )


def webp_facts(path: Path, most_pixels: int) -> WebpFacts:
    """What it is; its frames are decoded for it, as only they say how long they last.

    Raises VideoError for a damaged one, or frames of more than `most_pixels`.
    """
    try:
        with Image.open(path, formats=["WEBP"]) as image:
            size = image.size
            if size[0] * size[1] > most_pixels:
                raise VideoError(
                    f"{path}: frames of {size[0]} x {size[1]} px; the most are {most_pixels / 1e6:.0f} million pixels, "
                    "scale the animation down first"
                )
            count, milliseconds = image.n_frames, 0  # type: ignore[attr-defined]
            for index in range(count):
                image.seek(index)
                image.load()
                milliseconds += _lasting(image)
    except (UnidentifiedImageError, OSError, EOFError, SyntaxError) as error:
        raise VideoError(f"{path} is a damaged WebP") from error
    return WebpFacts(size, count, Fraction(milliseconds, 1000))


def webp_frames(path: Path) -> Iterator[tuple[NDArray[np.uint8], Fraction, Fraction]]:
    """Each frame (H, W, 3), what is transparent over white; when it is shown, and for how long, in seconds."""
    with Image.open(path, formats=["WEBP"]) as image:
        time = Fraction(0)
        for index in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(index)
            rgba = image.convert("RGBA")
            over = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
            lasts = Fraction(_lasting(image), 1000)
            yield np.array(over.convert("RGB")), time, lasts
            time += lasts


def mark_webp(path: str | os.PathLike[str], size: tuple[int, int], mark: Mark) -> None:
    """Say in a WebP of (W, H) how it was made, by an XMP packet as its last chunk (RFC 9649, section 2.7)."""
    xmp = packet(mark)
    chunk = b"XMP " + len(xmp).to_bytes(4, "little") + xmp + bytes(len(xmp) % 2)
    with open(path, "r+b") as file:
        head = file.read(_HEAD)
        extended = head[12:16] == b"VP8X"
        if not extended:  # of one frame, which coders write as a still picture without that chunk
            file.seek(12)
            picture = file.read()
            sides = b"".join((side - 1).to_bytes(3, "little") for side in size)
            file.seek(12)
            file.write(b"VP8X" + (10).to_bytes(4, "little") + bytes(4) + sides + picture)
        file.seek(20)
        file.write(bytes((_HAS_XMP | (head[20] if extended else 0),)))
        file.seek(0, os.SEEK_END)
        file.write(chunk)
        length = file.tell() - 8
        file.seek(4)
        file.write(length.to_bytes(4, "little"))


def _lasting(image: Image.Image) -> int:
    """Milliseconds for which the present frame is shown."""
    told = int(image.info.get("duration", _OFTEN))
    return told if told >= SHORTEST else _OFTEN
