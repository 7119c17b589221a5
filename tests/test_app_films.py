"""Films and cameras in the web demo: what its endpoint gives, what it refuses, what is kept when it is stopped."""

from __future__ import annotations

import base64
import io
import re
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

gr = pytest.importorskip("gradio")
pytest.importorskip("av")
pytest.importorskip("cv2")

from app_server import open_tab, opened, picture, refusal, upload  # noqa: E402
from film_clips import panned, streams_of, write_clip  # noqa: E402

from hfstyle import StyleTransferPipeline  # noqa: E402
from hfstyle.film import film_facts, read_frames  # noqa: E402
from hfstyle.studio.backend import camera, films  # noqa: E402
from hfstyle.studio.backend.engine import Studio  # noqa: E402
from hfstyle.studio.backend.films import Films  # noqa: E402
from hfstyle.studio.pages.live import LiveHandlers  # noqa: E402
from hfstyle.studio.pages.video import VideoHandlers  # noqa: E402

SETTINGS = (None, None, 0.9, 1.0, 384, 512, 0.5, 0.0)
"""Style picture, style file, strength, colour, brush, detail, faces, outlines."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of pan with sound, of 160 x 96 px."""
    folder = tmp_path_factory.mktemp("film")
    return write_clip(folder / "in.mp4", panned(25, 96, 160), sound="aac")


def pixels(path: str | Path) -> list[np.ndarray]:
    return [frame.rgb.astype(int) for frame in read_frames(path)]


def video(client: Any, clip: Path, **arguments: Any) -> str:
    return refusal(client, film=upload(clip), api_name="/video", **{"preset": "waves", **arguments})


# --- the endpoint


def test_a_part_of_a_film_is_painted_with_its_sound_as_in_python(
    app_client: Any, app_pipe: StyleTransferPipeline, clip: Path, tmp_path: Path
) -> None:
    painted, original, told = app_client.predict(
        upload(clip), "waves", begin=0.2, seconds=0.4, size=128, strength=0.9, api_name="/video"
    )
    painted, original = (
        Path(x["video"] if isinstance(x, dict) else x) for x in (painted, original)
    )
    assert painted.name == "in__waves_strength090.mp4"
    assert streams_of(painted).keys() == {"video h264", "audio aac"}
    assert streams_of(original).keys() == {"video h264"}
    assert told.startswith("10 frames, 0.4 s, painted in")
    app_pipe.video(clip, "waves", 0.9, start=0.2, end=0.6).save(tmp_path / "own.mp4")
    assert film_facts(painted).size == film_facts(original).size == (160, 96)
    for ours, theirs in zip(pixels(painted), pixels(tmp_path / "own.mp4"), strict=True):
        assert np.abs(ours - theirs).mean() < 2  # the same frames, coded twice
    for ours, theirs in zip(pixels(original), pixels(clip)[5:15], strict=True):
        assert np.abs(ours - theirs).mean() < 4


def test_what_cannot_be_painted_gets_a_sentence(
    app_client: Any, app_folder: Path, clip: Path, tmp_path: Path
) -> None:
    assert "Choose a film" in refusal(app_client, film=None, api_name="/video")
    assert "Choose a style" in video(app_client, clip, preset=None)
    assert "in.mp4 is 1.0 s long" in video(app_client, clip, begin=1.5)
    assert "maximum value 20" in video(app_client, clip, seconds=21)
    assert "minimum value 128" in video(app_client, clip, size=16)
    assert "it is a picture (PNG)" in video(app_client, app_folder / "photo.png")
    (tmp_path / "notes.mp4").write_text("these are notes")
    said = video(app_client, tmp_path / "notes.mp4")
    assert "otes.mp4 is not a film that can be read" in said
    assert "/" not in said.replace("App raised", "")  # no folder of the server
    with open(tmp_path / "huge.mp4", "wb") as file:
        file.truncate(films.MAX_FILM_BYTES + 1)
    with pytest.raises(Exception, match=r"413|size|large|limit"):
        app_client.predict(upload(tmp_path / "huge.mp4"), preset="waves", api_name="/video")


def test_too_many_frames_and_too_large_ones_are_refused(
    app_pipe: StyleTransferPipeline, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = Films(Studio(app_pipe))
    monkeypatch.setattr(films, "MAX_FRAMES", 20)
    with pytest.raises(
        gr.Error, match=r"are about 25 frames, at 25 a second.*Choose at most 0.8 s"
    ):
        studio.part(str(clip), 0, 5, 128)
    assert studio.part(str(clip), 0, 0.5, 128).frames == 12
    monkeypatch.setattr(films, "MAX_FRAME_PIXELS", 10_000)
    with pytest.raises(gr.Error, match=r"have 160 x 96 px"):
        studio.part(str(clip), 0, 0.5, 128)


# --- stopping


def test_stop_keeps_what_is_painted(
    app_pipe: StyleTransferPipeline,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    handlers = VideoHandlers(Films(Studio(app_pipe)))
    visitor = SimpleNamespace(session_hash="somebody")
    told: list[str] = []
    running = handlers.video(
        str(clip),
        "waves",
        *SETTINGS,
        0,
        1,
        128,
        visitor,  # type: ignore[arg-type]
        lambda share, desc: (
            handlers.stops.press(visitor) if desc.startswith(("3 ", "4 ")) else told.append(desc)
        ),  # type: ignore[arg-type]
    )
    slow_down(monkeypatch)
    painted, original, said = list(running)[-1]
    count = len(pixels(painted))
    assert 3 <= count < 20
    assert len(pixels(original)) == count
    assert "Stopped: this is what was painted" in said
    assert streams_of(Path(painted))["audio aac"][1] == pytest.approx(count / 25, abs=0.1)


def slow_down(patch: pytest.MonkeyPatch, seconds: float = 0.15) -> None:
    """Turns of the network long enough for a visitor to see how many frames there are."""
    plain = Studio.turn
    patch.setattr(Studio, "turn", lambda studio: _slow(plain(studio), seconds))


@contextmanager
def _slow(turn: AbstractContextManager[None], seconds: float) -> Iterator[None]:
    time.sleep(seconds)
    with turn:
        yield


def test_stopped_in_the_queue_it_does_not_begin_and_who_leaves_leaves_no_file(
    app_pipe: StyleTransferPipeline, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    handlers = VideoHandlers(Films(Studio(app_pipe)))
    visitor: Any = SimpleNamespace(session_hash="somebody")
    asked = str(clip), "waves", *SETTINGS, 0, 1, 128, visitor
    handlers.stops.asked(visitor)
    handlers.stops.press(visitor)
    with pytest.raises(gr.Error, match="stopped before the first frame"):
        list(handlers.video(*asked))
    slow_down(monkeypatch)
    running = handlers.video(*asked)
    while not list(tmp_path.rglob("*.tmp")):
        next(running)
    running.close()
    (worker,) = [t for t in threading.enumerate() if t.name == "job"][-1:]
    worker.join(60)
    assert not list(tmp_path.rglob("*.mp4"))
    assert not list(tmp_path.rglob("*.tmp"))


# --- the camera


def as_text(image: Image.Image, kind: str = "JPEG") -> str:
    stream = io.BytesIO()
    image.save(stream, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"


def test_only_pictures_of_a_camera_are_taken(app_folder: Path) -> None:
    shown = camera.picture_of(as_text(picture(64, 48), "PNG"))
    assert np.array_equal(shown, np.asarray(picture(64, 48)))
    for url, words in (
        (None, "and nothing else"),
        ("http://example.com/a.png", "and nothing else"),
        (str(app_folder / "photo.png"), "and nothing else"),
        ("data:text/html;base64,aaaa", "and nothing else"),
        ("data:image/png;base64,aaaa", "damaged"),
        ("data:image/png;base64,%%%", "damaged"),
        (as_text(picture(64, 48), "BMP"), "damaged"),
        (as_text(Image.new("RGB", (9, 64))), "9 x 64 px"),
        (as_text(Image.new("L", (2000, 1600))), "2000 x 1600 px"),
        ("data:image/png;base64," + "A" * (camera.MAX_PICTURE_LETTERS + 1), "limit is"),
    ):
        with pytest.raises(gr.Error, match=words):
            camera.picture_of(url)


def test_a_camera_is_painted_and_forgotten(app_pipe: StyleTransferPipeline) -> None:
    handlers = LiveHandlers(Studio(app_pipe))
    one, other = (SimpleNamespace(session_hash=name) for name in ("one", "other"))
    frames = panned(3, 200, 260)
    for index, rgb in enumerate(frames, start=1):
        shown, said = handlers.paint(rgb, "waves", None, None, 0.8, 1, 384, 0.9, 0.0, 128, one)  # type: ignore[arg-type]
        assert shown.shape == (128, 166, 3)
        assert said.startswith(f"Picture {index}:")
    fresh, said = handlers.paint(frames[-1], "waves", None, None, 0.8, 1, 384, 0.9, 0.0, 128, other)  # type: ignore[arg-type]
    assert said.startswith("Picture 1:")
    assert not np.array_equal(fresh, shown)  # nothing of the other visitor's is in it
    handlers.leave(one)  # type: ignore[arg-type]
    _, said = handlers.paint(frames[-1], "night", None, None, 0.8, 1, 384, 0.9, 0.0, 128, other)  # type: ignore[arg-type]
    assert said.startswith("Picture 2:")
    handlers.leave(other)  # type: ignore[arg-type]
    _, said = handlers.paint(frames[-1], "night", None, None, 0.8, 1, 384, 0.9, 0.0, 128, other)  # type: ignore[arg-type]
    assert said.startswith("Picture 1:")
    with pytest.raises(gr.Error, match="Choose a style"):
        handlers.paint(frames[0], None, None, None, 0.8, 1, 384, 0.9, 0.0, 128, one)  # type: ignore[arg-type]


_AWAY = """() => {
  const draw = (source, flip) => {
    const canvas = Object.assign(document.createElement("canvas"), {width: 64, height: 48});
    const pen = canvas.getContext("2d");
    if (flip) { pen.translate(64, 0); pen.scale(-1, 1); }
    pen.drawImage(source, 0, 0, 64, 48);
    return pen.getImageData(0, 0, 64, 48).data;
  };
  const seen = draw(document.querySelector("#camera video"), false);
  return [false, true].map((flip) => {
    const painted = draw(document.querySelector("#live img"), flip);
    return seen.reduce((sum, value, at) => sum + Math.abs(value - painted[at]), 0);
  });
}"""
"""How far what the camera takes is from what is painted, and from its mirror image."""


def test_a_camera_is_painted_in_the_browser_and_stops(browser: Any, running_app: Any) -> None:
    pytest.importorskip("skimage")
    from playwright.sync_api import expect

    with opened(browser, running_app, 1280) as page:
        open_tab(page, "Live")
        stop = page.get_by_role("button", name="Stop", exact=True).locator("visible=true").last
        expect(stop).to_be_disabled()
        page.get_by_label("number input for Strength").first.fill("0")
        page.get_by_label("number input for Strength").first.press("Tab")
        ask = page.get_by_role("button", name="Click to Access Webcam")
        for error, told in (
            ("NotFoundError", "No camera was found"),
            ("NotAllowedError", "not allowed here; allow it"),
        ):
            page.evaluate(
                """name => {
                    window.real ??= MediaDevices.prototype.getUserMedia;
                    MediaDevices.prototype.getUserMedia = () => Promise.reject(new DOMException("", name));
                    addEventListener("unhandledrejection", (event) => event.preventDefault());
                }""",
                error,
            )
            ask.click()
            expect(ask).to_have_accessible_name(re.compile(told))
        page.evaluate("() => { MediaDevices.prototype.getUserMedia = window.real; }")
        ask.click()
        page.get_by_role("button", name="capture photo").click()
        status = page.locator("#page-live [role=status]")
        status.filter(has_text=re.compile(r"Picture ([3-9]|\d\d+):")).wait_for()
        video = "getComputedStyle(document.querySelector('#camera video')).transform"
        assert page.evaluate(video) in ("none", "matrix(1, 0, 0, 1, 0, 0)")
        away = []  # at strength 0 what is painted is what is seen, but for its delay
        for _ in range(12):
            away.append(page.evaluate(_AWAY))
            page.wait_for_timeout(150)
        straight, mirrored = np.sum(away, 0)
        assert straight < mirrored, (
            away
        )  # 0.8 to 0.9 of it; the other way round where one is mirrored
        page.get_by_label("number input for Strength").first.fill("0.8")
        page.get_by_label("number input for Strength").first.press("Tab")
        status.filter(has_text=re.compile(r"Picture (\d\d+):")).wait_for()
        page.wait_for_timeout(1000)
        with page.expect_download() as saved:
            page.get_by_role("button", name="Save this picture").click()
        assert saved.value.suggested_filename.endswith(".jpg")
        with Image.open(saved.value.path()) as shown:
            assert (shown.format, min(shown.size)) == ("JPEG", 256)
            assert b"compositeWithTrainedAlgorithmicMedia" in shown.info["xmp"]
        stop.click()
        page.get_by_title("start recording").wait_for()
        expect(stop).to_be_disabled()


def test_a_film_is_chosen_seen_painted_and_stopped_in_the_browser(
    browser: Any, running_app: Any, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("skimage")
    from playwright.sync_api import expect

    with opened(browser, running_app, 390) as page:
        open_tab(page, "Video")
        page.locator("#page-video input[type=file]").first.set_input_files(clip)
        status = page.locator("#page-video [role=status]")
        status.filter(has_text="160 × 96 px, 1.0 s, 25 frames/s, with sound").wait_for()
        page.get_by_label("number input for Length").fill("0.4")
        page.get_by_label("number input for Length").press("Tab")
        page.get_by_role("button", name="Paint the film").click()
        page.wait_for_function(
            "[...document.querySelectorAll('.films video')].filter((v) => v.readyState > 1).length === 2"
        )
        page.evaluate("document.querySelector('.films video').play()")
        page.wait_for_function(
            "[...document.querySelectorAll('.films video')].every((v) => v.currentTime > 0)"
        )
        stopped = page.get_by_label("What was done")
        expect(stopped).to_have_value(re.compile("^10 frames, 0.4 s"))

        slow_down(monkeypatch, 1.0)
        page.get_by_label("number input for Length").fill("1")
        page.get_by_label("number input for Length").press("Tab")
        status.filter(has_text="Painting 1.0 s").wait_for()
        assert page.locator(".films video").last.bounding_box()["width"] > 350
        page.get_by_role("button", name="Paint the film").click()
        expect(page.locator(".films video")).to_have_count(0)  # nothing of the first film stays
        expect(stopped).to_have_value(re.compile(r"^([2-9]|1\d|2[0-4]) of 25 frames"))
        page.get_by_role("button", name="Stop", exact=True).locator("visible=true").click()
        expect(stopped).to_have_value(re.compile(r"\. Stopped: this is what was painted\.$"))
        frames = int(stopped.input_value().split()[0])
        assert 2 <= frames < 25
        page.wait_for_function(
            """frames => [...document.querySelectorAll('.films video')].every(
                (film) => film.readyState > 1 && Math.abs(film.duration - frames / 25) < .1)""",
            arg=frames,
        )
