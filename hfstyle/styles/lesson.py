"""A code moved, through the frozen generator, until what it paints looks like a goal.

D style width · T style tokens · E token width
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from hfstyle.models.generator import StyleGenerator
from hfstyle.models.style_encoder import Condition
from hfstyle.styles.code import StyleCode
from hfstyle.styles.seen import (
    Eye,
    Look,
    content_distance,
    looks_of,
    structure_distance,
    style_distance,
)

__all__ = ["Lesson", "Seen", "descend"]

_STYLE: Final = 14.0  # weights, as the generator was trained with
_TEXTURE: Final = 4.0
# Of content lost beyond the allowance, as a share of what the encoder's code loses.
_KEPT: Final = 8.0
_ALLOWED: Final = 1.1  # times the content that the encoder's code loses, free of charge
_RATE: Final = 0.015  # of Adam, in mean absolute values of a part of the code
_WARM_UP: Final = 10  # steps
_CHECK: Final = 10  # steps between two looks at the photos held out
_PATIENCE: Final = 3  # such looks without getting better

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Seen:
    """A photo (1, 3, H, W) and what an eye sees of it."""

    photo: Tensor
    looks: dict[str, Look]
    deep: Tensor

    @classmethod
    def of(cls, photo: Tensor, eye: Eye) -> Seen:
        features = eye(photo)
        return cls(photo, looks_of(features), list(features.values())[-1])


class Lesson:
    """The loss of a code on a photo.

        L = 14 L_style + 4 L_texture + 8 (max(0, L_content / L_content(c_0) - 1.1) + max(0, L_structure / L_structure(c_0) - 1.1))

    with c_0 the encoder's code: the look may come nearer only in ways that keep nearly as much of the photo.
    """

    def __init__(self, generator: StyleGenerator, eye: Eye, goal: dict[str, Look]) -> None:
        self.generator, self.eye, self.goal = generator, eye, goal
        self._least: dict[int, tuple[Tensor, Tensor]] = {}

    def paint(self, seen: Seen, condition: Condition) -> Tensor:
        return self.generator(seen.photo, condition, seen.photo.new_ones(1))

    def __call__(self, seen: Seen, condition: Condition) -> Tensor:
        painted = self.paint(seen, condition)
        features = self.eye(painted)
        style, texture = style_distance(looks_of(features), seen.looks, self.goal)
        lost = (
            content_distance(list(features.values())[-1], seen.deep),
            structure_distance(painted, seen.photo),
        )
        least = self._least.setdefault(id(seen), (lost[0].detach(), lost[1].detach()))
        beyond = [
            F.relu(x / x0.clamp(min=1e-6) - _ALLOWED) for x, x0 in zip(lost, least, strict=True)
        ]
        return _STYLE * style + _TEXTURE * texture + _KEPT * (beyond[0] + beyond[1])


def descend(
    lesson: Lesson,
    start: StyleCode,
    learned_on: Sequence[Seen],
    held_out: Sequence[Seen],
    steps: int,
    progress_callback: Callable[[int, int], None] | None,
) -> tuple[StyleCode, int, bool]:
    """Adam on the code: the best code by the photos held out, the steps taken, whether Ctrl-C ended it."""
    with torch.inference_mode(False), torch.enable_grad():
        device = learned_on[0].photo.device
        base = start.to_condition(1, device)
        base = Condition(*(x.detach().clone() for x in base))
        parts = lesson.generator.encoder.parts
        scale = torch.cat(
            [p.abs().mean(1, keepdim=True).expand_as(p) for p in base.vector.split(parts, 1)], 1
        )
        scale = torch.cat((scale[:, : -parts[-1]], torch.zeros_like(scale[:, -parts[-1] :])), 1)
        spread = base.tokens.std()
        moved = [torch.zeros_like(x, requires_grad=True) for x in base]
        adam = torch.optim.Adam(moved, lr=_RATE, betas=(0.9, 0.98))

        def condition() -> Condition:
            return Condition(base.vector + scale * moved[0], base.tokens + spread * moved[1])

        def held_loss() -> float:
            with torch.no_grad():
                now = condition()
                return sum(float(lesson(one, now)) for one in held_out) / len(held_out)

        with torch.no_grad():
            for one in learned_on:  # what the encoder's code loses of each
                lesson(one, condition())
        best, least, worse, taken = start, held_loss(), 0, 0
        try:
            for step in range(steps):
                rate = min(1.0, (step + 1) / _WARM_UP) * (1 - step / steps)
                adam.param_groups[0]["lr"] = _RATE * rate
                loss = lesson(learned_on[step % len(learned_on)], condition())
                adam.zero_grad()
                loss.backward()
                adam.step()
                taken = step + 1
                if taken % _CHECK == 0 or taken == steps:
                    now = held_loss()
                    logger.info("step %d: %.4f on photos held out", taken, now)
                    if now < least:
                        vector, tokens = (x[0].detach() for x in condition())
                        best = StyleCode(vector, tokens, start.encoder, start.name, start.metadata)
                        least, worse = now, 0
                    else:
                        worse += 1
                    if worse == _PATIENCE:
                        break
                if progress_callback is not None:
                    progress_callback(taken, steps)
        except KeyboardInterrupt:
            return best, taken, True
        return best, taken, False
