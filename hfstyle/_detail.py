"""Internal to `hfstyle.pipeline`: a result of lower resolution gets the content's fine detail.

H, W size of the content · h, w size at which the network ran
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

_GUIDE_RADIUS: Final = 4
_GUIDE_EPS: Final = 1e-3


def restore_detail(painted: Tensor, reduced: Tensor, content: Tensor, strength: float) -> Tensor:
    """Bring a result to the size of the content, with the content's own fine detail in luminance.

    What the reduction took from the content, content - up(reduced), is given back: its luminance with the gain that
    relates painted to reduced luminance nearby, the slope of a guided filter (He & Sun 2015, "Fast Guided Filter",
    eq. 3), so that where the style turned light into dark the detail turns as well, and where it flattened everything
    there is none; and 1 - strength of the detail itself, so that the result reaches the content at strength 0.

    Args:
        painted: (1, 3, h, w) in [0, 1], the generator's output for `reduced`.
        reduced: (1, 3, h, w) in [0, 1].
        content: (1, 3, H, W) in [0, 1].
        strength: in (0, 1].

    Returns:
        (1, 3, H, W) in [0, 1].
    """
    size = (content.shape[2], content.shape[3])
    guide, target = _luminance(reduced), _luminance(painted)  # (1, 1, h, w)
    guide_mean, target_mean = _box(guide), _box(target)
    covariance = _box(guide * target) - guide_mean * target_mean
    variance = _box(guide * guide) - guide_mean * guide_mean
    slope = _box((covariance / (variance + _GUIDE_EPS)).clamp(-1, 1))
    # Resizing is linear: what is resized alike is resized together, and at full size most is done in place.
    planes = torch.cat((painted - (1 - strength) * reduced, guide, strength * slope), dim=1)
    planes = F.interpolate(planes, size, mode="bicubic", antialias=True)  # (1, 5, H, W)
    restored, coarse, gain = planes.split((3, 1, 1), dim=1)
    restored += gain * (_luminance(content) - coarse)
    restored.add_(content, alpha=1 - strength)
    return restored.clamp_(0, 1)


def _box(x: Tensor) -> Tensor:
    """Mean over a square of 2 * radius + 1 pixels; at the border, over its part inside the picture."""
    side = 2 * _GUIDE_RADIUS + 1
    return F.avg_pool2d(x, side, 1, _GUIDE_RADIUS, count_include_pad=False)


def _luminance(rgb: Tensor) -> Tensor:
    """(1, 3, H, W) -> (1, 1, H, W), Rec. 601."""
    red, green, blue = rgb.split(1, dim=1)
    return (0.299 * red).add_(green, alpha=0.587).add_(blue, alpha=0.114)
