"""Internal to `hfstyle.pipeline`: what the network sees of the photos painted last, whatever their style.

B = 1 picture · H, W its size, padded as the generator asks
"""

from __future__ import annotations

import threading
from typing import Final

import torch
from torch import Tensor

from hfstyle.models.generator import ContentFeatures, StyleGenerator

__all__ = ["ContentMemory"]

_MOST_PIXELS: Final = 2_000_000  # of all photos that are kept, at 24 to 36 bytes for each


class ContentMemory:
    """Features of the last photos, found again by the photos' pixels, all of them: nobody gets those of another photo.

    Args:
        count: photos that are kept at most, from 0.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._kept: list[tuple[Tensor, ContentFeatures]] = []  # the last first
        self._lock = threading.Lock()

    def look(self, generator: StyleGenerator, content: Tensor) -> ContentFeatures | None:
        """`generator.look_at(content)`, from memory if that is possible; None for what is not kept.

        Args:
            generator: always the same. Of graphs there are no features, and on a GPU looking takes less time than finding.
            content: (1, 3, H, W) float32.
        """
        pixels = content.shape[2] * content.shape[3]
        kept_at_all = self._count > 0 and pixels <= _MOST_PIXELS and content.device.type == "cpu"
        if not kept_at_all or not isinstance(generator, torch.nn.Module):
            return None
        with self._lock:
            kept = list(self._kept)
        for item in kept:
            if item[0].shape == content.shape and torch.equal(item[0], content):
                self._keep(item)
                return item[1]
        features = generator.look_at(content)
        self._keep((content.clone(), features))
        return features

    def forget(self) -> None:
        """Keep none of them: the network has changed."""
        with self._lock:
            self._kept = []

    def _keep(self, item: tuple[Tensor, ContentFeatures]) -> None:
        with self._lock:
            others = [other for other in self._kept if other is not item]
            self._kept, room = [item], _MOST_PIXELS - item[0][0, 0].numel()
            for other in others[: self._count - 1]:
                room -= other[0][0, 0].numel()
                if room >= 0:
                    self._kept.append(other)
