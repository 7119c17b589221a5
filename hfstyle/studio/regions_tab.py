"""Parts of a photo in styles of their own: drawn over with a brush of one colour for each, at a place, or in a mask."""

from __future__ import annotations

import itertools
from typing import Any, Final

import gradio as gr

from hfstyle.studio.masks import REGION_COLORS, MaskEditor
from hfstyle.studio.parts import (
    before_after_slider,
    color_slider,
    photo_input,
    preset_list,
    resolution_slider,
    stop_button,
    strength_slider,
    style_choice,
)
from hfstyle.studio.refusals import friendly, friendly_steps
from hfstyle.studio.region_handlers import DRAWN, RegionHandlers
from hfstyle.studio.uploads import PhotoUpload

_PLACES: Final = (
    ("as drawn, or as in the mask", DRAWN),
    ("left half", "left-half"),
    ("right half", "right-half"),
    ("upper half", "upper-half"),
    ("lower half", "lower-half"),
    ("upper third, like a sky", "upper-third"),
    ("lower third, like a ground", "lower-third"),
    ("middle, like a portrait", "middle"),
    ("all around the middle", "surroundings"),
)


def regions_tab(
    handlers: RegionHandlers, compute: dict[str, Any], private: dict[str, Any], tab: gr.Tab
) -> None:
    """Build the page.

    Args:
        handlers: what its components call.
        compute: options of events that paint.
        private: the same, for events that are no endpoints.
        tab: in which the page is; the photo is brought into the editor when it is first opened.
    """
    studio = handlers.studio
    slots: list[Any] = []
    places: list[Any] = []
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            content = photo_input()
            for index, name in enumerate(REGION_COLORS):
                with gr.Accordion(f"{name.title()} region", open=index == 0):
                    place = gr.Dropdown(
                        list(_PLACES), value=DRAWN, label=f"Where the {name} region is"
                    )
                    places.append(place)
                    slots += style_choice(studio, f"of the {name} region")
                    slots += [strength_slider(f"Strength, {name}"), color_slider(f"Colour, {name}")]
            with gr.Accordion("Elsewhere", open=False):
                background = preset_list(
                    studio, "Painting elsewhere", info="none: the photo stays as it is"
                )
                strength = strength_slider("Strength elsewhere")
                color = color_slider("Colour elsewhere")
                resolution = resolution_slider()
        with gr.Column(scale=3, min_width=320):
            gr.Markdown(
                "Draw over a part of the photo with the red, green or blue brush, or choose a place for a region from "
                "its list, or give a mask. Then press **Paint**."
            )
            editor = MaskEditor(
                label="Draw the regions",
                show_label=False,
                sources=(),
                transforms=(),
                layers=False,
                format="png",
                height=460,
                brush=gr.Brush(
                    default_size=60,
                    colors=list(REGION_COLORS.values()),
                    default_color=REGION_COLORS["red"],
                    color_mode="fixed",
                ),
                eraser=gr.Eraser(default_size=60),
                elem_id="regions",
                elem_classes="drawing",
            )
            with gr.Accordion("or a mask from a file", open=False):
                gr.Markdown(
                    "A picture in black and white, whose white is the red region, or in red, green and blue."
                )
                mask = PhotoUpload(
                    label="Mask or label map",
                    height=180,
                    format="png",
                    sources=["upload", "clipboard"],
                    alt_text="the mask of the regions",
                    elem_id="mask",
                )
            last = gr.State()  # the photo in the editor
            with gr.Row():
                paint = gr.Button("Paint", variant="primary", scale=4)
                stop = stop_button()
            status = gr.Markdown("", elem_classes="status")
            before_after = before_after_slider(5)  # half would hide what is painted on the left
            download = gr.Button("Full-size picture")
            file = gr.File(label="Full-size PNG", elem_classes="files")
    inputs = [content, editor, background, strength, color, resolution, *slots, mask, *places]
    gr.on(
        [content.change, tab.select],
        friendly(handlers.canvas),
        [content, last],
        [editor, last],
        show_progress="minimal",
        **private,
    )
    shown = paint.click(
        friendly_steps(handlers.render),
        inputs,
        [before_after, status],
        show_progress="minimal",
        **private,
    )
    run = download.click(
        friendly_steps(handlers.regions), inputs, file, api_name="regions", **compute
    )
    stop.click(None, cancels=[run, shown])
    if studio.labels:
        presets = slots[::4]
        first = studio.first_styles(len(presets))

        def fill(*chosen: str | None) -> list[str | None]:
            return [own or given for own, given in itertools.zip_longest(chosen, first)]

        tab.select(fill, presets, presets, api_visibility="private", queue=False)
