"""The web demo for everybody: contrast, names and keyboard, measured in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from accessibility import in_the_end, low_contrast, nameless, unreached
from app_server import open_tab, opened
from PIL import Image

pytest.importorskip("gradio")
pytest.importorskip("skimage")


@pytest.fixture(scope="module")
def page(browser: Any, running_app: Any) -> Iterator[Any]:
    with opened(browser, running_app, 1280) as page:
        page.add_style_tag(content="* { transition: none !important }")  # no colours in between
        yield page


@pytest.mark.parametrize("tab", ["Stylise", "Regions", "Discover", "Mix", "Compare", "About"])
def test_everybody_can_use_it(page: Any, tab: str) -> None:
    open_tab(page, tab)
    assert in_the_end(nameless, page) == []
    assert unreached(page) == []
    assert low_contrast(page) == []
    page.emulate_media(color_scheme="dark")
    page.locator("body.dark").wait_for()
    assert low_contrast(page) == []
    page.emulate_media(color_scheme="light")
    page.locator("body:not(.dark)").wait_for()


@pytest.mark.parametrize(
    ("tab", "parts"),
    [
        ("Mix", ["Animate the way from style to style", "Save the style of several pictures"]),
        ("Compare", ["Explain one style"]),
    ],
)
def test_everybody_can_use_the_parts_that_are_closed_at_first(
    browser: Any, running_app: Any, app_folder: Path, tab: str, parts: list[str]
) -> None:
    with opened(browser, running_app, 1280) as page:  # nothing in it has the focus yet
        page.add_style_tag(content="* { transition: none !important }")
        open_tab(page, tab)
        page.locator("[aria-label^='Example photo']:visible").first.click()
        page.get_by_alt_text("the photo to be painted").locator("visible=true").wait_for()
        for part in parts:
            page.get_by_role("button", name=part).click()
        if tab == "Mix":
            page.get_by_label("number input for Steps").fill("2")
            page.get_by_role("button", name="Make the animation").click()
            page.get_by_alt_text("the photo on its way from style to style").wait_for()
            page.locator("input[type=file][multiple]").first.set_input_files(
                app_folder / "style.png"
            )
            page.locator("a[download]:visible").filter(has_text="KB").nth(1).wait_for()
            page.get_by_role("button", name="Save their style").click()
            page.get_by_role("button", name="collection: 1 picture").wait_for()
        else:
            page.get_by_role("button", name="Explain", exact=True).click()
            page.get_by_role("status").filter(has_text="nearest styles").wait_for()
        assert in_the_end(nameless, page) == []
        assert unreached(page) == []
        page.evaluate("document.activeElement.blur()")  # where a list of choices may be open
        assert in_the_end(low_contrast, page) == []  # it fades
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 850})
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_keyboard_paints(page: Any, app_folder: Path) -> None:
    """Upload, choose, move and look at the result without a mouse."""
    from playwright.sync_api import expect

    open_tab(page, "Stylise")
    status = page.locator("#status")
    page.get_by_label("Drop an image file here to upload").first.focus()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(app_folder / "photo.png")
    expect(status).to_contain_text("70 × 50 px")

    page.get_by_role("button", name="Night, A. Painter, 1900").first.focus()
    page.keyboard.press("Enter")
    expect(status).to_contain_text("Night")
    page.get_by_label("Painting", exact=True).focus()
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
    assert f"{middle + 5}" in edge

    page.get_by_label("range slider for Strength").first.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_text("Painted, strength 0.95")).to_be_visible()
    page.get_by_role("button", name="0.25", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Painted, strength 0.25")).to_be_visible()


def test_the_keyboard_paints_regions(page: Any, tmp_path: Path) -> None:
    """A place from a list, then a mask from a file, without a pointer."""
    from playwright.sync_api import expect

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
    assert [line.split('"')[1] for line in low_contrast(page)] == ["grey", "pale"]
    assert len(nameless(page)) == 1
    assert ["link" in line for line in unreached(page)] == [True]
    page.close()
