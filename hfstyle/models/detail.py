"""How much of the photo a painting keeps: what a strength asks for, what a level sees of the photo, what shows through the paint.

B batch · H, W height and width
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hfstyle.models import graph
from hfstyle.models.color import luminance
from hfstyle.models.grid import moved_back
from hfstyle.models.resample import double, reduced

__all__ = ["Asked", "around", "ask", "change_of", "drawn_under", "outlined", "without_faint"]

# Deviation of a photo's fine lightness, of values in [0, 1], at which half of its underdrawing shows.
_VISIBLE = 0.02
# Deviation of a photo's colours around a place, of values in [0, 1], of which the coarse level sees half.
_FAINT = 0.03
# Deviation of the fine lightness that the coarse level sees, of values in [0, 1], at which it leaves half of a place to the
# fine level.
_OUTLINE = 0.02


class Asked(NamedTuple):
    """What a strength asks for; each of the strength's shape.

    said: what the network is told. paint: how thickly the paint lies, in [0, 1]. detail: how much of the photo's finest
    lightness is drawn, whatever the network says, in [0, 1].
    """

    said: Tensor
    paint: Tensor
    detail: Tensor


def ask(strength: Tensor | float, *, taught: bool = False) -> Asked:
    """The one curve from strength to paint. At a strength s in [0, 1]

        paint   p = s (2 - s)                       thin at low strengths only
        detail  d = min(1, 4 (1 - s))               back from 3/4 down
        said    p (1 + 0.12 (1 - d)), or p          beyond what was taught, near 1

    Before a painting is made thinner, its finest detail gives way to the photo's, which keeps more of the photo at less
    loss of style. Near strength 1 the network is told 12 % more than the most it was taught: strokes flicker less.

    Args:
        strength: of any shape.
        taught: ask for no more than what was taught, as training does.
    """
    s = torch.as_tensor(strength, dtype=torch.float32)
    paint = s * (2 - s)
    detail = (4 * (1 - s)).clamp(max=1)
    return Asked(paint if taught else paint * (1 + 0.12 * (1 - detail)), paint, detail)


def around(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance around each place, at a quarter of the resolution: (B, C, H, W) -> two (B, C, H/4, W/4)."""
    mean, square = reduced(reduced(torch.cat((x, x.square()), dim=1))).chunk(2, dim=1)
    return mean, (square - mean.square()).clamp(min=0)


def without_faint(picture: Tensor) -> Tensor:
    """Flat areas without their noise, everything else as it is, (B, 3, H, W) in [0, 1]: no strokes out of noise.

    m + (x - m) v / (v + 0.03^2), m and v the mean and the variance around a place: what a guided filter (He et al. 2013,
    section 3.2) makes of a picture guided by itself, at a quarter of the resolution as in its fast form.
    """
    mean, variance = around(picture)
    variance = variance.mean(1, keepdim=True)
    kept = variance / (variance + _FAINT**2)
    mean, kept = double(double(torch.cat((mean, kept), dim=1))).split((3, 1), dim=1)
    return (graph.lerp if graph.wanted() else torch.lerp)(mean, picture, kept)


def change_of(smaller: Tensor, painted: Tensor, origin: Tensor | None = None) -> Tensor:
    """What a coarse painting changes of the photo, doubled: added to the photo, its detail stays.

    Args:
        smaller: (B, 3, H/2, W/2), the photo reduced; with an origin, moved by it.
        painted: (B, 3, H/2, W/2), that painted.
        origin: as of `StyleGenerator.origin`.

    Returns:
        (B, 3, H, W), in the photo's own places.
    """
    change = double(painted - smaller)
    return change if origin is None else moved_back(change, origin)


def drawn_under(painted: Tensor, photo: Tensor, shown: Tensor) -> Tensor:
    """The painting with a part of its finest lightness replaced by the photo's, where the photo has any.

    G + a v (f(L(x)) - f(L(G))),  f(L) = L less itself at half the resolution,  v = e / (e + 0.02^2),

    e the mean square of f(L(x)) around a place: eyes and windows are drawn as in the photo, strokes in skies stay.

    Args:
        painted, photo: (B, 3, H, W) in [0, 1], G and x.
        shown: (B, 1, H/4, W/4) in [0, 1], a, the part.
    """
    own = luminance(photo)
    energy = reduced(reduced(_finest(own).square()))
    shown = shown * energy / (energy + _VISIBLE**2)
    return painted + double(double(shown)) * _finest(own - luminance(painted))


def outlined(seen: Tensor) -> Tensor:
    """How far outlines and thin things are too fine for the strokes of a level, (B, 3, H, W) -> (B, 1, H, W) in [0, 1].

    e / (e + 0.02^2), e the mean square of the finest lightness, at half the resolution, around a place.

    Args:
        seen: in [0, 1], what the level sees of the picture.
    """
    energy = reduced(reduced(_finest(reduced(luminance(seen).float())).square()))
    return double(double(double(energy / (energy + _OUTLINE**2))))


def _finest(lightness: Tensor) -> Tensor:
    return lightness - double(reduced(lightness))
