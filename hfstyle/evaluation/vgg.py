"""VGG-19 as a judge of content; the network itself is `hfstyle.models.vgg`'s."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from hfstyle.models.vgg import VGG_KINDS, recognise, vgg_kind

__all__ = ["Vgg"]


class Vgg:
    """VGG-19 (Simonyan and Zisserman, 2015), up to relu4_1 or, if its file ends before, relu3_1.

    Args:
        tensors: of a file that `vgg_kind` knows.
        source: the file's name, for messages and reports.

    Raises:
        ValueError: a tensor is absent or misshaped, or the file ends before relu3_1.
    """

    def __init__(self, tensors: Mapping[str, Tensor], source: str) -> None:
        kind = vgg_kind(tensors)
        assert kind is not None
        self.network, self.source = recognise(tensors, source), source
        self.kind, self.original = kind, kind == VGG_KINDS[0]
        known = self.network.layers
        if "relu3_1" not in known:
            raise ValueError(f"{source} ends at {known[-1]}; content is measured at relu3_1")
        self.deepest = "relu4_1" if "relu4_1" in known else "relu3_1"

    def to(self, device: torch.device | str) -> Vgg:
        """Move in place; returns itself."""
        self.network.to(device)
        return self

    def features(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """relu3_1 and the deepest of relu3_1 and relu4_1 there is, each (B, C, h, w); image (B, 3, H, W) from 8 px."""
        seen = self.network(image, frozenset({"relu3_1", self.deepest}))
        return seen["relu3_1"], seen[self.deepest]
