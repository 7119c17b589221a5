"""A photo and its painting as a film with a moving line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from hfstyle import ImageError
from hfstyle.film import film_facts, read_frames, save_before_after

RED, BLUE = (Image.new("RGB", (96, 64), color) for color in ("#c03020", "#2030c0"))


def share_of_red(rgb: np.ndarray) -> float:
    return float((rgb[..., 0] > rgb[..., 2].astype(int) + 40).mean())


def test_the_line_passes_from_the_middle_to_both_ends_and_back(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    film = tmp_path / "a.gif"
    save_before_after(RED, BLUE, film, progress_callback=lambda *x: told.append(x))
    with Image.open(film) as moving:
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(moving)]
        lasting = sum(frame.info["duration"] for frame in ImageSequence.Iterator(moving))
    shares = [share_of_red(rgb) for rgb in frames]
    assert shares[0] == pytest.approx(0.5, abs=0.05)
    assert (min(shares), max(shares)) == (0, 1)
    assert shares.index(min(shares)) < shares.index(max(shares))
    left, right = frames[0][:, :40], frames[0][:, 56:]
    assert share_of_red(left) == 1
    assert share_of_red(right) == 0
    assert lasting == pytest.approx(4000, abs=50)
    assert told == [(i, 60) for i in range(1, 61)]


def test_large_pictures_are_reduced_and_small_ones_stay(tmp_path: Path) -> None:
    pytest.importorskip("av")
    save_before_after(RED, BLUE, tmp_path / "a.mp4", size=32, seconds=1)
    assert film_facts(tmp_path / "a.mp4").size == (48, 32)
    save_before_after(RED, BLUE, tmp_path / "b.webm", seconds=1)
    assert film_facts(tmp_path / "b.webm").size == (96, 64)
    assert len(list(read_frames(tmp_path / "b.webm"))) == 15


def test_bad_requests_get_a_sentence_and_no_file(tmp_path: Path) -> None:
    target = tmp_path / "a.gif"
    for options, words in (
        ({"size": 8}, "size is 8"),
        ({"seconds": 0.5}, "seconds is 0.5"),
        ({"after": BLUE.resize((40, 40))}, "96 x 64 px and 40 x 40 px"),
        ({"path": tmp_path / "a.png"}, "has the suffix '.png'"),
        ({"path": tmp_path / "no" / "a.gif"}, "there is no folder"),
    ):
        with pytest.raises((ValueError, ImageError), match=words):
            save_before_after(**{"before": RED, "after": BLUE, "path": target, **options})  # type: ignore[arg-type]

    def stop(done: int, total: int) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        save_before_after(RED, BLUE, target, progress_callback=stop)
    assert list(tmp_path.iterdir()) == []
