"""The compact VGG-19, by its name: 3.9 MB from where its authors published it, downloaded once and known by its hash.

Collaborative Distillation (Wang et al., CVPR 2020) made it out of VGG-19. Its weights lie beside its authors' code, under the
MIT licence (github.com/MingSun-Tse/Collaborative-Distillation).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from pathlib import Path
from typing import Final

import torch
from huggingface_hub import constants, get_session
from torch import Tensor

from hfstyle.files import whole_file
from hfstyle.models.hub import transport_error

__all__ = ["COMPACT_VGG", "compact_vgg"]

COMPACT_VGG: Final = "compact-vgg19"
_ADDRESS: Final = (
    "https://raw.githubusercontent.com/MingSun-Tse/Collaborative-Distillation/"
    "4a269dc90020721ef9b279b2926c62f5bcd6d209/trained_models/wct_se_16x_new/20191109-211322_E20.pth"
)
_SHA256: Final = "9417c34d0d8d621bc6af78be745f1b8d30f5f210efa01e50655c60eb3770816b"
_PATIENCE: Final = 10.0  # s, for each answer


def compact_vgg(
    cache_dir: str | os.PathLike[str] | None = None, *, option: str = "--perceptual_model"
) -> dict[str, Tensor]:
    """Its tensors, as `hfstyle.models.vgg.recognise` takes them.

    Args:
        cache_dir: where the download is kept, by default below the Hub's folder (HF_HOME).
        option: what a user gave its name by, for messages.

    Raises:
        FileNotFoundError: it is not in the cache, and cannot be had: offline, no answer, or another file than ours.
    """
    file = Path(cache_dir or constants.HF_HOME) / "hfstyle" / f"{COMPACT_VGG}.pth"
    raw = file.read_bytes() if file.is_file() else b""
    if not _is_it(raw):
        raw = _download(f"give {option} a safetensors file, or a Hub id of VGG-19")
        with contextlib.suppress(
            OSError
        ):  # a cache that cannot be written: the next run asks again
            file.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(file) as stream:
                stream.write(raw)
    state: dict[str, Tensor] = torch.load(io.BytesIO(raw), "cpu", weights_only=True)["model"]
    return state


def _is_it(raw: bytes) -> bool:
    return hashlib.sha256(raw).hexdigest() == _SHA256


def _download(remedy: str) -> bytes:
    named = f"the perceptual network {COMPACT_VGG}"
    if constants.HF_HUB_OFFLINE:
        raise FileNotFoundError(
            f"{named} is not in the cache, and HF_HUB_OFFLINE forbids to download it; {remedy}"
        )
    try:
        answer = get_session().get(_ADDRESS, timeout=_PATIENCE, follow_redirects=True)
    except (OSError, transport_error) as error:
        raise FileNotFoundError(
            f"{named} could not be downloaded, {_ADDRESS} cannot be reached ({error}); {remedy}"
        ) from None
    if answer.status_code != 200:
        raise FileNotFoundError(
            f"{named} could not be downloaded, {_ADDRESS} answers {answer.status_code}; {remedy}"
        )
    if not _is_it(answer.content):
        raise FileNotFoundError(
            f"{named}: what {_ADDRESS} sent is not the file that hfstyle knows (its SHA-256 is another); {remedy}"
        )
    return answer.content
