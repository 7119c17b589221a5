"""Pictures one after the other, as a GIF or an MP4."""

from __future__ import annotations

from collections.abc import Sequence
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
from hfstyle.limits import OPTIONS, flags_checked

__all__ = ["save_animation"]

_FPS: Final = OPTIONS["fps"]


@flags_checked
def save_animation(
    images: Sequence[Image.Image],
    path: str | Path,
    *,
    frames_per_second: float = _FPS.default,
    swing: bool = True,
) -> None:
    """Write pictures of one size as .gif, or .mp4 (H.264, sides cropped to even numbers), as films are written.

    Args:
        images: at least 2.
        path: the file, which is replaced.
        frames_per_second: from 0.1 to 50.
        swing: play forth and back, so that a loop has no jump.

    Raises:
        ImageError: fewer than 2 pictures, pictures of different sizes, an unknown suffix, or the file cannot be written.
        ModuleNotFoundError: .mp4 without the package av, of hfstyle[video].
        ValueError: `frames_per_second` out of range.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in (".gif", ".mp4"):
        raise ImageError(f"{target} has the suffix {target.suffix!r}; animations are .gif or .mp4")
    if len(images) < 2 or len({image.size for image in images}) > 1:
        raise ImageError(f"{len(images)} pictures; give at least 2, all of one size")
    least, most = _FPS.offered
    if not least <= frames_per_second <= most:
        raise ValueError(
            f"frames_per_second is {frames_per_second}; it must lie in [{least}, {most}]"
        )
    frames = [image.convert("RGB") for image in images]
    frames += frames[-2:0:-1] if swing else []
    rate = Fraction(frames_per_second).limit_denominator(1000)
    shown = (Frame(np.asarray(rgb), i / rate, 1 / rate) for i, rgb in enumerate(frames))
    try:
        save_film(shown, target, Form(rate=rate, mark=mark_of(images[0])))
    except VideoError as error:
        raise ImageError(str(error)) from error
