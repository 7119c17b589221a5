"""Photos with transparency: what cannot be seen has no influence on what can, on any path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hfstyle import Region, StyleTransferPipeline
from hfstyle.batch import stylize_dataset
from hfstyle.cli import main
from hfstyle.explain import explain
from hfstyle.images import Picture, load_image

Y, X = np.mgrid[:72, :80]
DISC = np.hypot(X - 40, Y - 36) < 25
SOFT = np.clip((27 - np.hypot(X - 40, Y - 36)) / 6, 0, 1)  # an edge of 6 px
SEEN = np.stack([X * 3, Y * 3, X + Y], -1)


def cut(hidden: int, soft: bool = False, depth: Any = np.uint8) -> np.ndarray:
    """(H, W, 4): the same visible disc, other colours under alpha 0."""
    alpha = np.round(255 * SOFT) if soft else DISC * 255
    rgb = np.where(alpha[..., None] > 0, SEEN, hidden)
    levels = np.dstack([rgb, alpha]).astype(np.uint8)
    return levels if depth is np.uint8 else levels.astype(depth) * depth(257)


@pytest.fixture(scope="module")
def pipe() -> StyleTransferPipeline:
    return StyleTransferPipeline.from_pretrained()


def by_rows(
    pipe: StyleTransferPipeline, picture: np.ndarray, tmp_path: Path, **options: Any
) -> np.ndarray:
    Image.fromarray(picture).save(tmp_path / "cut.png")
    return np.asarray(Image.open(pipe.paint_file(tmp_path / "cut.png", tmp_path / "out.png", "comic", keep_alpha=True, **options)))  # fmt: skip


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "palette of the photo": {"color": 0.0},
    "half strength": {"strength": 0.5, "color": 0.5},
    "lower resolution": {"processing_resolution": 64},
    "tiles": {"tile_size": 64},
}


@pytest.mark.parametrize(
    ("options", "soft"),
    [*((options, True) for options in OPTIONS.values()), (OPTIONS["tiles"], False)],
    ids=[*OPTIONS, "a hard edge"],
)
def test_colours_under_alpha_0_change_nothing(
    soft: bool, options: dict[str, Any], pipe: StyleTransferPipeline, tmp_path: Path
) -> None:
    one, other = cut(0, soft), cut(255, soft)
    results = [np.asarray(pipe(Image.fromarray(p), "comic", keep_alpha=True, **options).images[0]) for p in (one, other)]  # fmt: skip
    assert np.array_equal(*results)
    assert np.array_equal(results[0][..., 3], one[..., 3])
    files = [by_rows(pipe, p, tmp_path, **options) for p in (one, other)]
    assert np.array_equal(*files)
    difference = abs(files[0].astype(int) - results[0])
    assert difference.max() <= 2


def test_in_arrays_of_any_kind(pipe: StyleTransferPipeline) -> None:
    makers: list[Callable[[np.ndarray], Any]] = [
        lambda p: p,
        lambda p: p.astype(np.uint16) * 257,
        lambda p: (p / 255).astype(np.float32),
        lambda p: torch.from_numpy(p).permute(2, 0, 1),
        lambda p: load_image(p, keep_alpha=True),
    ]
    for make in makers:
        one, other = (pipe(make(cut(h)), "comic", keep_alpha=True, output_type="np").images[0] for h in (0, 255))  # fmt: skip
        assert np.array_equal(one, other)


def test_in_regions(pipe: StyleTransferPipeline) -> None:
    for blend in ("features", "pixels"):
        regions = [Region("left-half", "great_wave_hokusai", color=0.3)]
        one, other = (
            np.asarray(pipe(cut(h), "comic", color=0.2, regions=regions, blend=blend, keep_alpha=True).images[0])
            for h in (0, 255)
        )  # fmt: skip
        assert np.array_equal(one, other), blend


def test_the_palette_that_is_kept_is_that_of_what_is_seen(pipe: StyleTransferPipeline) -> None:
    painted = np.asarray(pipe(cut(255), "great_wave_hokusai", color=0.0, keep_alpha=True).images[0])
    mean = painted[DISC][:, :3].mean(0)
    np.testing.assert_allclose(mean, SEEN[DISC].mean(0), atol=1.5)


def test_strength_0_keeps_the_picture_to_the_last_bit(
    pipe: StyleTransferPipeline, tmp_path: Path
) -> None:
    picture = cut(77)
    assert np.array_equal(pipe(picture, "comic", 0.0, keep_alpha=True).images[0], picture)
    assert np.array_equal(by_rows(pipe, picture, tmp_path, strength=0.0), picture)


def test_what_is_all_transparent_can_be_painted(pipe: StyleTransferPipeline) -> None:
    one, other = (np.full((64, 64, 4), (v, v, v, 0), np.uint8) for v in (0, 255))
    for color in (0.0, 1.0):
        painted = [np.asarray(pipe(p, "comic", color=color, keep_alpha=True).images[0]) for p in (one, other)]  # fmt: skip
        assert np.array_equal(*painted)
        assert not painted[0][..., 3].any()


def test_on_the_command_line_and_in_batches(pipe: StyleTransferPipeline, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, hidden in (("black", 0), ("white", 255)):
        Image.fromarray(cut(hidden)).save(folder / f"{name}.png")
    line = ["stylize", str(folder), "--style", "comic", "--color", "0.3", "--keep-alpha", "-q"]
    assert main([*line, "-o", str(tmp_path / "cli")]) == 0
    found = sorted((tmp_path / "cli").iterdir())
    assert len(found) == 2
    assert np.array_equal(*[np.asarray(Image.open(file)) for file in found])
    pytest.importorskip("accelerate")
    stylize_dataset(pipe, str(folder), [pipe.preset("comic")], tmp_path / "batch", keep_alpha=True)
    found = [tmp_path / "batch" / f"{name}.png" for name in ("black", "white")]
    assert np.array_equal(*[np.asarray(Image.open(file)) for file in found])


def test_as_styles_and_in_explanations(pipe: StyleTransferPipeline) -> None:
    pictures: list[list[Any]] = [[cut(h), load_image(cut(h), keep_alpha=True)] for h in (0, 255)]
    codes = [pipe.encode_style(p) for of in pictures for p in of]
    assert all(torch.equal(code.vector, codes[0].vector) for code in codes)
    found = [explain(pipe, p, "comic").attention for of in pictures for p in of]
    assert all(torch.equal(attention, found[0]) for attention in found)


def test_a_picture_can_be_loaded_again() -> None:
    picture = load_image(cut(255), keep_alpha=True, compact=True)
    assert isinstance(picture, Picture)
    flat, kept = load_image(picture), load_image(picture, keep_alpha=True)
    assert flat.alpha is None
    torch.testing.assert_close(flat.rgb, load_image(cut(0)).rgb)
    assert kept.rgb.dtype == torch.float32
    assert kept.alpha is not None
