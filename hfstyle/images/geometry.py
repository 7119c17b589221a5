"""Internal to `hfstyle.images`: sizes of tensors. B batch · C channels · H, W image size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hfstyle.images.arrays import as_float
from hfstyle.images.decode import MAX_IMAGE_PIXELS, ImageError, check_size
from hfstyle.images.pixel_file import Pixels
from hfstyle.images.pixels import strip_bounds


def resize(rgb: Tensor, size: int | tuple[int, int], *, mode: str = "bicubic") -> Tensor:
    """(3, H, W) or (B, 3, H, W) in [0, 1] to another size, antialiased, in [0, 1].

    size: pixels of the short side (the other keeps the proportions, at least 1), or (H, W).
    mode: "bicubic" or "bilinear". Any number of channels is resized. The input itself is returned
    when the size is already right. uint8 becomes float32, without a copy of the input. Raises ImageError for a size
    below 1 px or beyond MAX_IMAGE_PIXELS, or another shape.
    """
    if rgb.dim() not in (3, 4) or 0 in rgb.shape:
        raise ImageError(f"rgb has shape {tuple(rgb.shape)}, expected (3, H, W) or (B, 3, H, W)")
    shape, (height, width) = rgb.shape[:-2], rgb.shape[-2:]
    if isinstance(size, int):
        if size < 1:
            raise ImageError(f"size is {size}; give at least 1 px")
        size = short_side(height, width, size)
    if min(size) < 1:
        raise ImageError(f"size is {size}; give at least 1 px")
    check_size("the resized picture", size[1], size[0], MAX_IMAGE_PIXELS)
    if size == (height, width):
        return as_float(rgb)
    batch = rgb if rgb.dim() == 4 else rgb[None]
    if batch.dtype == torch.uint8:
        return resize_by_rows(batch, size, mode).reshape(*shape, *size)
    resized = F.interpolate(
        batch.float(), size=size, mode=mode, antialias=True, align_corners=False
    ).clamp_(0, 1)
    return resized.to(rgb.dtype).reshape(*shape, *size)


def resize_by_rows(pixels: Pixels, size: tuple[int, int], mode: str = "bicubic") -> Tensor:
    """pixels (B, C, H, W), uint8 or float -> (B, C, h, w) float32, without a float of the size H x W."""
    *batch, height, width = pixels.shape
    # One block for all: pieces that outlive a strip would lie between the strips, and the heap would grow with each.
    narrow = None
    for top, bottom in strip_bounds(height, width):
        strip = as_float(pixels[..., top:bottom, :])
        if narrow is None:
            narrow = strip.new_empty(*batch, height, size[1])
        narrow[..., top:bottom, :] = F.interpolate(
            strip, (bottom - top, size[1]), mode=mode, antialias=True
        )
    assert narrow is not None
    return F.interpolate(narrow, size, mode=mode, antialias=True).clamp_(0, 1)


def short_side(height: int, width: int, side: int) -> tuple[int, int]:
    """(h, w) of the same proportions whose short side is `side`."""
    scale = side / min(height, width)
    return round(height * scale), round(width * scale)


def pad_to_multiple(x: Tensor, multiple: int, minimum: int = 1) -> tuple[Tensor, tuple[int, int]]:
    """Pads (B, C, H, W) on the right and below until both sides are multiples of `multiple`.

    Both sides reach at least `minimum` px. The padding mirrors the picture without repeating its
    edge (as torch's "reflect"), back and forth as often as needed; a side of 1 px is repeated.
    Returns the padded tensor and (H, W) for `crop_back`. x itself if nothing is missing.
    Raises ImageError for another shape, or a multiple or minimum below 1.
    """
    if x.dim() != 4 or 0 in x.shape:
        raise ImageError(f"x has shape {tuple(x.shape)}, expected (B, C, H, W) with pixels")
    if multiple < 1 or minimum < 1:
        raise ImageError(f"multiple is {multiple} and minimum is {minimum}; give at least 1")
    height, width = x.shape[-2:]
    down = -(-max(height, minimum) // multiple) * multiple - height
    right = -(-max(width, minimum) // multiple) * multiple - width
    if down == right == 0:
        return x, (height, width)
    if down < height and right < width:
        return F.pad(x, (0, right, 0, down), mode="reflect"), (height, width)
    rows = mirrored(torch.arange(height + down), height).to(x.device)
    columns = mirrored(torch.arange(width + right), width).to(x.device)
    return x.index_select(2, rows).index_select(3, columns), (height, width)


def crop_back(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The top left (H, W) of (B, C, H', W'): undoes `pad_to_multiple`. A view.

    Raises ImageError if x is smaller than `size`.
    """
    height, width = size
    if x.shape[-2] < height or x.shape[-1] < width:
        raise ImageError(f"x is {tuple(x.shape)}, smaller than the {height} x {width} px to keep")
    return x[..., :height, :width]


def mirrored(places: Tensor, length: int) -> Tensor:
    """Indices from below 0 or beyond `length`, int64, as those within it that mirroring back and forth puts there."""
    if length == 1:
        return torch.zeros_like(places)
    steps = places % (2 * (length - 1))
    return torch.minimum(steps, 2 * (length - 1) - steps)
