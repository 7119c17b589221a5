"""Internal to `hfstyle.pipeline`: one picture in several styles, each with its share of every pixel.

L layers: the background and the regions over it · H, W size of the picture
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hfstyle._arrays import as_float
from hfstyle._recolor import recolor
from hfstyle.style import StyleCode

__all__ = ["Layer", "compose", "recolor_layers"]


@dataclass(frozen=True)
class Layer:
    """A style as it is applied in some part of the picture; without a code, that part stays the photo."""

    code: StyleCode | None
    strength: float
    color: float

    @property
    def paints(self) -> bool:
        return self.code is not None and self.strength > 0


def compose(
    layers: Sequence[Layer],
    weights: Tensor,
    content: Tensor,
    paint: Callable[[StyleCode, float], Tensor],
) -> Tensor:
    """A pass for each layer that paints, laid over each other: (3, H, W) float32 in [0, 1].

    Args:
        layers: L.
        weights: (L, H, W) float32, summing to 1.
        content: (3, H, W), the photo, float32 in [0, 1] or uint8.
        paint: the whole picture (3, H, W) float32 in one style.
    """
    content = as_float(content)
    out = torch.zeros_like(content)
    for layer, weight in zip(layers, weights, strict=True):
        if bool((weight > 0).any()):
            code = layer.code
            painted = content if code is None or not layer.paints else paint(code, layer.strength)
            out.addcmul_(painted, weight[None])
    untouched = _untouched(layers, weights)
    return torch.where(untouched, content, out.clamp_(0, 1))


def recolor_layers(
    layers: Sequence[Layer], weights: Tensor | None, painted: Tensor, content: Tensor
) -> Tensor:
    """Each layer's part of the painted picture moved toward the palette that the photo has there, as its `color` says.

    Args:
        layers: L; one if there are no weights.
        weights: (L, H, W) float32, summing to 1, or None.
        painted: (3, H, W) float in [0, 1] or uint8.
        content: (3, H, W), the photo, float32 in [0, 1] or uint8.
    """
    if weights is None:
        (layer,) = layers
        return recolor(painted, content, layer.color) if layer.paints else painted
    out = painted
    for layer, weight in zip(layers, weights, strict=True):
        if layer.paints and layer.color < 1 and bool((weight > 0).any()):
            moved = recolor(painted, content, layer.color, weight[None])
            out = out + (moved - painted)
    return out.clamp(0, 1)


def _untouched(layers: Sequence[Layer], weights: Tensor) -> Tensor:
    """(H, W) bool: where nothing paints, and the picture is the photo to the last bit."""
    touched = [weight for layer, weight in zip(layers, weights, strict=True) if layer.paints]
    if not touched:
        return torch.ones(weights.shape[1:], dtype=torch.bool)
    return torch.stack(touched).amax(0) == 0
