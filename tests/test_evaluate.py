"""`hfstyle evaluate`: formulas on values known by hand, networks recognised from tensors, reports, errors."""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hub_server import HubServer
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from hfstyle import StyleGenerator, StyleTransferPipeline
from hfstyle.cli import main
from hfstyle.evaluation import formulas
from hfstyle.evaluation.evaluate import evaluate, read_pairs, write_photos
from hfstyle.evaluation.judge import Diversity
from hfstyle.evaluation.network_files import _tensorflow_name, load_networks
from hfstyle.evaluation.networks import BLOCKS, LAST_BLOCK, LPIPS_LAYERS, STEM
from hfstyle.evaluation.report import format_report, write_html

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
SIZE = 96


def _noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


# --- formulas


def test_ssim_of_equal_pictures_is_one() -> None:
    a = _noise(1, 3, 20, 30)
    assert formulas.ssim(a, a) == pytest.approx(1, abs=1e-5)
    assert formulas.ssim(a, _noise(1, 3, 20, 30, seed=1)) < 0.3


def test_ssim_of_plain_pictures_compares_their_lightness() -> None:
    a, b = torch.full((1, 3, 16, 16), 0.5), torch.full((1, 3, 16, 16), 0.25)
    assert formulas.ssim(a, b) == pytest.approx(0.2501 / 0.3126, abs=1e-4)


def test_psnr() -> None:
    a = torch.full((1, 3, 4, 4), 0.5)
    assert formulas.psnr(a, a + 0.1) == pytest.approx(20, abs=1e-3)
    assert formulas.psnr(a, a) == math.inf


def test_lpips_weighs_differences_of_directions() -> None:
    a = [torch.tensor([3.0, 4.0]).view(1, 2, 1, 1).expand(1, 2, 5, 5)]
    b = [torch.tensor([0.0, 7.0]).view(1, 2, 1, 1).expand(1, 2, 5, 5)]
    heads = [torch.tensor([10.0, 100.0])]
    a, b = formulas.unit_length(a), formulas.unit_length(b)
    assert formulas.lpips(a, b, heads) == pytest.approx(10 * 0.36 + 100 * 0.04)
    assert formulas.lpips(a, a, heads) == 0


def test_style_distance_is_relative_to_the_second() -> None:
    one = [(torch.tensor([[3.0, 4.0]]), torch.tensor([[2.0, 0.0]]))]
    none = [(torch.zeros(1, 2), torch.zeros(1, 2))]
    assert formulas.style_distance(none, one) == pytest.approx(math.sqrt(2))
    assert formulas.style_distance(one, one) == 0


def test_palette_distance_ignores_where_colours_are() -> None:
    a = _noise(1, 3, 96, 96)
    order = torch.randperm(96 * 96, generator=torch.Generator().manual_seed(1))
    shuffled = a.flatten(2)[..., order].view_as(a)
    of_a = formulas.palette(a)
    assert formulas.palette_distance(of_a, formulas.palette(shuffled)) == pytest.approx(0, abs=1e-6)
    assert formulas.palette_distance(of_a, formulas.palette(a / 2)) > 0.05


def test_frechet_distance_of_equal_sets_is_zero() -> None:
    for count in (3, 50):  # fewer and more than channels
        a = _noise(count, 8)
        assert formulas.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
        assert formulas.frechet_distance(a, a + 2) == pytest.approx(32, abs=1e-5)


def test_frechet_distance_agrees_with_its_definition() -> None:
    a, b = _noise(30, 5).double(), _noise(20, 5, seed=1).double() ** 2
    eigenvalues = torch.linalg.eigvals(a.T.cov() @ b.T.cov())
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + a.var(0).sum() + b.var(0).sum()
    expected -= 2 * eigenvalues.real.clamp(min=0).sqrt().sum()
    assert formulas.frechet_distance(a, b) == pytest.approx(float(expected), rel=1e-6)
    assert formulas.leading_frechet_distance(a, b) == pytest.approx(float(expected), rel=1e-6)


def test_frechet_distance_needs_two() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        formulas.frechet_distance(_noise(1, 4), _noise(3, 4))


def test_cfsd_is_the_divergence_of_similarities() -> None:
    a, b = 5 * _noise(1, 4, 3, 5), 5 * _noise(1, 4, 3, 5, seed=1)
    assert formulas.cfsd(a, a) == 0
    logs = []
    for x in (a, b):
        places = x.flatten(2).transpose(1, 2) / 4
        logs.append((places @ places.transpose(1, 2)).log_softmax(-1).flatten(1))
    expected = F.kl_div(logs[0], logs[1].exp(), reduction="batchmean")
    for rows in (4, 1024):
        assert formulas.cfsd(a, b, rows) == pytest.approx(float(expected), rel=1e-5)


def test_change_is_seen_after_moving_back() -> None:
    photo = _noise(1, 3, 60, 80)
    still, moved = photo[..., :-4, :-4], photo[..., 4:, 4:]
    assert formulas.change(still, moved, 4) == 0
    assert formulas.change(still, moved + 0.25, 4) == pytest.approx(0.25, abs=1e-6)
    assert formulas.change(still, still, 4) > 0.2


def test_diversity_is_the_mean_of_all_pairs() -> None:
    heads = [_noise(6, seed=5), _noise(9, seed=6)]
    outputs = [
        formulas.unit_length([_noise(1, 6, 4, 5, seed=k), _noise(1, 9, 2, 3, seed=k + 50)])
        for k in range(7)
    ]
    contents = [outputs[:4], outputs[4:], outputs[:1]]
    found = Diversity(heads)
    for content in contents:
        for features in content:
            found.add(features)
        found.next_content()
    pairs = [pair for content in contents for pair in itertools.combinations(content, 2)]
    expected = np.mean([formulas.lpips(a, b, heads) for a, b in pairs])
    assert len(pairs) == 9
    assert found.result() == pytest.approx(float(expected), rel=1e-5)
    assert Diversity(heads).result() is None


def test_artfid() -> None:
    assert formulas.artfid(0.5, 19) == 30


# --- networks of random weights, two channels wide


def _conv(tensors: dict[str, Tensor], name: str, shape: tuple[int, ...], bias: bool = True) -> None:
    seed = len(tensors)
    tensors[f"{name}.weight"] = (_noise(*shape, seed=seed) - 0.4) / math.prod(shape[1:]) ** 0.5
    if bias:
        tensors[f"{name}.bias"] = _noise(shape[0], seed=seed + 1) / 4


def _squeezenet() -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    _conv(tensors, "features.0", (2, 3, 3, 3))
    for index in (3, 4, 6, 7, 9, 10, 11, 12):
        _conv(tensors, f"features.{index}.squeeze", (2, 2 if index == 3 else 4, 1, 1))
        _conv(tensors, f"features.{index}.expand1x1", (2, 2, 1, 1))
        _conv(tensors, f"features.{index}.expand3x3", (2, 2, 3, 3))
    return tensors


def _heads(pattern: str = "squeeze.lin{}") -> dict[str, Tensor]:
    widths = [2, 4, 4, 4, 4, 4, 4]
    shape = (lambda c: (c,)) if "squeeze" in pattern else (lambda c: (1, c, 1, 1))
    return {pattern.format(i): torch.ones(shape(c)) for i, c in enumerate(widths)}


def _inception(layout: str = "torchvision", classes: int | None = None) -> dict[str, Tensor]:
    """layout: torchvision (with batch normalisation of no effect but its eps), or tensorflow. classes: None ends it."""
    plain: dict[str, Tensor] = {}
    channels = 3
    for name in STEM:
        _conv(plain, name, (2, channels, *((1, 1) if "1x1" in name else (3, 3))))
        channels = 2
    kernels = {"5x5": (5, 5), "7x7": (1, 7), "3x3": (3, 3)}

    def inside(block: str, name: str, given: int) -> None:
        last = block in ("Mixed_6a", "Mixed_7a") and name[-1] in "34"
        sides = (3, 3) if last else next((k for p, k in kernels.items() if p in name), (1, 1))
        first = name.endswith("_1") or name in ("branch1x1", "branch_pool")
        _conv(plain, f"{block}.{name}", (2, given, *((1, 1) if first else sides)))

    for block, chains in BLOCKS.items():
        for chain in chains:
            for step, name in enumerate(chain):
                inside(block, name, 2 if step else channels)
        channels = 2 * len(chains) + (channels if block in ("Mixed_6a", "Mixed_7a") else 0)
    if classes is not None:
        for block in ("Mixed_7b", "Mixed_7c"):
            for name in LAST_BLOCK:
                deep = name[-1] in "ab" or name.endswith("dbl_2")
                shape = (1, 3) if name[-1] == "a" else (3, 1) if name[-1] == "b" else (3, 3)
                sides = shape if deep else (1, 1)
                _conv(plain, f"{block}.{name}", (2, 2 if deep else channels, *sides))
            channels = 12
        _conv(plain, "fc", (classes, channels))
    if layout == "tensorflow":
        return {
            f"c.{_tensorflow_name(key.rpartition('.')[0])}.{key.rpartition('.')[2]}": tensor
            for key, tensor in plain.items()
        }
    tensors = {}
    for key, tensor in plain.items():
        name, _, kind = key.rpartition(".")
        if name == "fc":
            tensors[key] = tensor
        elif kind == "weight":
            tensors[f"{name}.conv.weight"] = tensor / 3
            tensors[f"{name}.bn.weight"] = torch.full((2,), 3.0)
            tensors[f"{name}.bn.running_var"] = torch.full((2,), 1 - 1e-3)
            tensors[f"{name}.bn.running_mean"] = torch.full((2,), 2.0)
        else:
            tensors[f"{name}.bn.bias"] = tensor + 6
    return tensors


def _vgg(layout: str, last: str = "4_4") -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    if layout != "torchvision":
        _conv(tensors, "conv0", (3, 3, 1, 1))
    layers = [
        (f"{stage}_{i}", stage)
        for stage, depth in enumerate((2, 2, 4, 4), 1)
        for i in range(1, depth + 1)
    ]
    for number, (layer, stage) in enumerate(layers):
        name = {
            "torchvision": f"features.{2 * number + stage - 1}",
            "normalised": f"conv{layer}",
            "compressed": f"conv{layer.replace('_', '')}",
        }[layout]
        _conv(tensors, name, (2, 3 if layer == "1_1" else 2, 3, 3))
        if layer == last:
            break
    return tensors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Feature networks in a folder."""
    folder = tmp_path / "networks"
    folder.mkdir()
    save_file(_squeezenet(), folder / "squeezenet.safetensors")
    save_file(_heads(), folder / "heads.safetensors")
    save_file(_inception(), folder / "inception.safetensors")
    save_file(_vgg("torchvision"), folder / "vgg.safetensors")
    return folder


def _saved(tmp_path: Path, tensors: dict[str, Tensor], name: str = "n.safetensors") -> Path:
    save_file(tensors, tmp_path / name)
    return tmp_path / name


def test_a_folder_of_networks_is_recognised(folder: Path) -> None:
    save_file({"lin.weight": torch.ones(2)}, folder / "other.safetensors")
    networks = load_networks([folder])
    assert networks.squeezenet is not None
    assert networks.heads is not None
    assert networks.inception is not None
    assert networks.vgg is not None
    assert networks.unknown == (f"{folder}: other",)
    assert len(networks.squeezenet.features(_noise(1, 3, 64, 70))) == len(LPIPS_LAYERS)


def test_heads_of_the_lpips_package_are_recognised(tmp_path: Path) -> None:
    heads = load_networks([_saved(tmp_path, _heads("lin{}.model.1.weight"))]).heads
    assert heads is not None
    assert [head.shape for head in heads] == [(2,)] + [(4,)] * 6


def test_both_layouts_of_inception_are_one_network(tmp_path: Path) -> None:
    image = _noise(1, 3, 80, 90)
    found = []
    for layout in ("torchvision", "tensorflow"):
        network = load_networks([_saved(tmp_path, _inception(layout))]).inception
        assert network is not None
        assert not network.whole
        taps, deep = network.style_features(image)
        found.append([*taps, deep])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_a_network_in_parts_is_one(tmp_path: Path) -> None:
    tensors = list(_inception("tensorflow").items())
    for number, part in enumerate((tensors[:60], tensors[60:]), 1):
        _saved(tmp_path, dict(part), f"net.part{number}.safetensors")
    for source in (tmp_path, tmp_path / "net.part1.safetensors"):
        assert load_networks([source]).inception is not None
    (tmp_path / "net.part2.safetensors").unlink()
    with pytest.raises(ValueError, match=r"is missing.*part1"):
        load_networks([tmp_path])


@pytest.mark.parametrize(("classes", "of_fid"), [(1008, True), (1000, False)])
def test_the_inception_of_fid_has_1008_classes(tmp_path: Path, classes: int, of_fid: bool) -> None:
    network = load_networks([_saved(tmp_path, _inception(classes=classes))]).inception
    assert network is not None
    assert network.whole
    assert network.of_fid == of_fid
    assert network.pooled(_noise(2, 3, 80, 80)).shape == (2, 12)


def test_vgg_may_end_early(tmp_path: Path) -> None:
    for layout, last, deepest in (
        ("torchvision", "4_4", "relu4_1"),
        ("normalised", "3_4", "relu3_1"),
        ("compressed", "3_4", "relu3_1"),
    ):
        network = load_networks([_saved(tmp_path, _vgg(layout, last))]).vgg
        assert network is not None
        assert network.deepest == deepest
        structure, deep = network.features(_noise(1, 3, 32, 48))
        assert structure.shape == (1, 2, 8, 12)
        assert deep.shape[2:] == ((4, 6) if deepest == "relu4_1" else (8, 12))


def test_the_original_vgg_is_preferred(tmp_path: Path) -> None:
    for name, layout in (("a", "compressed"), ("b", "torchvision"), ("c", "normalised")):
        _saved(tmp_path, _vgg(layout), f"{name}.safetensors")
    vgg = load_networks([tmp_path]).vgg
    assert vgg is not None
    assert vgg.kind == "VGG-19"


def test_networks_of_the_hub(hub: HubServer) -> None:
    from safetensors.torch import save

    hub.add("judges/vgg", {"model.safetensors": save(_vgg("torchvision"))})
    assert load_networks(["judges/vgg"]).vgg is not None


def _without(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in tensors.items() if key != name}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"x": torch.ones(2)}, "no known feature network"),
        (_without(_squeezenet(), "features.7.squeeze.weight"), "'features.7.squeeze.weight' is"),
        (
            _vgg("torchvision") | {"features.10.weight": torch.ones(2, 9, 3, 3)},
            "features.10.weight is",
        ),
    ],
    ids=["unknown", "squeezenet", "shape"],
)
def test_unusable_networks_are_refused(
    tmp_path: Path, tensors: dict[str, Tensor], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load_networks([_saved(tmp_path, tensors)])


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    for absent in (tmp_path / "none.safetensors", "no-networks/", "./no-networks", "no-networks"):
        with pytest.raises(FileNotFoundError, match="not a Hub id"):
            load_networks([absent])
    with pytest.raises(ValueError, match="holds no safetensors file"):
        load_networks([tmp_path])
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0")
    with pytest.raises(ValueError, match=r"cut\.safetensors is not a whole"):
        load_networks([tmp_path / "cut.safetensors"])


# --- evaluation


def _picture(path: Path, seed: int, size: tuple[int, int] = (110, 100)) -> None:
    path.parent.mkdir(exist_ok=True)
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    small.resize(size, Image.Resampling.BICUBIC).save(path)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """contents a & b, styles <s> & t, and all four outputs."""
    for index, name in enumerate("ab"):
        _picture(tmp_path / "contents" / f"{name}.png", index)
    for index, name in enumerate(("<s>", "t")):
        _picture(tmp_path / "styles" / f"{name}.jpg", 10 + index, (90, 130))
    for index, name in enumerate(("a__<s>", "a__t", "b__<s>", "b__t")):
        _picture(tmp_path / "outputs" / f"{name}.png", 20 + index, (111, 100))
    return tmp_path


def _run(root: Path, **arguments: Any) -> Any:
    arguments = {"outputs": root / "outputs", "size": SIZE} | arguments
    return evaluate(root / "contents", root / "styles", **arguments)


def test_all_measures(pictures: Path, folder: Path) -> None:
    report = _run(pictures, networks=load_networks([folder])).report
    result = report["results"][0]
    assert set(result["metrics"]) == {
        *("lpips", "ssim", "psnr", "content_distance", "cfsd", "style_distance", "palette"),
        *("frechet_mixed_8", "artfid_mixed_8", "diversity"),
    }
    assert set(report["absent"]) == {"fid", "artfid", "frechet_relative"}
    assert "ends at mixed_8" in report["absent"]["fid"]
    metrics = result["metrics"]
    assert metrics["artfid_mixed_8"] == pytest.approx(
        (1 + metrics["lpips"]) * (1 + metrics["frechet_mixed_8"])
    )
    assert metrics["ssim"] == pytest.approx(np.mean([row["ssim"] for row in result["pairs"]]))
    assert [(row["content"], row["style"]) for row in result["pairs"]] == [
        *(("a", "<s>"), ("a", "t"), ("b", "<s>"), ("b", "t"))
    ]


def test_measures_are_named_by_their_networks(pictures: Path, folder: Path) -> None:
    networks = load_networks([folder])
    labels = _run(pictures, networks=networks, pairs=[("a", "t")]).report["labels"]
    assert labels["cfsd"] == "CFSD"
    assert labels["content_distance"] == "content distance (VGG-19 relu4_1)"
    save_file(_vgg("normalised", "3_4"), folder / "vgg.safetensors")
    networks = load_networks([folder])
    labels = _run(pictures, networks=networks, pairs=[("a", "t")]).report["labels"]
    assert labels["cfsd"] == "CFSD (normalised VGG-19)"
    assert labels["content_distance"] == "content distance (normalised VGG-19 relu3_1)"


def test_the_whole_inception_gives_fid(pictures: Path, folder: Path) -> None:
    for classes, key in ((1008, "fid"), (1000, "frechet_pool3")):
        save_file(_inception(classes=classes), folder / "inception.safetensors")
        report = _run(pictures, networks=load_networks([folder])).report
        metrics = report["results"][0]["metrics"]
        assert key in metrics
        assert ("fid" in report["absent"]) == (key != "fid")
        assert ("artfid" in metrics) == (key == "fid")


def test_without_networks_nothing_is_made_up(pictures: Path) -> None:
    report = _run(pictures).report
    assert set(report["results"][0]["metrics"]) == {"ssim", "psnr", "palette"}
    assert report["absent"]["lpips"] == "needs SqueezeNet 1.1 and the LPIPS heads for SqueezeNet"
    text = format_report(report)
    assert "absent: FID: needs Inception-v3" in text
    assert not any(report["networks"].values())


def test_outputs_equal_to_their_contents(pictures: Path, folder: Path) -> None:
    for name in ("a", "b"):
        for style in ("<s>", "t"):
            data = (pictures / "contents" / f"{name}.png").read_bytes()
            (pictures / "outputs" / f"{name}__{style}.png").write_bytes(data)
    metrics = _run(pictures, networks=load_networks([folder])).report["results"][0]["metrics"]
    assert metrics["lpips"] == metrics["cfsd"] == metrics["content_distance"] == 0
    assert metrics["ssim"] == pytest.approx(1, abs=1e-5)
    assert metrics["psnr"] is None
    assert metrics["style_distance"] == metrics["palette"] == 1


def test_contents_of_one_stem_have_outputs_of_their_own(pictures: Path) -> None:
    """As `hfstyle stylize` names them: a.jpg gives a__t.png, a.png gives a.png__t.png."""
    for file in pictures.glob("*/b*.png"):
        file.unlink()
    Image.open(pictures / "contents" / "a.png").convert("RGB").save(pictures / "contents" / "a.jpg")
    for style in ("<s>", "t"):
        old = pictures / "outputs" / f"a__{style}.png"
        shutil.copy(old, old.with_name(f"a.png__{style}.png"))
        Image.open(pictures / "contents" / "a.jpg").save(old)  # equal to its content
    report = _run(pictures).report
    assert report["missing"] == []
    rows = report["results"][0]["pairs"]
    assert {(row["content"], row["style"]) for row in rows} == {
        (content, style) for content in ("a.jpg", "a.png") for style in ("<s>", "t")
    }
    assert [row["ssim"] > 0.999 for row in rows] == [row["content"] == "a.jpg" for row in rows]


def test_missing_outputs_are_named(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pictures / "outputs" / "b__t.png").unlink()
    evaluation = _run(pictures)
    assert evaluation.report["missing"] == ["b__t"]
    assert evaluation.report["pairs"] == 3
    code = main(
        [
            *("evaluate", "--contents", str(pictures / "contents")),
            *("--styles", str(pictures / "styles"), "--outputs", str(pictures / "outputs")),
            *("--json", str(pictures / "n.json"), "-q"),
        ]
    )
    assert code == 1
    told = capsys.readouterr()
    assert "no output for b__t" in told.err
    assert "SSIM" in told.out
    assert json.loads((pictures / "n.json").read_text())["missing"] == ["b__t"]
    for file in (pictures / "outputs").iterdir():
        file.rename(file.with_stem(f"x{file.stem}"))
    with pytest.raises(ValueError, match="none of the 4 outputs"):
        _run(pictures)


def test_pairs_choose(pictures: Path) -> None:
    report = _run(pictures, pairs=[("b", "t")]).report
    assert [row["content"] for row in report["results"][0]["pairs"]] == ["b"]
    with pytest.raises(ValueError, match=r"name c, which the folder of contents"):
        _run(pictures, pairs=[("c", "t")])


@pytest.mark.parametrize("wrap", [lambda pairs: pairs, lambda pairs: {"pairs": pairs, "x": 1}])
def test_a_file_of_pairs(tmp_path: Path, wrap: Callable[[Any], Any]) -> None:
    file = tmp_path / "pairs.json"
    file.write_text(json.dumps(wrap([["a", "s"], ["b", "t"]])))
    assert read_pairs(file) == [("a", "s"), ("b", "t")]
    for bad in (wrap([]), wrap([["a"]]), wrap("ab"), 3):
        file.write_text(json.dumps(bad))
        with pytest.raises(ValueError, match="holds no pairs"):
            read_pairs(file)
    file.write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        read_pairs(file)


def test_names_that_are_not_unique(pictures: Path) -> None:
    _picture(pictures / "styles" / "t.png", 5)
    with pytest.raises(ValueError, match="have the same name"):
        _run(pictures)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    small: dict[str, Any] = {"widths": (8, 8, 16, 16), "blocks": (1, 1, 1)}
    StyleTransferPipeline(StyleGenerator(**small)).save_pretrained(folder)
    return str(folder)


def test_a_model_is_measured_at_each_strength(pictures: Path, model: str) -> None:
    pipe = StyleTransferPipeline.from_pretrained(model)
    seen: list[tuple[int, int]] = []
    report = _run(
        pictures,
        outputs=(),
        pipeline=pipe,
        strengths=[0, 1],
        progress_callback=lambda *step: seen.append(step),
    ).report
    assert [result["strength"] for result in report["results"]] == [0, 1]
    assert seen == [(i, 8) for i in range(1, 9)]
    unchanged, painted = (result["metrics"] for result in report["results"])
    assert unchanged["psnr"] is None
    assert unchanged["palette"] == 1
    assert painted["ssim"] < unchanged["ssim"]
    assert "strength 0  strength 1" in format_report(report)


def test_identity_and_stability_of_a_model(pictures: Path, model: str) -> None:
    """At strength 0 a photo in its own style is itself, and what moved has changed by its noise alone."""
    pipe = StyleTransferPipeline.from_pretrained(model)
    also = ("identity", "stability")
    report = _run(pictures, outputs=(), pipeline=pipe, strengths=[0, 1], also=also).report
    unchanged, painted = (result["metrics"] for result in report["results"])
    assert unchanged["identity"] == pytest.approx(1, abs=1e-5)
    assert unchanged["stability"] == pytest.approx(1000 * 0.01 * math.sqrt(2 / math.pi), rel=0.1)
    assert painted["identity"] < 0.999
    assert painted["stability"] != unchanged["stability"]
    with pytest.raises(ValueError, match="also is speed"):
        _run(pictures, also=["speed"])


def test_two_methods_are_compared_with_the_model(
    pictures: Path, folder: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One folder is painted by `hfstyle stylize` from the photos that `write_photos` writes: the model's own numbers."""
    write_photos(pictures / "contents", pictures / "photos", size=SIZE)
    names = {f"{name}{kind}.png" for name in "ab" for kind in ("", ".still", ".moved")}
    assert {file.name for file in (pictures / "photos").iterdir()} == names
    with pytest.raises(ValueError, match="never overwritten"):
        write_photos(pictures / "contents", pictures / "contents", size=SIZE)
    (pictures / "photos" / "b.png").unlink()
    styles = [pictures / "styles" / "t.jpg", pictures / "styles" / "<s>.jpg"]
    words = [
        word for style in (*styles, pictures / "contents" / "a.png") for word in ("-s", str(style))
    ]
    paint = ["--model", model, "-q", "-o", str(pictures / "mine")]
    assert main(["stylize", str(pictures / "photos"), *words, *paint]) == 0
    report = _run(
        pictures,
        outputs=[pictures / "mine", pictures / "outputs"],
        pipeline=StyleTransferPipeline.from_pretrained(model),
        strengths=[0.5, 1],
        pairs=[("a", "t"), ("a", "<s>")],
        also=("identity", "stability"),
        networks=load_networks(
            [folder / f"{n}.safetensors" for n in ("squeezenet", "heads", "inception")]
        ),
    ).report
    half, whole, mine, other = report["results"]
    assert [r["method"] for r in report["results"]] == [
        *("strength 0.5", "strength 1", "mine", "outputs")
    ]
    assert half["metrics"]["stability"] != whole["metrics"]["stability"]
    for key in ("lpips", "ssim", "style_distance", "diversity", "identity", "stability"):
        assert mine["metrics"][key] == pytest.approx(whole["metrics"][key], rel=2e-3), key
    assert mine["metrics"]["style_ratio"] == pytest.approx(1, rel=1e-3)
    assert "identity" not in other["metrics"]
    assert report["absent"]["identity"].startswith("outputs has no CONTENT__CONTENT.png")
    assert main(["evaluate", "--prepare", str(pictures / "photos")]) == 2
    assert "--prepare needs --contents" in capsys.readouterr().err


def test_the_command_writes_json_and_html(
    pictures: Path, folder: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / "pairs.json").write_text('[["a", "<s>"]]')
    code = main(
        [
            *("evaluate", "--contents", str(pictures / "contents")),
            *("--styles", str(pictures / "styles"), "--pairs", str(pictures / "pairs.json")),
            *("--strength", "0.5", "--model", model, "-q", "--networks"),
            *(str(folder / f"{name}.safetensors") for name in ("squeezenet", "heads")),
            *("--json", "-", "--html", str(pictures / "report.html")),
        ]
    )
    told = capsys.readouterr()
    assert (code, told.err) == (0, "")
    report = json.loads(told.out)
    assert set(report) == {
        *("hfstyle", "size", "pairs", "networks", "labels", "results", "absent", "missing"),
    }
    (result,) = report["results"]
    assert result["strength"] == 0.5
    assert set(result["metrics"]) == set(report["labels"]) == {"lpips", "ssim", "psnr", "palette"}
    assert set(report["networks"]) == {"squeezenet", "lpips_heads", "inception", "vgg"}
    page = (pictures / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 3
    assert "http" not in page


def test_the_page_escapes_names(pictures: Path) -> None:
    (pictures / "outputs" / "b__<s>.png").unlink()
    page = write_html(_run(pictures, thumbnails=2))
    assert "<s>" not in page
    assert "b__&lt;s&gt;" in page
    assert page.count("in the style of") == 2
    assert "1 more pictures are not shown" in page


@pytest.mark.parametrize("extra", [["--also", "speed"], ["--json", "nowhere/x.json"]])
def test_wrong_usage(extra: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--contents", "c", "--styles", "s", *extra]) == 2
    assert "hfstyle: error:" in capsys.readouterr().err


# --- agreement with an independent judge


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "bench" / "score.py").is_file(), reason="needs the bench")
def test_the_numbers_agree_with_the_benchs(tmp_path: Path) -> None:
    bench, weights = SHARED / "bench", SHARED / "weights"
    spec = importlib.util.spec_from_file_location("bench_score", bench / "score.py")
    assert spec is not None
    assert spec.loader is not None
    score = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(score)
    pairs = [
        *(("brad_pitt", "mondrian_composition"), ("brad_pitt", "starry_night_van_gogh")),
        *(("chicago", "mondrian_composition"), ("chicago", "starry_night_van_gogh")),
    ]
    for content, style in pairs:
        with Image.open(bench / "peers" / "microast" / f"{content}__{style}.jpg") as image:
            image.save(tmp_path / f"{content}__{style}.png")
    files = json.loads((bench / "pairs.json").read_text())
    contents, styles = (
        {name: bench / file for name, file in files[kind].items()}
        for kind in ("contents", "styles")
    )
    expected = score.score(score.Judge(), tmp_path, pairs, contents, styles, {})
    names = ("squeezenet1_1", "lpips_v01_heads", "inception_v3_m8.part1")
    networks = load_networks([weights / f"{name}.safetensors" for name in names])
    report = evaluate(
        bench / "content", bench / "style", tmp_path, pairs=pairs, networks=networks
    ).report
    metrics = report["results"][0]["metrics"]
    for ours, theirs in (
        *(("lpips", "content"), ("ssim", "ssim")),
        *(("style_distance", "style"), ("palette", "palette")),
    ):
        assert metrics[ours] == pytest.approx(expected[theirs], rel=1e-3), ours
    a, b = _noise(80, 300), _noise(48, 300, seed=1) ** 2
    assert formulas.leading_frechet_distance(a, b) == pytest.approx(score.frechet(a, b), rel=1e-3)
    sys.modules.pop("bench_score", None)
