"""A film's facts and its frames, one after the other: upright RGB of 8 bits, with the time at which each is shown.

H, W size of a frame as it is shown
"""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hfstyle.film.colors import ORDINARY, Colors
from hfstyle.film.container import exact, opened, pictures_of, seek, zero_of
from hfstyle.film.errors import VideoError, load_av
from hfstyle.film.upright import LEAST_SIDE, MOST_PIXELS, Deinterlacer, Shape
from hfstyle.film.webp import is_animation, webp_facts, webp_frames
from hfstyle.limits import check_int, is_number

__all__ = ["FilmFacts", "FilmReader", "Frame", "film_facts", "read_frames"]

_DEFAULT_RATE: Final = Fraction(25)
_AHEAD: Final = (
    0,
    10,
    60,
    1 << 40,
)  # s before a place from which it is read; the last is the beginning
_ALMOST: Final = Fraction(1, 1000)  # s, which rounded times may differ by


@dataclass(frozen=True)
class Frame:
    """One frame.

    rgb: (H, W, 3) uint8, sRGB.
    time: in seconds from the film's beginning (or from `start`).
    duration: in seconds, or None where the film does not say.
    """

    rgb: NDArray[np.uint8]
    time: Fraction
    duration: Fraction | None = None


@dataclass(frozen=True)
class FilmFacts:
    """What a film is, as far as its file says before all of it is read.

    size: (W, H) of the frames that are read: upright, and scaled if that is asked for.
    rate: frames per second on average.
    seconds: from `start` to `end`, or None where the file does not say.
    time_base: in whole numbers of this, in seconds, frames' times are counted.
    pixel_aspect: width of a pixel by its height.
    rotation: by how many degrees, counterclockwise, frames are turned to stand upright: 0, 90, 180 or 270.
    colors: of the frames in the file.
    sound: kinds of the tracks of sound, as "aac".
    """

    name: str
    size: tuple[int, int]
    rate: Fraction
    seconds: float | None
    time_base: Fraction
    pixel_aspect: Fraction
    rotation: int
    colors: Colors
    sound: tuple[str, ...]

    @property
    def frames(self) -> int | None:
        """About how many frames there are; None where the file does not say how long it is."""
        return None if self.seconds is None else max(1, round(self.seconds * self.rate))


@dataclass
class FilmReader:
    """A film that is being read: an iterator of frames, once.

    Args:
        path: of the file.
        start, end: seconds; what is shown from `start` on and before `end` is read, also what is on at `start` already, and
            times begin at `start`.
        size: short side in px to which frames are scaled; None leaves them.
        after: only frames shown later than this, in seconds from `start`, are read; times begin at `start` still. There may
            be none.

    Raises:
        VideoError: no film, a film without frames, a range without frames; the sentence says which.
        FileNotFoundError: no such file.
        ModuleNotFoundError: the package av is absent.
    """

    path: Path
    start: float = 0.0
    end: float | None = None
    size: int | None = None
    after: Fraction | None = None
    faults: list[str] = field(default_factory=list)
    """What was wrong with the part that has been read, a sentence each."""

    def __post_init__(self) -> None:
        for name, time in (("start", self.start), ("end", 0 if self.end is None else self.end)):
            if not is_number(time) or not 0 <= time < math.inf:  # NaN as well
                raise VideoError(f"{name} is {time!r}; give seconds from 0")
        if self.size is not None:
            check_int("size", self.size, LEAST_SIDE, None)
        if self.end is not None and not self.end > self.start:
            raise VideoError(f"end is {self.end} s and start {self.start} s; the end comes later")
        self._damaged, self._heard, self._whole = 0, 0.0, False
        self._seen = False
        self._frames = self._read()
        self.facts: FilmFacts
        self._first: Frame | None = next(self._frames, None)  # makes the facts, too
        if self._first is None and self.after is None:
            raise VideoError(self._nothing())

    def __iter__(self) -> Iterator[Frame]:
        first, self._first = self._first, None
        if first is not None:
            yield first
        yield from self._frames

    def close(self) -> None:
        """Let go of the file; no more frames come."""
        self._frames.close()

    def _nothing(self) -> str:
        if self._beyond:
            return f"{self.path} is {self._length:.2f} s long; start is {self.start} s, give an earlier one"
        if self._seen:
            return f"{self.path} has no pictures after {self.start} s; give an earlier start"
        damaged = ", and its data are damaged" if self._damaged else ""
        return f"{self.path} has no frames that can be read{damaged}"

    def _read(self) -> Generator[Frame, None, None]:
        self._beyond, self._length = False, 0.0
        if is_animation(self.path):
            yield from self._read_webp()
            return
        with opened(self.path) as container:
            stream = pictures_of(container, self.path)
            self._stream = stream
            stream.thread_type = "AUTO"
            zero = zero_of(container)
            length = None if container.duration is None else container.duration / 1_000_000
            self._length = length or 0.0
            if self.start > 0 and length is not None and self.start >= length:
                self._beyond = True
                return
            begin = self.start_exact + (self.after or 0)
            rate = stream.average_rate or stream.guessed_rate or _DEFAULT_RATE
            shape: Shape | None = None
            before: Fraction | None = None
            for frame, time, lasts in self._timed(
                self._from(container, stream, zero, begin), zero, rate
            ):
                if shape is None:
                    shape = Shape.of(frame, stream, self.size, self.path)
                    self.facts = self._facts(container, stream, shape, rate, length)
                before = time
                if self.after is None or time > self.after:
                    yield Frame(shape.rgb(frame), time, lasts)
            if not self._whole:
                self._tell_end(before, rate, length)

    def _read_webp(self) -> Generator[Frame, None, None]:
        """An animated WebP's frames."""
        found = webp_facts(self.path, MOST_PIXELS)
        width, height = found.size
        self._length = float(found.seconds)
        if self.start >= self._length:
            self._beyond = True
            return
        if min(width, height) < LEAST_SIDE:
            raise VideoError(
                f"{self.path}: frames of {width} x {height} px; height and width must be at least {LEAST_SIDE} px"
            )
        scale = 1 if self.size is None else Fraction(self.size, min(width, height))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        stop = self._length if self.end is None else min(self.end, self._length)
        self.facts = FilmFacts(
            name=str(self.path),
            size=size,
            rate=Fraction(found.frames) / found.seconds,
            seconds=stop - self.start,
            time_base=Fraction(1, 1000),
            pixel_aspect=Fraction(1),
            rotation=0,
            colors=ORDINARY,
            sound=(),
        )
        for rgb, at, lasts in webp_frames(self.path):
            time = at - self.start_exact
            if self._stop is not None and time >= self._stop:
                return
            if time < 0:  # what is on at `start` already is shown from there
                time, lasts = Fraction(0), time + lasts
            if self._stop is not None:
                lasts = min(lasts, self._stop - time)
            if lasts <= _ALMOST or (self.after is not None and time <= self.after):
                continue
            if (rgb.shape[1], rgb.shape[0]) != size:
                filter = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
                rgb = np.asarray(Image.fromarray(rgb).resize(size, filter))
            yield Frame(rgb, time, lasts)

    @property
    def start_exact(self) -> Fraction:
        """`start` as the film's times are counted."""
        return exact(self.start)

    @property
    def _stop(self) -> Fraction | None:
        """`end`, counted from `start`."""
        return None if self.end is None else exact(self.end) - self.start_exact

    def _from(self, container: Any, stream: Any, zero: Fraction, begin: Fraction) -> Iterator[Any]:
        """Frames from one that is shown at `begin` or before.

        Where a file does not say where its key frames are, what is found may begin later; then it is looked for further ahead.
        """
        if begin == 0:
            yield from self._decoded(container, stream)
            return
        for ahead in _AHEAD:
            if ahead >= begin or not seek(container, stream, zero + begin - ahead):
                break
            frames = self._decoded(container, stream)
            first = next(frames, None)
            self._damaged = 0  # before the first key frame, nothing can be read
            at = None if first is None else _time_of(first, stream)
            if first is not None and at is not None and at <= zero + begin:
                yield first
                yield from frames
                return
        with opened(self.path) as anew:
            yield from self._decoded(anew, pictures_of(anew, self.path))

    def _decoded(self, container: Any, stream: Any) -> Iterator[Any]:
        """Frames in the order in which they are shown, those of two fields as whole ones; what is damaged is left out."""
        av = load_av()
        fields: Deinterlacer | None = None
        packets = container.demux([stream, *container.streams.audio])
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:  # the file ends in the middle
                self._damaged += 1
                packet = None
            if packet is not None and packet.stream is not stream:
                if packet.pts is not None:  # how far the file goes, though no frame does
                    self._heard = max(self._heard, float(packet.pts * packet.time_base))
                continue
            try:
                frames = stream.decode(packet)
            except av.error.EOFError:
                frames = []
            except av.error.FFmpegError:
                self._damaged += 1
                frames = []
            for frame in frames:
                if fields is None and frame.interlaced_frame:
                    fields = Deinterlacer(stream)
                yield from [frame] if fields is None else fields.add(frame)
            if packet is None:
                break
        if fields is not None:
            yield from fields.rest()

    def _timed(
        self, frames: Iterator[Any], zero: Fraction, rate: Fraction
    ) -> Iterator[tuple[Any, Fraction, Fraction | None]]:
        """Frames from `start` to `end`, when each is shown and for how long; the first may be on already at `start`."""
        early: tuple[Any, Fraction] | None = None  # the one before `start`, and when it ends
        at = before = None
        for frame in frames:
            self._seen = True
            told = _time_of(frame, self._stream)
            at = told if told is not None else zero if at is None else at + 1 / rate
            time, lasts = at - zero - self.start_exact, _duration_of(frame, self._stream)
            if self._stop is not None and time >= self._stop:
                self._whole = True
                break
            if time < 0 and self.start > 0:
                early = frame, time + (lasts or 1 / rate)
                continue
            time = max(time, Fraction(0))
            if before is not None and time <= before:
                continue  # a time told twice: two frames cannot be shown at once
            if early is not None and time > _ALMOST:
                yield early[0], Fraction(0), time
            early, before = None, time
            if self._stop is not None:
                lasts = min(lasts or 1 / rate, self._stop - time)
            yield frame, time, lasts
        if early is not None:
            until = early[1] if self._stop is None else min(early[1], self._stop)
            if self._whole and self._stop is not None:
                until = self._stop
            if until > _ALMOST:
                yield early[0], Fraction(0), until

    def _facts(
        self, container: Any, stream: Any, shape: Shape, rate: Fraction, length: float | None
    ) -> FilmFacts:
        base = Fraction(stream.time_base)
        if (
            self.start_exact / base
        ).denominator != 1:  # a part that begins between two of its ticks
            base = Fraction(1, 90_000)
        stop = self.end if length is None else min(length, self.end or length)
        sound = tuple(s.codec_context.name for s in container.streams.audio if s.codec_context)
        return FilmFacts(
            name=str(self.path),
            size=shape.size,
            rate=Fraction(rate),
            seconds=None if stop is None else max(0.0, stop - self.start),
            time_base=base,
            pixel_aspect=shape.pixel_aspect,
            rotation=shape.rotation,
            colors=shape.colors,
            sound=sound,
        )

    def _tell_end(self, last: Fraction | None, rate: Fraction, length: float | None) -> None:
        if self._damaged:
            places = "a place" if self._damaged == 1 else f"{self._damaged} places"
            self.faults.append(
                f"{self.path} is damaged in {places}; what cannot be read is left out"
            )
        if last is None or length is None:
            return
        reached = max(float(last + 1 / rate) + self.start, self._heard)
        expected = length if self.end is None else min(length, self.end)
        if reached < expected - max(0.5, 4 / float(rate)):
            self.faults.append(
                f"{self.path} breaks off after {reached:.2f} s of {expected:.2f} s; the rest is missing"
            )


def film_facts(path: str | os.PathLike[str]) -> FilmFacts:
    """What a film is, from its head and first frame. Raises as `FilmReader`."""
    reader = FilmReader(Path(path))
    reader.close()
    return reader.facts


def read_frames(
    path: str | os.PathLike[str],
    *,
    start: float = 0.0,
    end: float | None = None,
    size: int | None = None,
) -> FilmReader:
    """A film's frames, one after the other, and its `facts`; arguments and errors as of `FilmReader`."""
    return FilmReader(Path(path), start, end, size)


def _time_of(frame: Any, stream: Any) -> Fraction | None:
    ticks = frame.pts if frame.pts is not None else frame.dts
    return None if ticks is None else Fraction(ticks) * (frame.time_base or stream.time_base)


def _duration_of(frame: Any, stream: Any) -> Fraction | None:
    ticks = frame.duration
    return Fraction(ticks) * (frame.time_base or stream.time_base) if ticks else None
