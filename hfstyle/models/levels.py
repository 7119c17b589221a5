"""What the generator's two levels are told, and what they give back. The order in which they paint is the generator's.

B batch · H, W height and width of the content, or of a level of it · h, w any size
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from hfstyle.models.detail import Asked, ask
from hfstyle.models.grid import moved_by
from hfstyle.models.resample import placed
from hfstyle.models.style_encoder import Condition

__all__ = ["BlockedIn", "Instructions", "Painting", "at_origin"]


class Instructions(NamedTuple):
    """How a content is to be painted. An option that the network itself knows is a field here.

    condition: the style, of the content's batch.
    strength: (B,) float in [0, 1]; 0 is the content, 1 the full style; between, see `hfstyle.models.detail.ask`.
    where: (B, 1, h, w) in [0, 1], the part of the strength that each place gets; None is all of it.
    spared: (B, 1, h, w) in [0, 1], how far each place is spared: there, the photo in the style's colours shows through
        what is painted. As of `faces`; None is nowhere.
    outlines: (B,) float in [0, 1], how far large strokes stop where the photo has fine detail; None is not at all.
    """

    condition: Condition
    strength: Tensor
    where: Tensor | None = None
    spared: Tensor | None = None
    outlines: Tensor | None = None

    def moved(self, content: Tensor, origin: Tensor | None) -> Instructions:
        """The same for a content (B, 3, H, W) that is moved by an origin (B, 2)."""
        if origin is None:
            return self
        where, spared = (
            None if each is None else moved_by(placed(each, content), origin)
            for each in (self.where, self.spared)
        )
        return self._replace(where=where, spared=spared)

    def asked(self, like: Tensor, taught: bool) -> Asked:
        """What the strength asks for: (B, 1, 1, 1) each, or of each place, (B, 1, H, W) as `like` (B, C, H, W)."""
        amount = self.strength.float()[:, None, None, None]
        if self.where is not None:
            amount = amount * placed(self.where, like)
        return ask(amount, taught=taught)


class BlockedIn(NamedTuple):
    """What the coarse level paints.

    picture: (B, 3, H/2, W/2), about in [0, 1], on the grid that begins at the origin. change: (B, 3, H, W), what that
    changes of the content, in the content's places.
    """

    picture: Tensor
    change: Tensor


class Painting(NamedTuple):
    """What a level paints.

    picture: (B, 3, H, W), standardised. shown: (B, 1, H/4, W/4) in [0, 1], how much of the photo's finest lightness the
    network lets through.
    """

    picture: Tensor
    shown: Tensor


def at_origin(x: Tensor, origin: Tensor | None) -> Tensor:
    """x (B, C, H, W) as the grid sees it that begins at an origin (B, 2); None is at 0."""
    return x if origin is None else moved_by(x, origin)
