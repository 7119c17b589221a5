"""What the components call. The docstrings of the public handlers are the documentation of the endpoints."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import gradio as gr

from hfstyle import StyleCode
from hfstyle.images import to_pil
from hfstyle.pipeline import DEFAULT_STYLE_SIZE
from hfstyle.studio.diffusion import DiffusionPainter
from hfstyle.studio.gallery import Thumbnails
from hfstyle.studio.painting import Studio
from hfstyle.studio.refusals import refusal
from hfstyle.studio.results import write_png
from hfstyle.studio.settings import DEFAULT_RESOLUTION, Settings
from hfstyle.studio.uploads import open_picture

STYLE_SLOTS: Final = 4
STRIP: Final = (0.0, 0.25, 0.5, 0.75, 1.0)

COMPARED_STYLES: Final = 8
_COMPARED_STRENGTHS: Final = (0.25, 0.5, 0.75, 1.0)
_COMPARED_RESOLUTIONS: Final = (256, 512)
_PROGRESS: Final = gr.Progress()  # its presence as a default tells Gradio to follow it


class Handlers:
    """What the components call. The docstrings of the public ones are the API's documentation."""

    def __init__(
        self, studio: Studio, thumbnails: Thumbnails, diffusion: DiffusionPainter | None = None
    ) -> None:
        self.studio, self.thumbnails, self.diffusion = studio, thumbnails, diffusion

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
    ) -> Iterator[tuple[Any, Any, Any, str]]:
        """Before and after, side by side, strip, status."""
        started, studio = time.perf_counter(), self.studio
        settings = Settings.of(strength, color, style_size, resolution)
        code = studio.style(style, style_file, preset, settings.style_size)
        shown = content or studio.first_photo
        if shown is None:
            yield None, None, None, "Choose a photo to begin."
            return
        original = studio.original_preview(shown, settings.resolution)
        if code is None:
            yield (original, original), None, None, "Choose a style."
            return
        key = style or style_file or preset
        painted = studio.painted_preview(shown, code, key, settings)
        by_preset = preset if not style and not style_file else None
        label = studio.labels.get(by_preset or "", code.name)
        swatch = studio.swatch(style) if style else by_preset and self.thumbnails.of(by_preset)
        swatches = [(swatch, f"Style: {label}")] if swatch else []
        beside = [(original, "Photo"), *swatches, (painted, f"Painted, strength {strength:g}")]
        height, width = studio.preview(shown, settings.resolution).size
        seconds = time.perf_counter() - started
        status = f"{label}: {width} × {height} px in {seconds:.1f} s"
        if not content:
            status += " (an example: choose your own photo)"
        yield (original, painted), beside, gr.skip(), status
        strip = [
            (studio.painted_preview(shown, code, key, replace(settings, strength=x)), f"{x:g}")
            for x in STRIP
        ]
        yield gr.skip(), gr.skip(), strip, status

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
        progress: gr.Progress = _PROGRESS,
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
        studio, photo = self.studio, _needed(content, "photo")
        settings = Settings.of(strength, color, style_size, resolution)
        progress(0.1, desc="Looking at the style")
        code = studio.style(style, style_file, preset, settings.style_size)
        if code is None:
            raise refusal("Choose a style first: a preset, a style picture or a style file.")
        yield gr.skip()  # where a cancelled request ends
        progress(0.3, desc="Painting at full size")
        yield studio.full_size(photo, code, settings)

    def _mixture(self, style_size: int, slots: Sequence[Any]) -> StyleCode | None:
        codes, weights = [], []
        for index in range(STYLE_SLOTS):
            preset, style, weight = slots[3 * index : 3 * index + 3]
            code = self.studio.style(style, None, preset, style_size)
            if code is not None and weight > 0:
                if not style:
                    code = replace(code, name=code.metadata.get("title", code.name))
                codes.append(code)
                weights.append(weight)
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
        progress: gr.Progress = _PROGRESS,
    ) -> tuple[str, str]:
        """Paint a photo in a mixture of up to four styles, and save the mixture as a style file.

        Args:
            content: the photo.
            strength: from 0, the photo itself, to 1, the full style.
            color: from 0, the photo's own colours, to 1, the colours of the style.
            style_size: short side in pixels at which style pictures are looked at; larger makes broader strokes.
            resolution: short side in pixels at which the photo is painted; the result has the photo's own size.
            preset_1: name of the first style; used if there is no picture for it. Likewise 2 to 4.
            style_1: picture of the first style. Likewise 2 to 4.
            weight_1: share of the first style, from 0 to 1; shares are divided by their sum. Likewise 2 to 4.

        Returns:
            The painted photo, a PNG file; and the style file, which /stylize takes.
        """
        photo = _needed(content, "photo")
        settings = Settings.of(strength, color, style_size, resolution)
        first = [preset_1, style_1, weight_1, preset_2, style_2, weight_2]
        rest = [preset_3, style_3, weight_3, preset_4, style_4, weight_4]
        progress(0.1, desc="Mixing the styles")
        code = self._mixture(settings.style_size, first + rest)
        if code is None:
            raise refusal("Choose at least one style and give it a weight above 0.")
        progress(0.3, desc="Painting at full size")
        return self.studio.full_size(photo, code, settings), self.studio.save_style(code)

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
        code = self.studio.style(_needed(style, "style picture"), None, None, int(style_size))
        assert code is not None
        name = name.strip()[:80] or code.name
        return self.studio.save_style(StyleCode(code.vector, code.tokens, code.encoder, name))

    def compare(
        self,
        content: str | None,
        presets: list[str] | None = None,
        style: str | None = None,
        across: str = "styles",
        strength: float = 1.0,
        color: float = 1.0,
        resolution: float = DEFAULT_RESOLUTION,
    ) -> Iterator[list[tuple[str, str]]]:
        """One photo in many styles, or in one style at many settings. Results arrive one by one.

        Args:
            content: the photo.
            presets: names of styles, at most 8.
            style: a picture whose style is compared as well.
            across: "styles" paints in each style; "settings" paints in the first style at several strengths and
                resolutions; "diffusion", where there is one, paints in the style picture, and so does a diffusion model.
            strength: from 0 to 1, when comparing styles.
            color: from 0, the photo's own colours, to 1, the colours of the style.
            resolution: short side in pixels at which the photo is painted, when comparing styles.

        Returns:
            Pictures (PNG files) with captions.
        """
        studio, photo = self.studio, _needed(content, "photo")
        if across == "diffusion":
            yield from self._beside_diffusion(photo, _needed(style, "style picture"))
            return
        chosen: list[tuple[str, Hashable, StyleCode]] = []
        if style:
            code = studio.style(style, None, None, DEFAULT_STYLE_SIZE)
            assert code is not None
            chosen.append((code.name, (style, DEFAULT_STYLE_SIZE), code))
        for name in (presets or [])[:COMPARED_STYLES]:
            chosen.append((studio.labels[name], name, studio.pipe.preset(name)))
        if not chosen:
            raise refusal("Choose at least one style to compare.")
        if across == "styles":
            jobs = [
                (label, key, code, float(strength), int(resolution)) for label, key, code in chosen
            ]
        else:
            label, key, code = chosen[0]
            jobs = [
                (f"strength {amount:g}, {side} px", key, code, amount, side)
                for side in _COMPARED_RESOLUTIONS
                for amount in _COMPARED_STRENGTHS
            ]
        shown: list[tuple[str, str]] = []
        for label, key, code, amount, side in jobs:
            settings = Settings(amount, float(color), resolution=side)
            shown.append((studio.painted_preview(photo, code, key, settings), label))
            yield list(shown)

    def _beside_diffusion(self, photo: str, style: str) -> Iterator[list[tuple[str, str]]]:
        studio, painter = self.studio, self.diffusion
        if painter is None:
            raise refusal("There is no diffusion model here to compare with.")
        settings, started = Settings(), time.perf_counter()
        code = studio.style(style, None, None, settings.style_size)
        assert code is not None
        picture = studio.preview(photo, settings.resolution)
        ours = studio.paint(picture, code, settings, None)
        seconds = time.perf_counter() - started
        shown = [(write_png(ours, "hfstyle", {}), f"hfstyle, {seconds:.1f} s")]
        yield list(shown)
        reference = to_pil(open_picture(style, "style picture").rgb)
        theirs, seconds = painter.paint(to_pil(picture.rgb), reference)
        shown.append((write_png(theirs, "diffusion", {}), f"{painter.name}, {seconds:.1f} s"))
        yield shown


def _needed(path: str | None, what: str) -> str:
    if not path:
        raise refusal(f"Choose a {what} first.")
    return path
