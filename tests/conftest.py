"""What all tests share: an environment without network, and a Hugging Face Hub on the loopback interface."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

# Before any library reads them: no test reaches the network, opens a window or reports to anybody.
os.environ.update(
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    GRADIO_ANALYTICS_ENABLED="False",
    MPLBACKEND="Agg",
)
os.environ.pop("HF_TOKEN", None)

# Several processes of `pytest -n 3` share the cores; this must stand before torch is imported, here or by a test's own process.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"

import hypothesis
import numpy as np
import pytest
import torch
from app_server import (
    KILLED,
    STALLED,
    app_client,
    app_folder,
    app_pipe,
    browser,
    killed_after,
    running_app,
)
from filelock import FileLock
from hub_server import HubServer
from small_model import small_generator
from toy_training import make_toy

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("hfstyle", deadline=None)
hypothesis.settings.load_profile("hfstyle")

__all__ = ["app_client", "app_folder", "app_pipe", "browser", "hub", "running_app"]


# Files that take long, longest first: processes of `pytest -n 3 --dist loadfile` begin with them.
_LONG = (
    "test_train",
    "test_app_browser",
    "test_onnx",
    "test_app_load",
    "test_app_accessibility",
    "test_app_first_look",
    "test_batch",
    "test_evaluate",
)


def pytest_configure(config: pytest.Config) -> None:
    if config.pluginmanager.hasplugin("xdist"):
        config.option.loadscopereorder = False  # files begin in the order of their tests


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (*_LONG, item.path.stem).index(item.path.stem))
    for item in items:
        if _in_a_browser(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.flaky(reruns=2, only_rerun=KILLED))


def _in_a_browser(fixtures: Iterable[str]) -> bool:
    return not {"browser", "chromium"}.isdisjoint(fixtures)


@pytest.fixture(autouse=True)
def _no_browser_stalls(request: pytest.FixtureRequest) -> Iterator[None]:
    """A browser that no longer answers is killed, and the test gets another one; any other failure counts."""
    with killed_after(STALLED) if _in_a_browser(request.fixturenames) else nullcontext():
        yield


@pytest.fixture(autouse=True)
def _same_numbers_every_time() -> None:
    """A test that fails by the luck of a draw says nothing; each one draws the same numbers, in any order of tests."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `make_toy`: pictures and a perceptual network for training; not to be written into."""
    return make_toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="session")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `hfstyle export-onnx` writes of the small generator with a preset; the slowest thing here, so done once."""
    pytest.importorskip("onnxscript")
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # once for all processes, too
        root = root.parent
    graphs, model = root / "graphs", tmp_path_factory.mktemp("model")
    with FileLock(root / "graphs.lock"):
        if not (graphs / "styles").is_dir():
            _export(model, graphs)
    return graphs


def _export(model: Path, graphs: Path) -> None:
    from hfstyle import StyleTransferPipeline
    from hfstyle.cli import main

    pipe = StyleTransferPipeline(small_generator())
    waves = np.random.default_rng(3).integers(0, 256, (90, 80, 3), np.uint8)
    pipe.presets = {"waves": pipe.encode_style(waves, name="waves")}
    pipe.save_pretrained(model)
    assert main(["export-onnx", "--model", str(model), "-o", str(graphs)]) == 0


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """An empty Hub that `huggingface_hub` in this process talks to, with an empty cache."""
    import huggingface_hub
    from huggingface_hub import constants, file_download

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with HubServer() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            server.url + "/{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        # The pauses between its attempts after a broken connection add nothing to a test.
        monkeypatch.setattr(file_download.time, "sleep", lambda seconds: None)
        huggingface_hub.close_session()
        yield server
        huggingface_hub.close_session()
