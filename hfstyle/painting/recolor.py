"""Internal to `hfstyle.pipeline`: how far a painted picture leaves the palette of its photo.

Two ways to keep a photo's colours are known. *Luminance only* (Gatys et al. 2016, "Preserving Color in Neural Artistic
Style Transfer", section 4) takes each pixel's chroma from the photo: every object keeps its colour, but strokes, which
differ in hue from their neighbours, become grey relief. *Optimal transport* moves the painted colours to the photo's
mean and covariance by the affine map that moves them least (Monge-Kantorovich; Pitie & Kokaram 2007, "The Linear
Monge-Kantorovitch Linear Colour Mapping", eq. 5): strokes stay, but a sky that was painted orange stays the warmest thing
in the picture. Here luminance is that of the transported painting and chroma to three quarters the photo's own, one
quarter the transported painting's, and a transport of the whole makes mean and covariance those of the photo. Of four
photos in three styles at shares of 0, 1/2, 3/4 and 1, three quarters looked best: up to a half, white walls turned pink
and green; at 1, The Starry Night was a grey relief. Each step is affine, so together they map six numbers to three,

    out = P painted + C content + d,

found from the joint moments of both pictures. Clipping to [0, 1] shifts the moments; `hfstyle.painting.clipping` finds the map that
takes this back, from a sample of the pixels, and takes one more step on all of them. Where there is none that would not
amplify grain to noise (photos of little but black and white), the photo itself is mixed in by quarters.

H, W size of the picture · 3 colours · 6 = painted and content colours of a pixel
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from hfstyle.images.arrays import as_float
from hfstyle.images.pixel_file import Pixels
from hfstyle.models.color import LUMA
from hfstyle.painting.clipping import ClippedMoments, fit_clipped

__all__ = ["recolor", "recolor_bands"]

_PHOTO_CHROMA: Final = 0.75
_PHOTO_SHARES: Final = (0.0, 0.25, 0.5, 0.75)  # mixed in until clipping can be taken back
_SAMPLE: Final = 1 << 16  # pixels from which the map is found
_STRIP: Final = 1 << 20  # pixels in work at a time
_LEAST_DEVIATION: Final = 0.01  # of the painting: flatter directions are not amplified further


def recolor(
    painted: Tensor,
    content: Tensor,
    color: float,
    weight: Tensor | None = None,
    seen: Tensor | None = None,
) -> Tensor:
    """Move a painted picture toward the palette of its photo.

    Args:
        painted: (3, H, W) float in [0, 1], or uint8.
        content: (3, H, W), the photo, float32 in [0, 1] or uint8.
        color: in [0, 1]; 1 returns `painted` itself, 0 gives mean and covariance of the photo's colours (within
            0.5/255 and 0.001), between is a straight line.
        weight: (1, H, W) in [0, 1]; only where it is above 0 colours change, by that share, and moments are weighted by
            it. None is 1 everywhere.
        seen: (1, H, W), the transparency of the photo, 1 or 255 for opaque; moments are weighted by it as well.

    Returns:
        (3, H, W) of `painted`'s type.
    """
    if color == 1:
        return painted
    out = torch.empty_like(painted)
    for rows, band in recolor_bands(painted, content, color, weight, seen):
        out[:, rows] = band
    return out


def recolor_bands(
    painted: Pixels,
    content: Pixels,
    color: float,
    weight: Tensor | None = None,
    seen: Pixels | None = None,
) -> Iterator[tuple[slice, Tensor]]:
    """As `recolor`, of pixels that need not be in memory: rows, and their colours (3, h, W), from top to bottom."""
    counts = _Counts(weight, seen)
    matrix, shift = _whole_map(painted, content, counts)
    for rows, p, c, _ in _strips(painted, content, counts):
        w = 1.0 if weight is None else weight[:, rows].flatten(1).to(p.device)
        target = _mapped(torch.cat((p, c)), matrix, shift).clamp_(0, 1)  # (3, N)
        mixed = torch.lerp(p, target, (1 - color) * w)
        if painted.dtype == torch.uint8:
            mixed = mixed.mul_(255).round_()
        yield rows, mixed.unflatten(1, (-1, painted.shape[-1])).to(painted.dtype)


@dataclass(frozen=True)
class _Counts:
    """How much each pixel counts in moments: weight (1, H, W) and seen (1, H, W), or None for 1."""

    weight: Tensor | None
    seen: Pixels | None

    def of(self, rows: slice) -> Tensor | None:
        """(1, N) in [0, 1]; None for 1 everywhere."""
        weight = None if self.weight is None else self.weight[:, rows].flatten(1)
        if self.seen is None:
            return weight
        seen = as_float(self.seen[..., rows, :]).reshape(1, -1)
        return seen if weight is None else seen * weight.to(seen.device)

    def number(self, height: int, width: int) -> int:
        """How many pixels of a picture count."""
        if self.weight is None and self.seen is None:
            return height * width
        step = max(1, _STRIP // width)
        parts = (self.of(slice(top, min(top + step, height))) for top in range(0, height, step))
        return sum(int((part > 0).sum()) for part in parts if part is not None)


def _strips(
    painted: Pixels, content: Pixels, counts: _Counts
) -> Iterator[tuple[slice, Tensor, Tensor, Tensor | float]]:
    """Rows, and their colours painted (3, N) and content (3, N) as float32, and how they count (1, N) or 1."""
    height, width = painted.shape[-2:]
    step = max(1, _STRIP // width)
    for top in range(0, height, step):
        rows = slice(top, min(top + step, height))
        p = as_float(painted[..., rows, :]).reshape(3, -1)
        c = as_float(content[..., rows, :]).reshape(3, -1).to(p.device)
        count = counts.of(rows)
        yield rows, p, c, 1.0 if count is None else count.to(p.device)


class _Moments:
    """Weighted mean (C,) and covariance (C, C) in float64, added up over strips of (C, N)."""

    def __init__(self) -> None:
        self._mass: Tensor | float = 0.0
        self._sum: Tensor | float = 0.0
        self._square: Tensor | float = 0.0

    def add(self, values: Tensor, weight: Tensor | float) -> None:
        values = values.double() - 0.5  # about the middle, for precision
        weighted = values * weight
        self._mass = self._mass + (
            weight.double().sum() if isinstance(weight, Tensor) else float(values.shape[1])
        )
        self._sum = self._sum + weighted.sum(1)
        self._square = self._square + weighted @ values.T

    def result(self) -> tuple[Tensor, Tensor]:
        mass = torch.as_tensor(self._mass).clamp(min=1e-9)
        mean = torch.as_tensor(self._sum) / mass
        covariance = torch.as_tensor(self._square) / mass - mean[:, None] * mean[None]
        return (mean + 0.5).cpu(), covariance.cpu()


def _whole_map(painted: Pixels, content: Pixels, counts: _Counts) -> tuple[Tensor, Tensor]:
    """P and C side by side (3, 6), and d (3, 1), float64: after clipping the moments are the photo's."""
    mean, covariance, sample, weights = _survey(painted, content, counts)
    goal_mean, goal = mean[3:], covariance[3:, 3:]
    for share in _PHOTO_SHARES if sample.shape[1] else ():
        matrix, shift = _combination(mean, covariance, share)
        affine = fit_clipped(_mapped(sample, matrix, shift), weights, goal_mean, goal)
        if affine is not None:
            break
    else:
        return torch.eye(6, dtype=torch.float64)[3:], torch.zeros(3, 1, dtype=torch.float64)
    if sample.shape[1] < counts.number(*content.shape[-2:]):
        whole = ClippedMoments(affine)
        for _, p, c, w in _strips(painted, content, counts):
            whole.add(_mapped(torch.cat((p, c)), matrix, shift), w)
        affine = affine + whole.step(goal_mean, goal)
    return affine[:, :3] @ matrix, affine[:, :3] @ shift + affine[:, 3:]


def _mapped(colors: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
    """P painted + C content + d: (6, N) -> (3, N) float32."""
    return matrix.to(colors) @ colors + shift.to(colors)


def _survey(
    painted: Pixels, content: Pixels, counts: _Counts
) -> tuple[Tensor, Tensor, Tensor, Tensor | float]:
    """Of painted and content colours: mean (6,), covariance (6, 6), a sample (6, n) and its weights (1, n) or 1.

    The sample takes a pixel at random out of each `stride` neighbours that count: all of small pictures.
    """
    random = torch.Generator().manual_seed(0)
    stride = -(-counts.number(*content.shape[-2:]) // _SAMPLE)
    moments, colors, weights = _Moments(), [], []
    for _, p, c, w in _strips(painted, content, counts):
        both = torch.cat((p, c))
        moments.add(both, w)
        counted = w[0].nonzero()[:, 0].cpu() if isinstance(w, Tensor) else torch.arange(p.shape[1])
        first = torch.arange(0, len(counted), max(1, stride))
        offsets = torch.randint(max(1, stride), first.shape, generator=random)
        chosen = counted[(first + offsets).clamp(max=len(counted) - 1)].to(p.device)
        colors.append(both[:, chosen].cpu())
        weights.append(w[:, chosen].cpu() if isinstance(w, Tensor) else None)
    mean, covariance = moments.result()
    kept = [part for part in weights if part is not None]
    return mean, covariance, torch.cat(colors, 1), torch.cat(kept, 1) if kept else 1.0


def _combination(mean: Tensor, covariance: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """The map (3, 6) and (3, 1), from joint moments (6,) and (6, 6), before any clipping; `share` of it is the photo."""
    goal = covariance[3:, 3:]
    transported = torch.zeros(3, 6, dtype=torch.float64)
    transported[:, :3] = _transport(covariance[:3, :3], goal)
    photo = torch.eye(6, dtype=torch.float64)[3:]  # (3, 6)
    luminance = torch.tensor(LUMA, dtype=torch.float64).expand(3, 3)  # (3, 3), to grey
    chroma = torch.eye(3, dtype=torch.float64) - luminance
    mixed = torch.lerp(transported, photo, _PHOTO_CHROMA)
    matrix = torch.lerp(luminance @ transported + chroma @ mixed, photo, share)  # (3, 6)
    matrix = _transport(matrix @ covariance @ matrix.T, goal) @ matrix
    return matrix, (mean[3:] - matrix @ mean)[:, None]


def _transport(found: Tensor, goal: Tensor) -> Tensor:
    """The symmetric matrix T with T found T = goal, which moves least: (3, 3), (3, 3) -> (3, 3)."""
    values, vectors = torch.linalg.eigh(found)
    deviations = values.clamp(min=_LEAST_DEVIATION**2).sqrt()
    root = vectors @ torch.diag(deviations) @ vectors.T
    inverse = vectors @ torch.diag(1 / deviations) @ vectors.T
    values, vectors = torch.linalg.eigh(root @ goal @ root)
    return inverse @ vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T @ inverse
