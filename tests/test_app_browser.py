"""The web demo in a real browser."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

gr = pytest.importorskip("gradio")


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser(running_app: Any, app_folder: Path, tmp_path: Path, width: int) -> None:
    """Choose a photo and a style, move strength and colour, download; then regions, new styles, mix and compare."""
    pytest.importorskip("skimage")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None and "HFSTYLE_BROWSER_NEEDED" not in os.environ:
        pytest.skip("no Chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    problems: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 850})
        page.set_default_timeout(60_000)
        playwright.expect.set_options(timeout=60_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        expect, status = playwright.expect, page.locator("#status")

        def open_tab(name: str) -> None:
            page.get_by_role("tab", name=name, exact=True).locator("visible=true").first.click()
            page.wait_for_timeout(500)
            assert page.evaluate("document.documentElement.scrollWidth") <= width

        page.goto(running_app.local_url)
        expect(status).to_contain_text("an example")
        page.locator("input[type=file]").first.set_input_files(app_folder / "photo.png")
        expect(status).not_to_contain_text("an example")
        expect(status).to_contain_text("70 × 50 px")
        page.get_by_label("Thumbnail 2 of 3").first.click()
        expect(status).to_contain_text(list(demo_labels(running_app))[1])
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

        open_tab("Regions")
        canvas = page.locator("#regions canvas").first
        expect(canvas).to_be_visible()
        page.locator("#regions").scroll_into_view_if_needed()
        page.wait_for_timeout(3000)  # the editor draws the photo
        box = canvas.bounding_box()
        assert box is not None
        middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.move(*middle)
        page.mouse.down()
        page.mouse.move(middle[0] + 40, middle[1] + 20, steps=5)
        page.mouse.up()
        page.get_by_role("button", name="Paint", exact=True).click()
        expect(page.get_by_text("elsewhere the photo itself")).to_be_visible()

        open_tab("Discover")
        page.get_by_label("Styles by words").fill("painter")
        page.get_by_role("button", name="Find styles").click()
        expect(page.locator(".found .thumbnail-item:visible").first).to_be_visible()
        page.get_by_role("button", name="Surprise me").click()
        expect(page.get_by_text("seed ").first).to_be_visible()

        open_tab("Mix")
        expect(page.get_by_text("50% ").first).to_be_visible()
        open_tab("Compare")
        page.locator("[aria-label^='Example photo']:visible").first.click()
        expect(
            page.get_by_alt_text("the photo to be painted").locator("visible=true")
        ).to_be_visible()
        page.get_by_role("button", name="Compare", exact=True).click()
        expect(page.locator(".results .thumbnail-item:visible")).to_have_count(3)
        browser.close()
    assert not problems


def demo_labels(running_app: Any) -> list[str]:
    """Labels of the presets, in the order of the gallery."""
    dropdown = next(b for b in running_app.blocks.values() if isinstance(b, gr.Dropdown))
    return [label for label, _ in dropdown.choices]
