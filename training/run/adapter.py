"""What a trained generator may learn without forgetting: gains and biases of its channels, and low-rank changes of few weights.

Millions of weights learn noise from a few pictures; ten thousand gains and biases do not. A low-rank change (Hu et al. 2021,
LoRA) of what a style does to channels lets one style be painted otherwise than others. All of it is folded into the weights
in the end, so that the result is a generator like any other.
"""

from __future__ import annotations

import copy
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from hfstyle.models.generator import StyleGenerator

__all__ = ["Gain", "LowRank", "Taught", "add_gains", "add_low_rank", "folded", "style_weights"]

# Of these, whole weights may be learned too: what a style does to channels, and the last layers.
_LAST: Final = ("head.refine", "head.paint", "tint", "underdrawing", "spread")


class Gain(nn.Module):
    """A weight times 1 + g, of each output channel."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        shape = (len(weight), *[1] * (weight.dim() - 1))
        self.gain = nn.Parameter(torch.zeros(shape, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        return weight * (1 + self.gain)


class LowRank(nn.Module):
    """A weight plus B A, of `rank` at most; nothing at first. In units of the weight's own mean absolute value."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        rows, columns = weight.shape
        chance = torch.Generator().manual_seed(rows * columns)
        drawn = torch.randn(rank, columns, generator=chance) / columns**0.5
        self.down = nn.Parameter(drawn.to(weight))
        self.up = nn.Parameter(torch.zeros(rows, rank, device=weight.device))
        self.register_buffer("unit", weight.detach().abs().mean() * columns**0.5)

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.unit * (self.up @ self.down)


class Taught(NamedTuple):
    """gains, biases; and the weights that may be learned too, still frozen."""

    gains: list[nn.Parameter]
    biases: list[nn.Parameter]
    weights: list[nn.Parameter]


def add_gains(generator: StyleGenerator, with_encoder: bool = False) -> Taught:
    """Gains for all layers but the first of the style's; all else is frozen but biases.

    Args:
        with_encoder: False leaves out the encoder's.
    """
    generator.requires_grad_(False)
    taught = Taught([], [], [])
    for name, layer in list(generator.named_modules()):
        if (name.startswith("encoder") and not with_encoder) or name == "style1":
            continue
        if name.startswith("faces."):  # learned apart
            continue
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        gain = Gain(layer.weight)
        if name.endswith(".affine") or name in _LAST:
            taught.weights.append(layer.weight)
        parametrize.register_parametrization(layer, "weight", gain)
        taught.gains.append(gain.gain)
        if layer.bias is not None:
            taught.biases.append(layer.bias.requires_grad_(True))
    return taught


def add_low_rank(generator: StyleGenerator, rank: int) -> list[nn.Parameter]:
    """Low-rank changes of what turns a style into scales and shifts of channels; after `add_gains`."""
    added: list[nn.Parameter] = []
    for name, layer in list(generator.named_modules()):
        if isinstance(layer, nn.Linear) and (name == "style1" or name.endswith(".affine")):
            change = LowRank(layer.weight, rank)
            parametrize.register_parametrization(layer, "weight", change)
            added += [change.down, change.up]
    return added


def style_weights(generator: StyleGenerator) -> list[nn.Parameter]:
    """What a style's vector and tokens pass first, in the generator; all else is frozen, and style codes keep their meaning."""
    generator.requires_grad_(False)
    layers: list[nn.Module] = [generator.style1, generator.style2]
    for attention in (generator.attend_high, generator.attend_mid):
        layers += [attention.key, attention.value]
    return [p.requires_grad_(True) for layer in layers for p in layer.parameters()]


def folded(generator: nn.Module) -> StyleGenerator:
    """A copy without gains and low-rank changes that paints alike; a copy as it is if there are none."""
    result: Any = copy.deepcopy(generator)
    for layer in list(result.modules()):
        if parametrize.is_parametrized(layer, "weight"):
            weight = layer.weight.detach().clone()
            # Not `remove_parametrizations`: it takes the property from the class, which copies share.
            layer.__class__ = type(layer).__bases__[0]
            del layer.parametrizations
            layer.weight = nn.Parameter(weight)
    return result
