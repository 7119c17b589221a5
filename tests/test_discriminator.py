"""The conditional discriminator: logits per patch, style and content; nothing inside that removes contrast or colour."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from hfstyle.models.discriminator import Judgement, StyleDiscriminator, content_view
from training.game.discriminator_move import discriminator_step
from training.game.generator_move import adversarial_term


@pytest.fixture(scope="module")
def discriminator() -> StyleDiscriminator:
    torch.manual_seed(0)
    return StyleDiscriminator(widths=(8, 12, 16, 16), style_width=24).eval()


@pytest.mark.parametrize("side", [64, 160])
def test_one_map_for_each_condition_at_two_scales_and_for_each_view(
    discriminator: StyleDiscriminator, side: int
) -> None:
    candidate = torch.rand(2, 3, side, side)
    views = content_view(candidate).expand(-1, 4, -1, -1)
    judged = discriminator(candidate, views, torch.randn(2, 3, 24))
    assert judged.fine.shape == (2, 3, side // 8, side // 8)
    assert judged.coarse.shape == (2, 3, side // 16, side // 16)
    assert judged.shown.shape == (2, 4, side // 8, side // 8)
    assert {logits.dtype for logits in judged} == {torch.float32}


def test_many_codes_and_views_in_one_pass_give_what_one_pass_for_each_gives(
    discriminator: StyleDiscriminator,
) -> None:
    candidate, codes = torch.rand(2, 3, 64, 64), torch.randn(2, 3, 24)
    views = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        together = discriminator(candidate, views, codes)
        for k in range(3):
            alone = discriminator(candidate, views[:, k : k + 1], codes[:, k : k + 1])
            for many, one in zip(together, alone, strict=True):
                torch.testing.assert_close(many[:, k], one[:, 0], atol=1e-5, rtol=1e-4)
    for many in together:
        assert not torch.allclose(many[:, 0], many[:, 1], atol=1e-3)


def test_the_candidate_counts_for_all_its_code_for_the_style_and_its_view_for_the_content(
    discriminator: StyleDiscriminator,
) -> None:
    candidate, code = torch.rand(1, 3, 64, 64), torch.randn(1, 1, 24)
    view = content_view(candidate)
    with torch.no_grad():
        base = discriminator(candidate, view, code)
        of_another_candidate = discriminator(candidate.flip(1), view, code)
        of_another_code = discriminator(candidate, view, -code)
        of_another_view = discriminator(candidate, view.flip(3), code)
    for logits, others in zip(base, of_another_candidate, strict=True):
        assert not torch.allclose(logits, others)
    assert not torch.allclose(of_another_code.fine, base.fine)
    assert not torch.allclose(of_another_code.coarse, base.coarse)
    assert not torch.allclose(of_another_view.shown, base.shown)


def test_tones_of_the_photo_are_no_proof_of_a_fake(discriminator: StyleDiscriminator) -> None:
    """Else the discriminator compares tones, sees no brush stroke, and asks outputs for the photo's tones."""
    args = SimpleNamespace(gan_loss="hinge", mismatched_weight=0.5, r1_gamma=0.0, r1_interval=1)
    photo, painting, output = (torch.rand(2, 3, 64, 64) for _ in range(3))
    codes = torch.randn(2, 24)
    for of in (photo, photo**2, 1 - photo):
        torch.manual_seed(0)  # of what is moved and dropped before the discriminator sees it
        judged = discriminator_step(
            args, discriminator, discriminator, of, painting, output, codes, with_r1=False
        )
        with torch.no_grad():
            verdict = discriminator(output, content_view(of), codes[:, None])
        told = judged["d_accuracy_fake"], verdict.fine, verdict.coarse
        if of is photo:
            first = told
        for now, then in zip(told, first, strict=True):
            assert torch.equal(now, then)


def test_of_what_is_shown_clearly_the_generator_is_asked_no_more() -> None:
    """Else outputs are pulled towards the photo's tones for ever."""
    args = SimpleNamespace(gan_loss="hinge")
    logits = {side: torch.full((1, 1, side, side), 2.0, requires_grad=True) for side in (8, 4)}
    shown = torch.tensor([2.0, 0.5]).view(1, 1, 1, 2).requires_grad_(True)

    def judge(*_: Tensor) -> Judgement:
        return Judgement(logits[8], logits[4], shown)

    photo = torch.rand(1, 3, 64, 64)
    adversarial_term(args, judge, photo, photo, torch.rand(1, 24), 1.0).backward()
    assert shown.grad is not None
    assert shown.grad.flatten()[0] == 0
    assert shown.grad.flatten()[1] < 0  # a step against the gradient shows more
    for painted in logits.values():  # but it can always look more like a painting
        assert painted.grad is not None
        assert (painted.grad < 0).all()


def test_no_buffers_and_no_normalisation_of_features(discriminator: StyleDiscriminator) -> None:
    assert not list(discriminator.buffers())
    forbidden = (nn.modules.batchnorm._NormBase, nn.GroupNorm)
    assert not [m for m in discriminator.modules() if isinstance(m, forbidden)]


def test_a_pictures_logits_do_not_depend_on_its_batch(discriminator: StyleDiscriminator) -> None:
    candidate, code = torch.rand(3, 3, 64, 64), torch.randn(3, 1, 24)
    view = content_view(candidate)
    with torch.no_grad():
        together = discriminator(candidate, view, code)
        alone = discriminator(candidate[:1], view[:1], code[:1])
    for many, one in zip(together, alone, strict=True):
        torch.testing.assert_close(many[:1], one, atol=1e-5, rtol=1e-4)


def test_content_view_is_coarse_and_without_brightness_or_contrast() -> None:
    picture = torch.rand(2, 3, 64, 96) * 0.3 + 0.1
    picture[:, :, :32] += 0.4
    view = content_view(picture)
    assert view.shape == (2, 1, 8, 12)
    torch.testing.assert_close(view.mean((2, 3)), torch.zeros(2, 1), atol=1e-5, rtol=0)
    assert (view.std((2, 3)) - 1).abs().max() < 0.1
    torch.testing.assert_close(content_view(picture * 0.8 + 0.1), view, atol=0.02, rtol=0)
    assert torch.equal(content_view(torch.full((1, 3, 64, 64), 0.7)), torch.zeros(1, 1, 8, 8))


def test_saved_and_loaded_judges_alike(tmp_path: Path, discriminator: StyleDiscriminator) -> None:
    discriminator.save_pretrained(tmp_path)
    loaded = StyleDiscriminator.from_pretrained(tmp_path)
    candidate, code = torch.rand(1, 3, 64, 64), torch.randn(1, 1, 24)
    with torch.no_grad():
        expected = discriminator(candidate, content_view(candidate), code)
        for a, b in zip(loaded(candidate, content_view(candidate), code), expected, strict=True):
            assert torch.equal(a, b)
