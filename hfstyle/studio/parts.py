"""Components that several pages have."""

from __future__ import annotations

import gradio as gr

from hfstyle.pipeline import DEFAULT_STYLE_SIZE
from hfstyle.studio.handlers import DEFAULT_RESOLUTION
from hfstyle.studio.painting import Studio, example_paths
from hfstyle.studio.uploads import PhotoUpload


def photo_input(label: str) -> PhotoUpload:
    """A place for the visitor's photo, with examples below it."""
    photo = PhotoUpload(label=label, height=300, format="png", alt_text="the photo to be painted")
    files = [[path] for path in example_paths().values()]
    if files:
        gr.Examples(
            files,
            photo,
            label="or one of these",
            api_visibility="private",
            cache_examples=False,
        )
    return photo


def preset_list(studio: Studio, label: str) -> gr.Dropdown:
    """A list of the presets, none chosen: what a page chooses for a visitor is no default of the endpoints."""
    choices = [(text, name) for name, text in studio.labels.items()]
    return gr.Dropdown(choices, value=None, label=label, visible=bool(choices))


def fine_sliders() -> tuple[gr.Slider, gr.Slider]:
    return style_size_slider(), resolution_slider()


def style_size_slider() -> gr.Slider:
    return gr.Slider(
        128,
        768,
        value=DEFAULT_STYLE_SIZE,
        step=64,
        label="Size of the brush",
        info="higher paints broader strokes; for your own style picture",
    )


def resolution_slider() -> gr.Slider:
    return gr.Slider(
        128,
        1024,
        value=DEFAULT_RESOLUTION,
        step=64,
        label="Resolution in pixels",
        info="short side at which the photo is painted; higher is finer and slower",
    )
