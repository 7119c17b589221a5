"""Old styles, kept while new ones are learned, without the pictures that they came from.

What the generator painted at the start in an old style, it is to paint still (learning without forgetting, Li & Hoiem 2016).
A code is all that this needs of a style, and a model brings codes: its presets, and a point of its style space for each
painting that it was trained on.

R pairs that are rehearsed · S side of a crop · D style width · T style tokens · E token width
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hfstyle.models.generator import StyleGenerator
from hfstyle.models.levels import Instructions
from hfstyle.models.style_encoder import Condition
from hfstyle.styles.code import StyleCode
from hfstyle.styles.presets import Presets
from hfstyle.styles.space import StyleSpace

__all__ = ["OldStyles", "Rehearsal", "paint_both", "rehearsal_loss"]

_OF_SPACE: Final = 0.6  # share of draws; what is left are presets
_COARSE: Final = 8  # px


class Rehearsal(NamedTuple):
    """Photos (R, 3, S, S), the old styles in which they are painted, and how: at both levels, as of `paint_both`."""

    photos: Tensor
    condition: Condition
    painted: tuple[Tensor, Tensor]


class OldStyles:
    """A frozen copy of a generator and the styles that come with it.

    Args:
        generator: as it is at the start.
        folder: of the model, with presets and style space, or None.
        share: of a batch's pairs, that are rehearsed beside it.

    Raises ValueError if the folder brings neither presets nor a style space.
    """

    def __init__(self, generator: StyleGenerator, folder: Path | None, share: float) -> None:
        self._teacher = copy.deepcopy(generator).requires_grad_(False)
        self._share = share
        presets = Presets(folder, generator.encoder_fingerprint())
        self._codes = [presets[name] for name in presets]
        self._space: StyleSpace | None = presets.space()
        if not self._codes and self._space is None:
            raise ValueError(
                f"{folder} brings neither presets nor a style space, so that no old styles can be kept: give "
                "--old_styles_weight 0, or start from a model that has them"
            )

    def to(self, device: torch.device) -> None:
        self._teacher.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def draw(self, content: Tensor) -> Rehearsal:
        """What is rehearsed beside a batch with these contents (B, 3, S, S)."""
        count = max(1, round(self._share * len(content)))
        codes = [self._code() for _ in range(count)]
        device = content.device
        condition = Condition(
            torch.stack([code.vector for code in codes]).to(device),
            torch.stack([code.tokens for code in codes]).to(device),
        )
        photos = content[-count:]
        with torch.no_grad():
            return Rehearsal(photos, condition, paint_both(self._teacher, photos, condition))

    def _code(self) -> StyleCode:
        space = self._space
        if space is None or (self._codes and float(torch.rand(())) > _OF_SPACE):
            return self._codes[int(torch.randint(len(self._codes), ()))]
        return space.code(space.coordinates[int(torch.randint(len(space), ()))])


def paint_both(
    generator: StyleGenerator, content: Tensor, condition: Condition
) -> tuple[Tensor, Tensor]:
    """At full strength, (R, 3, S, S), and the coarse level's (R, 3, S/2, S/2)."""
    how = Instructions(condition, strength=content.new_ones(len(content)))
    blocked = generator.paint_coarse(content, how)
    return generator.paint_fine(content, blocked.change, how), blocked.picture


def rehearsal_loss(painted: tuple[Tensor, Tensor], taught: tuple[Tensor, Tensor]) -> Tensor:
    """Mean absolute difference of both levels' paintings, as they are and averaged over 8 px: strokes, and tones."""
    parts = []
    for now, then in zip(painted, taught, strict=True):
        parts.append(F.l1_loss(now.float(), then.float()))
        parts.append(F.l1_loss(*(F.avg_pool2d(x.float(), _COARSE) for x in (now, then))))
    return torch.stack(parts).mean()
