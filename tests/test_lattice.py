"""Flat areas are painted without a lattice of dots, strokes stay."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hfstyle.models.lattice import without_lattice


def _waves(period: float) -> Tensor:
    """(1, 4, 24, 24), waves across, of a period in cells."""
    along = torch.cos(torch.arange(24) * 2 * math.pi / period)
    return along.expand(1, 4, 24, 24).contiguous()


def _flat(noise: float = 0.0) -> Tensor:
    torch.manual_seed(0)
    return (0.5 + noise * torch.randn(1, 3, 96, 96)).clamp(0, 1)


@pytest.mark.parametrize(("period", "share"), [(2, 0.0), (3, 0.4375), (4, 0.75), (8, 0.979)])
def test_where_a_picture_is_flat_fine_waves_vanish_and_broad_ones_stay(
    period: int, share: float
) -> None:
    waves = _waves(period)
    left = without_lattice(waves, _flat())
    inner = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(left[inner], share * waves[inner], atol=2e-3, rtol=0)


def test_a_checkerboard_vanishes_up_to_the_border() -> None:
    dots = (torch.arange(24)[:, None] + torch.arange(24)).remainder(2) * 2.0 - 1
    left = without_lattice(dots.expand(1, 4, 24, 24).contiguous(), _flat())
    assert left.abs().max() < 1e-5


def test_where_a_picture_has_detail_nothing_changes() -> None:
    stripes = (torch.arange(96) // 4 % 2).float().expand(1, 3, 96, 96)
    waves = _waves(2)
    torch.testing.assert_close(without_lattice(waves, stripes), waves, atol=2e-3, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_constant_features_stay(dtype: torch.dtype) -> None:
    features = torch.full((2, 4, 24, 24), 3.0, dtype=dtype)
    picture = _flat(0.01).expand(2, 3, 96, 96).to(dtype)
    assert torch.equal(without_lattice(features, picture), features)


def test_gradients_pass() -> None:
    features = _waves(3).requires_grad_()
    without_lattice(features, _flat()).square().sum().backward()
    assert features.grad is not None
    assert features.grad.abs().sum() > 0
