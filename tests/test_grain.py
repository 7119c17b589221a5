"""Training paints some pairs on a grain, which breaks up what is flat (training/game/grain.py)."""

from __future__ import annotations

import torch
from small_model import small_generator

from hfstyle.models.style_encoder import Condition
from training.game.grain import Grain


@torch.no_grad()
def test_grain_breaks_up_what_is_flat_where_a_place_is_given_and_goes_with_it() -> None:
    generator = small_generator().train()
    grain = Grain(generator)
    for layer in (grain.low, grain.mid, grain.high):
        torch.nn.init.normal_(layer.amount.bias, std=0.5)  # at first there is none
    content = 0.6 + 0.2 * torch.rand(1, 3, 960, 960).expand(2, -1, -1, -1).clone()
    content[..., 64:-64, 64:-64] = 0.6
    code = generator.encode(torch.rand(1, 3, 64, 64))
    style = Condition(*(part.expand(2, *part.shape[1:]) for part in code))
    with grain.over(generator, torch.tensor([[100, 200], [-1, -1]])):
        painted = generator(content, style, torch.ones(2))
    bare = generator(content[:1], code, torch.ones(1))
    deviation = painted[..., 400:-400, 400:-400].std(dim=(2, 3)).amax(1)
    assert deviation[0] > 1e-3
    assert deviation[1] < 1e-4
    torch.testing.assert_close(painted[1:], bare, atol=1e-5, rtol=0)


def test_at_first_grain_changes_nothing_and_learns() -> None:
    generator = small_generator().train()
    grain, content = Grain(generator), torch.rand(1, 3, 64, 64)
    code = generator.encode(torch.rand(1, 3, 64, 64))
    plain = generator(content, code, torch.ones(1))
    with grain.over(generator, torch.zeros(1, 2, dtype=torch.long)):
        painted = generator(content, code, torch.ones(1))
    torch.testing.assert_close(painted, plain)
    painted.square().mean().backward()
    assert all(
        layer.amount.weight.grad.abs().sum() > 0 for layer in (grain.low, grain.mid, grain.high)
    )  # type: ignore[union-attr]
