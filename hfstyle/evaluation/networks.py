"""Internal to `hfstyle.evaluation.evaluate`: the frozen networks whose features are compared.

Each prepares pictures (B, 3, H, W) in [0, 1] as it was trained. Files of weights are read by `_network_files`.

B batch · C channels · H, W image size · h, w size of a feature map
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "BLOCKS",
    "LAST_BLOCK",
    "LPIPS_LAYERS",
    "STEM",
    "FeatureNetwork",
    "Inception",
    "SqueezeNet",
]

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's
LPIPS_LAYERS: Final = (1, 4, 7, 9, 10, 11, 12)  # of SqueezeNet's `features`
_POOLS: Final = (2, 5, 8)


class FeatureNetwork:
    """Convolutions by name, and where they came from.

    Args:
        tensors: name.weight (C', C, kh, kw) and name.bias (C'), on the CPU.
        source: the file or Hub id, for reports.
    """

    def __init__(self, tensors: Mapping[str, Tensor], source: str) -> None:
        self.tensors = {name: tensor.float() for name, tensor in tensors.items()}
        self.source = source

    def to(self, device: torch.device | str) -> Self:
        """Move in place."""
        self.tensors = {name: tensor.to(device) for name, tensor in self.tensors.items()}
        return self

    def conv(self, x: Tensor, name: str, stride: int = 1, padding: Any = 0) -> Tensor:
        """Convolution and ReLU."""
        bias = self.tensors.get(f"{name}.bias")
        return F.relu(F.conv2d(x, self.tensors[f"{name}.weight"], bias, stride, padding))

    def has(self, name: str) -> bool:
        """Whether it has this convolution."""
        return f"{name}.weight" in self.tensors

    @staticmethod
    def normalise(image: Tensor) -> Tensor:
        """ImageNet's mean and deviation."""
        mean, std = image.new_tensor(_MEAN), image.new_tensor(_STD)
        return (image - mean.view(3, 1, 1)) / std.view(3, 1, 1)


class SqueezeNet(FeatureNetwork):
    """SqueezeNet 1.1 (Iandola et al., 2016) up to its last fire module."""

    def features(self, image: Tensor) -> list[Tensor]:
        """The seven layers that LPIPS compares, each (B, C, h, w)."""
        x = self.normalise(image)
        taps = []
        for index in range(13):
            name = f"features.{index}"
            if index in _POOLS:
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            elif index == 0:
                x = self.conv(x, name, stride=2)
            elif index > 1:
                x = self.conv(x, f"{name}.squeeze")
                wide = self.conv(x, f"{name}.expand3x3", padding=1)
                x = torch.cat((self.conv(x, f"{name}.expand1x1"), wide), 1)
            if index in LPIPS_LAYERS:
                taps.append(x)
        return taps


# Blocks of Inception-v3 by torchvision's names: the branches, each a chain of convolutions.
_BLOCK_5: Final = (
    ("branch1x1",),
    ("branch5x5_1", "branch5x5_2"),
    ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
    ("branch_pool",),
)
_BLOCK_6: Final = (
    ("branch1x1",),
    tuple(f"branch7x7_{i}" for i in range(1, 4)),
    tuple(f"branch7x7dbl_{i}" for i in range(1, 6)),
    ("branch_pool",),
)
BLOCKS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "Mixed_5b": _BLOCK_5,
    "Mixed_5c": _BLOCK_5,
    "Mixed_5d": _BLOCK_5,
    "Mixed_6a": (("branch3x3",), ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")),
    "Mixed_6b": _BLOCK_6,
    "Mixed_6c": _BLOCK_6,
    "Mixed_6d": _BLOCK_6,
    "Mixed_6e": _BLOCK_6,
    "Mixed_7a": (
        ("branch3x3_1", "branch3x3_2"),
        tuple(f"branch7x7x3_{i}" for i in range(1, 5)),
    ),
}
LAST_BLOCK: Final = (
    *("branch1x1", "branch3x3_1", "branch3x3_2a", "branch3x3_2b", "branch3x3dbl_1"),
    *("branch3x3dbl_2", "branch3x3dbl_3a", "branch3x3dbl_3b", "branch_pool"),
)
STEM: Final = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"),
    *("Conv2d_3b_1x1", "Conv2d_4a_3x3"),
)
_STRIDE_2: Final = {  # the last of these chains; without padding
    *("Mixed_6a.branch3x3", "Mixed_6a.branch3x3dbl_3"),
    *("Mixed_7a.branch3x3_2", "Mixed_7a.branch7x7x3_4"),
}
_STYLE_LAYERS: Final = (
    *("Conv2d_2b_3x3", "Conv2d_4a_3x3"),
    *("Mixed_5b", "Mixed_5d", "Mixed_6b", "Mixed_6d"),
)


class Inception(FeatureNetwork):
    """Inception-v3 (Szegedy et al., 2016), whole or up to mixed_8, the block that torchvision calls Mixed_7a.

    Args:
        of_fid: whether these are the weights of Heusel et al.'s FID, which average without the padding
            (as TensorFlow does) and take a maximum in the last block.
    """

    def __init__(self, tensors: Mapping[str, Tensor], source: str, of_fid: bool) -> None:
        super().__init__(tensors, source)
        self.whole = self.has("Mixed_7c.branch1x1")
        self.of_fid = self.whole and of_fid
        self.padded_average = self.whole and not of_fid

    def style_features(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """Six layers from edges to parts, and mixed_8, each (B, C, h, w); image from 75 px."""
        taps = self._run(image)
        return [taps[name] for name in _STYLE_LAYERS], taps["Mixed_7a"]

    def pooled(self, image: Tensor) -> Tensor:
        """The features of FID, pool3, of a whole network: (B, C)."""
        x = self._run(image)["Mixed_7a"]
        for name in ("Mixed_7b", "Mixed_7c"):
            narrow = self.conv(x, f"{name}.branch3x3_1")
            deep = self.conv(x, f"{name}.branch3x3dbl_1")
            deep = self.conv(deep, f"{name}.branch3x3dbl_2", padding=1)
            if name == "Mixed_7c" and self.of_fid:
                pooled = F.max_pool2d(x, 3, 1, 1)
            else:
                pooled = self._average(x)
            x = torch.cat(
                (
                    self.conv(x, f"{name}.branch1x1"),
                    self.conv(narrow, f"{name}.branch3x3_2a", padding=(0, 1)),
                    self.conv(narrow, f"{name}.branch3x3_2b", padding=(1, 0)),
                    self.conv(deep, f"{name}.branch3x3dbl_3a", padding=(0, 1)),
                    self.conv(deep, f"{name}.branch3x3dbl_3b", padding=(1, 0)),
                    self.conv(pooled, f"{name}.branch_pool"),
                ),
                1,
            )
        return x.mean((2, 3))

    def _run(self, image: Tensor) -> dict[str, Tensor]:
        taps: dict[str, Tensor] = {}
        x = self.conv(2 * image - 1, STEM[0], stride=2)
        x = self.conv(x, STEM[1])
        x = taps[STEM[2]] = self.conv(x, STEM[2], padding=1)
        x = self.conv(F.max_pool2d(x, 3, 2), STEM[3])
        x = taps[STEM[4]] = self.conv(x, STEM[4])
        x = F.max_pool2d(x, 3, 2)
        for block, branches in BLOCKS.items():
            parts = []
            for chain in branches:
                y = self._average(x) if chain == ("branch_pool",) else x
                for name in chain:
                    y = self._inside(y, f"{block}.{name}")
                parts.append(y)
            if block in ("Mixed_6a", "Mixed_7a"):
                parts.append(F.max_pool2d(x, 3, 2))
            x = taps[block] = torch.cat(parts, 1)
        return taps

    def _inside(self, x: Tensor, name: str) -> Tensor:
        if name in _STRIDE_2:
            return self.conv(x, name, stride=2)
        height, width = self.tensors[f"{name}.weight"].shape[2:]
        return self.conv(x, name, padding=(height // 2, width // 2))

    def _average(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=self.padded_average)
