"""Components that several pages have."""

from __future__ import annotations

from typing import Any

import gradio as gr

from hfstyle.pipeline import DEFAULT_STYLE_SIZE
from hfstyle.studio.painting import Studio, example_paths
from hfstyle.studio.settings import DEFAULT_RESOLUTION
from hfstyle.studio.uploads import PhotoUpload


def photo_input(label: str = "Your photo") -> PhotoUpload:
    """A place for the visitor's photo, with examples below it."""
    photo = PhotoUpload(
        label=label,
        height=220,
        format="png",
        alt_text="the photo to be painted",
        elem_classes="photo",
    )
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


def preset_list(studio: Studio, label: str, info: str | None = None) -> gr.Dropdown:
    """A list of the presets, none chosen: what a page chooses for a visitor is no default of the endpoints."""
    choices = [(text, name) for name, text in studio.labels.items()]
    return gr.Dropdown(choices, value=None, label=label, info=info, visible=bool(choices))


def style_choice(studio: Studio, number: str) -> tuple[gr.Dropdown, PhotoUpload]:
    """A preset, or the visitor's own picture in its place."""
    preset = preset_list(studio, f"Painting {number}")
    with gr.Accordion("or a picture of your own", open=not studio.labels):
        style = PhotoUpload(label=f"Own picture {number}", height=180, format="png")
    return preset, style


def strength_slider(label: str = "Strength") -> gr.Slider:
    """The headline control."""
    return _from_photo_to_style(label, "0 is the photo, 1 the full style")


def color_slider(label: str = "Colour") -> gr.Slider:
    """Whose colours the result has."""
    return _from_photo_to_style(label, "0 is the photo's, 1 the style's")


def _from_photo_to_style(label: str, info: str) -> gr.Slider:
    return gr.Slider(0, 1, value=1, step=0.05, label=label, info=info, min_width=240)


def fine_sliders() -> tuple[gr.Slider, gr.Slider]:
    """Size of the brush and resolution."""
    return style_size_slider(), resolution_slider()


def style_size_slider() -> gr.Slider:
    """The size at which style pictures are looked at."""
    return gr.Slider(
        128,
        768,
        value=DEFAULT_STYLE_SIZE,
        step=64,
        label="Size of the brush",
        info="higher paints broader strokes; for your own style picture",
    )


def resolution_slider() -> gr.Slider:
    """The size at which the photo is painted."""
    return gr.Slider(
        128,
        1024,
        value=DEFAULT_RESOLUTION,
        step=64,
        label="Detail",
        info="short side in pixels at which the photo is painted; higher is finer and slower",
    )


def results_gallery(label: str, columns: int = 3, **changes: Any) -> gr.Gallery:
    """Painted pictures beside each other, whole and lossless; the label is for screen readers."""
    options = {"object_fit": "contain", "elem_classes": "results", **changes}
    return gr.Gallery(
        label=label, show_label=False, columns=columns, format="png", interactive=False, **options
    )


def before_after_slider(share: int = 50) -> gr.ImageSlider:
    """The photo and its painting, one over the other; of the photo, a share of so many percent is seen at first."""
    return gr.ImageSlider(
        label="Before and after",
        format="png",
        max_height=620,
        slider_position=share,
        interactive=False,
        elem_classes="compared",
    )


def stop_button() -> gr.Button:
    """Ends what the page computes."""
    return gr.Button("Stop", scale=1, min_width=80)
