"""The web demo with a tiny model, running on the loopback interface once for all tests; conftest.py shares the fixtures."""

from __future__ import annotations

import faulthandler
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hfstyle import StyleCode, StyleGenerator, StyleTransferPipeline

PATIENCE = 300_000
"""Milliseconds after which a browser's state is not waited for any more; a busy machine needs minutes for some."""
STALLED = 400
"""Seconds that a test may take before its browsers are killed: more than `PATIENCE`, which says what was waited for."""
AGAIN = 20
"""Seconds after which what is still there is killed once more."""
LOST = 500
"""Seconds from the first kill after which the test's own process is given up."""
KILLED = "Target.* closed|Target crashed|[Cc]onnection closed|Browser closed"
"""What Playwright says when a browser was killed."""

AT_REST = """() => !document.querySelector("[data-testid=status-tracker]:not(.hide), .pending, .generating")"""
"""Whether nothing is computed for a page."""
_DRAWN_CAMERA = ["--use-fake-device-for-media-stream=fps=5", "--use-fake-ui-for-media-stream"]
"""A moving picture that Chromium draws, slowly since others compute meanwhile, and leave to see it."""
_QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]
"""Nothing but the pages under test: where there is no network, Chromium tries its own addresses again and again."""


def picture(width: int = 70, height: int = 50, seed: int = 0) -> Image.Image:
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    )


@pytest.fixture(scope="session")
def app_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    picture(seed=1).save(folder / "photo.png")
    picture(90, 90, seed=2).save(folder / "style.png")
    return folder


@pytest.fixture(scope="session")
def app_pipe() -> StyleTransferPipeline:
    torch.manual_seed(0)
    pipe = StyleTransferPipeline(
        StyleGenerator(widths=(4, 8, 8, 8), blocks=(1, 1, 1), style_width=8, heads=1)
    )
    for index, name in enumerate(("waves", "night", "squares")):
        code = pipe.encode_style(picture(80, 80, seed=10 + index), name=name)
        metadata = {"title": name.title(), "artist": "A. Painter", "year": "1900"}
        pipe.presets = {**pipe.presets, name: StyleCode(*_parts(code), name, metadata)}
    return pipe


def _parts(code: StyleCode) -> tuple[torch.Tensor, torch.Tensor, str]:
    return code.vector, code.tokens, code.encoder


@contextmanager
def launched(pipe: StyleTransferPipeline, uploads: Path, **options: Any) -> Iterator[Any]:
    """The app on the loopback interface, until the block ends.

    Args:
        pipe: the model.
        uploads: folder for uploads and results.
        options: of `create_app`.
    """
    from hfstyle import studio
    from hfstyle.studio.backend import gallery

    with pytest.MonkeyPatch.context() as patch:
        for variable in ("NO_PROXY", "no_proxy"):
            patch.setenv(variable, "127.0.0.1,localhost")
        patch.setenv("GRADIO_TEMP_DIR", str(uploads))
        patch.setattr(gallery, "_DELAY", 0.0)
        # Gradio gives its own page three seconds, which a busy machine may exceed.
        patch.setattr("gradio.networking.url_ok", lambda url: True)
        demo = studio.create_app(pipe, "a test's model", **options)
        demo.launch(
            prevent_thread_lock=True,
            server_name="127.0.0.1",
            quiet=True,
            share=False,
            **studio.launch_options(),
        )
        for thread in threading.enumerate():
            if thread.name == "thumbnails":
                thread.join(60)
        try:
            yield demo
        finally:
            demo.close(verbose=False)


def new_client(demo: Any, downloads: Path) -> Any:
    """A program that asks a launched app."""
    gradio_client = pytest.importorskip("gradio_client")
    return gradio_client.Client(
        demo.local_url, verbose=False, analytics_enabled=False, download_files=str(downloads)
    )


@pytest.fixture(scope="session")
def running_app(
    app_pipe: StyleTransferPipeline, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """The app, one for all tests."""
    pytest.importorskip("gradio")
    with launched(app_pipe, tmp_path_factory.mktemp("uploads")) as demo:
        yield demo


@pytest.fixture(scope="session")
def app_client(running_app: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return new_client(running_app, tmp_path_factory.mktemp("downloads"))


class Chromium:
    """Chromium as the system has it, started when a page is wanted and none runs: a killed one is replaced.

    While it runs, no other test can run an event loop.
    """

    def __init__(self, executable: str) -> None:
        self._executable = executable
        self._driver: Any = None
        self._running: Any = None
        self._kills = 0

    def new_page(self, **options: Any) -> Any:
        return self._started().new_page(**options)

    def new_context(self, **options: Any) -> Any:
        return self._started().new_context(**options)

    def _started(self) -> Any:
        if self._running is None or not self._running.is_connected() or self._kills != _kills:
            self.close()
            self._kills = _kills
            self._driver = _started_driver()
            self._running = self._driver.chromium.launch(
                executable_path=self._executable,
                args=["--no-sandbox", *_QUIET, *_DRAWN_CAMERA],
            )
        return self._running

    def close(self) -> None:
        if self._running is not None:
            close(self._running)
            self._driver.stop()
            self._running = None


def _started_driver() -> Any:
    """Playwright, whose program for Node.js is a new one: a browser's end may have been its own."""
    playwright = pytest.importorskip("playwright.sync_api")
    driver = playwright.sync_playwright().start()
    playwright.expect.set_options(timeout=PATIENCE)
    return driver


@contextmanager
def launched_chromium() -> Iterator[Chromium]:
    """A browser for tests, until the block ends."""
    pytest.importorskip("playwright.sync_api")
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        if "HFSTYLE_BROWSER_NEEDED" in os.environ:
            pytest.fail("HFSTYLE_BROWSER_NEEDED is set, but there is no chromium or google-chrome.")
        pytest.skip("no Chromium")
    _no_priority()
    chromium = Chromium(executable)
    try:
        yield chromium
    finally:
        with killed_after(STALLED):
            chromium.close()


def _no_priority() -> None:
    """Take from this process's children the right to go before others, which Chromium uses where root runs it."""
    if sys.platform == "linux":
        import ctypes

        drop_from_bounding_set, sys_nice = 24, 23
        ctypes.CDLL(None).prctl(drop_from_bounding_set, sys_nice, 0, 0, 0)


def close(page: Any) -> None:
    """Close a page, a context or a browser; one that was killed is closed already."""
    from playwright.sync_api import Error

    with suppress(Error):
        page.close()


@contextmanager
def killed_after(seconds: float) -> Iterator[None]:
    """Kill this process's browsers, and Playwright's own program, again and again unless the block ends in time.

    For some answers, as that of `evaluate` or `close`, Playwright waits for ever. A kill ends them by an `Error` that
    matches `KILLED`. Where that does not help either, the process says where it stands, and ends: the limit of
    pytest-timeout no longer holds once a test has failed.
    """
    ended = threading.Event()

    def watch() -> None:
        if ended.wait(seconds):
            return
        for _ in range(LOST // AGAIN):
            _kill_browsers()
            if ended.wait(AGAIN):
                return
        _give_up()

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


_kills = 0
"""How often browsers were killed; one that lost Playwright's own program counts as connected."""


def _kill_browsers() -> None:
    import psutil

    global _kills
    _kills += 1
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "chrom" in process.name() or "node" in process.name():
                process.kill()


def _give_up() -> None:
    import psutil

    told = sys.__stderr__ or sys.stderr
    faulthandler.dump_traceback(told, all_threads=True)
    for process in psutil.process_iter(["pid", "ppid", "nice", "status", "num_threads", "name"]):
        print(*process.info.values(), *process.cpu_times()[:2], file=told)
    told.flush()
    os._exit(1)


@pytest.fixture(scope="module")
def browser(running_app: Any) -> Iterator[Chromium]:
    """For pages of the app."""
    with launched_chromium() as chromium:
        yield chromium


@contextmanager
def opened(browser: Any, demo: Any, width: int) -> Iterator[Any]:
    """The app in a new page of the browser, once the first page is whole; fails on errors in its scripts."""
    problems: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 850}, color_scheme="light")
    page.set_default_timeout(PATIENCE)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "filechooser", lambda chooser: None
    )  # from now on: asked for with a key press, it comes too late
    page.goto(demo.local_url)
    for part in (".presets .thumbnail-item >> nth=2", ".results .thumbnail-item >> nth=1"):
        page.locator(part).wait_for()
    page.locator(".strip .thumbnail-item").nth(4).wait_for()
    yield page
    close(page)
    assert not problems


GROUP_OF = {
    **dict.fromkeys(("Stylize", "Regions", "Many photos", "Compare"), "Paint"),
    **dict.fromkeys(("Discover", "Mix", "Learn"), "Styles"),
    **dict.fromkeys(("Animate", "Video", "Live"), "Motion"),
}
"""The group of a page that is not one of its own."""
FIRST_OF = {"About": "h2", "Regions": "canvas"}
"""What a page begins with, if not with a button."""


def open_tab(page: Any, name: str) -> None:
    """Show a page of the app."""
    for tab in (GROUP_OF.get(name, name), name):
        page.get_by_role("tab", name=tab, exact=True).locator("visible=true").first.click()
        page.get_by_role("tab", name=tab, exact=True, selected=True).first.wait_for()
    first = FIRST_OF.get(name, "button.primary")
    page.locator(f"[role=tabpanel] {first} >> visible=true").first.wait_for()


def bring_photo(page: Any, folder: Path) -> None:
    """Upload the photo of `app_folder`, and wait until it is painted."""
    from playwright.sync_api import expect

    page.locator(".photo input[type=file]").set_input_files(folder / "photo.png")
    expect(page.locator("#status")).to_contain_text("70 × 50 px")


def upload(path: Path) -> Any:
    import gradio_client

    return gradio_client.handle_file(str(path))


def refusal(client: Any, **arguments: Any) -> str:
    """The sentence with which /stylize, or another endpoint, refuses."""
    import gradio_client

    arguments.setdefault("api_name", "/stylize")
    with pytest.raises(gradio_client.exceptions.AppError) as caught:
        client.predict(**arguments)
    return str(caught.value)


def values_of(client: Any, endpoint: str, **given: Any) -> list[Any]:
    """All values of an endpoint in its order, the defaults where none is given: stays true when it gets another one."""
    known = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    parameters = known[f"/{endpoint}"]["parameters"]
    assert given.keys() <= {parameter["parameter_name"] for parameter in parameters}
    return [given.get(p["parameter_name"], p.get("parameter_default")) for p in parameters]
