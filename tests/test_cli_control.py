"""The command line's controls over the style: colour, regions and what else moves a style."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_model import small_generator

from hfstyle import StyleTransferPipeline
from hfstyle.cli import main


def picture(height: int, width: int, seed: int) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    pipe = StyleTransferPipeline(small_generator(0))
    pipe.presets = {
        name: pipe.encode_style(picture(70, 80, seed), name=name, metadata=about)
        for seed, (name, about) in enumerate(
            {
                "blue_waves": {
                    "title": "Blue Waves",
                    "artist": "A. Painter",
                    "movement": "Fauvism",
                },
                "red_hills": {"title": "Red Hills", "artist": "B. Writer", "movement": "Cubism"},
            }.items()
        )
    }
    pipe.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    picture(40, 56, 1).save("photo.png")
    picture(90, 80, 3).save("painting.png")
    mask = Image.new("L", (56, 40))
    mask.paste(255, (0, 0, 28, 40))
    mask.save("mask.png")
    return tmp_path


def run(model: str, *arguments: str) -> int:
    return main([*arguments, "--model", model])


def pixels(path: str) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(float)


# --- colour and regions


def test_color_zero_keeps_the_photos_palette(here: Path, model: str) -> None:
    arguments = ("stylize", "photo.png", "--style", "painting.png")
    assert run(model, *arguments, "-o", "styled.png") == 0
    assert run(model, *arguments, "-o", "kept.png", "--color", "0") == 0
    photo, kept, styled = (pixels(f"{name}.png") for name in ("photo", "kept", "styled"))
    assert np.abs(kept.mean((0, 1)) - photo.mean((0, 1))).max() < 1
    assert np.abs(kept - styled).mean() > 1


def test_a_region_in_another_style(here: Path, model: str) -> None:
    base = ("stylize", "photo.png", "--feather", "0")
    assert run(model, *base, "--region", "mask.png", "red_hills", "-o", "one.png") == 0
    one, photo = pixels("one.png"), pixels("photo.png")
    assert np.array_equal(one[:, 28:], photo[:, 28:])
    assert np.abs(one[:, :28] - photo[:, :28]).mean() > 1
    both = (*base, "--style", "blue_waves", "--region", "mask.png", "red_hills")
    assert run(model, *both, "-o", "folder/") == 0
    (file,) = Path("folder").iterdir()
    assert file.name == "photo__blue_waves+red_hills.png"


def test_neither_style_nor_region_is_wrong_usage(
    here: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(model, "stylize", "photo.png") == 2
    assert "--region MASK STYLE" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("nowhere.png", "red_hills"), ("mask.png", "red_hill")])
def test_a_bad_region_is_named(
    here: Path, model: str, capsys: pytest.CaptureFixture[str], words: tuple[str, str]
) -> None:
    assert run(model, "stylize", "photo.png", "--region", *words, "-o", "out.png") == 1
    error = capsys.readouterr().err
    assert (words[0] if words[0] == "nowhere.png" else words[1]) in error
    assert not Path("out.png").exists()
