"""Internal to `hfstyle.pipeline`: the pixels of a picture that is too large for memory.

C channels · H, W size of the picture · h, w size of a part of it
"""

from __future__ import annotations

import os
import tempfile
from typing import Any, Final, Self, TypeAlias

import numpy as np
import torch
from torch import Tensor

__all__ = ["PixelFile", "Pixels"]

_NUMBERS: Final = {torch.uint8: np.uint8, torch.float16: np.float16, torch.float32: np.float32}


class PixelFile:
    """Pixels in an unnamed file, which goes with this object, or with the process, however that ends.

    Read like a tensor of shape (1, C, H, W), by its last two axes: `pixels[..., 100:200, :]` is a new tensor
    (1, C, 100, W). Memory is needed for what is read alone.

    It is no np.memmap: on a full disk that ends the process by a signal (SIGBUS) where this raises an OSError.

    Args:
        height, width, channels: H, W and C.
        dtype: torch.uint8 for 256 levels, torch.float16 or torch.float32.
        folder: of the file; what lies on its disk needs H * W * C bytes there, or two or four times as many.

    Raises:
        OSError: the file cannot be made; writing raises it when the disk is full.
    """

    def __init__(
        self,
        height: int,
        width: int,
        channels: int,
        dtype: torch.dtype,
        folder: str | os.PathLike[str],
    ) -> None:
        self.shape = torch.Size((1, channels, height, width))
        self.dtype = dtype
        self._item = np.dtype(_NUMBERS[dtype])
        self._folder = folder
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115

    def beside(self, height: int, width: int, dtype: torch.dtype) -> PixelFile:
        """Room for other pixels of as many channels, in the same folder."""
        return PixelFile(height, width, self.shape[1], dtype, self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the room back."""
        self._file.close()

    def write(self, top: int, left: int, block: np.ndarray) -> None:
        """block (h, w, C) of the file's type, or (h, w, 1) for all channels alike, to its place."""
        _, channels, _, width = self.shape
        rows = np.empty((*block.shape[:2], channels), self._item)
        rows[:] = block
        if block.shape[1] == width:
            self._write_at(self._place(top, 0), rows)
            return
        for number, row in enumerate(rows):
            self._write_at(self._place(top + number, left), row)

    def __getitem__(self, index: tuple[Any, slice, slice]) -> Tensor:
        """[..., rows, columns] -> (1, C, h, w), channels side by side in memory."""
        _, rows, columns = index
        _, channels, height, width = self.shape
        top, bottom, _ = rows.indices(height)
        left, right, _ = columns.indices(width)
        block = np.empty((bottom - top, right - left, channels), self._item)
        if right - left == width:
            self._read_at(self._place(top, 0), block)
        else:
            for number, row in enumerate(block):
                self._read_at(self._place(top + number, left), row)
        return torch.from_numpy(block).permute(2, 0, 1)[None]

    def whole(self) -> Tensor:
        """(1, C, H, W)"""
        return self[..., :, :]

    def _place(self, row: int, column: int) -> int:
        _, channels, _, width = self.shape
        return (row * width + column) * channels * self._item.itemsize

    def _write_at(self, place: int, values: np.ndarray) -> None:
        self._file.seek(place)
        left = values.reshape(-1).view(np.uint8)
        while left.size:
            left = left[self._file.write(left.data) :]

    def _read_at(self, place: int, values: np.ndarray) -> None:
        self._file.seek(place)
        left = values.reshape(-1).view(np.uint8)  # the same memory
        while left.size:
            count = self._file.readinto(left.data)
            assert count, "only what was written is read"
            left = left[count:]


Pixels: TypeAlias = Tensor | PixelFile
