"""Everything the generator does in one step as one forward pass, which is what DDP wants to see.

B pairs · R old styles' pairs · S side of a crop · D style width
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from hfstyle.models.generator import StyleGenerator
from hfstyle.models.levels import Instructions
from hfstyle.models.style_encoder import Condition
from training.game.grain import Grain
from training.game.rehearsal import paint_both
from training.game.views import resized

__all__ = ["GeneratorStep", "StepOutput"]


class StepOutput(NamedTuple):
    """What came of a step.

    Attributes:
        output: (B, 3, S, S). coarse: (B, 3, S/2, S/2), what the coarse level painted.
        codes: (B, D), vectors of the styles. output_codes: those of the first outputs' own styles.
        rehearsed: (R, 3, S, S) and (R, 3, S/2, S/2), painted in old styles; None without them.
    """

    output: Tensor
    coarse: Tensor
    codes: Tensor
    output_codes: Tensor
    rehearsed: tuple[Tensor, Tensor] | None


class GeneratorStep(nn.Module):
    """The generator and its grain."""

    def __init__(self, generator: StyleGenerator, loss_resolution: int) -> None:
        super().__init__()
        self.generator = generator
        self.grain = Grain(generator)
        self.loss_resolution = loss_resolution

    def forward(
        self,
        content: Tensor,
        style: Tensor,
        strength: Tensor,
        grain: Tensor,
        encoded: int,
        old: tuple[Tensor, Condition] | None = None,
    ) -> StepOutput:
        """Paint contents (B, 3, S, S) in styles (B, 3, S', S').

        Args:
            strength: (B,). grain: (B, 2), places on it.
            encoded: of how many outputs the style's code is wanted.
            old: contents (R, 3, S, S), and the codes of old styles in which they are painted.
        """
        condition = self.generator.encode(style)
        with self.grain.over(self.generator, grain):
            how = Instructions(condition, strength)
            blocked = self.generator.paint_coarse(content, how)
            output = self.generator.paint_fine(content, blocked.change, how)
        rehearsed = None if old is None else paint_both(self.generator, *old)
        codes = condition.vector[:0]
        if encoded:
            painted = resized(output[:encoded], self.loss_resolution)
            codes = self.generator.encode(painted).vector
        return StepOutput(output, blocked.picture, condition.vector, codes, rehearsed)
