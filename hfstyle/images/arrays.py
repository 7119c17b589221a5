"""Internal to `hfstyle.images`: pictures that are in memory already, as numpy arrays or tensors."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hfstyle.images.decode import ImageError
from hfstyle.images.pixels import Strip, float_pixels, strip_bounds
from hfstyle.images.unscaled import Largest


def as_float(levels: Tensor) -> Tensor:
    """256 levels of uint8 as float32 in [0, 1]; float as it is."""
    return levels if levels.is_floating_point() else levels.float().div_(255)


def describe(source: object) -> str:
    """What to call a picture that was given no name."""
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        text = path if isinstance(path, str) else os.fsdecode(path)
        return (text if len(text) <= 500 else text[:497] + "...") or "the empty path ''"
    if isinstance(source, bytes):
        return f"picture of {len(source)} bytes"
    if isinstance(source, Image.Image):
        return str(getattr(source, "filename", "") or f"Pillow image of mode {source.mode}")
    if isinstance(source, (np.ndarray, Tensor)):
        kind = "numpy array" if isinstance(source, np.ndarray) else "torch tensor"
        return f"{kind} of shape {tuple(source.shape)}"
    name = getattr(source, "name", None)
    return name if isinstance(name, str) and name else f"{type(source).__name__} object"


def channels_last(source: np.ndarray | Tensor, name: str) -> np.ndarray:
    """A picture in memory as (H, W, C), after checks of its type and shape."""
    if isinstance(source, Tensor):
        if source.dtype not in (torch.uint8, torch.uint16) and not source.is_floating_point():
            raise ImageError(f"{name} is {source.dtype}; give float in [0, 1], uint8 or uint16")
        tensor = source.detach()
        if tensor.dim() == 4 and tensor.shape[0] == 1:
            tensor = tensor[0]
        if tensor.dim() != 3 or tensor.shape[0] not in (1, 2, 3, 4):
            swapped = tensor.dim() == 3 and tensor.shape[-1] in (1, 3, 4)
            raise ImageError(
                f"{name} is not one picture; expected (C, H, W) or (1, C, H, W) with 1, 2, 3 or 4 "
                f"channels{'; use .permute(2, 0, 1)' if swapped else ''}"
            )
        if tensor.is_floating_point() and tensor.dtype != torch.float64:
            tensor = tensor.float()  # numpy has no bfloat16
        return tensor.cpu().permute(1, 2, 0).numpy()  # (H, W, C)
    array = np.asarray(source)
    if array.dtype not in (np.uint8, np.uint16) and array.dtype.kind != "f":
        raise ImageError(f"{name} is {array.dtype}; give float in [0, 1], uint8 or uint16")
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        swapped = array.ndim == 3 and array.shape[0] in (1, 3, 4)
        raise ImageError(
            f"{name} is not one picture; expected (H, W), (H, W, C) or (1, H, W, C) with 1, 2, 3 "
            f"or 4 channels{'; use .transpose(1, 2, 0)' if swapped else ''}"
        )
    return array


def array_strips(pixels: np.ndarray, name: str, largest: Largest) -> Iterator[Strip]:
    """(H, W, C) of uint8, uint16 or float."""
    colors = 1 if pixels.shape[2] <= 2 else 3
    color_white, alpha_white = largest.whites
    for top, bottom in strip_bounds(*pixels.shape[:2]):
        part = pixels[top:bottom]
        if part.dtype.kind == "f":
            values = float_pixels(part, name)
        elif part.dtype == np.uint8:
            values = part
        else:
            values = part.astype(np.float32)
            values[:, :, :colors] /= np.float32(color_white)
            values[:, :, colors:] /= np.float32(alpha_white)
        alpha = values[:, :, colors:] if pixels.shape[2] > colors else None
        yield Strip(top, values[:, :, :colors], alpha)
