"""The visitor's camera, painted as it goes."""

from __future__ import annotations

from typing import Any, Final

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from hfstyle.limits import OPTIONS
from hfstyle.studio.backend.camera import CameraPictures, LiveStudio, PaintedPictures
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.gpu import on_cpu_here
from hfstyle.studio.backend.refusals import friendly, refusal, within
from hfstyle.studio.backend.settings import Settings, with_settings
from hfstyle.studio.look.players import SAVE_PICTURE, STOP_CAMERA
from hfstyle.studio.pages.chosen import ChosenStyle, style_here
from hfstyle.studio.pages.parts import option_slider, stop_button
from hfstyle.studio.pages.shared import Shared

__all__ = ["LiveHandlers", "live_page"]

TURN: Final = 90
"""Seconds of painting that a visitor gets before the next one."""
_FIRST_SIZE: Final = 256  # less than elsewhere: each picture comes and goes over the network
_EVERY: Final = 0.08  # s between two pictures that the browser sends
# Not mirrored, as Gradio's cameras are: what is seen, painted and saved is one picture, in which writing can be read, and a
# phone's camera on its back shows the street as it is.
_CAMERA: Final = {"video": {"width": {"ideal": 640}, "height": {"ideal": 480}}}


class LiveHandlers:
    """What the components call."""

    def __init__(self, studio: Studio) -> None:
        self.studio, self.live = studio, LiveStudio(studio)

    @with_settings("resolution")
    def paint(
        self,
        picture: NDArray[np.uint8] | None,
        preset: str | None,
        style: str | None,
        style_file: str | None,
        settings: Settings,
        size: float,
        request: gr.Request,
    ) -> tuple[Any, Any]:
        """A picture of the camera, painted, and how fast that goes."""
        if picture is None:
            return gr.skip(), gr.skip()
        short = within(size, "size", *OPTIONS["live_size"].offered)
        code = self.studio.style(style, style_file, preset, settings.style_size)
        if code is None:
            raise refusal("Choose a style first.")
        frame = self.live.paint(str(request.session_hash), picture, code, settings, short)
        if frame is None:
            return gr.skip(), gr.skip()
        height, width = frame.rgb.shape[:2]
        rate = f"{frame.rate:.1f} a second, " if frame.rate else ""
        return frame.rgb, f"Picture {frame.painted}: {rate}{width} × {height} px"

    def leave(self, request: gr.Request) -> None:
        """Of a visitor who has gone, nothing of the camera stays."""
        self.live.forget(str(request.session_hash))


def live_page(handlers: LiveHandlers, demo: gr.Blocks, shared: Shared, chosen: ChosenStyle) -> None:
    """Build the page.

    Args:
        handlers: what its components call.
        demo: whose closing forgets the camera.
        shared: strength, colour, brush and faces, which may change while it runs.
        chosen: the style, which may change as well.
    """
    with gr.Row(elem_classes="browse"):
        with gr.Column(scale=2, min_width=320):
            camera = CameraPictures(
                label="Your camera",
                sources=["webcam"],
                streaming=True,
                height=300,
                webcam_options=gr.WebcamOptions(mirror=False, constraints=_CAMERA),
                elem_id="camera",
            )
            gr.Markdown(
                "Allow the camera and press **Start**. Style, strength, colour and faces may change while it runs. Pictures that come "
                f"while one is painted are left out. One visitor is painted at a time, for {TURN} s; the others wait. No "
                "picture of the camera is stored." + on_cpu_here("cameras are painted")
            )
            style_here(handlers.studio, chosen)
            size = option_slider("live_size", "Size", value=_FIRST_SIZE, step=8)
        with gr.Column(scale=3, min_width=320, elem_classes="result"):
            painted = PaintedPictures(
                label="Painted",
                interactive=False,
                height=440,
                buttons=["fullscreen"],
                alt_text="what the camera sees, painted",
                elem_id="live",
                elem_classes="live",
            )
            painted.mark = handlers.studio.pipe.mark
            status = gr.Markdown("Nothing painted yet.", elem_classes="status")
            with gr.Row():
                save = gr.Button("Save this picture", variant="primary", scale=4)
                stop = stop_button()
    camera.stream(
        friendly(handlers.paint),
        [camera, *chosen.components, *shared.settings_without("resolution"), size],
        [painted, status],
        stream_every=_EVERY,
        time_limit=TURN,
        concurrency_id="live",
        concurrency_limit=1,
        show_progress="hidden",
        api_visibility="private",
    )
    save.click(None, js=SAVE_PICTURE, api_visibility="private")
    stop.click(None, js=STOP_CAMERA, api_visibility="private")
    demo.unload(handlers.leave)
