"""Differentiable augmentation of what the discriminator sees (Zhao et al. 2020), alike for real and fake.

Flips, translation and cutout only: colour is the condition, so it is left alone. And views of contents that a picture does
not have: with other tones, or of another picture.

B batch · S side of the candidate · V views
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hfstyle.models.discriminator import standard_view

__all__ = ["augment", "others", "retoned"]

_VIEW_FACTOR = (
    8  # the content view's reduction; shifts are multiples of it, so that both stay aligned
)


def augment(
    candidate: Tensor,
    view: Tensor,
    *,
    shift: float = 0.125,
    cutout: float = 0.35,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Flip, shift and cut a hole into each candidate, and flip and shift its view with it.

    Args:
        candidate: (B, 3, S, S) float in [0, 1].
        view: (B, V, S/8, S/8) float.
        shift: greatest translation as a share of the side, in [0, 1).
        cutout: side of the hole as a share of the side, in [0, 1); a hole is cut into half of the pictures.
        generator: on the candidate's device; draws are alike for equal states.

    Returns:
        Candidate and view of the same shapes; gradients flow to both.
    """
    batch, _, side, _ = candidate.shape
    device = candidate.device

    def draw(low: float, high: float) -> Tensor:
        return torch.empty(batch, device=device).uniform_(low, high, generator=generator)

    flip = (draw(0, 1) < 0.5)[:, None, None, None]
    candidate = torch.where(flip, candidate.flip(3), candidate)
    view = torch.where(flip, view.flip(3), view)

    reach = int(shift * side) // _VIEW_FACTOR
    if reach:
        down = draw(-reach, reach + 1).floor().long()
        right = draw(-reach, reach + 1).floor().long()
        farthest = reach * _VIEW_FACTOR
        candidate = _shift(candidate, down * _VIEW_FACTOR, right * _VIEW_FACTOR, farthest)
        view = _shift(view, down, right, reach)

    hole = int(cutout * side)
    if hole:
        top, left = draw(-hole / 2, side - hole / 2), draw(-hole / 2, side - hole / 2)
        rows = torch.arange(side, device=device)
        inside_rows = (rows >= top[:, None]) & (rows < top[:, None] + hole)  # (B, S)
        inside_columns = (rows >= left[:, None]) & (rows < left[:, None] + hole)  # (B, S)
        inside = inside_rows[:, None, :, None] & inside_columns[:, None, None, :]
        inside &= (draw(0, 1) < 0.5)[:, None, None, None]
        candidate = torch.where(inside, 0.5, candidate)
    return candidate, view


def retoned(view: Tensor) -> Tensor:
    """Views (B, 1, h, w) of paintings, as photos of which these might be the paintings have them: other tones, other light.

    Lightness is bent by a power of 1/2 to 2, a soft light of a few large places is laid over it, and a little noise.
    """
    batch, device = len(view), view.device

    def draw(low: float, high: float) -> Tensor:
        return torch.empty(batch, 1, 1, 1, device=device).uniform_(low, high)

    low, high = view.amin((2, 3), keepdim=True), view.amax((2, 3), keepdim=True)
    toned = ((view - low) / (high - low).clamp(min=1e-3)).clamp(0, 1) ** torch.exp(draw(-0.7, 0.7))
    light = torch.randn(batch, 1, 4, 4, device=device)
    light = F.interpolate(light, view.shape[2:], mode="bicubic", align_corners=False)
    toned = toned + draw(0, 0.15) * light + draw(0, 0.05) * torch.randn_like(view)
    return standard_view(toned)


def others(views: Tensor, number: int) -> Tensor:
    """Views (B, 1, h, w) of groups of `number` pictures -> those of the next picture in each group, mirrored: no picture's own."""
    return torch.cat([group.roll(1, 0).flip(3) for group in views.split(number)])


def _shift(x: Tensor, down: Tensor, right: Tensor, reach: int) -> Tensor:
    """Shift each picture by whole pixels, at most `reach`; what comes in is a reflection of what is there."""
    batch, _, height, width = x.shape
    padded = F.pad(x, (reach,) * 4, mode="reflect")
    rows = torch.arange(height, device=x.device) + reach - down[:, None]  # (B, H)
    columns = torch.arange(width, device=x.device) + reach - right[:, None]  # (B, W)
    index = torch.arange(batch, device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]].permute(
        0, 3, 1, 2
    )
