"""A diffusion model to compare with, where its weights and a GPU are there: image-to-image with an IP-Adapter.

IP-Adapter (Ye et al. 2023, arXiv:2308.06721) lets a picture be the prompt; the photo, with noise, is the beginning.
"""

from __future__ import annotations

import logging
import os
import time
from typing import Any, Final, Protocol

import torch
from PIL import Image

from hfstyle.studio.backend.gpu import home_device
from hfstyle.studio.backend.jobs import mark

_log = logging.getLogger(__name__)

_MODEL: Final = "stable-diffusion-v1-5/stable-diffusion-v1-5"
_ADAPTER: Final = "h94/IP-Adapter"
_ADAPTER_FOLDER: Final = "models"
_ADAPTER_FILE: Final = "ip-adapter_sd15.safetensors"
_SIDE: Final = 512  # for which the model was trained
_STEPS: Final = 30
_NOISE: Final = 0.6  # share of the way to noise from which it starts
_ADAPTER_SCALE: Final = 0.8


class DiffusionPainter(Protocol):
    """What the page of comparisons needs."""

    name: str

    def paint(self, photo: Image.Image, style: Image.Image) -> tuple[Image.Image, float]:
        """The photo in the style, of a short side of 512 px, and the seconds that it took."""


class IPAdapterPainter:
    """A diffusers pipeline with an IP-Adapter."""

    def __init__(self, pipeline: Any, name: str) -> None:
        self._pipeline = pipeline
        self.name = name

    def paint(self, photo: Image.Image, style: Image.Image) -> tuple[Image.Image, float]:
        scale = _SIDE / min(photo.size)
        size = [max(8, round(side * scale / 8) * 8) for side in photo.size]
        started = time.perf_counter()
        result: Image.Image = self._pipeline(
            prompt="",
            image=photo.resize((size[0], size[1])),
            ip_adapter_image=style,
            strength=_NOISE,
            num_inference_steps=_STEPS,
            generator=torch.Generator("cpu").manual_seed(0),
            callback_on_step_end=_tell,
        ).images[0]
        return result, time.perf_counter() - started


def _tell(pipeline: Any, step: int, timestep: Any, kept: dict[str, Any]) -> dict[str, Any]:
    """After each step: how far it is, and whether anybody still waits."""
    mark((step + 1) / max(1, pipeline.num_timesteps))
    return kept


def find_diffusion() -> DiffusionPainter | None:
    """The painter, if there are a GPU of one's own, the packages diffusers and transformers, and weights that need no download.

    HFSTYLE_DIFFUSION in the environment names another Stable Diffusion 1.5: a folder, or the Hub id of a cached one.
    """
    if home_device() != "cuda":  # ZeroGPU's are lent for too few seconds
        return None
    model = os.environ.get("HFSTYLE_DIFFUSION") or _MODEL
    try:
        from diffusers import StableDiffusionImg2ImgPipeline

        pipeline = StableDiffusionImg2ImgPipeline.from_pretrained(
            model, torch_dtype=torch.float16, local_files_only=True
        )
        pipeline.load_ip_adapter(
            _ADAPTER, subfolder=_ADAPTER_FOLDER, weight_name=_ADAPTER_FILE, local_files_only=True
        )
        pipeline.set_ip_adapter_scale(_ADAPTER_SCALE)
        return IPAdapterPainter(pipeline.to("cuda"), model)
    except Exception as error:  # whatever is missing, the choice is absent
        _log.info("no diffusion model to compare with: %s", error)
        return None
