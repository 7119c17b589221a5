"""Internal to `hfstyle.pipeline`: how far a call is, and how the network runs in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from hfstyle.limits import TileSize, check_callback

__all__ = ["Progress", "Run"]


class Progress:
    """Pictures and tiles done, told to a callback. Tiles are counted from when they are begun."""

    def __init__(self, callback: Callable[[int, int], None] | None, pictures: int) -> None:
        check_callback(callback)
        self._callback = callback
        self._done, self._total = 0, pictures

    def picture_done(self) -> None:
        self._done += 1
        self._tell()

    def tiles(self) -> Callable[[int, int], None]:
        """A callback `(done, total)` for the tiles of one picture."""
        told = [0, 0]

        def step(done: int, total: int) -> None:
            self._done += done - told[0]
            self._total += total - told[1]
            told[:] = done, total
            self._tell()

        return step

    def bands(self, bands: Iterator[Tensor], height: int) -> Iterator[Tensor]:
        """The bands (3, h, W) of a picture (3, height, W), each told like a tile, if there are several."""
        step, bottom, count = self.tiles(), 0, 0
        for band in bands:
            bottom, count = bottom + band.shape[1], count + 1
            if band.shape[1] < height:
                step(count, max(count, math.ceil(count * height / bottom)))
            yield band

    def _tell(self) -> None:
        if self._callback is not None:
            self._callback(self._done, self._total)


@dataclass(frozen=True)
class Run:
    """How the network runs: in which tiles, the type in which these are put together, and how much of faces and outlines is kept."""

    tile_size: TileSize
    dtype: torch.dtype
    progress: Progress
    faces: float
    outlines: float
