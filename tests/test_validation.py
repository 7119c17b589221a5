"""What a training run is looked at by: pictures it never sees, painted as a user would have them, and its curves."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_model import small_generator

from hfstyle import StyleTransferPipeline
from training.data.held import hold_out
from training.data.sources import FolderSource, HubStream
from training.run.report import save_curves
from training.run.validation import held_pictures, pictures_to_show, save_grid


def picture(side: int, seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)


def test_what_is_held_out_is_not_trained_on(tmp_path: Path) -> None:
    for number in range(23):
        picture(32, number).save(tmp_path / f"{number:02}.png")
    files = sorted(tmp_path.iterdir())
    rest, held = hold_out(FolderSource("pictures", files))
    assert held is not None
    assert not isinstance(rest, HubStream)
    apart = [{source[k].data for k in range(len(source))} for source in (rest, held)]
    assert len(apart[1]) == 4
    assert not apart[0] & apart[1]
    assert apart[0] | apart[1] == set(files)
    files[0].write_bytes(b"nothing")  # the first is held out
    assert len(held_pictures(held)) == 3


def test_a_small_or_streamed_source_is_left_whole(tmp_path: Path) -> None:
    for source in (FolderSource("few", [tmp_path / "a.png"] * 4), HubStream("a/b", None, "image")):
        assert hold_out(source) == (source, None)
        assert held_pictures(None) == []


def test_few_pictures_are_shown_though_they_are_trained_on_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = [tmp_path / f"{number}.png" for number in range(6)]
    for number, file in enumerate(files):
        picture(32, number).save(file)
    with caplog.at_level(logging.INFO):
        few = FolderSource("few", files[:4])
        assert len(pictures_to_show("style", few, hold_out(few)[1])) == 4
    assert "none of 4 style pictures are held out" in caplog.text
    enough = FolderSource("enough", files)
    assert len(pictures_to_show("style", enough, hold_out(enough)[1])) == 1
    assert pictures_to_show("style", HubStream("a/b", None, "image"), None) == []


def test_the_grid_shows_what_the_pipeline_paints(tmp_path: Path) -> None:
    generator = small_generator()
    photo, style = picture(64, 1), picture(70, 2)
    pipe = StyleTransferPipeline(small_generator())
    expected = [pipe(photo, style, x).images[0] for x in (1.0, 0.25, 0.5, 0.75)]
    generator.train()
    save_grid(generator, [photo], [style], tmp_path / "grid.png", 64)
    assert generator.training
    grid = Image.open(tmp_path / "grid.png")
    assert grid.size == (5 * 64, 2 * 64)
    for column, painted in enumerate([photo, *expected]):
        cell = grid.crop((64 * column, 64, 64 * (column + 1), 128))
        assert np.array_equal(np.asarray(cell), np.asarray(painted))


def test_every_term_of_the_loss_has_a_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = pytest.importorskip("matplotlib.axes")
    drawn: list[str] = []
    plot = axes.Axes.plot

    def spy(self: Any, *points: Any, **options: Any) -> Any:
        drawn.append(options["label"])
        return plot(self, *points, **options)

    monkeypatch.setattr(axes.Axes, "plot", spy)
    names = ["loss_style", "loss_halo", "loss_of_another_kind"]
    rows = [{"step": k, "pairs": 4 * k} | dict.fromkeys(names, 1.0 / k) for k in (1, 2)]
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    save_curves(log, tmp_path / "curves.png")
    assert set(names) <= set(drawn)
    assert (tmp_path / "curves.png").is_file()
