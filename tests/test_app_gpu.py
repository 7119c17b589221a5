"""The web demo where GPUs are lent, as Hugging Face's ZeroGPU does; a stand-in takes the place of its package."""

from __future__ import annotations

import pickle
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from front_ends import idle_app
from PIL import Image

from hfstyle import StyleTransferPipeline

pytest.importorskip("gradio")

from hfstyle.studio.backend import engine, gpu
from hfstyle.studio.backend.gallery import Thumbnails
from hfstyle.studio.backend.settings import Settings


class Spaces(types.SimpleNamespace):
    """`spaces` lends by running a function elsewhere: what goes there and comes back is pickled."""

    def __init__(self) -> None:
        super().__init__()
        self.loans: list[tuple[str, int]] = []

    def GPU(self, task: Callable[..., Any], duration: Callable[..., int]) -> Callable[..., Any]:  # noqa: N802
        def lent(*arguments: Any) -> Any:
            self.loans.append((task.__name__, duration(*arguments)))
            results: list[bytes] = []
            there = pickle.loads(pickle.dumps(arguments))
            worker = threading.Thread(target=lambda: results.append(pickle.dumps(task(*there))))
            worker.start()
            worker.join()
            return pickle.loads(results[0])

        return lent


@pytest.fixture
def spaces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Spaces:
    lender = Spaces()
    monkeypatch.setattr(gpu, "spaces", lender)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return lender


def paint(studio: engine.Studio, folder: Path) -> np.ndarray:
    code = studio.style(str(folder / "style.png"), None, None, 128)
    settings = Settings(0.7, resolution=48)
    return np.asarray(
        Image.open(studio.painted_preview(str(folder / "photo.png"), code, "style", settings))
    )


def test_a_lent_gpu_paints_and_encodes_for_visitors(
    spaces: Spaces, app_pipe: StyleTransferPipeline, app_folder: Path
) -> None:
    painted = paint(engine.Studio(app_pipe), app_folder)
    assert [name for name, _ in spaces.loans] == ["encode", "paint"]
    assert all(10 <= seconds < 20 for _, seconds in spaces.loans)
    gpu.spaces = None
    np.testing.assert_array_equal(painted, paint(engine.Studio(app_pipe), app_folder))


def test_thumbnails_borrow_nothing(spaces: Spaces, app_pipe: StyleTransferPipeline) -> None:
    pytest.importorskip("skimage")
    thumbnails = Thumbnails(engine.Studio(app_pipe))
    thumbnails.render()
    assert len(thumbnails.shown()) == 3
    assert spaces.loans == []


def test_the_model_stays_at_home_where_gpus_are_lent(
    spaces: Spaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # as `spaces` pretends
    assert gpu.home_device() == "cpu"
    monkeypatch.delenv("SPACES_ZERO_GPU")
    assert gpu.home_device() == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.home_device() == "cpu"


def test_pages_say_what_no_lent_gpu_does(
    spaces: Spaces, app_pipe: StyleTransferPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> int:
        shown = [str(getattr(x, "value", "")) for x in idle_app(app_pipe).blocks.values()]
        return sum("on its CPU" in text for text in shown)

    assert told() == 3  # films, cameras, learning
    monkeypatch.delenv("SPACES_ZERO_GPU")
    assert told() == 0


def test_it_moves_to_the_gpu_where_it_is_lent(
    spaces: Spaces, app_pipe: StyleTransferPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves: list[str] = []
    monkeypatch.setattr(StyleTransferPipeline, "to", lambda self, device: moves.append(device))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    studio = engine.Studio(app_pipe)
    assert moves == []
    picture = studio.preview(str(engine.example_paths().get("chelsea")), 64)
    studio.encode(picture, 128)
    assert moves == ["cuda"]
