"""Learning a style in the web demo: what it gives, how it is stopped, and what it refuses."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from app_server import open_tab, opened, picture, refusal, upload
from PIL import Image

from hfstyle import StyleCode, StyleTransferPipeline

gr = pytest.importorskip("gradio")
pytest.importorskip("skimage")

from hfstyle.studio.backend import engine  # noqa: E402
from hfstyle.studio.pages import learn  # noqa: E402
from hfstyle.studio.pages.learn import LearnHandlers  # noqa: E402

VISITOR: Any = SimpleNamespace(session_hash="somebody")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learn, "_SIZE", 128)  # px, which takes less time


@pytest.fixture
def handlers(
    app_pipe: StyleTransferPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> LearnHandlers:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    return LearnHandlers(engine.Studio(app_pipe))


@pytest.fixture
def style(tmp_path: Path) -> str:
    picture(90, 90, seed=2).resize((200, 150)).save(tmp_path / "mine.png")
    return str(tmp_path / "mine.png")


def lesson(handlers: LearnHandlers, style: str, tell: Callable[..., None]) -> Any:
    progress: Any = tell
    *_, last = handlers.learn(VISITOR, [style], "my hand", 30, progress=progress)
    return last


def test_a_program_gets_before_and_after_a_sentence_and_a_style(
    app_client: Any, app_folder: Path, app_pipe: StyleTransferPipeline
) -> None:
    sheet, told, file = app_client.predict(
        [upload(app_folder / "style.png")], name="my hand", steps=10, api_name="/learn"
    )
    assert Image.open(sheet).size[0] > 600
    assert told.startswith(("It helped: a photo", "Learning did not bring"))
    assert told.endswith("Learned in 10 steps.")
    code = StyleCode.load(file, app_pipe.generator.encoder_fingerprint())
    assert (code.name, code.metadata["pictures"]) == ("my hand", "1")
    painted = app_client.predict(
        upload(app_folder / "photo.png"), style_file=upload(Path(file)), api_name="/stylize"
    )
    assert "my_hand" in Path(painted).name


def test_stop_keeps_the_best_so_far(handlers: LearnHandlers, style: str) -> None:
    def tell(share: float, desc: str) -> None:
        if desc.startswith("Learning: step"):
            handlers.stops.press(VISITOR)

    _, told, file, again = lesson(handlers, style, tell)
    assert re.search(r"You stopped it after \d+ steps?; the best so far is kept", told)
    assert file == again
    assert Path(file).is_file()
    handlers.stops.press(VISITOR)  # nothing to end any more


def test_how_far_it_is_stands_on_the_page(
    handlers: LearnHandlers, style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = learn._Lesson.step

    def slow(self: Any, done: int, total: int) -> None:
        time.sleep(0.3)
        plain(self, done, total)

    monkeypatch.setattr(learn._Lesson, "step", slow)
    steps = list(handlers.learn(VISITOR, [style], "", 10, progress=lambda *_, **__: None))  # type: ignore[arg-type]
    assert steps[0] == (None, "Looking at the pictures", None, None)  # nothing of an earlier lesson
    told = [one for _, one, _, _ in steps if isinstance(one, str)]
    assert any(re.fullmatch(r"Learning: step \d+ of 10, about \d+ s are left", one) for one in told)


def test_stopped_in_the_queue_it_does_not_begin(handlers: LearnHandlers, style: str) -> None:
    handlers.stops.asked(VISITOR)
    handlers.stops.press(VISITOR)
    with pytest.raises(gr.Error, match="stopped before it began"):
        lesson(handlers, style, lambda *_, **__: None)
    handlers.stops.asked(VISITOR)
    with pytest.raises(gr.Error, match="Choose the pictures"):
        list(handlers.learn(VISITOR, [], progress=lambda *_, **__: None))  # type: ignore[arg-type]
    handlers.stops.press(VISITOR)  # of nothing
    _, told, *_ = lesson(handlers, style, lambda *_, **__: None)
    assert "Learned in 30 steps" in told


def test_it_ends_when_its_time_is_over(
    handlers: LearnHandlers, style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learn, "LESSON_SECONDS", -60)
    _, told, _, _ = lesson(handlers, style, lambda *_, **__: None)
    assert re.search("It ended after .* and 1 step; the best so far is kept", told)


def test_who_leaves_ends_it(handlers: LearnHandlers, style: str) -> None:
    running = handlers.learn(VISITOR, [style], "", 180, progress=lambda *_, **__: None)  # type: ignore[arg-type]
    next(running)
    running.close()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if thread.name == "job":
            thread.join(60)
            assert not thread.is_alive()


def test_what_cannot_be_learned_from_is_told(
    app_client: Any, app_folder: Path, tmp_path: Path
) -> None:
    asked = {"api_name": "/learn"}
    assert "Choose the pictures" in refusal(app_client, pictures=[], **asked)
    photo = upload(app_folder / "style.png")
    assert "the limit is 50" in refusal(app_client, pictures=[photo] * 51, **asked)
    assert "180" in refusal(app_client, pictures=[photo], steps=5000, **asked)
    (tmp_path / "notes.png").write_bytes(b"notes")
    assert "not a picture" in refusal(
        app_client, pictures=[upload(tmp_path / "notes.png")], **asked
    )


def test_pictures_that_cannot_be_used_are_left_out(
    app_client: Any, app_folder: Path, app_pipe: StyleTransferPipeline, tmp_path: Path
) -> None:
    (tmp_path / "notes.png").write_bytes(b"notes")
    (tmp_path / "nothing.jpg").touch()
    Image.new("L", (9000, 5000)).save(tmp_path / "R&D.png")
    unusable = [upload(tmp_path / name) for name in ("notes.png", "nothing.jpg", "R&D.png")]
    good = upload(app_folder / "style.png")
    asked = {"steps": 10, "api_name": "/learn"}
    _, told, file = app_client.predict([*unusable, good], **asked)
    assert "3 of the 4 pictures were left out. The style picture" in told
    for said in ("notes.png", "nothing.jpg", "45 megapixels"):
        assert said in told
    assert (
        StyleCode.load(file, app_pipe.generator.encoder_fingerprint()).metadata["pictures"] == "1"
    )
    said = refusal(app_client, pictures=unusable, **asked)
    assert "None of the 3 pictures can be used. The style picture" in said


@pytest.mark.slow
def test_a_learned_style_is_used_with_one_button(
    browser: Any, running_app: Any, app_folder: Path
) -> None:
    from playwright.sync_api import expect

    with opened(browser, running_app, 390) as page:
        open_tab(page, "Learn")
        chooser = page.locator("input[type=file][multiple]:not([webkitdirectory])").first
        chooser.set_input_files(app_folder / "style.png")
        page.get_by_label("Name of the style").fill("my hand")
        page.get_by_label("number input for Steps").locator("visible=true").fill("10")
        page.get_by_role("button", name="Learn the style").click()
        expect(page.get_by_label("How much it helped")).to_have_value(
            re.compile("It helped|Learning did not bring")
        )
        expect(page.get_by_alt_text("photos before and after").first).to_be_visible()
        page.get_by_role("button", name="Use this style on Stylize").locator("visible=true").click()
        expect(page.locator("#status")).to_be_visible()
        expect(page.locator("#status")).to_contain_text("my hand")
        open_tab(page, "Video")
        style = page.locator("#page-video").get_by_label("Style", exact=True)
        expect(style).to_have_value("my hand")
        style.click()
        page.get_by_role("option", name="Night (A. Painter, 1900)").click()
        expect(style).to_have_value("Night (A. Painter, 1900)")
        open_tab(page, "Stylize")
        expect(page.locator("#status")).to_contain_text("Night (A. Painter, 1900)")
