"""`pipe.remember_photos`: the same pictures, without looking at a photo again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from small_model import small_generator

from hfstyle import Region, StyleTransferPipeline, _content_memory


class Watched(StyleTransferPipeline):
    """Counts how often it looks at a photo of 48 px height at the first level, which is at half of the padded 64 px."""

    looks = 0


def photo(seed: int, height: int = 48, width: int = 70) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def pipe() -> Iterator[Watched]:
    pipe = Watched(small_generator())

    def count(_: object, inputs: tuple[torch.Tensor, ...], __: object) -> None:
        pipe.looks += inputs[0].shape[2] == 32

    handle = pipe.generator.encoder.trunk.register_forward_hook(count)
    yield pipe
    handle.remove()


def painted(
    pipe: StyleTransferPipeline, picture: object, style: object, **options: Any
) -> torch.Tensor:
    result: torch.Tensor = pipe(picture, style, output_type="pt", **options).images[0]
    return result


def test_other_styles_and_strengths_are_painted_the_same_without_another_look(
    pipe: Watched,
) -> None:
    codes = [pipe.encode_style(photo(seed, 80, 80)) for seed in (1, 2)]
    settings = [{"strength": 1.0}, {"strength": 0.4}, {"strength": 0.7, "color": 0.5}]
    plain = [painted(pipe, photo(0), code, **each) for code in codes for each in settings]
    pipe.remember_photos(2)
    pipe.looks = 0
    kept = [painted(pipe, photo(0), code, **each) for code in codes for each in settings]
    assert pipe.looks == 1
    assert all(torch.equal(a, b) for a, b in zip(kept, plain, strict=True))


def test_regions_are_painted_the_same_without_another_look(pipe: Watched) -> None:
    codes = [pipe.encode_style(photo(seed, 80, 80)) for seed in (1, 2)]
    mask = np.zeros((48, 70), np.uint8)
    mask[:, 30:] = 255
    regions = [[Region(mask, codes[1], strength)] for strength in (1.0, 0.5)]
    plain = [painted(pipe, photo(0), codes[0], regions=each) for each in regions]
    pipe.remember_photos(2)
    pipe.looks = 0
    kept = [painted(pipe, photo(0), codes[0], regions=each) for each in regions]
    assert pipe.looks == 1
    assert all(torch.equal(a, b) for a, b in zip(kept, plain, strict=True))


def test_the_photos_used_last_are_kept(pipe: Watched) -> None:
    code = pipe.encode_style(photo(1, 80, 80))
    pipe.remember_photos(2)
    pipe.looks = 0
    for seed in (0, 3, 0, 3, 4, 3):
        painted(pipe, photo(seed), code)
    assert pipe.looks == 3
    painted(pipe, photo(0), code)
    assert pipe.looks == 4


def test_a_photo_that_differs_in_one_pixel_is_another(pipe: Watched) -> None:
    code = pipe.encode_style(photo(1, 80, 80))
    pipe.remember_photos(2)
    picture = torch.from_numpy(photo(0, 48, 64)).permute(2, 0, 1) / 255
    before = painted(pipe, picture, code)
    picture[0, 5, 5] = 1 - picture[0, 5, 5]
    after = painted(pipe, picture, code)
    pipe.remember_photos(0)
    assert not torch.equal(before, after)
    assert torch.equal(painted(pipe, picture, code), after)


def test_nothing_is_kept_unless_asked_for_nor_what_is_too_large(
    pipe: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = pipe.encode_style(photo(1, 80, 80))
    pipe.looks = 0
    for _ in range(2):
        painted(pipe, photo(0), code)
    assert pipe.looks == 2
    pipe.remember_photos(2)
    monkeypatch.setattr(_content_memory, "_MOST_PIXELS", 64 * 96 - 1)
    for _ in range(2):
        painted(pipe, photo(0), code)
    assert pipe.looks == 4
    monkeypatch.setattr(_content_memory, "_MOST_PIXELS", 64 * 96)  # one of them
    for seed in (0, 0, 3, 0):
        painted(pipe, photo(seed), code)
    assert pipe.looks == 7


def test_a_pipeline_that_is_cast_looks_again(pipe: Watched) -> None:
    code = pipe.encode_style(photo(1, 80, 80))
    pipe.remember_photos(2)
    painted(pipe, photo(0), code)
    pipe.looks = 0
    painted(pipe.to(torch.bfloat16), photo(0), code)
    assert pipe.looks == 1


def test_less_than_no_photo_is_refused(pipe: Watched) -> None:
    with pytest.raises(ValueError, match="count is -1"):
        pipe.remember_photos(-1)


def test_features_looked_at_are_those_of_a_call(pipe: Watched) -> None:
    generator = pipe.generator
    content = torch.rand(2, 3, 64, 96)
    condition = generator.encode(torch.rand(2, 3, 64, 64))
    strength = torch.tensor([1.0, 0.3])
    with torch.inference_mode():
        known = generator(content, condition, strength, features=generator.look_at(content))
        assert torch.equal(known, generator(content, condition, strength))
