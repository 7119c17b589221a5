"""Internal to `hfstyle.pipeline`: one picture in several styles, each with its share of every pixel.

L layers: the background and the regions over it · H, W size of the picture
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hfstyle.images.arrays import as_float
from hfstyle.images.geometry import resize
from hfstyle.models.detail import ask
from hfstyle.painting.recolor import recolor
from hfstyle.styles.code import StyleCode

__all__ = ["Layer", "compose", "lay_over", "recolor_layers", "with_contents"]


@dataclass(frozen=True)
class Layer:
    """A style as it is applied in some part of the picture; without a code, that part stays the photo.

    content: another photo (3, h, w) that is seen in that part; None is the photo itself.
    """

    code: StyleCode | None
    strength: float
    color: float
    content: Tensor | None = None

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


def lay_over(layers: Sequence[Layer], weights: Tensor, content: Tensor, painted: Tensor) -> Tensor:
    """Fully painted pixels over the photo, as strong as the layers say: (3, H, W) float32 in [0, 1].

    Args:
        layers: L.
        weights: (L, H, W) float32, summing to 1.
        content: (3, H, W), the photo, float32 in [0, 1] or uint8.
        painted: (3, H, W) float32.
    """
    content = as_float(content)
    amounts = torch.tensor(
        [float(ask(layer.strength).paint) if layer.paints else 0.0 for layer in layers],
        dtype=torch.float32,
    )
    amount = torch.einsum("l,lhw->hw", amounts, weights)
    out = torch.lerp(content, painted, amount.clamp(0, 1)).clamp_(0, 1)
    return torch.where(amount == 0, content, out)


def with_contents(content: Tensor, layers: Sequence[Layer], weights: Tensor) -> Tensor:
    """The photo, with other photos in the places of layers that bring one: (3, H, W) of the photo's type.

    Args:
        content: (3, H, W), the photo, float32 in [0, 1] or uint8.
        layers: L.
        weights: (L, H, W) float32, summing to 1.
    """
    if all(layer.content is None for layer in layers):
        return content
    out = torch.zeros(content.shape, dtype=torch.float32)
    for layer, weight in zip(layers, weights, strict=True):
        own = content if layer.content is None else layer.content
        out.addcmul_(_covering(own, (content.shape[1], content.shape[2])), weight[None])
    out.clamp_(0, 1)
    return out if content.is_floating_point() else out.mul_(255).round_().to(content.dtype)


def _covering(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """(3, h, w) -> (3, H, W) float32: scaled until it covers the size, its middle."""
    scale = max(size[0] / picture.shape[1], size[1] / picture.shape[2])
    wide = [
        max(goal, round(side * scale)) for goal, side in zip(size, picture.shape[1:], strict=True)
    ]
    scaled = resize(picture, (wide[0], wide[1]))
    top, left = (wide[0] - size[0]) // 2, (wide[1] - size[1]) // 2
    return scaled[:, top : top + size[0], left : left + size[1]]


def recolor_layers(
    layers: Sequence[Layer],
    weights: Tensor | None,
    painted: Tensor,
    content: Tensor,
    seen: Tensor | None = None,
) -> Tensor:
    """Each layer's part of the painted picture moved toward the palette that the photo has there, as its `color` says.

    Args:
        layers: L; one if there are no weights.
        weights: (L, H, W) float32, summing to 1, or None.
        painted: (3, H, W) float in [0, 1] or uint8.
        content: (3, H, W), the photo, float32 in [0, 1] or uint8.
        seen: (1, H, W), its transparency, 1 or 255 for opaque: how much each pixel counts; None for all alike.
    """
    if weights is None:
        (layer,) = layers
        return recolor(painted, content, layer.color, seen=seen) if layer.paints else painted
    out = painted
    for layer, weight in zip(layers, weights, strict=True):
        if layer.paints and layer.color < 1 and bool((weight > 0).any()):
            moved = recolor(painted, content, layer.color, weight[None], seen)
            out = out + (moved - painted)
    return out.clamp(0, 1)


def _untouched(layers: Sequence[Layer], weights: Tensor) -> Tensor:
    """(H, W) bool: where nothing paints, and the picture is the photo to the last bit."""
    touched = [weight for layer, weight in zip(layers, weights, strict=True) if layer.paints]
    if not touched:
        return torch.ones(weights.shape[1:], dtype=torch.bool)
    return torch.stack(touched).amax(0) == 0
