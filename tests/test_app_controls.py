"""Ways between styles, collections and explanations in the web demo: what its endpoints give, and what they refuse."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from app_server import picture, refusal, upload, values_of
from PIL import Image, ImageSequence

from hfstyle import StyleCode, StyleTransferPipeline
from hfstyle.explain import nearest_styles
from hfstyle.film import write as film_write

gr = pytest.importorskip("gradio")

from hfstyle.studio.backend import results  # noqa: E402
from hfstyle.studio.backend.engine import Studio  # noqa: E402
from hfstyle.studio.backend.uploads import MAX_PICTURES  # noqa: E402
from hfstyle.studio.pages.explain import ExplainHandlers  # noqa: E402


@pytest.fixture
def collection(tmp_path: Path) -> list[Any]:
    """Five style pictures: three dark ones, two bright ones."""
    paths = [tmp_path / f"work {number}.png" for number in range(5)]
    for number, path in enumerate(paths):
        pixels = np.asarray(picture(80, 60, seed=20 + number)) // 4 + (0 if number < 3 else 190)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    return [upload(path) for path in paths]


def post(app_client: Any, endpoint: str, data: list[Any]) -> str:
    """What an endpoint answers to numbers that `gradio_client` would not send."""
    import httpx

    url = f"{app_client.src}gradio_api/call/{endpoint}"
    headers = {"Content-Type": "application/json"}
    response = httpx.post(url, content=json.dumps({"data": data}), headers=headers)
    assert response.status_code == 200, response.text
    return httpx.get(f"{url}/{response.json()['event_id']}", timeout=60).text


def uploaded(app_client: Any, path: Path) -> dict[str, Any]:
    import httpx

    with open(path, "rb") as file:
        paths = httpx.post(app_client.src + "gradio_api/upload", files={"files": file}).json()
    return {"path": paths[0], "meta": {"_type": "gradio.FileData"}}


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB")).astype(int)


# --- a way between styles


def test_an_animation_goes_from_style_to_style_and_back(
    app_client: Any, app_pipe: StyleTransferPipeline, tmp_path: Path
) -> None:
    smooth = tmp_path / "photo.png"  # noise has more colours than a GIF
    picture(7, 5).resize((70, 50), Image.Resampling.BICUBIC).save(smooth)
    shown, files = app_client.predict(
        upload(smooth),
        preset_1="waves",
        preset_2="night",
        steps=5,
        api_name="/path",
    )
    assert Path(files[0]).name == "photo__waves_to_night.gif"
    assert Path(files[0]).read_bytes() == Path(shown).read_bytes()
    with Image.open(shown) as moving:
        assert (moving.format, moving.size, moving.n_frames) == ("GIF", (70, 50), 8)
        frames = [pixels(frame) for frame in ImageSequence.Iterator(moving)]
    painted = [
        pixels(app_pipe(smooth, app_pipe.preset(name), processing_resolution="full").images[0])
        for name in ("waves", "night")
    ]
    for place, own, other in ((0, *painted), (4, *painted[::-1])):
        assert np.abs(frames[place] - own).mean() < 12  # of 256 colours, dithered
        assert np.abs(frames[place] - own).mean() < np.abs(frames[place] - other).mean()


def test_an_animation_passes_through_what_has_a_weight_at_the_size_that_was_asked_for(
    app_client: Any, tmp_path: Path
) -> None:
    picture(300, 200).save(tmp_path / "wide.png")
    _, files = app_client.predict(
        upload(tmp_path / "wide.png"),
        preset_1="waves",
        weight_1=0,
        preset_2="night",
        preset_4="squares",
        weight_4=1,
        steps=2,
        size=128,
        api_name="/path",
    )
    assert Path(files[0]).name == "wide__night_to_squares.gif"
    with Image.open(files[0]) as moving:
        assert (moving.size, moving.n_frames) == ((192, 128), 2)


def test_an_animation_is_a_film_too_where_av_is(
    app_pipe: StyleTransferPipeline,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    frames = [picture(seed=1), picture(seed=2)]
    pytest.importorskip("av")
    files = results.write_animation(frames, "moving")
    assert [Path(file).name for file in files] == ["moving.gif", "moving.mp4"]
    assert b"ftyp" in Path(files[1]).read_bytes()[:16]
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "av", None)
        assert len(results.write_animation(frames, "moving")) == 1
        assert not caplog.records
    monkeypatch.setitem(film_write._CODERS, "h264", film_write._Coder("nobody", 51, {}))
    assert [Path(file).suffix for file in results.write_animation(frames, "moving")] == [".gif"]
    assert "no MP4" in caplog.text


def test_bad_ways_get_a_sentence(app_client: Any, app_folder: Path, tmp_path: Path) -> None:
    photo = upload(app_folder / "photo.png")
    asked = {"content": photo, "preset_1": "waves", "preset_2": "night", "api_name": "/path"}
    assert "Choose a photo" in refusal(app_client, **asked | {"content": None})
    assert "at least two styles" in refusal(app_client, **asked | {"preset_2": None})
    assert "at least two styles" in refusal(app_client, **asked, weight_1=0)
    assert "maximum value 24" in refusal(app_client, **asked, steps=25)
    assert "minimum value 2" in refusal(app_client, **asked, steps=1)
    assert "maximum value 512" in refusal(app_client, **asked, size=4000)
    third = {"preset_3": "squares", "weight_3": 1}
    assert "at least 3" in refusal(app_client, **asked, **third, steps=2)
    (tmp_path / "cut.png").write_bytes((app_folder / "style.png").read_bytes()[:300])
    assert "cut.png" in refusal(app_client, **asked, style_2=upload(tmp_path / "cut.png"))
    assert "list of choices" in refusal(app_client, **asked | {"preset_1": "nobody"})
    picture(20, 12_000).resize((20, 30_000)).save(tmp_path / "strip.png")
    said = refusal(app_client, **asked | {"content": upload(tmp_path / "strip.png")})
    assert "too long and narrow" in said


@pytest.mark.parametrize("name", ["steps", "size"])
def test_steps_and_sizes_that_are_no_numbers_are_refused(
    app_client: Any, app_folder: Path, name: str
) -> None:
    photo = uploaded(app_client, app_folder / "photo.png")
    given = {"content": photo, "preset_1": "waves", "preset_2": "night", "steps": 3, "size": 128}
    assert "complete" in post(app_client, "path", values_of(app_client, "path", **given))
    for value in (float("nan"), float("inf"), None, "many"):
        data = values_of(app_client, "path", **given | {name: value})
        answer = post(app_client, "path", data)
        assert "event: error" in answer
        assert "complete" not in answer


# --- the style of several pictures


def test_a_collection_becomes_its_mean(
    app_client: Any, app_pipe: StyleTransferPipeline, app_folder: Path, collection: list[Any]
) -> None:
    photo = upload(app_folder / "photo.png")
    shown, files = app_client.predict(
        collection, name="My works", content=photo, api_name="/collect"
    )
    assert [item["caption"] for item in shown] == ["My works: 5 pictures"]
    assert Image.open(shown[0]["image"]).size == (70, 50)
    assert Path(files[0]).name == "my_works.style.safetensors"
    code = StyleCode.load(files[0], app_pipe.generator.encoder_fingerprint())
    expected = StyleCode.mix([app_pipe.encode_style(item["path"]) for item in collection])
    torch.testing.assert_close(code.vector, expected.vector)
    assert (code.name, code.metadata["pictures"]) == ("My works", "5")
    painted = app_client.predict(photo, style_file=upload(Path(files[0])), api_name="/stylize")
    np.testing.assert_array_equal(
        pixels(Image.open(painted)), pixels(Image.open(shown[0]["image"]))
    )


def test_a_collection_becomes_styles_of_its_groups(
    app_client: Any, app_pipe: StyleTransferPipeline, collection: list[Any]
) -> None:
    shown, files = app_client.predict(collection, clusters=2, api_name="/collect")
    assert [item["caption"] for item in shown] == [
        "collection 1: 3 pictures",
        "collection 2: 2 pictures",
    ]
    codes = [StyleCode.load(file, app_pipe.generator.encoder_fingerprint()) for file in files]
    own = [app_pipe.encode_style(item["path"]) for item in collection]
    for code, members in zip(codes, (own[:3], own[3:]), strict=True):
        torch.testing.assert_close(code.vector, StyleCode.mix(members).vector)


def test_bad_collections_get_a_sentence(
    app_client: Any, app_folder: Path, collection: list[Any], tmp_path: Path
) -> None:
    ask = {"api_name": "/collect"}
    assert "Choose the pictures" in refusal(app_client, pictures=[], **ask)
    assert "Choose the pictures" in refusal(app_client, pictures=None, **ask)
    many = [collection[0]] * (MAX_PICTURES + 1)
    assert "25 pictures; the limit is 24" in refusal(app_client, pictures=many, **ask)
    said = refusal(app_client, pictures=collection[:2], clusters=3, **ask)
    assert "at least 3 pictures" in said
    assert "maximum value 6" in refusal(app_client, pictures=collection, clusters=7, **ask)
    (tmp_path / "notes.png").write_bytes(b"these are notes")
    notes = upload(tmp_path / "notes.png")
    said = refusal(app_client, pictures=[notes, notes], **ask)
    assert (
        "None of the 2 pictures can be used. The style picture notes.png is not a picture" in said
    )
    said = refusal(app_client, pictures=[collection[0], notes, collection[1]], clusters=3, **ask)
    assert "there are 2. 1 of the 3 pictures was left out. The style picture notes.png" in said
    assert "uploads" not in said  # the folder on the server
    bad_photo = {"content": upload(tmp_path / "notes.png")}
    assert "photo" in refusal(app_client, pictures=collection, **bad_photo, **ask)


def test_a_collection_holds_nothing_that_was_not_uploaded(
    app_client: Any, app_folder: Path, collection: list[Any]
) -> None:
    given = uploaded(app_client, app_folder / "style.png")
    assert "complete" in post(app_client, "collect", [[given], 1, 384, "", None])
    secret = {**given, "path": str(app_folder / "style.png")}
    web = {**given, "path": "http://example.com/a.png"}
    for pictures in ([given, secret], [given, web], given, "x", [[given]], [None]):
        answer = post(app_client, "collect", [pictures, 1, 384, "", None])
        assert "event: error" in answer
        assert "complete" not in answer
    for clusters in (float("nan"), float("inf"), None, 0, -1):
        answer = post(app_client, "collect", [[given], clusters, 384, "", None])
        assert "event: error" in answer


# --- an explanation


@pytest.mark.parametrize("kind", ["preset", "style", "style_file"])
def test_a_style_is_explained(
    app_client: Any,
    app_pipe: StyleTransferPipeline,
    app_folder: Path,
    tmp_path: Path,
    kind: str,
) -> None:
    code = app_pipe.encode_style(app_folder / "style.png", name="mine")
    code.save(tmp_path / "mine.style.safetensors")
    given = {
        "preset": "night",
        "style": upload(app_folder / "style.png"),
        "style_file": upload(tmp_path / "mine.style.safetensors"),
    }
    shown, nearest = app_client.predict(
        upload(app_folder / "photo.png"), **{kind: given[kind]}, api_name="/explain"
    )
    with Image.open(shown) as image:
        assert image.format == "PNG"
        assert min(image.size) > 100
    expected = nearest_styles(app_pipe, app_pipe.preset("night") if kind == "preset" else code)
    assert [item["name"] for item in nearest] == [name for name, _ in expected]
    distances = [item["distance"] for item in nearest]
    assert distances == pytest.approx([far for _, far in expected], abs=1e-3)
    assert (distances[0] < 1e-3) == (kind == "preset")


def test_bad_questions_for_an_explanation_get_a_sentence(
    app_client: Any, app_folder: Path, tmp_path: Path
) -> None:
    ask = {"content": upload(app_folder / "photo.png"), "api_name": "/explain"}
    assert "Choose a photo" in refusal(app_client, **ask | {"content": None}, preset="night")
    assert "Choose a style" in refusal(app_client, **ask)
    (tmp_path / "notes.png").write_bytes(b"these are notes")
    assert "not a picture" in refusal(app_client, **ask, style=upload(tmp_path / "notes.png"))
    (tmp_path / "bad.safetensors").write_bytes(b"no tensors")
    bad = upload(tmp_path / "bad.safetensors")
    assert "not a style code" in refusal(app_client, **ask, style_file=bad)
    picture(16, 9_000).resize((16, 50_000)).save(tmp_path / "strip.png")
    strip = {"content": upload(tmp_path / "strip.png")}
    assert "too long and narrow" in refusal(app_client, **ask | strip, preset="night")


def test_the_page_names_the_nearest_paintings(
    app_pipe: StyleTransferPipeline,
    app_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    handlers = ExplainHandlers(Studio(app_pipe))
    *_, (_, told) = handlers.show_explanation(
        str(app_folder / "photo.png"), "night", None, None, progress=lambda *_, **__: None
    )
    assert "1. Night (A. Painter, 1900): 0.00" in told.replace("\\", "")
    assert "3. " in told
