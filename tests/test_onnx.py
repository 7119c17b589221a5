"""`hfstyle export-onnx` and `StyleTransferPipeline.from_onnx`: the same pictures from graphs."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small_model import small_generator

from hfstyle import StyleCode, StyleTransferPipeline
from hfstyle.benchmark.run import format_results, measure
from hfstyle.cli import main
from hfstyle.graphs.export import export_onnx
from hfstyle.models.style_encoder import Condition

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

pytestmark = pytest.mark.slow  # the export, once for all
CLOSE = 1e-4


@pytest.fixture(scope="module")
def torch_pipe(graphs: Path) -> StyleTransferPipeline:
    """What was exported."""
    pipe = StyleTransferPipeline(small_generator())
    pipe.presets = {"waves": StyleCode.load(graphs / "styles" / "waves.safetensors")}
    return pipe


@pytest.fixture(scope="module")
def onnx_pipe(graphs: Path) -> StyleTransferPipeline:
    return StyleTransferPipeline.from_onnx(graphs, threads=1)


def picture(height: int, width: int, seed: int = 0) -> Image.Image:
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / (5 + c) + seed) + np.cos(y / (7 - c)) for c in range(3)], -1)
    noise = random.normal(0, 12, (height, width, 3))
    return Image.fromarray((120 + 50 * waves + noise).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("size", "strength"),
    [((64, 160), 0.0), ((64, 160), 0.6), ((256, 96), 1.0)],
)
def test_the_generators_graph_agrees_with_torch(
    torch_pipe: StyleTransferPipeline,
    onnx_pipe: StyleTransferPipeline,
    size: tuple[int, int],
    strength: float,
) -> None:
    content = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    code = torch_pipe.presets["waves"]
    condition = Condition(code.vector[None], code.tokens[None])
    with torch.inference_mode():
        expected = torch_pipe.generator(content, condition, torch.tensor([strength]))
    painted = onnx_pipe.generator(content, condition, torch.tensor([strength]))
    assert (painted - expected).abs().max() <= CLOSE
    if strength == 0:
        assert torch.equal(painted, content)


def test_wherever_the_grid_begins_a_photo_is_painted_as_by_torch(
    torch_pipe: StyleTransferPipeline, onnx_pipe: StyleTransferPipeline
) -> None:
    photo = np.random.default_rng(5).integers(0, 256, (96, 144, 3), np.uint8)
    code, origins = torch_pipe.presets["waves"], set()
    for step in range(8):
        part = photo[3 * step : 3 * step + 64, 5 * step : 5 * step + 96]
        content = torch.from_numpy(part / np.float32(255)).permute(2, 0, 1)[None]
        origins.add(tuple(torch_pipe.generator.origin(content)[0].tolist()))
        expected, found = (
            pipe(part, code, output_type="pt").images[0] for pipe in (torch_pipe, onnx_pipe)
        )
        assert (found - expected).abs().max() <= CLOSE
    for sign in (-1, 1):  # padded, and less than padded, at either end
        assert any(sign * down > 0 for down, _ in origins)
        assert any(sign * right > 0 for _, right in origins)


def test_outlines_are_kept_as_by_torch(
    torch_pipe: StyleTransferPipeline, onnx_pipe: StyleTransferPipeline
) -> None:
    photo, options = picture(96, 128), {"outlines": 1.0, "output_type": "pt"}
    code = torch_pipe.presets["waves"]
    expected, plain = (
        torch_pipe(photo, code, **(options | more)).images[0] for more in ({}, {"outlines": 0.0})
    )
    assert (onnx_pipe(photo, code, **options).images[0] - expected).abs().max() <= CLOSE
    assert (expected - plain).abs().max() > 10 * CLOSE


def test_a_graph_without_that_input_paints_as_before_and_says_what_it_lacks(
    torch_pipe: StyleTransferPipeline, graphs: Path, tmp_path: Path
) -> None:
    import onnx

    older = tmp_path / "older"
    shutil.copytree(graphs, older)
    model = onnx.load(older / "generator.onnx")
    given = next(entry for entry in model.graph.input if entry.name == "outlines")
    model.graph.input.remove(given)
    nothing = onnx.numpy_helper.from_array(np.zeros(1, np.float32), "outlines")
    model.graph.initializer.append(nothing)
    onnx.save(model, older / "generator.onnx")
    pipe = StyleTransferPipeline.from_onnx(older, threads=1)
    photo, code = picture(96, 128), torch_pipe.presets["waves"]
    expected = torch_pipe(photo, code, output_type="pt").images[0]
    assert (pipe(photo, code, output_type="pt").images[0] - expected).abs().max() <= CLOSE
    with pytest.raises(ValueError, match=r"outlines is 0\.5, but .*export-onnx again"):
        pipe(photo, code, outlines=0.5)


@pytest.mark.parametrize("size", [(64, 64), (90, 357)])
def test_the_encoders_graph_agrees_with_torch(
    torch_pipe: StyleTransferPipeline, onnx_pipe: StyleTransferPipeline, size: tuple[int, int]
) -> None:
    style = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        expected = torch_pipe.generator.encode(style)
    found = onnx_pipe.generator.encode(style)
    assert (found.vector - expected.vector).abs().max() <= CLOSE
    assert (found.tokens - expected.tokens).abs().max() <= CLOSE


@pytest.mark.parametrize("size", [(33, 47), (130, 61)])
def test_pictures_of_any_size_are_those_of_torch(
    torch_pipe: StyleTransferPipeline, onnx_pipe: StyleTransferPipeline, size: tuple[int, int]
) -> None:
    options = {"strength": 0.8, "output_type": "np", "style_size": 96}
    photo, style = picture(*size), picture(120, 100, 2)
    expected = torch_pipe(photo, style, **options).images
    found = onnx_pipe(photo, style, **options).images
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= CLOSE


def test_processing_resolution_works(
    torch_pipe: StyleTransferPipeline, onnx_pipe: StyleTransferPipeline
) -> None:
    options = {"processing_resolution": 64, "output_type": "np"}
    code = torch_pipe.presets["waves"]
    expected = torch_pipe(picture(140, 150), code, **options).images
    assert np.abs(onnx_pipe(picture(140, 150), code, **options).images - expected).max() <= CLOSE


def test_random_styles_are_those_of_torch(tmp_path: Path, graphs: Path) -> None:
    """With a style space in the model, and without, where it is fitted to the presets."""
    for with_space in (True, False):
        pipe = StyleTransferPipeline(small_generator())
        pictures = [picture(70, 80, seed) for seed in range(4)]
        pipe.presets = {f"p{k}": pipe.encode_style(p) for k, p in enumerate(pictures)}
        model, folder = tmp_path / f"model{with_space}", tmp_path / f"graphs{with_space}"
        pipe.save_pretrained(model)
        if with_space:
            pipe.style_space.save(model / "style_space.safetensors")
        shutil.copytree(graphs, folder)
        for name in ("encoder.onnx", "generator.onnx"):  # the slow part is done already
            assert (folder / name).is_file()
        shutil.rmtree(folder / "styles")
        loaded = StyleTransferPipeline.from_pretrained(model)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("hfstyle.graphs.export._write", lambda *_: None)
            export_onnx(loaded, folder)
        expected = loaded.sample_style(7)
        found = StyleTransferPipeline.from_onnx(folder).sample_style(7)
        assert (found.vector - expected.vector).abs().max() <= CLOSE
        assert (found.tokens - expected.tokens).abs().max() <= CLOSE


def test_styles_of_either_belong_to_both(
    torch_pipe: StyleTransferPipeline, onnx_pipe: StyleTransferPipeline
) -> None:
    assert list(onnx_pipe.presets) == ["waves"]
    code = onnx_pipe.encode_style(picture(80, 90, 4))
    mixed = StyleCode.mix([code, onnx_pipe.preset("waves")])
    torch_pipe(picture(40, 40), mixed)
    onnx_pipe(picture(40, 40), mixed)


def test_a_copy_has_its_graphs(onnx_pipe: StyleTransferPipeline) -> None:
    twin = pickle.loads(pickle.dumps(onnx_pipe))
    expected, found = (
        p(picture(70, 90), "waves", output_type="np").images for p in (onnx_pipe, twin)
    )
    np.testing.assert_array_equal(found, expected)


def test_what_the_graphs_cannot_do_is_told(onnx_pipe: StyleTransferPipeline) -> None:
    assert onnx_pipe.to("cpu") is onnx_pipe
    for wrong in ("cuda", torch.bfloat16):
        with pytest.raises(ValueError, match="from_pretrained"):
            onnx_pipe.to(wrong)
    with pytest.raises(ValueError, match="no tiles"):
        onnx_pipe(picture(100, 200), onnx_pipe.preset("waves"), tile_size=64)
    large = np.zeros((2049, 2048, 3), np.uint8)
    with pytest.raises(ValueError, match=r"2048 x 2049 px .* 4,194,304 .* processing_resolution"):
        onnx_pipe(large, onnx_pipe.preset("waves"), processing_resolution="full")
    assert onnx_pipe(large, onnx_pipe.preset("waves"), processing_resolution=64).images[0].size == (
        2048,
        2049,
    )
    with pytest.raises(ValueError, match="cannot be saved"):
        onnx_pipe.save_pretrained("anywhere")


def test_a_folder_that_is_not_whole_is_named(graphs: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"onnx\.json"):
        StyleTransferPipeline.from_onnx(tmp_path / "nowhere")
    copy = tmp_path / "copy"
    shutil.copytree(graphs, copy)
    (copy / "generator.onnx").write_bytes(b"not a graph")
    with pytest.raises(ValueError, match=r"generator\.onnx cannot be run"):
        StyleTransferPipeline.from_onnx(copy)
    (copy / "onnx.json").write_text("{}")
    with pytest.raises(ValueError, match=r"onnx\.json is damaged"):
        StyleTransferPipeline.from_onnx(copy)


def test_the_graphs_are_described(graphs: Path) -> None:
    facts = json.loads((graphs / "onnx.json").read_text())
    assert facts["size_multiple"] == 32
    assert facts["encoder"] == StyleTransferPipeline.from_onnx(graphs).presets["waves"].encoder
    assert {path.name for path in graphs.iterdir()} == {
        *("encoder.onnx", "faces.onnx", "generator.onnx", "onnx.json", "styles")
    }


def test_the_benchmark_tells_it_beside_torch(
    graphs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = str(tmp_path / "model")
    small_generator().save_pretrained(model)

    def export_onnx(pipe: StyleTransferPipeline, folder: str) -> None:
        """The graphs of the same model, which are exported already."""
        assert pipe.generator.encoder_fingerprint() in (graphs / "onnx.json").read_text()
        shutil.copytree(graphs, folder, dirs_exist_ok=True)

    monkeypatch.setattr("hfstyle.graphs.export.export_onnx", export_onnx)

    def case(command: list[str], **options: Any) -> SimpleNamespace:
        given = json.loads(command[-1])
        return SimpleNamespace(returncode=0, stderr="", stdout=json.dumps(measure(**given)))

    monkeypatch.setattr(subprocess, "run", case)
    options = ["--sizes", "64", "--dtype", "float32", "bfloat16", "--backend", "torch", "onnx"]
    command = ["benchmark", *options, "--repeats", "1", "--device", "cpu", "--model", model]
    assert main([*command, "--json", "-"]) == 0
    report = json.loads(capsys.readouterr().out)
    kinds = [(r["backend"], r["task"], r["dtype"]) for r in report["results"]]
    assert kinds == [
        ("torch", "paint", "float32"),
        ("torch", "paint", "bfloat16"),
        ("torch", "encode", "float32"),
        ("onnx", "paint", "float32"),
        ("onnx", "encode", "float32"),
    ]
    assert report["machine"]["onnxruntime"]
    text = format_results(report)
    assert "BACKEND" in text
    assert f"onnxruntime {report['machine']['onnxruntime']}" in text
