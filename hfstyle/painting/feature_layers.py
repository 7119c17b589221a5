"""Internal to `hfstyle.pipeline`: regions composed in the generator's features, all styles in one pass.

Wherever the style acts on features (colour map, statistics, attention, modulation), each region's style acts, and the
results are blended by the region's share of each place at that resolution. The convolutions between see one picture, so
that strokes run across a boundary and one side's colours do not end at a line, as they do where finished pictures are
laid over each other. Each style has the instance statistics of a pass of its own over the whole picture, which is made
first: those of the one picture would be, at the second level, of a painting in several styles, and lead all of them astray.

L layers: the styles · B batch · C channels · H, W size of a picture
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from hfstyle.images.geometry import crop_back, pad_to_multiple, resize
from hfstyle.models.fast import channels_last
from hfstyle.models.generator import StyleGenerator
from hfstyle.models.grid import moved_by
from hfstyle.models.levels import Instructions
from hfstyle.models.statistics import InstanceStatistics
from hfstyle.models.style_encoder import Condition
from hfstyle.painting.layers import Layer

__all__ = ["MOST_PIXELS", "paint_layers"]

MOST_PIXELS: Final = 4 * 2048 * 2048
"""Of all layers together, that are composed in features; more memory than that is better spent pass by pass."""

_LEAST: Final = 1e-4  # share of all layers that paint


def paint_layers(
    generator: StyleGenerator,
    content: Tensor,
    layers: Sequence[Layer],
    weights: Tensor,
    spared: Tensor | None = None,
    outlines: Tensor | None = None,
) -> Tensor:
    """A picture in the styles of all layers that paint, each in its place, before strength blends it with the content.

    Args:
        generator: in evaluation mode.
        content: (1, 3, h, w) float32 in [0, 1], on the generator's device, any size.
        layers: L, of which at least one paints.
        weights: (L, H, W) float32 of any size, summing to 1; where nothing paints, any style may be shown.
        spared: (1, 1, H', W') in [0, 1], how far places are spared, of the padded content; None is nowhere.
        outlines: (1,) in [0, 1], as of a call of the generator.

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
    strength = torch.tensor(
        [layer.strength for layer in painting], dtype=torch.float32, device=content.device
    )
    content = channels_last(content)
    passes = []
    for own, amount in zip(conditions, strength.split(1), strict=True):
        passes.append(InstanceStatistics())
        generator(content, own, amount, passes[-1], spared=spared, outlines=outlines)
    given = {
        name: torch.cat([own.taken[name] for own in passes], dim=1) for name in passes[0].taken
    }
    origin = generator.origin(content)
    shared = _Shared(given, moved_by(padded, origin.expand(len(padded), 2)))
    how = Instructions(condition, strength, spared=spared, outlines=outlines)
    change = generator.paint_coarse(content, how, shared, origin).change
    painted = generator.paint_over(content, change, how, shared, origin)
    return crop_back(painted.float(), size)


class _Shared(InstanceStatistics):
    """Given statistics of L styles for one picture, and the share that each has of each place.

    Args:
        given: (2, L, C, 1, 1) by name.
        shares: (L, 1, H, W), summing to 1.
    """

    several = True

    def __init__(self, given: Mapping[str, Tensor], shares: Tensor) -> None:
        super().__init__(given)
        self._shares = {tuple(shares.shape[2:]): shares}
        self._whole = shares

    def blend(self, x: Tensor) -> Tensor:
        """A map (L, C, h, w) or a number (L,) of each style -> (1, C, h, w) or (1,)."""
        if len(x) != len(self._whole):  # the same for all
            return x
        if x.dim() == 1:
            return (x * self._whole.mean((1, 2, 3)).to(x.dtype)).sum(0, keepdim=True)
        size = (x.shape[2], x.shape[3])
        if size not in self._shares:
            self._shares[size] = F.adaptive_avg_pool2d(self._whole, size)
        blended: Tensor | None = None
        for own, share in zip(x.split(1), self._shares[size].to(x.dtype).split(1), strict=True):
            blended = own * share if blended is None else blended.addcmul_(own, share)
        assert blended is not None
        return blended


def _shares(layers: Sequence[Layer], weights: Tensor) -> tuple[Tensor, list[Layer]]:
    """Shares of the layers that paint, among themselves, and these; where none does, as in the whole picture."""
    indices = [i for i, layer in enumerate(layers) if layer.paints and bool((weights[i] > 0).any())]
    own = weights[indices]  # (L', H, W)
    total = own.sum(0)
    overall = own.mean((1, 2))
    overall = overall / overall.sum()
    shares = torch.where(total > _LEAST, own / total.clamp(min=_LEAST), overall[:, None, None])
    return shares, [layers[i] for i in indices]
