"""Weights that are no numbers are refused by name; numbers that leave their range while painting are an error, not a black file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_model import small_generator
from torch import Tensor

from hfstyle import Region, StyleCode, StyleTransferPipeline
from hfstyle.cli import main
from hfstyle.models.discriminator import StyleDiscriminator
from hfstyle.styles.space import StyleSpace

PHOTO = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)


def _with(value: float) -> Callable[[Tensor], Tensor]:
    def change(tensor: Tensor) -> Tensor:
        tensor = tensor.clone()
        tensor.view(-1)[0] = value
        return tensor

    return change


DAMAGE: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "bool": (lambda x: x > 0, "torch.bool"),
    "int32": (lambda x: x.to(torch.int32), "torch.int32"),
    "NaN": (_with(float("nan")), "NaN or infinity"),
    "infinity": (_with(float("-inf")), "NaN or infinity"),
}


def _damage(path: Path, name: str, kind: str) -> None:
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    state = load_file(path)
    state[name] = DAMAGE[kind][0](state[name])
    save_file(state, path, header)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    pipe = StyleTransferPipeline(small_generator())
    pipe.presets = {n: pipe.encode_style(PHOTO // (i + 1)) for i, n in enumerate(("noise", "dark"))}
    pipe.save_pretrained(folder)
    StyleSpace.fit(list(pipe.presets.values())).save(folder / "style_space.safetensors")
    return folder


@pytest.mark.parametrize("kind", DAMAGE)
def test_weights_are_refused_and_the_tensor_is_named(
    saved: Path, tmp_path: Path, kind: str
) -> None:
    shutil.copytree(saved, tmp_path / "m")
    _damage(tmp_path / "m" / "model.safetensors", "spread.weight", kind)
    with pytest.raises(ValueError, match=r"spread\.weight") as caught:
        StyleTransferPipeline.from_pretrained(tmp_path / "m")
    assert DAMAGE[kind][1] in str(caught.value)
    assert "model.safetensors" in str(caught.value)


def test_those_of_a_discriminator_are_refused(tmp_path: Path) -> None:
    StyleDiscriminator(widths=(8, 8, 8, 8), style_width=20).save_pretrained(tmp_path)
    _damage(tmp_path / "model.safetensors", "conv1.weight", "NaN")
    with pytest.raises(ValueError, match=r"conv1\.weight"):
        StyleDiscriminator.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("vector", "NaN"), ("tokens", "int32")],
)
def test_style_codes_are_refused(saved: Path, tmp_path: Path, name: str, kind: str) -> None:
    path = Path(shutil.copy(saved / "styles" / "noise.safetensors", tmp_path))
    _damage(path, name, kind)
    with pytest.raises(ValueError, match=rf"noise\.safetensors.*{name}"):
        StyleCode.load(path)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("limits", "infinity"), ("directions", "int32")],
)
def test_style_spaces_are_refused(saved: Path, tmp_path: Path, name: str, kind: str) -> None:
    path = Path(shutil.copy(saved / "style_space.safetensors", tmp_path))
    _damage(path, name, kind)
    with pytest.raises(ValueError, match=rf"style_space\.safetensors.*{name}"):
        StyleSpace.load(path)


def test_float16_weights_are_usable(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "m")
    path = tmp_path / "m" / "model.safetensors"
    save_file({name: x.half() for name, x in load_file(path).items()}, path)
    assert StyleTransferPipeline.from_pretrained(tmp_path / "m").dtype == torch.float32


def _broken() -> StyleTransferPipeline:
    pipe = StyleTransferPipeline(small_generator())
    pipe.presets = {"noise": pipe.encode_style(PHOTO)}
    pipe.generator.blocks_low[0].conv1.weight.data[0] = float("nan")
    return pipe


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tile_size": 64},
        {"processing_resolution": 64},
        {"output_type": "pt", "tile_size": 64},
        {"regions": [Region("left-half", "noise")]},
        {"regions": [Region("left-half", "noise")], "blend": "pixels"},
    ],
)
def test_numbers_out_of_range_are_an_error_that_names_them(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"NaN or infinity in torch\.float32"):
        _broken()(PHOTO, "noise", **options)


def test_so_are_those_of_the_map_of_faces() -> None:
    pipe = StyleTransferPipeline(small_generator())
    next(pipe.generator.faces.parameters()).data[0] = float("nan")
    with pytest.raises(ValueError, match=r"NaN or infinity in torch\.float32"):
        pipe(PHOTO, PHOTO, faces=0.5)


@pytest.mark.parametrize("tile_size", [64, None])
def test_no_file_is_left_of_them(tmp_path: Path, tile_size: int | None) -> None:
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    with pytest.raises(ValueError, match=r"photo\.png.*NaN or infinity"):
        _broken().paint_file(
            tmp_path / "photo.png", tmp_path / "out.png", "noise", tile_size=tile_size
        )
    assert [p.name for p in tmp_path.iterdir()] == ["photo.png"]


def test_the_command_line_says_so_and_leaves_no_file(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(StyleTransferPipeline, "from_pretrained", lambda *_, **__: _broken())
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    code = main(
        [
            "stylize",
            str(tmp_path / "photo.png"),
            "--style",
            "noise",
            "-o",
            str(tmp_path / "out.jpg"),
        ]
    )
    assert code != 0
    assert "NaN or infinity" in capsys.readouterr().err
    assert not (tmp_path / "out.jpg").exists()
