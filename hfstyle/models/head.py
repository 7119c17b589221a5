"""The light head of the generator: features at 1/4 resolution and colours -> a painting at full resolution.

B batch · H, W height and width · D style width
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hfstyle.models import graph
from hfstyle.models.color import ColorSpread, ColorTransfer, into_range, toward
from hfstyle.models.layers import LEAK, Modulation, activate, add, conv3x3
from hfstyle.models.resample import double, in_bands
from hfstyle.models.statistics import FeatureTransfer, InstanceStatistics

__all__ = ["Head", "Wanted"]

# Distance of a content's statistics from the style's, of which about two thirds of the painting are seen.
_ALIKE = 0.01


class Wanted(NamedTuple):
    """What is known of a level before its head paints.

    style: (B, D). look: (B, 2 F), the style's statistics of the finest features. colors: (B, 9), the style's. amount: of
    the style, (B, 1, 1, 1) or of each place (B, 1, h, w). seen_colors, measured: statistics of the whole picture's
    `opponent_sums` and of the whole finest map. apart: (B,) each, the coarser maps' distances from the style. contrast:
    (B,), of the picture, see `contrast_of`.
    """

    style: Tensor
    look: Tensor
    colors: Tensor
    amount: Tensor
    seen_colors: tuple[Tensor, Tensor]
    measured: tuple[Tensor, Tensor]
    apart: Sequence[Tensor]
    contrast: Tensor


class Head(nn.Module):
    """Repaints the detail: nothing of the photo passes but features in the style's statistics, and colours averaged over 4 px.

    At full resolution only lightness is painted; what is added of colour comes from 1/4. Thin lines in colours are the
    cheapest way to a painting's variance of colours, and drew red and cyan rims along the edges of photos.

    Args:
        fine_width: F, channels of the features at 1/2 resolution.
        width: channels of the head.
        style_width: D.
    """

    SPREAD = 16
    """Channels of the features that come from 1/4 resolution."""

    def __init__(self, fine_width: int, width: int, style_width: int) -> None:
        super().__init__()
        self.recolor = ColorTransfer()
        self.transfer = FeatureTransfer()
        self.color = ColorSpread()
        self.detail = conv3x3(self.SPREAD + 3 + fine_width, width)
        self.modulate = Modulation(width, style_width, normalise=False)
        self.refine = conv3x3(width, 12)
        self.paint = conv3x3(12, 1)
        with torch.no_grad():
            self.paint.weight.mul_(0.1)

    def forward(
        self,
        x: Tensor,
        plain: Tensor,
        tinted: Tensor,
        fine: Tensor,
        h: Tensor,
        wanted: Wanted,
        statistics: InstanceStatistics,
        spared: Tensor | None = None,
    ) -> Tensor:
        """Paint; no place depends on others beyond 8 px, so that large maps are painted in bands of rows.

        Args:
            x: (B, 3, H, W), standardised.
            plain, tinted: (B, 3, H/4, W/4), colours averaged, without and with what is painted of colour.
            fine: (B, F, H/2, W/2).
            h: (B, 16, H/4, W/4).
            wanted: what is known of the whole.
            statistics: says how several styles are blended; nothing is measured.
            spared: (B, 1, H, W) in [0, 1], how much of x in the style's colours shows at each place; None is nothing.

        Returns:
            (B, 3, H, W), standardised.
        """
        paint = partial(self._paint, wanted=wanted, statistics=statistics)
        if statistics.several or wanted.amount.shape[2:] != (1, 1):  # by place, of the whole
            return paint(x, plain, tinted, fine, h, spared)
        maps = (
            (x, plain, tinted, fine, h) if spared is None else (x, plain, tinted, fine, h, spared)
        )
        return in_bands(paint, maps, margin=2)

    def _paint(
        self,
        x: Tensor,
        plain: Tensor,
        tinted: Tensor,
        fine: Tensor,
        h: Tensor,
        spared: Tensor | None = None,
        *,
        wanted: Wanted,
        statistics: InstanceStatistics,
    ) -> Tensor:
        blend = statistics.blend
        fine, apart = self.transfer(fine, wanted.measured, wanted.look, wanted.amount)
        fine, colors = blend(fine), double(plain).to(h.dtype)
        own = self.modulate.folded(self.detail, wanted.style)
        if graph.wanted():
            maps = (double(h), colors, fine)
            detail = graph.convolve_together(maps, self.detail.weight, self.detail.bias)
            detail = activate(self.modulate(detail, wanted.style, statistics, ""))
            lightness = graph.with_frame(detail, self._lightness_inside, self._lightness, 2)
        else:
            detail = self.detail.of(
                partial(_together, h, colors, fine),
                (len(h), self.detail.in_channels, *fine.shape[2:]),
                h,
                own,
            )  # (B, width, H/2, W/2)
            lightness = self._lightness(
                detail,
                lambda out: self.modulate.activated(detail, own, wanted.style, statistics, "", out),
            )  # (B, 1, H, W)
        painted = into_range(
            add(blend(self.color(lightness, wanted.colors)), double(double(tinted)))
        )  # (B, 3, H, W)
        # A picture whose statistics are the style's already needs no painting, and one of a single colour has none.
        distance = torch.stack((*wanted.apart, blend(apart))).mean(0)  # (B,)
        need = ((1 - torch.exp(-distance / _ALIKE)) * wanted.contrast)[:, None, None, None]
        if spared is not None:
            need = need * (1 - spared)
        return toward(
            lambda: blend(self.recolor(x, wanted.seen_colors, wanted.colors)), painted, need
        )

    def _lightness(
        self, detail: Tensor, activated: Callable[[Tensor | None], Tensor] | None = None
    ) -> Tensor:
        """detail (B, width, H/2, W/2), and how it is activated if it is not yet -> (B, 1, H, W)."""
        refined = (
            self.refine(detail)
            if activated is None
            else self.refine.of(activated, detail.shape, detail)
        )  # (B, 12, H/2, W/2)
        height, width = refined.shape[2:]
        return self.paint.of(
            lambda out: activate(double(refined, out)),
            (*refined.shape[:2], 2 * height, 2 * width),
            refined,
        )

    def _lightness_inside(self, detail: Tensor) -> Tensor:
        """The same for a graph, wrong within 4 px of the borders."""
        refined = double(graph.convolve_inside(detail, self.refine.weight, self.refine.bias))
        activated = graph.activate(refined, LEAK)
        return graph.convolve_places(activated, self.paint.weight, self.paint.bias, 4, padding=1)


def _together(h: Tensor, colors: Tensor, fine: Tensor, out: Tensor | None) -> Tensor:
    """All that the detail is painted of, side by side: h (B, 16, H/4, W/4) doubled, (B, 3, H/2, W/2), (B, F, H/2, W/2)."""
    if out is None:
        return torch.cat((double(h), colors, fine), dim=1)
    doubled, others = out[:, : h.shape[1]], out[:, h.shape[1] :]
    double(h, doubled)
    others[:, :3].copy_(colors)
    others[:, 3:].copy_(fine)
    return out
