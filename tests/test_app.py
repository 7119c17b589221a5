"""The web demo: its endpoints through `gradio_client`, what it refuses, and what it remembers."""

from __future__ import annotations

import functools
import io
import json
import os
import re
import shutil
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hfstyle import StyleCode, StyleGenerator, StyleTransferPipeline

gr = pytest.importorskip("gradio")
gradio_client = pytest.importorskip("gradio_client")

from hfstyle import studio as app  # noqa: E402
from hfstyle.studio import painting, refusals, results, uploads  # noqa: E402
from hfstyle.studio.diffusion import find_diffusion  # noqa: E402
from hfstyle.studio.gallery import Thumbnails  # noqa: E402
from hfstyle.studio.handlers import Handlers  # noqa: E402
from hfstyle.studio.masks import REGION_COLORS  # noqa: E402
from hfstyle.studio.memory import Memory  # noqa: E402
from hfstyle.studio.settings import Settings  # noqa: E402


def picture(width: int = 70, height: int = 50, seed: int = 0) -> Image.Image:
    return Image.fromarray(
        np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    picture(seed=1).save(folder / "photo.png")
    picture(90, 90, seed=2).save(folder / "style.png")
    return folder


@pytest.fixture(scope="module")
def pipe() -> StyleTransferPipeline:
    torch.manual_seed(0)
    pipe = StyleTransferPipeline(
        StyleGenerator(widths=(4, 8, 8, 8), blocks=(1, 1, 1), style_width=8, heads=1)
    )
    for index, name in enumerate(("waves", "night", "squares")):
        code = pipe.encode_style(picture(80, 80, seed=10 + index), name=name)
        metadata = {"title": name.title(), "artist": "A. Painter", "year": "1900"}
        pipe.presets = {**pipe.presets, name: StyleCode(*_parts(code), name, metadata)}
    return pipe


def _parts(code: StyleCode) -> tuple[torch.Tensor, torch.Tensor, str]:
    return code.vector, code.tokens, code.encoder


@pytest.fixture(scope="module")
def demo(pipe: StyleTransferPipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The app, running on the loopback interface."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("NO_PROXY", "no_proxy"):
            patch.setenv(variable, "127.0.0.1,localhost")
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
        demo = app.create_app(pipe, "a test's model")
        demo.launch(
            prevent_thread_lock=True,
            server_name="127.0.0.1",
            quiet=True,
            share=False,
            **app.launch_options(),
        )
        try:
            yield demo
        finally:
            demo.close(verbose=False)


@pytest.fixture(scope="module")
def client(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return gradio_client.Client(
        demo.local_url,
        verbose=False,
        analytics_enabled=False,
        download_files=str(tmp_path_factory.mktemp("downloads")),
    )


def upload(path: Path) -> Any:
    return gradio_client.handle_file(str(path))


def refusal(client: Any, **arguments: Any) -> str:
    """The sentence with which /stylize, or another endpoint, refuses."""
    arguments.setdefault("api_name", "/stylize")
    with pytest.raises(gradio_client.exceptions.AppError) as caught:
        client.predict(**arguments)
    return str(caught.value)


def test_every_endpoint_is_documented_and_typed(client: Any) -> None:
    api = client.view_api(return_format="dict")["named_endpoints"]
    assert set(api) == {
        *("/stylize", "/regions", "/sample", "/find", "/mix", "/encode", "/compare")
    }
    for name, endpoint in api.items():
        assert endpoint["description"], name
        assert all(p["python_type"]["type"] for p in endpoint["parameters"])
    required = [
        p["parameter_name"] for p in api["/stylize"]["parameters"] if not p["parameter_has_default"]
    ]
    assert required == ["content"]


def test_stylize_paints_at_full_size_and_keeps_the_settings(client: Any, folder: Path) -> None:
    path = client.predict(
        upload(folder / "photo.png"), preset="waves", strength=0.75, api_name="/stylize"
    )
    assert Path(path).name == "photo__waves_strength075_color100_brush384_res512.png"
    with Image.open(path) as painted:
        assert painted.format == "PNG"
        assert painted.size == (70, 50)
        settings = json.loads(painted.info["hfstyle"])
    assert settings["strength"] == 0.75
    assert settings["style"] == "waves"
    assert settings["style_artist"] == "A. Painter"
    assert settings["model"] == "a test's model"


def test_strength_0_gives_the_photo_itself(client: Any, folder: Path) -> None:
    path = client.predict(
        upload(folder / "photo.png"),
        style=upload(folder / "style.png"),
        strength=0,
        api_name="/stylize",
    )
    np.testing.assert_array_equal(np.asarray(Image.open(path)), np.asarray(picture(seed=1)))


def test_a_style_picture_goes_before_a_preset(
    client: Any, pipe: StyleTransferPipeline, folder: Path
) -> None:
    path = client.predict(
        upload(folder / "photo.png"),
        preset="night",
        style=upload(folder / "style.png"),
        api_name="/stylize",
    )
    expected = pipe(folder / "photo.png", folder / "style.png").images[0]
    np.testing.assert_allclose(np.asarray(Image.open(path)), np.asarray(expected), atol=1)


def test_an_encoded_style_is_a_style(client: Any, folder: Path) -> None:
    photo, style = upload(folder / "photo.png"), upload(folder / "style.png")
    file = client.predict(style, name="Größe & <b>Art</b>", api_name="/encode")
    assert StyleCode.load(file).name == "Größe & <b>Art</b>"
    by_file = client.predict(photo, style_file=upload(Path(file)), api_name="/stylize")
    by_picture = client.predict(photo, style=style, api_name="/stylize")
    np.testing.assert_array_equal(
        np.asarray(Image.open(by_file)), np.asarray(Image.open(by_picture))
    )


def test_a_mixture_is_painted_and_saved(
    client: Any, pipe: StyleTransferPipeline, folder: Path
) -> None:
    _, file = client.predict(
        upload(folder / "photo.png"),
        preset_1="waves",
        weight_1=0.25,
        preset_3="night",
        weight_3=0.75,
        api_name="/mix",
    )
    expected = StyleCode.mix([pipe.preset("waves"), pipe.preset("night")], [0.25, 0.75])
    torch.testing.assert_close(StyleCode.load(file).vector, expected.vector)
    again = client.predict(
        upload(folder / "photo.png"), style_file=upload(Path(file)), api_name="/stylize"
    )
    assert Image.open(again).size == (70, 50)


def test_colour_0_keeps_the_palette_of_the_photo(client: Any, folder: Path) -> None:
    def means(color: float) -> np.ndarray:
        path = client.predict(
            upload(folder / "photo.png"), preset="waves", color=color, api_name="/stylize"
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


def test_regions_are_painted_in_their_own_styles(client: Any, folder: Path, tmp_path: Path) -> None:
    drawing = _drawing(tmp_path / "d.png", {"red": (0, 0, 40, 100), "blue": (100, 0, 140, 100)})
    path = client.predict(
        upload(folder / "photo.png"),
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
    client: Any, folder: Path, tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "d.png").write_bytes(data)
    drawing = {"background": None, "layers": [upload(tmp_path / "d.png")], "composite": None}
    photo = upload(folder / "photo.png")
    said = refusal(client, content=photo, drawing=drawing, preset_red="waves", api_name="/regions")
    assert "drawing" in said or "Paint over" in said
    assert "Paint over" in refusal(client, content=photo, drawing=None, api_name="/regions")


def test_a_seed_gives_the_same_style_again(client: Any, folder: Path) -> None:
    photo = upload(folder / "photo.png")
    first, file = client.predict(photo, seed=3, api_name="/sample")
    again, _ = client.predict(photo, seed=3, api_name="/sample")
    _, other = client.predict(photo, seed=4, api_name="/sample")
    np.testing.assert_array_equal(np.asarray(Image.open(first)), np.asarray(Image.open(again)))
    assert not torch.equal(StyleCode.load(file).vector, StyleCode.load(other).vector)
    assert "minimum value 0" in refusal(client, content=photo, seed=-1, api_name="/sample")


def test_styles_are_found_by_words(client: Any, folder: Path) -> None:
    matches, files = client.predict("painter", 2, api_name="/find")
    assert len(matches) == len(files) == 2
    assert all(match["matched"] == {"painter": "painter"} for match in matches)
    assert 0 <= matches[1]["score"] <= matches[0]["score"] <= 1
    path = client.predict(
        upload(folder / "photo.png"), style_file=upload(Path(files[0])), api_name="/stylize"
    )
    assert Image.open(path).size == (70, 50)
    assert "words" in refusal(client, text=" ", api_name="/find")


def test_compare_shows_each_style(client: Any, folder: Path) -> None:
    shown = client.predict(
        upload(folder / "photo.png"),
        ["waves", "night"],
        style=upload(folder / "style.png"),
        api_name="/compare",
    )
    captions = [item["caption"] for item in shown]
    assert captions == ["style", "Waves (A. Painter, 1900)", "Night (A. Painter, 1900)"]


def test_compare_shows_one_style_at_many_settings(client: Any, folder: Path) -> None:
    shown = client.predict(
        upload(folder / "photo.png"), ["night", "waves"], across="settings", api_name="/compare"
    )
    assert len({item["caption"] for item in shown}) == len(shown) == 8


def _encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def _rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _encoded(picture(), "JPEG", exif=exif)


@pytest.mark.parametrize(
    ("name", "data", "size"),
    [
        ("cmyk.jpg", _encoded(picture().convert("CMYK"), "JPEG"), (70, 50)),
        ("rotated.jpg", _rotated(), (50, 70)),
        ("clear.png", _encoded(picture().convert("RGBA"), "PNG"), (70, 50)),
        ("grey16.png", _encoded(Image.new("I;16", (40, 30), 999), "PNG"), (40, 30)),
        (
            "moving.gif",
            _encoded(picture(), "GIF", save_all=True, append_images=[picture(seed=3)]),
            (70, 50),
        ),
        ("wrong_suffix.svg", _encoded(picture(), "PNG"), (70, 50)),
    ],
)
def test_odd_pictures_are_painted(
    client: Any, tmp_path: Path, name: str, data: bytes, size: tuple[int, int]
) -> None:
    (tmp_path / name).write_bytes(data)
    path = client.predict(upload(tmp_path / name), preset="waves", api_name="/stylize")
    assert Image.open(path).size == size


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("notes.png", b"these are notes", "not a picture"),
        ("cut.png", _encoded(picture(), "PNG")[:900], "cut.png"),
        ("dot.png", _encoded(picture(3, 3), "PNG"), "at least 16 px"),
        ("empty.png", b"", "empty"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
    ],
)
def test_bad_uploads_get_a_sentence(
    client: Any, tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(data)
    sentence = refusal(client, content=upload(tmp_path / name), preset="waves")
    assert words in sentence
    assert name.split(".")[0] in sentence
    assert "uploads" not in sentence  # the folder on the server


def test_a_huge_picture_is_refused_from_its_header(client: Any, tmp_path: Path) -> None:
    # 16,000 x 16,000 px of one colour in a small file; decoded it would be 3 GB
    _write_header_only(tmp_path / "huge.bmp", 16_000, 16_000)
    sentence = refusal(client, content=upload(tmp_path / "huge.bmp"), preset="waves")
    assert "too large" in sentence or "megapixels" in sentence
    _write_header_only(tmp_path / "large.bmp", 8_000, 8_000)
    sentence = refusal(client, content=upload(tmp_path / "large.bmp"), preset="waves")
    assert "64 megapixels" in sentence
    assert "40 megapixels" in sentence


def _write_header_only(path: Path, width: int, height: int) -> None:
    data = bytearray(_encoded(Image.new("L", (1, 1)), "BMP"))
    data[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
    path.write_bytes(data)


def test_a_file_of_too_many_bytes_is_refused(client: Any, tmp_path: Path) -> None:
    with open(tmp_path / "long.png", "wb") as file:
        file.truncate(uploads.MAX_UPLOAD_BYTES + 1)
    with pytest.raises(Exception, match=r"413|size|large|limit"):
        client.predict(upload(tmp_path / "long.png"), preset="waves", api_name="/stylize")


def test_a_style_file_that_is_none_is_refused(client: Any, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "style.safetensors").write_bytes(b"no tensors")
    photo, file = upload(folder / "photo.png"), upload(tmp_path / "style.safetensors")
    assert "not a style code" in refusal(client, content=photo, style_file=file)


def test_a_style_file_of_another_model_is_refused(
    client: Any, pipe: StyleTransferPipeline, folder: Path, tmp_path: Path
) -> None:
    code = pipe.preset("waves")
    StyleCode(code.vector, code.tokens, "0" * 16, "foreign").save(tmp_path / "f.safetensors")
    sentence = refusal(
        client,
        content=upload(folder / "photo.png"),
        style_file=upload(tmp_path / "f.safetensors"),
    )
    assert "another" in sentence or "encoder" in sentence


def test_missing_inputs_are_asked_for(client: Any, folder: Path) -> None:
    assert "photo" in refusal(client, content=None)
    assert "style" in refusal(client, content=upload(folder / "photo.png"))
    assert "style" in refusal(client, content=upload(folder / "photo.png"), api_name="/mix")
    assert "style" in refusal(
        client, content=upload(folder / "photo.png"), presets=[], api_name="/compare"
    )


@pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "gradio.FileData"}}])
def test_the_servers_files_cannot_be_read(client: Any, folder: Path, meta: dict[str, Any]) -> None:
    secret = folder / "photo.png"  # a picture on the server that was not uploaded
    answer = _post(client, [{"path": str(secret), **meta}, "waves", None, None, 1, 1, 256, 512])
    assert "error" in answer
    assert "complete" not in answer


@pytest.mark.parametrize("field", ["path", "url"])
def test_no_web_address_is_fetched(client: Any, field: str) -> None:
    given = {"path": "x.png", "meta": {"_type": "gradio.FileData"}}
    given[field] = client.src + "config"
    answer = _post(client, [given, "waves", None, None, 1, 1, 256, 512])
    assert "error" in answer
    assert "complete" not in answer


def test_an_uploaded_file_is_read_by_its_path(client: Any, folder: Path) -> None:
    """The requests of the two tests above fail for what they ask, not for how they ask."""
    import httpx

    with open(folder / "photo.png", "rb") as file:
        paths = httpx.post(client.src + "gradio_api/upload", files={"files": file}).json()
    given = {"path": paths[0], "meta": {"_type": "gradio.FileData"}}
    answer = _post(client, [given, "waves", None, None, 1, 1, 256, 512])
    assert "complete" in answer
    assert "photo__waves" in answer


def _post(client: Any, data: list[Any]) -> str:
    """What /stylize answers to data that `gradio_client` would not send as they are."""
    import httpx

    url = client.src + "gradio_api/call/stylize"
    response = httpx.post(url, json={"data": data})
    assert response.status_code == 200, response.text
    return httpx.get(f"{url}/{response.json()['event_id']}", timeout=20).text


def test_the_cleaning_spares_what_everybody_sees(
    demo: Any, client: Any, folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("skimage")
    from gradio.route_utils import delete_files_created_by_app

    uploads = Path(os.environ["GRADIO_TEMP_DIR"])
    picture(seed=7).save(tmp_path / "of_a_visitor.png")
    client.predict(upload(tmp_path / "of_a_visitor.png"), preset="waves", api_name="/stylize")
    assert list(uploads.rglob("of_a_visitor*"))
    for _ in range(300):  # the thumbnails are made in the background
        kept = set().union(*(getattr(b, "keep_in_cache", ()) for b in demo.blocks.values()))
        if any(path.endswith("squares.png") for path in kept):
            break
        time.sleep(0.1)
    thumbnails = {str(path) for path in uploads.rglob("squares.png")}
    assert thumbnails
    assert thumbnails <= kept

    delete_files_created_by_app(demo, age=-1)
    results.delete_old(3600)
    assert list(uploads.rglob("of_a_visitor*"))  # a result, not yet an hour old
    results.delete_old(-1)
    assert not list(uploads.rglob("of_a_visitor*"))
    assert not [folder for folder in uploads.glob("*/") if not any(folder.iterdir())]
    assert {str(path) for path in uploads.rglob("squares.png")} >= thumbnails
    assert list(uploads.rglob("astronaut.png"))  # an example


class TestStudio:
    @pytest.fixture
    def studio(
        self, pipe: StyleTransferPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> painting.Studio:
        monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
        return painting.Studio(pipe)

    def test_decodes_and_encodes_once(
        self, studio: painting.Studio, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened: list[str] = []
        original = painting.open_picture
        monkeypatch.setattr(
            painting,
            "open_picture",
            lambda path, what: (opened.append(what), original(path, what))[1],
        )
        photo, style = str(folder / "photo.png"), str(folder / "style.png")
        for strength in (0.2, 0.6, 1.0):
            code = studio.style(style, None, None, 256)
            assert code is not None
            studio.painted_preview(photo, code, style, Settings(strength, resolution=32))
        assert opened == ["style picture", "photo"]

    def test_the_same_settings_get_the_same_file_until_it_is_deleted(
        self, studio: painting.Studio, folder: Path
    ) -> None:
        code = studio.pipe.preset("waves")
        ask = functools.partial(
            studio.painted_preview,
            str(folder / "photo.png"),
            code,
            "waves",
            Settings(resolution=32),
        )
        first = ask()
        assert ask() == first
        Path(first).unlink()
        assert Path(ask()).is_file()

    def test_thumbnails_come_in_the_order_of_the_presets(self, studio: painting.Studio) -> None:
        pytest.importorskip("skimage")
        thumbnails = Thumbnails(studio)
        thumbnails.render()
        assert [label for _, label in thumbnails.shown()] == list(studio.labels.values())
        assert list(thumbnails.growing()) == [thumbnails.shown()]

    def test_a_panorama_is_painted_within_the_limit(self) -> None:
        side = painting.painting_side((200, 20_000), 512)
        assert side is not None
        assert 64 <= side < 200
        assert painting.painting_side((200, 300), 512) is None
        assert painting.painting_side((3000, 4000), 512) == 512
        assert painting.painting_side((16, 20_000), 512) is None


def test_memory_forgets_the_oldest_beyond_its_size() -> None:
    memory = Memory(most_bytes=10)
    memory.put("a", 1, 4)
    memory.put("b", 2, 4)
    assert memory.get("a") == 1  # used, so younger than b
    memory.put("c", 3, 4)
    assert (memory.get("a"), memory.get("b"), memory.get("c")) == (1, None, 3)


def test_unexpected_errors_say_nothing_about_the_server() -> None:
    def broken() -> None:
        raise RuntimeError("/home/secret")

    with pytest.raises(gr.Error) as caught:
        refusals.friendly(broken)()
    assert "secret" not in caught.value.message


def test_a_model_without_presets_is_served(pipe: StyleTransferPipeline) -> None:
    bare = StyleTransferPipeline(pipe.generator)
    assert isinstance(app.create_app(bare), gr.Blocks)


def test_the_model_comes_from_the_environment(
    pipe: StyleTransferPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe.save_pretrained(tmp_path / "mine")
    monkeypatch.setenv("HFSTYLE_MODEL", str(tmp_path / "mine"))
    loaded, name = app.load_model()
    assert name == "mine"
    assert list(loaded.presets) == ["night", "squares", "waves"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser(demo: Any, folder: Path, tmp_path: Path, width: int) -> None:
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

        page.goto(demo.local_url)
        expect(status).to_contain_text("an example")
        page.locator("input[type=file]").first.set_input_files(folder / "photo.png")
        expect(status).not_to_contain_text("an example")
        expect(status).to_contain_text("70 × 50 px")
        page.get_by_label("Thumbnail 2 of 3").first.click()
        expect(status).to_contain_text(list(demo_labels(demo))[1])
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


def demo_labels(demo: Any) -> list[str]:
    """Labels of the presets, in the order of the gallery."""
    dropdown = next(b for b in demo.blocks.values() if isinstance(b, gr.Dropdown))
    return [label for label, _ in dropdown.choices]


def test_gradio_leaves_no_files_beside_the_sources() -> None:
    assert not list(Path(painting.__file__).parent.glob("*.pyi"))


class FakeDiffusion:
    name = "a diffusion model"

    def paint(self, photo: Image.Image, style: Image.Image) -> tuple[Image.Image, float]:
        return style.resize(photo.size), 2.5


def test_a_diffusion_model_is_compared_with_where_there_is_one(
    pipe: StyleTransferPipeline, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    studio = painting.Studio(pipe)
    photo, style = str(folder / "photo.png"), str(folder / "style.png")
    handlers = Handlers(studio, Thumbnails(studio), FakeDiffusion())
    *_, shown = handlers.compare(photo, style=style, across="diffusion")
    assert [caption.split(",")[0] for _, caption in shown] == ["hfstyle", "a diffusion model"]
    assert shown[1][1].endswith("2.5 s")
    with pytest.raises(gr.Error, match="no diffusion model"):
        list(Handlers(studio, Thumbnails(studio)).compare(photo, style=style, across="diffusion"))


def test_without_weights_there_is_no_diffusion_model(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    class Pipeline:
        @staticmethod
        def from_pretrained(model: str, **options: Any) -> Any:
            asked.append({"model": model, **options})
            raise OSError("no such file in the cache")

    fake = types.ModuleType("diffusers")
    fake.StableDiffusionImg2ImgPipeline = Pipeline  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "diffusers", fake)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert find_diffusion() is None
    assert asked[0]["local_files_only"] is True
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_diffusion() is None
    assert len(asked) == 1


def test_the_example_for_programs_in_the_readme_runs(
    client: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = Path(__file__).parent.parent.joinpath("README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```py\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    picture(seed=1).save(tmp_path / "photo.jpg")
    picture(seed=2).save(tmp_path / "painting.jpg")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    block = block.replace("http://127.0.0.1:7860/", client.src)
    exec(block.replace("starry_night_van_gogh", "waves"), names)  # as it stands on the page
    assert Path(names["painted"]).name.startswith("photo__my_style")
