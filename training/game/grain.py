"""Grain for training: strokes where the photo is flat begin with a random pattern, not at the border.

Convolutions that treat all places alike can draw nothing but one colour in a flat area, unless places differ (Karras et al.
2019, section 3.2). Trained on small crops without it, networks begin such strokes at the border, which they know from the
padding, and whole pictures get them there and nowhere else. The pattern lies still on the canvas and not on what moves over
it, so that pictures are painted without it, and it is no part of the generator.

B pictures · C channels · K channels of the pattern · D style width
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from hfstyle.models.generator import StyleGenerator
from hfstyle.models.resample import halve

__all__ = ["Grain"]

_PERIOD = 128  # cells of 4 px after which the pattern repeats
_CHANNELS = 4


class Grain(nn.Module):
    """A fixed random pattern, added to what the modulated blocks see, as strongly as the style asks; at first not at all."""

    pattern: Tensor

    def __init__(self, generator: StyleGenerator) -> None:
        super().__init__()
        chance = torch.Generator().manual_seed(0)
        self.register_buffer("pattern", torch.randn(_PERIOD, _PERIOD, _CHANNELS, generator=chance))
        self.low, self.mid, self.high = (_Layer(blocks[0]) for blocks in _blocks_of(generator))

    @contextmanager
    def over(self, generator: StyleGenerator, places: Tensor) -> Iterator[None]:
        """Meanwhile the generator paints on the grain.

        Args:
            generator: that of this object.
            places: (B, 2) int64, where each picture lies on the pattern, (y, x) in px of the picture, multiples of 8; a
                negative place paints without it.
        """
        levels = {"coarse": 8, "fine": 4}  # px of a cell at 1/4 of a level's resolution

        def adder(layer: _Layer, halvings: int) -> Any:
            def add(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
                x, style, statistics = inputs
                cell = levels[statistics.place.split(".")[0]]
                pattern = self._cut(places, cell, x.shape[2] << halvings, x.shape[3] << halvings)
                for _ in range(halvings):
                    pattern = 2 * halve(pattern)  # of unit deviation again
                return layer(x, pattern, style), style, statistics

            return add

        with ExitStack() as stack:
            for halvings, (layer, blocks) in enumerate(
                zip((self.low, self.mid, self.high), _blocks_of(generator), strict=True)
            ):
                handle = blocks[0].register_forward_pre_hook(adder(layer, halvings))
                stack.callback(handle.remove)
            yield

    def _cut(self, places: Tensor, cell: int, height: int, width: int) -> Tensor:
        """(B, K, height, width): the pattern, or 0."""
        start = places // cell
        down = start[:, :1] + torch.arange(height, device=places.device)  # (B, h)
        right = start[:, 1:] + torch.arange(width, device=places.device)
        cells = self.pattern[(down % _PERIOD)[:, :, None], (right % _PERIOD)[:, None, :]]
        return cells.permute(0, 3, 1, 2) * (places[:, :1, None, None] >= 0)


class _Layer(nn.Module):
    """The pattern mixed into a feature map of what `block` takes."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.mix = nn.Conv2d(_CHANNELS, block.conv1.in_channels, 1, bias=False)
        self.amount = nn.Linear(block.modulate1.affine.in_features, block.conv1.in_channels)
        nn.init.zeros_(self.amount.weight)
        nn.init.zeros_(self.amount.bias)

    def forward(self, x: Tensor, pattern: Tensor, style: Tensor) -> Tensor:
        """x (B, C, H, W), pattern (B, K, H, W), style (B, D) -> (B, C, H, W)."""
        amount = self.amount(style).to(x.dtype)[:, :, None, None]
        return torch.addcmul(x, self.mix(pattern.to(x.dtype)).to(x.dtype), amount)


def _blocks_of(generator: StyleGenerator) -> tuple[nn.ModuleList, ...]:
    """At 1/4, 1/8 and 1/16 of a level's resolution."""
    return generator.blocks_low, generator.blocks_mid, generator.blocks_high
