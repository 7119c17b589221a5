"""The first page: one photo, one style."""

from __future__ import annotations

from typing import Any

import gradio as gr

from hfstyle.studio.handlers import STRIP, Handlers
from hfstyle.studio.parts import (
    before_after_slider,
    color_slider,
    fine_sliders,
    photo_input,
    preset_list,
    results_gallery,
    stop_button,
    strength_slider,
)
from hfstyle.studio.refusals import friendly, friendly_steps
from hfstyle.studio.uploads import PhotoUpload, StyleUpload


def stylise_tab(
    handlers: Handlers, compute: dict[str, Any], private: dict[str, Any], demo: gr.Blocks
) -> None:
    studio = handlers.studio
    names = list(studio.labels)
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            content = photo_input()
            gr.Markdown(
                "**Style**: pick a painting, here shown by a cat painted in its style, or bring your own"
                if names
                else "**Style**: bring a picture, or a style file"
            )
            with gr.Tabs():
                with gr.Tab("Gallery"):
                    gallery = gr.Gallery(
                        label="Paintings, each shown by the same cat in its style",
                        show_label=False,
                        columns=3,
                        height=700,
                        object_fit="cover",
                        allow_preview=False,
                        interactive=False,
                        buttons=[],
                        visible=bool(names),
                        elem_classes="presets",
                    )
                    gallery.keep_in_cache = handlers.thumbnails.kept
                    preset = preset_list(studio, "Painting")
                with gr.Tab("My picture"):
                    style = PhotoUpload(label="Style picture", height=260, format="png")
                with gr.Tab("Style file"):
                    style_file = StyleUpload(
                        label="Style file (.safetensors) saved in Mix or by the API",
                        file_types=[".safetensors"],
                    )
        with gr.Column(scale=3, min_width=320):
            before_after = before_after_slider()
            status = gr.Markdown(
                "Choose a photo to begin.", elem_id="status", elem_classes="status"
            )
            with gr.Row():
                strength, color = strength_slider(), color_slider()
            with gr.Accordion("Brush and detail", open=False):
                style_size, resolution = fine_sliders()
            with gr.Row():
                download = gr.Button("Full-size picture", variant="primary", scale=4)
                stop = stop_button()
            file = gr.File(label="Full-size PNG", elem_classes="files")
            beside = results_gallery("Side by side")
            gr.Markdown("**Strength from 0 to 1**: choose one to set the slider")
            strip = results_gallery(
                "Strength from 0 to 1",
                len(STRIP),
                elem_classes=["results", "strip"],
                allow_preview=False,
            )

    inputs: list[Any] = [
        content,
        preset,
        style,
        style_file,
        strength,
        color,
        style_size,
        resolution,
    ]
    changes = [component.change for component in inputs]
    shown = gr.on(
        changes,
        friendly(handlers.render),
        inputs,
        [before_after, beside, status],
        trigger_mode="always_last",
        show_progress="minimal",
        **private,
    )
    # After the picture itself; it gives way to the next change.
    strengths = shown.then(
        friendly_steps(handlers.strip), inputs, strip, show_progress="minimal", **private
    )
    gr.on(changes, None, cancels=[strengths])
    run = download.click(
        friendly_steps(handlers.stylize), inputs, file, api_name="stylize", **compute
    )
    stop.click(None, cancels=[run, shown, strengths])

    # One style at a time: choosing one way empties the others.
    own: dict[str, Any] = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}

    def pick(event: gr.SelectData) -> tuple[Any, None, None]:
        return names[int(event.index)], None, None

    gallery.select(pick, None, [preset, style, style_file], **own)
    preset.input(lambda: (None, None), None, [style, style_file], **own)
    style.input(lambda: (None, None), None, [preset, style_file], **own)
    style_file.upload(lambda: (None, None), None, [preset, style], **own)

    def strength_of(event: gr.SelectData) -> float:
        return STRIP[int(event.index)]

    strip.select(strength_of, None, strength, **own)
    if names:
        demo.load(lambda: studio.first_styles(1)[0], None, preset, **own)
        demo.load(
            handlers.thumbnails.growing,
            None,
            gallery,
            api_visibility="private",
            concurrency_limit=None,
            show_progress="hidden",
        )
