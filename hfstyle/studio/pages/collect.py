"""The style of several pictures: a closed part of the page Learn."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import gradio as gr

from hfstyle import StyleCode
from hfstyle.limits import DEFAULT_STYLE_SIZE
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.jobs import PROGRESS, job
from hfstyle.studio.backend.refusals import (
    LONGEST_NAME,
    LONGEST_SENTENCE,
    as_text,
    friendly_steps,
    needed,
    refusal,
    whole,
    within,
)
from hfstyle.studio.backend.settings import Settings
from hfstyle.studio.backend.several import look_at_all, told_of
from hfstyle.studio.backend.uploads import MAX_PICTURES, PicturesUpload
from hfstyle.studio.pages.parts import (
    begin_and_stop,
    files_result,
    results_gallery,
    style_size_slider,
)
from hfstyle.studio.pages.slots import given_name

MAX_CLUSTERS: Final = 6


class CollectHandlers:
    """The docstring of the public one is the API's documentation."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

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

        Pictures that cannot be used are left out, and a warning names them.

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
        count = within(clusters, "number of styles", 1, MAX_CLUSTERS)
        if count > len(files):
            raise refusal(_too_few(count, len(files)))
        size = whole(style_size, "style size")
        photo = needed(content or studio.first_photo, "photo")

        left_out: list[str] = []

        def look(file: str) -> StyleCode:
            code = studio.style(file, None, None, size)
            assert code is not None
            return code

        def encode() -> list[StyleCode]:
            codes = look_at_all(files, look, left_out, share=1.0)
            if count > len(codes):
                raise refusal(f"{_too_few(count, len(codes))} {told_of(left_out, len(files))}")
            return studio.pipe.encode_collection(codes, clusters=count, name=given_name(name))

        waiting = gr.skip(), gr.skip()
        codes = yield from job(encode, waiting, progress)
        if left_out:
            gr.Warning(as_text(told_of(left_out, len(files)), 2 * LONGEST_SENTENCE), duration=None)
        shown: list[tuple[str, str]] = []
        for index, code in enumerate(codes):
            key = ("collection", tuple(files), count, size, index)
            paint = partial(studio.painted_preview, photo, code, key, Settings(), lossless=True)
            members = int(code.metadata["pictures"])
            caption = f"{code.name}: {members} picture{'s' if members > 1 else ''}"
            shown.append(((yield from job(paint, waiting)), caption))
            yield list(shown), gr.skip()
        yield shown, [studio.save_style(code) for code in codes]


def _too_few(styles: int, pictures: int) -> str:
    return f"{styles} styles need at least {styles} pictures; there are {pictures}."


def collection_part(handlers: CollectHandlers, content: gr.Image, compute: dict[str, Any]) -> None:
    """The style of several pictures."""
    with gr.Accordion("Quicker: the style of several pictures", open=False), gr.Row():
        with gr.Column(scale=2, min_width=280):
            gr.Markdown(
                "Pictures that belong together, such as works of one painter, become one style, their mean. Or they become "
                "a few styles, each of a group of similar pictures."
            )
            pictures = PicturesUpload(
                label=f"Style pictures, up to {MAX_PICTURES}",
                file_count="multiple",
                file_types=["image"],
                height=220,
            )
            clusters = gr.Slider(
                1,
                MAX_CLUSTERS,
                value=1,
                step=1,
                label="Number of styles",
                info="1 is the mean of all pictures",
            )
            size = style_size_slider()
            name = gr.Textbox("", label="Name of the collection", max_length=LONGEST_NAME)
            go, stop = begin_and_stop("Save their style")
        with gr.Column(scale=3, min_width=280):
            shown = results_gallery("The photo in the styles of the collection", columns=2)
            files = files_result("Style files")
    run = go.click(
        friendly_steps(handlers.collect),
        [pictures, clusters, size, name, content],
        [shown, files],
        show_progress_on=files,
        api_name="collect",
        **compute,
    )
    stop.click(None, cancels=[run])
