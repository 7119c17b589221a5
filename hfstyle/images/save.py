"""Tensors as pictures, and pictures as files.

B batch · C channels · H, W image size
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFile
from torch import Tensor

from hfstyle.images.decode import ImageError, check_size, decode_pil
from hfstyle.images.encode import check_target, encoding_for, write_atomically
from hfstyle.images.exif import orientation_of, resolution_of
from hfstyle.images.load import WHITE, check_background, load_image
from hfstyle.images.pixels import strip_bounds
from hfstyle.images.provenance import marked
from hfstyle.limits import flags_checked

__all__ = ["encode_image", "save_image", "to_numpy", "to_pil"]


def to_pil(rgb: Tensor, alpha: Tensor | None = None) -> Image.Image:
    """(3, H, W) float in [0, 1] to a Pillow image RGB; with alpha (1, H, W) in [0, 1], to RGBA.

    Values are rounded to the nearest of 256 levels; those outside [0, 1] are clipped.
    Raises ImageError for another shape or type, or NaN.
    """
    planes = [_plane_stack(rgb, 3, "rgb")]
    if alpha is not None:
        planes.append(_plane_stack(alpha, 1, "alpha"))
        if alpha.shape[-2:] != rgb.shape[-2:]:
            raise ImageError(
                f"alpha is {tuple(alpha.shape)} but rgb is {tuple(rgb.shape)}; "
                "give both the same height and width"
            )
    height, width = rgb.shape[-2:]
    levels = np.empty((height, width, 3 if alpha is None else 4), dtype=np.uint8)
    for top, bottom in strip_bounds(height, width):
        parts = [plane[:, top:bottom].float().cpu() for plane in planes]
        part = parts[0] if len(parts) == 1 else torch.cat(parts)  # (C, h, W)
        part = part.clamp(0, 1)  # keeps NaN
        if torch.isnan(part.sum()):
            raise ImageError("rgb or alpha contains NaN; the picture cannot be shown")
        levels[top:bottom] = part.mul_(255).round_().to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(levels)


def to_numpy(rgb: Tensor) -> np.ndarray:
    """(3, H, W) or (B, 3, H, W) float to (H, W, 3) or (B, H, W, 3) float32, values unchanged."""
    if rgb.dim() not in (3, 4) or rgb.shape[-3] != 3:
        raise ImageError(f"rgb has shape {tuple(rgb.shape)}, expected (3, H, W) or (B, 3, H, W)")
    pixels = rgb.detach().movedim(-3, -1).to("cpu", torch.float32)
    return np.array(pixels.numpy(), order="C")  # (..., H, W, 3)


@flags_checked
def save_image(
    image: Image.Image,
    path: str | os.PathLike[str],
    *,
    quality: int = 95,
    overwrite: bool = True,
    exif: bytes | None = None,
    xmp: bytes | None = None,
    background: Sequence[float] = WHITE,
) -> None:
    """Writes a picture in the format of the suffix: .png .jpg .jpeg .webp .tif .tiff (.avif).

    A reader never sees half a picture: it is written beside the target and then takes its name.
    quality: 1 ... 100, of JPEG, WebP and AVIF. JPEG and AVIF have full colour resolution from 90 on.
    exif, xmp: metadata to embed, as in `Picture.exif` and `Picture.xmp`; None for none.
    What the pipeline painted says so in its XMP (`provenance` of its call).
    background: what alpha is flattened over where the format has none (JPEG).
    The resolution of a print is that of the picture, `image.info["dpi"]`, if it has one.
    Pictures that are not plain 8-bit grey, RGB or RGBA in sRGB are converted to that, upright.
    Raises ImageError for an unknown suffix, a size the format cannot hold, a target that exists
    (without `overwrite`) or cannot be written.
    """
    target = Path(path)
    encoding = encoding_for(
        str(target),
        target.suffix,
        image.size,
        quality,
        exif,
        resolution_of(image),
        marked(image, xmp),
    )
    check_size("the picture to save", *image.size, None)
    check_target(target, overwrite)
    ready = _savable(image, encoding.format_name, check_background(background))
    write_atomically(ready, target, encoding, overwrite=overwrite)


def encode_image(
    image: Image.Image,
    suffix: str,
    *,
    quality: int = 95,
    exif: bytes | None = None,
    xmp: bytes | None = None,
    background: Sequence[float] = WHITE,
) -> bytes:
    """A picture in the format of a suffix, as `save_image` would write it. ImageError as there."""
    encoding = encoding_for(
        "the picture",
        suffix,
        image.size,
        quality,
        exif,
        resolution_of(image),
        marked(image, xmp),
    )
    check_size("the picture to encode", *image.size, None)
    ready = _savable(image, encoding.format_name, check_background(background))
    stream = io.BytesIO()
    try:
        encoding.write(ready, stream)
    except Exception as error:  # Pillow's encoders raise several kinds
        raise ImageError(f"the picture cannot be encoded as {suffix}: {error}") from error
    return stream.getvalue()


def _plane_stack(x: Tensor, channels: int, argument: str) -> Tensor:
    if x.dim() != 3 or x.shape[0] != channels or 0 in x.shape or not x.is_floating_point():
        raise ImageError(
            f"{argument} is {x.dtype} of shape {tuple(x.shape)}, expected float ({channels}, H, W)"
        )
    return x.detach()


def _savable(image: Image.Image, format_name: str, over: np.ndarray) -> Image.Image:
    """`image` upright, in sRGB and a mode that the format can hold."""
    decode_pil(image, "the picture to save", None)
    if isinstance(image, ImageFile.ImageFile):
        image = image.copy()  # leaves the old file's tags behind, which Pillow's TIFF would copy
    plain = image.mode in ("L", "RGB", "RGBA") and orientation_of(image) == 1
    if not plain or "transparency" in image.info or "icc_profile" in image.info:
        picture = load_image(image, keep_alpha=True, max_pixels=None, name="the picture to save")
        image = to_pil(picture.rgb, picture.alpha)
    if format_name == "JPEG" and image.mode == "RGBA":
        flat = Image.new("RGB", image.size, tuple(round(255 * float(c)) for c in over))
        flat.paste(image, mask=image.getchannel("A"))
        return flat
    return image
