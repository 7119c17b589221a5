"""Perceptual networks are recognised from their tensors, each with its own preprocessing."""

from __future__ import annotations

import hashlib
import io
import time
from pathlib import Path

import huggingface_hub
import pytest
import torch
import torch.nn.functional as F
from hub_server import HubServer
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import Tensor

from hfstyle.models import compact_vgg
from hfstyle.models.vgg import DEFAULT_PERCEPTUAL, PerceptualNetwork
from training.game.perceptual import in_all, load_perceptual, load_perceptuals, recognise

DEPTHS = (2, 2, 4, 4, 1)
WIDTHS = (64, 128, 256, 512, 512)
COMPACT = (16, 32, 64, 128, 128)
SHARED = Path(__file__).resolve().parents[2] / "shared" / "weights"


def random_state(kind: str, last: str = "5_1") -> dict[str, Tensor]:
    """A weight file of one of the known networks, with random numbers, up to a layer."""
    generator = torch.Generator().manual_seed(0)
    widths = COMPACT if kind == "compact" else WIDTHS
    state: dict[str, Tensor] = {}
    channels, index = 3, 0
    for stage, (width, depth) in enumerate(zip(widths, DEPTHS, strict=True), 1):
        for j in range(1, depth + 1):
            name = {
                "torchvision": f"features.{index}",
                "normalised": f"conv{stage}_{j}",
                "compact": f"conv{stage}{j}",
            }[kind]
            deviation = (2 / (9 * channels)) ** 0.5
            state[f"{name}.weight"] = deviation * torch.randn(
                width, channels, 3, 3, generator=generator
            )
            state[f"{name}.bias"] = torch.zeros(width)
            channels, index = width, index + 2
            if f"{stage}_{j}" == last:
                break
        else:
            index += 1
            continue
        break
    if kind != "torchvision":
        state["conv0.weight"] = 255 * torch.eye(3).flip(0).view(3, 3, 1, 1)
        state["conv0.bias"] = torch.tensor([-103.9, -116.8, -123.7])
    return state


@pytest.mark.parametrize(
    ("kind", "widths"), [("torchvision", WIDTHS), ("normalised", WIDTHS), ("compact", COMPACT)]
)
def test_each_known_network_is_recognised(kind: str, widths: tuple[int, ...]) -> None:
    network = recognise(random_state(kind))
    layers = frozenset(f"relu{i}_1" for i in range(1, 6))
    features = network(torch.rand(1, 3, 32, 32), layers)
    for i, width in enumerate(widths, 1):
        assert features[f"relu{i}_1"].shape == (1, width, 32 // 2 ** (i - 1), 32 // 2 ** (i - 1))
        assert features[f"relu{i}_1"].min() >= 0
    assert not any(p.requires_grad for p in network.parameters())
    assert not network.training


def test_preprocessing_belongs_to_the_network() -> None:
    image = torch.rand(1, 3, 16, 16)
    state = random_state("torchvision")
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalised = (image - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    expected = F.relu(F.conv2d(normalised, state["features.0.weight"], padding=1))
    first = frozenset({"relu1_1"})
    torch.testing.assert_close(recognise(state)(image, first)["relu1_1"], expected)

    state = random_state("normalised")
    x = F.conv2d(image, state["conv0.weight"], state["conv0.bias"])
    padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
    expected = F.relu(F.conv2d(padded, state["conv1_1.weight"]))
    torch.testing.assert_close(recognise(state)(image, first)["relu1_1"], expected)


def test_unused_tensors_of_a_whole_classifier_are_ignored() -> None:
    state = random_state("torchvision")
    # relu5_2 ... relu5_4 and the classifier
    for index in (30, 32, 34):
        state[f"features.{index}.weight"] = torch.zeros(512, 512, 3, 3)
        state[f"features.{index}.bias"] = torch.zeros(512)
    state["head.fc.weight"] = torch.zeros(10, 4096)
    assert recognise(state).layers[-1] == "relu5_1"


@pytest.mark.parametrize("kind", ["torchvision", "compact"])
def test_a_file_cut_after_a_layer_gives_the_layers_before(kind: str) -> None:
    network = recognise(random_state(kind, last="3_2"))
    assert network.layers[-1] == "relu3_2"
    known = frozenset({"relu2_1", "relu3_2"})
    assert network(torch.rand(1, 3, 16, 16), known).keys() == known
    with pytest.raises(ValueError, match=r"relu4_1.*known.*relu3_2"):
        network(torch.rand(1, 3, 16, 16), frozenset({"relu1_1", "relu4_1"}))


def test_features_do_not_change_when_more_layers_are_asked_for() -> None:
    network, image = recognise(random_state("compact")), torch.rand(1, 3, 32, 32)
    one = network(image, frozenset({"relu2_1"}))["relu2_1"].clone()
    many = network(image, frozenset({"relu2_1", "relu2_2", "relu3_1"}))
    assert torch.equal(many["relu2_1"], one)


def test_gradients_reach_the_picture() -> None:
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    recognise(random_state("compact"))(image, frozenset({"relu4_1"}))["relu4_1"].sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


def test_unknown_tensors_are_refused_with_the_known_names() -> None:
    with pytest.raises(ValueError, match=r"no known perceptual network.*layer1.*VGG-19"):
        recognise({"layer1.weight": torch.zeros(1)})


def test_another_depth_of_vgg_is_refused() -> None:
    state = random_state("torchvision")
    for part in ("weight", "bias"):
        del state[f"features.16.{part}"]  # as in VGG-16, which has three convolutions here
    with pytest.raises(ValueError, match="lacks the convolution"):
        recognise(state)


@pytest.mark.parametrize("fault", ["bias", "shape"])
def test_an_odd_tensor_is_named(fault: str) -> None:
    state = random_state("compact")
    if fault == "bias":
        del state["conv21.bias"]
    else:
        state["conv21.weight"] = torch.zeros(32, 16, 5, 5)
    with pytest.raises(ValueError, match=r"conv21"):
        recognise(state)


def test_files_are_loaded_and_absent_or_broken_ones_named(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    save_file(random_state("compact"), path)
    network = load_perceptual(str(path), reflect=False)
    assert not network.reflect
    assert load_perceptual(str(path)).reflect
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"network\.safetensors is not a whole safetensors file"):
        load_perceptual(str(path))
    with pytest.raises(FileNotFoundError, match=r"absent\.safetensors"):
        load_perceptual(str(tmp_path / "absent.safetensors"))


def test_a_network_comes_from_the_hub_once(hub: HubServer, tmp_path: Path) -> None:
    save_file(random_state("compact"), tmp_path / "model.safetensors")
    hub.add("someone/vgg", {"model.safetensors": (tmp_path / "model.safetensors").read_bytes()})
    assert load_perceptual("someone/vgg").layers[-1] == "relu5_1"
    asked = len(hub.requests)
    assert load_perceptual("someone/vgg").layers[-1] == "relu5_1"
    assert len(hub.requests) == asked  # from the cache, without a question


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (None, "is not on the Hub, or private"),
        ({"README.md": b""}, "has no file model.safetensors"),
    ],
)
def test_what_the_hub_lacks_is_told_with_the_option(
    hub: HubServer, files: dict[str, bytes] | None, said: str
) -> None:
    if files is not None:
        hub.add("someone/vgg", files)
    with pytest.raises(FileNotFoundError, match=rf"someone/vgg {said}.*--perceptual_model"):
        load_perceptual("someone/vgg")


def test_a_hub_that_does_not_answer_is_told_at_once(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.close()
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    with pytest.raises(FileNotFoundError) as told:
        load_perceptual("timm/vgg19.tv_in1k")
    assert sum(slept) < 2  # six attempts of huggingface_hub take half a minute
    message = str(told.value)
    assert "\n" not in message
    for named in ("timm/vgg19.tv_in1k", hub.url, "--perceptual_model"):
        assert named in message


def test_the_default_network_is_downloaded_once_and_known_by_its_hash(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.BytesIO()
    torch.save({"epoch": 20, "model": random_state("compact")}, stream)
    digest = hashlib.sha256(stream.getvalue()).hexdigest()
    hub.add("authors/code", {"compact.pth": stream.getvalue()})
    address = f"{hub.storage_url}/storage/{digest}/compact.pth"
    monkeypatch.setattr(compact_vgg, "_ADDRESS", address)
    monkeypatch.setattr(compact_vgg, "_SHA256", digest)

    def load() -> PerceptualNetwork:
        return load_perceptual(DEFAULT_PERCEPTUAL, cache_dir=str(tmp_path))

    assert load().layers[-1] == "relu5_1"
    asked = len(hub.requests)
    load()
    assert len(hub.requests) == asked
    (kept,) = (tmp_path / "hfstyle").iterdir()
    kept.write_bytes(kept.read_bytes()[:-1])
    load()
    assert len(hub.requests) == asked + 1
    kept.unlink()
    remedy = "; give --perceptual_model a safetensors file"
    with pytest.MonkeyPatch.context() as other:
        other.setattr(compact_vgg, "_SHA256", "0" * 64)
        with pytest.raises(FileNotFoundError, match=f"not the file that hfstyle knows.*{remedy}"):
            load()
    with pytest.MonkeyPatch.context() as other:
        other.setattr(constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(FileNotFoundError, match=f"HF_HUB_OFFLINE forbids.*{remedy}"):
            load()
    assert not kept.exists()
    hub.close()
    huggingface_hub.close_session()  # its connection outlives the server's
    with pytest.raises(FileNotFoundError, match=f"{address} cannot be reached.*{remedy}"):
        load()


def test_several_networks_are_one_whose_layers_tell_them_apart(tmp_path: Path) -> None:
    save_file(random_state("compact"), tmp_path / "whole.safetensors")
    save_file(random_state("normalised", "3_1"), tmp_path / "cut.safetensors")
    files = [str(tmp_path / f"{name}.safetensors") for name in ("whole", "cut")]
    both = load_perceptuals(files)
    layers = in_all(["relu3_1", "relu4_1"], both.layers)
    assert layers == ["relu3_1", "relu4_1", "2/relu3_1"]
    image = torch.rand(1, 3, 32, 32)
    features = both(image, frozenset(layers))
    whole = load_perceptuals(files[:1])(image, frozenset(layers[:2]))
    cut = load_perceptual(files[1], reflect=False)(image, frozenset({"relu3_1"}))
    for name, feature in (whole | {"2/relu3_1": cut["relu3_1"]}).items():
        assert torch.equal(features.pop(name), feature)
    assert not features


@pytest.mark.parametrize(
    ("file", "last", "kind"),
    [("vgg19n_c3", "relu3_4", "conv0"), ("vgg19_16x_cd", "relu5_1", "conv0")],
)
def test_real_files_are_recognised(file: str, last: str, kind: str) -> None:
    path = SHARED / f"{file}.safetensors"
    if not path.is_file():
        pytest.skip("needs weight files that are not part of the project")
    network = load_perceptual(str(path))
    assert network.layers[-1] == last
    assert network.preprocess == kind
    features = network(torch.rand(1, 3, 64, 64), frozenset({last}))
    assert features[last].max() > 0
