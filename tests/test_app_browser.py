"""The web demo in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from app_server import open_tab, opened
from PIL import Image

pytest.importorskip("gradio")


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser(
    browser: Any, running_app: Any, app_folder: Path, tmp_path: Path, width: int
) -> None:
    """Choose a photo and a style, move strength and colour, download; then regions, new styles, mix and compare."""
    pytest.importorskip("skimage")
    from playwright.sync_api import expect

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
        expect(page.get_by_text("Painted, strength 0.95")).to_be_visible()
        page.get_by_label("range slider for Colour").first.press("Home")

        page.get_by_role("button", name="Full-size picture", exact=True).first.click()
        link = page.locator("a[download]:has-text('KB')").first
        with page.expect_download() as download:
            link.click()
        assert "strength095_color000" in download.value.suggested_filename
        download.value.save_as(tmp_path / "result.png")
        assert Image.open(tmp_path / "result.png").size == (70, 50)

        page.get_by_role("tab", name="My picture").click()
        notes = tmp_path / "notes.png"
        notes.write_bytes(b"these are notes")
        page.locator("input[type=file]:visible, input[type=file]").nth(1).set_input_files(notes)
        expect(page.get_by_text("not a picture").first).to_be_visible()

        show("Regions")
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
            page.wait_for_timeout(2000)
            if told.count():
                break
        expect(told).to_be_visible()

        show("Discover")
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
