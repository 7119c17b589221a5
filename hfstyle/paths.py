"""A path from style to style: its codes, and the pictures along it as an animation, GIF or MP4."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch

from hfstyle.film.animation import save_animation as save_animation
from hfstyle.limits import OPTIONS, flags_checked
from hfstyle.models.color import ColorTransfer
from hfstyle.styles.code import StyleCode

__all__ = ["save_animation", "style_path"]

_SPREAD: Final = ColorTransfer.WIDTH - 3
"""Numbers at the end of a code's vector: the root of the covariance of its colours."""
_FAINT: Final = 0.1  # deviation of colour from which on changes count by their ratio
_ALIKE: Final = 0.25  # change of the logarithm of the spread that needs no easing


@flags_checked
def style_path(
    codes: Sequence[StyleCode], steps: int = OPTIONS["steps"].default, *, close: bool = False
) -> list[StyleCode]:
    """Codes along straight lines from each style to the next, spaced so that pictures move evenly.

    From a grey style to a colourful one the first steps are shorter: to the eye, a little colour is much on grey.

    Args:
        codes: at least 2, of one encoder.
        steps: number of codes, first and last included; at least one for each style.
        close: go back from the last to the first, which is not repeated.

    Raises:
        ValueError: fewer than 2 codes, or too few steps.
        StyleCodeError: codes of different encoders.
    """
    if len(codes) < 2:
        raise ValueError(f"a path needs at least 2 styles, got {len(codes)}")
    if steps < len(codes):
        raise ValueError(f"steps is {steps} for {len(codes)} styles; give at least {len(codes)}")
    stops = [*codes, codes[0]] if close else list(codes)
    length = len(stops) - 1
    path = []
    for step in range(steps):
        place = length * step / (steps if close else steps - 1)
        index = min(int(place), length - 1)
        first, second = stops[index], stops[index + 1]
        path.append(first.toward(second, _eased(first, second, place - index)))
    return path


def _eased(first: StyleCode, second: StyleCode, share: float) -> float:
    """The amount, in [0, 1], after which this share of the way is behind the eye: half by the line, half by colour."""
    ways = torch.linspace(0, 1, 513, dtype=torch.float32)
    roots = torch.stack([code.vector[-_SPREAD:] for code in (first, second)]).float()
    mixed = torch.lerp(roots[0], roots[1], ways[:, None])
    seen = torch.log1p(mixed[:, 1:].norm(dim=1) / _FAINT)  # all but lightness by itself
    travelled = torch.cat((seen.new_zeros(1), seen.diff().abs().cumsum(0)))
    if share in (0, 1) or travelled[-1] < _ALIKE:
        return share
    behind = (ways + travelled / travelled[-1]) / 2
    return float(np.interp(share, behind.numpy(), ways.numpy()))
