"""What the pages of the web demo held comes back when they are loaded again, as far as it fits and is still there."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from app_server import AT_REST, bring_photo, open_tab, opened, picture
from PIL import Image

gr = pytest.importorskip("gradio")

from hfstyle.studio.backend.masks import (  # noqa: E402
    REGION_COLORS,
    given_masks,
    note_of_drawing,
    noted_drawing,
)
from hfstyle.studio.backend.uploads import PhotoUpload, PicturesUpload  # noqa: E402
from hfstyle.studio.pages.remember import fitting  # noqa: E402


def is_left(value: Any) -> bool:
    return isinstance(value, dict) and value.get("__type__") == "update"


@pytest.mark.parametrize(
    ("component", "fits", "others"),
    [
        (gr.Slider(0, 1), [0, 0.5], [2, -1, float("nan"), "1", None, [1]]),
        (gr.Number(minimum=0), [3, 1e9], [-1, "x", None]),
        (gr.Dropdown([("A", "a"), ("B", "b")]), ["a"], ["A", "c", 7, None, ["a"]]),
        (gr.Dropdown(["a", "b"], multiselect=True, max_choices=2), [["a", "b"], []], ["a", ["c"]]),
        (gr.Radio(["a", "b"]), ["b"], ["c", None, {}]),
        (gr.Textbox(max_length=5), ["words"], [None, 5, ["words"]]),
        (gr.Markdown(), [], ["# words"]),
    ],
)
def test_only_what_a_component_may_hold_comes_back(
    component: Any, fits: list[Any], others: list[Any]
) -> None:
    assert [fitting(component, value) for value in fits] == fits
    assert all(is_left(fitting(component, value)) for value in others)
    if isinstance(component, gr.Textbox):
        assert fitting(component, "longer than that") == "longe"


def test_only_uploads_that_are_there_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    here, gone, outside = (tmp_path / x for x in ("uploads/a.png", "uploads/b.png", "c.png"))
    here.parent.mkdir()
    for path in (here, outside):
        picture().save(path)
    one, many = PhotoUpload(), PicturesUpload(file_count="multiple")
    assert fitting(one, str(here)) == str(here)
    assert fitting(many, [str(x) for x in (gone, here, outside)]) == [str(here)]
    others = [str(gone), str(outside), "/etc/passwd", "http://example.com/a", 7, None, [], {}]
    assert all(is_left(fitting(one, path)) for path in others)


def test_a_drawing_comes_back_over_its_own_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    stream = io.BytesIO()
    Image.new("RGBA", (9, 9), REGION_COLORS["red"]).save(stream, "PNG")
    note = note_of_drawing("photo.png", [stream.getvalue()])
    kept = noted_drawing("photo.png", note)
    assert kept is not None
    (mask,) = given_masks(kept).values()
    assert (mask.shape, mask.min()) == ((9, 9), 255)
    assert noted_drawing("other.png", note) is None
    assert note_of_drawing("photo.png", None) == ""
    for broken in (None, "", "{", "7", '["photo.png", "/etc/passwd"]', "[" * 9000):
        assert noted_drawing("photo.png", broken) is None


@pytest.mark.slow
def test_nothing_is_lost_when_the_page_is_loaded_again(
    browser: Any, running_app: Any, app_folder: Path
) -> None:
    """A mixture with weights, regions at a place and drawn, and what was looked for."""
    pytest.importorskip("skimage")
    from playwright.sync_api import expect

    with opened(browser, running_app, 1280) as page:
        bring_photo(page, app_folder)
        open_tab(page, "Mix")
        page.get_by_label("number input for Weight 2").fill("0.25")
        page.get_by_label("number input for Weight 2").press("Tab")
        expect(page.get_by_text("80% Waves + 20% Night")).to_be_visible()
        open_tab(page, "Discover")
        page.get_by_label("Styles by words").fill("blue waves")
        open_tab(page, "Regions")
        place = page.get_by_label("Where the red region is")
        place.fill("left")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Paint", exact=True).click()
        told = page.get_by_role("status").filter(has_text="elsewhere the photo itself")
        expect(told).to_be_visible()

        page.reload()
        expect(page.locator("#status")).to_contain_text("70 × 50 px")
        open_tab(page, "Regions")
        expect(place).to_have_value("left half")
        page.get_by_role("button", name="Paint", exact=True).click()
        expect(told).to_be_visible()
        open_tab(page, "Mix")
        expect(page.get_by_text("80% Waves + 20% Night")).to_be_visible()
        open_tab(page, "Discover")
        expect(page.get_by_label("Styles by words")).to_have_value("blue waves")
        page.wait_for_function(AT_REST)
