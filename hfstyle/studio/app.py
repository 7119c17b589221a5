"""The pages together, their queue, and how they are launched."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import gradio as gr

from hfstyle import StyleTransferPipeline, __version__
from hfstyle.studio.backend.diffusion import find_diffusion
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.films import MAX_FILM_BYTES, Films
from hfstyle.studio.backend.gallery import Thumbnails
from hfstyle.studio.backend.gpu import home_device
from hfstyle.studio.backend.results import delete_old
from hfstyle.studio.backend.uploads import MAX_UPLOAD_BYTES, MAX_UPLOAD_PIXELS
from hfstyle.studio.look.camera import TELL_OF_CAMERA
from hfstyle.studio.look.drawing import CLEAR_STROKES
from hfstyle.studio.look.keyboard import EQUIP_PAGE
from hfstyle.studio.look.stop import STOP_PAGE
from hfstyle.studio.look.texts import ABOUT, INTRO
from hfstyle.studio.look.theme import CSS, studio_theme
from hfstyle.studio.look.zoom import ZOOM_CSS, ZOOM_PAGE
from hfstyle.studio.mcp import limit_questions
from hfstyle.studio.pages.animate import AnimateHandlers, animate_page
from hfstyle.studio.pages.compare import CompareHandlers, compare_page
from hfstyle.studio.pages.discover import DiscoverHandlers, discover_page
from hfstyle.studio.pages.learn import LearnHandlers, learn_page
from hfstyle.studio.pages.live import LiveHandlers, live_page
from hfstyle.studio.pages.many import ManyHandlers, many_page
from hfstyle.studio.pages.mix import MixHandlers, mix_page
from hfstyle.studio.pages.regions import RegionHandlers, regions_page
from hfstyle.studio.pages.shared import shared_controls
from hfstyle.studio.pages.stylize import StylizeHandlers, stylize_page
from hfstyle.studio.pages.video import VideoHandlers, video_page
from hfstyle.studio.server import CLOSED_ROUTES, SESSIONS, StudioBlocks, keep_sessions_small

MAX_QUEUE: Final = 32
"""Requests that wait at most, of all visitors."""
_FILES_LIVE: Final = 3600  # seconds


def create_app(
    pipe: StyleTransferPipeline, model_name: str = "hfstyle base", max_queue: int = MAX_QUEUE
) -> gr.Blocks:
    """The demo for a model, ready for `launch`; it makes the gallery's thumbnails in the background.

    Args:
        pipe: the model; its presets fill the gallery.
        model_name: shown in About and kept in the pictures' metadata.
        max_queue: requests that may wait; the next ones are asked to come back later.
    """
    limit_questions()
    keep_sessions_small()
    studio = Studio(pipe, model_name)
    thumbnails = Thumbnails(studio)
    compute: dict[str, Any] = {"concurrency_id": "paint", "concurrency_limit": 1}
    private: dict[str, Any] = {"api_visibility": "private", **compute}

    with StudioBlocks(
        title="hfstyle: paint a photo in any style",
        analytics_enabled=False,
        delete_cache=(_FILES_LIVE // 6, _FILES_LIVE),
    ) as demo:
        gr.Markdown(INTRO)
        shared = shared_controls()
        with gr.Tabs(overflow_behavior="wrap") as groups:
            with gr.Tab("Paint", id="paint") as paint, gr.Tabs(elem_classes="inner") as paints:
                with gr.Tab("Stylize", id="stylize") as stylize, _page("stylize"):
                    chosen = stylize_page(
                        StylizeHandlers(studio, thumbnails),
                        compute,
                        private,
                        demo,
                        shared,
                        [(groups, "paint"), (paints, "stylize")],
                    )
                with gr.Tab("Regions", id="regions") as regions, _page("regions"):
                    regions_page(
                        RegionHandlers(studio), compute, private, demo, regions, shared, chosen
                    )
                with gr.Tab("Many photos", id="many"), _page("many"):
                    many_page(ManyHandlers(studio), demo, shared, chosen)
                with gr.Tab("Compare", id="compare"):
                    compare = CompareHandlers(studio, find_diffusion())
                    compare_page(compare, compute, private, demo, shared, chosen)
            with gr.Tab("Styles", id="styles") as styles, gr.Tabs(elem_classes="inner"):
                with gr.Tab("Discover", id="discover") as discover, _page("discover"):
                    discover_page(DiscoverHandlers(studio), compute, private, demo, shared, chosen)
                with gr.Tab("Mix", id="mix") as mix, _page("mix"):
                    mix_page(MixHandlers(studio), compute, private, demo, shared, chosen)
                with gr.Tab("Learn", id="learn"), _page("learn"):
                    learn_page(LearnHandlers(studio), compute, private, demo, shared, chosen)
            with gr.Tab("Motion", id="motion") as motion, gr.Tabs(elem_classes="inner"):
                with gr.Tab("Animate", id="animate"), _page("animate"):
                    animate_page(AnimateHandlers(studio), compute, private, demo, shared, chosen)
                with gr.Tab("Video", id="video") as video, _page("video"):
                    video_page(VideoHandlers(Films(studio)), private, demo, shared, chosen)
                with gr.Tab("Live", id="live"), _page("live"):
                    live = LiveHandlers(studio)
                    live_page(live, demo, shared, chosen)
            with gr.Tab("About", id="about"), _page("about"):
                parameters = sum(p.numel() for p in pipe.generator.parameters())
                gr.Markdown(
                    ABOUT.format(
                        model=model_name,
                        parameters=parameters / 1e6,
                        version=__version__,
                        megapixels=MAX_UPLOAD_PIXELS // 1_000_000,
                        megabytes=MAX_UPLOAD_BYTES // 1_000_000,
                    )
                )
        shared.wake_on([paint, styles, motion, stylize, regions, discover, mix, video])
        for script in (EQUIP_PAGE, ZOOM_PAGE, STOP_PAGE, CLEAR_STROKES, TELL_OF_CAMERA):
            demo.load(None, js=script, api_visibility="private")
    # Closed, as on a Space: requests that would pass by the queue.
    demo.queue(max_size=max_queue, default_concurrency_limit=4, api_open=False)
    if studio.labels:
        thumbnails.start()
    idle = live.live.forget_idle
    threading.Thread(target=_clean_forever, args=(idle,), name="cleaning", daemon=True).start()
    return demo


def _page(name: str) -> gr.Column:
    """What is in a tab, under the name by which `Shared` finds out whether it is open."""
    return gr.Column(elem_id=f"page-{name}")


def _clean_forever(forget_idle: Callable[[], None]) -> None:
    while True:
        time.sleep(_FILES_LIVE // 6)
        delete_old(_FILES_LIVE)
        forget_idle()


def load_model() -> tuple[StyleTransferPipeline, str]:
    """The pipeline that HFSTYLE_MODEL names, on the best device, and what to call it."""
    model = os.environ.get("HFSTYLE_MODEL") or None
    pipe = StyleTransferPipeline.from_pretrained(model, dtype="auto", device=home_device())
    if model is None:
        return pipe, "hfstyle base"
    return pipe, Path(model).name if Path(model).is_dir() else model


def launch_options() -> dict[str, Any]:
    """How the demo is launched: looks and limits."""
    return {
        "theme": studio_theme(),
        "css": CSS + ZOOM_CSS,
        "max_file_size": MAX_FILM_BYTES,  # of pictures fewer, when they are looked at
        "ssr_mode": False,
        "state_session_capacity": SESSIONS,
        "app_kwargs": {"middleware": [CLOSED_ROUTES]},
        "footer_links": ["api", "gradio", "settings"],
    }
