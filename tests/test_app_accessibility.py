"""The web demo for everybody: contrast, names and keyboard, measured in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from app_server import open_tab, opened
from PIL import Image

pytest.importorskip("gradio")
pytest.importorskip("skimage")
pytest.importorskip("axe_playwright_python")

from accessibility import in_the_end, unreached, violations


@contextmanager
def still(browser: Any, app: Any) -> Iterator[Any]:
    """The app in a new page, with no colours in between others."""
    with opened(browser, app, 1280) as page:
        page.add_style_tag(content="* { transition: none !important }")
        yield page


@pytest.fixture
def page(browser: Any, running_app: Any) -> Iterator[Any]:
    with still(browser, running_app) as page:
        yield page


@pytest.fixture(scope="module")
def shared(browser: Any, running_app: Any) -> Iterator[Callable[[], AbstractContextManager[Any]]]:
    """A page for tests that leave it as it was: opened once, and once more after a failure."""
    kept: list[tuple[ExitStack, Any]] = []

    @contextmanager
    def borrowed() -> Iterator[Any]:
        if kept:
            closing, page = kept.pop()
        else:
            closing = ExitStack()
            page = closing.enter_context(still(browser, running_app))
        yield page
        kept.append((closing, page))

    yield borrowed
    for closing, _ in kept:
        closing.close()


@pytest.mark.parametrize(
    "tab",
    [
        *("Stylize", "Regions", "Many photos", "Compare"),
        *("Discover", "Mix", "Learn", "Animate", "Video", "Live", "About"),
    ],
)
def test_everybody_can_use_it(shared: Callable[[], AbstractContextManager[Any]], tab: str) -> None:
    with shared() as page:
        open_tab(page, tab)
        assert in_the_end(violations, page) == []
        assert unreached(page) == []
        page.emulate_media(color_scheme="dark")
        page.locator("body.dark").wait_for()
        assert in_the_end(violations, page) == []
        page.emulate_media(color_scheme="light")
        page.locator("body:not(.dark)").wait_for()


@pytest.mark.parametrize(
    ("tab", "parts"),
    [
        ("Animate", ["Third style"]),
        ("Learn", ["Quicker: the style of several pictures"]),
        ("Compare", ["Explain one style"]),
    ],
)
def test_everybody_can_use_the_parts_that_are_closed_at_first(
    browser: Any, running_app: Any, app_folder: Path, tmp_path: Path, tab: str, parts: list[str]
) -> None:
    with still(browser, running_app) as page:  # nothing in it has the focus yet
        open_tab(page, tab)
        page.locator("[aria-label^='Example photo']:visible").first.click()
        page.get_by_alt_text("the photo to be painted").locator("visible=true").wait_for()
        for part in parts:
            page.get_by_role("button", name=part).click()
        if tab == "Animate":
            page.get_by_label("number input for Steps").fill("2")
            page.get_by_role("button", name="Make the animation").click()
            page.get_by_alt_text("the photo on its way from style to style").wait_for()
        elif tab == "Learn":
            (tmp_path / "notes.png").write_text("these are notes")
            page.locator("input[type=file][multiple]").nth(1).set_input_files(
                [app_folder / "style.png", tmp_path / "notes.png"]
            )
            page.locator("a[download]:visible").filter(has_text="KB").first.wait_for()
            page.get_by_role("button", name="Save their style").click()
            page.get_by_role("button", name="collection: 1 picture").wait_for()
            page.get_by_text("1 of the 2 pictures was left out. The style picture notes").wait_for()
            page.locator(".toast-close").click()  # Gradio's messages are buttons within buttons
        else:
            page.get_by_role("button", name="Explain", exact=True).click()
            page.get_by_role("status").filter(has_text="most similar styles").wait_for()
        assert unreached(page) == []
        page.evaluate("document.activeElement.blur()")  # where a list of choices may be open
        assert in_the_end(violations, page) == []  # it fades
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 850})
            assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
def test_everybody_can_use_what_pages_show_on_a_phone(
    browser: Any, running_app: Any, app_folder: Path
) -> None:
    """Every page once it has painted something; the enlarged pictures on a screen as well."""
    from playwright.sync_api import expect

    with opened(browser, running_app, 390) as page:
        page.add_style_tag(content="* { transition: none !important }")

        def is_for_everybody() -> None:
            assert in_the_end(violations, page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= 390

        def press(name: str) -> None:
            page.get_by_role("button", name=name, exact=True).locator("visible=true").first.click()

        press("Zoom")
        expect(page.get_by_role("dialog", name="Photo and painting, enlarged")).to_be_visible()
        is_for_everybody()
        page.set_viewport_size({"width": 1440, "height": 900})
        assert in_the_end(violations, page) == []
        page.set_viewport_size({"width": 390, "height": 850})
        page.keyboard.press("Escape")
        page.locator("[aria-label^='Example photo']:visible").first.click()
        expect(page.locator("#status")).to_contain_text("at full size")
        press("Full-size picture")
        link = page.locator("a[download]:visible").filter(has_text="KB")
        expect(link.first).to_be_visible()
        for name in ("File format and print size", "The same picture in Python and in a shell"):
            page.get_by_role("button", name=name).locator("visible=true").first.click()
        is_for_everybody()

        open_tab(page, "Regions")
        page.get_by_label("Where the red region is").fill("left")
        page.keyboard.press("Enter")
        press("Paint")
        told = page.get_by_role("status").filter(has_text="elsewhere the photo itself")
        expect(told).to_be_visible()
        is_for_everybody()

        open_tab(page, "Many photos")
        files = page.locator("input[type=file][multiple]:not([webkitdirectory])")
        files.first.set_input_files(app_folder / "photo.png")
        expect(link.first).to_be_visible()
        press("Paint them all")
        expect(page.get_by_label("What was done").first).to_have_value("1 of 1 photos painted")
        is_for_everybody()

        open_tab(page, "Compare")
        press("Compare")
        expect(page.locator(".results .thumbnail-item:visible")).to_have_count(3)
        is_for_everybody()
        for tab in ("Discover", "Mix", "Learn", "Animate"):
            open_tab(page, tab)
            is_for_everybody()
        open_tab(page, "Video")
        press("Take the example: a slow zoom over a cup of coffee")
        expect(page.get_by_role("status").filter(has_text="25 frames/s")).to_be_visible()
        is_for_everybody()
        open_tab(page, "Live")
        is_for_everybody()


def test_the_keyboard_paints(page: Any, app_folder: Path) -> None:
    """Upload, choose, move and look at the result without a mouse."""
    from playwright.sync_api import expect

    open_tab(page, "Stylize")
    status = page.locator("#status")
    page.get_by_label("Drop an image file here to upload").first.focus()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(app_folder / "photo.png")
    expect(status).to_contain_text("70 × 50 px")

    page.get_by_role("button", name="Night, A. Painter, 1900").first.focus()
    page.keyboard.press("Enter")
    expect(status).to_contain_text("Night")
    page.get_by_label("Style by name", exact=True).focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("Squares")
    page.keyboard.press("Enter")
    expect(status).to_contain_text("Squares")

    before_after = page.get_by_role("slider", name="Before and after").first
    before_after.focus()
    middle = int(before_after.get_attribute("aria-valuenow"))
    page.keyboard.press("ArrowRight")
    expect(before_after).to_have_attribute("aria-valuenow", str(middle + 5))
    edge = page.locator(".compared img.fixed").first.evaluate("image => image.style.clipPath")
    assert float(re.findall(r"[\d.]+(?=%)", edge)[-1]) == pytest.approx(middle + 5, abs=0.5)

    page.get_by_label("range slider for Strength").first.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_text("Painted, strength 0.75")).to_be_visible()
    page.get_by_role("button", name="0.25", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Painted, strength 0.25")).to_be_visible()


def test_the_keyboard_paints_regions(page: Any, tmp_path: Path) -> None:
    """A place from a list, then a mask from a file, without a pointer."""
    from playwright.sync_api import expect

    open_tab(page, "Stylize")
    page.get_by_role("tab", name="Regions", exact=True).locator("visible=true").first.focus()
    page.keyboard.press("Enter")
    paint = page.get_by_role("button", name="Paint", exact=True)
    told = page.get_by_role("status").filter(has_text="elsewhere the photo itself")
    page.get_by_label("Where the red region is").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("left")
    page.keyboard.press("Enter")
    paint.focus()
    page.keyboard.press("Enter")
    expect(told).to_contain_text("Waves (A. Painter, 1900); elsewhere")

    page.get_by_role("button", name="or a mask from a file").focus()
    page.keyboard.press("Enter")
    Image.new("RGB", (40, 30), "#00ff00").save(tmp_path / "mask.png")
    mask = page.locator("#mask").get_by_label("Drop an image file here to upload")
    expect(mask).to_be_visible()
    mask.focus()
    expect(mask).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(tmp_path / "mask.png")
    expect(page.get_by_alt_text("the mask of the regions").locator("visible=true")).to_be_visible()
    paint.focus()
    page.keyboard.press("Enter")
    expect(told).to_contain_text("Waves (A. Painter, 1900), Night (A. Painter, 1900); elsewhere")


def test_the_measures_find_what_is_wrong(browser: Any) -> None:
    page = browser.new_page()
    names = "".join(f"<button>{index}</button>" for index in range(6))
    page.set_content(
        f"<body>{names}<p style='color: #888'>grey</p><p style='color: #767676'>darker</p>"
        "<button></button><button tabindex=-1 style='outline: none'>skipped</button>"
        "<div style='background: #000'><p style='color: #fff; opacity: .4'>pale</p></div>"
        "<a href='#' style='outline: none'>link</a></body>"
    )
    found = violations(page)
    assert [line.split(":")[0] for line in found].count("color-contrast") == 2
    assert any(line.startswith("button-name") for line in found)
    assert ["link" in line for line in unreached(page)] == [True]
    page.close()
