"""Mixtures of styles, ways between them, and styles as files."""

from __future__ import annotations

from typing import Any

import gradio as gr

from hfstyle.studio.control_handlers import ControlHandlers
from hfstyle.studio.control_parts import collection_part, path_part
from hfstyle.studio.handlers import LONGEST_NAME, STYLE_SLOTS, Handlers
from hfstyle.studio.parts import (
    before_after_slider,
    color_slider,
    fine_sliders,
    photo_input,
    stop_button,
    strength_slider,
    style_choice,
    style_size_slider,
)
from hfstyle.studio.refusals import friendly, friendly_steps
from hfstyle.studio.uploads import PhotoUpload


def mix_tab(
    handlers: Handlers,
    controls: ControlHandlers,
    compute: dict[str, Any],
    private: dict[str, Any],
    demo: gr.Blocks,
) -> None:
    studio = handlers.studio
    names = list(studio.labels)
    slots: list[Any] = []
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            content = photo_input()
            for index in range(STYLE_SLOTS):
                with gr.Accordion(f"Style {index + 1}", open=index < 2):
                    slots += style_choice(studio, str(index + 1))
                    slots.append(
                        gr.Slider(
                            0, 1, value=float(index < 2), step=0.05, label=f"Weight {index + 1}"
                        )
                    )
        with gr.Column(scale=3, min_width=320):
            before_after = before_after_slider()
            status = gr.Markdown("Choose a photo to begin.", elem_classes="status")
            with gr.Row():
                strength, color = strength_slider(), color_slider()
            with gr.Accordion("Brush and detail", open=False):
                style_size, resolution = fine_sliders()
            with gr.Row():
                save = gr.Button("Full-size picture and style file", variant="primary", scale=4)
                stop = stop_button()
            file = gr.File(label="Full-size PNG", elem_classes="files")
            style_file = gr.File(label="Style file", elem_classes="files")
    inputs = [content, strength, color, style_size, resolution, *slots]
    shown = gr.on(
        [c.input if isinstance(c, gr.Dropdown) else c.change for c in inputs],
        friendly(handlers.render_mix),
        inputs,
        [before_after, status],
        trigger_mode="always_last",
        show_progress="minimal",
        **private,
    )
    run = save.click(
        friendly_steps(handlers.mix), inputs, [file, style_file], api_name="mix", **compute
    )
    if len(names) > 1:
        first = demo.load(
            lambda: tuple(studio.first_styles(2)),
            None,
            [slots[0], slots[3]],
            api_visibility="private",
            queue=False,
        )
        # Not by their change events: two lists set at once may be rendered when only one has arrived.
        first.then(friendly(handlers.render_mix), inputs, [before_after, status], **private)

    painting = [strength, color, style_size]
    walked = path_part(controls, content, painting, slots, compute)

    with gr.Accordion("Save the style of one picture", open=False), gr.Row():
        picture = PhotoUpload(label="Style picture to save", height=220, format="png")
        with gr.Column():
            size = style_size_slider()
            name = gr.Textbox("", label="Name of the style", max_length=LONGEST_NAME)
            encode = gr.Button("Save its style")
            encoded = gr.File(label="Style file", elem_classes="files")
    encode.click(
        friendly(handlers.encode), [picture, size, name], encoded, api_name="encode", **compute
    )
    collected = collection_part(controls, content, compute)
    stop.click(None, cancels=[run, shown, walked, collected])
