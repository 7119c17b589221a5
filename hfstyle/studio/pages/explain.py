"""What a painting took from where in its style: a closed part of the page Compare."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import gradio as gr

from hfstyle.limits import DEFAULT_STYLE_SIZE
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.jobs import PROGRESS, job, mark
from hfstyle.studio.backend.refusals import friendly_steps, needed, plain, refusal
from hfstyle.studio.backend.results import slug, write_png
from hfstyle.studio.backend.settings import DEFAULT_RESOLUTION
from hfstyle.studio.backend.uploads import StyleUpload, open_picture
from hfstyle.studio.pages.parts import begin_and_stop, picture_result, style_choice

_EXPLAINED_PIXELS: Final = 600_000  # its attention is looked at in one pass


class ExplainHandlers:
    """The docstring of the public one is the API's documentation."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

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
            f"{number}. {plain(self.studio.labels[item['name']])}: {item['distance']:.2f}"
            for number, item in enumerate(nearest, start=1)
        ]
        return "\n".join(
            [
                "**Paintings in the gallery with the most similar styles** (0 is the same style):",
                "",
                *lines,
            ]
        )


def explain_part(
    handlers: ExplainHandlers,
    content: gr.Image,
    compute: dict[str, Any],
    private: dict[str, Any],
) -> tuple[gr.Dropdown, Any]:
    """What a painting took from where; returns the list of its styles and the event that explains."""
    with gr.Accordion("Explain one style", open=False), gr.Row():
        with gr.Column(scale=2, min_width=280):
            gr.Markdown(
                "Shows from which part of the style each place of the photo was painted, and which paintings in the "
                "gallery have a similar style."
            )
            preset, style = style_choice(handlers.studio, "to explain")
            with gr.Accordion("or a style file", open=False):
                style_file = StyleUpload(
                    label="Style file to explain (.safetensors)", file_types=[".safetensors"]
                )
            go, stop = begin_and_stop("Explain")
        with gr.Column(scale=3, min_width=280):
            shown = picture_result("Explanation", "png", "photo, painting, style and attention")
            gr.Markdown(
                "In the upper row: the photo and its painting. In the lower row: the style with a colour for each of its "
                "parts, and the photo in the colours of the parts from which each place was painted. A place is bright "
                "if it was painted from a few parts, and grey if from the whole style."
            )
            nearest = gr.Markdown("", elem_classes="status")
    inputs = [content, preset, style, style_file]
    run = go.click(
        friendly_steps(handlers.show_explanation),
        inputs,
        [shown, nearest],
        show_progress_on=nearest,
        **private,
    )
    stop.click(None, cancels=[run])
    distances = gr.JSON(label="Nearest presets", visible=False)  # for programs
    gr.Button(visible=False).click(
        friendly_steps(handlers.explain), inputs, [shown, distances], api_name="explain", **compute
    )
    return preset, run
