"""The web demo under many requests: they wait in one queue, a full queue refuses, and a stopped one stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from app_server import launched, new_client, picture, upload
from PIL import Image

from hfstyle import StyleTransferPipeline

gr = pytest.importorskip("gradio")
pytest.importorskip("gradio_client")

from hfstyle.studio.app import MAX_QUEUE  # noqa: E402
from hfstyle.studio.backend import jobs, results  # noqa: E402

TILES = 9 * 9


def wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.02)


@pytest.fixture
def passes(app_pipe: StyleTransferPipeline, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Makes pictures be painted in slow tiles; one item for each pass of the network so far."""
    done: list[int] = []
    run = app_pipe.generator.paint_level

    def slow(*arguments: Any, **options: Any) -> Any:
        done.append(1)
        time.sleep(0.05)
        return run(*arguments, **options)

    monkeypatch.setattr(app_pipe.generator, "paint_level", slow, raising=False)
    monkeypatch.setattr(app_pipe.painter, "tile_side", lambda *_: 64)
    return done


REQUESTS: dict[str, dict[str, Any]] = {
    "/stylize": {"preset": "waves", "resolution": 576},
    "/mix": {"preset_1": "waves", "preset_2": "night", "resolution": 576},
    "/regions": {"drawing": None, "background": "waves", "resolution": 576},
    "/sample": {"seed": 1, "resolution": 576},
    "/path": {"preset_1": "waves", "preset_2": "night", "size": 512},
    "/collect": {},
    "/learn": {"steps": 180},
    "/compare": {"presets": ["waves", "night", "squares"], "resolution": 576},
}


@pytest.mark.parametrize("endpoint", list(REQUESTS))
def test_a_cancelled_request_ends_between_two_tiles(
    app_client: Any, tmp_path: Path, passes: list[int], endpoint: str
) -> None:
    picture(576, 576, seed=list(REQUESTS).index(endpoint)).save(tmp_path / "large.png")
    given = {"content": upload(tmp_path / "large.png"), **REQUESTS[endpoint]}
    if endpoint in ("/collect", "/learn"):
        given["pictures"] = [given["content"]]
    if endpoint == "/learn":
        del given["content"]
    job = app_client.submit(**given, api_name=endpoint)
    wait_for(lambda: len(passes) > 3)
    assert job.cancel()
    wait_for(lambda: not any(thread.name == "job" for thread in threading.enumerate()))
    assert len(passes) < TILES  # of the first of four passes over the tiles


class TestQueue:
    def test_a_full_queue_refuses_with_a_sentence(
        self,
        app_pipe: StyleTransferPipeline,
        app_folder: Path,
        tmp_path: Path,
    ) -> None:
        go = threading.Event()
        with launched(app_pipe, tmp_path, max_queue=2) as demo:
            hook = app_pipe.generator.register_forward_hook(lambda *_: go.wait(60) and None)
            client = new_client(demo, tmp_path)
            ask = {"content": upload(app_folder / "photo.png"), "preset": "waves"}
            first = client.submit(**ask, api_name="/stylize")
            at_work = {"PROCESSING", "ITERATING"}  # the first one only for a moment
            wait_for(lambda: first.status().code.value in at_work)
            waiting = [client.submit(**ask, api_name="/stylize") for _ in range(2)]
            wait_for(lambda: len(demo._queue) == 2)
            with pytest.raises(Exception, match=r"^Queue is full! Please try again\.$"):
                client.predict(**ask, api_name="/stylize")
            go.set()
            hook.remove()
            assert all(Image.open(job.result(60)).size == (70, 50) for job in [first, *waiting])

    def test_whatever_computes_waits_in_one_queue(self, running_app: Any) -> None:
        queued = [fn for fn in running_app.fns.values() if fn.queue and fn.fn is not None]
        alone = {
            "paint",
            "many",
            "learn",
            "film",
            "live",
        }  # one visitor at a time each, beside each other
        assert {fn.concurrency_limit for fn in queued if fn.concurrency_id in alone} == {1}
        others = {fn.name for fn in queued if fn.concurrency_id not in alone}
        assert others <= {
            "growing",
            "choose",
            "leave",
            "warn",
            "tell",
        }  # wait for thumbnails, or paint nothing
        assert running_app._queue.max_size == MAX_QUEUE


class TestJob:
    def test_gives_its_result_and_tells_how_far_it_is(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Once a second, the same is told again.
        monkeypatch.setattr(jobs, "time", SimpleNamespace(monotonic=lambda: 0.0))
        told: list[tuple[float, str]] = []
        go = threading.Event()

        def work() -> str:
            jobs.mark(0.5, "painting")
            go.wait(10)
            return "painted"

        steps = jobs.job(work, "wait", lambda share, desc: told.append((share, desc)))
        assert next(steps) == "wait"
        assert next(steps) == "wait"
        go.set()
        assert _result(steps) == "painted"
        assert told == [(0.5, "painting")]

    def test_raises_what_the_work_raises(self) -> None:
        def work() -> None:
            raise ValueError("no such style")

        with pytest.raises(ValueError, match="no such style"):
            list(jobs.job(work, None))

    def test_when_closed_leaves_no_half_written_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
        go, ended = threading.Event(), threading.Event()

        def work() -> str:
            go.wait(10)
            try:
                return results.write_png(Image.new("RGB", (500, 500)), "painted", {})
            finally:
                ended.set()

        steps = jobs.job(work, None)
        next(steps)
        steps.close()
        go.set()
        assert ended.wait(10)
        assert not list(tmp_path.rglob("painted.png"))

    def test_ends_when_nobody_asks_for_it_any_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(jobs, "UNATTENDED_SECONDS", 0.3)
        ended = threading.Event()

        def work() -> None:
            try:
                while True:
                    jobs.mark()
                    time.sleep(0.01)
            finally:
                ended.set()

        steps = jobs.job(work, None)
        for _ in range(5):  # longer than that, if one asks
            next(steps)
        assert not ended.is_set()
        assert ended.wait(10)  # though `steps` is neither closed nor forgotten
        with pytest.raises(gr.Error, match="Nobody waited"):
            list(steps)

    def test_outside_of_a_job_a_mark_does_nothing(self) -> None:
        jobs.mark(0.5, "painting")


def _result(steps: Generator[Any, None, Any]) -> Any:
    """What a generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
