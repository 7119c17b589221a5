"""Internal to `hfstyle.painting.recolor`: an affine map of colours whose result, clipped to [0, 1], has a wanted mean and covariance.

Clipping pulls colours inwards, so a map that has the moments before it misses them after it. With colours y of a pixel and
A = [T | s], the clipped result is c = min(max(T y + s, 0), 1). Its three means and six covariances are piecewise smooth in
the twelve numbers of A:

    d E[c_i]     / d A_ip = E[f_i y_p]                    f_i: 1 where channel i is not clipped, else 0; y_4 = 1
    d E[c_i c_k] / d A_ip = E[f_i y_p c_k]                (twice that for k = i)

so Newton's method finds A in a few steps, each the smallest that meets the nine numbers to first order.

N pixels · 3 colours · 4 = colours and a constant one
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

__all__ = ["ClippedMoments", "fit_clipped"]

_MEAN: Final = 0.5 / 255  # greatest error of a mean
_COVARIANCE: Final = 1e-3  # and of a covariance, in values from 0 to 1
_LEAST_COVARIANCE: Final = 1e-5  # the error that is always allowed, of flat pictures
_ENOUGH: Final = (
    0.5  # share of these errors at which no further step is made; the rest is for those of a sample
)
_STEPS: Final = 9  # pictures that need more would be amplified to noise
_HALVINGS: Final = 4
_DAMPING: Final = 1e-6


class ClippedMoments:
    """Moments of the clipped result of a map, and how they change with it; pixels are added bit by bit.

    Args:
        affine: (3, 4) float64, T and s side by side.
    """

    def __init__(self, affine: Tensor) -> None:
        self.affine = affine
        self._mass: Tensor | float = 0.0
        self._square: Tensor | float = 0.0  # (4, 4), of c and 1
        self._slopes: Tensor | float = 0.0  # (3, 4, 4): channel, of y and 1, with c and 1

    def add(self, colors: Tensor, weight: Tensor | float) -> None:
        """Colours y (3, N) float32; weight (1, N) or one number for all."""
        one = torch.ones_like(colors[:1])
        y = torch.cat((colors, one))  # (4, N)
        c = torch.cat(((self.affine.to(y) @ y).clamp_(0, 1), one))  # (4, N)
        weighted = (c * weight).T  # (N, 4)
        free = (c[:3] > 0) & (c[:3] < 1)
        self._slopes = self._slopes + torch.stack([(y * f) @ weighted for f in free]).double().cpu()
        about = c.double() - 0.5  # about the middle, for precision
        self._square = self._square + ((about * weight) @ about.T).cpu()
        self._mass = self._mass + (
            weight.double().sum().cpu() if isinstance(weight, Tensor) else float(c.shape[1])
        )

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean (3,) and covariance (3, 3), float64."""
        square = torch.as_tensor(self._square) / self._mass
        mean = 2 * square[:3, 3]  # the constant one is a half about the middle
        return mean + 0.5, square[:3, :3] - mean[:, None] * mean[None]

    def errors(self, mean: Tensor, covariance: Tensor) -> Tensor:
        """(9,): differences from wanted moments in units of those that are allowed."""
        found_mean, found = self.moments()
        differences = torch.cat((found_mean - mean, _upper(found - covariance)))
        return differences / _allowed(covariance)

    def step(self, mean: Tensor, covariance: Tensor) -> Tensor:
        """(3, 4): the smallest change of the map that to first order gives wanted moments."""
        slopes = torch.as_tensor(self._slopes) / self._mass  # (3, 4, 4)
        found_mean, _ = self.moments()
        central = slopes[..., :3] - slopes[..., 3:] * found_mean  # (3, 4, 3)
        of_mean = torch.zeros(3, 3, 4, dtype=torch.float64)  # mean · channel of A · column of A
        of_covariance = torch.zeros(3, 3, 3, 4, dtype=torch.float64)
        for channel in range(3):
            of_mean[channel, channel] = slopes[channel, :, 3]
            of_covariance[channel, :, channel] += central[channel].T
            of_covariance[:, channel, channel] += central[channel].T
        jacobian = torch.cat((of_mean.flatten(1), _upper(of_covariance).flatten(1)))  # (9, 12)
        jacobian = jacobian / _allowed(covariance)[:, None]
        normal = jacobian @ jacobian.T
        normal = normal + (_DAMPING * normal.diagonal().max() + 1e-12) * torch.eye(9).double()
        errors = self.errors(mean, covariance)
        return -(jacobian.T @ torch.linalg.solve(normal, errors)).view(3, 4)


def fit_clipped(
    colors: Tensor, weight: Tensor | float, mean: Tensor, covariance: Tensor
) -> Tensor | None:
    """The map A near the identity whose clipped result has wanted moments.

    Args:
        colors: (3, N) float32, N at least 1.
        weight: (1, N), or one number for all.
        mean, covariance: wanted, (3,) and (3, 3) float64; mean in [0, 1].

    Returns:
        (3, 4) float64; None if no map near by keeps means within 0.25/255 and covariances within 0.0005, or less where the
        wanted picture is flat.
    """
    looked = _look(torch.eye(3, 4, dtype=torch.float64), colors, weight)
    errors = looked.errors(mean, covariance)
    for _ in range(_STEPS):
        if errors.abs().max() <= _ENOUGH:
            break
        step = looked.step(mean, covariance)
        for halving in range(_HALVINGS):
            tried = _look(looked.affine + step / 2**halving, colors, weight)
            if tried.errors(mean, covariance).norm() < errors.norm():
                break
        else:
            break
        looked, errors = tried, tried.errors(mean, covariance)
    return looked.affine if errors.abs().max() <= _ENOUGH else None


def _look(affine: Tensor, colors: Tensor, weight: Tensor | float) -> ClippedMoments:
    found = ClippedMoments(affine)
    found.add(colors, weight)
    return found


def _upper(matrix: Tensor) -> Tensor:
    """The six different entries of a symmetric matrix: (3, 3, ...) -> (6, ...)."""
    rows, columns = torch.triu_indices(3, 3)
    return matrix[rows, columns]


def _allowed(covariance: Tensor) -> Tensor:
    """(9,): greatest errors of means and covariances; of pictures with little contrast those of half a value of 255."""
    deviations = covariance.diagonal().clamp(min=0).sqrt()
    allowed = 2 * _MEAN * (deviations[:, None] * deviations[None]).sqrt()
    allowed = _upper(allowed.clamp(_LEAST_COVARIANCE, _COVARIANCE))
    return torch.cat((torch.full((3,), _MEAN, dtype=torch.float64), allowed))
