"""Internal to `hfstyle.evaluation.evaluate`: feature networks from safetensors files, recognised from their tensors.

Known layouts of safetensors files:

- SqueezeNet 1.1: torchvision's ``features.N.squeeze`` ...
- LPIPS heads for it: ``squeeze.linN``, or ``linN.model.1.weight`` as in the package `lpips`.
- Inception-v3: torchvision's, timm's and pytorch-fid's ``Mixed_5b.branch1x1.conv`` ... (batch normalisation is folded
  into the convolutions), or TensorFlow's ``mixed_tower_conv`` ... with it folded already; it may end at mixed_8.
- VGG-19 in the layouts of `hfstyle.models.vgg`; it may end after any layer from relu3_1 on.

C channels · kh, kw size of a kernel
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from huggingface_hub import snapshot_download
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from hfstyle.evaluation.networks import (
    BLOCKS,
    LAST_BLOCK,
    LPIPS_LAYERS,
    STEM,
    Inception,
    SqueezeNet,
)
from hfstyle.evaluation.vgg import Vgg
from hfstyle.models.hub import absent_told, unusable
from hfstyle.models.vgg import VGG_KINDS, vgg_kind

__all__ = ["Networks", "load_networks"]

_PART: Final = re.compile(r"[.-](part\d+|\d{5}-of-\d{5})$")


@dataclass
class Networks:
    """What was given: None for what was not.

    squeezenet, heads: for LPIPS; heads are seven tensors (C,).
    inception: for style distances and Frechet distances.
    vgg: for content distances.
    unknown: names of files of folders and repositories that are none of these.
    """

    squeezenet: SqueezeNet | None = None
    heads: list[Tensor] | None = None
    heads_source: str = ""
    inception: Inception | None = None
    vgg: Vgg | None = None
    unknown: tuple[str, ...] = ()

    def to(self, device: torch.device | str) -> Networks:
        """Move in place; returns itself."""
        for network in (self.squeezenet, self.inception, self.vgg):
            if network is not None:
                network.to(device)
        if self.heads is not None:
            self.heads = [head.to(device) for head in self.heads]
        return self

    def describe(self) -> dict[str, dict[str, str] | None]:
        """What is used, by role: "architecture" and "source"; None for what is not given."""
        used: dict[str, dict[str, str] | None] = dict.fromkeys(
            ("squeezenet", "lpips_heads", "inception", "vgg")
        )
        if self.squeezenet is not None:
            source = self.squeezenet.source
            used["squeezenet"] = {"architecture": "SqueezeNet 1.1", "source": source}
        if self.heads is not None:
            used["lpips_heads"] = {"architecture": "LPIPS heads", "source": self.heads_source}
        if (net := self.inception) is not None:
            extent = "" if net.whole else " up to mixed_8"
            name = f"Inception-v3{' of FID' if net.of_fid else ''}{extent}"
            used["inception"] = {"architecture": name, "source": net.source}
        if self.vgg is not None:
            used["vgg"] = {"architecture": self.vgg.kind, "source": self.vgg.source}
        return used


def load_networks(
    sources: Sequence[str | Path],
    *,
    revision: str | None = None,
    cache_dir: str | None = None,
    local_files_only: bool = False,
) -> Networks:
    """The feature networks in safetensors files.

    Args:
        sources: files (of one that is a part, all parts are read), folders of files, or Hub ids "user/model", whose safetensors files are downloaded. Of several
            Inceptions a whole one is taken, of several VGGs the original before the rescaled and the compressed one.
        revision: branch, tag or commit of the Hub repositories.
        cache_dir: of downloads.
        local_files_only: never use the network, only the cache.

    Raises:
        FileNotFoundError: neither a file, nor a folder, nor like a Hub id.
        ValueError: a file that is truncated, lacks tensors, or, where it was named itself, is of no known layout; a
            folder or repository without any network.
        huggingface_hub.errors.HfHubHTTPError, LocalEntryNotFoundError: no such repository, no network.
    """
    found = Networks()
    for source in sources:
        path = Path(source)
        if path.is_file():
            base = _PART.sub("", path.stem)
            parts = [f for f in path.parent.glob("*.safetensors") if _PART.sub("", f.stem) == base]
            if not _take(found, _read(parts if base != path.stem else [path]), str(source)):
                raise ValueError(
                    f"{source} holds no known feature network; give safetensors files of SqueezeNet 1.1, "
                    "its LPIPS heads, Inception-v3 or VGG-19"
                )
            continue
        folder = path
        if not path.is_dir():
            if not _may_be_hub_id(str(source)):
                raise FileNotFoundError(
                    f"{source} is not a file, not a folder and not a Hub id like 'user/model'"
                )
            with absent_told(str(source), local_files_only):
                folder = Path(
                    snapshot_download(
                        str(source),
                        revision=revision,
                        cache_dir=cache_dir,
                        local_files_only=local_files_only,
                        allow_patterns=["*.safetensors"],
                    )
                )
        groups: dict[str, list[Path]] = {}  # a network may lie in several parts
        for file in sorted(folder.glob("*.safetensors")):
            groups.setdefault(_PART.sub("", file.stem), []).append(file)
        taken = False
        for name, files in groups.items():
            if _take(found, _read(files), name if folder is path else f"{source}/{name}"):
                taken = True
            else:
                found.unknown += (f"{source}: {name}",)
        if not taken:
            raise ValueError(f"{source} holds no safetensors file of a known feature network")
    return found


def _may_be_hub_id(source: str) -> bool:
    """Not so a folder "networks/" that is not there, nor "./networks"."""
    owner, _, name = source.partition("/")
    return (
        owner not in ("", ".", "..", "~")
        and bool(name)
        and "/" not in name
        and not name.endswith(".safetensors")
    )


def _read(files: Sequence[Path]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for file in files:
        try:
            tensors |= load_file(file)
        except SafetensorError as error:
            raise ValueError(
                f"{file} is not a whole safetensors file ({error}); download it again"
            ) from error
        if damage := unusable(_weights(tensors)):
            raise ValueError(f"{file}: tensors {damage}; download it again")
    return tensors


def _weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the counters of batch normalisation, which are whole numbers."""
    return {n: x for n, x in tensors.items() if not n.endswith("num_batches_tracked")}


def _take(found: Networks, tensors: Mapping[str, Tensor], source: str) -> bool:
    """Recognise tensors and keep them where they are better than what is there; False if they are unknown."""
    heads = _heads(tensors)
    if heads is not None:
        found.heads, found.heads_source = heads, source
        return True
    bare = {name.removeprefix("c."): tensor for name, tensor in tensors.items()}
    side = 75
    network: SqueezeNet | Inception | Vgg
    if "features.3.squeeze.weight" in tensors:
        network = SqueezeNet(_only(tensors, "features."), source)
        found.squeezenet = network
        attempt: Any = network.features
    elif "Mixed_5b.branch1x1.conv.weight" in tensors or "mixed_tower_conv.weight" in bare:
        network = _inception(bare, source)
        if found.inception is None or (network.whole, network.of_fid) >= (
            found.inception.whole,
            found.inception.of_fid,
        ):
            found.inception = network
        attempt = network.pooled if network.whole else network.style_features
    elif vgg_kind(tensors) is not None:
        network = vgg = Vgg(tensors, source)
        if found.vgg is None or VGG_KINDS.index(vgg.kind) <= VGG_KINDS.index(found.vgg.kind):
            found.vgg = vgg
        attempt, side = vgg.features, 16
    else:
        return False
    try:  # missing and misshaped tensors are found here, not after an hour
        with torch.inference_mode():
            attempt(torch.zeros(1, 3, side, side, dtype=torch.float32))
    except KeyError as error:
        raise ValueError(
            f"{source}: the tensor {error} is missing; download the file again"
        ) from error
    except RuntimeError as error:
        raise ValueError(f"{source}: tensors do not fit each other: {error}") from error
    return True


def _heads(tensors: Mapping[str, Tensor]) -> list[Tensor] | None:
    for pattern in ("squeeze.lin{}", "lin{}.model.1.weight"):
        names = [pattern.format(i) for i in range(len(LPIPS_LAYERS))]
        if all(name in tensors for name in names):
            return [tensors[name].float().flatten() for name in names]
    return None


def _only(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _inception(tensors: Mapping[str, Tensor], source: str) -> Inception:
    """Either layout, with torchvision's names and batch normalisation folded in."""
    names = [f"{b}.{name}" for b, chains in BLOCKS.items() for chain in chains for name in chain]
    names = [*STEM, *names]
    folded: dict[str, Tensor] = {}
    if "mixed_tower_conv.weight" in tensors:
        for name in names:
            for kind in ("weight", "bias"):
                if (key := f"{_tensorflow_name(name)}.{kind}") not in tensors:
                    raise ValueError(
                        f"{source}: the tensor {key!r} is missing; if the network lies in several files, "
                        "name them NAME.part1.safetensors, NAME.part2.safetensors ..."
                    )
                folded[f"{name}.{kind}"] = tensors[key]
        return Inception(folded, source, of_fid=False)
    if "Mixed_7c.branch1x1.conv.weight" in tensors:
        names += [f"{block}.{name}" for block in ("Mixed_7b", "Mixed_7c") for name in LAST_BLOCK]
    for name in names:
        try:
            weight = tensors[f"{name}.conv.weight"].float()
            scale = tensors[f"{name}.bn.weight"].float()
            scale = scale / (tensors[f"{name}.bn.running_var"].float() + 1e-3).sqrt()
            mean = tensors[f"{name}.bn.running_mean"].float()
            folded[f"{name}.weight"] = weight * scale[:, None, None, None]
            folded[f"{name}.bias"] = tensors[f"{name}.bn.bias"].float() - mean * scale
        except KeyError as error:
            raise ValueError(
                f"{source}: the tensor {error} is missing; download it again"
            ) from error
    classes = tensors.get("fc.bias")
    # TensorFlow's graph of 2015, whose features FID is defined by, has 1008 classes; ImageNet has 1000.
    return Inception(folded, source, of_fid=classes is not None and len(classes) == 1008)


def _tensorflow_name(name: str) -> str:
    """Mixed_5b.branch5x5_2 -> mixed_tower_conv_1."""
    block, _, branch = name.partition(".")
    if not branch:
        index = STEM.index(block)
        return f"conv_{index}" if index else "conv"
    number = list(BLOCKS).index(block)
    chains = BLOCKS[block]
    tower = next(i for i, chain in enumerate(chains) if branch in chain)
    step = chains[tower].index(branch)
    tower -= block != "Mixed_7a"  # the first branch of the others is outside of towers
    path = "" if tower < 0 else f"_tower_{tower}" if tower else "_tower"
    return f"mixed{f'_{number}' if number else ''}{path}_conv{f'_{step}' if step else ''}"
