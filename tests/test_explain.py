"""What each region attended to, and the nearest presets."""

from __future__ import annotations

import pytest
import torch
from small_model import small_generator

from hfstyle import StyleTransferPipeline
from hfstyle.explain import explain, nearest_styles

GENERATOR = small_generator()
PIPE = StyleTransferPipeline(GENERATOR)
STYLES = [torch.rand(3, 64, 80, generator=torch.Generator().manual_seed(s)) for s in range(4)]
PIPE.presets = {f"s{i}": PIPE.encode_style(style, name=f"s{i}") for i, style in enumerate(STYLES)}
PHOTO = torch.rand(3, 50, 70, generator=torch.Generator().manual_seed(9))


def test_attention_is_a_distribution_over_tokens_at_each_place() -> None:
    found = explain(PIPE, PHOTO, STYLES[1])
    assert found.attention.shape == (16, 4, 5)
    torch.testing.assert_close(found.attention.sum(0), torch.ones(4, 5))
    assert found.picture.width > 2 * 384


def test_the_attention_is_what_the_generator_uses() -> None:
    """A style of equal tokens is attended to evenly."""
    code = PIPE.presets["s0"]
    even = type(code)(code.vector, code.tokens[:1].expand_as(code.tokens), code.encoder)
    found = explain(PIPE, PHOTO, even)
    torch.testing.assert_close(found.attention, torch.full_like(found.attention, 1 / 16))


def test_the_nearest_preset_of_a_preset_is_itself() -> None:
    for name, code in PIPE.presets.items():
        names = nearest_styles(PIPE, code, k=3)
        assert names[0][0] == name
        assert names[0][1] == pytest.approx(0, abs=1e-3)
        assert names[1][1] <= names[2][1]
    assert explain(PIPE, PHOTO, STYLES[2], k=1).nearest[0][0] == "s2"
    with pytest.raises(ValueError, match="k is 0"):
        nearest_styles(PIPE, code, k=0)
