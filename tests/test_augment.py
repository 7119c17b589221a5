"""Augmentation: candidate and content view move together, gradients flow, equal seeds give equal draws; changed views."""

from __future__ import annotations

import pytest
import torch

from hfstyle.models.discriminator import content_view
from training.game.augment import augment, others, retoned


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_candidate_and_view_stay_aligned() -> None:
    """Without holes, the view of an augmented picture is the augmented view."""
    candidate = torch.rand(32, 3, 96, 96)
    view = content_view(candidate)
    moved, moved_view = augment(candidate, view, cutout=0, generator=seeded())
    assert moved.shape == candidate.shape
    assert moved_view.shape == view.shape
    # What a shift brings in at the border is a reflection of pixels there, of cells here: it may differ.
    inner = slice(2, -2)
    a, b = content_view(moved)[..., inner, inner], moved_view[..., inner, inner]
    correlation = torch.stack(
        [torch.corrcoef(torch.stack((x.flatten(), y.flatten())))[0, 1] for x, y in zip(a, b, strict=True)]
    )  # fmt: skip
    assert correlation.min() > 0.999
    changed = (moved != candidate).flatten(1).any(1).float().mean()
    assert changed > 0.8


def test_flips_half_of_the_pictures_and_shifts_by_up_to_an_eighth() -> None:
    columns = torch.arange(128.0).expand(64, 3, 128, 128) / 127
    view = content_view(columns)
    moved, _ = augment(columns, view, cutout=0, generator=seeded())
    rising = moved[:, 0, 64, 80] > moved[:, 0, 64, 48]
    assert 16 < rising.sum() < 48
    middle = (moved[:, 0, 64, 63:65].mean(1) * 127 - 63.5).abs()
    assert middle.max() <= 16 + 1e-3
    assert middle.max() > 8


def test_a_hole_is_cut_into_about_half_of_the_pictures() -> None:
    candidate = torch.zeros(64, 3, 64, 64)
    cut, view = augment(candidate, torch.zeros(64, 1, 8, 8), generator=seeded())
    holes = (cut == 0.5).all(1).flatten(1).sum(1)
    assert 16 < (holes > 0).sum() < 48
    assert holes.max() <= int(0.35 * 64) ** 2
    assert set(cut.unique().tolist()) == {0.0, 0.5}
    assert not view.any()


def test_colours_are_left_alone() -> None:
    colours = torch.rand(8, 3, 1, 1).expand(8, 3, 64, 64)
    moved, _ = augment(colours, torch.zeros(8, 1, 8, 8), cutout=0, generator=seeded())
    assert torch.equal(moved, colours)


def test_gradients_flow_to_candidate_and_view() -> None:
    candidate = torch.rand(4, 3, 64, 64, requires_grad=True)
    view = torch.rand(4, 1, 8, 8, requires_grad=True)
    moved, moved_view = augment(candidate, view, generator=seeded())
    (moved.sum() + moved_view.sum()).backward()
    assert candidate.grad is not None
    assert view.grad is not None
    # Every pixel that is left appears once or, by reflection, more often.
    assert candidate.grad.sum() == pytest.approx(float((moved != 0.5).sum()))
    assert (view.grad >= 0).all()
    assert view.grad.sum() == pytest.approx(view.numel())


def test_equal_seeds_give_equal_draws() -> None:
    candidate, view = torch.rand(4, 3, 64, 64), torch.rand(4, 1, 8, 8)
    first = augment(candidate, view, generator=seeded(5))
    again = augment(candidate, view, generator=seeded(5))
    other = augment(candidate, view, generator=seeded(6))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_nothing_to_do_returns_the_pictures_or_their_mirror_images() -> None:
    candidate, view = torch.rand(6, 3, 64, 64), torch.rand(6, 1, 8, 8)
    moved, moved_view = augment(candidate, view, shift=0, cutout=0, generator=seeded())
    for i in range(6):
        mirrored = torch.equal(moved[i], candidate[i].flip(2))
        assert mirrored or torch.equal(moved[i], candidate[i])
        assert torch.equal(moved_view[i], view[i].flip(2) if mirrored else view[i])


def test_a_view_in_other_tones_shows_the_same_content() -> None:
    columns = torch.linspace(0.1, 0.9, 96).expand(64, 3, 96, 96).clone()
    columns[:, :, 32:64, 24:40] = 0.05
    view = content_view(columns)
    changed = retoned(view)
    assert changed.shape == view.shape
    torch.testing.assert_close(changed.mean((2, 3)), torch.zeros(64, 1), atol=1e-5, rtol=0)
    alike = (view * changed).mean((1, 2, 3))
    assert alike.min() > 0.6
    assert alike.median() < 0.99  # so an output's tones, too, may be those of such a view
    assert torch.isfinite(retoned(torch.zeros(2, 1, 8, 8))).all()


def test_the_view_of_another_picture_is_nobodys_own() -> None:
    views = torch.rand(5, 1, 8, 8)
    wrong = others(views, 4)
    for i, of in enumerate((3, 0, 1, 2, 4)):
        assert torch.equal(wrong[i], views[of].flip(2))
