"""A film in, the painted film out: frame after frame, as an iterator or into a file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Unpack

from hfstyle import __version__
from hfstyle.film.errors import VideoError
from hfstyle.film.keyframes import Keyframe, Score, parse_keyframes
from hfstyle.film.read import FilmFacts, FilmReader, Frame
from hfstyle.film.segments import Memory, Segments
from hfstyle.film.sound import Sound
from hfstyle.film.steady import Layers, SteadyPainter
from hfstyle.film.write import SUFFIXES, Form, check_form, codec_of, save_film, shown_in
from hfstyle.limits import (
    DEFAULT_STYLE_SIZE,
    Numbers,
    all_numbers,
    as_share,
    check_callback,
    check_int,
    check_resolution,
    check_style_size,
    flags_checked,
    working_size,
)

if TYPE_CHECKING:
    from hfstyle.pipeline import StyleTransferPipeline

__all__ = ["PaintedFilm", "stylize_video"]

_SEGMENT: Final = Fraction(4)  # s of film in a segment
_LEAST_SIDE: Final = 16

Progress = Callable[[int, int | None], None]


def stylize_video(
    pipe: StyleTransferPipeline,
    source: str | os.PathLike[str],
    style: object = None,
    strength: float = 1.0,
    *,
    keyframes: str | Sequence[Keyframe] = (),
    style_size: int = DEFAULT_STYLE_SIZE,
    processing_resolution: int | Literal["auto", "full"] | None = "auto",
    output_size: int | None = None,
    start: float = 0.0,
    end: float | None = None,
    layers: Layers | None = None,
    **numbers: Unpack[Numbers],
) -> PaintedFilm:
    """A film that is painted as it is read.

    Args:
        pipe: paints. One of `from_onnx` paints frames by themselves and blends them (the third of `layers`).
        source: the file of a film.
        style: whatever may be the style of the pipeline's call; may be left out where `keyframes` begin with one.
        strength, numbers (color, faces, outlines): in [0, 1], as of the pipeline's call.
        keyframes: styles, strengths and the other numbers along the way, or a line of them (`parse_keyframes`); their times
            count from `start`.
        style_size: as of the pipeline's call.
        processing_resolution: short side in px, from 64, at which frames are painted; they are brought back to their size
            with their own fine detail. "full" paints at their size; "auto" too, but at most at 1080 px.
        output_size: short side in px of the painted film, from 16; None is that of the film.
        start, end: in seconds; None is the film's end.
        layers: what keeps frames alike; None is all.

    Raises:
        VideoError: no film, or an argument out of range; a sentence says which.
        ImageError, StyleCodeError: a style that cannot be used.
        ValueError: another argument out of range.
        FileNotFoundError: no such file.
        ModuleNotFoundError: the packages of hfstyle[video] are absent.
    """
    ready = parse_keyframes(keyframes) if isinstance(keyframes, str) else list(keyframes)
    size = check_style_size(style_size)
    score = Score(
        ready,
        lambda given: pipe.encode_style(given, style_size=size),  # type: ignore[arg-type]
        style,
        as_share("strength", strength),
        all_numbers(numbers),
    )
    if output_size is not None:
        check_int("output_size", output_size, _LEAST_SIDE, None)
    if layers is not None and not isinstance(layers, Layers):
        raise VideoError(f"layers is {layers!r}; give hfstyle.film.Layers(...)")
    asked = _Asked(
        Path(source),
        start,
        end,
        output_size,
        check_resolution(processing_resolution),
        layers or Layers(),
    )
    return PaintedFilm(pipe, score, asked)


@dataclass(frozen=True)
class _Asked:
    """What is painted, and how."""

    source: Path
    start: float
    end: float | None
    output_size: int | None
    resolution: int | str | None
    layers: Layers

    def reader(self, after: Fraction | None = None) -> FilmReader:
        return FilmReader(self.source, self.start, self.end, self.output_size, after)


class PaintedFilm:
    """The frames of a film, painted one after the other: an iterator of `Frame`s, or `save` writes them.

    Made by `stylize_video`, or `StyleTransferPipeline.video`.
    """

    def __init__(self, pipe: StyleTransferPipeline, score: Score, asked: _Asked) -> None:
        self._pipe, self._score, self._asked = pipe, score, asked
        self._reader = asked.reader()
        self._fresh = True
        self.facts: FilmFacts = self._reader.facts
        """What the film is; sizes are those of the painted frames."""
        self.cuts = 0
        """Cuts from scene to scene that were met so far."""

    @property
    def faults(self) -> list[str]:
        """What was wrong with the part of the film that has been read, a sentence each."""
        return self._reader.faults

    def __iter__(self) -> Iterator[Frame]:
        """Painted frames from the first on; each time anew."""
        return self._painted(self._painter(), self._read())

    @flags_checked
    def save(
        self,
        path: str | os.PathLike[str],
        *,
        codec: str | None = None,
        quality: int = 75,
        sound: bool = True,
        overwrite: bool = True,
        resume: bool = False,
        provenance: bool = True,
        progress_callback: Progress | None = None,
    ) -> None:
        """Paint the film into a file, with its sound, in memory that does not grow with its length.

        The file has its name when it is whole. Ctrl-C ends it where it is, playable; a process that is killed leaves nothing
        under that name.

        Args:
            path: .mp4, .m4v, .mov, .mkv, .webm, or .gif and animated .webp, which have no sound.
            codec: "h264", "vp9" or "av1"; None is the usual one of the suffix.
            quality: 1 to 100.
            sound: False leaves the sound out.
            overwrite: replace a file that is there.
            resume: write in segments of 4 s into a folder PATH.parts, go on after those that an earlier run left there, and
                remove it at the end.
            provenance: say in the file's comment, of a WebP in its XMP, how it was made, as of the pipeline's call.
            progress_callback: called as `progress_callback(done, total)` after each frame; the total is an estimate, or None.

        Raises:
            VideoError, ImageError: the file cannot be written so.
            ModuleNotFoundError: a package is absent.
        """
        target = Path(path)
        check_callback(progress_callback)
        if target.exists() and target.resolve() == self._asked.source.resolve():
            raise VideoError(f"{target} is the film itself; give another name for the painted one")
        form = self.form(codec=codec, quality=quality, sound=sound, provenance=provenance)
        check_form(target, form)
        if target.exists() and not overwrite:
            raise VideoError(f"{target} exists already; choose another name or allow overwriting")
        told = _Told(progress_callback, self.facts.frames)
        if resume:
            self._save_in_segments(target, form, told)
            return
        frames = self._painted(self._painter(), self._read())
        save_film(frames, target, form, overwrite=overwrite, progress_callback=told.step)

    @flags_checked
    def form(
        self,
        *,
        codec: str | None = None,
        quality: int = 75,
        sound: bool = True,
        provenance: bool = True,
    ) -> Form:
        """How `save` writes, for `save_film` of these frames; the arguments are those of `save`."""
        asked, facts = self._asked, self.facts
        return replace(
            Form.like(facts),
            codec=codec,
            quality=quality,
            sound=Sound(asked.source, asked.start, asked.end) if sound and facts.sound else None,
            mark=self._pipe.mark if provenance else None,
        )

    def _painter(self) -> SteadyPainter:
        resolution = working_size(self._asked.resolution, min(self.facts.size), enlarge=False)
        return SteadyPainter(
            self._pipe, layers=self._asked.layers, processing_resolution=resolution
        )

    def _read(self, after: Fraction | None = None) -> Iterator[Frame]:
        """The film's own frames shown after that time."""
        if not self._fresh or after is not None:
            self._reader.close()
            self._reader = self._asked.reader(after)
        self._fresh = False
        return iter(self._reader)

    def _painted(self, painter: SteadyPainter, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Frames, by a painter who remembers those before."""
        for frame in frames:
            code, strength, numbers = self._score.at(float(frame.time))
            painted = painter.paint(frame.rgb, float(frame.time), code, strength, **numbers)
            self.cuts = painter.cuts
            yield replace(frame, rgb=painted)

    def _save_in_segments(self, target: Path, form: Form, told: _Told) -> None:
        container = SUFFIXES[target.suffix.lower()]
        if container in ("gif", "webp"):
            raise VideoError(
                f"{target}: a {target.suffix} cannot be gone on with; name it .mp4, .mkv or .webm, or leave out resume"
            )
        with closing(Segments(target, self._settings(form, container))) as segments:
            self._save_segments(segments, container, form, told)

    def _save_segments(self, segments: Segments, container: str, form: Form, told: _Told) -> None:
        painter = self._painter()
        number = len(segments.done())
        after, end = None, Fraction(0)
        if number:
            memory = segments.recall(number - 1)
            painter.recall(memory.tensors)
            after, end = memory.last, memory.end
            told.step(memory.last, memory.frames)
        comment = form.mark and form.mark.comment
        # Segments are MP4 whatever the film will be; their packets and pixels are those that its file takes.
        silent = replace(form, sound=None, codec=codec_of(container, form.codec))
        frames = _Peekable(self._read(after))
        try:
            while (first := frames.peek()) is not None:
                part = _Part(
                    self._painted(painter, frames.until(first.time + _SEGMENT)),
                    first.time,
                    form.rate,
                )
                shown, how = shown_in(container, part, silent)
                save_film(
                    shown,
                    segments.path(number),
                    how,
                    keep_interrupted=False,
                    progress_callback=told.step,
                )
                kept = Memory(painter.memory(), first.time, part.last, part.end, told.done)
                segments.remember(number, kept)
                number, end = number + 1, part.end
        except KeyboardInterrupt:
            if number:
                segments.join(container, form.sound, end, comment, whole=False)
            raise
        segments.join(container, form.sound, end, comment)
        segments.remove()

    def _settings(self, form: Form, container: str) -> dict[str, object]:
        """All that decides what segments hold."""
        facts = self._asked.source.stat()
        codes = hashlib.sha256()
        for code, strength, numbers in self._score.rows:
            codes.update(code.vector.numpy().tobytes() + code.tokens.numpy().tobytes())
            codes.update(json.dumps((strength, numbers)).encode())
        codes.update(json.dumps(self._score.times).encode())
        return {
            "hfstyle": __version__,
            "film": [self._asked.source.name, facts.st_size, facts.st_mtime_ns],
            "range": [self._asked.start, self._asked.end],
            "size": [self._asked.output_size, self._asked.resolution],
            "styles": codes.hexdigest(),
            "layers": asdict(self._asked.layers),
            "model": self._pipe.generator.encoder_fingerprint(),
            "form": [container, form.codec, form.quality],
        }


class _Told:
    """Frames done, told to a callback."""

    def __init__(self, callback: Progress | None, total: int | None) -> None:
        self._callback, self._total = callback, total
        self.done = 0

    def step(self, _time: Fraction, count: int = 1) -> None:
        self.done += count
        if self._callback is not None:
            total = self._total
            self._callback(self.done, None if total is None else max(total, self.done))


class _Peekable:
    """Frames, of which the next can be looked at before it is taken."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        self._frames = frames
        self._next = next(frames, None)

    def peek(self) -> Frame | None:
        return self._next

    def until(self, time: Fraction) -> Iterator[Frame]:
        """Those before that time."""
        while self._next is not None and self._next.time < time:
            frame, self._next = self._next, next(self._frames, None)
            yield frame


class _Part:
    """A segment's frames, at times from 0; knows afterwards when the last was shown, and until when."""

    def __init__(self, frames: Iterator[Frame], begin: Fraction, rate: Fraction) -> None:
        self._frames, self._begin, self._rate = frames, begin, rate
        self.last = self.end = begin

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._frames:
            self.last, self.end = frame.time, frame.time + (frame.duration or 1 / self._rate)
            yield replace(frame, time=frame.time - self._begin)
