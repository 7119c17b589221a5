"""Many photos in one style, and one zip of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import gradio as gr

from hfstyle import StyleCode
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.jobs import PROGRESS, job, until
from hfstyle.studio.backend.photos import size_of
from hfstyle.studio.backend.refusals import (
    LONGEST_SENTENCE,
    display_name,
    friendly_steps,
    one_line,
    refusal,
)
from hfstyle.studio.backend.results import FileFormat, file_format, slug, write_zip
from hfstyle.studio.backend.settings import Settings, with_settings
from hfstyle.studio.backend.stops import Stops
from hfstyle.studio.backend.uploads import MAX_PICTURES, PicturesUpload
from hfstyle.studio.pages.chosen import ChosenStyle, style_here
from hfstyle.studio.pages.parts import (
    EMPTIED,
    QUIET,
    begin_and_stop,
    format_choice,
    in_view,
    quality_slider,
    results_gallery,
    sheet_choice,
)
from hfstyle.studio.pages.remember import remember_in_tab
from hfstyle.studio.pages.shared import Shared

_MOST_PIXELS: Final = 240_000_000
"""Of all photos: ten from a camera, or the most that are taken, of ten megapixels each. They take minutes."""


class ManyHandlers:
    """What the components call."""

    def __init__(self, studio: Studio) -> None:
        self.studio, self.stops = studio, Stops()

    @with_settings()
    def paint(
        self,
        photos: list[str] | None,
        preset: str | None,
        style: str | None,
        style_file: str | None,
        settings: Settings,
        format: str,
        quality: float,
        sheet: str,
        request: gr.Request | None = None,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[tuple[Any, Any, Any]]:
        """The paintings as they come, small; what was done; the zip at the end, or when it is stopped. A photo that fails does
        not stop the others.
        """
        with self.stops.during(request) as stop:
            if not photos:
                raise refusal("Choose the photos first.")
            ending = file_format(format, quality, sheet)
            yield [], "Reading the style", None  # nothing of earlier photos stays in view
            find = partial(self.studio.style, style, style_file, preset, settings.style_size)
            code = yield from job(find, (gr.skip(), gr.skip(), gr.skip()))
            if code is None:
                raise refusal("Choose a style first.")
            yield from self._painted(photos, code, settings, ending, stop.is_set, progress)

    def _painted(
        self,
        files: list[str],
        code: StyleCode,
        settings: Settings,
        ending: FileFormat,
        stopped: Callable[[], bool],
        progress: gr.Progress,
    ) -> Iterator[tuple[Any, Any, Any]]:
        studio = self.studio
        sizes = [size_of(file) or (0, 0) for file in files]
        pixels = sum(map(math.prod, sizes))
        if pixels > _MOST_PIXELS:
            raise refusal(
                f"The {len(files)} photos have {pixels / 1e6:.0f} megapixels together; the limit is "
                f"{_MOST_PIXELS / 1e6:.0f}. Please take fewer at a time."
            )
        waiting = gr.skip(), gr.skip(), gr.skip()
        shown: list[tuple[str, str]] = []
        made: list[str] = []
        failed: list[str] = []
        for index, file in enumerate(files):
            rest = sizes[index:]
            left = sum(studio.expected_seconds(size, settings, ending.name) for size in rest)
            name = display_name(file)
            doing = f"{name}; about {left:.0f} s are left"
            progress((index, len(files)), desc=doing)
            now = f"Painting photo {index + 1} of {len(files)}: {doing}"
            yield list(shown), "\n".join([now, *failed]), gr.skip()
            try:
                work = partial(studio.full_size, file, code, settings, ending=ending)
                path = yield from until(stopped, job(work, waiting))
                if path is None:
                    break
                made.append(path)
                look = partial(studio.look, path)
                shown.append(((yield from job(look, waiting)), name))
            except (gr.Error, ValueError) as error:
                told = one_line(getattr(error, "message", str(error)), LONGEST_SENTENCE)
                failed.append(f"not painted: {told if name in told else f'{name}: {told}'}")
        early = len(made) + len(failed) < len(files)
        if not made:
            raise refusal("Stopped before a photo was painted." if early else " ".join(failed))
        if early:
            failed.append("Stopped: this is what was painted")
        yield list(shown), "Packing the zip", gr.skip()
        pack = partial(write_zip, made, f"{len(made)}_photos__{slug(code.name)}")
        archive = yield from job(pack, waiting)
        yield shown, _told(len(made), len(files), failed), archive


def _told(made: int, count: int, failed: list[str]) -> str:
    return "\n".join([f"{made} of {count} photos painted", *failed])


def many_page(handlers: ManyHandlers, demo: gr.Blocks, shared: Shared, chosen: ChosenStyle) -> None:
    """Build the page.

    Args:
        handlers: what its components call.
        demo: whose loading brings back what was chosen.
        shared: whose settings count; its photo does not.
        chosen: the style, in which they are painted.
    """
    studio = handlers.studio
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            gr.Markdown(
                "All photos are painted in one style, with the strength and colour above, each at its own size."
            )
            style_here(studio, chosen)
            photos = PicturesUpload(
                label=f"Photos, up to {MAX_PICTURES}",
                file_count="multiple",
                file_types=["image"],
                height=220,
            )
            with gr.Accordion("File format and print size", open=False):
                with gr.Row():
                    format, quality = format_choice("jpeg"), quality_slider()
                sheet = sheet_choice()
            go, stop = begin_and_stop("Paint them all", keeps=True)
        with gr.Column(scale=3, min_width=320):
            status = gr.Textbox(
                "",
                label="What was done",
                placeholder="Nothing painted yet",
                lines=2,
                interactive=False,
                elem_id="many-told",
                elem_classes="status",
            )
            archive = gr.File(label="All of them, as a zip", elem_classes="files")
            shown = results_gallery("Painted photos")
    go.click(None, js=in_view("#many-told", "start"), api_visibility="private")
    go.click(None, None, status, js=EMPTIED, show_progress="hidden", api_visibility="private")
    go.click(handlers.stops.asked, **QUIET)
    done = go.click(
        friendly_steps(handlers.paint),
        [photos, *chosen.components, *shared.settings, format, quality, sheet],
        [shown, status, archive],
        concurrency_id="many",  # between two of the photos, others get their turn
        concurrency_limit=1,
        show_progress="minimal",
        show_progress_on=status,
        api_visibility="private",
    )
    done.failure(lambda: "", None, status, **QUIET)
    stop.click(handlers.stops.press, **QUIET)
    remember_in_tab(demo, "many", [photos, format, quality, sheet])
