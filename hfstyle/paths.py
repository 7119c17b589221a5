"""A path from style to style: its codes, and the pictures along it as an animation, GIF or MP4."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image

from hfstyle.images import ImageError
from hfstyle.models.layers import ColorTransfer
from hfstyle.style import StyleCode

__all__ = ["ffmpeg_program", "save_animation", "style_path"]

_FFMPEG_SECONDS: Final = 600
_SPREAD: Final = ColorTransfer.WIDTH - 3
"""Numbers at the end of a code's vector: the root of the covariance of its colours."""
_FAINT: Final = 0.1  # deviation of colour from which on changes count by their ratio
_ALIKE: Final = 0.25  # change of the logarithm of the spread that needs no easing


def style_path(
    codes: Sequence[StyleCode], steps: int = 11, *, close: bool = False
) -> list[StyleCode]:
    """Codes along straight lines from each style to the next, spaced so that pictures move evenly.

    From a grey style to a colourful one the first steps are shorter: to the eye, a little colour is much on grey.

    Args:
        codes: at least 2, of one encoder.
        steps: number of codes, first and last included; at least one for each style.
        close: go back from the last to the first, which is not repeated.

    Raises:
        ValueError: fewer than 2 codes, or too few steps.
        StyleCodeError: codes of different encoders.
    """
    if len(codes) < 2:
        raise ValueError(f"a path needs at least 2 styles, got {len(codes)}")
    if steps < len(codes):
        raise ValueError(f"steps is {steps} for {len(codes)} styles; give at least {len(codes)}")
    stops = [*codes, codes[0]] if close else list(codes)
    length = len(stops) - 1
    path = []
    for step in range(steps):
        place = length * step / (steps if close else steps - 1)
        index = min(int(place), length - 1)
        first, second = stops[index], stops[index + 1]
        path.append(first.toward(second, _eased(first, second, place - index)))
    return path


def _eased(first: StyleCode, second: StyleCode, share: float) -> float:
    """The amount, in [0, 1], after which this share of the way is behind the eye: half by the line, half by colour."""
    ways = torch.linspace(0, 1, 513)
    roots = torch.stack([code.vector[-_SPREAD:] for code in (first, second)]).float()
    mixed = torch.lerp(roots[0], roots[1], ways[:, None])
    seen = torch.log1p(mixed[:, 1:].norm(dim=1) / _FAINT)  # all but lightness by itself
    travelled = torch.cat((seen.new_zeros(1), seen.diff().abs().cumsum(0)))
    if share in (0, 1) or travelled[-1] < _ALIKE:
        return share
    behind = (ways + travelled / travelled[-1]) / 2
    return float(np.interp(share, behind.numpy(), ways.numpy()))


def save_animation(
    images: Sequence[Image.Image],
    path: str | Path,
    *,
    frames_per_second: float = 8,
    swing: bool = True,
) -> None:
    """Write pictures of one size as .gif, or through ffmpeg as .mp4 (H.264, sides cropped to even numbers).

    Args:
        images: at least 2.
        path: the file, which is replaced.
        frames_per_second: from 0.1 to 50.
        swing: play forth and back, so that a loop has no jump.

    Raises:
        ImageError: fewer than 2 pictures, pictures of different sizes, an unknown suffix, or the file cannot be written.
        FileNotFoundError: .mp4 without ffmpeg, as `ffmpeg_program`.
        ValueError: `frames_per_second` out of range.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in (".gif", ".mp4"):
        raise ImageError(f"{target} has the suffix {target.suffix!r}; animations are .gif or .mp4")
    if len(images) < 2 or len({image.size for image in images}) > 1:
        raise ImageError(f"{len(images)} pictures; give at least 2, all of one size")
    if not 0.1 <= frames_per_second <= 50:
        raise ValueError(f"frames_per_second is {frames_per_second}; it must lie in [0.1, 50]")
    frames = [image.convert("RGB") for image in images]
    frames += frames[-2:0:-1] if swing else []
    if not target.parent.is_dir():
        raise ImageError(f"{target}: there is no folder {target.parent}; create it")
    if suffix == ".mp4":
        _write_mp4(frames, target, frames_per_second)
    else:
        _write_gif(frames, target, frames_per_second)


def ffmpeg_program() -> str:
    """The program that writes .mp4: ffmpeg on this machine, else the one inside the package imageio-ffmpeg.

    Raises FileNotFoundError if there is neither.
    """
    program = shutil.which("ffmpeg")
    if program is not None:
        return program
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ModuleNotFoundError, RuntimeError):  # no package, or a package without its program
        raise FileNotFoundError(
            "MP4 needs the program ffmpeg, which is not installed; install it, or the package that "
            "brings it along (pip install 'hfstyle[video]'), or write a .gif instead"
        ) from None


def _write_gif(frames: Sequence[Image.Image], target: Path, frames_per_second: float) -> None:
    """One palette for all frames, so that what stays the same does not flicker."""
    step = max(1, len(frames) // 8)
    wall = Image.fromarray(np.concatenate([np.asarray(f.resize((64, 64))) for f in frames[::step]]))
    palette = wall.quantize(256, Image.Quantize.MEDIANCUT)
    dithered = [f.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for f in frames]
    dithered[0].save(
        target,
        save_all=True,
        append_images=dithered[1:],
        duration=max(20, round(1000 / frames_per_second)),
        loop=0,
        optimize=False,
    )


def _write_mp4(frames: Sequence[Image.Image], target: Path, frames_per_second: float) -> None:
    program = ffmpeg_program()
    width, height = (side // 2 * 2 for side in frames[0].size)
    if min(width, height) < 2:
        raise ImageError(f"{target}: {frames[0].size} px are too small for a film")
    raw = b"".join(frame.crop((0, 0, width, height)).tobytes() for frame in frames)
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    source += ["-r", str(frames_per_second), "-i", "-"]
    film = ["-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p", "-movflags", "+faststart"]
    done = subprocess.run(
        [program, "-y", "-loglevel", "error", *source, *film, str(target)],
        input=raw,
        capture_output=True,
        timeout=_FFMPEG_SECONDS,
        check=False,
    )
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise ImageError(f"{target} cannot be written: {reason[-1] if reason else 'ffmpeg failed'}")
