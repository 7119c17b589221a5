"""Paint a picture of any size: overlapping tiles that share the instance statistics of the whole picture.

Internal to `hfstyle.pipeline`. The generator's levels are painted one after the other, the coarse ones kept whole, a
quarter of the picture in 16 bits. Two things make a tile see what a pass over the whole picture sees there.

*Its surroundings.* Each tile is read with a margin that is thrown away afterwards. Tiles begin at multiples of
`StyleGenerator.size_multiple`, so that strided convolutions have the same phase in each.

*The statistics* of the K normalised feature maps, each of which depends on those before it. Statistics of a reduced
copy are no substitute (7/255 off at 768 x 1104 px), and measuring them map by map would take K passes over the tiles.
Here a sample of the picture, some pieces at full resolution, plays through the dependence: with statistics g given,
one pass over all tiles measures F_k(g), the true moments of map k, and the sample has S_k(g). Then

    g'_k = F_k(g) + S_k(g') - S_k(g),   k = 1 ... K in turn, in one pass of the sample,

a control variate: the sample need not look like the whole picture, only change like it. For four pairs of photo and
style at about 1024 px, one pass left 0.1 to 1.7/255, two 0.01 to 0.15/255; the passes end when the statistics have settled.

B pieces · C channels · H, W size of the picture or of a level of it · h, w size of a tile with its margin
K normalised feature maps
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal, TypeAlias

import torch
from torch import Tensor

from hfstyle._arrays import as_float
from hfstyle._geometry import mirrored
from hfstyle._pixel_file import Pixels
from hfstyle.models.fast import channels_last
from hfstyle.models.generator import StyleGenerator, laid_over, reduced
from hfstyle.models.grid import Origin
from hfstyle.models.layers import InstanceStatistics, moments
from hfstyle.models.style_encoder import Condition

__all__ = ["LEAST_TILE", "UNTILED_PIXELS", "TileSize", "paint_in_tiles", "tile_side"]

TileSize: TypeAlias = int | Literal["auto"] | None

LEAST_TILE: Final = 64
"""Least side of a tile in pixels, without its margin."""
UNTILED_PIXELS: Final = 2048 * 2048
"""The most that "auto" paints in one pass: about 0.6 GB of feature maps."""

_AUTO_TILE: Final = 1024
_PIECE: Final = 192
_STRIP_PIXELS: Final = 2**21  # seen at once to find the origin of the grid
_PIECES: Final = (16, 36)
_MEASURE_PASSES: Final = 3
_CLOSE_ENOUGH: Final = 0.03  # shift in deviations, mean over a map's channels; 0.4/255 were left
_EPS: Final = 1e-5  # as InstanceStatistics


def tile_side(tile_size: TileSize, height: int, width: int) -> int | None:
    """Side in pixels of the tiles for a picture, or None to paint it in one pass.

    "auto" paints up to 2048 x 2048 pixels in one pass, and more in tiles of 1024 x 1024.
    """
    if tile_size == "auto":
        return _AUTO_TILE if height * width > UNTILED_PIXELS else None
    return tile_size if tile_size is not None and max(height, width) > tile_size else None


def paint_in_tiles(
    generator: StyleGenerator,
    content: Pixels,
    condition: Condition,
    strength: Tensor,
    side: int,
    dtype: torch.dtype = torch.float32,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Tensor]:
    """As `generator(content, condition, strength)`, with memory bounded by the size of a tile.

    Args:
        generator: in evaluation mode.
        content: (1, 3, H, W) float32 in [0, 1], or uint8, of any size from 16 px, on any device or in a file; tiles are
            moved to the device of `condition`.
        condition: vector (1, D) and tokens (1, T, E).
        strength: (1,) in [0, 1].
        side: greatest side of a tile in pixels, without its margin; at least `LEAST_TILE`.
        dtype: float32, or uint8 for 256 levels.
        progress: called as `progress(done, total)` after each tile, of the measuring passes too.

    Yields:
        (3, h, W) on the CPU, the rows of each row of tiles, from top to bottom; channels lie side by side in memory.
    """
    steps = _Steps(progress)
    photo = _Photo(generator, content, condition.vector.device)
    levels = [
        _Level(generator, photo, condition, strength, side, level, steps)
        for level in range(generator.levels)
    ]
    before: Tensor | None = None
    for level in reversed(levels[1:]):
        level.before = before
        before = level.whole()
    levels[0].before = before
    yield from levels[0].paint(dtype)


class _Steps:
    """The tiles that are to be seen, and those that were."""

    def __init__(self, progress: Callable[[int, int], None] | None) -> None:
        self._progress = progress
        self.done, self.total = 0, 0

    def step(self) -> None:
        self.done += 1
        if self._progress is not None:
            self._progress(self.done, self.total)


@dataclass(frozen=True)
class _Span:
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


def _spans(length: int, side: int, margin: int, multiple: int) -> list[_Span]:
    """Tiles of about equal length, at most `side`, that cover `length` pixels.

    All read the same number of pixels, the outer ones more than their margin: for each size of a tile oneDNN would
    keep memory of its own, up to 0.1 GB.
    """
    count = -(-length // side)
    step = min(-(-length // (multiple * count)), side // multiple) * multiple
    read = min(step + 2 * margin, length)
    firsts = [min(max(0, start - margin), length - read) for start in range(0, length, step)]
    return [
        _Span(start, min(start + step, length), first, first + read)
        for start, first in zip(range(0, length, step), firsts, strict=True)
    ]


@dataclass(frozen=True)
class _Tile:
    y: _Span
    x: _Span

    def inside(self, scale: int) -> tuple[slice, slice]:
        return self.y.inside(scale), self.x.inside(scale)


class _Photo:
    """The content, as the generator would see parts of it: padded as it asks, on its device.

    size: H and W, padded; `shown` without. origin: as of `StyleGenerator.origin`, of the whole.
    """

    def __init__(self, generator: StyleGenerator, content: Pixels, device: torch.device) -> None:
        self._content, self._device = content, device
        multiple, least = generator.size_multiple, generator.minimum_size
        height, width = (
            -(-max(length, least) // multiple) * multiple for length in content.shape[2:]
        )
        self.size = height, width
        self.shown: tuple[int, int] = (content.shape[2], content.shape[3])
        self.origin: Tensor | None = None
        if generator.moves_grid:
            self.origin = self._found(generator)

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

    def part(self, rows: slice, columns: slice, *, moved: bool = False) -> Tensor:
        """(1, 3, h, w) in [0, 1], of the padded content, or of that moved by its origin."""
        offsets = [0, 0] if self.origin is None or not moved else self.origin[0].tolist()
        places = []
        for span, offset, padded, shown in zip(
            (rows, columns), offsets, self.size, self.shown, strict=True
        ):
            wanted = torch.arange(span.start + offset, span.stop + offset)
            places.append(mirrored(mirrored(wanted, padded), shown))
        first, last = ([int(f(axis)) for axis in places] for f in (torch.min, torch.max))
        spans = [slice(i, j + 1) for i, j in zip(first, last, strict=True)]
        part = as_float(self._content[..., spans[0], spans[1]].to(self._device))
        for axis, wanted, start in zip((2, 3), places, first, strict=True):
            if len(wanted) != part.shape[axis] or int(wanted[0]) != start:
                part = part.index_select(axis, (wanted - start).to(self._device))
        return channels_last(part)


class _Level:
    """One level of a picture in tiles, in reading order.

    before: (1, 3, H/2, W/2), the level before, painted; None at the coarsest.
    """

    def __init__(
        self,
        generator: StyleGenerator,
        photo: _Photo,
        condition: Condition,
        strength: Tensor,
        side: int,
        level: int,
        steps: _Steps,
    ) -> None:
        self._generator = generator
        self._photo = photo
        self._condition = condition
        self._strength = strength
        self._level = level
        self._steps = steps
        self.before: Tensor | None = None
        # The blocks at 1/16, 1/8 and 1/4 resolution reach 64 px with the default numbers, everything before and after
        # them 80 px more. Of the latter, 32 px are enough: beyond, the weights are too small to change a level of 8
        # bits. Averages over tiles need less. Margins are multiples of the generator's, as tiles are.
        reach = 8 * len(generator.blocks_low) + 32
        stages = generator.stages(level)
        if stages > 2:
            reach += 16 * len(generator.blocks_mid)
        if stages > 3:
            reach += 32 * len(generator.blocks_high)
        self._multiple = generator.size_multiple >> level
        self._margin = -(-reach // self._multiple) * self._multiple
        self._side = side
        self._painted = self._cut(self._margin)
        self._measured = self._cut(-(-reach // (2 * self._multiple)) * self._multiple)
        steps.total += (_MEASURE_PASSES + 1) * len(self._painted)

    def _lengths(self) -> tuple[int, int]:
        """H and W of this level, padded."""
        height, width = self._photo.size
        return height >> self._level, width >> self._level

    def _cut(self, margin: int) -> list[_Tile]:
        rows, columns = (
            _spans(length, self._side, margin, self._multiple) for length in self._lengths()
        )
        return [_Tile(y, x) for y in rows for x in columns]

    def whole(self) -> Tensor:
        """(1, 3, H, W) float16 on the CPU, painted and padded; channels lie side by side in memory."""
        painted = torch.empty((*self._lengths(), 3), dtype=torch.float16).permute(2, 0, 1)
        top = 0
        for band in self.paint(torch.float16):
            painted[:, top : top + band.shape[1]] = band
            top += band.shape[1]
        return painted[None]

    def paint(self, dtype: torch.dtype) -> Iterator[Tensor]:
        """(3, h, W) on the CPU, the rows of each row of tiles; not padded at the finest level."""
        given = self._measure()
        height, width = self._photo.shown if self._level == 0 else self._lengths()
        for _, row in groupby(self._painted, key=lambda tile: tile.y):
            tiles = [*row]
            rows = slice(tiles[0].y.start, min(tiles[0].y.stop, height))
            band = torch.empty((rows.stop - rows.start, width, 3), dtype=dtype).permute(2, 0, 1)
            for tile in tiles:
                seen, over = self._read(tile)
                painted = self._paint(seen, InstanceStatistics(given), over)  # (1, 3, h, w)
                painted = painted[0][:, *tile.inside(1)].float()
                if self._level == 0:
                    painted = painted.clamp(0, 1)
                if dtype == torch.uint8:
                    painted = painted.mul(255).round()
                window = band[:, :, tile.x.start : tile.x.stop]
                window.copy_(painted[:, : window.shape[1], : window.shape[2]])
                self._steps.step()
            yield band

    def _read(self, tile: _Tile) -> tuple[Tensor, Tensor | None]:
        """What is seen of a tile with its margin, and the content that is to lie below the finest level."""
        rows, columns = slice(tile.y.first, tile.y.last), slice(tile.x.first, tile.x.last)
        return self._see(rows, columns)

    def _see(self, rows: slice, columns: slice) -> tuple[Tensor, Tensor | None]:
        """(1, 3, h, w) each, padded as the whole picture would be where it ends there.

        Of levels but the finest, of the picture moved by its origin.
        """
        places = _scaled(rows, self._level), _scaled(columns, self._level)
        picture = self._photo.part(*places, moved=self._level > 0)
        for _ in range(self._level):
            picture = reduced(picture)
        over = picture if self._level == 0 else None
        if self.before is None:
            return self._generator.seen_first(picture), over
        painted = self.before[..., _scaled(rows, -1), _scaled(columns, -1)]
        painted = painted.to(picture.device, picture.dtype)
        origin = self._photo.origin if self._level == 0 else None
        below = picture if origin is None else self._photo.part(*places, moved=True)
        return laid_over(picture, reduced(below), painted, origin), over

    def _paint(self, seen: Tensor, statistics: InstanceStatistics, over: Tensor | None) -> Tensor:
        if self._level == 0:
            return self._run(seen, statistics, over)
        return self._generator.paint_coarse_level(
            seen, self._condition, self._strength, statistics, level=self._level
        )

    def _run(
        self, seen: Tensor, statistics: InstanceStatistics, over: Tensor | None = None
    ) -> Tensor:
        return self._generator.paint_level(
            seen, self._condition, self._strength, statistics, level=self._level, over=over
        )

    def _measure(self) -> list[Tensor]:
        """The statistics of the whole picture: K of shape (2, 1, C, 1, 1)."""
        sample, below = self._sample()
        drawn = _Sample()
        steps_left = _MEASURE_PASSES * len(self._measured)
        self._run(sample, drawn, below)
        for _ in range(_MEASURE_PASSES):
            whole = _Whole(drawn.taken)
            for tile in self._measured:
                seen, over = self._read(tile)
                whole.begin(tile, seen.shape[2])
                with suppress(_Measured):
                    self._run(seen, whole, over)
                self._steps.step()
            corrected = _Sample(whole.statistics(), drawn.own)
            self._run(sample, corrected, below)
            shift = max(
                ((new[0] - old[0]).abs() * new[1]).mean().item()
                for new, old in zip(corrected.taken, drawn.taken, strict=True)
            )
            drawn = corrected
            steps_left -= len(self._measured)
            if shift <= _CLOSE_ENOUGH:
                break
        self._steps.done += steps_left  # a pass that was not needed counts as done
        return drawn.taken

    def _sample(self) -> tuple[Tensor, Tensor | None]:
        """As `_see`, (B, 3, h, w): pieces from all over the picture, no more pixels than a tile has."""
        height, width = self._lengths()
        h, w = min(_PIECE, height), min(_PIECE, width)
        fewest, most = _PIECES
        count = max(fewest, min(most, (self._side + self._margin) ** 2 // _PIECE**2))
        rows = min(max(1, round((count * height / width) ** 0.5)), count, -(-height // h))
        columns = min(max(1, count // rows), -(-width // w))
        tops, lefts = (
            [place // self._multiple * self._multiple for place in _spread(room, number)]
            for room, number in ((height - h, rows), (width - w, columns))
        )
        pieces = [self._see(slice(y, y + h), slice(x, x + w)) for y in tops for x in lefts]
        seen = torch.cat([one for one, _ in pieces]).contiguous(memory_format=torch.channels_last)
        below = [over for _, over in pieces if over is not None]
        return seen, torch.cat(below) if below else None


def _scaled(span: slice, doublings: int) -> slice:
    """The same pixels at a resolution that is doubled so often, or halved if that is below 0."""
    if doublings >= 0:
        return slice(span.start << doublings, span.stop << doublings)
    return slice(span.start >> -doublings, span.stop >> -doublings)


def _spread(room: int, count: int) -> list[int]:
    """`count` places from 0 to `room`, evenly."""
    return [room // 2] if count == 1 else [room * i // (count - 1) for i in range(count)]


class _Sample(InstanceStatistics):
    """A batch of pieces normalised by their common statistics, or by those corrected for the whole picture.

    Args:
        whole: F(g), what was measured over the whole picture; None for the sample's own.
        before: S(g), the sample's own when that was measured.

    own: S of this pass. `taken`: the statistics it used.
    """

    def __init__(
        self, whole: Sequence[Tensor] | None = None, before: Sequence[Tensor] | None = None
    ) -> None:
        super().__init__()
        self._whole, self._before = whole, before
        self.own: list[Tensor] = []

    def of(self, x: Tensor) -> tuple[Tensor, Tensor]:
        means, variances = moments(x)  # (B, C, 1, 1)
        mean = means.mean(0, keepdim=True)
        variance = (variances + (means - mean).square()).mean(0, keepdim=True)
        own = used = torch.stack((mean, torch.rsqrt(variance + _EPS)))  # (2, 1, C, 1, 1)
        if self._whole is not None and self._before is not None:
            whole, before = self._whole[len(self.taken)], self._before[len(self.taken)]
            # Deviations change by a factor, so that they stay positive.
            used = torch.stack((whole[0] + own[0] - before[0], whole[1] * own[1] / before[1]))
        self.own.append(own)
        self.taken.append(used)
        return used[0], used[1]


class _Measured(Exception):
    """All feature maps of a tile are measured: the rest of the network need not run."""


class _Whole(InstanceStatistics):
    """Replays given statistics, and adds up the moments of each map over the tiles, without their margins."""

    def __init__(self, given: Sequence[Tensor]) -> None:
        super().__init__(given)
        self._sums = [torch.zeros_like(g, dtype=torch.float64) for g in given]
        self._counts = [0] * len(given)
        self._tile: _Tile
        self._height: int

    def begin(self, tile: _Tile, height: int) -> None:
        """The maps that follow are those of `tile`, read with `height` pixels."""
        self._tile, self._height = tile, height
        self.taken = []

    def of(self, x: Tensor) -> tuple[Tensor, Tensor]:
        index = len(self.taken)
        given = super().of(x)
        inner = x[:, :, *self._tile.inside(self._height // x.shape[2])]
        mean, variance = (m.double() for m in moments(inner))
        count = inner.shape[2] * inner.shape[3]
        self._sums[index] += count * torch.stack((mean, variance + mean.square()))
        self._counts[index] += count
        if index + 1 == len(self._sums):
            raise _Measured
        return given

    def statistics(self) -> list[Tensor]:
        """F(g), one (2, 1, C, 1, 1) for each map."""
        found = []
        for total, count in zip(self._sums, self._counts, strict=True):
            mean, square = total / count
            variance = (square - mean.square()).clamp(min=0)
            found.append(torch.stack((mean, torch.rsqrt(variance + _EPS))).float())
        return found
