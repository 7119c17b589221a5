"""What the losses see with: one perceptual network, or several at once. The networks themselves are `hfstyle.models.vgg`'s.

B batch · C channels · H, W image size
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from hfstyle.models.vgg import PerceptualNetwork, load_perceptual, recognise

__all__ = [
    "PerceptualNetwork",
    "SeveralNetworks",
    "in_all",
    "load_perceptual",
    "load_perceptuals",
    "recognise",
    "weights_in_all",
]


class SeveralNetworks(nn.Module):
    """Several perceptual networks at once: what one of them overlooks, a painting cannot hide from all.

    Layers of the first are called as ever, those of the second ``2/relu1_1`` and so on.
    """

    def __init__(self, networks: Sequence[PerceptualNetwork]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.layers = tuple(
            _prefix(i) + name for i, network in enumerate(networks) for name in network.layers
        )

    def forward(self, image: Tensor, layers: frozenset[str]) -> dict[str, Tensor]:
        """Features of `image` (B, 3, H, W) in [0, 1] after the named layers, each (B, C, h, w)."""
        features: dict[str, Tensor] = {}
        for i, network in enumerate(self.networks):
            prefix = _prefix(i)
            own = {prefix + name: name for name in network.layers if prefix + name in layers}  # type: ignore[union-attr]
            if own:
                seen = network(image, frozenset(own.values()))
                features |= {long: seen[name] for long, name in own.items()}
        return features


def _prefix(number: int) -> str:
    return "" if number == 0 else f"{number + 1}/"


def in_all(layers: Sequence[str], known: Sequence[str]) -> list[str]:
    """The layers, and those of the same names in further networks as far as `known` (a network's `layers`) has them."""
    return [*layers, *(name for name in known if "/" in name and name.split("/")[1] in layers)]


def weights_in_all(weights: Mapping[str, float], known: Sequence[str]) -> dict[str, float]:
    """Weights by layer for `in_all` of these layers."""
    return {name: weights[name.split("/")[-1]] for name in in_all([*weights], known)}


def load_perceptuals(
    models: Sequence[str], *, cache_dir: str | None = None
) -> PerceptualNetwork | SeveralNetworks:
    """`load_perceptual` of each, with zero padding; several become one. Raises what that raises."""
    networks = [load_perceptual(model, cache_dir=cache_dir, reflect=False) for model in models]
    return networks[0] if len(networks) == 1 else SeveralNetworks(networks)
