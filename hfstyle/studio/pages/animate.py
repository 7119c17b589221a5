"""An animation of a photo from style to style."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import gradio as gr
from PIL import Image

from hfstyle import StyleCode
from hfstyle.images import Picture
from hfstyle.limits import OPTIONS
from hfstyle.paths import style_path
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.jobs import PROGRESS, job
from hfstyle.studio.backend.refusals import friendly_steps, needed, refusal, within
from hfstyle.studio.backend.results import slug, write_animation, write_webp
from hfstyle.studio.backend.settings import DEFAULTS, Settings, with_settings
from hfstyle.studio.pages.chosen import ChosenStyle, OnStylize, name_on_stylize
from hfstyle.studio.pages.parts import (
    begin_and_stop,
    files_result,
    option_slider,
    picture_result,
)
from hfstyle.studio.pages.remember import remember_in_tab
from hfstyle.studio.pages.shared import Shared
from hfstyle.studio.pages.slots import (
    Files,
    Slots,
    begin_with_two,
    slot_styles,
    style_slot,
    with_slots,
)

_STEPS: Final = OPTIONS["steps"]
_SIZE: Final = OPTIONS["frame_size"]
_FRAME_PIXELS: Final = 400_000  # a GIF of the most frames is then written within some seconds


class AnimateHandlers:
    """The docstring of the public one is the API's documentation."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    @with_slots((1.0, 1.0, 1.0, 1.0), "0 leaves the {ordinal} style out")
    @with_settings("resolution")
    def path(
        self,
        content: str | None,
        settings: Settings = DEFAULTS,
        steps: float = _STEPS.default,
        size: float = _SIZE.default,
        slots: Slots = (),
        files: Files = (),
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Any]:
        """Animate a photo on the way from style to style, forth and back.

        Args:
            content: the photo.
            settings: as of the sliders.
            steps: paintings from the first style to the last one, from 2 to 24; at least one for each style.
            size: short side of the animation in pixels, from 128 to 512, at most that of the photo.
            slots: preset, picture and weight of each style.
            files: style file of each style.

        Returns:
            The animation as GIF; and its files: the GIF, and an MP4 where the server has the package av.
        """
        on_stylize = OnStylize()
        yield from self._animated(
            content, settings, steps, size, slots, files, on_stylize, progress
        )

    @with_slots((1.0, 1.0, 1.0, 1.0), "0 leaves the {ordinal} style out")
    @with_settings("resolution")
    def path_here(
        self,
        content: str | None,
        settings: Settings,
        steps: float,
        size: float,
        slots: Slots,
        files: Files,
        preset: str | None,
        style: str | None,
        style_file: str | None,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Any]:
        """The same, where the style of Stylize may be among them, and its example photo is animated where there is no other."""
        on_stylize = OnStylize(preset, style, style_file, settings.style_size)
        photo = content or self.studio.first_photo
        yield from self._animated(photo, settings, steps, size, slots, files, on_stylize, progress)

    def _animated(
        self,
        content: str | None,
        settings: Settings,
        steps: float,
        size: float,
        slots: Slots,
        files: Files,
        on_stylize: OnStylize,
        progress: gr.Progress,
    ) -> Iterator[Any]:
        studio, photo = self.studio, needed(content, "photo")
        count = within(steps, "number of steps", *_STEPS.offered)
        side = within(size, "size of the animation", *_SIZE.offered)

        def begin() -> tuple[Picture, list[StyleCode]]:
            codes, _ = slot_styles(studio, settings.style_size, slots, files, on_stylize)
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
            yield write_webp(frames[-1], "frame"), gr.skip()
        ends = f"{slug(codes[0].name)}_to_{slug(codes[-1].name)}"
        write = partial(write_animation, frames, f"{slug(Path(photo).stem)}__{ends}")
        files = yield from job(write, waiting)
        yield files[0], files


def animate_page(
    handlers: AnimateHandlers,
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
        chosen: the style of the page Stylize, with which the animation begins.
    """
    studio = handlers.studio
    slots: list[Any] = []
    own: list[Any] = []
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            gr.Markdown(
                "The photo passes through these styles, in their order, and back to the first."
            )
            name_on_stylize(studio, chosen)
            for number, ordinal in enumerate(("First", "Second", "Third", "Fourth"), start=1):
                with gr.Accordion(f"{ordinal} style", open=number <= 2):
                    *choice, style_file = style_slot(studio, f"{number} of the animation")
                    # Programs may leave a style out with a weight of 0; here it is left out by not choosing it.
                    slots += [*choice, gr.Number(1.0, visible=False, label=f"Weight {number}")]
                    own.append(style_file)
        with gr.Column(scale=3, min_width=320):
            with gr.Row(elem_classes="beside"):
                steps = option_slider("steps", "Steps", step=1, min_width=150)
                size = option_slider("frame_size", "Size", step=64, min_width=150)
            go, stop = begin_and_stop("Make the animation")
            shown = picture_result("Animation", "gif", "the photo on its way from style to style")
            files = files_result("Animation files")
    inputs = [shared.content, *shared.settings_without("resolution"), steps, size, *slots, *own]
    run = go.click(
        friendly_steps(handlers.path_here),
        [*inputs, *chosen.components],
        [shown, files],
        show_progress_on=files,
        **private,
    )
    gr.Button(visible=False).click(
        friendly_steps(handlers.path), inputs, [shown, files], api_name="path", **compute
    )
    stop.click(None, cancels=[run])
    first = begin_with_two(studio, demo, slots, chosen)
    choices = [slot for index, slot in enumerate(slots) if index % 3 < 2]
    remember_in_tab(demo, "animate", [*choices, *own, steps, size], first)
