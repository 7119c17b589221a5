"""One photo in many styles, or at many settings; and what a painting took from where."""

from __future__ import annotations

from typing import Any

import gradio as gr

from hfstyle.studio.compare_handlers import COMPARED_STYLES, CompareHandlers
from hfstyle.studio.control_handlers import ControlHandlers
from hfstyle.studio.control_parts import explain_part
from hfstyle.studio.parts import (
    color_slider,
    photo_input,
    resolution_slider,
    results_gallery,
    stop_button,
    strength_slider,
)
from hfstyle.studio.refusals import friendly_steps
from hfstyle.studio.uploads import PhotoUpload


def compare_tab(
    handlers: CompareHandlers,
    controls: ControlHandlers,
    compute: dict[str, Any],
    private: dict[str, Any],
    demo: gr.Blocks,
) -> None:
    studio = handlers.studio
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            content = photo_input()
            presets = gr.Dropdown(
                [(label, name) for name, label in studio.labels.items()],
                value=[],
                multiselect=True,
                max_choices=COMPARED_STYLES,
                label=f"Paintings, up to {COMPARED_STYLES}",
            )
            with gr.Accordion("and a style picture of your own", open=not studio.labels):
                style = PhotoUpload(label="Own style picture", height=200, format="png")
            choices = [("many styles", "styles"), ("one style, many settings", "settings")]
            if handlers.diffusion is not None:
                choices.append((f"hfstyle and {handlers.diffusion.name}", "diffusion"))
            across = gr.Radio(
                choices,
                value="styles",
                label="Compare",
            )
            with gr.Accordion("Strength, colour, detail", open=False):
                strength, color = strength_slider(), color_slider()
                resolution = resolution_slider()
            with gr.Row():
                go = gr.Button("Compare", variant="primary", scale=4)
                stop = stop_button()
        with gr.Column(scale=3, min_width=320):
            gr.Markdown("Choose a photo and paintings, then press **Compare**.")
            shown = results_gallery("Results")
    run = go.click(
        friendly_steps(handlers.compare),
        [content, presets, style, across, strength, color, resolution],
        shown,
        api_name="compare",
        show_progress="minimal",
        **compute,
    )
    preset, explained = explain_part(controls, content, compute, private)
    stop.click(None, cancels=[run, explained])
    if studio.labels:
        demo.load(
            lambda: (studio.first_styles(4), studio.first_styles(1)[0]),
            None,
            [presets, preset],
            api_visibility="private",
            queue=False,
        )
