"""Films of visitors: what may come in, one frame of it, and all of a part, painted."""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import gradio as gr
import numpy as np
import torch
from PIL import Image

from hfstyle import StyleCode
from hfstyle.examples import example_photo
from hfstyle.film import (
    FilmFacts,
    Frame,
    PaintedFilm,
    film_facts,
    read_frames,
    save_film,
    stylize_video,
)
from hfstyle.film.write import Form
from hfstyle.images import Picture, to_pil
from hfstyle.images.arrays import as_float
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.jobs import MOST_SECONDS, mark
from hfstyle.studio.backend.memory import Memory
from hfstyle.studio.backend.refusals import display_name, refusal
from hfstyle.studio.backend.results import new_file, slug, write_webp
from hfstyle.studio.backend.settings import Settings
from hfstyle.studio.backend.timing import Expected
from hfstyle.studio.backend.uploads import FromUpload, no_stub_files

__all__ = ["LIMITS", "FilmPart", "FilmUpload", "Films", "PaintedPart", "example_film"]

MAX_FILM_BYTES: Final = 60_000_000
"""Of one film: half a minute of a phone's camera."""
MAX_FILM_SECONDS: Final = 20.0
"""Of the part that is painted; with `MAX_FRAMES`, two to four minutes on two cores."""
MAX_FRAMES: Final = 600
MAX_FRAME_PIXELS: Final = 9_000_000
"""Of a frame as it comes in: 4096 x 2160 px."""
MAX_BEGIN: Final = 3600.0
"""Seconds of a film after which no part may begin."""
FILM_SIZES: Final = (128, 480)
"""Short side of a painted film, in px."""
DEFAULT_FILM_SIZE: Final = 360
LIMITS: Final = (
    f"MP4, MOV, MKV, WebM, AVI, GIF or WebP, up to {MAX_FILM_BYTES // 1_000_000} MB and 4096 × 2160 px. Of it, up to "
    f"{MAX_FILM_SECONDS:.0f} s and {MAX_FRAMES} frames are painted at a time."
)

_PAINTING_SECONDS: Final = MOST_SECONDS - 30  # after which a film ends where it is
_PER_MEGAPIXEL: Final = 0.8  # s of frames on two cores, until this machine has shown its own
_FRAMES_REMEMBERED: Final = 500
_SLACK: Final = 1.02  # of a film's rate, which is an average
_EXAMPLE: Final = "coffee"
_EXAMPLE_FRAMES: Final = 75

_log = logging.getLogger(__name__)

with no_stub_files():

    class FilmUpload(FromUpload, gr.File):
        """`gr.File` for a film; its handler gets a path."""

        most_bytes = MAX_FILM_BYTES
        described = (
            f"an uploaded film of at most {MAX_FILM_BYTES // 1_000_000} MB; gradio_client's handle_file(path) "
            "uploads"
        )

        def get_block_name(self) -> str:
            return "file"

        get_block_class = get_block_name

        def example_file(self, folder: str) -> str | None:
            return example_film(folder)


@dataclass(frozen=True)
class FilmPart:
    """A part of a film, within the limits.

    path: of the upload.
    begin, end: in seconds of the film.
    size: (W, H) of the painted film.
    frames: how many there are, about.
    facts: of the whole film.
    """

    path: str
    begin: float
    end: float
    size: tuple[int, int]
    frames: int
    facts: FilmFacts

    @property
    def pixels(self) -> int:
        """Of all frames."""
        return self.frames * self.size[0] * self.size[1]


@dataclass(frozen=True)
class PaintedPart:
    """A part of a film as it was and painted, and what is to be said about it."""

    original: str
    painted: str
    told: str


class Films:
    """What the page of films does, without the page.

    Args:
        studio: whose model paints, one picture or frame at a time.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.expected = Expected(film=_PER_MEGAPIXEL)
        self._memory = Memory(_FRAMES_REMEMBERED)

    def length(self, path: str) -> float | None:
        """Of a film, in seconds, if its file says. Raises VideoError for what is no film."""
        return film_facts(path).seconds

    def part(self, path: str, begin: float, seconds: float, size: int) -> FilmPart:
        """The part that is asked for.

        Raises:
            gr.Error: beyond the limits.
            VideoError: no film.
        """
        facts = film_facts(path)
        width, height = facts.size
        if width * height > MAX_FRAME_PIXELS:
            raise refusal(
                f"The frames of {display_name(path)} have {width} x {height} px; the limit is "
                f"{MAX_FRAME_PIXELS / 1e6:.0f} megapixels. Please make the film smaller."
            )
        if facts.seconds is not None and begin >= facts.seconds:
            raise refusal(
                f"{display_name(path)} is {facts.seconds:.1f} s long; the part begins at {begin:g} s. Choose an earlier "
                "beginning."
            )
        end = begin + seconds
        if facts.seconds is not None:
            end = min(end, facts.seconds)
        frames = max(1, round((end - begin) * facts.rate))
        if frames > MAX_FRAMES * _SLACK:
            raise refusal(
                f"{end - begin:.1f} s of {display_name(path)} are about {frames} frames, at {float(facts.rate):.0f} a "
                f"second; the limit is {MAX_FRAMES}. Choose at most {int(10 * MAX_FRAMES / facts.rate) / 10:g} s."
            )
        short = min(size, width, height)
        scale = Fraction(short, min(width, height))
        shown = max(1, round(width * scale)), max(1, round(height * scale))
        return FilmPart(path, begin, end, shown, frames, facts)

    def told(self, part: FilmPart) -> str:
        """What a film is, and about how long painting the part takes."""
        facts = part.facts
        length = "" if facts.seconds is None else f", {facts.seconds:.1f} s"
        sound = "with sound" if facts.sound else "silent"
        width, height = facts.size
        return (
            f"{width} × {height} px{length}, {float(facts.rate):.4g} frames/s, {sound}. Painting {part.end - part.begin:.1f} s, "
            f"{part.frames} frames of {part.size[0]} × {part.size[1]} px, takes about "
            f"{max(1, round(self.expected.seconds(film=part.pixels)))} s."
        )

    def frame(self, part: FilmPart) -> Picture:
        """The first frame of a part, at the size at which it is painted."""
        reader = read_frames(part.path, start=part.begin, size=min(part.size))
        try:
            rgb = next(iter(reader)).rgb
        finally:
            reader.close()
        pixels = torch.from_numpy(np.array(rgb)).permute(2, 0, 1)
        return Picture(as_float(pixels), None, display_name(part.path))

    def painted_frame(
        self, part: FilmPart, code: StyleCode, style_key: Hashable, settings: Settings
    ) -> tuple[str, str]:
        """The first frame of a part as it is and painted, as files; `style_key` tells the style from others."""
        key = (part.path, part.begin, part.size, style_key, settings)
        shown: tuple[str, str] | None = self._memory.get(key)
        if shown is None or not all(map(os.path.isfile, shown)):
            picture = self.frame(part)
            painted = self.studio.paint(picture, code, settings, _side(part, settings))
            shown = (
                write_webp(to_pil(picture.rgb), "frame"),
                write_webp(painted, f"frame__{slug(code.name)}"),
            )
            self._memory.put(key, shown, 1)
        return shown

    def paint(
        self, part: FilmPart, code: StyleCode, settings: Settings, stopped: Callable[[], bool]
    ) -> PaintedPart:
        """A part of a film, painted, with its sound; in a job.

        Args:
            part: as of `part`.
            code: its style.
            settings: strength, colour, faces, resolution.
            stopped: asked before each frame; once it is so, what is painted is what there is.

        Raises:
            gr.Error: stopped before there was a frame.
            ImageError, VideoError: damaged from the beginning.
            Stopped: nobody waits for it any more.
        """
        name = slug(Path(part.path).stem)
        film = stylize_video(
            self.studio.pipe,
            part.path,
            code,
            settings.strength,
            **settings.numbers(),
            start=part.begin,
            end=part.end,
            output_size=min(part.size),
            processing_resolution=_side(part, settings) or "full",
        )
        started = time.monotonic()
        until = started + _PAINTING_SECONDS
        done, ended = 0, ""

        def frames() -> Iterator[Frame]:
            nonlocal done, ended
            for frame in self._one_by_one(film):
                yield frame
                done += 1
                seconds = time.monotonic() - started
                left = seconds / done * max(0, part.frames - done)
                mark(
                    min(1.0, done / part.frames),
                    f"{done} of {part.frames} frames, {done / seconds:.1f} a second, about {left:.0f} s left",
                )
                if stopped():
                    ended = "Stopped: this is what was painted"
                    return
                if time.monotonic() > until:
                    ended = f"{_PAINTING_SECONDS:.0f} s are over: this is what was painted in them"
                    return

        if stopped():
            raise refusal("It was stopped before the first frame.")
        mark(0.0, "Reading the film")
        target = new_file(
            f"{name}__{slug(code.name)}_strength{round(100 * settings.strength):03d}.mp4"
        )
        form = film.form()
        if form.sound is not None:  # who stops hears no more than is seen
            form = replace(form, sound=replace(form.sound, trailing=False))
        length = save_film(frames(), target, form)
        seconds = time.monotonic() - started
        if not ended:
            self.expected.took("film", done * part.size[0] * part.size[1], seconds)
        mark(1.0, "Writing the original beside it")
        original = self._original(part, length, name)
        told = f"{done} frames, {float(length):.1f} s, painted in {seconds:.0f} s ({done / seconds:.1f} a second)"
        said = [told, ended, *(fault.replace(part.path, "the film") for fault in film.faults)]
        return PaintedPart(original, str(target), ". ".join(filter(None, said)) + ".")

    def _one_by_one(self, film: PaintedFilm) -> Iterator[Frame]:
        """Painted frames; between two of them, other visitors get their turn."""
        steps = iter(film)
        while True:
            with self.studio.turn():
                step = next(steps, None)
            if step is None:
                return
            yield step

    def _original(self, part: FilmPart, length: Fraction, name: str) -> str:
        """The same part as it was, at the same size and in a form that browsers play."""
        end = part.begin + float(length) - 1e-3
        reader = read_frames(part.path, start=part.begin, end=end, size=min(part.size))
        path = new_file(f"{name}__original.mp4")
        form = Form.like(reader.facts)
        save_film(reader, path, form, progress_callback=lambda time: mark())
        return str(path)


def _side(part: FilmPart, settings: Settings) -> int | None:
    """Short side in px at which frames are painted, None for their own."""
    short = min(part.size)
    return None if settings.resolution >= short else settings.resolution


_making = threading.Lock()


def example_film(folder: str) -> str | None:
    """A slow zoom over an example photo, for visitors without a film; None without the package that has the photos."""
    with _making:
        return _example_film(folder)


@functools.cache
def _example_film(folder: str) -> str | None:
    try:
        photo = example_photo(_EXAMPLE)
    except (ModuleNotFoundError, FileNotFoundError) as error:
        _log.warning("no example film: %s", error)
        return None
    path = new_file("slow_zoom.mp4", keep=True)
    width, height = photo.size

    def view(index: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        wide = width * (0.95 - 0.25 * index / _EXAMPLE_FRAMES)
        high = wide * height / width
        left, top = (width - wide) * index / _EXAMPLE_FRAMES, (height - high) / 2
        box = (left, top, left + wide, top + high)
        return np.asarray(photo.resize((540, 360), Image.Resampling.BICUBIC, box=box))

    rate = Fraction(25)
    save_film((Frame(view(i), i / rate, 1 / rate) for i in range(_EXAMPLE_FRAMES)), path)
    return str(path)
