"""Colours: pictures as the networks see them, lightness, and the closed-form transfer of a style's colours.

B batch · C channels · H, W height and width
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hfstyle.models import fast, graph
from hfstyle.models.resample import halve, in_own_type
from hfstyle.models.statistics import STATISTICS_EPS, moments

__all__ = [
    "LUMA",
    "ColorSpread",
    "ColorTransfer",
    "contrast_of",
    "faded",
    "into_range",
    "luminance",
    "opponent_sums",
    "opponent_sums_of_half",
    "standardise",
    "toward",
    "unstandardise",
]

# Centre and spread of photographs in [0, 1], all channels alike, so that grey stays grey.
_IMAGE_MEAN, _IMAGE_STD = 0.45, 0.25
LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in luminance, Rec. 601."""

# Lightness, red against blue, green against both: orthonormal, and nearly uncorrelated in photographs.
_OPPONENT = (
    (3**-0.5, 3**-0.5, 3**-0.5),
    (2**-0.5, 0.0, -(2**-0.5)),
    (6**-0.5, -2 * 6**-0.5, 6**-0.5),
)
# Deviation, in units of `standardise`, below which a channel of colour is not amplified further.
_FAINTEST_COLOR = 0.1
_ROOT_FLOOR = 1e-3  # least deviation of a colour, for the roots of grey pictures
# Deviation of all a picture's colours, of values in [0, 1], at which two thirds of a painting are seen.
_FLAT = 1 / 255


def standardise(image: Tensor) -> Tensor:
    """Map (B, 3, H, W) in [0, 1] to about zero mean and unit deviation. The networks own this step."""
    return _line(image, 1 / _IMAGE_STD, -_IMAGE_MEAN / _IMAGE_STD)


def unstandardise(x: Tensor) -> Tensor:
    """The inverse of `standardise`."""
    return _line(x, _IMAGE_STD, _IMAGE_MEAN)


def _line(x: Tensor, slope: float, offset: float) -> Tensor:
    """slope x + offset in one pass over x."""
    return torch.add(torch.tensor(offset, dtype=x.dtype, device=x.device), x, alpha=slope)


def luminance(image: Tensor) -> Tensor:
    """(B, 3, H, W) in [0, 1] -> (B, 1, H, W) float32, by the weights of ITU-R BT.601."""
    weights = torch.tensor([LUMA], dtype=torch.float32, device=image.device)
    if fast.possible(image):
        return in_own_type(fast.weighted_sum, image.float(), weights[0])
    if graph.wanted():
        return graph.weighted_sum(image, weights)
    return in_own_type(F.conv2d, image.float(), weights[:, :, None, None])


class ColorTransfer(nn.Module):
    """The picture in the style's colours: mean and covariance of the opponent colours become those of the style.

    Linear colour transfer by triangular roots of both covariances (Pitie & Kokaram 2007, eq. 8-9, lightness first), so
    that dark stays dark. It carries the palette exactly, at full resolution and whatever the shift of the picture,
    from the first training step on, and leaves shapes and strokes to the convolutions. No parameters.
    """

    WIDTH = 9
    """Length of a style's colours: mean (3), and the root of the covariance (6), lower triangle by rows."""

    @staticmethod
    def measure(x: Tensor) -> Tensor:
        """Colours of a standardised picture (B, 3, H, W) -> (B, 9) float32."""
        mean, variance = moments(opponent_sums(x))
        return torch.cat(_mean_and_root(mean, variance), dim=1)

    def forward(self, x: Tensor, measured: tuple[Tensor, Tensor], colors: Tensor) -> Tensor:
        """The picture in other colours.

        Args:
            x: (B, 3, H, W) standardised.
            measured: statistics of its `opponent_sums`, as of `InstanceStatistics.of`.
            colors: (B, 9), of a style.

        Returns:
            (B, 3, H, W) float32.
        """
        mean, rstd = measured
        own_mean, own = _mean_and_root(mean, rstd.pow(-2))
        # T = L_style L_own^-1, both triangular: a 3x3 matrix in closed form, which exports.
        a, b, c, d, e, f = own.split(1, dim=1)
        p, q, r, s, t, u = colors[:, 3:].float().split(1, dim=1)
        t00, t11, t22 = _gain(p, a), _gain(r, c), _gain(u, f)
        a, c = a.clamp(min=_FAINTEST_COLOR), c.clamp(min=_FAINTEST_COLOR)
        t21 = (t - t22 * e) / c
        t10 = (q - t11 * b) / a
        t20 = (s - t21 * b - t22 * d) / a
        zero = torch.zeros_like(a)
        matrix = torch.cat((t00, zero, zero, t10, t11, zero, t20, t21, t22), dim=1).unflatten(
            1, (3, 3)
        )
        opponent = torch.tensor(
            _OPPONENT, dtype=torch.float32, device=x.device
        )  # (3, 3), orthonormal
        shift = colors[:, :3, None] - in_own_type(torch.matmul, matrix, own_mean[:, :, None])
        matrix = in_own_type(torch.matmul, matrix, opponent)
        matrix = in_own_type(torch.matmul, opponent.T, matrix)  # (B, 3, 3), of x
        shift = in_own_type(torch.matmul, opponent.T, shift)  # (B, 3, 1)
        if len(x) == len(matrix) == 1 and fast.possible(x) and x.shape[3] % 4 == 0:
            return in_own_type(fast.map_colors, x, matrix[0], shift[0, :, 0])
        if graph.wanted():
            return graph.map_colors(x, matrix, shift)
        # A product of (B, HW, 3): a view of the channels-last layout, in which the result is, too.
        rows = x.float().permute(0, 2, 3, 1).flatten(1, 2)
        mapped = in_own_type(torch.matmul, rows, matrix.mT) + shift.mT  # (B, HW, 3)
        return mapped.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)


class ColorSpread(nn.Module):
    """Painted detail takes the spread of the style's colours: what a pencil drawing is painted with is grey.

    Detail is painted in coordinates in which all styles' colours vary alike (lightness, then what of each opponent
    colour the former do not explain), and the root of the style's covariance makes colours of it. No parameters.
    """

    def forward(self, x: Tensor, colors: Tensor) -> Tensor:
        """Make colours of what is painted.

        Args:
            x: (B, 3, H, W) all coordinates, (B, 1, H, W) lightness alone, or (B, 2, H, W) the other two.
            colors: (B, 9) of a style.

        Returns:
            (B, 3, H, W) float32, to be added to a standardised picture.
        """
        p, q, r, s, t, u = colors[:, 3:].float().split(1, dim=1)
        p, r, u = (root.clamp(min=0) for root in (p, r, u))  # drawn codes may lie
        zero = torch.zeros_like(p)
        root = torch.cat((p, zero, zero, q, r, zero, s, t, u), dim=1).unflatten(1, (3, 3))
        root = root[:, :, 1:] if x.shape[1] == 2 else root[:, :, : x.shape[1]]
        opponent = torch.tensor(_OPPONENT, dtype=torch.float32, device=x.device)
        matrix = in_own_type(torch.matmul, opponent.T, root)  # (B, 3, channels of x), to RGB
        if graph.wanted():
            return graph.map_colors(x, matrix)
        if x.shape[1] == 1:
            return x.float() * matrix[:, :, :, None]
        rows = x.float().permute(0, 2, 3, 1).flatten(1, 2)  # (B, HW, channels of x)
        mapped = in_own_type(torch.matmul, rows, matrix.mT)
        return mapped.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)


def _gain(goal: Tensor, own: Tensor) -> Tensor:
    """goal / own, both deviations: 0 for a goal without this colour, no more than faint colours stand."""
    goal = goal.clamp(min=0)  # drawn codes may lie
    return goal / torch.maximum(own, goal.clamp(min=_ROOT_FLOOR, max=_FAINTEST_COLOR))


def opponent_sums(x: Tensor) -> Tensor:
    """Opponent colours and their pairwise sums, whose variances hold the covariances: (B, 3, H, W) -> (B, 6, H/2, W/2).

    At half the resolution, which costs a quarter and leaves out most of a photo's noise.
    """
    return opponent_sums_of_half(halve(x.float()))


def opponent_sums_of_half(x: Tensor) -> Tensor:
    """As `opponent_sums`, of a picture that is halved already: (B, 3, H, W) float32 -> (B, 6, H, W)."""
    opponent = torch.tensor(_OPPONENT, dtype=torch.float32, device=x.device)
    rows = torch.stack(
        (opponent[0] + opponent[1], opponent[0] + opponent[2], opponent[1] + opponent[2])
    )
    matrix = torch.cat((opponent, rows))
    if fast.possible(x) and x.shape[3] % 4 == 0:
        return in_own_type(fast.map_colors, x, matrix)
    return in_own_type(F.conv2d, x, matrix[:, :, None, None])


def _mean_and_root(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Moments (B, 6, 1, 1) of `opponent_sums` -> mean (B, 3) and triangular root of the covariance (B, 6)."""
    v0, v1, v2, v01, v02, v12 = variance[:, :, 0, 0].split(1, dim=1)
    c01, c02, c12 = ((v01 - v0 - v1) / 2, (v02 - v0 - v2) / 2, (v12 - v1 - v2) / 2)
    floor = _ROOT_FLOOR**2
    a = torch.sqrt(v0 + floor)
    b, d = c01 / a, c02 / a
    c = torch.sqrt((v1 + floor - b * b).clamp(min=floor))
    e = (c12 - d * b) / c
    f = torch.sqrt((v2 + floor - d * d - e * e).clamp(min=floor))
    return mean[:, :3, 0, 0], torch.cat((a, b, c, d, e, f), dim=1)


def contrast_of(measured: tuple[Tensor, Tensor]) -> Tensor:
    """How much there is to paint of pictures, from statistics of their `opponent_sums`: (B,) in [0, 1].

    0 of one colour, 0.63 at a deviation of 1/255 and 1 from 4/255 on, so that nothing but flat pictures is touched: of
    those, normalisation would make strokes of rounding errors.
    """
    variance = measured[1][:, :3, 0, 0].pow(-2).sub(STATISTICS_EPS).clamp(min=0).sum(1)  # (B,)
    return 1 - torch.exp(-variance / (_FLAT / _IMAGE_STD) ** 2)


def faded(x: Tensor, measured: tuple[Tensor, Tensor], contrast: Tensor) -> Tensor:
    """x (B, 3, H, W), standardised, as far toward its mean as `contrast` (B,) lacks to 1; `measured` as of `contrast_of`."""

    def mean() -> Tensor:
        opponent = torch.tensor(_OPPONENT, dtype=torch.float32, device=x.device)
        own = in_own_type(torch.matmul, measured[0][:, :3, 0, 0], opponent)  # (B, 3)
        own = own if len(own) == len(x) else own.mean(0, keepdim=True)  # of several styles
        return own[:, :, None, None]

    if graph.wanted():
        kept = contrast[:, None, None, None]
        return graph.scale_and_shift(x, kept, (1 - kept) * mean())
    return toward(mean, x, contrast[:, None, None, None])


def toward(start: Callable[[], Tensor], end: Tensor, amount: Tensor) -> Tensor:
    """`end` by that amount, `start()` by the rest; that is not called where nobody would see it.

    Args:
        start: makes a map that broadcasts to `end`.
        end: (B, C, H, W).
        amount: (B, 1, 1, 1), or of each place (B, 1, H, W), in [0, 1].
    """
    if fast.possible(end) and bool((amount == 1).all()):
        return end
    lerp = graph.lerp if graph.wanted() else torch.lerp
    return lerp(start().to(end.dtype), end, amount.to(end.dtype))


def into_range(x: Tensor) -> Tensor:
    """Bend what leaves the range of pictures softly back, standardised: to [-0.2, 1.2] as values of pixels."""
    x = _line(x, 1 / 2.8, -0.2 / 2.8)
    if fast.possible(x):
        return x.tanh_().mul_(2.8).add_(0.2)
    return 0.2 + 2.8 * torch.tanh(x)
