"""Animated GIFs, frame by frame: of each only what changed is written, and colours come of a palette that stays.

H, W size of a frame
"""

from __future__ import annotations

from fractions import Fraction
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import GifImagePlugin, Image

from hfstyle.film.errors import VideoError

__all__ = ["GifWriter"]

_LONGEST_SIDE: Final = 65_535
_TICKS: Final = 100  # of GIF, in a second
_SHORTEST: Final = 2  # ticks: browsers show shorter ones as 10
_COLORS: Final = 255  # one more stands for "as before"
_FIRST: Final = 8  # frames from which the first palette is made
_WORSE: Final = 1.6  # times the mean error, from which on a frame needs a palette of its own
_LEAST_ERROR: Final = 2.5  # of 255, a mean error that is hardly seen
# Ordered dithering: what stays the same from frame to frame looks the same, which diffused errors do not.
_BAYER: Final = (
    np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.float32) / 16
    - 15 / 32
) * 20


class GifWriter:
    """Frames -> a GIF that plays for ever.

    Args:
        stream: opened for writing bytes.
        size: (W, H).
        comment: in the file's head.
    """

    def __init__(
        self, stream: IO[bytes], size: tuple[int, int], comment: str | None = None
    ) -> None:
        if max(size) > _LONGEST_SIDE:
            raise VideoError(f"{size[0]} x {size[1]} px do not fit into GIF; give a smaller size")
        self._stream, self._size, self._comment = stream, size, comment
        self._early: list[tuple[NDArray[np.uint8], Fraction]] = []
        self._palette: Image.Image | None = None
        self._usual = 0.0
        self._shown: NDArray[np.uint8] | None = None  # (H, W, 3), what viewers see
        self._held: tuple[Image.Image, tuple[int, int], Fraction] | None = None
        width, height = size
        self._pattern = np.tile(_BAYER, (-(-height // 4), -(-width // 4)))[:height, :width, None]

    def add(self, rgb: NDArray[np.uint8], time: Fraction, duration: Fraction | None = None) -> None:
        """rgb (H, W, 3) is shown from `time` in seconds until the next; of more than 50 a second, some are left out."""
        if self._palette is None:
            self._early.append((rgb, time))
            if len(self._early) == _FIRST:
                self._begin()
            return
        self._put(rgb, time)

    def close(self, end: Fraction, *, whole: bool = True) -> None:
        """The last frame is shown until `end`, in seconds."""
        if self._palette is None:
            self._begin()
        self._flush(end)
        self._stream.write(b";")

    def _begin(self) -> None:
        """The palette of the first frames, and these themselves."""
        small = [np.asarray(Image.fromarray(rgb).resize((64, 64))) for rgb, _ in self._early]
        self._palette = _palette(np.concatenate(small))
        header = Image.new("P", self._size)
        header.putpalette(self._palette.getpalette() or [])
        # Version 89a, no global palette: a palette is written with a frame, where it is known.
        width, height = self._size
        self._stream.write(b"GIF89a" + width.to_bytes(2, "little") + height.to_bytes(2, "little"))
        self._stream.write(bytes((0x70, 0, 0)))
        self._stream.write(b"!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")
        if self._comment is not None:
            told = self._comment.encode("ascii", "replace")[:255]  # of one block
            self._stream.write(b"!\xfe" + bytes((len(told),)) + told + b"\0")
        early, self._early = self._early, []
        for rgb, time in early:
            self._put(rgb, time)

    def _put(self, rgb: NDArray[np.uint8], time: Fraction) -> None:
        assert self._palette is not None
        if self._held is not None and _ticks(self._held[2], time) < _SHORTEST:
            return  # too soon to be shown in its time
        wanted = np.clip(rgb + self._pattern, 0, 255).astype(np.uint8)
        indices, seen = _quantised(wanted, self._palette)
        error = _distance(seen, rgb)
        if self._shown is None:
            self._usual = max(error, _LEAST_ERROR)
        elif error > _WORSE * self._usual:
            self._palette = _palette(np.asarray(Image.fromarray(rgb).resize((128, 128))))
            indices, seen = _quantised(wanted, self._palette)
            self._usual = max(_distance(seen, rgb), _LEAST_ERROR)
        left, top, right, bottom = 0, 0, *self._size
        if self._shown is not None:
            same = (seen == self._shown).all(2)  # (H, W)
            rows, columns = (~same).any(1).nonzero()[0], (~same).any(0).nonzero()[0]
            if not len(rows):
                return  # the one before is shown for longer
            left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
            indices = np.where(same, _COLORS, indices)
        self._flush(time)
        part = Image.fromarray(np.ascontiguousarray(indices[top:bottom, left:right]), "P")
        part.putpalette(self._palette.getpalette() or [])
        self._held = part, (int(left), int(top)), time
        self._shown = seen

    def _flush(self, until: Fraction) -> None:
        """Write the frame that is held, now that it is known for how long it is shown."""
        if self._held is None:
            return
        part, place, since = self._held
        self._held = None
        ticks = max(_SHORTEST, _ticks(since, until))
        options: dict[str, Any] = {
            "duration": min(ticks, 65_535) * 1000 // _TICKS,
            "disposal": 1,
            "transparency": _COLORS,
            "include_color_table": True,
        }
        part.encoderinfo = options
        for block in GifImagePlugin.getdata(part, place, **options):
            self._stream.write(block)


def _ticks(since: Fraction, until: Fraction) -> int:
    """The difference of the rounded times in seconds, so that errors do not add up."""
    return round(until * _TICKS) - round(since * _TICKS)


def _palette(rgb: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(rgb).quantize(_COLORS, Image.Quantize.MEDIANCUT)


def _quantised(
    rgb: NDArray[np.uint8], palette: Image.Image
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(H, W, 3) -> its indices (H, W), and the colours that they stand for (H, W, 3)."""
    made = Image.fromarray(rgb).quantize(palette=palette, dither=Image.Dither.NONE)
    return np.asarray(made), np.asarray(made.convert("RGB"))


def _distance(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Mean difference of two pictures without their dither, of 255."""
    small = (np.asarray(Image.fromarray(x).reduce(4), np.int16) for x in (a, b))
    return float(np.abs(next(small) - next(small)).mean())
