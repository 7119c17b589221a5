"""The web demo's endpoints through `gradio_client`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from app_server import picture, refusal, upload
from PIL import Image

import hfstyle
from hfstyle import StyleCode, StyleTransferPipeline

gr = pytest.importorskip("gradio")

from hfstyle.studio.backend.masks import REGION_COLORS  # noqa: E402


def test_every_endpoint_is_documented_and_typed(app_client: Any) -> None:
    api = app_client.view_api(return_format="dict")["named_endpoints"]
    assert set(api) == {
        *("/stylize", "/regions", "/sample", "/find", "/mix", "/encode", "/compare"),
        *("/path", "/collect", "/learn", "/explain", "/video"),
    }
    for name, endpoint in api.items():
        assert endpoint["description"], name
        assert all(p["python_type"]["type"] for p in endpoint["parameters"])
    required = [
        p["parameter_name"] for p in api["/stylize"]["parameters"] if not p["parameter_has_default"]
    ]
    assert required == ["content"]


def test_stylize_paints_at_full_size_and_keeps_the_settings(
    app_client: Any, app_folder: Path
) -> None:
    path = app_client.predict(
        upload(app_folder / "photo.png"), preset="waves", strength=0.75, api_name="/stylize"
    )
    assert Path(path).name == "photo__waves_strength075_color100_faces090_brush384_res512.png"
    with Image.open(path) as painted:
        assert painted.format == "PNG"
        assert painted.size == (70, 50)
        settings = json.loads(painted.info["hfstyle"])
    assert settings["strength"] == 0.75
    assert settings["style"] == "waves"
    assert settings["style_artist"] == "A. Painter"
    assert settings["model"] == "a test's model"


def test_strength_0_gives_the_photo_itself(app_client: Any, app_folder: Path) -> None:
    path = app_client.predict(
        upload(app_folder / "photo.png"),
        style=upload(app_folder / "style.png"),
        strength=0,
        api_name="/stylize",
    )
    np.testing.assert_array_equal(np.asarray(Image.open(path)), np.asarray(picture(seed=1)))


def test_a_style_picture_goes_before_a_preset(
    app_client: Any, app_pipe: StyleTransferPipeline, app_folder: Path
) -> None:
    path = app_client.predict(
        upload(app_folder / "photo.png"),
        preset="night",
        style=upload(app_folder / "style.png"),
        api_name="/stylize",
    )
    expected = app_pipe(app_folder / "photo.png", app_folder / "style.png").images[0]
    np.testing.assert_allclose(np.asarray(Image.open(path)), np.asarray(expected), atol=1)


def test_an_encoded_style_is_a_style(app_client: Any, app_folder: Path) -> None:
    photo, style = upload(app_folder / "photo.png"), upload(app_folder / "style.png")
    file = app_client.predict(style, name="Größe & <b>Art</b>", api_name="/encode")
    assert StyleCode.load(file).name == "Größe & <b>Art</b>"
    by_file = app_client.predict(photo, style_file=upload(Path(file)), api_name="/stylize")
    by_picture = app_client.predict(photo, style=style, api_name="/stylize")
    np.testing.assert_array_equal(
        np.asarray(Image.open(by_file)), np.asarray(Image.open(by_picture))
    )


def test_a_mixture_is_painted_and_saved(
    app_client: Any, app_pipe: StyleTransferPipeline, app_folder: Path
) -> None:
    _, file = app_client.predict(
        upload(app_folder / "photo.png"),
        preset_1="waves",
        weight_1=0.25,
        preset_3="night",
        weight_3=0.75,
        api_name="/mix",
    )
    expected = StyleCode.mix([app_pipe.preset("waves"), app_pipe.preset("night")], [0.25, 0.75])
    torch.testing.assert_close(StyleCode.load(file).vector, expected.vector)
    again = app_client.predict(
        upload(app_folder / "photo.png"), style_file=upload(Path(file)), api_name="/stylize"
    )
    assert Image.open(again).size == (70, 50)


def test_colour_0_keeps_the_palette_of_the_photo(app_client: Any, app_folder: Path) -> None:
    def means(color: float) -> np.ndarray:
        path = app_client.predict(
            upload(app_folder / "photo.png"), preset="waves", color=color, api_name="/stylize"
        )
        return np.asarray(Image.open(path)).mean((0, 1))

    own = np.asarray(picture(seed=1)).mean((0, 1))
    assert np.abs(means(0) - own).max() < min(3, np.abs(means(1) - own).max())


def _drawing(path: Path, regions: dict[str, tuple[int, int, int, int]]) -> dict[str, Any]:
    drawn = Image.new("RGBA", (140, 100))
    for name, box in regions.items():
        drawn.paste(REGION_COLORS[name], box)
    drawn.save(path)
    return {"background": None, "layers": [upload(path)], "composite": None}


def test_regions_are_painted_in_their_own_styles(
    app_client: Any, app_folder: Path, tmp_path: Path
) -> None:
    drawing = _drawing(tmp_path / "d.png", {"red": (0, 0, 40, 100), "blue": (100, 0, 140, 100)})
    path = app_client.predict(
        upload(app_folder / "photo.png"),
        drawing,
        preset_red="waves",
        preset_blue="night",
        strength_blue=0,
        preset_green="night",
        api_name="/regions",
    )
    own = np.asarray(picture(seed=1)).astype(int)
    with Image.open(path) as image:
        painted = np.asarray(image.convert("RGB")).astype(int)
        settings = json.loads(image.info["hfstyle"])
    changed = np.abs(painted - own).max((0, 2))  # by column
    assert changed[:15].min() > 0
    assert changed[25:].max() == 0
    assert [region["style"] for region in settings["regions"]] == ["waves", "night"]


@pytest.mark.parametrize("data", [b"no picture", b""])
def test_a_drawing_that_is_none_is_refused(
    app_client: Any, app_folder: Path, tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "d.png").write_bytes(data)
    drawing = {"background": None, "layers": [upload(tmp_path / "d.png")], "composite": None}
    photo = upload(app_folder / "photo.png")
    said = refusal(
        app_client, content=photo, drawing=drawing, preset_red="waves", api_name="/regions"
    )
    assert "drawing" in said
    assert "Draw over" in refusal(app_client, content=photo, drawing=None, api_name="/regions")


def test_a_seed_gives_the_same_style_again(app_client: Any, app_folder: Path) -> None:
    photo = upload(app_folder / "photo.png")
    first, file = app_client.predict(photo, seed=3, api_name="/sample")
    again, _ = app_client.predict(photo, seed=3, api_name="/sample")
    _, other = app_client.predict(photo, seed=4, api_name="/sample")
    np.testing.assert_array_equal(np.asarray(Image.open(first)), np.asarray(Image.open(again)))
    assert not torch.equal(StyleCode.load(file).vector, StyleCode.load(other).vector)
    assert "minimum value 0" in refusal(app_client, content=photo, seed=-1, api_name="/sample")


def test_styles_are_found_by_words(app_client: Any, app_folder: Path) -> None:
    matches, files = app_client.predict("painter", 2, api_name="/find")
    assert len(matches) == len(files) == 2
    assert all(match["matched"] == {"painter": "painter"} for match in matches)
    for match in matches:
        assert match["name"] in ("waves", "night", "squares")
        told = {name: match[name] for name in ("title", "artist", "year")}
        assert told == {"title": match["name"].title(), "artist": "A. Painter", "year": "1900"}
    assert 0 <= matches[1]["score"] <= matches[0]["score"] <= 1
    path = app_client.predict(
        upload(app_folder / "photo.png"), style_file=upload(Path(files[0])), api_name="/stylize"
    )
    assert Image.open(path).size == (70, 50)
    assert "words" in refusal(app_client, text=" ", api_name="/find")


def test_compare_shows_each_style(app_client: Any, app_folder: Path) -> None:
    shown = app_client.predict(
        upload(app_folder / "photo.png"),
        ["waves", "night"],
        style=upload(app_folder / "style.png"),
        api_name="/compare",
    )
    captions = [item["caption"] for item in shown]
    assert captions == ["style", "Waves (A. Painter, 1900)", "Night (A. Painter, 1900)"]


def test_compare_shows_one_style_at_many_settings(app_client: Any, app_folder: Path) -> None:
    shown = app_client.predict(
        upload(app_folder / "photo.png"), ["night", "waves"], across="settings", api_name="/compare"
    )
    assert len({item["caption"] for item in shown}) == len(shown) == 8


def test_the_example_for_programs_in_the_guide_runs(
    app_client: Any, app_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = Path(hfstyle.__file__).parent.joinpath("guides", "app.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```py\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    picture(seed=1).save(tmp_path / "photo.jpg")
    picture(seed=2).save(tmp_path / "painting.jpg")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    block = block.replace("http://127.0.0.1:7860/", app_client.src)
    exec(block.replace("starry_night_van_gogh", "waves"), names)  # as it stands on the page
    assert Path(names["painted"]).name.startswith("photo__my_style")
