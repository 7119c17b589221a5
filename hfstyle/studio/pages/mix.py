"""What the components of the pages Stylise and Mix call."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import gradio as gr

from hfstyle import StyleCode
from hfstyle.pipeline import DEFAULT_STYLE_SIZE
from hfstyle.studio.gallery import Thumbnails
from hfstyle.studio.jobs import PROGRESS, job
from hfstyle.studio.painting import Studio
from hfstyle.studio.refusals import needed, refusal, whole
from hfstyle.studio.settings import DEFAULT_RESOLUTION, Settings

STYLE_SLOTS: Final = 4
LONGEST_NAME: Final = 80
"""Characters of a style's name."""
STRIP: Final = (0.0, 0.25, 0.5, 0.75, 1.0)


def given_name(text: str | None) -> str:
    """What a visitor calls a style, cut to what is asked for; empty without a name."""
    return (text or "").strip()[:LONGEST_NAME]


def slot_styles(
    studio: Studio, style_size: int, slots: Sequence[Any]
) -> tuple[list[StyleCode], list[float]]:
    """Codes and weights of the page Mix: of each slot preset, picture, weight; without those of weight 0."""
    codes, weights = [], []
    for index in range(STYLE_SLOTS):
        preset, style, weight = slots[3 * index : 3 * index + 3]
        code = studio.style(style, None, preset, style_size)
        if code is not None and weight > 0:
            if not style:
                code = replace(code, name=code.metadata.get("title", code.name))
            codes.append(code)
            weights.append(weight)
    return codes, weights


class Handlers:
    """What the components call. The docstrings of the public ones are the API's documentation."""

    def __init__(self, studio: Studio, thumbnails: Thumbnails) -> None:
        self.studio, self.thumbnails = studio, thumbnails

    def render(
        self,
        content: str | None,
        preset: str | None,
        style: str | None,
        style_file: str | None,
        strength: float,
        color: float,
        style_size: float,
        resolution: float,
    ) -> tuple[Any, Any, str]:
        """Before and after, side by side, status."""
        started, studio = time.perf_counter(), self.studio
        settings = Settings.of(strength, color, style_size, resolution)
        code = studio.style(style, style_file, preset, settings.style_size)
        shown = content or studio.first_photo
        if shown is None:
            return None, None, "Choose a photo to begin."
        original = studio.original_preview(shown, settings.resolution)
        if code is None:
            return (original, original), None, "Choose a style."
        key = style or style_file or preset
        remembered = studio.remembers(shown, key, settings)
        painted = studio.painted_preview(shown, code, key, settings)
        by_preset = preset if not style and not style_file else None
        label = studio.labels.get(by_preset or "", code.name)
        swatch = studio.swatch(style) if style else by_preset and self.thumbnails.of(by_preset)
        swatches = [(swatch, "Style" if style else "Style, on a cat")] if swatch else []
        beside = [(original, "Photo"), *swatches, (painted, f"Painted, strength {strength:g}")]
        height, width = studio.preview(shown, settings.resolution).size
        took = "from memory" if remembered else f"in {time.perf_counter() - started:.1f} s"
        status = f"{label}: {width} × {height} px {took}"
        if not content:
            status += " (an example: choose your own photo)"
        return (original, painted), beside, status

    def strip(
        self,
        content: str | None,
        preset: str | None,
        style: str | None,
        style_file: str | None,
        strength: float,
        color: float,
        style_size: float,
        resolution: float,
    ) -> Iterator[Any]:
        """The same picture at strengths from 0 to 1, all at once; whoever moves a slider meanwhile need not wait."""
        studio = self.studio
        settings = Settings.of(strength, color, style_size, resolution)
        code = studio.style(style, style_file, preset, settings.style_size)
        shown = content or studio.first_photo
        if shown is None or code is None:
            yield None
            return
        pictures = []
        for amount in STRIP:
            at = replace(settings, strength=amount)
            key = style or style_file or preset
            paint = partial(studio.painted_preview, shown, code, key, at)
            pictures.append(((yield from job(paint, gr.skip())), f"{amount:g}"))
        yield pictures

    def stylize(
        self,
        content: str | None,
        preset: str | None = None,
        style: str | None = None,
        style_file: str | None = None,
        strength: float = 1.0,
        color: float = 1.0,
        style_size: float = DEFAULT_STYLE_SIZE,
        resolution: float = DEFAULT_RESOLUTION,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Any]:
        """Paint a photo in a style, at the photo's full size.

        Args:
            content: the photo.
            preset: name of a style of the gallery; used if there is no style picture and no style file.
            style: a picture whose style is taken.
            style_file: a style file that /encode or /mix made; used if there is no style picture.
            strength: from 0, the photo itself, to 1, the full style.
            color: from 0, the photo's own colours, to 1, the colours of the style.
            style_size: short side in pixels at which the style picture is looked at; larger makes broader strokes.
            resolution: short side in pixels at which the photo is painted; the result has the photo's own size.

        Returns:
            The painted photo, a PNG file with the settings in its name and metadata.
        """
        studio, photo = self.studio, needed(content, "photo")
        settings = Settings.of(strength, color, style_size, resolution)

        def work() -> str:
            code = studio.style(style, style_file, preset, settings.style_size)
            if code is None:
                raise refusal("Choose a style first: a preset, a style picture or a style file.")
            return studio.full_size(photo, code, settings)

        yield (yield from job(work, gr.skip(), progress))

    def _mixture(self, style_size: int, slots: Sequence[Any]) -> StyleCode | None:
        codes, weights = slot_styles(self.studio, style_size, slots)
        return StyleCode.mix(codes, weights) if codes else None

    def render_mix(
        self,
        content: str | None,
        strength: float,
        color: float,
        style_size: float,
        resolution: float,
        *slots: Any,
    ) -> tuple[Any, str]:
        """Before and after, status."""
        shown = content or self.studio.first_photo
        if shown is None:
            return None, "Choose a photo to begin."
        settings = Settings.of(strength, color, style_size, resolution)
        original = self.studio.original_preview(shown, settings.resolution)
        code = self._mixture(settings.style_size, slots)
        if code is None:
            return (original, original), "Choose styles and give them weights."
        return (original, self.studio.painted_preview(shown, code, slots, settings)), code.name

    def mix(
        self,
        content: str | None,
        strength: float = 1.0,
        color: float = 1.0,
        style_size: float = DEFAULT_STYLE_SIZE,
        resolution: float = DEFAULT_RESOLUTION,
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
        """Paint a photo in a mixture of up to four styles, and save the mixture as a style file.

        Args:
            content: the photo.
            strength: from 0, the photo itself, to 1, the full style.
            color: from 0, the photo's own colours, to 1, the colours of the style.
            style_size: short side in pixels at which style pictures are looked at; larger makes broader strokes.
            resolution: short side in pixels at which the photo is painted; the result has the photo's own size.
            preset_1: name of the first style; used if there is no picture for it.
            style_1: picture of the first style.
            weight_1: share of the first style, from 0 to 1; shares are divided by their sum.
            preset_2: name of the second style; used if there is no picture for it.
            style_2: picture of the second style.
            weight_2: share of the second style, from 0 to 1; shares are divided by their sum.
            preset_3: name of the third style; used if there is no picture for it.
            style_3: picture of the third style.
            weight_3: share of the third style, from 0 to 1; shares are divided by their sum.
            preset_4: name of the fourth style; used if there is no picture for it.
            style_4: picture of the fourth style.
            weight_4: share of the fourth style, from 0 to 1; shares are divided by their sum.

        Returns:
            The painted photo, a PNG file; and the style file, which /stylize takes.
        """
        studio, photo = self.studio, needed(content, "photo")
        settings = Settings.of(strength, color, style_size, resolution)
        first = [preset_1, style_1, weight_1, preset_2, style_2, weight_2]
        rest = [preset_3, style_3, weight_3, preset_4, style_4, weight_4]

        def work() -> tuple[str, str]:
            code = self._mixture(settings.style_size, first + rest)
            if code is None:
                raise refusal("Choose at least one style and give it a weight above 0.")
            return studio.full_size(photo, code, settings), studio.save_style(code)

        yield (yield from job(work, (gr.skip(), gr.skip()), progress))

    def encode(
        self, style: str | None, style_size: float = DEFAULT_STYLE_SIZE, name: str = ""
    ) -> str:
        """Save the style of a picture as a small file, which /stylize takes in place of the picture.

        Args:
            style: the picture.
            style_size: short side in pixels at which the picture is looked at; larger makes broader strokes.
            name: what to call the style, at most 80 characters; by default the file's name.

        Returns:
            The style file, *.safetensors.
        """
        code = self.studio.style(
            needed(style, "style picture"), None, None, whole(style_size, "style size")
        )
        assert code is not None
        name = given_name(name) or code.name
        return self.studio.save_style(StyleCode(code.vector, code.tokens, code.encoder, name))
