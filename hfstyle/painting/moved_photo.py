"""Parts of a photo as the generator sees them of the whole: padded as it asks, moved to where its grid begins.

Internal to `hfstyle.painting.tiles`. H, W size of the photo · h, w size of a part
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final

import torch
from torch import Tensor

from hfstyle.images.arrays import as_float
from hfstyle.images.geometry import mirrored
from hfstyle.images.pixel_file import PixelFile, Pixels
from hfstyle.models.fast import channels_last
from hfstyle.models.generator import StyleGenerator
from hfstyle.models.grid import Origin, fine_origin

__all__ = ["MovedPhoto"]

_STRIP_PIXELS: Final = 2**21  # seen at once to find the origin of the grid


class MovedPhoto:
    """The content of a call of the generator, of which parts are read.

    size: H and W, padded; `shown` without. origin: as of `StyleGenerator.origin`, of the whole.
    """

    def __init__(
        self,
        generator: StyleGenerator,
        content: Pixels,
        device: torch.device,
        spared: Tensor | None,
    ) -> None:
        self._content, self._device = content, device
        self._spared = None if spared is None else spared.to(device)
        multiple, least = generator.size_multiple, generator.minimum_size
        height, width = (
            -(-max(length, least) // multiple) * multiple for length in content.shape[2:]
        )
        self.size = height, width
        self.shown: tuple[int, int] = (content.shape[2], content.shape[3])
        self.origin = self._found(generator)
        self.fine_origin = fine_origin(self.origin)

    def room(self, height: int, width: int, dtype: torch.dtype, files: ExitStack) -> Pixels:
        """(1, 3, H, W) to be filled: in a file beside the content's, which `files` closes, or in memory as that is."""
        if isinstance(self._content, PixelFile):
            return files.enter_context(self._content.beside(height, width, dtype))
        return torch.empty((1, height, width, 3), dtype=dtype).permute(0, 3, 1, 2)

    def _found(self, generator: StyleGenerator) -> Tensor:
        height, width = self.size
        found = Origin(self.size, generator.period)
        multiple = generator.size_multiple
        step = max(multiple, _STRIP_PIXELS // width // multiple * multiple)
        count = max(1, (height - found.margin) // step)
        for i, top in enumerate(range(0, count * step, step), 1):
            bottom = height if i == count else top + step + found.margin
            found.add(self.part(slice(top, bottom), slice(0, width)), top)
        return found.offsets()

    def _places(self, rows: slice, columns: slice, origin: Tensor | None) -> list[Tensor]:
        """The rows and the columns of the content, (h,) and (w,) int64, that lie there once it is padded and moved."""
        offsets = (0, 0) if origin is None else origin[0].tolist()
        return [
            mirrored(mirrored(torch.arange(s.start + offset, s.stop + offset), padded), shown)
            for s, offset, padded, shown in zip(
                (rows, columns), offsets, self.size, self.shown, strict=True
            )
        ]

    def part(self, rows: slice, columns: slice, origin: Tensor | None = None) -> Tensor:
        """(1, 3, h, w) in [0, 1], of the padded content, or of that moved by an origin (1, 2)."""
        places = self._places(rows, columns, origin)
        first, last = ([int(f(axis)) for axis in places] for f in (torch.min, torch.max))
        spans = [slice(i, j + 1) for i, j in zip(first, last, strict=True)]
        part = as_float(self._content[..., spans[0], spans[1]].to(self._device))
        for axis, wanted, start in zip((2, 3), places, first, strict=True):
            if len(wanted) != part.shape[axis] or int(wanted[0]) != start:
                part = part.index_select(axis, (wanted - start).to(self._device))
        return channels_last(part)

    def spared(self, rows: slice, columns: slice, origin: Tensor) -> Tensor | None:
        """(1, 1, h, w), how far places of the moved content are spared: interpolated as `F.interpolate` does."""
        x = self._spared
        if x is None:
            return None
        for axis, places, shown in zip(
            (2, 3), self._places(rows, columns, origin), self.shown, strict=True
        ):
            last = x.shape[axis] - 1
            steps = places.to(x.device, torch.float32)
            place = ((steps + 0.5) * (x.shape[axis] / shown) - 0.5).clamp(0, last)
            before = place.floor().long()
            share = (place - before).view(-1, 1) if axis == 2 else place - before
            after = (before + 1).clamp(max=last)
            x = torch.lerp(x.index_select(axis, before), x.index_select(axis, after), share)
        return x
