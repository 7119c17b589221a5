"""What the pipeline returns: painted pictures in the form that was asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hfstyle.images.arrays import as_float
from hfstyle.images.exif import Resolution
from hfstyle.images.provenance import Mark, put_mark
from hfstyle.images.save import save_image, to_pil
from hfstyle.limits import flags_checked

__all__ = ["Output", "StyleTransferOutput", "output_of", "stacked"]

Output: TypeAlias = Literal["pil", "np", "pt"]


@dataclass
class StyleTransferOutput:
    """What the pipeline returns.

    images: for each content picture, in order and of its size,
        "pil": a list of PIL pictures, RGB, or RGBA where alpha was kept;
        "np": (B, H, W, 3) float32 in [0, 1], or a list of (H, W, 3) if the pictures differ in size;
        "pt": (B, 3, H, W) float32 in [0, 1] on the CPU, or a list of (3, H, W) if they differ in size.
        Where alpha was kept, a picture has 4 channels.
    """

    images: Any

    @flags_checked
    def save(
        self,
        path: str | os.PathLike[str],
        index: int = 0,
        *,
        quality: int = 95,
        overwrite: bool = True,
    ) -> None:
        """Write a picture as `hfstyle.images.save_image` does, which is whole or not there, keeps the photo's print
        resolution, and says how it was made; Pillow's own `save` does neither.

        Args:
            path: .png, .jpg, .webp, .tif or .avif.
            index: which of the pictures.
            quality: 1 to 100, of JPEG, WebP and AVIF.
            overwrite: replace a file that is there.

        Raises ImageError as that, ValueError for arrays and tensors or no such picture.
        """
        image = self.images[index] if -len(self.images) <= index < len(self.images) else None
        if not isinstance(image, Image.Image):
            raise ValueError(
                f"there is no PIL picture {index} to save; paint with output_type='pil', and give an index below "
                f"{len(self.images)}"
            )
        save_image(image, path, quality=quality, overwrite=overwrite)


def output_of(
    rgb: Tensor,
    alpha: Tensor | None,
    output_type: Output,
    resolution: Resolution | None,
    mark: Mark | None = None,
) -> Any:
    """A picture (3, H, W) float32 in [0, 1] or uint8, and its transparency (1, H, W), as `StyleTransferOutput` says.

    resolution: of its print, for the `info` of a PIL picture. mark: what it is said to be painted by, for the same.
    """
    if output_type == "pil":
        image = _pil(rgb, alpha)
        if resolution is not None:
            image.info["dpi"] = resolution
        if mark is not None:
            put_mark(image, mark)
        return image
    rgb, alpha = as_float(rgb), None if alpha is None else as_float(alpha)
    planes = rgb.clone() if alpha is None else torch.cat((rgb, alpha))  # (3 or 4, H, W)
    return planes if output_type == "pt" else planes.permute(1, 2, 0).contiguous().numpy()


def _pil(rgb: Tensor, alpha: Tensor | None) -> Image.Image:
    if rgb.dtype != torch.uint8:
        return to_pil(rgb, None if alpha is None else as_float(alpha))
    image = Image.fromarray(rgb.permute(1, 2, 0).numpy())
    if alpha is not None:
        levels = alpha if alpha.dtype == torch.uint8 else alpha.mul(255).round()
        image.putalpha(Image.fromarray(levels[0].to(torch.uint8).numpy()))
    return image


def stacked(results: list[Any], output_type: Output) -> Any:
    """Arrays or tensors of one shape as a batch; PIL pictures, and what differs in shape, as the list it is."""
    if output_type == "pil" or len({result.shape for result in results}) > 1:
        return results
    return torch.stack(results) if output_type == "pt" else np.stack(results)
