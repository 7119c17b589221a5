"""What cannot be right is said before anything is painted or written, in a sentence that names it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_model import small_generator

from hfstyle import Region, StyleCode, StyleGenerator, StyleTransferPipeline
from hfstyle.batch import stylize_dataset
from hfstyle.cli import main
from hfstyle.images.sources import open_source
from hfstyle.styles.code import StyleCodeError
from training.data.sources import open_pictures

PIPE = StyleTransferPipeline(small_generator())
PHOTO = torch.rand(3, 64, 80, generator=torch.Generator().manual_seed(0))
CODE = PIPE.encode_style(PHOTO)


@pytest.mark.parametrize("what", ["vector", "tokens"])
def test_a_code_with_numbers_that_no_style_has_is_refused(what: str) -> None:
    wild = getattr(CODE, what).clone()
    wild.view(-1)[3] = -1e30
    with pytest.raises(
        StyleCodeError, match=rf"{what} .* up to 1e\+30; a style's lie within 10000"
    ):
        replace(CODE, **{what: wild})
    CODE.toward(replace(CODE, vector=CODE.vector + 1), 100)  # far beyond is not too far


@pytest.mark.parametrize("what", ["vector", "tokens"])
def test_a_code_of_the_right_encoder_but_another_shape_is_told(what: str, tmp_path: Path) -> None:
    cut = replace(CODE, **{what: getattr(CODE, what)[:-1]}, name="cut")
    cut.save(tmp_path / "cut.style.safetensors")
    for style in (cut, tmp_path / "cut.style.safetensors"):
        with pytest.raises(
            StyleCodeError, match=r"'cut' has a vector of shape .* this model takes"
        ):
            PIPE(PHOTO, style)
        with pytest.raises(StyleCodeError, match="'cut' has a vector of shape"):
            PIPE(PHOTO, None, regions=[Region("left-half", style)])


@pytest.mark.parametrize(
    "wrong",
    [{"heads": 3}, {"blocks": [1, 0, 1]}, {"heads": "2"}],
)
def test_a_config_whose_numbers_make_no_network_is_refused(
    wrong: dict[str, Any], tmp_path: Path
) -> None:
    PIPE.generator.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **wrong}))
    name = next(iter(wrong)) if wrong != {"heads": 3} else "multiple of heads"
    with pytest.raises(ValueError, match=rf"config.json .* values that are none of .*{name}"):
        StyleGenerator.from_pretrained(tmp_path)


def test_weights_that_could_not_be_loaded_are_not_written(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    from hfstyle.graphs.export import export_onnx

    pipe = StyleTransferPipeline(small_generator())
    with torch.no_grad():
        pipe.generator.style1.weight[0, 0] = torch.nan
    for write in (pipe.save_pretrained, lambda folder: export_onnx(pipe, folder)):
        with pytest.raises(ValueError, match=r"NaN or infinity: style1\.weight"):
            write(tmp_path / "out")
    with pytest.raises(ValueError, match=r"NaN or infinity: style1\.weight"):
        pipe.learn_style([PHOTO], [PHOTO, 1 - PHOTO], steps=1, size=128)
    assert not list(tmp_path.rglob("*.safetensors"))
    assert not list(tmp_path.rglob("*.onnx"))


def test_graphs_are_not_written_into_a_file(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    from hfstyle.graphs.export import export_onnx

    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotADirectoryError, match="is a file; give the name of a folder"):
        export_onnx(PIPE, tmp_path / "file")


def test_what_cannot_be_called_is_refused_before_the_painting(tmp_path: Path) -> None:
    given: Any = "progress"
    calls = [
        lambda: PIPE(PHOTO, "no such file.png", progress_callback=given),
        lambda: PIPE.paint_file("no.png", tmp_path / "a.png", CODE, progress_callback=given),
        lambda: PIPE.learn_style([PHOTO], [PHOTO, PHOTO], progress_callback=given),
        lambda: stylize_dataset(PIPE, "no folder", [CODE], tmp_path, progress_callback=given),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="progress_callback is 'progress'; give a function"):
            call()


def test_a_web_address_is_no_data_set(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    address = "https://example.org/photos"
    with pytest.raises(ValueError, match=f"{address} is a web address; download it"):
        open_source(address, split="train", image_column="image", revision=None)
    with pytest.raises(ValueError, match=f"{address} is a web address; download"):
        open_pictures(None, address)
    target = tmp_path / "a.safetensors"
    assert main(["encode", "--dataset", address, "-o", str(target)]) == 1
    assert f"{address} is a web address" in capsys.readouterr().err


def test_numbers_of_a_code_are_checked_when_its_file_is_read(tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    file = tmp_path / "wild.style.safetensors"
    CODE.save(file)
    with safe_open(file, framework="pt") as opened:
        header = opened.metadata()
    save_file({"vector": CODE.vector + 1e20, "tokens": CODE.tokens}, file, header)
    with pytest.raises(StyleCodeError, match=r"wild.* has values up to"):
        StyleCode.load(file)
