"""What a step looks at: crops as the networks take them, views of outputs for the losses, the same photo moved.

B pictures or pairs · K crops of one picture · S side of a crop
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "BORDER",
    "MOST_MOVED",
    "channels_last",
    "coarse_view",
    "loss_view",
    "move",
    "no_grad_features",
    "noisy",
    "random_places",
    "resized",
    "to_float",
    "without_border",
]

MOST_MOVED: Final = 8
"""Pixels down or right by which a photo is moved at most."""
BORDER: Final = 16
"""Pixels at each side of a crop that no loss looks at, unless told otherwise."""
_NOISE: Final = 0.01  # deviation of the noise on a moved photo


def no_grad_features(
    network: nn.Module, layers: frozenset[str], **pictures: Tensor
) -> dict[str, Any]:
    """Features of several batches of the same shape in one pass without gradients."""
    with torch.no_grad():
        features = network(torch.cat(list(pictures.values())), layers)
    parts = {name: f.chunk(len(pictures)) for name, f in features.items()}
    return {who: {name: part[i] for name, part in parts.items()} for i, who in enumerate(pictures)}


def resized(pictures: Tensor, side: int) -> Tensor:
    """(B, 3, S, S) -> (B, 3, side, side), averaging where it shrinks."""
    if side == pictures.shape[2]:
        return pictures
    return F.interpolate(
        pictures, (side, side), mode="bilinear", antialias=side < pictures.shape[2]
    )


def loss_view(step: int, loss_side: int, border: int = BORDER) -> Callable[[Tensor], Tensor]:
    """How the losses of this step look at pictures: as they are, at half their resolution, or reduced to `loss_side`.

    As they are, edges and grain show as a viewer of the output sees them; reduced, large strokes do, and how things lie
    together. Not a small window: windows of paintings vary less than the whole, and colours became paler when they were
    the goal. A border is left out because the padding tells the network where it is: strokes that small crops had along
    their borders, large pictures had along theirs and nowhere else in flat areas.

    border: px that are left out at each side. In short runs that teach a trained generator, 0: what no loss looks at loses its colours.
    """
    if step % 3 == 0:
        return lambda pictures: channels_last(without_border(pictures, pictures.shape[2], border))
    if step % 3 == 1:
        return lambda pictures: channels_last(
            resized(without_border(pictures, pictures.shape[2], border), loss_side)
        )
    return lambda pictures: _half_view(pictures, pictures.shape[2], border)


def coarse_view(step: int, border: int = BORDER) -> Callable[[Tensor], Tensor] | None:
    """How a step looks at pictures painted at half the resolution: as `loss_view` at finished ones, if it halves these."""
    if step % 3 != 2:
        return None
    return lambda pictures: _half_view(pictures, 2 * pictures.shape[2], border)


def _half_view(pictures: Tensor, side: int, border: int) -> Tensor:
    """Crops of `side` px, or what is painted of such at half the resolution, at half the resolution without the border.

    At what is a multiple of 16 px, at least 32, where half is not.
    """
    inner = without_border(pictures, side, border)
    kept = inner.shape[2] * side // pictures.shape[2]
    return channels_last(resized(inner, max(32, kept // 32 * 16)))


def without_border(pictures: Tensor, side: int, border: int = BORDER) -> Tensor:
    """Crops of `side` px, or what is painted of such at half the resolution, without `border` of these px at each side.

    Half as many of crops below 128 px: multiples of 16 px stay such.
    """
    if border == 0:
        return pictures
    cut = (border if side >= 128 else border // 2) * pictures.shape[2] // side
    return pictures[..., cut:-cut, cut:-cut]


def move(content: Tensor, multiple: int = 1) -> tuple[Tensor, int, int]:
    """The contents moved down and right by 0 to 8 px, with noise; and these two numbers, multiples of `multiple`.

    As long as photos are moved by multiples of 4 px, the cells of the generator's maps, it draws a weave on the grid of
    these cells, which hardly changes in a move by 4 px and much by 1 px. Moved by any number of pixels, the weave goes,
    and strokes change more by 4 px.
    """
    steps = MOST_MOVED // multiple + 1
    down, right = (multiple * int(torch.randint(steps, ())) for _ in range(2))
    padded = F.pad(content, (right, 0, down, 0), mode="reflect")
    moved = padded[..., : content.shape[2], : content.shape[3]]
    return noisy(moved, _NOISE), down, right


def noisy(pictures: Tensor, deviation: float) -> Tensor:
    """(B, 3, H, W) in [0, 1] with noise of that deviation."""
    return (pictures + deviation * torch.randn_like(pictures)).clamp(0, 1)


def random_places(count: int, share: float, device: torch.device) -> Tensor:
    """Places on the generator's grain: (count, 2) in px, multiples of 4; about a share of them, the rest without, -4."""
    places = 4 * torch.randint(128, (count, 2), device=device)
    return torch.where(torch.rand(count, 1, device=device) < share, places, -4)


def channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def to_float(crops: Tensor, device: torch.device) -> Tensor:
    """uint8 (B, 3, S, S) -> float32 in [0, 1] on the device."""
    return channels_last(crops.to(device, non_blocking=True)).float().div_(255)
