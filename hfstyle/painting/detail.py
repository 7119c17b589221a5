"""Internal to `hfstyle.pipeline`: a result of lower resolution gets the content's fine detail.

H, W size of the content · h, w size at which the network ran
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from hfstyle.images.arrays import as_float
from hfstyle.images.pixel_file import Pixels
from hfstyle.images.pixels import strip_bounds
from hfstyle.models.color import LUMA

_GUIDE_RADIUS: Final = 4
_GUIDE_EPS: Final = 1e-3


def restore_detail(
    painted: Tensor,
    reduced: Tensor,
    content: Pixels,
    thickness: float,
    dtype: torch.dtype = torch.float32,
) -> Iterator[Tensor]:
    """Bring a result to the size of the content, with the content's own fine detail in luminance.

    What the reduction took from the content, content - up(reduced), is given back: its luminance with the gain that
    relates painted to reduced luminance nearby, the slope of a guided filter (He & Sun 2015, "Fast Guided Filter",
    eq. 3), so that where the style turned light into dark the detail turns as well, and where it flattened everything
    there is none; and 1 - thickness of the detail itself, so that the result reaches the content at strength 0.

    Args:
        painted: (1, 3, h, w) in [0, 1], the generator's output for `reduced`.
        reduced: (1, 3, h, w) in [0, 1].
        content: (1, 3, H, W) in [0, 1], or uint8, on any device or in a file.
        thickness: as of the generator at that strength, in (0, 1].
        dtype: float32, or uint8 for 256 levels.

    Yields:
        (3, rows, W) on the CPU, strips of the result from top to bottom; channels lie side by side in memory.

    Beside its arguments it needs memory for (H, h) numbers.
    """
    height, width = content.shape[2:]
    guide, target = _luminance(reduced), _luminance(painted)  # (1, 1, h, w)
    guide_mean, target_mean = _box(guide), _box(target)
    covariance = _box(guide * target) - guide_mean * target_mean
    variance = _box(guide * guide) - guide_mean * guide_mean
    slope = _box((covariance / (variance + _GUIDE_EPS)).clamp(-1, 1))
    # Resizing is linear: what is resized alike is resized together; first along rows, then along columns.
    planes = torch.cat((painted - (1 - thickness) * reduced, guide, thickness * slope), dim=1)
    low = planes.shape[2]
    unit = torch.eye(low, dtype=planes.dtype, device=planes.device)[None, None]
    weights = F.interpolate(unit, (height, low), mode="bicubic", antialias=True)[0, 0]  # (H, h)
    for top, bottom in strip_bounds(height, width):
        rows = weights[top:bottom]
        used = rows.any(0).nonzero()
        first, stop = int(used[0]), int(used[-1]) + 1
        size = stop - first, width
        wide = F.interpolate(planes[:, :, first:stop], size, mode="bicubic", antialias=True)[0]
        restored, coarse, gain = (rows[:, first:stop] @ wide).split((3, 1, 1))
        strip = as_float(content[..., top:bottom, :].to(wide.device))  # (1, 3, rows, W)
        restored += gain * (_luminance(strip)[0] - coarse)
        restored.add_(strip[0], alpha=1 - thickness).clamp_(0, 1)
        if dtype == torch.uint8:
            restored.mul_(255).round_()
        band = torch.empty((bottom - top, width, 3), dtype=dtype).permute(2, 0, 1)
        yield band.copy_(restored)


def _box(x: Tensor) -> Tensor:
    """Mean over a square of 2 * radius + 1 pixels; at the border, over its part inside the picture."""
    side = 2 * _GUIDE_RADIUS + 1
    return F.avg_pool2d(x, side, 1, _GUIDE_RADIUS, count_include_pad=False)


def _luminance(rgb: Tensor) -> Tensor:
    """(1, 3, H, W) -> (1, 1, H, W), Rec. 601."""
    red, green, blue = rgb.split(1, dim=1)
    return (LUMA[0] * red).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])
