"""Internal to `hfstyle.pipeline`: painted pictures in the form that was asked for."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hfstyle._arrays import as_float
from hfstyle.images import to_pil

__all__ = ["Output", "output_of", "stacked"]

Output: TypeAlias = Literal["pil", "np", "pt"]


def output_of(rgb: Tensor, alpha: Tensor | None, output_type: Output) -> Any:
    """A picture (3, H, W) float32 in [0, 1] or uint8, and its transparency (1, H, W), as `StyleTransferOutput` says."""
    if output_type == "pil" and rgb.dtype == torch.uint8:
        image = Image.fromarray(rgb.permute(1, 2, 0).numpy())
        if alpha is not None:
            levels = alpha if alpha.dtype == torch.uint8 else alpha.mul(255).round()
            image.putalpha(Image.fromarray(levels[0].to(torch.uint8).numpy()))
        return image
    rgb, alpha = as_float(rgb), None if alpha is None else as_float(alpha)
    if output_type == "pil":
        return to_pil(rgb, alpha)
    planes = rgb.clone() if alpha is None else torch.cat((rgb, alpha))  # (3 or 4, H, W)
    return planes if output_type == "pt" else planes.permute(1, 2, 0).contiguous().numpy()


def stacked(results: list[Any], output_type: Output) -> Any:
    """Arrays or tensors of one shape as a batch; PIL pictures, and what differs in shape, as the list it is."""
    if output_type == "pil" or len({result.shape for result in results}) > 1:
        return results
    return torch.stack(results) if output_type == "pt" else np.stack(results)
