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

found from the joint moments of both pictures. Clipping to [0, 1] shifts the moments a little; further transports of the
clipped picture take that back.

H, W size of the picture · 3 colours · 6 = painted and content colours of a pixel
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor

from hfstyle._arrays import as_float
from hfstyle._pixel_file import Pixels

__all__ = ["recolor", "recolor_bands"]

_PHOTO_CHROMA: Final = 0.75
_PASSES: Final = 4
_TOLERANCE: Final = 0.5 / 255  # of mean and deviation, below which no further pass is made
_STRIP: Final = 1 << 20  # pixels in work at a time
_LEAST_DEVIATION: Final = 0.01  # of the painting: flatter directions are not amplified further

_LUMINANCE: Final = (0.299, 0.587, 0.114)


def recolor(painted: Tensor, content: Tensor, color: float, weight: Tensor | None = None) -> Tensor:
    """Move a painted picture toward the palette of its photo.

    Args:
        painted: (3, H, W) float in [0, 1], or uint8.
        content: (3, H, W), the photo, float32 in [0, 1] or uint8.
        color: in [0, 1]; 1 returns `painted` itself, 0 gives mean and covariance of the photo's colours (up to what
            [0, 1] can hold), between is a straight line.
        weight: (1, H, W) in [0, 1]; only where it is above 0 colours change, by that share, and moments are weighted by
            it. None is 1 everywhere.

    Returns:
        (3, H, W) of `painted`'s type.
    """
    if color == 1:
        return painted
    out = torch.empty_like(painted)
    for rows, band in recolor_bands(painted, content, color, weight):
        out[:, rows] = band
    return out


def recolor_bands(
    painted: Pixels, content: Pixels, color: float, weight: Tensor | None = None
) -> Iterator[tuple[slice, Tensor]]:
    """As `recolor`, of pixels that need not be in memory: rows, and their colours (3, h, W), from top to bottom."""
    mean, covariance = _joint_moments(painted, content, weight)
    matrix, shift = _combination(mean, covariance)
    goal_mean, goal = mean[3:], covariance[3:, 3:]
    for _ in range(_PASSES):
        found_mean, found = _clipped_moments(painted, content, weight, matrix, shift)
        if _distance(found_mean, found, goal_mean, goal) <= _TOLERANCE:
            break
        again = _transport(found, goal)  # (3, 3)
        matrix, shift = again @ matrix, again @ (shift - found_mean[:, None]) + goal_mean[:, None]
    for rows, p, c, w in _strips(painted, content, weight):
        target = (matrix.float() @ torch.cat((p, c)) + shift.float()).clamp_(0, 1)  # (3, N)
        mixed = torch.lerp(p, target, (1 - color) * w)
        if painted.dtype == torch.uint8:
            mixed = mixed.mul_(255).round_()
        yield rows, mixed.unflatten(1, (-1, painted.shape[-1])).to(painted.dtype)


def _strips(
    painted: Pixels, content: Pixels, weight: Tensor | None
) -> Iterator[tuple[slice, Tensor, Tensor, Tensor | float]]:
    """Rows, and their colours painted (3, N) and content (3, N) as float32, and weights (1, N) or 1."""
    height, width = painted.shape[-2:]
    step = max(1, _STRIP // width)
    for top in range(0, height, step):
        rows = slice(top, min(top + step, height))
        p = as_float(painted[..., rows, :]).reshape(3, -1)
        c = as_float(content[..., rows, :]).reshape(3, -1).to(p.device)
        yield rows, p, c, 1.0 if weight is None else weight[:, rows].flatten(1).to(p.device)


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


def _joint_moments(
    painted: Pixels, content: Pixels, weight: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Of painted and content colours: (6,) and (6, 6)."""
    moments = _Moments()
    for _, p, c, w in _strips(painted, content, weight):
        moments.add(torch.cat((p, c)), w)
    return moments.result()


def _clipped_moments(
    painted: Pixels, content: Pixels, weight: Tensor | None, matrix: Tensor, shift: Tensor
) -> tuple[Tensor, Tensor]:
    """Of the colours that the map gives, clipped: (3,) and (3, 3)."""
    moments = _Moments()
    for _, p, c, w in _strips(painted, content, weight):
        moments.add((matrix.float() @ torch.cat((p, c)) + shift.float()).clamp_(0, 1), w)
    return moments.result()


def _combination(mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    """The map (3, 6) and (3, 1), from joint moments (6,) and (6, 6), before any clipping."""
    goal = covariance[3:, 3:]
    transported = torch.zeros(3, 6, dtype=torch.float64)
    transported[:, :3] = _transport(covariance[:3, :3], goal)
    photo = torch.eye(6, dtype=torch.float64)[3:]  # (3, 6)
    luminance = torch.tensor(_LUMINANCE, dtype=torch.float64).expand(3, 3)  # (3, 3), to grey
    chroma = torch.eye(3, dtype=torch.float64) - luminance
    mixed = torch.lerp(transported, photo, _PHOTO_CHROMA)
    matrix = luminance @ transported + chroma @ mixed  # (3, 6)
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


def _distance(mean: Tensor, covariance: Tensor, goal_mean: Tensor, goal: Tensor) -> float:
    """Greatest difference of means and of deviations along the axes of colour."""
    means = (mean - goal_mean).abs().max()
    deviations = (
        covariance.diagonal().clamp(min=0).sqrt() - goal.diagonal().clamp(min=0).sqrt()
    ).abs()
    return float(torch.maximum(means, deviations.max()))
