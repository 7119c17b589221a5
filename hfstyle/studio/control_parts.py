"""Parts of pages about styles themselves, closed at first: a way between styles, a collection, an explanation."""

from __future__ import annotations

from typing import Any

import gradio as gr

from hfstyle.studio.control_handlers import (
    DEFAULT_FRAME_SIDE,
    DEFAULT_STEPS,
    MAX_CLUSTERS,
    MAX_FRAME_SIDE,
    MAX_STEPS,
    MIN_FRAME_SIDE,
    ControlHandlers,
)
from hfstyle.studio.handlers import LONGEST_NAME
from hfstyle.studio.parts import results_gallery, stop_button, style_choice, style_size_slider
from hfstyle.studio.refusals import friendly_steps
from hfstyle.studio.uploads import MAX_PICTURES, PicturesUpload, StyleUpload


def path_part(
    handlers: ControlHandlers,
    content: gr.Image,
    painting: list[Any],
    slots: list[Any],
    compute: dict[str, Any],
) -> Any:
    """An animation from style to style; returns the event that paints it.

    Args:
        handlers: what its components call.
        content: the page's photo.
        painting: its strength, colour and size of the brush.
        slots: of each of its styles preset, picture, weight.
        compute: options of events that paint.
    """
    with gr.Accordion("Animate the way from style to style", open=False), gr.Row():
        with gr.Column(scale=2, min_width=280):
            gr.Markdown(
                "The photo passes through the styles chosen above, in their order, and back. A weight of 0 leaves a style "
                "out; other weights do not count here."
            )
            steps = gr.Slider(
                2, MAX_STEPS, value=DEFAULT_STEPS, step=1, label="Steps", info="paintings one way"
            )
            size = gr.Slider(
                MIN_FRAME_SIDE,
                MAX_FRAME_SIDE,
                value=DEFAULT_FRAME_SIDE,
                step=64,
                label="Size of the animation",
                info="short side in pixels",
            )
            go, stop = _buttons("Make the animation")
        with gr.Column(scale=3, min_width=280):
            shown = _picture("Animation", "gif", "the photo on its way from style to style")
            files = _files("Animation files")
    run = go.click(
        friendly_steps(handlers.path),
        [content, *painting, steps, size, *slots],
        [shown, files],
        api_name="path",
        **compute,
    )
    stop.click(None, cancels=[run])
    return run


def collection_part(handlers: ControlHandlers, content: gr.Image, compute: dict[str, Any]) -> Any:
    """The style of several pictures; returns the event that finds it."""
    with gr.Accordion("Save the style of several pictures", open=False), gr.Row():
        with gr.Column(scale=2, min_width=280):
            gr.Markdown(
                "Pictures that belong together, such as works of one painter, become one style, their mean, or a few "
                "styles that stand for groups of alike pictures."
            )
            pictures = PicturesUpload(
                label=f"Style pictures, up to {MAX_PICTURES}",
                file_count="multiple",
                file_types=["image"],
                height=220,
            )
            clusters = gr.Slider(
                1, MAX_CLUSTERS, value=1, step=1, label="Styles", info="1 is the mean of all"
            )
            size = style_size_slider()
            name = gr.Textbox("", label="Name of the collection", max_length=LONGEST_NAME)
            go, stop = _buttons("Save their style")
        with gr.Column(scale=3, min_width=280):
            shown = results_gallery("The photo in the styles of the collection", columns=2)
            files = _files("Style files")
    run = go.click(
        friendly_steps(handlers.collect),
        [pictures, clusters, size, name, content],
        [shown, files],
        api_name="collect",
        **compute,
    )
    stop.click(None, cancels=[run])
    return run


def explain_part(
    handlers: ControlHandlers,
    content: gr.Image,
    compute: dict[str, Any],
    private: dict[str, Any],
) -> tuple[gr.Dropdown, Any]:
    """What a painting took from where; returns the list of its styles and the event that explains."""
    with gr.Accordion("Explain one style", open=False), gr.Row():
        with gr.Column(scale=2, min_width=280):
            gr.Markdown(
                "Which part of the style each place of the photo looked at, and which paintings of the gallery have "
                "styles like it."
            )
            preset, style = style_choice(handlers.studio, "to explain")
            with gr.Accordion("or a style file", open=False):
                style_file = StyleUpload(
                    label="Style file to explain (.safetensors)", file_types=[".safetensors"]
                )
            go, stop = _buttons("Explain")
        with gr.Column(scale=3, min_width=280):
            shown = _picture("Explanation", "png", "photo, painting, style and attention")
            gr.Markdown(
                "Above, the photo and its painting. Below, a colour for each part of the style, over your own style "
                "picture, and the photo in the colours of the parts that each place looked at: bright where it looked "
                "at few of them, grey where at the whole style."
            )
            nearest = gr.Markdown("", elem_classes="status")
    inputs = [content, preset, style, style_file]
    run = go.click(friendly_steps(handlers.show_explanation), inputs, [shown, nearest], **private)
    stop.click(None, cancels=[run])
    distances = gr.JSON(label="Nearest presets", visible=False)  # for programs
    gr.Button(visible=False).click(
        friendly_steps(handlers.explain), inputs, [shown, distances], api_name="explain", **compute
    )
    return preset, run


def _buttons(label: str) -> tuple[gr.Button, gr.Button]:
    """One that begins, and one that ends it."""
    with gr.Row():
        return gr.Button(label, variant="primary", scale=4), stop_button()


def _files(label: str) -> gr.File:
    return gr.File(label=label, file_count="multiple", interactive=False, elem_classes="files")


def _picture(label: str, format: str, alt_text: str) -> gr.Image:
    return gr.Image(
        label=label,
        format=format,
        alt_text=alt_text,
        interactive=False,
        show_label=False,
        buttons=["download", "fullscreen"],
        elem_classes="results",
    )
