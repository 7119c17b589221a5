"""What all pages have in common: the photo, strength, colour, faces, brush, detail and outlines, above the pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import gradio as gr
from gradio.utils import get_upload_folder

from hfstyle.studio.backend.photos import example_paths
from hfstyle.studio.backend.settings import SETTINGS
from hfstyle.studio.backend.uploads import PhotoUpload
from hfstyle.studio.pages.parts import (
    color_slider,
    example_thumbnails,
    faces_slider,
    outlines_slider,
    resolution_slider,
    strength_slider,
    style_size_slider,
)

__all__ = ["FIRST", "Shared", "shared_controls"]

FIRST: Final = {"strength": 0.8, "outlines": 0.5}
"""With which the pages open; programs that say nothing get the whole style, 1, and no outlines kept.

Seen on a portrait and a landscape in oil, print and fauvist styles: above a strength of 0.8, the eyes and mouth of the
portrait dissolve, below it the strokes in skies are still weak; between it and 1 landscapes hardly change. At that strength,
two judges who did not know which was which preferred 44 of 60 paintings with outlines at 0.5 to those at 0."""

_PAINTING_PAGES: Final = ("stylize", "regions", "discover", "mix", "video")

_WAKE: Final = """async (...counts) => {
  await new Promise((resolve) => setTimeout(resolve, 60));  // until the page that was chosen is shown
  return PAGES.map((name, index) => {
    const page = document.getElementById("page-" + name);
    return page && page.checkVisibility() ? (counts[index] || 0) + 1 : counts[index];
  });
}""".replace("PAGES", str(list(_PAINTING_PAGES)))


@dataclass(frozen=True)
class Shared:
    """The components above the pages.

    wakes: by page, an event that fires when something here has changed while the page is open, or when it is opened; a
        page that is not open paints nothing. The browser decides it, so closed pages ask nothing of the server.
    """

    content: PhotoUpload
    strength: gr.Slider
    color: gr.Slider
    style_size: gr.Slider
    resolution: gr.Slider
    faces: gr.Slider
    outlines: gr.Slider
    wakes: dict[str, gr.Number]

    @property
    def settings(self) -> list[Any]:
        return [getattr(self, name) for name in SETTINGS]

    def settings_without(self, left_out: str) -> list[Any]:
        """For a page that has no use for one of them, as of `with_settings`."""
        return [getattr(self, name) for name in SETTINGS if name != left_out]

    def wake_on(self, tabs: list[gr.Tab]) -> None:
        """To be called when the pages are there: which tabs open them."""
        counts = list(self.wakes.values())
        gr.on(
            [c.change for c in (self.content, *self.settings)] + [tab.select for tab in tabs],
            None,
            counts,
            counts,
            js=_WAKE,
            api_visibility="private",
            show_progress="hidden",
        )


def shared_controls() -> Shared:
    """Build them."""
    with gr.Row(elem_classes="bar"):
        photos = gr.Column(scale=2, min_width=320, elem_classes="photos")
        with photos, gr.Row(elem_classes="beside"):
            content = PhotoUpload(
                label="Your photo",
                height=128,
                min_width=150,
                format="png",
                alt_text="the photo to be painted",
                elem_classes="photo",
            )
            with gr.Column(min_width=150):
                _examples(content)
        with gr.Column(scale=3, min_width=320):
            with gr.Row(elem_classes=["beside", "amounts"]):
                strength, color, faces = strength_slider(), color_slider(), faces_slider()
            with gr.Accordion("Brush and detail", open=False, elem_classes="brush"), gr.Row():
                style_size, resolution = style_size_slider(), resolution_slider()
                outlines = outlines_slider()
    wakes = {name: gr.Number(0, visible="hidden", label=name) for name in _PAINTING_PAGES}
    return Shared(content, strength, color, style_size, resolution, faces, outlines, wakes)


def _examples(photo: PhotoUpload) -> None:
    paths = list(example_paths().values())
    if not paths:
        return
    examples = gr.Examples(
        [[path] for path in paths],
        photo,
        label="or one of these",
        api_visibility="private",
        cache_examples=False,
    )
    # Shown small; the photo itself comes when it is chosen.
    small = [[thumbnail] for thumbnail in example_thumbnails(get_upload_folder())]
    examples.dataset.samples = gr.Dataset(components=[photo], samples=small, render=False).samples
