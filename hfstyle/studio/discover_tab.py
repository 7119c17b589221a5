"""New styles: by words, and by chance."""

from __future__ import annotations

import secrets
from typing import Any, Final

import gradio as gr

from hfstyle.studio.discover_handlers import (
    LONGEST_QUERY,
    MAX_SEED,
    DiscoverHandlers,
    Found,
)
from hfstyle.studio.parts import (
    before_after_slider,
    color_slider,
    photo_input,
    resolution_slider,
    results_gallery,
    stop_button,
    strength_slider,
)
from hfstyle.studio.refusals import friendly, friendly_steps

_DICE: Final = 100_000  # seeds that are easy to read and type again


def discover_tab(
    handlers: DiscoverHandlers, compute: dict[str, Any], private: dict[str, Any]
) -> None:
    """Build the page.

    Args:
        handlers: what its components call.
        compute: options of events that paint.
        private: the same, for events that are no endpoints.
    """
    offers, chosen = gr.State([]), gr.State(None)
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            content = photo_input()
            text = gr.Textbox(
                label="Styles by words",
                placeholder="blue woodcut waves",
                info="movements, artists, techniques, colours, textures",
                max_length=LONGEST_QUERY,
            )
            search = gr.Button("Find styles", variant="primary")
            dice = gr.Button("Surprise me", variant="primary")
            with gr.Accordion("How styles are drawn", open=False):
                seed = gr.Number(
                    0,
                    precision=0,
                    minimum=0,
                    maximum=MAX_SEED,
                    label="Seed",
                    info="the same seed gives the same style",
                )
                variety = gr.Slider(
                    0, 2, value=1, step=0.1, label="Variety", info="1 is that of the training art"
                )
        with gr.Column(scale=3, min_width=320):
            gr.Markdown("Find styles by words or by chance, then **choose one** of the pictures.")
            shown = results_gallery(
                "Found styles",
                object_fit="cover",
                elem_classes=["results", "found"],
                allow_preview=False,
                buttons=[],
            )
            before_after = before_after_slider()
            status = gr.Markdown("", elem_classes="status")
            with gr.Row():
                strength, color = strength_slider(), color_slider()
            with gr.Accordion("Detail", open=False):
                resolution = resolution_slider()
            with gr.Row():
                keep = gr.Button("Full-size picture and style file", variant="primary", scale=4)
                stop = stop_button()
            file = gr.File(label="Full-size PNG", elem_classes="files")
            style_file = gr.File(label="Style file", elem_classes="files")
    found_out, quiet = [shown, offers, chosen], {"show_progress": "minimal", **private}
    searched = gr.on(
        [search.click, text.submit],
        friendly_steps(handlers.offer_words),
        [content, text],
        found_out,
        **quiet,
    )
    seeded = dice.click(
        lambda: secrets.randbelow(_DICE),
        None,
        seed,
        api_visibility="private",
        queue=False,
    )
    draw = friendly_steps(handlers.offer_random)
    surprised = seeded.then(draw, [content, seed, variety], found_out, **quiet)
    drawn = gr.on(
        [seed.submit, variety.release], draw, [content, seed, variety], found_out, **quiet
    )

    def choose(offered: list[Found], event: gr.SelectData) -> Found:
        return offered[int(event.index)]

    shown.select(choose, offers, chosen, api_visibility="private", queue=False)
    settings = [strength, color, resolution]
    gr.on(
        [chosen.change, content.change, *(slider.change for slider in settings)],
        friendly(handlers.render),
        [content, chosen, *settings],
        [before_after, status],
        trigger_mode="always_last",
        **quiet,
    )
    kept = keep.click(
        friendly_steps(handlers.keep), [content, chosen, *settings], [file, style_file], **private
    )
    stop.click(None, cancels=[searched, surprised, drawn, kept])

    # The endpoints: what the page needs several steps for, programs do in one.
    matches, files = gr.JSON(visible=False), gr.File(file_count="multiple", visible=False)
    count = gr.Number(5, precision=0, visible=False, label="count")
    endpoint: list[Any] = [content, seed, variety, *settings]
    never = gr.Button(visible=False)
    never.click(
        friendly_steps(handlers.sample), endpoint, [file, style_file], api_name="sample", **compute
    )
    never.click(
        friendly(handlers.find), [text, count], [matches, files], api_name="find", **compute
    )
