"""One style has one code and one photo one painting, whatever the caller has set around: autocast, torch's default type and
device, compile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from small_model import small_generator

from hfstyle import Region, StyleTransferPipeline

PHOTO = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
ART = np.random.default_rng(1).integers(0, 256, (80, 100, 3), np.uint8)

CALLS: dict[str, dict[str, Any]] = {
    "one pass": {},
    "tiles": {"tile_size": 64},
    "reduced": {"processing_resolution": 64},
    "recoloured": {"color": 0.3},
    "thin": {"strength": 0.4},
    "regions": {"regions": [Region("left-half", "random:7", strength=0.5, feather=0.1)]},
    "regions by pixels": {"regions": [Region("left-half", "random:7")], "blend": "pixels"},
}


@contextmanager
def _float64() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


SURROUNDINGS = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "default type float64": _float64,
    "another default device": lambda: torch.device("meta"),
}


def _pipe() -> StyleTransferPipeline:
    pipe = StyleTransferPipeline(small_generator())
    pipe.presets = {
        "noise": pipe.encode_style(ART),
        "stripes": pipe.encode_style(np.sort(ART, axis=1)),
    }
    return pipe


@pytest.mark.parametrize(
    ("surroundings", "call"),
    [
        *(("autocast", call) for call in CALLS),
        *(("default type float64", call) for call in ("tiles", "regions")),
        *(("another default device", call) for call in ("tiles", "reduced", "regions")),
    ],
)
def test_a_painting_is_the_same_to_the_last_bit(surroundings: str, call: str) -> None:
    expected = _pipe()(PHOTO, ART, output_type="np", **CALLS[call]).images
    pipe = _pipe()
    with SURROUNDINGS[surroundings]():
        found = pipe(PHOTO, ART, output_type="np", **CALLS[call]).images
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_a_style_has_the_same_code(surroundings: str) -> None:
    def codes(pipe: StyleTransferPipeline) -> list[Any]:
        return [pipe.encode_style(ART), pipe.sample_style(3), *pipe.encode_collection([ART, PHOTO])]

    expected = codes(_pipe())
    pipe = _pipe()
    with SURROUNDINGS[surroundings]():
        inside = codes(pipe)
    for found in (inside, codes(pipe)):  # the second time from memory
        for own, other in zip(found, expected, strict=True):
            assert torch.equal(own.vector, other.vector)
            assert torch.equal(own.tokens, other.tokens)


def test_bundled_weights_are_float32_where_torch_makes_float64(tmp_path: Any) -> None:
    _pipe().save_pretrained(tmp_path)
    with _float64(), torch.device("meta"):
        pipe = StyleTransferPipeline.from_pretrained(tmp_path)
        assert (pipe.dtype, pipe.device) == (torch.float32, torch.device("cpu"))
        painted = pipe(PHOTO, "noise", output_type="np").images
    np.testing.assert_array_equal(painted, _pipe()(PHOTO, "noise", output_type="np").images)


def test_a_cast_pipeline_paints_regions() -> None:
    half = _pipe().to(torch.bfloat16)
    expected = _pipe()(PHOTO, "noise", output_type="np", **CALLS["regions"]).images
    found = half(PHOTO, "noise", output_type="np", **CALLS["regions"]).images
    assert np.abs(found - expected).mean() < 0.02


def test_a_compiled_generator_paints_the_same() -> None:
    """As one graph: where it breaks, compiling takes longer than it saves."""
    generator = small_generator().eval()
    content = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        condition = generator.encode(torch.rand(1, 3, 64, 64))
        expected = generator(content, condition, torch.ones(1))
        compiled = torch.compile(generator, backend="aot_eager_decomp_partition", fullgraph=True)
        found = compiled(content, condition, torch.ones(1))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
