"""The style encoder: any size in, one condition out, and a fingerprint that says which encoder made it."""

from __future__ import annotations

import copy

import pytest
import torch

from hfstyle.models.style_encoder import StyleEncoder


@pytest.fixture(scope="module")
def encoder() -> StyleEncoder:
    torch.manual_seed(0)
    return StyleEncoder((6, 8, 12, 16), style_width=24, token_width=8, token_grid=4).eval()


@pytest.mark.parametrize("size", [(64, 64), (101, 64)])
def test_any_size_gives_a_condition_of_the_same_shape(
    encoder: StyleEncoder, size: tuple[int, int]
) -> None:
    with torch.no_grad():
        condition = encoder(torch.rand(2, 3, *size))
    assert condition.vector.shape == (2, encoder.vector_width)
    assert encoder.vector_width == 24 + 2 * (6 + 8 + 12 + 16) + 9
    assert condition.tokens.shape == (2, 16, 8)
    assert condition.vector.dtype == condition.tokens.dtype == torch.float32
    assert torch.isfinite(condition.vector).all()


def test_a_size_that_is_no_multiple_of_16_is_read_without_its_last_pixels(
    encoder: StyleEncoder,
) -> None:
    style = torch.rand(1, 3, 77, 90)
    with torch.no_grad():
        condition, cropped = encoder(style), encoder(style[:, :, :64, :80])
    torch.testing.assert_close(condition, cropped)


def test_contrast_and_colour_change_the_code(encoder: StyleEncoder) -> None:
    style = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        code = encoder(style).vector
        for other in (0.5 + 0.5 * (style - 0.5), style.flip(1)):
            assert not torch.allclose(encoder(other).vector, code, atol=1e-3)


def test_a_flat_picture_gives_finite_code_and_gradients() -> None:
    encoder = StyleEncoder((6, 8, 12, 16), style_width=24, token_width=8, token_grid=4)
    style = torch.full((1, 3, 64, 64), 0.5, requires_grad=True)
    encoder(style).vector.sum().backward()
    assert style.grad is not None
    assert torch.isfinite(style.grad).all()


def test_fingerprint_is_the_same_for_half_precision_and_differs_after_a_change(
    encoder: StyleEncoder,
) -> None:
    fingerprint = encoder.fingerprint()
    assert len(fingerprint) == 16
    int(fingerprint, 16)
    half = copy.deepcopy(encoder).half()
    assert half.fingerprint() == fingerprint
    assert half.float().fingerprint() == fingerprint
    changed = copy.deepcopy(encoder)
    with torch.no_grad():
        changed.mlp2.bias[3] += 0.01
    assert changed.fingerprint() != fingerprint
