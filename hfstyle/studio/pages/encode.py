"""The style of one picture, as a file: a closed part of the page Learn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from hfstyle import StyleCode
from hfstyle.limits import DEFAULT_STYLE_SIZE
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.jobs import job
from hfstyle.studio.backend.refusals import LONGEST_NAME, friendly_steps, needed, whole
from hfstyle.studio.backend.uploads import PhotoUpload
from hfstyle.studio.pages.parts import style_size_slider
from hfstyle.studio.pages.slots import given_name

__all__ = ["EncodeHandlers", "encode_part"]


class EncodeHandlers:
    """The docstring of the public one is the API's documentation."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def encode(
        self, style: str | None, style_size: float = DEFAULT_STYLE_SIZE, name: str = ""
    ) -> Iterator[Any]:
        """Save the style of a picture as a small file, which /stylize takes in place of the picture.

        Args:
            style: the picture.
            style_size: short side in pixels at which the picture is looked at; larger makes broader strokes.
            name: what to call the style, at most 80 characters; by default the file's name.

        Returns:
            The style file, *.safetensors.
        """
        picture, size = needed(style, "style picture"), whole(style_size, "style size")

        def work() -> str:
            code = self.studio.style(picture, None, None, size)
            assert code is not None
            called = given_name(name) or code.name
            return self.studio.save_style(StyleCode(code.vector, code.tokens, code.encoder, called))

        yield (yield from job(work, gr.skip()))


def encode_part(handlers: EncodeHandlers, compute: dict[str, Any]) -> None:
    """The style of one picture."""
    with gr.Accordion("Quicker: the style of one picture", open=False), gr.Row():
        picture = PhotoUpload(label="Style picture to save", height=220, format="png")
        with gr.Column():
            size = style_size_slider()
            name = gr.Textbox("", label="Name of the picture's style", max_length=LONGEST_NAME)
            encode = gr.Button("Save its style", variant="primary")
            encoded = gr.File(label="Style file", elem_classes="files")
    encode.click(
        friendly_steps(handlers.encode),
        [picture, size, name],
        encoded,
        api_name="encode",
        **compute,
    )
