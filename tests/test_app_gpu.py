"""The web demo where GPUs are lent, as Hugging Face's ZeroGPU does; a stand-in takes the place of its package."""

from __future__ import annotations

import pickle
import re
import threading
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from app_server import AT_REST, launched, launched_chromium, opened, picture
from front_ends import idle_app
from PIL import Image

from hfstyle import StyleTransferPipeline

pytest.importorskip("gradio")

from hfstyle.studio.backend import engine, gpu
from hfstyle.studio.backend.gallery import Thumbnails
from hfstyle.studio.backend.jobs import job
from hfstyle.studio.backend.settings import Settings
from hfstyle.studio.backend.timing import Expected


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


@pytest.fixture
def slow_down(
    app_pipe: StyleTransferPipeline, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Once it is called, paintings take seconds, in which nothing is heard of them."""
    run = app_pipe.generator.paint_level

    def later(*arguments: Any, **options: Any) -> Any:
        time.sleep(1.5)
        return run(*arguments, **options)

    return lambda: monkeypatch.setattr(app_pipe.generator, "paint_level", later, raising=False)


def test_no_share_is_told_of_work_of_which_nothing_is_heard(
    spaces: Spaces,
    app_pipe: StyleTransferPipeline,
    tmp_path: Path,
    slow_down: Callable[[], None],
) -> None:
    slow_down()
    studio = engine.Studio(app_pipe)
    picture(900, 600).save(tmp_path / "photo.png")
    photo, code = str(tmp_path / "photo.png"), app_pipe.preset("waves")
    at = Settings(resolution=512)
    studio.painted_preview(photo, code, "waves", at)  # as every page does first
    told: list[Any] = []
    list(
        job(
            lambda: studio.full_size(photo, code, at),
            None,
            lambda *share, **words: told.append((*share, words)),
        )
    )
    painting = [share for share, words in told if "lent GPU" in words.get("unit", "")]
    assert len(painting) > 1
    ((seconds, count),) = set(painting)
    assert 2 <= seconds <= 9
    assert count is None  # so there is no percentage
    assert not [share for share, words in told if "Painting" in words.get("desc", "")]


def test_a_slow_loan_says_nothing_of_what_is_done_here() -> None:
    expected = Expected(("network",), network=1.0, png=0.2)
    expected.took("network", 1_000_000, 20.0)
    assert expected.seconds(png=10_000_000) == pytest.approx(2.0)
    expected.took("png", 10_000_000, 1.0)
    assert expected.seconds(network=1_000_000, png=10_000_000) == pytest.approx(21.0)


@pytest.mark.slow
def test_the_page_shows_seconds_and_no_percentage_while_a_lent_gpu_paints(
    spaces: Spaces,
    app_pipe: StyleTransferPipeline,
    tmp_path: Path,
    slow_down: Callable[[], None],
) -> None:
    pytest.importorskip("skimage")
    from playwright.sync_api import expect

    with (
        launched(app_pipe, tmp_path) as demo,
        launched_chromium() as browser,
        opened(browser, demo, 1280) as page,
    ):
        slow_down()  # what a page opens with is not looked at
        picture(900, 600).save(tmp_path / "photo.png")
        page.locator(".photo input[type=file]").set_input_files(tmp_path / "photo.png")
        expect(page.locator("#status")).to_contain_text("At full size 900 × 600 px")
        page.wait_for_function(AT_REST)
        seen = page.evaluate_handle("""() => {
            const seen = [];
            new MutationObserver(() => {
                for (const one of document.querySelectorAll(".files [data-testid=status-tracker]:not(.hide)"))
                    if (one.checkVisibility()) seen.push(one.innerText);
            }).observe(document.body, {childList: true, subtree: true, characterData: true});
            return seen;
        }""")
        page.get_by_role("button", name="Full-size picture", exact=True).first.click()
        expect(page.locator(".files a[download]:visible").first).to_be_visible()
        painting = [text for text in seen.json_value() if "lent GPU" in text]
        assert any(re.match("[1-9] s expected: painting", text) for text in painting), painting
        assert not [text for text in painting if "%" in text]


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
