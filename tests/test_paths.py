"""Paths from style to style, and animations of them."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_model import small_generator

from hfstyle import ImageError, StyleTransferPipeline
from hfstyle.paths import save_animation, style_path

PIPE = StyleTransferPipeline(small_generator())
CODES = [
    PIPE.encode_style(
        torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(s)), name=str(s)
    )
    for s in range(3)
]


def test_a_path_begins_and_ends_at_its_styles_with_even_steps() -> None:
    path = style_path(CODES[:2], 11)
    assert len(path) == 11
    torch.testing.assert_close(path[0].vector, CODES[0].vector)
    torch.testing.assert_close(path[-1].tokens, CODES[1].tokens)
    steps = torch.stack([b.vector - a.vector for a, b in pairwise(path)])
    torch.testing.assert_close(steps, steps[:1].expand_as(steps), atol=1e-5, rtol=1e-4)


def test_steps_away_from_grey_are_shorter() -> None:
    grey = torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(5)).expand(3, -1, -1)
    codes = [PIPE.encode_style(grey), CODES[0]]
    for path in (style_path(codes, 11), style_path(codes[::-1], 11)[::-1]):
        steps = [float((b.vector - a.vector).norm()) for a, b in pairwise(path)]
        assert steps[0] < 0.6 * steps[-1]
        assert sum(steps) == pytest.approx(float((codes[1].vector - codes[0].vector).norm()))


def test_a_path_passes_through_all_its_styles() -> None:
    path = style_path(CODES, 5)
    for place, code in zip((0, 2, 4), CODES, strict=True):
        torch.testing.assert_close(path[place].vector, code.vector)
    closed = style_path(CODES, 6, close=True)
    for place, code in zip((0, 2, 4), CODES, strict=True):
        torch.testing.assert_close(closed[place].vector, code.vector)
    halfway = CODES[2].toward(CODES[0], 0.5)
    torch.testing.assert_close(closed[5].vector, halfway.vector)


def test_bad_paths_are_named() -> None:
    with pytest.raises(ValueError, match="at least 2 styles, got 1"):
        style_path(CODES[:1])
    with pytest.raises(ValueError, match="steps is 2 for 3 styles"):
        style_path(CODES, 2)


def test_along_a_path_the_picture_moves_smoothly() -> None:
    """No step of the pixels is larger than three times the mean step."""
    photo = torch.rand(3, 48, 48, generator=torch.Generator().manual_seed(9))
    images = [PIPE(photo, code, output_type="pt").images[0] for code in style_path(CODES[:2], 11)]
    steps = [float((b - a).abs().mean()) for a, b in pairwise(images)]
    assert max(steps) <= 3 * sum(steps) / len(steps)


def frames(count: int = 4) -> list[Image.Image]:
    return [Image.new("RGB", (41, 30), (60 * i, 0, 255 - 60 * i)) for i in range(count)]


def test_a_gif_has_its_frames_forth_and_back(tmp_path: Path) -> None:
    save_animation(frames(), tmp_path / "a.gif", frames_per_second=10)
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 6  # type: ignore[attr-defined]
        assert gif.size == (41, 30)
        assert gif.info["duration"] == 100
        assert gif.info["loop"] == 0
        reds = []
        for index in range(6):
            gif.seek(index)
            reds.append(gif.convert("RGB").getpixel((20, 15))[0])  # type: ignore[index]
    assert reds == pytest.approx([0, 60, 120, 180, 120, 60], abs=12)


def test_an_mp4_has_its_frames_in_their_order_and_colours(tmp_path: Path) -> None:
    pytest.importorskip("av")
    from hfstyle.film import film_facts, read_frames

    film = tmp_path / "a.mp4"
    save_animation(frames(), film, frames_per_second=10)
    facts = film_facts(film)
    assert facts.size == (40, 30)  # 41 px cropped to an even number
    assert facts.rate == 10
    shown = np.stack([frame.rgb for frame in read_frames(film)])
    assert shown[:, 15, 20, 0] == pytest.approx([0, 60, 120, 180, 120, 60], abs=12)
    assert shown[:, 15, 20, 2] == pytest.approx([255, 195, 135, 75, 135, 195], abs=12)


def test_what_ffmpeg_cannot_write_is_said(tmp_path: Path) -> None:
    pytest.importorskip("av")
    (tmp_path / "a.mp4").mkdir()
    with pytest.raises(ImageError, match=r"a\.mp4 is a folder"):
        save_animation(frames(), tmp_path / "a.mp4")
    with pytest.raises(ImageError, match="too small"):
        save_animation([Image.new("RGB", (1, 1))] * 2, tmp_path / "b.mp4")


def test_bad_animations_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageError, match=r"a\.png has the suffix"):
        save_animation(frames(), tmp_path / "a.png")
    with pytest.raises(ImageError, match="1 pictures"):
        save_animation(frames(1), tmp_path / "a.gif")
    with pytest.raises(ImageError, match="all of one size"):
        save_animation([*frames(), Image.new("RGB", (9, 9))], tmp_path / "a.gif")
    with pytest.raises(ValueError, match="frames_per_second is 0"):
        save_animation(frames(), tmp_path / "a.gif", frames_per_second=0)
    with pytest.raises(ImageError, match="no folder"):
        save_animation(frames(), tmp_path / "nowhere" / "a.gif")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ModuleNotFoundError, match=r"package av.*hfstyle\[video\]"):
        save_animation(frames(), tmp_path / "a.mp4")
