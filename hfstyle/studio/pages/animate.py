"""What the parts about styles themselves call: a way between styles, the style of a collection, an explanation."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import gradio as gr
from PIL import Image

from hfstyle import StyleCode
from hfstyle.images import Picture
from hfstyle.paths import style_path
from hfstyle.pipeline import DEFAULT_STYLE_SIZE
from hfstyle.studio.handlers import given_name, slot_styles
from hfstyle.studio.jobs import PROGRESS, job, mark
from hfstyle.studio.painting import Studio
from hfstyle.studio.refusals import needed, refusal, whole
from hfstyle.studio.results import slug, write_animation, write_png
from hfstyle.studio.settings import DEFAULT_RESOLUTION, Settings
from hfstyle.studio.uploads import open_picture

MAX_CLUSTERS: Final = 6
MAX_STEPS: Final = 24
MIN_FRAME_SIDE: Final = 128
MAX_FRAME_SIDE: Final = 512
DEFAULT_STEPS: Final = 12
DEFAULT_FRAME_SIDE: Final = 320

_FRAME_PIXELS: Final = 400_000  # a GIF of the most frames is then written within some seconds
_EXPLAINED_PIXELS: Final = 600_000  # its attention is looked at in one pass


class ControlHandlers:
    """The docstrings of the public ones are the API's documentation."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def path(
        self,
        content: str | None,
        strength: float = 1.0,
        color: float = 1.0,
        style_size: float = DEFAULT_STYLE_SIZE,
        steps: float = DEFAULT_STEPS,
        size: float = DEFAULT_FRAME_SIDE,
        preset_1: str | None = None,
        style_1: str | None = None,
        weight_1: float = 1.0,
        preset_2: str | None = None,
        style_2: str | None = None,
        weight_2: float = 1.0,
        preset_3: str | None = None,
        style_3: str | None = None,
        weight_3: float = 0.0,
        preset_4: str | None = None,
        style_4: str | None = None,
        weight_4: float = 0.0,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Any]:
        """Animate a photo on the way from style to style, forth and back.

        Args:
            content: the photo.
            strength: from 0, the photo itself, to 1, the full style.
            color: from 0, the photo's own colours, to 1, the colours of the style.
            style_size: short side in pixels at which style pictures are looked at; larger makes broader strokes.
            steps: paintings from the first style to the last one, from 2 to 24; at least one for each style.
            size: short side of the animation in pixels, from 128 to 512, at most that of the photo.
            preset_1: name of the style with which the way begins; used if there is no picture for it.
            style_1: picture of the first style.
            weight_1: 0 leaves the first style out.
            preset_2: name of the second style; used if there is no picture for it.
            style_2: picture of the second style.
            weight_2: 0 leaves the second style out.
            preset_3: name of the third style; used if there is no picture for it.
            style_3: picture of the third style.
            weight_3: 0 leaves the third style out; give 1 to pass through it.
            preset_4: name of the fourth style; used if there is no picture for it.
            style_4: picture of the fourth style.
            weight_4: 0 leaves the fourth style out; give 1 to pass through it.

        Returns:
            The animation as GIF; and its files: the GIF, and an MP4 where the server has ffmpeg.
        """
        studio, photo = self.studio, needed(content, "photo")
        settings = Settings.of(strength, color, style_size, DEFAULT_RESOLUTION)
        count = _within(steps, "number of steps", 2, MAX_STEPS)
        side = _within(size, "size of the animation", MIN_FRAME_SIDE, MAX_FRAME_SIDE)
        slots = [preset_1, style_1, weight_1, preset_2, style_2, weight_2]
        slots += [preset_3, style_3, weight_3, preset_4, style_4, weight_4]

        def begin() -> tuple[Picture, list[StyleCode]]:
            codes, _ = slot_styles(studio, settings.style_size, slots)
            if len(codes) < 2:
                raise refusal("Choose at least two styles and give them weights above 0.")
            return studio.small_preview(photo, side, _FRAME_PIXELS), codes

        waiting = gr.skip(), gr.skip()
        picture, codes = yield from job(begin, waiting)
        frames: list[Image.Image] = []
        for code in style_path(codes, count):
            progress((len(frames), count), desc=f"Painting {len(frames) + 1} of {count}")
            paint = partial(studio.paint, picture, code, settings, None)
            frames.append((yield from job(paint, waiting)))
            yield write_png(frames[-1], "frame", {}, fast=True), gr.skip()
        ends = f"{slug(codes[0].name)}_to_{slug(codes[-1].name)}"
        write = partial(write_animation, frames, f"{slug(Path(photo).stem)}__{ends}")
        files = yield from job(write, waiting)
        yield files[0], files

    def collect(
        self,
        pictures: list[str] | None,
        clusters: float = 1,
        style_size: float = DEFAULT_STYLE_SIZE,
        name: str | None = "",
        content: str | None = None,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Any]:
        """Save the style of several pictures: their mean, or a few styles that stand for groups of alike pictures.

        Args:
            pictures: the style pictures, at most 24.
            clusters: number of styles, from 1 to 6, at most one for each picture; 1 gives the mean of all.
            style_size: short side in pixels at which the pictures are looked at; larger makes broader strokes.
            name: what to call the style, at most 80 characters; several get numbers.
            content: a photo to show the styles on; by default an example.

        Returns:
            The photo painted in each style (PNG files) with the number of its pictures, that of most pictures first;
            and the style files, which /stylize takes, in the same order.
        """
        studio, files = self.studio, pictures or []
        if not files:
            raise refusal("Choose the pictures of the collection first.")
        count = _within(clusters, "number of styles", 1, MAX_CLUSTERS)
        if count > len(files):
            raise refusal(f"{count} styles need at least {count} pictures; there are {len(files)}.")
        size = whole(style_size, "style size")
        photo = needed(content or studio.first_photo, "photo")

        def encode() -> list[StyleCode]:
            codes = []
            for index, file in enumerate(files):
                mark(index / len(files), f"Looking at picture {index + 1} of {len(files)}")
                codes.append(studio.style(file, None, None, size))
            return studio.pipe.encode_collection(codes, clusters=count, name=given_name(name))

        waiting = gr.skip(), gr.skip()
        codes = yield from job(encode, waiting, progress)
        shown: list[tuple[str, str]] = []
        for index, code in enumerate(codes):
            key = ("collection", tuple(files), count, size, index)
            paint = partial(studio.painted_preview, photo, code, key, Settings())
            members = int(code.metadata["pictures"])
            caption = f"{code.name}: {members} picture{'s' if members > 1 else ''}"
            shown.append(((yield from job(paint, waiting)), caption))
            yield list(shown), gr.skip()
        yield shown, [studio.save_style(code) for code in codes]

    def explain(
        self,
        content: str | None,
        preset: str | None = None,
        style: str | None = None,
        style_file: str | None = None,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Any]:
        """Show what each place of a photo took from which part of a style, and which presets the style is like.

        Args:
            content: the photo; it is looked at with a short side of at most 512 pixels.
            preset: name of a style of the gallery; used if there is no style picture and no style file.
            style: a picture whose style is taken.
            style_file: a style file that this app made; used if there is no style picture.

        Returns:
            A picture (PNG file) of the photo, its painting, the style with a colour on each part, and the photo in the
            colours of the parts that each place attended to; and the nearest presets with their distances.
        """
        work = partial(self._explained, needed(content, "photo"), preset, style, style_file)
        yield (yield from job(work, (gr.skip(), gr.skip()), progress))

    def show_explanation(
        self,
        content: str | None,
        preset: str | None,
        style: str | None,
        style_file: str | None,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Any]:
        """The same with the nearest presets as a text."""
        for picture, nearest in self.explain(content, preset, style, style_file, progress):
            yield picture, self._told(nearest) if isinstance(nearest, list) else gr.skip()

    def _explained(
        self, photo: str, preset: str | None, style: str | None, style_file: str | None
    ) -> tuple[str, list[dict[str, Any]]]:
        studio = self.studio
        mark(0.1, "Reading the pictures")
        code = studio.style(style, style_file, preset, DEFAULT_STYLE_SIZE)
        if code is None:
            raise refusal("Choose a style first: a preset, a style picture or a style file.")
        picture = studio.small_preview(photo, DEFAULT_RESOLUTION, _EXPLAINED_PIXELS)
        seen = open_picture(style, "style picture").rgb if style else code
        mark(0.3, "Painting and looking where it looks")
        found = studio.explain(picture, seen)
        mark(0.9, "Writing the picture")
        name = f"{slug(Path(photo).stem)}__{slug(code.name)}_explained"
        nearest = [{"name": key, "distance": round(far, 4)} for key, far in found.nearest]
        return write_png(found.picture, name, {}), nearest

    def _told(self, nearest: list[dict[str, Any]]) -> str:
        lines = [
            f"{number}. {self.studio.labels[item['name']]}: {item['distance']:.2f}"
            for number, item in enumerate(nearest, start=1)
        ]
        return "\n".join(
            [
                "**Paintings of the gallery with the nearest styles**, and how far they are:",
                "",
                *lines,
            ]
        )


def _within(value: float | None, what: str, least: int, most: int) -> int:
    """A whole number in a range, or a refusal."""
    number = whole(value, what)
    if not least <= number <= most:
        raise refusal(f"The {what} is {number}; give a whole number from {least} to {most}.")
    return number
