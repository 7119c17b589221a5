"""A length cut into spans that overlap: what each tile paints, and what of that is kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """A tile along one axis: painted are the pixels `start` to `stop`, read those from `first` to `last`.

    In a picture padded as the generator asks, reduced to a level; all are multiples of what it asks of that.
    """

    start: int
    stop: int
    first: int
    last: int

    def inside(self, scale: int) -> slice:
        """What is painted, in the coordinates of what is read, at 1 / scale of the resolution."""
        return slice((self.start - self.first) // scale, (self.stop - self.first) // scale)


def cut_into_spans(length: int, side: int, margin: int, multiple: int) -> list[Span]:
    """Tiles of about equal length, at most `side`, that cover `length` pixels.

    All read the same number of pixels, the outer ones more than their margin: for each size of a tile oneDNN would
    keep memory of its own, up to 0.1 GB.
    """
    count = -(-length // side)
    step = min(-(-length // (multiple * count)), side // multiple) * multiple
    read = min(step + 2 * margin, length)
    firsts = [min(max(0, start - margin), length - read) for start in range(0, length, step)]
    return [
        Span(start, min(start + step, length), first, first + read)
        for start, first in zip(range(0, length, step), firsts, strict=True)
    ]


@dataclass(frozen=True)
class Tile:
    y: Span
    x: Span

    def inside(self, scale: int) -> tuple[slice, slice]:
        return self.y.inside(scale), self.x.inside(scale)


def spread_over(room: int, count: int) -> list[int]:
    """`count` places from 0 to `room`, evenly."""
    return [room // 2] if count == 1 else [room * i // (count - 1) for i in range(count)]
