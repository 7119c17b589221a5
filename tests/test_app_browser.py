"""The web demo in a real browser."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from app_server import AT_REST, open_tab, opened
from PIL import Image

pytest.importorskip("gradio")


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser(
    browser: Any, running_app: Any, app_folder: Path, tmp_path: Path, width: int
) -> None:
    """Choose a photo and a style, move strength and colour, download; then regions, new styles, mix and compare."""
    pytest.importorskip("skimage")
    from playwright.sync_api import TimeoutError, expect

    with opened(browser, running_app, width) as page:
        status = page.locator("#status")

        def show(name: str) -> None:
            open_tab(page, name)
            assert page.evaluate("document.documentElement.scrollWidth") <= width

        expect(status).to_contain_text("an example")
        page.locator("input[type=file]").first.set_input_files(app_folder / "photo.png")
        expect(status).not_to_contain_text("an example")
        expect(status).to_contain_text("70 × 50 px")
        page.get_by_role("button", name="Night, A. Painter, 1900").first.click()
        expect(status).to_contain_text("Night (A. Painter, 1900)")
        page.get_by_label("range slider for Strength").first.press("ArrowLeft")
        expect(page.get_by_text("Painted, strength 0.75")).to_be_visible()
        page.get_by_label("range slider for Colour").first.press("Home")
        expect(page).to_have_url(re.compile(r"[?&]color=0(&|$)"))
        page.wait_for_function(AT_REST)  # a preview that comes later takes the file away

        page.get_by_role("button", name="Full-size picture", exact=True).first.click()
        link = page.locator("a[download]:has-text('KB')").first
        with page.expect_download() as download:
            link.click()
        assert "strength075_color000" in download.value.suggested_filename
        download.value.save_as(tmp_path / "result.png")
        assert Image.open(tmp_path / "result.png").size == (70, 50)

        page.get_by_role("tab", name="My picture").click()
        notes = tmp_path / "notes.png"
        notes.write_bytes(b"these are notes")
        page.locator("input[type=file]:visible, input[type=file]").nth(1).set_input_files(notes)
        expect(page.get_by_text("not a picture").first).to_be_visible()
        page.get_by_role("tab", name="Gallery").click()
        page.get_by_role("button", name="Waves, A. Painter, 1900").first.click()
        expect(status).to_contain_text("Waves (A. Painter, 1900)")

        strength = page.get_by_label("range slider for Strength", exact=True).first
        expect(strength).to_be_visible()
        show("Regions")
        expect(strength).to_be_hidden()  # each region and the rest have their own
        canvas = page.locator("#regions canvas").first
        expect(canvas).to_be_visible()
        page.locator("#regions").scroll_into_view_if_needed()
        told = page.get_by_text("elsewhere the photo itself")
        for _ in range(20):  # until the editor has drawn the photo, it takes no strokes
            box = canvas.bounding_box()
            assert box is not None
            middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            page.mouse.move(*middle)
            page.mouse.down()
            page.mouse.move(middle[0] + 40, middle[1] + 20, steps=5)
            page.mouse.up()
            page.get_by_role("button", name="Paint", exact=True).click()
            with suppress(TimeoutError):
                told.first.wait_for(timeout=2000)
                break
        expect(told).to_be_visible()

        show("Discover")
        expect(strength).to_be_visible()
        page.get_by_label("Styles by words").fill("painter")
        page.get_by_role("button", name="Find styles").click()
        expect(page.locator(".found .thumbnail-item:visible").first).to_be_visible()
        page.get_by_role("button", name="Surprise me").click()
        expect(page.get_by_text("seed ").first).to_be_visible()

        show("Mix")
        expect(page.get_by_text("50% ").first).to_be_visible()
        show("Compare")
        page.locator("[aria-label^='Example photo']:visible").first.click()
        expect(
            page.get_by_alt_text("the photo to be painted").locator("visible=true")
        ).to_be_visible()
        page.get_by_role("button", name="Compare", exact=True).click()
        expect(page.locator(".results .thumbnail-item:visible")).to_have_count(3)


@pytest.mark.parametrize("width", [1280, 390])
def test_photo_and_painting_are_enlarged_and_moved_together(
    browser: Any, running_app: Any, width: int
) -> None:
    """By keys, mouse and wheel; the full-size file is what is enlarged once it is there."""
    pytest.importorskip("skimage")
    from playwright.sync_api import expect

    with opened(browser, running_app, width) as page:
        page.get_by_role("button", name="Zoom", exact=True).first.click()
        box = page.get_by_role("dialog", name="Photo and painting, enlarged")
        expect(box).to_be_visible()
        root = "getComputedStyle(document.documentElement).overflowY"
        assert page.evaluate(root) == "hidden", "the page's scroll bar covers the enlarged picture"
        size = box.locator("output")

        def places() -> list[list[float]]:
            boxes = box.locator("img").evaluate_all(
                """images => images.map(image => {
                    const own = image.getBoundingClientRect();
                    const pane = image.parentElement.getBoundingClientRect();
                    return [own.left - pane.left, own.top - pane.top, own.width, own.height];
                })"""
            )
            assert boxes[0] == pytest.approx(boxes[1], abs=0.6)
            found: list[list[float]] = boxes
            return found

        first, second = (box.locator(".pane").nth(index).bounding_box() for index in (0, 1))
        below = width < 850  # where the window is higher than wide
        assert (second["y"] > first["y"], second["x"] > first["x"]) == (below, not below)
        page.keyboard.press("1")
        expect(size).to_have_text("100 %")
        assert places()[0][2:] == pytest.approx([512, 512], abs=0.5)
        for _ in range(3):
            box.get_by_role("button", name="Larger").click()
        expect(size).to_have_text("338 %")
        before = places()[0]
        box.locator(".panes").focus()
        page.keyboard.press("ArrowRight")
        after = places()[0]
        assert (after[0] - before[0], after[1] - before[1]) == pytest.approx((-80, 0), abs=0.5)
        page.mouse.move(100, 200)
        page.mouse.down()
        page.mouse.move(130, 260, steps=3)
        page.mouse.up()
        dragged = places()[0]
        assert (dragged[0] - after[0], dragged[1] - after[1]) == pytest.approx((30, 60), abs=1.5)
        page.mouse.wheel(0, -400)
        expect(size).not_to_have_text("338 %")
        places()
        box.get_by_role("button", name="Fit").click()
        left, top = places()[0][:2]
        assert left >= -0.5
        assert top >= -0.5
        page.keyboard.press("Escape")
        expect(box).not_to_be_visible()
