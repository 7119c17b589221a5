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
from hfstyle.limits import DEFAULT_FACES, DEFAULT_STYLE_SIZE
from hfstyle.paths import style_path
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.jobs import PROGRESS, job
from hfstyle.studio.backend.refusals import friendly_steps, needed, refusal, within
from hfstyle.studio.backend.results import slug, write_animation, write_webp
from hfstyle.studio.backend.settings import DEFAULT_RESOLUTION, Settings
from hfstyle.studio.pages.parts import begin_and_stop, files_result, picture_result, style_choice
from hfstyle.studio.pages.remember import remember_in_tab
from hfstyle.studio.pages.shared import Shared
from hfstyle.studio.pages.slots import slot_styles

MAX_STEPS: Final = 24
MIN_FRAME_SIDE: Final = 128
MAX_FRAME_SIDE: Final = 512
DEFAULT_STEPS: Final = 12
DEFAULT_FRAME_SIDE: Final = 320

_FRAME_PIXELS: Final = 400_000  # a GIF of the most frames is then written within some seconds


class AnimateHandlers:
    """The docstring of the public one is the API's documentation."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def path(
        self,
        content: str | None,
        strength: float = 1.0,
        color: float = 1.0,
        style_size: float = DEFAULT_STYLE_SIZE,
        faces: float = DEFAULT_FACES,
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
        weight_3: float = 1.0,
        preset_4: str | None = None,
        style_4: str | None = None,
        weight_4: float = 1.0,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Any]:
        """Animate a photo on the way from style to style, forth and back.

        Args:
            content: the photo.
            strength: from 0, the photo itself, to 1, the full style.
            color: from 0, the photo's own colours, to 1, the colours of the style.
            style_size: short side in pixels at which style pictures are looked at; larger makes broader strokes.
            faces: from 0, faces are painted like everything else, to 1, as much of them as possible is kept.
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
            weight_3: 0 leaves the third style out.
            preset_4: name of the fourth style; used if there is no picture for it.
            style_4: picture of the fourth style.
            weight_4: 0 leaves the fourth style out.

        Returns:
            The animation as GIF; and its files: the GIF, and an MP4 where the server has the package av.
        """
        studio, photo = self.studio, needed(content, "photo")
        settings = Settings.of(strength, color, style_size, DEFAULT_RESOLUTION, faces)
        count = within(steps, "number of steps", 2, MAX_STEPS)
        side = within(size, "size of the animation", MIN_FRAME_SIDE, MAX_FRAME_SIDE)
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
            yield write_webp(frames[-1], "frame"), gr.skip()
        ends = f"{slug(codes[0].name)}_to_{slug(codes[-1].name)}"
        write = partial(write_animation, frames, f"{slug(Path(photo).stem)}__{ends}")
        files = yield from job(write, waiting)
        yield files[0], files


def animate_page(
    handlers: AnimateHandlers, compute: dict[str, Any], demo: gr.Blocks, shared: Shared
) -> None:
    """Build the page.

    Args:
        handlers: what its components call.
        compute: options of events that paint.
        demo: whose loading chooses the first styles.
        shared: photo and settings.
    """
    studio = handlers.studio
    slots: list[Any] = []
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            gr.Markdown(
                "The photo passes through these styles, in their order, and back to the first."
            )
            for number, ordinal in enumerate(("First", "Second", "Third", "Fourth"), start=1):
                with gr.Accordion(f"{ordinal} style", open=number <= 2):
                    slots += style_choice(studio, f"{number} of the animation")
                    # Programs may leave a style out with a weight of 0; here it is left out by not choosing it.
                    slots.append(gr.Number(1.0, visible=False, label=f"Weight {number}"))
        with gr.Column(scale=3, min_width=320):
            with gr.Row(elem_classes="beside"):
                steps = gr.Slider(
                    2,
                    MAX_STEPS,
                    value=DEFAULT_STEPS,
                    step=1,
                    label="Steps",
                    info="from first to last style",
                    min_width=150,
                )
                size = gr.Slider(
                    MIN_FRAME_SIDE,
                    MAX_FRAME_SIDE,
                    value=DEFAULT_FRAME_SIDE,
                    step=64,
                    label="Size",
                    info="short side in pixels",
                    min_width=150,
                )
            go, stop = begin_and_stop("Make the animation")
            shown = picture_result("Animation", "gif", "the photo on its way from style to style")
            files = files_result("Animation files")
    painting = [shared.strength, shared.color, shared.style_size, shared.faces]
    run = go.click(
        friendly_steps(handlers.path),
        [shared.content, *painting, steps, size, *slots],
        [shown, files],
        api_name="path",
        **compute,
    )
    stop.click(None, cancels=[run])
    first = None
    if studio.labels:
        first = demo.load(
            lambda: tuple(studio.first_styles(2)),
            None,
            [slots[0], slots[3]][: len(studio.labels)],
            api_visibility="private",
            queue=False,
        )
    chosen = [slot for index, slot in enumerate(slots) if index % 3 < 2]
    remember_in_tab(demo, "animate", [*chosen, steps, size], first)
