"""Frozen perceptual networks: pictures -> features at several depths, recognised from the tensors of a weight file.

Known architectures, each with its own preprocessing:

- ``vgg19``: torchvision / timm VGG-19 (``features.0.weight`` ...), ImageNet mean and deviation, zero padding.
- ``vgg19-normalised``: the rescaled VGG-19 of AdaIN, WCT and SANet (``conv0``, ``conv1_1`` ...), possibly cut after a
  deep layer; preprocessing inside ``conv0``, reflection padding.
- ``vgg19-compact``: VGG-19 compressed 16 times by Collaborative Distillation (Wang et al., CVPR 2020; ``conv11`` ...).

B batch · C channels · H, W image size
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

__all__ = [
    "PerceptualNetwork",
    "SeveralNetworks",
    "in_all",
    "load_perceptual",
    "load_perceptuals",
    "weights_in_all",
]

_VGG19 = (2, 2, 4, 4, 1)  # convolutions in each of the five stages, up to relu5_1
_WIDTHS = (64, 128, 256, 512, 512)
_COMPACT_WIDTHS = (16, 32, 64, 128, 128)
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PerceptualNetwork(nn.Module):
    """A VGG-like stack of 3x3 convolutions, frozen.

    Args:
        widths: output channels of each stage.
        depths: number of convolutions in each stage; shorter than five stages where a file is cut.
        preprocess: "imagenet" subtracts mean and divides by deviation; "conv0" is a learned 1x1 convolution.
        reflect: reflection padding, else zeros.
    """

    def __init__(
        self, widths: tuple[int, ...], depths: tuple[int, ...], preprocess: str, reflect: bool
    ) -> None:
        super().__init__()
        self.preprocess, self.reflect = preprocess, reflect
        if preprocess == "conv0":
            self.conv0 = nn.Conv2d(3, 3, 1)
        channels = 3
        self.stages = nn.ModuleList()
        for width, depth in zip(widths, depths, strict=False):
            stage = nn.ModuleList()
            for _ in range(depth):
                stage.append(nn.Conv2d(channels, width, 3))
                channels = width
            self.stages.append(stage)
        self.layers = tuple(
            f"relu{i}_{j}" for i, d in enumerate(depths, 1) for j in range(1, d + 1)
        )

    def forward(self, image: Tensor, layers: frozenset[str]) -> dict[str, Tensor]:
        """Features of `image` (B, 3, H, W) in [0, 1] after the named layers, each (B, C, h, w)."""
        if self.preprocess == "conv0":
            x = self.conv0(image)
        else:
            mean = torch.tensor(_IMAGENET_MEAN, device=image.device).view(1, 3, 1, 1)
            std = torch.tensor(_IMAGENET_STD, device=image.device).view(1, 3, 1, 1)
            x = (image - mean) / std
        features: dict[str, Tensor] = {}
        for i, stage in enumerate(self.stages, 1):
            if i > 1:
                x = F.max_pool2d(x, 2)
            assert isinstance(stage, nn.ModuleList)
            for j, conv in enumerate(stage, 1):
                if self.reflect:
                    x = F.relu(conv(F.pad(x, (1, 1, 1, 1), mode="reflect")), inplace=True)
                else:
                    x = F.relu(F.conv2d(x, conv.weight, conv.bias, padding=1), inplace=True)
                if (name := f"relu{i}_{j}") in layers:
                    features[name] = x
                    if len(features) == len(layers):
                        return features
        raise ValueError(f"unknown layers {sorted(layers - features.keys())}; known: {self.layers}")


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


def load_perceptual(
    model: str,
    *,
    revision: str | None = None,
    cache_dir: str | None = None,
    reflect: bool | None = None,
) -> PerceptualNetwork:
    """Load a perceptual network, recognised from its tensors.

    Args:
        model: a local safetensors file, or a Hub id whose repository holds ``model.safetensors``
            (for instance ``timm/vgg19.tv_in1k``).
        revision: branch, tag or commit on the Hub.
        cache_dir: where downloads are kept.
        reflect: override the padding the network was trained with; False is a fifth faster on a CPU and, since
            content, style and output are treated alike, as good for a loss.

    Raises:
        FileNotFoundError: neither such a file nor such a repository.
        ValueError: the file is truncated, or its tensors are of no known architecture.
    """
    path = Path(model)
    if not path.is_file():
        if path.suffix == ".safetensors" or path.exists():
            raise FileNotFoundError(f"no safetensors file at {model}")
        from huggingface_hub import hf_hub_download

        path = Path(
            hf_hub_download(model, "model.safetensors", revision=revision, cache_dir=cache_dir)
        )
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a whole safetensors file ({error}); download it again"
        ) from error
    network = recognise(state, source=str(model))
    if reflect is not None:
        network.reflect = reflect
    return network


def recognise(state: dict[str, Tensor], source: str = "these tensors") -> PerceptualNetwork:
    """Build the network that `state` belongs to and fill it; see the module's docstring for the known ones."""
    convs = [(i, j) for i, depth in enumerate(_VGG19, 1) for j in range(1, depth + 1)]
    if "features.0.weight" in state:
        positions, index = [], 0
        for i, depth in enumerate((2, 2, 4, 4, 4), 1):
            for j in range(1, depth + 1):
                positions.append((i, j, f"features.{index}"))
                index += 2
            index += 1
        names = {(i, j): name for i, j, name in positions if (i, j) in convs}
        network_kind = (_WIDTHS, "imagenet", False)
    elif "conv1_1.weight" in state and "conv0.weight" in state:
        names = {(i, j): f"conv{i}_{j}" for i, j in convs}
        network_kind = (_WIDTHS, "conv0", True)
    elif "conv11.weight" in state and "conv0.weight" in state:
        names = {(i, j): f"conv{i}{j}" for i, j in convs}
        network_kind = (_COMPACT_WIDTHS, "conv0", True)
    else:
        raise ValueError(
            f"{source} is no known perceptual network (first tensors: {sorted(state)[:4]}); known are VGG-19 of "
            "torchvision or timm, the normalised VGG-19 of AdaIN, and the compact VGG-19 of Collaborative Distillation"
        )
    present = [at for at in convs if f"{names[at]}.weight" in state]
    if present != convs[: len(present)]:
        raise ValueError(f"{source} lacks a convolution between the first and {names[present[-1]]}")
    widths, preprocess, reflect = network_kind
    depths = tuple(sum(i == stage for i, _ in present) for stage in range(1, present[-1][0] + 1))
    network = PerceptualNetwork(widths, depths, preprocess, reflect)
    wanted = {f"stages.{i - 1}.{j - 1}": names[i, j] for i, j in present}
    if preprocess == "conv0":
        wanted["conv0"] = "conv0"
    own = {}
    for key, tensor in network.state_dict().items():
        layer, part = key.rsplit(".", 1)
        name = f"{wanted[layer]}.{part}"
        if name not in state or state[name].shape != tensor.shape:
            found = tuple(state[name].shape) if name in state else "absent"
            raise ValueError(f"{source}: {name} is {found}, expected {tuple(tensor.shape)}")
        own[key] = state[name].float()
    network.load_state_dict(own)
    return network.eval().requires_grad_(False)
