"""What a command is to write is looked at before it begins with what takes long, and replaces nothing that nobody named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_model import small_generator

from hfstyle import StyleTransferPipeline
from hfstyle.cli import main

PHOTO, STYLE = "photo.png", "painting.png"
COMMANDS = {
    "stylize": ["stylize", PHOTO, "-s", STYLE, "-o", "out.png"],
    "encode": ["encode", STYLE, "-o", "out.safetensors"],
    "collection": ["encode", PHOTO, STYLE, "--collection", "-o", "out.safetensors"],
    "learn": ["learn", STYLE, "--photos", PHOTO, STYLE, "other.png", "-o", "out.safetensors"],
    "explain": ["explain", PHOTO, "-s", STYLE, "-o", "out.png"],
    "path": ["path", PHOTO, "-s", STYLE, "-s", STYLE, "-o", "out.gif"],
    "preview": ["styles", "--preview", "out.png"],
    "json": ["benchmark", "--sizes", "64", "--repeats", "1", "--json", "out.json"],
    "graphs": ["export-onnx", "-o", "out"],
}
MAKE_FOLDERS = ("encode", "collection", "learn", "graphs")


def picture(seed: int) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((72, 66), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    StyleTransferPipeline(small_generator(0)).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    picture(1).save(PHOTO)
    picture(2).save(STYLE)
    picture(4).save("other.png")
    return tmp_path


@pytest.mark.parametrize("place", ["no folder", "a file's folder", "a folder", "ends in /"])
def test_a_place_that_cannot_be_written_is_told_before_a_model_is_loaded(
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    monkeypatch.setattr(StyleTransferPipeline, "from_pretrained", _never)
    monkeypatch.setattr("hfstyle.benchmark.run.run_benchmark", _never)
    makes = MAKE_FOLDERS if place == "no folder" else ()
    takes = ("stylize", "graphs") if place in ("a folder", "ends in /") else ()
    for command, (*arguments, name) in COMMANDS.items():
        if command in makes or command in takes:
            continue  # that is a place for it
        target = {"no folder": f"nowhere/{name}", "a file's folder": f"{PHOTO}/{name}"}.get(
            place, name
        )
        if place == "a folder":
            Path(name).mkdir(exist_ok=True)
        if place == "ends in /":
            target += "/"
        before = sorted(path.name for path in here.rglob("*"))
        assert main([*arguments, target]) == 2, command
        assert target.removesuffix("/") in capsys.readouterr().err
        assert sorted(path.name for path in here.rglob("*")) == before


def _never(*_: object, **__: object) -> None:
    raise AssertionError("it has begun")


@pytest.mark.parametrize("command", ["collection", "learn"])
def test_a_picture_beside_a_style_replaces_none_but_its_own_kind(
    here: Path, model: str, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    arguments = [*COMMANDS[command], "--model", model, "--quiet"]
    if command == "learn":
        arguments += ["--steps", "1", "--size", "128"]
    picture(3).save("out.jpg")
    kept = Path("out.jpg").read_bytes()
    assert main(arguments) == 1
    assert "out.jpg, where the sheet of pictures would be written" in capsys.readouterr().err
    assert Path("out.jpg").read_bytes() == kept
    assert not Path("out.safetensors").exists()
    Path("out.jpg").unlink()
    assert main(arguments) == 0
    assert main(arguments) == 0  # its own kind
    Path("out.safetensors").unlink()
    assert main([*arguments, "--no-overwrite"]) == 1
    assert "out.jpg exists already" in capsys.readouterr().err


def test_a_folder_of_graphs_that_is_a_file_is_told_as_that(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export-onnx", "-o", PHOTO]) == 2
    assert f"{PHOTO} is a file; give -o the name of a folder" in capsys.readouterr().err
