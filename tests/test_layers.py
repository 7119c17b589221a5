"""Layers whose arithmetic is exact by construction: transfer of colours and of feature statistics."""

from __future__ import annotations

import torch
from torch import Tensor

from hfstyle.models.color import ColorSpread, ColorTransfer, opponent_sums, standardise
from hfstyle.models.statistics import FeatureTransfer, InstanceStatistics, moments


def picture(seed: int, height: int = 64, width: int = 48) -> Tensor:
    """Smooth colours that are correlated as in photographs."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 7, 7, generator=generator)
    mixing = torch.rand(3, 3, generator=generator) + torch.eye(3)
    mixed = torch.einsum("ij,bjhw->bihw", mixing / mixing.sum(1, keepdim=True), coarse)
    return torch.nn.functional.interpolate(mixed, (height, width), mode="bicubic").clamp(0, 1)


def recolored(x: Tensor, colors: Tensor) -> Tensor:
    return ColorTransfer()(x, InstanceStatistics().of("colors", opponent_sums(x)), colors)


def moved_to(x: Tensor, goal: Tensor, strength: Tensor) -> tuple[Tensor, Tensor]:
    amount = strength[:, None, None, None]
    return FeatureTransfer()(x, InstanceStatistics().of("x", x), goal, amount)


def covariance(x: Tensor) -> Tensor:
    rows = x[0].flatten(1)
    centred = rows - rows.mean(1, keepdim=True)
    return centred @ centred.T / rows.shape[1]


def test_colours_of_a_picture_become_those_of_the_style() -> None:
    content, style = standardise(picture(0)), standardise(picture(1, 96, 80))
    mapped = recolored(content, ColorTransfer.measure(style))
    assert mapped.shape == content.shape
    small = [torch.nn.functional.avg_pool2d(x, 2) for x in (mapped, style, content)]
    new, wanted, old = ((x.mean((2, 3)), covariance(x)) for x in small)
    torch.testing.assert_close(new[0], wanted[0], atol=1e-4, rtol=0)
    # The faintest colours are not amplified without limit, so the covariance is met almost, not exactly.
    assert (new[1] - wanted[1]).norm() < 0.12 * (old[1] - wanted[1]).norm()


def test_a_picture_keeps_its_own_colours_and_grey_has_no_noise_amplified() -> None:
    content = standardise(picture(2))
    own = ColorTransfer.measure(content)
    same = recolored(content, own)
    torch.testing.assert_close(same, content, atol=1e-4, rtol=0)
    noise = 1e-3 * torch.randn(1, 3, 64, 48, generator=torch.Generator().manual_seed(3))
    grey = standardise(picture(4).mean(1, keepdim=True).expand(-1, 3, -1, -1) + noise)
    colourful = ColorTransfer.measure(standardise(torch.rand(1, 3, 64, 64)))
    mapped = recolored(grey, colourful)
    chroma = mapped[:, 0] - mapped[:, 2]
    assert chroma.std() < 12 * (grey[:, 0] - grey[:, 2]).std()


def test_a_grey_style_leaves_no_colour_in_the_picture_nor_in_what_is_painted_on_it() -> None:
    grey = ColorTransfer.measure(
        standardise(picture(5).mean(1, keepdim=True).expand(-1, 3, -1, -1))
    )
    content = standardise(picture(6))
    mapped = recolored(content, grey)
    painted = ColorSpread()(content, grey)
    for found in (mapped, painted):
        lightness = found.mean(1, keepdim=True)
        assert lightness.std() > 0.1
        assert (found - lightness).abs().max() < 0.02 * lightness.std()


def test_painted_detail_varies_as_the_colours_of_the_style_do() -> None:
    style = standardise(picture(7, 96, 80))
    unit = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(8))
    painted = ColorSpread()(unit, ColorTransfer.measure(style))
    wanted = covariance(torch.nn.functional.avg_pool2d(style, 2))
    assert (covariance(painted) - wanted).norm() < 0.05 * wanted.norm()


def test_features_take_the_statistics_of_the_style_at_full_strength_and_keep_theirs_at_0() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, 12, 16, generator=generator)
    mean = torch.randn(2, 5, generator=generator)
    deviation = torch.rand(2, 5, generator=generator) + 0.5
    goal = torch.cat((mean, deviation), dim=1)
    strength = torch.tensor([1.0, 0.0])
    moved, apart = moved_to(x, goal, strength)
    new_mean, new_variance = moments(moved)
    torch.testing.assert_close(new_mean[0].flatten(), mean[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(new_variance[0].sqrt().flatten(), deviation[0], atol=1e-3, rtol=0)
    torch.testing.assert_close(moved[1], x[1], atol=1e-5, rtol=0)
    # The distance does not depend on strength; from a picture with the style's statistics it is none.
    _, again = moved_to(moved, goal, strength)
    assert again[0] < 1e-6
    assert apart[1] == again[1] > 0.1
