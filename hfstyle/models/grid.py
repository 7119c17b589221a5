"""Where the cells of both levels lie on a photo: on it, not on the canvas, so that they move as it moves.

Strokes two or three cells long turn out one way or the other by where the photo lies on the grid of the cells: the
painting of a photo that has moved by half a cell has other strokes. So the photo says where the grid begins. Of all
places, it is the one where the sampled photo has most energy, an adaptive polyphase sampling (Chaman & Dokmanić 2021,
section 3): a photo moved down by 3 px has it 3 px further down.

B batch · H, W height and width of the photo · P period of the grid in px
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from hfstyle.models import fast, graph
from hfstyle.models.color import luminance

__all__ = ["Origin", "fine_origin", "moved_back", "moved_by"]

_ALIKE = 1e-6  # share of its energy by which one place is no better than another


class Origin:
    """Adds up, over strips of a photo, how much energy it has if the grid begins at each of P x P places.

    Args:
        size: H and W of the photo, multiples of P and at least 4 P.
        period: P, a power of 2.

    Energy is that of means over cells, less those of the four cells beside each: of what the grid resolves, not of the
    photo's brightness. Towards the borders it counts less and less, so that what a move brings in there matters little.
    That of neighbouring places is added, or a place far away wins by little noise: of 25 photos moved by 1 to 13 px, some
    with noise, the place followed in more than 9 of 10, and was one pixel off in the others.
    """

    def __init__(self, size: Sequence[int], period: int) -> None:
        self._height, self._width = size
        self._period = period
        self._energy: Tensor | None = None

    @property
    def margin(self) -> int:
        """Rows of the next strip that a strip shows, too."""
        return 3 * self._period

    def add(self, strip: Tensor, top: int = 0) -> None:
        """strip: (B, 3, h, W) in [0, 1], rows from `top`, a multiple of P; h a multiple of P, at least 4 P."""
        period = self._period
        sums = _sums(_sums(luminance(strip).flatten(0, 1), period, 1), period, 2)
        inner = slice(period, -period)
        beside = sums[:, 2 * period :, inner] + sums[:, : -2 * period, inner]
        beside = beside + sums[:, inner, 2 * period :] + sums[:, inner, : -2 * period]
        # Of h - P + 1 rows, without P at both ends; the last stands alone.
        apart = (4 * sums[:, inner, inner] - beside)[:, :-1, :-1].square()
        rows, columns = apart.shape[1:]
        first = top + period
        down = _window(self._height, apart)[first : first + rows, None]
        energy = apart * down * _window(self._width, apart)[period : period + columns]
        folded = energy.unflatten(2, (-1, period)).sum(2).unflatten(1, (-1, period)).sum(1)
        self._energy = folded if self._energy is None else self._energy + folded  # (B, P, P)

    def offsets(self) -> Tensor:
        """(B, 2) int64, down and right, from -P/2 to P/2 - 1: where the grid begins."""
        assert self._energy is not None
        if graph.wanted():
            smooth = _smoothed(torch.eye(self._period), (1,))
            energy = smooth.T @ self._energy @ smooth
        else:
            energy = _smoothed(self._energy, (1, 2))
        energy = energy.flatten(1)
        # The first of those that are alike: of mirrored pictures some are, but for rounding, and of blank ones all.
        most = energy >= (1 - _ALIKE) * energy.amax(1, keepdim=True)
        order = torch.arange(energy.shape[1], device=energy.device)
        best = torch.where(most, order, len(order)).amin(1)  # (B,)
        places = torch.stack((best // self._period, best % self._period), dim=1)
        half = self._period // 2
        return (places + half) % self._period - half


def fine_origin(origin: Tensor) -> Tensor:
    """Where the grid of the fine level begins, whose cells are of 4 px, if that of the coarse one does at `origin` (B, 2).

    From -2 to 1 px: so little is left out when a finished painting is moved back.
    """
    return (origin + 2) % 4 - 2


def _smoothed(energy: Tensor, axes: Sequence[int]) -> Tensor:
    """Each place with its neighbours along these axes, which are rings."""
    for axis in 4 * tuple(axes):
        energy = 0.5 * energy + 0.25 * (energy.roll(1, axis) + energy.roll(-1, axis))
    return energy


def _window(length: int, like: Tensor) -> Tensor:
    """(length,): a Hann window."""
    steps = torch.arange(length, device=like.device, dtype=like.dtype)
    return torch.sin((steps + 0.5) * (torch.pi / length)).square()


def _sums(x: Tensor, count: int, axis: int) -> Tensor:
    """Sums of `count` neighbours along an axis, which gets shorter by count - 1; count is a power of 2."""
    reach = 1
    while reach < count:
        length = x.shape[axis] - reach
        x = x.narrow(axis, 0, length) + x.narrow(axis, reach, length)
        reach *= 2
    return x


def moved_by(x: Tensor, offsets: Tensor) -> Tensor:
    """x (B, C, H, W) from `offsets` (B, 2) on, mirrored where it ends: y(i) = x(i + offset)."""
    return _taken(x, offsets, _mirrored)


def moved_back(x: Tensor, offsets: Tensor) -> Tensor:
    """The opposite; what was left out is as the place nearest to it: y(i) = x(i - offset)."""
    return _taken(x, -offsets, _nearest)


def _taken(x: Tensor, offsets: Tensor, inside: Callable[[Any, int], Any]) -> Tensor:
    if fast.possible(x) and len(x) == 1:
        down, right = offsets[0].tolist()
        return _copied(x, down, right, inside)
    if graph.wanted():
        return graph.moved(x, offsets, "reflect" if inside is _mirrored else "edge")
    pictures = []
    for picture, (down, right) in zip(x.split(1), offsets.unbind(), strict=True):
        for axis, offset in ((2, down), (3, right)):
            length = picture.shape[axis]
            places = torch.arange(length, device=x.device) + offset
            picture = picture.index_select(axis, inside(places, length - 1))
        pictures.append(picture)
    return pictures[0] if len(pictures) == 1 else torch.cat(pictures)


def _copied(x: Tensor, down: int, right: int, inside: Callable[[Any, int], Any]) -> Tensor:
    """Selecting places along an axis is slow: what stays together is copied as a whole."""
    height, width = x.shape[2:]
    y = torch.empty_like(x)
    rows, columns = _kept(height, down), _kept(width, right)
    there = slice(columns.start + right, columns.stop + right)
    y[..., rows, columns] = x[..., rows.start + down : rows.stop + down, there]
    for row in (*range(rows.start), *range(rows.stop, height)):
        y[..., row, columns] = x[..., inside(row + down, height - 1), there]
    for column in (*range(columns.start), *range(columns.stop, width)):
        y[..., column] = y[..., inside(column + right, width - 1) - right]
    return y


def _kept(length: int, offset: int) -> slice:
    """The places whose sources are within the picture."""
    return slice(max(0, -offset), length - max(0, offset))


def _mirrored(places: Any, last: int) -> Any:
    """Places, a tensor or a number, as those within 0 to `last` that mirroring puts there."""
    return last - abs(last - abs(places))


def _nearest(places: Any, last: int) -> Any:
    return min(max(places, 0), last) if isinstance(places, int) else places.clamp(0, last)
