"""How much a film flickers is measured against its own motion."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av")
pytest.importorskip("cv2")

from film_clips import panned, timed, write_clip

from hfstyle.cli import main
from hfstyle.evaluation.films import format_measures, measure_films
from hfstyle.film import VideoError


def test_what_moves_with_the_film_does_not_flicker() -> None:
    frames = panned(14, 96, 128, step=2)
    random = np.random.default_rng(0)
    moving = [255 - f for f in frames]
    flickering = [
        np.clip(f + random.normal(0, 10, f.shape), 0, 255).astype(np.uint8) for f in moving
    ]
    found = measure_films(timed(frames), {"moving": iter(moving), "flickering": iter(flickering)})
    own, good, bad = (found[name].errors for name in ("the film itself", "moving", "flickering"))
    for lag in (1, 10):
        assert good[lag] == pytest.approx(own[lag], abs=0.1)
        assert good[lag] < 2  # type: ignore[operator]
        # Two noises of deviation 10: the mean of the absolute difference is 10 * 2 / sqrt(pi).
        assert bad[lag] == pytest.approx(11.3, abs=1.5)


def test_what_lags_behind_is_found_at_the_longer_lag() -> None:
    """Texture that is nailed to the screen while the film moves."""
    frames = panned(14, 96, 128, step=1)
    nailed = [frames[0]] * 14
    errors = measure_films(timed(frames), {"nailed": iter(nailed)})["nailed"].errors
    assert errors[10] > 2 * errors[1] > 2  # type: ignore[operator]


def test_a_short_or_other_painting_is_named() -> None:
    frames = panned(4)
    with pytest.raises(VideoError, match=r"short has 2 frames, fewer"):
        measure_films(timed(frames), {"short": iter(frames[:2])})
    with pytest.raises(VideoError, match="small: frames of 64 x 64 px"):
        measure_films(timed(frames), {"small": iter([np.zeros((64, 64, 3), np.uint8)] * 4)})
    with pytest.raises(VideoError, match="at least 2"):
        measure_films(timed(frames[:1]), {})


def test_a_short_film_has_no_long_lag() -> None:
    found = measure_films(timed(panned(3)), {})
    assert found["the film itself"].errors[10] is None
    assert format_measures(found)[1][2] == "-"


def test_the_command_prints_a_table_for_films_and_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = panned(12)
    film = write_clip(tmp_path / "in.mp4", frames)
    other = write_clip(tmp_path / "other.mp4", [255 - f for f in frames])
    folder = tmp_path / "frames"
    folder.mkdir()
    for index, rgb in enumerate(frames):
        Image.fromarray(rgb).save(folder / f"{index:04d}.png")
    numbers = tmp_path / "n.json"
    words = [
        "evaluate",
        "--video",
        str(film),
        "--painted",
        str(other),
        str(folder),
        "--json",
        str(numbers),
    ]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["PAINTED", "BY", "LAG", "1", "LAG", "10"]
    assert [line.split()[0] for line in lines[1:]] == ["the", str(other), str(folder)]
    results = json.loads(numbers.read_text())["results"]
    assert results[str(folder)]["warping_error"]["1"] < 2


def test_the_model_paints_what_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = write_clip(tmp_path / "in.mp4", panned(12, 96, 128))
    assert main(["evaluate", "--video", str(film), "--style", "franz_marc", "--each-layer"]) == 0
    rows = {line[:23].strip(): line[23:].split() for line in capsys.readouterr().out.splitlines()}
    assert float(rows["all layers"][0]) < 0.6 * float(rows["frame by frame"][0])
    alone = {"statistics alone", "coarse alone", "finished alone"}
    assert alone | {"statistics and coarse"} <= rows.keys()


def test_options_that_do_not_belong_together_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, said in (
        (["--video", "a.mp4", "--contents", "x"], "leave out the options about pictures"),
        (["--video", "a.mp4"], "give the style"),
        (["--video", "a.mp4", "--painted", "b.mp4", "--model", "x"], "leave out --model"),
        ([], "--contents and --styles, or --video"),
    ):
        assert main(["evaluate", *words]) == 2
        assert said in capsys.readouterr().err


def test_numbers_never_replace_what_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = write_clip(tmp_path / "in.mp4", panned(3))
    other = write_clip(tmp_path / "other.mp4", panned(3))
    for target in (film, other):
        before = target.read_bytes()
        words = ["evaluate", "--video", str(film), "--painted", str(other), "--json", str(target)]
        assert main(words) == 2
        assert "give another --json" in capsys.readouterr().err
        assert target.read_bytes() == before
    words = ["evaluate", "--video", str(film), "--painted", str(other)]
    assert main([*words, "--json", str(tmp_path / "nowhere" / "n.json")]) == 2
    assert "no folder" in capsys.readouterr().err
