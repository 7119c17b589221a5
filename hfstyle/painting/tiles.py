"""Paint a picture of any size: overlapping tiles that share the instance statistics of the whole picture.

Internal to `hfstyle.pipeline`. The generator's two levels are painted one after the other, the coarse one kept whole, a
quarter of the picture in 16 bits; in a file, if the photo is in one. Two things make a tile see what a pass over the whole picture sees there.

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

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import groupby
from typing import Final, NamedTuple

import torch
from torch import Tensor

from hfstyle.images.geometry import mirrored
from hfstyle.images.pixel_file import PixelFile, Pixels
from hfstyle.limits import UNTILED_PIXELS, TileSize
from hfstyle.models.color import unstandardise
from hfstyle.models.detail import ask, change_of, without_faint
from hfstyle.models.generator import StyleGenerator
from hfstyle.models.levels import Instructions
from hfstyle.models.resample import halve, reduced
from hfstyle.models.statistics import InstanceStatistics
from hfstyle.models.style_encoder import Condition
from hfstyle.painting.finite import check_finite
from hfstyle.painting.moved_photo import MovedPhoto
from hfstyle.painting.spans import Tile, cut_into_spans, spread_over
from hfstyle.painting.tile_statistics import Measured, Sample, Whole

__all__ = ["paint_in_tiles", "tile_side"]

_AUTO_TILE: Final = 1024
_PIECE: Final = 192
_PIECES: Final = (16, 36)
_MEASURE_PASSES: Final = 3
_CLOSE_ENOUGH: Final = 0.03  # shift in deviations, mean over a map's channels; 0.4/255 were left


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
    spared: Tensor | None = None,
    outlines: Tensor | None = None,
) -> Iterator[Tensor]:
    """As `generator(content, condition, strength, spared=spared, outlines=outlines)`, with memory for a tile and a row of tiles of the result.

    Of a content in memory, the coarse level takes 1.5 bytes more for each pixel; of one in a file, it lies in another.

    Args:
        generator: in evaluation mode.
        content: (1, 3, H, W) float32 in [0, 1], or uint8, of any size from 16 px, on any device or in a file; tiles are
            moved to the device of `condition`.
        condition: vector (1, D) and tokens (1, T, E).
        strength: (1,) in [0, 1].
        side: greatest side of a tile in pixels, without its margin; at least `LEAST_TILE`.
        dtype: float32, or uint8 for 256 levels.
        progress: called as `progress(done, total)` after each tile, of the measuring passes too.
        spared: (1, 1, h, w) in [0, 1], as of a call of the generator, of the content.
        outlines: (1,) in [0, 1], as of a call of the generator.

    Yields:
        (3, h, W) on the CPU, the rows of each row of tiles, from top to bottom; channels lie side by side in memory.
    """
    steps = _Steps(progress)
    photo = MovedPhoto(generator, content, condition.vector.device, spared)
    how = Instructions(condition, strength, outlines=outlines)
    fine, coarse = (_Level(generator, photo, how, side, level, steps) for level in (0, 1))
    with ExitStack() as files:
        fine.before = coarse.whole(files)
        yield from fine.paint(dtype)


class _Steps:
    """The tiles that are to be seen, and those that were."""

    def __init__(self, progress: Callable[[int, int], None] | None) -> None:
        self._progress = progress
        self.done, self.total = 0, 0

    def step(self) -> None:
        self.done += 1
        if self._progress is not None:
            self._progress(self.done, self.total)


class _Seen(NamedTuple):
    """What a level sees of a part of the picture: (1, 3, h, w), with the content that is to lie below the fine level.

    spared: (1, 1, h, w), how far places are spared.
    """

    picture: Tensor
    over: Tensor | None
    spared: Tensor | None


class _Level:
    """One level of a picture in tiles, in reading order: 0 is the fine one, 1 the coarse.

    before: (1, 3, H/2, W/2), what the coarse level painted; None there.
    """

    def __init__(
        self,
        generator: StyleGenerator,
        photo: MovedPhoto,
        how: Instructions,
        side: int,
        level: int,
        steps: _Steps,
    ) -> None:
        self._generator = generator
        self._photo = photo
        self._how = how
        self._level = level
        self._steps = steps
        self._dtype = generator.spread.weight.dtype
        self.before: Pixels | None = None
        # The blocks at 1/16, 1/8 and 1/4 resolution reach 64 px with the default numbers, everything before and after
        # them 88 px more. Of the latter, 32 px are enough: beyond, the weights are too small to change a level of 8
        # bits. Averages over tiles need less. Margins are multiples of the generator's, as tiles are.
        reach = 8 * len(generator.blocks_low) + 32
        if level == 1:
            reach += 16 * len(generator.blocks_mid) + 32 * len(generator.blocks_high)
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

    def _cut(self, margin: int) -> list[Tile]:
        rows, columns = (
            cut_into_spans(length, self._side, margin, self._multiple) for length in self._lengths()
        )
        return [Tile(y, x) for y in rows for x in columns]

    def whole(self, files: ExitStack) -> Pixels:
        """(1, 3, H, W) float16, painted and padded: in a file, which `files` closes, if the photo is in one, or on the CPU."""
        painted = self._photo.room(*self._lengths(), torch.float16, files)
        top = 0
        for band in self.paint(torch.float16):
            if isinstance(painted, PixelFile):
                painted.write(top, 0, band.permute(1, 2, 0).numpy())
            else:
                painted[0, :, top : top + band.shape[1]] = band
            top += band.shape[1]
        return painted

    def paint(self, dtype: torch.dtype) -> Iterator[Tensor]:
        """(3, h, W) on the CPU, the rows of each row of tiles: of the moved picture, or, of the fine level, of the photo."""
        given = self._measure()
        for _, row in groupby(self._painted, key=lambda tile: tile.y):
            band: Tensor | None = None
            for tile in row:
                seen = self._read(tile)
                painted = self._paint(seen, InstanceStatistics(given))  # (1, 3, h, w)
                painted = painted[0][:, *tile.inside(1)].float()
                check_finite(painted, self._dtype)
                rows, columns, width = self._places(tile)
                if band is None:
                    shape = (rows.stop - rows.start, width, 3)
                    band = torch.empty(shape, dtype=dtype).permute(2, 0, 1)
                window = band[:, :, columns]
                if window.numel():
                    if self._level == 0:
                        painted = self._laid_over(painted.cpu(), tile, rows, columns, dtype)
                    window.copy_(painted)
                self._steps.step()
            if band is not None and band.shape[1]:
                yield band

    def _places(self, tile: Tile) -> tuple[slice, slice, int]:
        """The rows and columns of what a tile paints in the result, and the width of that.

        What moving left out at the photo's edges belongs to the tiles there.
        """
        if self._level == 1:
            return (
                slice(tile.y.start, tile.y.stop),
                slice(tile.x.start, tile.x.stop),
                self._lengths()[1],
            )
        rows, columns = (
            slice(
                0 if span.start == 0 else min(shown, max(0, span.start + offset)),
                shown if span.stop == padded else min(shown, max(0, span.stop + offset)),
            )
            for span, offset, padded, shown in zip(
                (tile.y, tile.x),
                self._photo.fine_origin[0].tolist(),
                self._photo.size,
                self._photo.shown,
                strict=True,
            )
        )
        return rows, columns, self._photo.shown[1]

    def _laid_over(
        self, change: Tensor, tile: Tile, rows: slice, columns: slice, dtype: torch.dtype
    ) -> Tensor:
        """A part of the photo with what a tile changes of it, in values of that type: (3, h, w) float32 on the CPU.

        What moving left out is as the place nearest to it, as of `moved_back`.

        Args:
            change: (3, h, w) float32 on the CPU, of the moved picture.
            rows, columns: the part, as of `_places`.
        """
        origin = self._photo.fine_origin[0].tolist()
        for axis, part, span, offset in zip(
            (1, 2), (rows, columns), (tile.y, tile.x), origin, strict=True
        ):
            wanted = torch.arange(part.start, part.stop) - offset - span.start
            change = change.index_select(axis, wanted.clamp(0, change.shape[axis] - 1))
        painted = self._photo.part(rows, columns)[0].cpu().add(change).clamp_(0, 1)
        return painted.mul_(255).round_() if dtype == torch.uint8 else painted

    def _read(self, tile: Tile) -> _Seen:
        """What is seen of a tile with its margin."""
        rows, columns = slice(tile.y.first, tile.y.last), slice(tile.x.first, tile.x.last)
        return self._see(rows, columns)

    def _see(self, rows: slice, columns: slice) -> _Seen:
        """A part of the moved picture, padded as the whole picture would be where it ends there."""
        photo = self._photo
        if self._level == 1:
            twice = _doubled(rows), _doubled(columns)
            picture = without_faint(reduced(photo.part(*twice, photo.origin)))
            spared = photo.spared(*twice, photo.origin)
            return _Seen(picture, None, None if spared is None else halve(spared))
        assert self.before is not None
        picture = photo.part(rows, columns, photo.fine_origin)
        seen = picture + self._blocked_in(self.before, rows, columns)
        return _Seen(seen, picture, photo.spared(rows, columns, photo.fine_origin))

    def _blocked_in(self, before: Pixels, rows: slice, columns: slice) -> Tensor:
        """(1, 3, h, w), what the coarse level changed of a part of the picture as the fine level moves it.

        As of `StyleGenerator`: moved back into the photo's places and from there to the fine level's, so that at the
        picture's edges, too, each place shows what it shows in one pass.
        """
        photo = self._photo
        places: list[Tensor] = []
        spans: list[slice] = []
        for span, length, coarse, fine in zip(
            (rows, columns),
            photo.size,
            photo.origin[0].tolist(),
            photo.fine_origin[0].tolist(),
            strict=True,
        ):
            wanted = mirrored(torch.arange(span.start + fine, span.stop + fine), length)
            wanted = (wanted - coarse).clamp(0, length - 1)
            # Halved and doubled, a place shows what lies within 4 px.
            first = max(0, int(wanted.min()) // 2 * 2 - 4)
            spans.append(slice(first, min(length, int(wanted.max()) // 2 * 2 + 6)))
            places.append(wanted - first)
        down, right = spans
        smaller = reduced(photo.part(down, right, photo.origin))
        painted = before[..., _halved(down), _halved(right)]
        change = change_of(smaller, painted.to(smaller.device, smaller.dtype))
        for axis, wanted in zip((2, 3), places, strict=True):
            change = change.index_select(axis, wanted.to(change.device))
        return change

    def _paint(self, seen: _Seen, statistics: InstanceStatistics) -> Tensor:
        """(1, 3, h, w): the coarse level, about in [0, 1], or what the fine one changes of the content."""
        painted = self._run(seen, statistics)
        if seen.over is None:
            return painted
        return ask(self._how.strength).paint[:, None, None, None] * (painted - seen.over)

    def _run(self, seen: _Seen, statistics: InstanceStatistics) -> Tensor:
        picture, over, spared = seen
        how = self._how._replace(spared=spared)
        if over is not None:
            return self._generator.paint_moved(over, picture, how, statistics)
        painting = self._generator.paint_level(picture, how, statistics, coarse=True)
        return unstandardise(painting.picture)

    def _measure(self) -> dict[str, Tensor]:
        """The statistics of the whole picture: K of shape (2, 1, C, 1, 1) by name."""
        sample = self._sample()
        drawn = Sample()
        steps_left = _MEASURE_PASSES * len(self._measured)
        self._run(sample, drawn)
        for _ in range(_MEASURE_PASSES):
            whole = Whole(drawn.taken)
            for tile in self._measured:
                seen = self._read(tile)
                whole.begin(tile, seen.picture.shape[2])
                with suppress(Measured):
                    self._run(seen, whole)
                self._steps.step()
            corrected = Sample(whole.statistics(), drawn.own)
            self._run(sample, corrected)
            shift = max(
                ((new[0] - drawn.taken[name][0]).abs() * new[1]).mean().item()
                for name, new in corrected.taken.items()
            )
            drawn = corrected
            steps_left -= len(self._measured)
            if shift <= _CLOSE_ENOUGH:
                break
        self._steps.done += steps_left  # a pass that was not needed counts as done
        for measured in drawn.taken.values():
            check_finite(measured, self._dtype)
        return drawn.taken

    def _sample(self) -> _Seen:
        """As `_see`, of B pictures: pieces from all over the picture, no more pixels than a tile has."""
        height, width = self._lengths()
        h, w = min(_PIECE, height), min(_PIECE, width)
        fewest, most = _PIECES
        count = max(fewest, min(most, (self._side + self._margin) ** 2 // _PIECE**2))
        rows = min(max(1, round((count * height / width) ** 0.5)), count, -(-height // h))
        columns = min(max(1, count // rows), -(-width // w))
        tops, lefts = (
            [place // self._multiple * self._multiple for place in spread_over(room, number)]
            for room, number in ((height - h, rows), (width - w, columns))
        )
        pieces = [self._see(slice(y, y + h), slice(x, x + w)) for y in tops for x in lefts]
        picture = torch.cat([piece.picture for piece in pieces])
        over = [piece.over for piece in pieces if piece.over is not None]
        spared = [piece.spared for piece in pieces if piece.spared is not None]
        return _Seen(
            picture.contiguous(memory_format=torch.channels_last),
            torch.cat(over) if over else None,
            torch.cat(spared) if spared else None,
        )


def _doubled(span: slice) -> slice:
    """The same pixels at twice the resolution."""
    return slice(2 * span.start, 2 * span.stop)


def _halved(span: slice) -> slice:
    return slice(span.start // 2, span.stop // 2)
