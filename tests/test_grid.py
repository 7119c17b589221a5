"""The grid of the coarser levels lies on the photo: where it begins, and what moving by that does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hfstyle import StyleTransferPipeline
from hfstyle.examples import example_photo
from hfstyle.images import load_image
from hfstyle.models.grid import Origin, moved_back, moved_by

PERIOD = 8
OFFSETS = torch.tensor([[3, -4], [-1, 2]])


def photo(name: str) -> Tensor:
    """(1, 3, H, W) in [0, 1]."""
    return load_image(example_photo(name)).rgb[None]


def crop(picture: Tensor, top: int, left: int, side: int = 256) -> Tensor:
    return picture[..., top : top + side, left : left + side]


def origin(picture: Tensor) -> Tensor:
    found = Origin(picture.shape[2:], PERIOD)
    found.add(picture)
    return found.offsets()


def test_where_a_photo_moves_its_grid_does() -> None:
    right = []
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        picture = photo(name)
        before = origin(crop(picture, 24, 40))
        for move in ((4, 4), (1, 0), (3, 6)):
            after = origin(crop(picture, 24 - move[0], 40 - move[1]))
            right.append(bool(((after - before - torch.tensor(move)) % PERIOD == 0).all()))
    assert sum(right) >= 10  # by chance, one in 64


def test_origins_are_within_half_a_period_and_one_for_each_picture() -> None:
    pictures = torch.cat([crop(photo(name), 8, 16) for name in ("astronaut", "coffee")])
    both = origin(pictures)
    assert both.shape == (2, 2)
    assert both.min() >= -PERIOD // 2
    assert both.max() < PERIOD // 2
    assert torch.equal(both[1:], origin(pictures[1:]))


def test_what_is_alike_everywhere_has_its_grid_at_0() -> None:
    assert origin(torch.full((1, 3, 64, 96), 0.3)).tolist() == [[0, 0]]


def test_strips_find_what_the_whole_finds() -> None:
    picture = crop(photo("astronaut"), 5, 9, 320)
    found = Origin(picture.shape[2:], PERIOD)
    step = 64
    for top in range(0, 320 - found.margin, step):
        found.add(picture[..., top : top + step + found.margin, :], top)
    whole = Origin(picture.shape[2:], PERIOD)
    whole.add(picture)
    assert found._energy is not None
    assert whole._energy is not None
    torch.testing.assert_close(found._energy, whole._energy, rtol=1e-4, atol=1e-6)
    assert torch.equal(found.offsets(), whole.offsets())


def test_moving_mirrors_and_moving_back_repeats_the_border() -> None:
    x = torch.arange(12.0).view(1, 1, 1, 12).expand(2, 3, 9, 12)
    there = moved_by(x, OFFSETS)
    assert there[0, 0, 0].tolist() == [4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6, 7]
    assert there[1, 0, 0].tolist() == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 10, 9]
    assert moved_back(there, OFFSETS)[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 7, 7]
    y = torch.rand(2, 3, 24, 40)
    again = moved_back(moved_by(y, OFFSETS), OFFSETS)
    torch.testing.assert_close(again[..., 4:-4, 4:-4], y[..., 4:-4, 4:-4], rtol=0, atol=0)


@pytest.mark.parametrize("move", [moved_by, moved_back])
def test_the_fast_way_gives_the_same(move: object) -> None:
    assert callable(move)
    x = torch.rand(1, 3, 17, 23)
    for offsets in OFFSETS.split(1):
        with torch.inference_mode():
            quick = move(x, offsets)
        assert torch.equal(quick, move(x, offsets))


def test_strokes_stay_where_they_are_on_a_photo_that_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipe = StyleTransferPipeline.from_pretrained()
    picture = photo("coffee")[0]

    def change(on_photo: bool) -> float:
        if not on_photo:
            monkeypatch.setattr(
                pipe.generator, "origin", lambda x: torch.zeros(len(x), 2, dtype=torch.long)
            )
        still, moved = (
            pipe(
                picture[:, start : start + 352, start : start + 352],
                "starry_night_van_gogh",
                output_type="pt",
            ).images[0]
            for start in (20, 16)
        )
        return float((moved[:, 20:-16, 20:-16] - still[:, 16:-20, 16:-20]).abs().mean())

    assert change(True) < 0.7 * change(False)
