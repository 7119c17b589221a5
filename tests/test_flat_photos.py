"""A photo of one colour has nothing to paint: it becomes one colour, the same on every path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hfstyle import Region, StyleTransferPipeline

STYLE = "great_wave_hokusai"


@pytest.fixture(scope="module")
def pipe() -> StyleTransferPipeline:
    return StyleTransferPipeline.from_pretrained()


def _flat(level: int, size: tuple[int, int] = (96, 130)) -> np.ndarray:
    return np.full((*size, 3), level, np.uint8)


def _painted(pipe: StyleTransferPipeline, photo: np.ndarray, **options: object) -> np.ndarray:
    return np.asarray(pipe(photo, STYLE, **options).images[0]).astype(int)  # type: ignore[arg-type]


def _with_gradients(pipe: StyleTransferPipeline, photo: np.ndarray) -> np.ndarray:
    """The network as a GPU or the trainer computes it."""
    content = torch.from_numpy(photo[:96, :128]).permute(2, 0, 1)[None].float() / 255
    with torch.enable_grad():
        out = pipe.generator(content, pipe.preset(STYLE).to_condition(1), torch.ones(1))
    return out.detach()[0].permute(1, 2, 0).mul(255).round().int().numpy()


_PATHS: dict[str, Callable[[StyleTransferPipeline, np.ndarray], np.ndarray]] = {
    "one pass": _painted,
    "tiles": lambda pipe, photo: _painted(pipe, photo, tile_size=64),
    "with gradients": _with_gradients,
    "reduced": lambda pipe, photo: _painted(pipe, photo, processing_resolution=64),
    "a region over everything": lambda pipe, photo: _painted(
        pipe, photo, regions=[Region(np.ones(photo.shape[:2], np.float32), STYLE)]
    ),
}


@pytest.mark.parametrize(
    ("path", "level"),
    [*((path, 0) for path in _PATHS), ("one pass", 128), ("tiles", 255)],
)
def test_a_photo_of_one_colour_becomes_one_colour(
    pipe: StyleTransferPipeline, path: str, level: int
) -> None:
    painted = _PATHS[path](pipe, _flat(level))
    assert np.ptp(painted, axis=(0, 1)).max() <= 1
    mean = _painted(pipe, _flat(90)).mean((0, 1))
    np.testing.assert_allclose(painted.mean((0, 1)), mean, atol=1.0)


@pytest.mark.parametrize("path", ["one pass", "tiles", "with gradients"])
def test_nearly_one_colour_is_nearly_the_same(pipe: StyleTransferPipeline, path: str) -> None:
    photo = _flat(0)
    photo[50, 60] = 1
    painted = _PATHS[path](pipe, photo)
    flat = _painted(pipe, _flat(0))[: painted.shape[0], : painted.shape[1]]
    assert np.abs(painted - flat).mean() < 0.1
    assert np.abs(painted - flat).max() <= 4


def test_bfloat16_and_files_are_flat_as_well(pipe: StyleTransferPipeline, tmp_path: Path) -> None:
    expected = _painted(pipe, _flat(40)).mean((0, 1))
    half = StyleTransferPipeline.from_pretrained(dtype=torch.bfloat16)
    Image.fromarray(_flat(40)).save(tmp_path / "flat.png")
    file = pipe.paint_file(tmp_path / "flat.png", tmp_path / "out.png", STYLE, tile_size=64)
    for painted in (_painted(half, _flat(40)), np.asarray(Image.open(file)).astype(int)):
        assert np.ptp(painted, axis=(0, 1)).max() <= 2
        np.testing.assert_allclose(painted.mean((0, 1)), expected, atol=1.5)


def test_a_flat_region_of_a_photo_is_the_same_in_tiles(pipe: StyleTransferPipeline) -> None:
    photo = _flat(255, (128, 256))
    photo[:, :64] = np.random.default_rng(0).integers(0, 256, (128, 64, 1))
    whole, tiles = (
        _painted(pipe, photo, tile_size=side, processing_resolution="full") for side in (None, 64)
    )
    assert np.abs(whole - tiles).mean() < 0.5


def test_a_faint_photo_is_painted_all_the_same(pipe: StyleTransferPipeline) -> None:
    """A deviation of 4/255 is seen."""
    photo = _flat(120)
    photo[:, 65:] = 128
    assert _painted(pipe, photo).std((0, 1)).min() > 10
