"""The command line's controls over the style: colour, regions and what else moves a style."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_model import small_generator

from hfstyle import StyleCode, StyleTransferPipeline
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
    assert file.name == "photo.png__blue_waves+red_hills.png"


def test_several_photos_in_several_styles_become_one_picture(here: Path, model: str) -> None:
    picture(40, 56, 8).save("other.png")
    base = ("stylize", "photo.png", "--feather", "0")
    shown = ("--region-photo", "mask.png", "none", "other.png")
    assert run(model, *base, *shown, "-o", "one.png") == 0
    one, photo, other = pixels("one.png"), pixels("photo.png"), pixels("other.png")
    assert np.array_equal(one[:, 28:], photo[:, 28:])
    assert np.array_equal(one[:, :28], other[:, :28])
    styled = ("--style", "blue_waves", "--region-photo", "mask.png", "red_hills", "other.png")
    assert run(model, *base, *styled, "-o", "two.png") == 0
    assert np.abs(pixels("two.png")[:, :28] - other[:, :28]).mean() > 1
    assert run(model, *base, "--region-photo", "mask.png", "none", "gone.png", "-o", "x.png") == 1


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


# --- words, chance, lists


def test_styles_by_words_and_by_chance(here: Path, model: str) -> None:
    base = ("stylize", "photo.png")
    assert run(model, *base, "--style-words", "a cubist picture", "-o", "words.png") == 0
    assert run(model, *base, "--style", "words:cubism", "-o", "prefix.png") == 0
    assert np.array_equal(pixels("words.png"), pixels("prefix.png"))
    for name, seed in (("one", "7"), ("same", "7"), ("other", "8")):
        assert run(model, *base, "--style", f"random:{seed}", "-o", f"{name}.png") == 0
    assert np.array_equal(pixels("one.png"), pixels("same.png"))
    assert not np.array_equal(pixels("one.png"), pixels("other.png"))


def test_bad_words_and_seeds_are_named(
    here: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(model, "stylize", "photo.png", "--style-words", "zzz", "-o", "out.png") == 1
    assert "none of the words of 'zzz'" in capsys.readouterr().err
    assert run(model, "stylize", "photo.png", "--style", "random:x", "-o", "out.png") == 1
    assert "give a whole number" in capsys.readouterr().err


def test_styles_are_searched_and_shown(
    here: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(model, "styles", "--search", "fauvist paintings") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["NAME", "TITLE", "ARTIST", "YEAR", "MOVEMENT", "MATCHED"]
    assert [line.split()[0] for line in lines[1:]] == ["blue_waves"]
    assert run(model, "styles", "--preview", "sheet.png", "--photo", "photo.png") == 0
    assert Image.open("sheet.png").width > 2 * 256
    assert run(model, "styles", "--search", "zzzz") == 1


# --- collections, paths, explanations


def test_a_collection_gives_its_representatives_and_a_sheet(
    here: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("art").mkdir()
    for seed in range(4):
        picture(64, 64, 20 + seed // 2).save(f"art/{seed}.png")
    words = ("encode", "art", "-o", "art.style.safetensors", "--photo", "photo.png")
    assert run(model, *words, "--clusters", "2", "--artist", "Me") == 0
    printed = capsys.readouterr().out.split()
    assert printed == ["art-1.style.safetensors", "art-2.style.safetensors", "art.jpg"]
    code = StyleCode.load("art-1.style.safetensors")
    assert (code.metadata["artist"], code.metadata["pictures"]) == ("Me", "2")
    assert run(model, *words, "--collection") == 0
    assert Path("art.style.safetensors").is_file()
    assert run(model, *words, "--clusters", "9") == 1
    assert "clusters is 9" in capsys.readouterr().err
    Path("art/notes.png").write_text("these are notes")
    assert run(model, *words, "--clusters", "2") == 1
    told = capsys.readouterr()
    assert told.out.split() == printed
    assert "art/notes.png" in told.err
    assert "the files are styles of the other 4" in told.err
    assert run(model, *words, "--clusters", "5") == 1
    assert "art/notes.png" in (told := capsys.readouterr().err)
    assert "clusters is 5 for 4 pictures" in told


def test_a_path_is_an_animation(here: Path, model: str) -> None:
    styles = ("-s", "blue_waves", "-s", "red_hills")
    assert run(model, "path", "photo.png", *styles, "-o", "a.gif", "--steps", "4") == 0
    with Image.open("a.gif") as gif:
        assert (gif.size, gif.n_frames) == ((56, 40), 6)  # type: ignore[attr-defined]
    assert run(model, "path", "photo.png", *styles, "-o", "a.png") == 2
    assert run(model, "path", "photo.png", *styles, "-o", "nowhere/a.gif", "--steps", "2") == 2
    assert run(model, "path", "photo.png", "-s", "blue_waves", "-o", "a.gif") == 2


def test_a_path_is_a_film_where_av_is(
    here: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("path", "photo.png", "-s", "blue_waves", "-s", "red_hills", "-o", "a.mp4")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "av", None)
        assert run(model, *words) == 1
        assert "hfstyle[video]" in capsys.readouterr().err
        assert not (here / "a.mp4").exists()
    pytest.importorskip("av")
    assert run(model, *words, "--steps", "3") == 0
    assert b"ftyp" in (here / "a.mp4").read_bytes()[:16]


def test_explain_writes_a_picture_and_names_the_nearest(
    here: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for style in ("blue_waves", "painting.png", "words:cubism"):
        assert run(model, "explain", "photo.png", "-s", style, "-o", "e.png") == 0
        out = capsys.readouterr().out
        assert out.splitlines()[0] == "e.png"
        assert {"blue_waves", "red_hills"} <= set(out.split())
    assert Image.open("e.png").width > 700
    assert run(model, "explain", "photo.png", "-s", "blue_wave") == 1
    assert "did you mean: blue_waves" in capsys.readouterr().err


def test_a_style_is_explained_at_the_size_that_was_asked_for(here: Path, model: str) -> None:
    for size in ("64", "256"):
        words = ("explain", "photo.png", "-s", "painting.png", "--style-size", size)
        assert run(model, *words, "-o", f"{size}.png") == 0
    assert not np.array_equal(pixels("64.png"), pixels("256.png"))
