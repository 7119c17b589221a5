"""Models on the Hub and in folders: download, cache, offline, errors, strict loading, save -> load -> equal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hub_server import HubServer
from huggingface_hub import constants
from huggingface_hub.errors import (
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors.torch import load_file, save_file
from small_model import SMALL_GENERATOR, small_generator
from torch import Tensor

from hfstyle import (
    StyleCode,
    StyleCodeError,
    StyleDiscriminator,
    StyleGenerator,
    StyleTransferPipeline,
)

REPO = "someone/brushes"


def paint(generator: StyleGenerator) -> Tensor:
    """The same picture in the same style by any generator."""
    random = torch.Generator().manual_seed(0)
    content, style = torch.rand(2, 1, 3, 64, 64, generator=random)
    with torch.inference_mode():
        return generator.eval()(content, generator.encode(style), torch.ones(1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved small generator."""
    small_generator(0).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def pipeline_folder(tmp_path: Path) -> Path:
    """A saved pipeline with one preset, "checks"."""
    pipeline = StyleTransferPipeline(small_generator(0))
    style = torch.arange(64).remainder(2).float().expand(3, 64, 64)
    code = pipeline.encode_style(style, name="checks", metadata={"artist": "a test"})
    StyleTransferPipeline(pipeline.generator, {"checks": code}).save_pretrained(tmp_path / "pipe")
    return tmp_path / "pipe"


# --- download, revisions, cache, offline


def test_pipeline_from_the_hub_paints_as_the_saved_one(
    hub: HubServer, pipeline_folder: Path
) -> None:
    hub.add(REPO, pipeline_folder)
    photo = torch.rand(3, 41, 50)
    there = StyleTransferPipeline.from_pretrained(REPO)
    here = StyleTransferPipeline.from_pretrained(pipeline_folder)
    assert list(there.presets) == ["checks"]
    images = [
        pipe(photo, pipe.presets["checks"], output_type="pt").images for pipe in (there, here)
    ]
    assert torch.equal(images[0], images[1])


def test_a_revision_is_a_branch_a_tag_or_a_commit(hub: HubServer, tmp_path: Path) -> None:
    def loaded(**revision: str) -> Tensor:
        return StyleTransferPipeline.from_pretrained(REPO, **revision).generator.spread.weight

    commits, expected = [], []
    for seed, name in enumerate(["v1.0", "refs/pr/1", "main"]):
        small_generator(seed).save_pretrained(tmp_path / str(seed))
        commits.append(hub.add(REPO, tmp_path / str(seed), revision=name))
        expected.append(small_generator(seed).spread.weight)
    assert not torch.equal(expected[0], expected[2])
    assert torch.equal(loaded(), expected[2])
    assert torch.equal(loaded(revision="v1.0"), expected[0])
    assert torch.equal(loaded(revision="refs/pr/1"), expected[1])
    assert torch.equal(loaded(revision=commits[0]), expected[0])


def test_a_second_load_does_not_download_again(hub: HubServer, pipeline_folder: Path) -> None:
    hub.add(REPO, pipeline_folder)
    for _ in range(2):
        StyleTransferPipeline.from_pretrained(REPO)
    for name in ("config.json", "model.safetensors", "styles/checks.safetensors"):
        assert hub.downloads(name) == 1, name


def test_cache_dir_is_where_downloads_go(
    hub: HubServer, pipeline_folder: Path, tmp_path: Path
) -> None:
    hub.add(REPO, pipeline_folder)
    StyleTransferPipeline.from_pretrained(REPO, cache_dir=tmp_path / "elsewhere")
    names = {path.name for path in (tmp_path / "elsewhere").rglob("*")}
    assert {"config.json", "model.safetensors", "checks.safetensors"} <= names
    assert not Path(constants.HF_HUB_CACHE).exists()


@pytest.mark.parametrize("how", ["local_files_only", "HF_HUB_OFFLINE", "no server"])
def test_what_was_downloaded_loads_offline(
    hub: HubServer, pipeline_folder: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    hub.add(REPO, pipeline_folder)
    first = StyleTransferPipeline.from_pretrained(REPO)
    hub.requests.clear()
    if how == "HF_HUB_OFFLINE":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    if how == "no server":
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}",
        )
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    local = how == "local_files_only"
    second = StyleTransferPipeline.from_pretrained(REPO, local_files_only=local)
    assert torch.equal(paint(second.generator), paint(first.generator))
    assert list(second.presets) == ["checks"]
    assert hub.requests == []
    assert sum(slept) < 2  # six attempts for each file that is not in the cache take half a minute


def test_a_model_without_presets_loads_offline(hub: HubServer, folder: Path) -> None:
    hub.add(REPO, folder)
    StyleTransferPipeline.from_pretrained(REPO)
    pipeline = StyleTransferPipeline.from_pretrained(REPO, local_files_only=True)
    assert list(pipeline.presets) == []


@pytest.mark.parametrize(
    ("kind", "offline", "remedy"),
    [
        (StyleTransferPipeline, False, "could not be reached .*check the path, or the network"),
        (StyleDiscriminator, True, "HF_HUB_OFFLINE"),
    ],
)
def test_a_path_that_does_not_exist_is_one_sentence_without_a_network(
    hub: HubServer,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[StyleGenerator],
    offline: bool,
    remedy: str,
) -> None:
    """It looks like a Hub id, so the Hub is asked."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    with pytest.raises(LocalEntryNotFoundError, match=f"no folder run/v9 here.*{remedy}") as caught:
        kind.from_pretrained("run/v9")
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__  # no traceback of the HTTP client before it


def test_a_path_that_cannot_be_a_repository_is_not_looked_for_on_the_hub(hub: HubServer) -> None:
    for kind in (StyleGenerator, StyleTransferPipeline):
        with pytest.raises(FileNotFoundError, match="runs/of/may is not a folder"):
            kind.from_pretrained("runs/of/may")
    assert hub.requests == []


def test_what_was_not_downloaded_is_a_clear_error_offline(hub: HubServer) -> None:
    with pytest.raises(LocalEntryNotFoundError, match=f"no folder {REPO} here.*local_files_only"):
        StyleTransferPipeline.from_pretrained(REPO, local_files_only=True)
    assert hub.requests == []


def test_a_private_model_needs_its_token(hub: HubServer, pipeline_folder: Path) -> None:
    hub.add(REPO, pipeline_folder, token="hf_secret")
    with pytest.raises(RepositoryNotFoundError, match=REPO):
        StyleTransferPipeline.from_pretrained(REPO)
    assert list(StyleTransferPipeline.from_pretrained(REPO, token="hf_secret").presets) == [
        "checks"
    ]


def test_in_a_users_process_with_its_environment(tmp_path: Path, pipeline_folder: Path) -> None:
    """HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE as a user sets them: downloaded once, then without the Hub."""
    code = (
        "from hfstyle import StyleTransferPipeline\n"
        f"pipe = StyleTransferPipeline.from_pretrained({REPO!r}, revision='v1')\n"
        "print(*pipe.presets, pipe.generator.encoder_fingerprint())\n"
    )
    environment = {
        **os.environ,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "0",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    outputs = []
    with HubServer() as server:
        server.add(REPO, pipeline_folder, revision="v1")
        environment["HF_ENDPOINT"] = server.url
        outputs.append(_run(code, environment))
    outputs.append(_run(code, environment | {"HF_HUB_OFFLINE": "1"}))
    assert outputs == [f"checks {small_generator(0).encoder_fingerprint()}\n"] * 2


def _run(code: str, environment: dict[str, str]) -> str:
    root = Path(__file__).resolve().parent.parent
    process = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=root, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


# --- errors of the Hub


@pytest.mark.parametrize("kind", [StyleGenerator, StyleTransferPipeline])
def test_a_gated_repository_is_told_with_what_to_do(
    hub: HubServer, kind: type[StyleGenerator], folder: Path
) -> None:
    hub.add("someone/gated", folder, gated=True)
    with pytest.raises(
        PermissionError, match=r"someone/gated is gated: accept its terms at .*hf auth login"
    ):
        kind.from_pretrained("someone/gated")


def test_an_unknown_repository_or_revision_is_named(hub: HubServer, folder: Path) -> None:
    with pytest.raises(RepositoryNotFoundError, match="nobody/nothing") as caught:
        StyleTransferPipeline.from_pretrained("nobody/nothing")
    assert "folder nobody/nothing here" in str(caught.value)
    hub.add(REPO, folder)
    for revision in ("v9", "0" * 40):
        with pytest.raises(RevisionNotFoundError, match=revision):
            StyleTransferPipeline.from_pretrained(REPO, revision=revision)


def test_a_repository_without_weights_says_which_file_it_lacks(hub: HubServer) -> None:
    hub.add(REPO, {"config.json": b"{}", "README.md": b"empty"})
    with pytest.raises(FileNotFoundError, match=rf"{REPO} holds no model\.safetensors on the Hub"):
        StyleTransferPipeline.from_pretrained(REPO)


def test_a_download_that_keeps_breaking_is_an_error_and_leaves_nothing_behind(
    hub: HubServer, folder: Path
) -> None:
    hub.add(REPO, folder)
    hub.cut("model.safetensors", 1000)
    with pytest.raises(OSError, match=rf"model\.safetensors of {REPO}"):
        StyleTransferPipeline.from_pretrained(REPO)
    with pytest.raises(LocalEntryNotFoundError):
        StyleTransferPipeline.from_pretrained(REPO, local_files_only=True)
    hub.mend()
    StyleTransferPipeline.from_pretrained(REPO)


@pytest.mark.parametrize("length", [0, 1000])
def test_a_file_uploaded_in_part_is_named(hub: HubServer, folder: Path, length: int) -> None:
    weights = (folder / "model.safetensors").read_bytes()[:length]
    hub.add(
        REPO,
        {"config.json": (folder / "config.json").read_bytes(), "model.safetensors": weights},
    )
    with pytest.raises(ValueError, match=r"model\.safetensors is not a whole safetensors file"):
        StyleTransferPipeline.from_pretrained(REPO)


def test_presets_that_do_not_arrive_do_not_stop_the_model(
    hub: HubServer, pipeline_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub.add(REPO, pipeline_folder)
    hub.cut("checks.safetensors", 10)
    assert list(StyleTransferPipeline.from_pretrained(REPO).presets) == []
    assert REPO in caplog.text


# --- strict loading


def _rewrite(folder: Path, change: dict[str, Tensor | None]) -> None:
    """Put tensors into a model's file, or take those out whose value is None."""
    state = load_file(folder / "model.safetensors")
    for name, tensor in change.items():
        state.pop(name, None)
        if tensor is not None:
            state[name] = tensor
    save_file(state, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spread.weight": None}, r"missing: spread\.weight"),
        (
            {"spread.bias": torch.zeros(3)},
            r"another shape: spread\.bias is \(3,\) in the file, \(16,\)",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(
    folder: Path, change: dict[str, Tensor | None], message: str
) -> None:
    _rewrite(folder, change)
    with pytest.raises(ValueError, match=message):
        StyleTransferPipeline.from_pretrained(folder)


def test_all_that_does_not_fit_is_in_one_error(folder: Path) -> None:
    _rewrite(
        folder, {"spread.weight": None, "extra": torch.zeros(1), "spread.bias": torch.zeros(2, 2)}
    )
    with pytest.raises(ValueError, match=r"spread\.weight.*extra.*spread\.bias"):
        StyleGenerator.from_pretrained(folder)


def test_a_discriminator_loads_as_strictly(tmp_path: Path) -> None:
    torch.manual_seed(0)
    saved = StyleDiscriminator(widths=(8, 8, 8, 8), style_width=16)
    saved.save_pretrained(tmp_path)
    loaded = StyleDiscriminator.from_pretrained(tmp_path)
    for name, tensor in saved.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    _rewrite(tmp_path, {"conv1.bias": None})
    with pytest.raises(ValueError, match=r"missing: conv1\.bias"):
        StyleDiscriminator.from_pretrained(tmp_path)


def test_a_hub_that_does_not_answer_is_told_at_once(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.close()
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    with pytest.raises(LocalEntryNotFoundError, match=r"no folder someone/absent.*not be reached"):
        StyleTransferPipeline.from_pretrained("someone/absent")
    assert sum(slept) < 2  # six attempts of huggingface_hub take half a minute, for each file


def test_notes_in_a_config_are_ignored(folder: Path) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text()) | {"_comment": "hello"}
    path.write_text(json.dumps(config))
    assert torch.equal(paint(StyleGenerator.from_pretrained(folder)), paint(small_generator(0)))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"invented_later": {"a": [1]}}, "'invented_later', which StyleGenerator does not know:"),
        ({"hads": 2}, r"'hads', which StyleGenerator does not know \(did you mean heads\?\)"),
    ],
)
def test_unknown_keys_of_a_config_are_refused(
    folder: Path, more: dict[str, object], said: str
) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | more))
    with pytest.raises(ValueError, match=said):
        StyleGenerator.from_pretrained(folder)


def test_an_older_config_takes_the_defaults_of_what_it_lacks(folder: Path) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    del config["heads"], config["token_grid"]
    path.write_text(json.dumps(config))
    loaded = StyleGenerator.from_pretrained(folder)
    assert loaded.attend_mid.heads == 4
    assert loaded.encoder.token_grid == 8


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file_says_which(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=name.replace(".", r"\.")):
        StyleTransferPipeline.from_pretrained(folder)


def test_a_folder_that_does_not_exist_is_named(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-folder"):
        StyleTransferPipeline.from_pretrained(tmp_path / "no-such-folder")
    assert hub.requests == []


# --- save -> load -> equal


def test_a_saved_generator_loads_bit_equal(folder: Path) -> None:
    original, loaded = small_generator(0), StyleGenerator.from_pretrained(folder)
    assert loaded.state_dict().keys() == original.state_dict().keys()
    for name, tensor in original.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    assert torch.equal(paint(loaded), paint(original))
    assert loaded.encoder_fingerprint() == original.encoder_fingerprint()
    assert not loaded.training


def test_saving_what_was_loaded_writes_the_same_files(folder: Path, tmp_path: Path) -> None:
    StyleGenerator.from_pretrained(folder).save_pretrained(tmp_path / "again")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes(), name


def test_the_config_is_plain_json_with_every_init_argument(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    assert config == {
        **{key: _plain(value) for key, value in SMALL_GENERATOR.items()},
    }


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def test_the_model_card_tells_the_hub_what_this_is(folder: Path) -> None:
    card = (folder / "README.md").read_text()
    for line in ("library_name: hfstyle", "pipeline_tag: image-to-image", "license: apache-2.0"):
        assert line in card


def test_a_style_comes_by_its_name_from_a_folder_or_a_repository(
    hub: HubServer, tmp_path: Path
) -> None:
    pipe = StyleTransferPipeline(small_generator())
    code = pipe.encode_style(torch.rand(3, 64, 64), name="waves")
    code.save(tmp_path / "waves.style.safetensors")
    code.save(tmp_path / "styles" / "hills.safetensors")
    hub.add("user/my-styles", tmp_path)
    for place in (tmp_path, "user/my-styles"):
        for name in ("waves", "hills"):
            loaded = StyleCode.from_pretrained(place, name)
            assert torch.equal(loaded.vector, code.vector)
        with pytest.raises(StyleCodeError, match=r"clouds"):
            StyleCode.from_pretrained(place, "clouds")
    again = StyleCode.from_pretrained("user/my-styles", "waves", local_files_only=True)
    assert torch.equal(again.tokens, code.tokens)
    with pytest.MonkeyPatch.context() as offline:
        offline.setattr(constants, "HF_HUB_OFFLINE", True)
        for name in ("waves", "hills"):  # neither is the first of the names that are tried
            again = StyleCode.from_pretrained("user/my-styles", name)
            assert torch.equal(again.tokens, code.tokens)
        with pytest.raises(LocalEntryNotFoundError, match="without HF_HUB_OFFLINE"):
            StyleCode.from_pretrained("user/my-styles", "clouds")
    with pytest.raises(StyleCodeError, match="was made by encoder"):
        StyleCode.from_pretrained(tmp_path, "waves", encoder="0" * 16)
    for name in ("", "../waves", ".hidden"):
        with pytest.raises(StyleCodeError, match="is no name"):
            StyleCode.from_pretrained(tmp_path, name)
