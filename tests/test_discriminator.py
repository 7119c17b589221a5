"""The conditional discriminator: logits per patch and per condition, nothing inside that removes contrast or colour."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from hfstyle.models.discriminator import StyleDiscriminator, content_view


@pytest.fixture(scope="module")
def discriminator() -> StyleDiscriminator:
    torch.manual_seed(0)
    return StyleDiscriminator(widths=(8, 12, 16, 16), style_width=24).eval()


@pytest.mark.parametrize("side", [64, 160])
def test_logits_at_two_scales_one_map_for_each_condition(
    discriminator: StyleDiscriminator, side: int
) -> None:
    candidate = torch.rand(2, 3, side, side)
    fine, coarse = discriminator(candidate, content_view(candidate), torch.randn(2, 3, 24))
    assert fine.shape == (2, 3, side // 8, side // 8)
    assert coarse.shape == (2, 3, side // 16, side // 16)
    assert fine.dtype == coarse.dtype == torch.float32


def test_many_codes_in_one_pass_give_what_one_pass_for_each_gives(
    discriminator: StyleDiscriminator,
) -> None:
    candidate, codes = torch.rand(2, 3, 64, 64), torch.randn(2, 3, 24)
    view = content_view(candidate)
    with torch.no_grad():
        together = discriminator(candidate, view, codes)
        for k in range(3):
            alone = discriminator(candidate, view, codes[:, k : k + 1])
            for many, one in zip(together, alone, strict=True):
                torch.testing.assert_close(many[:, k], one[:, 0], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(together[0][:, 0], together[0][:, 1], atol=1e-3)


def test_candidate_view_and_code_all_count(discriminator: StyleDiscriminator) -> None:
    candidate, code = torch.rand(1, 3, 64, 64), torch.randn(1, 1, 24)
    view = content_view(candidate)
    with torch.no_grad():
        base = discriminator(candidate, view, code)[1]
        assert not torch.allclose(discriminator(candidate.flip(1), view, code)[1], base)
        assert not torch.allclose(discriminator(candidate, view.flip(3), code)[1], base)
        assert not torch.allclose(discriminator(candidate, view, -code)[1], base)


def test_no_buffers_and_no_normalisation_of_features(discriminator: StyleDiscriminator) -> None:
    assert not list(discriminator.buffers())
    forbidden = (nn.modules.batchnorm._NormBase, nn.GroupNorm)
    assert not [m for m in discriminator.modules() if isinstance(m, forbidden)]


def test_a_pictures_logits_do_not_depend_on_its_batch(discriminator: StyleDiscriminator) -> None:
    candidate, code = torch.rand(3, 3, 64, 64), torch.randn(3, 1, 24)
    view = content_view(candidate)
    with torch.no_grad():
        together = discriminator(candidate, view, code)[0]
        alone = discriminator(candidate[:1], view[:1], code[:1])[0]
    torch.testing.assert_close(together[:1], alone, atol=1e-5, rtol=1e-4)


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
