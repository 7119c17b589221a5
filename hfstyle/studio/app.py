"""The pages together, their queue, and how they are launched."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any, Final

import gradio as gr

from hfstyle import StyleTransferPipeline, __version__
from hfstyle.studio.compare_handlers import CompareHandlers
from hfstyle.studio.compare_tab import compare_tab
from hfstyle.studio.control_handlers import ControlHandlers
from hfstyle.studio.diffusion import find_diffusion
from hfstyle.studio.discover_handlers import DiscoverHandlers
from hfstyle.studio.discover_tab import discover_tab
from hfstyle.studio.gallery import Thumbnails
from hfstyle.studio.gpu import home_device
from hfstyle.studio.handlers import Handlers
from hfstyle.studio.keyboard import EQUIP_PAGE
from hfstyle.studio.mix_tab import mix_tab
from hfstyle.studio.painting import Studio
from hfstyle.studio.questions import limit_questions
from hfstyle.studio.region_handlers import RegionHandlers
from hfstyle.studio.regions_tab import regions_tab
from hfstyle.studio.results import delete_old
from hfstyle.studio.stylise_tab import stylise_tab
from hfstyle.studio.texts import ABOUT, INTRO
from hfstyle.studio.theme import CSS, studio_theme
from hfstyle.studio.uploads import MAX_UPLOAD_BYTES, MAX_UPLOAD_PIXELS

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
    studio = Studio(pipe, model_name)
    thumbnails = Thumbnails(studio)
    handlers, controls = Handlers(studio, thumbnails), ControlHandlers(studio)
    compute: dict[str, Any] = {"concurrency_id": "paint", "concurrency_limit": 1}
    private: dict[str, Any] = {"api_visibility": "private", **compute}

    with gr.Blocks(
        title="hfstyle: paint a photo in any style",
        analytics_enabled=False,
        delete_cache=(_FILES_LIVE // 6, _FILES_LIVE),
    ) as demo:
        gr.Markdown(INTRO)
        with gr.Tabs(overflow_behavior="wrap"):
            with gr.Tab("Stylise", id="stylise"):
                stylise_tab(handlers, compute, private, demo)
            with gr.Tab("Regions", id="regions") as regions:
                regions_tab(RegionHandlers(studio), compute, private, regions)
            with gr.Tab("Discover", id="discover"):
                discover_tab(DiscoverHandlers(studio), compute, private)
            with gr.Tab("Mix", id="mix"):
                mix_tab(handlers, controls, compute, private, demo)
            with gr.Tab("Compare", id="compare"):
                compare = CompareHandlers(studio, find_diffusion())
                compare_tab(compare, controls, compute, private, demo)
            with gr.Tab("About", id="about"):
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
        demo.load(None, js=EQUIP_PAGE, api_visibility="private")
    demo.queue(max_size=max_queue, default_concurrency_limit=4)
    if studio.labels:
        thumbnails.start()
    threading.Thread(target=_clean_forever, name="cleaning", daemon=True).start()
    return demo


def _clean_forever() -> None:
    while True:
        time.sleep(_FILES_LIVE // 6)
        delete_old(_FILES_LIVE)


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
        "css": CSS,
        "max_file_size": MAX_UPLOAD_BYTES,
        "ssr_mode": False,
        "footer_links": ["api", "gradio", "settings"],
    }
