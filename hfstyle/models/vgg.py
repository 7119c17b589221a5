"""Frozen perceptual networks: pictures -> features at several depths, recognised from the tensors of a weight file.

Training looks through them, and `hfstyle evaluate` judges by them. Known layouts, each with its own preprocessing:

- ``VGG-19``: torchvision / timm VGG-19 (``features.0.weight`` ...), ImageNet mean and deviation, zero padding.
- ``normalised VGG-19``: the rescaled VGG-19 of AdaIN, WCT and SANet (``conv0``, ``conv1_1`` ...), possibly cut after a
  deep layer; preprocessing inside ``conv0``, reflection padding.
- ``compressed VGG-19``: 16 times smaller by Collaborative Distillation (Wang et al., CVPR 2020; ``conv11`` ...).

B batch · C channels · H, W image size
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from hfstyle.models.compact_vgg import COMPACT_VGG, compact_vgg
from hfstyle.models.hub import unusable
from hfstyle.models.hub_file import hub_file

__all__ = [
    "DEFAULT_PERCEPTUAL",
    "VGG_KINDS",
    "PerceptualNetwork",
    "load_perceptual",
    "recognise",
    "vgg_kind",
]

DEFAULT_PERCEPTUAL: Final = COMPACT_VGG
"""The compact VGG-19, 3.9 MB, MIT licence: the bundled weights were trained with it. The whole one is timm/vgg19.tv_in1k of
the Hub, 575 MB, BSD-3-Clause; its classifier is most of it.
"""

VGG_KINDS: Final = ("VGG-19", "normalised VGG-19", "compressed VGG-19")
"""The known layouts, as a report calls them; the original first."""

_VGG19 = (2, 2, 4, 4, 4)  # convolutions in each of the five stages
_DEEPEST = (5, 1)  # the last one that is used
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
                assert isinstance(conv, nn.Conv2d)
                if self.reflect:
                    x = F.relu(conv(F.pad(x, (1, 1, 1, 1), mode="reflect")), inplace=True)
                else:
                    x = F.relu(F.conv2d(x, conv.weight, conv.bias, padding=1), inplace=True)
                if (name := f"relu{i}_{j}") in layers:
                    features[name] = x
                    if len(features) == len(layers):
                        return features
        raise ValueError(f"unknown layers {sorted(layers - features.keys())}; known: {self.layers}")


def load_perceptual(
    model: str,
    *,
    revision: str | None = None,
    cache_dir: str | None = None,
    reflect: bool | None = None,
    option: str = "--perceptual_model",
) -> PerceptualNetwork:
    """Load a perceptual network, recognised from its tensors.

    Args:
        model: a local safetensors file; ``compact-vgg19``; or a Hub id whose repository holds ``model.safetensors``
            (for instance ``timm/vgg19.tv_in1k``).
        revision: branch, tag or commit on the Hub.
        cache_dir: where downloads are kept.
        reflect: override the padding the network was trained with; False is a fifth faster on a CPU and, since
            content, style and output are treated alike, as good for a loss.
        option: what a user gave the model by, for messages.

    Raises:
        FileNotFoundError: neither such a file nor such a repository, or the Hub cannot be reached; said at once.
        ValueError: the file is truncated, or its tensors are of no known architecture.
    """
    path = Path(model)
    if model == COMPACT_VGG and not path.is_file():
        state = compact_vgg(cache_dir, option=option)
    else:
        state = _read(path, model, revision, cache_dir, option)
    network = recognise(state, source=str(model))
    if reflect is not None:
        network.reflect = reflect
    return network


def _read(
    path: Path, model: str, revision: str | None, cache_dir: str | None, option: str
) -> dict[str, Tensor]:
    """The tensors of a file, here or on the Hub."""
    if not path.is_file():
        if path.suffix == ".safetensors" or path.exists():
            raise FileNotFoundError(
                f"there is no safetensors file {model}; check the path, or give {COMPACT_VGG}, or the Hub id timm/vgg19.tv_in1k"
            )
        path = hub_file(
            model,
            "model.safetensors",
            what="the perceptual network",
            remedy=f"give {option} a safetensors file of VGG-19",
            revision=revision,
            cache_dir=cache_dir,
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a whole safetensors file ({error}); download it again"
        ) from error


def vgg_kind(state: Mapping[str, Tensor]) -> str | None:
    """Which of `VGG_KINDS` the tensors of a file are; None for another network."""
    if "conv0.weight" in state:
        given = {kind for kind in VGG_KINDS[1:] if f"{_names(kind)[1, 1]}.weight" in state}
        return min(given, key=VGG_KINDS.index, default=None)
    convolutions = {
        n for n, x in state.items() if re.fullmatch(r"features\.\d+\.weight", n) and x.ndim == 4
    }
    known = {f"{name}.weight" for name in _names(VGG_KINDS[0]).values()}
    return VGG_KINDS[0] if "features.0.weight" in convolutions <= known else None


def _names(kind: str) -> dict[tuple[int, int], str]:
    """The names in a file of the convolutions (stage, number), in their order."""
    convolutions = [(i, j) for i, depth in enumerate(_VGG19, 1) for j in range(1, depth + 1)]
    if kind == VGG_KINDS[0]:
        # A convolution and its ReLU take two numbers each, the pooling between stages takes one.
        return {(i, j): f"features.{2 * n + i - 1}" for n, (i, j) in enumerate(convolutions)}
    between = "_" if kind == VGG_KINDS[1] else ""
    return {(i, j): f"conv{i}{between}{j}" for i, j in convolutions}


def recognise(state: Mapping[str, Tensor], source: str = "these tensors") -> PerceptualNetwork:
    """Build the network that `state` belongs to and fill it; see the module's docstring for the known ones.

    Raises ValueError for another network, or a tensor that is absent, misshaped or no number; it is named.
    """
    kind = vgg_kind(state)
    if kind is None:
        raise ValueError(
            f"{source} is no known perceptual network (first tensors: {sorted(state)[:4]}); known are VGG-19 of "
            "torchvision or timm, the normalised VGG-19 of AdaIN, and the compact VGG-19 of Collaborative Distillation"
        )
    names = {at: name for at, name in _names(kind).items() if at <= _DEEPEST}
    present = [at for at in names if f"{names[at]}.weight" in state]
    if present != list(names)[: len(present)]:
        absent = next(name for at, name in names.items() if at not in present)
        raise ValueError(f"{source} lacks the convolution {absent!r}; download the file again")
    depths = tuple(sum(i == stage for i, _ in present) for stage in range(1, present[-1][0] + 1))
    widths = tuple(state[f"{names[i, 1]}.weight"].shape[0] for i in range(1, len(depths) + 1))
    learned = kind != VGG_KINDS[0]
    network = PerceptualNetwork(widths, depths, "conv0" if learned else "imagenet", learned)
    wanted = {f"stages.{i - 1}.{j - 1}": names[i, j] for i, j in present}
    if learned:
        wanted["conv0"] = "conv0"
    own = {}
    for key, tensor in network.state_dict().items():
        layer, part = key.rsplit(".", 1)
        name = f"{wanted[layer]}.{part}"
        if name not in state or state[name].shape != tensor.shape:
            found = tuple(state[name].shape) if name in state else "absent"
            raise ValueError(f"{source}: {name} is {found}, expected {tuple(tensor.shape)}")
        if damage := unusable({name: state[name]}):
            raise ValueError(f"{source}: tensors {damage}; download the file again")
        own[key] = state[name].float()
    network.load_state_dict(own)
    return network.eval().requires_grad_(False)
