"""Before and after as a GIF and an MP4: a closed part of the page Stylize."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import gradio as gr
from PIL import Image

from hfstyle.film.before_after import divided
from hfstyle.images.provenance import put_mark
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.jobs import PROGRESS, job, mark
from hfstyle.studio.backend.refusals import friendly_steps, refusal
from hfstyle.studio.backend.results import slug, write_animation
from hfstyle.studio.backend.settings import Settings, with_settings
from hfstyle.studio.backend.wishes import Wishes
from hfstyle.studio.pages.parts import begin_and_stop, files_of_wish, files_result, picture_result

__all__ = ["WipeHandlers", "wipe_part", "wipe_results"]

_MOST_PIXELS: Final = 300_000  # of a picture of it: a GIF is then sent within seconds
_STEPS: Final = 12  # from the photo to its painting
_HELD: Final = 4  # pictures that show each of them alone


class WipeHandlers:
    """What the components call."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    @with_settings()
    def wipe(
        self,
        content: str | None,
        preset: str | None,
        style: str | None,
        style_file: str | None,
        settings: Settings,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Any]:
        """The painting that slides over the photo and back: the GIF, and its files."""
        studio, shown = self.studio, content or self.studio.first_photo

        def work() -> tuple[str, list[str]]:
            code = studio.style(style, style_file, preset, settings.style_size)
            if shown is None or code is None:
                raise refusal("Choose a photo and a style first.")
            key = style or style_file or preset
            mark(0.1, "Painting")
            painted = studio.painted_preview(shown, code, key, settings)
            mark(0.5, "Writing the GIF and the MP4")
            frames = wiped(studio.original_preview(shown, settings.resolution), painted)
            put_mark(frames[0], studio.pipe.mark)
            name = f"{slug(Path(shown).stem)}__{slug(code.name)}_before_after"
            files = write_animation(frames, name)
            return files[0], files

        yield (yield from job(work, (gr.skip(), gr.skip()), progress))


def wiped(before: str, after: str) -> list[Image.Image]:
    """Pictures in which the second one slides over the first from the left, both alone for a while.

    Args:
        before, after: paths of pictures of one size.
    """
    with Image.open(before) as first, Image.open(after) as second:
        scale = min(1.0, (_MOST_PIXELS / (first.width * first.height)) ** 0.5)
        size = round(first.width * scale), round(first.height * scale)
        under, over = (
            picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
            for picture in (first, second)
        )
    between = [divided(over, under, step / _STEPS) for step in range(1, _STEPS)]
    return [*[under] * _HELD, *between, *[over] * _HELD]


def wipe_results() -> tuple[gr.Image, gr.File]:
    """What it makes, to be placed by `wipe_part`: the page empties it when its settings change."""
    shown = picture_result("Before and after, moving", "gif", "the painting slides over the photo")
    files = files_result("GIF and MP4")
    shown.unrender()
    files.unrender()
    return shown, files


def wipe_part(
    handlers: WipeHandlers,
    inputs: Sequence[Any],
    results: tuple[gr.Image, gr.File],
    wishes: Wishes,
    private: dict[str, Any],
) -> Any:
    """Build it; returns the event that makes it.

    Args:
        handlers: what its components call.
        inputs: photo, the three kinds of style, settings.
        results: of `wipe_results`.
        wishes: of the page.
        private: options of events that paint.
    """
    with gr.Accordion("Before and after as GIF and MP4", open=False):
        go, stop = begin_and_stop("Make GIF and MP4")
        for result in results:
            result.render()
    files_of_wish(wishes, go, inputs)
    run = go.click(
        wishes.files(friendly_steps(handlers.wipe), len(inputs), 2),
        list(inputs),
        list(results),
        show_progress_on=results[1],
        **private,
    )
    stop.click(None, cancels=[run])
    return run
