"""A photo and its painting as a film: a line passes forth and back between the two."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from hfstyle.film.errors import VideoError
from hfstyle.film.read import Frame
from hfstyle.film.write import Form, save_film
from hfstyle.images.decode import ImageError
from hfstyle.images.provenance import mark_of
from hfstyle.limits import check_callback, check_int

__all__ = ["divided", "save_before_after"]

_RATE: Final = 15  # frames per second
_BEYOND: Final = 1.18  # half widths that the line goes to either side: at its ends it rests
_LINE: Final = 1 / 160  # of the short side, width of the line
_SUFFIXES: Final = (".gif", ".mp4", ".webm", ".webp")
_SIZES: Final = (16, 2160)
_SECONDS: Final = (1.0, 30.0)


def save_before_after(
    before: Image.Image,
    after: Image.Image,
    path: str | os.PathLike[str],
    *,
    size: int = 512,
    seconds: float = 4.0,
    quality: int = 75,
    progress_callback: Callable[[int, int], None] | None = None,
) -> None:
    """Write a photo and its painting as a film that can be looped: on the left of a moving line the photo, on the right the painting.

    It begins with half of each, so that its first picture shows both.

    Args:
        before, after: of one size, from 16 px; transparency is left out. A film of what a pipeline painted says so, see the
            pipeline's `provenance`.
        path: .gif, .mp4, .webm or .webp, which is replaced.
        size: short side of the film in px, 16 to 2160; smaller pictures stay as they are.
        seconds: for one way forth and back, 1 to 30.
        quality: 1 to 100; not of GIF.
        progress_callback: called as `progress_callback(done, total)` after each frame; what it raises ends the work, and no
            file is written.

    Raises:
        ImageError: pictures of different sizes, an unknown suffix, or the file cannot be written.
        ModuleNotFoundError: without the package av, of hfstyle[video], for all but .gif.
        ValueError: a number out of range.
    """
    target = Path(path)
    check_callback(progress_callback)
    if target.suffix.lower() not in _SUFFIXES:
        raise ImageError(
            f"{target} has the suffix {target.suffix!r}; before and after are written as {', '.join(_SUFFIXES)}"
        )
    if before.size != after.size or min(before.size) < _SIZES[0]:
        sizes = " and ".join(f"{w} x {h} px" for w, h in (before.size, after.size))
        raise ImageError(f"the pictures have {sizes}; give two of one size, from {_SIZES[0]} px")
    check_int("size", size, *_SIZES)
    if not _SECONDS[0] <= seconds <= _SECONDS[1]:
        raise ValueError(f"seconds is {seconds}; it must lie in [{_SECONDS[0]:g}, {_SECONDS[1]:g}]")
    count = round(seconds * _RATE)
    left, right = (_reduced(picture.convert("RGB"), size) for picture in (before, after))

    def frames() -> Iterator[Frame]:
        for index in range(count):
            share = 0.5 - 0.5 * _BEYOND * math.sin(2 * math.pi * index / count)
            rgb = np.asarray(divided(left, right, min(1.0, max(0.0, share))))
            yield Frame(rgb, Fraction(index, _RATE), Fraction(1, _RATE))
            if progress_callback is not None:
                progress_callback(index + 1, count)

    form = Form(quality=quality, rate=Fraction(_RATE), mark=mark_of(after) or mark_of(before))
    try:
        save_film(frames(), target, form)
    except VideoError as error:
        raise ImageError(str(error)) from error


def _reduced(picture: Image.Image, size: int) -> Image.Image:
    scale = min(1.0, size / min(picture.size))
    width, height = (round(side * scale) for side in picture.size)
    if (width, height) == picture.size:
        return picture
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def divided(left: Image.Image, right: Image.Image, share: float) -> Image.Image:
    """Of the left picture that share of the width, then a white line, then the right one; both RGB, of one size."""
    width, height = left.size
    place = round(share * width)
    both = right.copy()
    both.paste(left.crop((0, 0, place, height)), (0, 0))
    if 0 < place < width:
        half = max(1, round(min(width, height) * _LINE / 2))
        both.paste((255, 255, 255), (max(0, place - half), 0, min(width, place + half), height))
    return both
