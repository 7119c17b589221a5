"""Pictures that a run is judged by and never trains on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training.data.sources import HubStream, PictureSource, RawPicture

__all__ = ["HELD", "hold_out", "part_of"]

HELD = 4  # pictures of each kind
_LEAST_SHARE = 5  # at most one picture in this many is held out


@dataclass
class _Part:
    """Some of a source's pictures."""

    name: str
    source: PictureSource
    indices: Sequence[int]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> RawPicture:
        return self.source[self.indices[index]]


def part_of(source: PictureSource, indices: Sequence[int]) -> PictureSource:
    """Those of its pictures."""
    return _Part(source.name, source, indices)


def hold_out(
    source: PictureSource | HubStream, count: int = HELD
) -> tuple[PictureSource | HubStream, PictureSource | None]:
    """Split a source into what is trained on and, evenly from its begin to its end, `count` pictures that are not.

    A source of fewer than five pictures, or a streamed one, which has no places, is left whole: (source, None).
    """
    if isinstance(source, HubStream):
        return source, None
    count = min(count, len(source) // _LEAST_SHARE)
    if not count:
        return source, None
    held = [k * len(source) // count for k in range(count)]
    rest = [index for index in range(len(source)) if index not in set(held)]
    return part_of(source, rest), part_of(source, held)
