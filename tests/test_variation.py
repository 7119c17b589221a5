"""Varied paintings: other palettes and patterns, the same ones for all crops of a painting."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from training.data import variation
from training.data.variation import vary_colors, vary_patterns

_VARY = [vary_colors, vary_patterns]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
    random.seed(0)


def _paintings(count: int = 6, crops: int = 2, side: int = 48) -> Tensor:
    """Smooth pictures (count, crops, 3, side, side), the crops of a painting alike."""
    coarse = torch.rand(count, 3, 6, 6)
    smooth = torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")
    return smooth[:, None].repeat(1, crops, 1, 1, 1)


@pytest.mark.parametrize("vary", _VARY)
def test_a_share_of_nought_changes_nothing(vary: Callable[[Tensor, float], Tensor]) -> None:
    paintings = _paintings()
    assert torch.equal(vary(paintings.clone(), 0.0), paintings)


@pytest.mark.parametrize("vary", _VARY)
def test_all_are_changed_within_range_and_crops_of_a_painting_alike(
    vary: Callable[[Tensor, float], Tensor],
) -> None:
    paintings = _paintings(24)
    varied = vary(paintings.clone(), 1.0)
    assert varied.shape == paintings.shape
    assert varied.min() >= 0
    assert varied.max() <= 1
    torch.testing.assert_close(varied[:, 0], varied[:, 1])
    changed = (varied - paintings).abs().mean((1, 2, 3, 4))
    # An order of channels may be the old one, and another painting's palette may be one's own.
    assert (changed > 0.002).float().mean() > 0.8


def test_about_the_share_is_changed() -> None:
    paintings = _paintings(200, 1, 16)
    varied = vary_patterns(paintings.clone(), 0.3)
    changed = (varied != paintings).flatten(1).any(1).float().mean()
    assert 0.2 < changed < 0.4


def test_palettes_move_without_the_shapes() -> None:
    """What changes places in lightness is not the painting's drawing: it stays correlated."""
    paintings = _paintings(24)
    varied = vary_colors(paintings.clone(), 1.0)
    for before, after in zip(paintings[:, 0], varied[:, 0], strict=True):
        rows = torch.cat((before.flatten(1), after.flatten(1)))  # (6, N)
        strongest = torch.corrcoef(rows)[:3, 3:].abs().amax()
        assert strongest > 0.5


def test_a_mosaic_has_cells_of_one_color() -> None:
    painting = torch.rand(1, 3, 96, 96)
    for _ in range(8):
        made = variation._mosaic(painting)
        flat = (made[..., 1:] == made[..., :-1]).all(1).float().mean()
        assert flat > 0.5
        assert (painting[..., 1:] == painting[..., :-1]).all(1).float().mean() < 0.01


def test_a_poster_has_few_colors() -> None:
    for _ in range(8):
        made = variation._poster(torch.rand(2, 3, 32, 32))
        assert len(made.permute(0, 2, 3, 1).flatten(0, 2).unique(dim=0)) <= 10


def test_hatching_is_darker_where_the_painting_is() -> None:
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    for _ in range(8):
        made = variation._hatching(ramp)
        assert made[..., :16].mean() < made[..., 48:].mean() - 0.2


def test_what_is_made_busier_is_mirrored() -> None:
    made = variation._busier(torch.rand(2, 3, 32, 32))
    assert torch.equal(made, made.flip(2))
    assert torch.equal(made, made.flip(3))


def test_crisp_edges_are_steeper() -> None:
    step = torch.full((1, 3, 32, 32), 0.4)
    step[..., 16:] = 0.6
    made = variation._crisp(step)
    assert made[..., 16].mean() - made[..., 15].mean() > 0.21
