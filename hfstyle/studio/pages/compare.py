"""One photo in many styles, or at many settings; and what a painting took from where."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

import gradio as gr

from hfstyle import StyleCode
from hfstyle.images import to_pil
from hfstyle.images.arrays import as_float
from hfstyle.limits import DEFAULT_STYLE_SIZE
from hfstyle.studio.backend.diffusion import DiffusionPainter
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.jobs import PROGRESS, job, mark
from hfstyle.studio.backend.photos import enlarged_side
from hfstyle.studio.backend.refusals import friendly_steps, needed, refusal
from hfstyle.studio.backend.results import write_png
from hfstyle.studio.backend.settings import DEFAULTS, Settings, with_settings
from hfstyle.studio.backend.uploads import PhotoUpload, open_picture
from hfstyle.studio.pages.chosen import (
    AS_ON_STYLIZE,
    STYLIZE_FIRST,
    ChosenStyle,
    OnStylize,
    name_on_stylize,
)
from hfstyle.studio.pages.explain import ExplainHandlers, explain_part
from hfstyle.studio.pages.parts import (
    PageDropdown,
    results_gallery,
    stop_button,
)
from hfstyle.studio.pages.remember import remember_in_tab
from hfstyle.studio.pages.shared import Shared

COMPARED_STYLES: Final = 8
_COMPARED_STRENGTHS: Final = (0.25, 0.5, 0.75, 1.0)
_COMPARED_RESOLUTIONS: Final = (256, 512)


class CompareHandlers:
    """The docstring of the public one is the API's documentation.

    Args:
        studio: the model.
        diffusion: another painter to compare with, if there is one.
    """

    def __init__(self, studio: Studio, diffusion: DiffusionPainter | None = None) -> None:
        self.studio, self.diffusion = studio, diffusion

    @with_settings("style_size")
    def compare(
        self,
        content: str | None,
        presets: list[str] | None = None,
        style: str | None = None,
        across: str = "styles",
        settings: Settings = DEFAULTS,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Any]:
        """One photo in many styles, or in one style at many settings. Results arrive one by one.

        Args:
            content: the photo.
            presets: names of styles, at most 8.
            style: a picture whose style is compared as well.
            across: "styles" paints in each style; "settings" paints in the first style at several strengths and
                resolutions; "diffusion", where there is one, paints in the style picture, and so does a diffusion model.
            settings: as of the sliders; strength and resolution only when comparing styles.

        Returns:
            Pictures (PNG files) with captions.
        """
        asked = content, presets, style, across, settings
        yield from self._compared(*asked, OnStylize(), progress)

    @with_settings("style_size")
    def compare_here(
        self,
        content: str | None,
        presets: list[str] | None,
        style: str | None,
        across: str,
        settings: Settings,
        stylize_preset: str | None,
        stylize_style: str | None,
        stylize_file: str | None,
        style_size: float,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Any]:
        """The same, where the style of Stylize may be among them, and its example photo is painted where there is no other."""
        on_stylize = OnStylize(stylize_preset, stylize_style, stylize_file, style_size)
        photo = content or self.studio.first_photo
        yield from self._compared(photo, presets, style, across, settings, on_stylize, progress)

    def _compared(
        self,
        content: str | None,
        presets: list[str] | None,
        style: str | None,
        across: str,
        settings: Settings,
        on_stylize: OnStylize,
        progress: gr.Progress,
    ) -> Iterator[Any]:
        studio, photo = self.studio, needed(content, "photo")
        if across == "diffusion":
            yield from self._beside_diffusion(photo, needed(style, "style picture"), progress)
            return
        chosen: list[tuple[str, Hashable, StyleCode]] = []
        if style:
            code = studio.style(style, None, None, DEFAULT_STYLE_SIZE)
            assert code is not None
            chosen.append((code.name, (style, DEFAULT_STYLE_SIZE), code))
        for name in (presets or [])[:COMPARED_STYLES]:
            if name == AS_ON_STYLIZE:
                code = on_stylize.code(studio)
                chosen.append((on_stylize.label_of(studio), on_stylize, code))
                continue
            chosen.append((studio.labels[name], name, studio.pipe.preset(name)))
        if not chosen:
            raise refusal("Choose at least one style to compare.")
        if across == "styles":
            jobs = [
                (label, key, code, settings.strength, settings.resolution)
                for label, key, code in chosen
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
            progress((len(shown), len(jobs)), desc=label)
            at = replace(settings, strength=amount, resolution=side)
            paint = partial(studio.painted_preview, photo, code, key, at, lossless=True)
            shown.append(((yield from job(paint, gr.skip())), label))
            yield list(shown)

    def _beside_diffusion(self, photo: str, style: str, progress: gr.Progress) -> Iterator[Any]:
        studio, painter = self.studio, self.diffusion
        if painter is None:
            raise refusal("There is no diffusion model here to compare with.")
        settings, started = Settings(), time.perf_counter()
        code = studio.style(style, None, None, settings.style_size)
        assert code is not None
        picture = studio.preview(photo, settings.resolution)
        side = enlarged_side(picture.size, settings.resolution)
        ours = studio.paint(picture, code, settings, side)
        seconds = time.perf_counter() - started
        shown = [(write_png(ours, "hfstyle", {}), f"hfstyle, {seconds:.1f} s")]
        yield list(shown)

        def work() -> list[tuple[str, str]]:
            mark(0.0, painter.name)
            reference = to_pil(as_float(open_picture(style, "style picture").rgb))
            theirs, seconds = painter.paint(to_pil(picture.rgb), reference)
            path = write_png(theirs, "diffusion", {})
            return [*shown, (path, f"{painter.name}, {seconds:.1f} s")]

        yield (yield from job(work, gr.skip(), progress))


def compare_page(
    handlers: CompareHandlers,
    compute: dict[str, Any],
    private: dict[str, Any],
    demo: gr.Blocks,
    shared: Shared,
    chosen: ChosenStyle,
) -> None:
    """Build the page.

    Args:
        handlers: what its components call.
        compute: options of events that paint.
        private: the same, for events that are no endpoints.
        demo: whose loading chooses the first styles.
        shared: photo and settings.
        chosen: the style of the page Stylize, which is compared with others.
    """
    studio = handlers.studio
    content = shared.content
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            presets = PageDropdown(
                [STYLIZE_FIRST, *((label, name) for name, label in studio.labels.items())],
                value=[],
                multiselect=True,
                max_choices=COMPARED_STYLES,
                label=f"Styles, up to {COMPARED_STYLES}",
            )
            name_on_stylize(studio, chosen)
            with gr.Accordion("and a style picture of your own", open=not studio.labels):
                style = PhotoUpload(label="Own style picture", height=200, format="png")
            choices = [("many styles", "styles"), ("one style, many settings", "settings")]
            if handlers.diffusion is not None:
                choices.append((f"hfstyle and {handlers.diffusion.name}", "diffusion"))
            across = gr.Radio(
                choices,
                value="styles",
                label="Compare",
            )
            with gr.Row():
                go = gr.Button("Compare", variant="primary", scale=4)
                stop = stop_button()
        with gr.Column(scale=3, min_width=320):
            line = gr.Markdown(
                "Choose a photo and styles, then press **Compare**.", elem_classes="status"
            )
            shown = results_gallery("Results")
    inputs = [content, presets, style, across, *shared.settings_without("style_size")]
    run = go.click(
        friendly_steps(handlers.compare_here),
        [*inputs, *chosen.components, shared.style_size],
        shown,
        show_progress="minimal",
        show_progress_on=[shown, line],
        **private,
    )
    gr.Button(visible=False).click(
        friendly_steps(handlers.compare), inputs, shown, api_name="compare", **compute
    )
    preset, explained = explain_part(ExplainHandlers(studio), content, compute, private)
    stop.click(None, cancels=[run, explained])
    first = None
    if studio.labels:
        first = demo.load(
            lambda: ([AS_ON_STYLIZE, *studio.first_styles(4)[1:]], studio.first_styles(1)[0]),
            None,
            [presets, preset],
            api_visibility="private",
            queue=False,
        )
    remember_in_tab(demo, "compare", [presets, style, across], first)
