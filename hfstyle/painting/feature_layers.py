"""Internal to `hfstyle.pipeline`: regions composed in the generator's features, all styles in one pass.

Wherever the style acts on features (colour map, statistics, attention, modulation), each region's style acts, and the
results are blended by the region's share of each place at that resolution. The convolutions between see one picture, so
that strokes run across a boundary and one side's colours do not end at a line, as they do where finished pictures are
laid over each other. Each style has the instance statistics of a pass of its own over the whole picture, which is made
first: those of the one picture would be, at the second level, of a painting in several styles, and lead all of them astray.

L layers: the styles · B batch · C channels · H, W size of a picture
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hfstyle._composition import Layer
from hfstyle._content_memory import ContentMemory
from hfstyle._geometry import crop_back, pad_to_multiple, resize
from hfstyle.models.attention import TokenAttention
from hfstyle.models.fast import channels_last
from hfstyle.models.generator import StyleGenerator, thickness
from hfstyle.models.layers import (
    ColorSpread,
    ColorTransfer,
    FeatureTransfer,
    InstanceStatistics,
    Modulation,
)
from hfstyle.models.style_encoder import Condition

__all__ = ["MOST_PIXELS", "paint_layers", "shared_generator"]

MOST_PIXELS: Final = 4 * 2048 * 2048
"""Of all layers together, that are composed in features; more memory than that is better spent pass by pass."""

_STYLED = (ColorSpread, ColorTransfer, FeatureTransfer, Modulation, TokenAttention)
_LEAST: Final = 1e-4  # share of all layers that paint


def paint_layers(
    generator: StyleGenerator,
    content: Tensor,
    layers: Sequence[Layer],
    weights: Tensor,
    contents: ContentMemory,
) -> Tensor:
    """A picture in the styles of all layers that paint, each in its place, before strength blends it with the content.

    Args:
        generator: in evaluation mode.
        content: (1, 3, h, w) float32 in [0, 1], on the generator's device, any size.
        layers: L, of which at least one paints.
        weights: (L, H, W) float32 of any size, summing to 1; where nothing paints, any style may be shown.
        contents: what the generator has seen of contents before.

    Returns:
        (1, 3, h, w) float32.
    """
    shares, painting = _shares(
        layers, resize(weights[None], (content.shape[2], content.shape[3]))[0]
    )
    content, size = pad_to_multiple(content, generator.size_multiple, generator.minimum_size)
    padded, _ = pad_to_multiple(
        shares[:, None].to(content.device), generator.size_multiple, generator.minimum_size
    )
    dtype = generator.spread.weight.dtype
    conditions = [
        layer.code.to_condition(1, content.device, dtype) for layer in painting if layer.code
    ]
    condition = Condition(*(torch.cat(parts) for parts in zip(*conditions, strict=True)))
    strength = torch.tensor([layer.strength for layer in painting], device=content.device)
    twin = shared_generator(generator, padded)
    content = channels_last(content)
    features = contents.look(generator, content)
    passes = []
    for own, amount in zip(conditions, strength.split(1), strict=True):
        passes.append(InstanceStatistics())
        generator(content, own, amount, passes[-1], features=features)
    given = [torch.cat(each, dim=1) for each in zip(*(own.taken for own in passes), strict=True)]
    # (L, 3, H, W): with the content at each strength
    blended = twin(content, condition, strength, InstanceStatistics(given), features=features)
    most = int(strength.argmax())
    painted = content + (blended[most : most + 1].float() - content) / thickness(strength[most])
    return crop_back(painted, size)


def shared_generator(generator: StyleGenerator, shares: Tensor) -> StyleGenerator:
    """A generator with the same weights that takes conditions and statistics of L styles for one picture (B = 1).

    The copy is of the modules' shells, so that other threads may paint with the original meanwhile.

    Args:
        shares: (L, 1, H, W) of each style at each place of the padded content, summing to 1.
    """
    twin = _copied(generator, _Pyramid(shares))
    assert isinstance(twin, StyleGenerator)
    twin.in_bands = False  # shares are those of whole maps
    return twin


def _copied(module: nn.Module, pyramid: _Pyramid) -> nn.Module:
    if isinstance(module, _STYLED):
        return _Shared(module, pyramid)
    if not any(isinstance(part, _STYLED) for part in module.modules()):
        return module
    twin = copy.copy(module)
    twin.__dict__["_modules"] = {
        name: None if child is None else _copied(child, pyramid)
        for name, child in module._modules.items()
    }
    return twin


class _Pyramid:
    """The shares (L, 1, H, W) at any lower resolution."""

    def __init__(self, shares: Tensor) -> None:
        self._at = {tuple(shares.shape[2:]): shares}
        self._shares = shares

    def at(self, x: Tensor) -> Tensor:
        size = (x.shape[2], x.shape[3])
        if size not in self._at:
            self._at[size] = F.adaptive_avg_pool2d(self._shares, size)
        return self._at[size]


class _Shared(nn.Module):
    """A part of the network that applies a style, for L styles: its outputs blended by their shares."""

    def __init__(self, part: nn.Module, pyramid: _Pyramid) -> None:
        super().__init__()
        self.part, self.pyramid = part, pyramid

    def forward(
        self, x: Tensor, *arguments: Tensor | InstanceStatistics, out: Tensor | None = None
    ) -> Any:
        """What the part returns, blended.

        Args:
            x: (1, C, H, W).
            arguments: of the part; styles and given statistics have L rows.
            out: takes the one map of a part that returns one.
        """
        blended: list[Tensor] = []
        many = False
        for index, share in enumerate(self.pyramid.at(x)):
            own = [
                argument[index : index + 1] if isinstance(argument, Tensor) else argument.row(index)
                for argument in arguments
            ]
            found = self.part(x, *own)
            many = isinstance(found, tuple)
            for number, value in enumerate(found if many else (found,)):
                # Maps (1, C, H, W) take the share of each place, numbers (1,) that of the picture.
                weight = (share if value.dim() == 4 else share.mean()).to(value.dtype)
                if index == 0:
                    blended.append(value * weight)
                else:
                    blended[number].addcmul_(value, weight)
        for given, replayed in zip(arguments, own, strict=True):
            if isinstance(given, InstanceStatistics) and isinstance(replayed, InstanceStatistics):
                given.skip(len(replayed.taken))
        if many:
            return tuple(blended)
        return blended[0] if out is None else out.copy_(blended[0])


def _shares(layers: Sequence[Layer], weights: Tensor) -> tuple[Tensor, list[Layer]]:
    """Shares of the layers that paint, among themselves, and these; where none does, as in the whole picture."""
    indices = [i for i, layer in enumerate(layers) if layer.paints and bool((weights[i] > 0).any())]
    own = weights[indices]  # (L', H, W)
    total = own.sum(0)
    overall = own.mean((1, 2))
    overall = overall / overall.sum()
    shares = torch.where(total > _LEAST, own / total.clamp(min=_LEAST), overall[:, None, None])
    return shares, [layers[i] for i in indices]
