"""The web demo shows what was asked for last, and soon: older work of the same page gives way."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from app_server import AT_REST, open_tab, opened

from hfstyle import StyleTransferPipeline

pytest.importorskip("gradio")

from hfstyle.studio.backend.wishes import Wishes


def visitor(name: str) -> Any:
    return SimpleNamespace(session_hash=name)


class TestWishes:
    @staticmethod
    def steps(*inputs: Any) -> Iterator[Any]:
        for step in range(3):
            yield (*inputs, step)

    def shown(self, running: Iterator[Any]) -> list[Any]:
        return [step for step in running if isinstance(step, tuple)]

    def test_what_is_wanted_is_done_whole(self) -> None:
        wishes = Wishes()
        wishes.told()(visitor("a"), {"path": "cat.png"}, 1, 0.5)
        running = wishes.newest(self.steps)(visitor("a"), "cat.png", 1.0)
        assert len(self.shown(running)) == 3

    def test_another_wish_ends_it_but_not_that_of_another_visitor(self) -> None:
        wishes = Wishes()
        running = wishes.newest(self.steps)(visitor("a"), "cat.png", 1)
        assert [next(running), next(running)][1] == ("cat.png", 1, 0)
        wishes.told()(visitor("b"), {"path": "dog.png"}, 1, 0.5)
        assert next(running) == ("cat.png", 1, 1)
        wishes.told()(visitor("a"), {"path": "dog.png"}, 1, 0.5)
        assert self.shown(running) == []

    def test_what_comes_afterwards_waits_for_what_was_shown(self) -> None:
        wishes = Wishes()
        first, then = wishes.newest(self.steps), wishes.afterwards(self.steps)
        assert self.shown(then(visitor("a"), 1)) == []
        assert len(self.shown(first(visitor("a"), 1))) == 3
        assert self.shown(then(visitor("a"), 2)) == []
        assert len(self.shown(then(visitor("a"), 1))) == 3
        wishes.told()(visitor("a"), 2, 0.5)
        assert self.shown(then(visitor("a"), 1)) == []

    def test_files_stay_when_the_change_before_them_is_told_late(self) -> None:
        wishes = Wishes()
        told, photo = wishes.told(2), {"path": "cat.png"}
        assert told(visitor("a"), photo, 1, 0.1) == [None, None]
        wishes.asked(visitor("a"), photo, 2, 0.2)  # while the page still tells of the 2
        assert all(told(visitor("a"), photo, 2, 0.2))  # left as they are
        assert told(visitor("b"), photo, 2, 0.1) == [None, None]
        assert told(visitor("a"), photo, 3, 0.3) == [None, None]

    def files(self, wishes: Wishes, name: str, photo: str, amount: float) -> list[Any]:
        def steps(photo: str, amount: float, format: str) -> Iterator[Any]:
            yield {"__type__": "update"}
            yield f"{photo}-{amount}.{format}"

        running = wishes.files(steps, 2)(visitor(name), photo, amount, "png")
        return [step for step in running if isinstance(step, str)]

    def test_a_file_of_settings_that_have_changed_is_not_handed_out(self) -> None:
        wishes = Wishes()
        told, asked = wishes.told(1), wishes.asked
        photo = {"path": "cat.png"}
        told(visitor("a"), photo, 1, 0.1)
        asked(visitor("a"), photo, 1, 0.2)
        assert self.files(wishes, "a", "cat.png", 1) == ["cat.png-1.png"]
        told(visitor("a"), photo, 2, 0.3)
        assert self.files(wishes, "a", "cat.png", 1) == []
        assert self.files(wishes, "b", "cat.png", 1) == ["cat.png-1.png"], "a program"

    def test_a_file_is_handed_out_when_the_change_before_it_is_told_late(self) -> None:
        wishes = Wishes()
        wishes.asked(visitor("a"), "cat.png", 2, 0.3)
        wishes.told()(visitor("a"), "cat.png", 1, 0.1)
        wishes.told()(visitor("a"), "cat.png", 2, 0.2)
        assert self.files(wishes, "a", "cat.png", 2) == ["cat.png-2.png"]

    def test_what_hands_out_files_is_documented_as_before(self) -> None:
        def steps(photo: str, amount: float = 1) -> Iterator[Any]:
            """Paint it."""
            yield photo

        from gradio.utils import get_function_params

        handler = Wishes().files(steps, 2)
        assert [name for name, *_ in get_function_params(handler)] == ["photo", "amount"]
        assert handler.__doc__ == "Paint it."

    def test_a_change_that_was_overtaken_counts_no_more(self) -> None:
        wishes = Wishes()
        told, running = wishes.told(1), wishes.newest(self.steps)(visitor("a"), "cat.png", 2)
        told(visitor("a"), "cat.png", 2, 70.5)
        assert next(running) is not None
        assert told(visitor("a"), "cat.png", 1, 70.2) is not None  # leaves the file
        assert len(self.shown(running)) == 3

    def test_a_step_always_comes_lest_the_page_be_emptied(self) -> None:
        wishes = Wishes()
        assert len(list(wishes.afterwards(self.steps)(visitor("a"), 1))) == 1


class Slow:
    """Makes each painting take a second, in which it can be ended; counts those that were begun and those that ended well."""

    def __init__(self, pipe: StyleTransferPipeline, patch: pytest.MonkeyPatch) -> None:
        from hfstyle.studio.backend.jobs import mark

        self.begun = self.done = 0
        self.seconds = 1.0
        run = pipe.generator.paint_level

        def slow(*arguments: Any, **options: Any) -> Any:
            self.begun += 1
            begun = time.monotonic()
            while time.monotonic() < begun + self.seconds:  # as it is by then
                time.sleep(0.02)
                mark()
            self.done += 1
            return run(*arguments, **options)

        patch.setattr(pipe.generator, "paint_level", slow, raising=False)


@pytest.mark.slow
def test_the_newest_wish_comes_first_in_a_browser(
    browser: Any, running_app: Any, app_pipe: StyleTransferPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A style chosen while the strip of the one before is painted, and a slider that is dragged over many values."""
    pytest.importorskip("skimage")
    from playwright.sync_api import expect

    with opened(browser, running_app, 1280) as page:
        slow = Slow(app_pipe, monkeypatch)
        status = page.locator("#status")
        page.get_by_role("button", name="Night, A. Painter, 1900").first.click()
        expect(status).to_contain_text("Night (A. Painter, 1900)")
        begun = slow.begun
        page.wait_for_timeout(300)  # its strip is at work: four pictures of two levels
        page.get_by_role("button", name="Squares, A. Painter, 1900").first.click()
        expect(status).to_contain_text("Squares (A. Painter, 1900)")
        assert slow.begun <= begun + 6, "the strip was painted to its end"
        page.locator(".strip .thumbnail-item").nth(4).wait_for()
        page.wait_for_timeout(500)

        begun = slow.begun
        page.get_by_label("range slider for Strength").first.focus()
        for _ in range(6):
            page.keyboard.press("ArrowLeft")
            page.wait_for_timeout(60)
        expect(page.get_by_text("Painted, strength 0.5", exact=True)).to_be_visible()
        assert slow.begun <= begun + 6, "more was painted than the first and the last value"


@pytest.mark.slow
def test_what_is_saved_is_what_is_shown(
    browser: Any, running_app: Any, app_pipe: StyleTransferPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slider moves while the full-size picture is painted: no file of the old settings comes, and the page says so."""
    pytest.importorskip("skimage")
    from playwright.sync_api import expect

    with opened(browser, running_app, 1280) as page:
        page.locator("[aria-label^='Example photo']:visible").first.click()
        expect(page.locator("#status")).to_contain_text("at full size")
        page.wait_for_function(AT_REST)
        slow = Slow(app_pipe, monkeypatch)
        slow.seconds = 3600  # until it is ended
        save = page.get_by_role("button", name="Full-size picture", exact=True).first
        save.click()
        tracker = page.locator(".files [data-testid=status-tracker]:not(.hide):visible")
        expect(tracker.first).to_contain_text("%")
        page.get_by_label("range slider for Strength").first.press("ArrowLeft")
        expect(page.get_by_text("The settings have changed").first).to_be_visible()
        slow.seconds = 0
        expect(page.get_by_text("Painted, strength 0.75", exact=True)).to_be_visible()
        page.wait_for_function(AT_REST)
        assert page.locator(".files a[download]:visible").count() == 0
        save.click()
        expect(page.locator(".files a[download]:visible").first).to_have_attribute(
            "download", re.compile("strength075")
        )

        page.get_by_role("button", name="Before and after as GIF and MP4").click()
        page.get_by_role("button", name="Make GIF and MP4").click()
        moving = page.get_by_alt_text("the painting slides over the photo")
        expect(moving).to_be_visible()
        page.wait_for_function(AT_REST)
        page.get_by_label("range slider for Strength").first.press("ArrowLeft")
        expect(moving).to_have_count(0)
        expect(page.locator(".files a[download]:visible")).to_have_count(0)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_progress_is_seen_at_once_on_every_page(
    browser: Any,
    running_app: Any,
    app_pipe: StyleTransferPipeline,
    monkeypatch: pytest.MonkeyPatch,
    width: int,
) -> None:
    pytest.importorskip("skimage")
    from playwright.sync_api import expect

    with opened(browser, running_app, width) as page:
        slow = Slow(app_pipe, monkeypatch)
        for tab, button in (
            ("Stylize", "Full-size picture"),
            ("Mix", "Full-size picture and style file"),
            ("Regions", "Full-size picture"),
        ):
            slow.seconds = 0
            open_tab(page, tab)
            page.locator("[aria-label^='Example photo']:visible").first.click()
            photo = page.get_by_alt_text("the photo to be painted").locator("visible=true")
            expect(photo.first).to_be_visible()
            if tab == "Regions":
                page.get_by_label("Where the red region is").fill("left")
                page.keyboard.press("Enter")
                page.get_by_role("button", name="Paint", exact=True).click()
                told = page.get_by_role("status").filter(has_text="elsewhere the photo itself")
                expect(told).to_be_visible()  # the region has arrived
            page.wait_for_timeout(1000)
            page.wait_for_function(AT_REST)
            slow.seconds = 3600  # until it is stopped
            page.get_by_role("button", name=button, exact=True).locator("visible=true").click()
            tracker = page.locator(".files [data-testid=status-tracker]:not(.hide):visible")
            expect(tracker.first).to_contain_text("%")
            stop = page.get_by_role("button", name="Stop", exact=True).locator("visible=true").first
            expect(stop).to_be_enabled()
            stop.click()
            expect(tracker).to_have_count(0, timeout=60_000)  # it may stay, see above
            expect(stop).to_be_disabled()


@pytest.mark.slow
@pytest.mark.parametrize("early", ["before it is sent", "before it is answered"])
def test_stop_is_heard_before_the_work_has_a_number(
    browser: Any,
    running_app: Any,
    app_pipe: StyleTransferPipeline,
    monkeypatch: pytest.MonkeyPatch,
    early: str,
) -> None:
    pytest.importorskip("skimage")
    from playwright.sync_api import expect

    with opened(browser, running_app, 1280) as page:
        slow = Slow(app_pipe, monkeypatch)
        slow.seconds = 0
        page.locator("[aria-label^='Example photo']:visible").first.click()
        expect(page.locator("#status")).to_contain_text("512 × 512 px, also at full size")
        page.wait_for_timeout(1000)
        page.wait_for_function(AT_REST)
        slow.seconds = 3600  # until it is stopped
        asked: list[Any] = []
        hold = [True]
        full = next(n for n, fn in running_app.fns.items() if fn.api_name == "stylize")

        def held(route: Any) -> None:
            if hold and route.request.post_data_json["fn_index"] == full:
                asked.append(route)
            else:
                route.continue_()

        page.route("**/queue/join**", held)
        here = page.locator("#page-stylize")
        button = here.get_by_role("button", name="Full-size picture", exact=True).first
        stop = here.get_by_role("button", name="Stop", exact=True).first
        if early == "before it is sent":
            button.evaluate("(one) => { window.begin = () => one.click(); }")
            stop.evaluate(
                "(one) => one.addEventListener('click', begin, {capture: true, once: true})"
            )
            stop.evaluate("(one) => { one.disabled = false; }")  # as in the moment of the press
        else:
            button.click()
            while not asked:
                page.wait_for_timeout(50)
        stop.click()
        while not asked:
            page.wait_for_timeout(50)
        page.wait_for_timeout(300)
        hold.clear()
        for request in asked:
            request.continue_()
        expect(
            page.locator(".files [data-testid=status-tracker]:not(.hide):visible")
        ).to_have_count(0)
        page.wait_for_function(AT_REST)
        assert page.locator(".error:visible").count() == 0
    _wait(lambda: not any(thread.name == "job" for thread in threading.enumerate()))


def test_what_was_stopped_has_no_error(
    running_app: Any,
    app_folder: Any,
    tmp_path: Any,
    app_pipe: StyleTransferPipeline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Gradio's page shows "Error" where the data of a result are missing."""
    import httpx
    from app_server import new_client, values_of

    slow = Slow(app_pipe, monkeypatch)
    slow.seconds = 30
    client, url = new_client(running_app, tmp_path), running_app.local_api_url
    with open(app_folder / "photo.png", "rb") as file:
        uploaded = httpx.post(f"{url}upload", files={"files": file}).json()[0]
    given = {"path": uploaded, "meta": {"_type": "gradio.FileData"}}
    known = client.config["dependencies"]
    number = next(one["id"] for one in known if one["api_name"] == "stylize")
    asked = {"fn_index": number, "session_hash": "stopped"}
    data = values_of(client, "stylize", content=given, preset="waves")
    event = httpx.post(f"{url}queue/join", json={**asked, "data": data}).json()["event_id"]
    _wait(lambda: slow.begun > 0)
    httpx.post(f"{url}cancel", json={**asked, "event_id": event})
    told = []
    with httpx.stream("GET", f"{url}queue/data", params=asked, timeout=60) as answer:
        told = [json.loads(line[5:]) for line in answer.iter_lines() if line.startswith("data:")]
    ends = [one["output"] for one in told if one["msg"] == "process_completed"]
    assert ends == [{"data": []}]


@pytest.mark.slow
def test_a_file_goes_with_its_settings_and_an_error_is_told_once(
    browser: Any, running_app: Any, tmp_path: Any
) -> None:
    pytest.importorskip("skimage")
    from playwright.sync_api import expect

    with opened(browser, running_app, 390) as page:
        page.locator("[aria-label^='Example photo']:visible").first.click()
        expect(page.locator("#status")).to_contain_text("512 × 512 px, also at full size")
        page.get_by_role("button", name="Full-size picture", exact=True).first.click()
        link = page.locator("a[download]:has-text('KB')")
        expect(link.first).to_be_visible()
        page.get_by_role("button", name="File format and print size").first.click()
        page.get_by_label("JPEG, small").first.click()
        expect(link).to_have_count(0)  # it is of the format before
        page.get_by_role("button", name="Full-size picture", exact=True).first.click()
        expect(link.first).to_be_visible()
        page.get_by_label("range slider for Strength").first.press("ArrowLeft")
        expect(link).to_have_count(0)
        page.get_by_role("tab", name="My picture").click()
        (tmp_path / "notes.png").write_bytes(b"these are notes")
        page.locator("input[type=file]").nth(1).set_input_files(tmp_path / "notes.png")
        told = page.locator("[data-testid=toast-body]")
        expect(told.first).to_be_visible()
        page.wait_for_timeout(3000)
        expect(told).to_have_count(1)


@pytest.mark.slow
def test_a_style_that_is_mixed_in_has_a_weight(browser: Any, running_app: Any) -> None:
    pytest.importorskip("skimage")
    from playwright.sync_api import expect

    with opened(browser, running_app, 1280) as page:
        open_tab(page, "Mix")
        page.get_by_role("button", name="Third style").click()
        page.get_by_label("Style 3", exact=True).click()
        page.get_by_role("option", name="Squares").click()
        expect(page.get_by_label("number input for Weight 3")).to_have_value("1")
        expect(page.get_by_text("33% Squares").first).to_be_visible()


@pytest.mark.slow
def test_a_chosen_tile_is_shown_and_kept(browser: Any, running_app: Any) -> None:
    pytest.importorskip("skimage")
    from playwright.sync_api import expect

    with opened(browser, running_app, 1280) as page:
        open_tab(page, "Discover")
        page.get_by_role("button", name="Surprise me").click()
        tiles = page.locator(".found .thumbnail-item:visible")
        expect(tiles).to_have_count(6)
        status = page.locator(".status:visible").filter(has_text="random").first
        expect(status).to_be_visible()
        seeds = [text.rpartition(" ")[2] for text in tiles.all_inner_texts()]
        page.wait_for_timeout(500)
        tiles.nth(3).click()
        expect(status).to_contain_text(seeds[3])
        page.get_by_role("button", name="Full-size picture and style file").locator(
            "visible=true"
        ).click()
        link = page.locator("a[download]:visible:has-text('KB')").first
        expect(link).to_be_visible()
        assert seeds[3] in str(link.get_attribute("download"))


@pytest.mark.parametrize("way", ["cancelled", "gone"])
def test_abandoned_work_leaves_no_thread(
    running_app: Any,
    app_folder: Any,
    tmp_path: Any,
    app_pipe: StyleTransferPipeline,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    """Neither of a program that cancels what it asked for, nor of one that goes away without a word."""
    import httpx
    from app_server import new_client, upload

    slow = Slow(app_pipe, monkeypatch)
    slow.seconds = 30
    client = new_client(running_app, tmp_path)
    photo, names = upload(app_folder / "photo.png"), ("waves", "night", "squares")
    if way == "cancelled":
        asked = [client.submit(photo, preset=name, api_name="/stylize") for name in names]
        # What has no number yet, Gradio's client cannot cancel.
        _wait(lambda: slow.begun > 0 and all(job.communicator.event_id for job in asked))
        for job in asked:
            job.cancel()
    else:
        call = f"{running_app.local_api_url}call"
        with open(app_folder / "photo.png", "rb") as file:
            uploaded = httpx.post(f"{running_app.local_api_url}upload", files={"files": file})
        given = {"path": uploaded.json()[0], "meta": {"_type": "gradio.FileData"}}
        body = {"content": given, "preset": "waves"}
        number = httpx.post(f"{call}/v2/stylize", json=body, timeout=60).json()["event_id"]
        with httpx.stream("GET", f"{call}/stylize/{number}", timeout=60):
            _wait(lambda: slow.begun > 0)
    _wait(lambda: not any(thread.name == "job" for thread in threading.enumerate()))
    assert slow.done == 0


def _wait(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 25
    while not true():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.05)


def test_at_most_one_event_of_a_change_waits_to_be_begun_again(running_app: Any) -> None:
    """Where two do, Gradio begins each when the other ends, without end."""
    waiting: dict[tuple[Any, ...], list[str]] = {}
    for event in running_app.config["dependencies"]:
        if event["trigger_mode"] == "always_last" and event["backend_fn"]:
            for target in event["targets"]:
                waiting.setdefault(tuple(target), []).append(event["api_name"])
    assert waiting
    assert [names for names in waiting.values() if len(names) > 1] == []


@pytest.mark.slow
def test_a_page_that_has_painted_rests(browser: Any, running_app: Any) -> None:
    """No page that is not open answers to a chosen style, and none makes another paint again."""
    pytest.importorskip("skimage")
    from playwright.sync_api import expect

    with opened(browser, running_app, 1280) as page:
        painted: list[str] = []
        page.on("request", lambda sent: "queue/join" in sent.url and painted.append(sent.url))
        page.get_by_role("button", name="Night, A. Painter, 1900").first.click()
        expect(page.locator("#status")).to_contain_text("Night (A. Painter, 1900)")
        page.get_by_role("button", name="Squares, A. Painter, 1900").first.click()
        expect(page.locator("#status")).to_contain_text("Squares (A. Painter, 1900)")
        begun = -1
        while begun < len(painted) < 60:  # a busy machine needs more time, but no more requests
            begun = len(painted)
            page.wait_for_timeout(3000)
        assert len(painted) < 60
