"""`hfstyle export-web`: a page that paints in the browser what Python paints."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accessibility import in_the_end, unreached, violations
from app_server import PATIENCE, close, launched_chromium
from huggingface_hub import SpaceCard
from PIL import Image
from small_model import small_generator

from hfstyle import StyleCode, StyleTransferPipeline
from hfstyle.cli import main
from hfstyle.graphs.export_web import LIBRARY, LIBRARY_VERSION

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytest.importorskip("skimage")

pytestmark = pytest.mark.slow
NEEDED = "HFSTYLE_BROWSER_NEEDED" in os.environ
CLOSE = 2  # of 255, on average


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of onnxruntime-web."""
    if shutil.which("npm") is None and not NEEDED:
        pytest.skip("no npm")
    folder = tmp_path_factory.mktemp("npm")
    command = ["npm", "pack", f"{LIBRARY}@{LIBRARY_VERSION}", "--prefer-offline", "--silent"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0 and not NEEDED:
        pytest.skip(f"npm cannot fetch it: {done.stderr}")
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.tgz"))


@pytest.fixture(scope="session")
def pipe(graphs: Path) -> StyleTransferPipeline:
    pipe = StyleTransferPipeline(small_generator())
    pipe.presets = {"waves": StyleCode.load(graphs / "styles" / "waves.safetensors")}
    return pipe


@pytest.fixture(scope="session")
def site(
    tmp_path_factory: pytest.TempPathFactory,
    graphs: Path,
    pipe: StyleTransferPipeline,
    library: Path,
) -> Path:
    folder, model = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("model")
    pipe.save_pretrained(model)
    options = ["--model", str(model), "--graphs", str(graphs), "--library", str(library)]
    assert main(["export-web", str(folder), *options]) == 0
    return folder


class Files(SimpleHTTPRequestHandler):
    """A plain server of files, which knows the types that the page needs."""

    extensions_map = {  # noqa: RUF012
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with launched_chromium() as browser:
        yield browser


CAMERA = """navigator.mediaDevices.getUserMedia = async () => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 480 });
  const context = canvas.getContext("2d");
  let step = 0;
  setInterval(() => {
    context.fillStyle = `hsl(${10 * step++} 80% 60%)`;
    context.fillRect(0, 0, 640, 480);
  }, 200);
  return canvas.captureStream(5);
};"""
"""A camera that the page itself draws: Chromium's own needs another process, which has held up a whole machine."""


@pytest.fixture
def opened(chromium: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Opens the page in a browser that has seen nothing yet; fails on errors in its scripts and on what is sent."""
    problems: list[str] = []
    contexts: list[Any] = []

    def open_page(width: int = 1440) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": 900})
        contexts.append(context)
        context.add_init_script(CAMERA)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "request",
            lambda request: (
                problems.append(f"{request.method} {request.url}")
                if request.method != "GET" or not request.url.startswith((address, "blob:"))
                else None
            ),
        )
        page.goto(f"{address}?backend=wasm")
        page.get_by_role("radio", name="Waves").wait_for()
        return page

    yield open_page
    for context in contexts:
        close(context)
    assert not problems


def photo(folder: Path, height: int = 75, width: int = 110) -> Path:
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / (5 + c)) + np.cos(y / (7 - c)) for c in range(3)], -1)
    file = folder / "photo.png"
    Image.fromarray((120 + 50 * waves).clip(0, 255).astype(np.uint8)).save(file)
    return file


def style(folder: Path) -> Path:
    file = folder / "dots.png"
    Image.fromarray(np.random.default_rng(5).integers(0, 256, (90, 420, 3), np.uint8)).save(file)
    return file


def settle(page: Any, names: str = "") -> None:
    """Wait until the page has painted, and says so."""
    page.wait_for_timeout(400)  # a slider rests before it counts
    page.wait_for_function(
        """() => !document.body.hasAttribute("aria-busy")
          && /painted in/.test(document.getElementById("status").textContent)"""
    )
    assert names in page.get_by_role("img", name=re.compile("^The painting")).get_attribute(
        "aria-label"
    )


def saved(page: Any, folder: Path, button: str = "Save as PNG") -> Path:
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    return file


def distance(file: Path, expected: Image.Image) -> float:
    with Image.open(file) as picture:
        found = np.asarray(picture.convert("RGB")).astype(float)
    return float(np.abs(found - np.asarray(expected)).mean())


def move(page: Any, label: str, value: int) -> None:
    slider = page.get_by_label(label, exact=True)
    slider.focus()
    slider.press("Home")
    for _ in range(value // 5):
        slider.press("ArrowRight")


def test_the_browser_paints_what_python_paints(
    opened: Callable[..., Any], pipe: StyleTransferPipeline, tmp_path: Path
) -> None:
    """A photo above the size at which it is painted; then by keyboard another strength and another colour."""
    file = photo(tmp_path, 300, 341)
    page = opened()
    page.set_input_files("#photo-file", file)
    page.get_by_role("radio", name="Waves").check(force=True)
    settle(page, "Waves")
    expected = pipe(str(file), "waves").images[0]
    assert distance(saved(page, tmp_path), expected) <= CLOSE
    page.get_by_label("Brush").select_option("256")
    settle(page)
    expected = pipe(str(file), "waves", processing_resolution=256).images[0]
    assert distance(saved(page, tmp_path), expected) <= CLOSE
    move(page, "Strength", 60)
    move(page, "Colour", 25)
    settle(page)
    options = {"strength": 0.6, "color": 0.25, "processing_resolution": 256}
    expected = pipe(str(file), "waves", **options).images[0]
    assert distance(saved(page, tmp_path), expected) <= CLOSE
    assert distance(saved(page, tmp_path, "Save as JPEG"), expected) <= 2 * CLOSE
    for button in ("Save as PNG", "Save as JPEG"):
        with Image.open(saved(page, tmp_path, button)) as picture:
            assert b"compositeWithTrainedAlgorithmicMedia" in picture.info["xmp"]
    move(page, "Strength", 0)
    settle(page)
    with Image.open(file) as picture:
        file = saved(page, tmp_path)
        assert distance(file, picture) == 0
    assert "xmp" not in Image.open(file).info  # nothing was painted


def test_a_picture_of_ones_own_is_a_style_here_and_in_python(
    opened: Callable[..., Any], pipe: StyleTransferPipeline, tmp_path: Path
) -> None:
    file, dots = photo(tmp_path), style(tmp_path)
    page = opened()
    page.set_input_files("#style-file", dots)
    page.get_by_role("radio", name="dots").wait_for()
    page.set_input_files("#photo-file", file)
    settle(page, "dots")
    assert distance(saved(page, tmp_path), pipe(str(file), str(dots)).images[0]) <= CLOSE
    code = StyleCode.load(saved(page, tmp_path, "Save this style as a file"))
    assert code.name == "dots"
    expected = pipe.encode_style(str(dots))
    assert (code.vector - expected.vector).abs().max() <= 1e-3
    assert (code.tokens - expected.tokens).abs().max() <= 1e-3
    mine = tmp_path / "mine.style.safetensors"
    code.save(mine)
    page.set_input_files("#style-file", mine)
    page.get_by_role("radio", name="mine").wait_for()
    settle(page, "mine")
    assert distance(saved(page, tmp_path), pipe(str(file), str(dots)).images[0]) <= CLOSE


def test_once_used_it_works_offline(opened: Callable[..., Any], tmp_path: Path) -> None:
    page = opened()
    page.evaluate("navigator.serviceWorker.ready")
    page.wait_for_function("() => navigator.serviceWorker.controller !== null")
    with page.expect_response(re.compile(r"faces\.onnx")):
        page.set_input_files("#photo-file", photo(tmp_path))
        page.get_by_role("radio", name="Waves").check(force=True)
    settle(page)
    page.wait_for_function(
        """async () => {
          const found = await Promise.all(["graphs/faces.onnx", "graphs/generator.onnx",
            "ort/ort-wasm-simd-threaded.wasm", "ort/ort-wasm-simd-threaded.mjs"].map((file) => caches.match(file)));
          return found.every(Boolean);
        }"""
    )
    page.context.set_offline(True)
    page.reload()
    page.set_input_files("#photo-file", photo(tmp_path))
    page.get_by_role("radio", name="Waves").check(force=True)
    settle(page)
    assert page.evaluate("crossOriginIsolated")  # so that the network gets threads


@pytest.mark.parametrize("width", [1440, 390])
def test_it_is_usable_by_all(opened: Callable[..., Any], tmp_path: Path, width: int) -> None:
    """Contrast, names and focus as WCAG 2.2 AA asks, before and after painting; nothing wider than the window."""
    page = opened(width)
    assert in_the_end(violations, page) == []
    page.get_by_role("button", name="Camera", exact=True).click()
    page.get_by_role("button", name="Take the photo").click()
    page.get_by_role("radio", name="Waves").check(force=True)
    settle(page)
    assert in_the_end(violations, page) == []
    assert unreached(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_label("Before and after").press("End")
    assert "inset(0px 0px 0px 100%)" in page.evaluate(
        "getComputedStyle(document.getElementById('after')).clipPath"
    )


HOLD = """() => {
  const plain = window.createImageBitmap;
  window.createImageBitmap = async (...given) => {
    const hold = !window.release;
    if (hold) await new Promise((resolve) => { window.release = resolve; });
    return plain(...given);
  };
}"""
"""From now on the first picture that is read waits until `release()` is called."""


def test_the_last_choice_counts(opened: Callable[..., Any], tmp_path: Path) -> None:
    """However long what was chosen before takes to be read, and whatever opens late."""
    one, two = photo(tmp_path), style(tmp_path)
    page = opened()
    page.evaluate(HOLD)
    page.set_input_files("#photo-file", one)
    page.set_input_files("#photo-file", two)
    page.get_by_role("img", name="The photo dots").wait_for()
    page.evaluate("release()")
    page.evaluate("window.release = null")
    page.set_input_files("#style-file", two)
    page.get_by_role("radio", name="Waves").check(force=True)
    settle(page, "Waves")
    page.evaluate("release()")
    page.get_by_role("radio", name="dots").wait_for()
    page.wait_for_timeout(300)
    assert page.get_by_role("radio", name="Waves").is_checked()
    assert page.get_by_role("img", name="The photo dots").is_visible()


def test_a_camera_that_opens_late_is_let_go(opened: Callable[..., Any], tmp_path: Path) -> None:
    page = opened()
    page.evaluate(
        """() => {
          const devices = navigator.mediaDevices, plain = devices.getUserMedia.bind(devices);
          const opened = [], waiting = [];
          devices.getUserMedia = async (wanted) => {
            await new Promise((resolve) => waiting.push(resolve));
            const stream = await plain(wanted);
            opened.push(stream);
            return stream;
          };
          window.asked = () => waiting.length;
          window.grant = () => waiting.forEach((resolve) => resolve());
          window.opened = () => opened.length;
          window.live = () => opened.flatMap((one) => one.getTracks()).filter((one) => one.readyState === "live").length;
        }"""
    )
    camera, shoot = (
        page.get_by_role("button", name=n, exact=True) for n in ("Camera", "Take the photo")
    )
    camera.click()
    camera.click()
    page.set_input_files("#photo-file", photo(tmp_path))
    page.get_by_role("img", name="The photo photo").wait_for()
    page.evaluate("grant()")
    page.wait_for_function("opened() === 2 && live() === 0")
    assert not shoot.is_visible()
    assert page.get_by_role("img", name="The photo photo").is_visible()
    camera.click()
    page.evaluate("grant()")
    page.wait_for_function("live() === 1")
    turn = page.get_by_role("button", name="Other camera")
    turn.click()  # which hides itself until the other one has opened
    page.wait_for_function("asked() === 4")
    page.evaluate("grant()")
    page.wait_for_function("opened() === 4 && live() === 1")
    shoot.click()
    page.get_by_role("img", name="The photo camera").wait_for()
    assert page.evaluate("live()") == 0


def test_a_photo_chosen_during_painting_waits_its_turn(
    opened: Callable[..., Any], pipe: StyleTransferPipeline, tmp_path: Path
) -> None:
    """Each painting is of the photo that was there when it was asked for."""
    page = opened()
    sums = page.evaluate(
        """async () => {
          const { readCode } = await import("./codes.js");
          const answer = await fetch("styles/waves.safetensors");
          const code = { ...readCode(await answer.arrayBuffer()), key: "waves" };
          const worker = new Worker("worker.js?backend=wasm", { type: "module" });
          const painted = new Promise((resolve, reject) => {
            const results = [];
            worker.onmessage = ({ data }) => {
              if (data.error) reject(new Error(data.error));
              if (data.result?.bytes) results.push(data.result);
              if (results.length === 2) resolve(results);
            };
          });
          const settings = { size: 256, strength: 1, color: 1, faces: 0, outlines: 0 };
          for (const [width, level] of [[96, 0], [80, 255]]) {
            const image = new ImageData(new Uint8ClampedArray(width * 64 * 4).fill(level), width, 64);
            worker.postMessage({ job: 0, kind: "photo", image });
            worker.postMessage({ job: 1, kind: "paint", code, settings });
          }
          return (await painted).map(({ width, bytes }) => [width, bytes[0], bytes[1], bytes[2]]);
        }"""
    )
    for (width, *color), level in zip(sums, (0, 255), strict=True):
        flat = Image.new("RGB", (width, 64), (level,) * 3)
        expected = pipe(flat, "waves", processing_resolution=256, faces=0.0).images[0]
        assert np.abs(np.subtract(color, expected.getpixel((0, 0)))).max() <= CLOSE
    assert [width for width, *_ in sums] == [96, 80]


def test_what_cannot_be_read_is_told(opened: Callable[..., Any], tmp_path: Path) -> None:
    page = opened()
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    page.set_input_files("#photo-file", broken)
    page.get_by_text("not a picture that the browser can read").wait_for()
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"no style")
    page.set_input_files("#style-file", damaged)
    page.get_by_text("not a style of hfstyle").wait_for()
    page.get_by_label("Search the styles").fill("nobody")
    page.get_by_text("No style of that name").wait_for()


def test_the_folder_is_a_static_space(site: Path) -> None:
    card = SpaceCard.load(site / "README.md").data.to_dict()
    assert card["sdk"] == "static"
    assert (site / card["app_file"]).is_file()
    assert len(card["short_description"]) <= 60
    assert "Microsoft" in (site / "ort" / "LICENSE").read_text()
    assert "Apache License" in (site / "LICENSE").read_text()
    named = json.loads((site / "styles.json").read_text())["styles"]
    assert [entry["name"] for entry in named] == ["waves"]
    assert (site / named[0]["thumbnail"]).is_file()


def test_what_does_not_fit_is_refused(
    graphs: Path, library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refusal(*options: str) -> str:
        assert main(["export-web", str(tmp_path / "out"), *options]) in (1, 2)
        return capsys.readouterr().err

    archive = tmp_path / "library.tgz"
    archive.write_bytes(library.read_bytes()[:-1])
    assert f"npm pack {LIBRARY}@{LIBRARY_VERSION}" in refusal("--library", str(archive))
    older = tmp_path / "node_modules" / LIBRARY
    older.mkdir(parents=True)
    (older / "package.json").write_text(json.dumps({"name": LIBRARY, "version": "1.2.3"}))
    assert f"1.2.3; give {LIBRARY} {LIBRARY_VERSION}" in refusal("--library", str(tmp_path))
    options = ["--library", str(library), "--graphs", str(graphs)]  # the bundled model's it is not
    assert "graphs of another model" in refusal(*options)
