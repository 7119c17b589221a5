"""What the web demo is given: odd pictures are painted, bad ones get a sentence, and nothing else is read."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path
from typing import Any

import pytest
from app_server import picture, refusal, upload
from PIL import Image

from hfstyle import StyleCode, StyleTransferPipeline

gr = pytest.importorskip("gradio")

from hfstyle.studio import results, uploads  # noqa: E402


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
    app_client: Any, tmp_path: Path, name: str, data: bytes, size: tuple[int, int]
) -> None:
    (tmp_path / name).write_bytes(data)
    path = app_client.predict(upload(tmp_path / name), preset="waves", api_name="/stylize")
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
    app_client: Any, tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(data)
    sentence = refusal(app_client, content=upload(tmp_path / name), preset="waves")
    assert words in sentence
    assert name.split(".")[0] in sentence
    assert "uploads" not in sentence  # the folder on the server


def test_a_huge_picture_is_refused_from_its_header(app_client: Any, tmp_path: Path) -> None:
    # 16,000 x 16,000 px of one colour in a small file; decoded it would be 3 GB
    _write_header_only(tmp_path / "huge.bmp", 16_000, 16_000)
    sentence = refusal(app_client, content=upload(tmp_path / "huge.bmp"), preset="waves")
    assert "too large" in sentence or "megapixels" in sentence
    _write_header_only(tmp_path / "large.bmp", 8_000, 8_000)
    sentence = refusal(app_client, content=upload(tmp_path / "large.bmp"), preset="waves")
    assert "64 megapixels" in sentence
    assert "40 megapixels" in sentence


def _write_header_only(path: Path, width: int, height: int) -> None:
    data = bytearray(_encoded(Image.new("L", (1, 1)), "BMP"))
    data[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
    path.write_bytes(data)


def test_a_file_of_too_many_bytes_is_refused(app_client: Any, tmp_path: Path) -> None:
    with open(tmp_path / "long.png", "wb") as file:
        file.truncate(uploads.MAX_UPLOAD_BYTES + 1)
    with pytest.raises(Exception, match=r"413|size|large|limit"):
        app_client.predict(upload(tmp_path / "long.png"), preset="waves", api_name="/stylize")


def test_a_style_file_that_is_none_is_refused(
    app_client: Any, app_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "style.safetensors").write_bytes(b"no tensors")
    photo, file = upload(app_folder / "photo.png"), upload(tmp_path / "style.safetensors")
    assert "not a style code" in refusal(app_client, content=photo, style_file=file)


def test_a_style_file_of_another_model_is_refused(
    app_client: Any, app_pipe: StyleTransferPipeline, app_folder: Path, tmp_path: Path
) -> None:
    code = app_pipe.preset("waves")
    StyleCode(code.vector, code.tokens, "0" * 16, "foreign").save(tmp_path / "f.safetensors")
    sentence = refusal(
        app_client,
        content=upload(app_folder / "photo.png"),
        style_file=upload(tmp_path / "f.safetensors"),
    )
    assert "another" in sentence or "encoder" in sentence


def test_missing_inputs_are_asked_for(app_client: Any, app_folder: Path) -> None:
    assert "photo" in refusal(app_client, content=None)
    assert "style" in refusal(app_client, content=upload(app_folder / "photo.png"))
    assert "style" in refusal(app_client, content=upload(app_folder / "photo.png"), api_name="/mix")
    assert "style" in refusal(
        app_client, content=upload(app_folder / "photo.png"), presets=[], api_name="/compare"
    )


@pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "gradio.FileData"}}])
def test_the_servers_files_cannot_be_read(
    app_client: Any, app_folder: Path, meta: dict[str, Any]
) -> None:
    secret = app_folder / "photo.png"  # a picture on the server that was not uploaded
    answer = _post(app_client, [{"path": str(secret), **meta}, "waves", None, None, 1, 1, 256, 512])
    assert "error" in answer
    assert "complete" not in answer


@pytest.mark.parametrize("address", ["config", "gradio_api/file={secret}", "gradio_api/file=../x"])
@pytest.mark.parametrize("field", ["path", "url"])
def test_no_web_address_is_fetched(
    app_client: Any, app_folder: Path, field: str, address: str
) -> None:
    given = {"path": "x.png", "meta": {"_type": "gradio.FileData"}}
    given[field] = app_client.src + address.format(secret=app_folder / "photo.png")
    answer = _post(app_client, [given, "waves", None, None, 1, 1, 256, 512])
    assert "error" in answer
    assert "complete" not in answer


def test_an_uploaded_file_is_read_by_its_path(app_client: Any, app_folder: Path) -> None:
    """The requests of the two tests above fail for what they ask, not for how they ask."""
    import httpx

    with open(app_folder / "photo.png", "rb") as file:
        paths = httpx.post(app_client.src + "gradio_api/upload", files={"files": file}).json()
    for path in (paths[0], f"{app_client.src}gradio_api/file={paths[0]}"):
        given = {"path": path, "meta": {"_type": "gradio.FileData"}}
        answer = _post(app_client, [given, "waves", None, None, 1, 1, 256, 512])
        assert "complete" in answer
        assert "photo__waves" in answer


def _post(app_client: Any, data: list[Any]) -> str:
    """What /stylize answers to data that `gradio_client` would not send as they are."""
    import httpx

    url = app_client.src + "gradio_api/call/stylize"
    response = httpx.post(url, json={"data": data})
    assert response.status_code == 200, response.text
    return httpx.get(f"{url}/{response.json()['event_id']}", timeout=20).text


def test_an_upload_that_nothing_uses_is_deleted_like_the_others(
    running_app: Any, app_client: Any
) -> None:
    import httpx
    from gradio.route_utils import delete_files_created_by_app

    file = ("forgotten.png", _encoded(picture(seed=9), "PNG"))
    paths = httpx.post(app_client.src + "gradio_api/upload", files={"files": file}).json()
    delete_files_created_by_app(running_app, age=3600)
    results.delete_old(3600)
    assert Path(paths[0]).is_file()
    delete_files_created_by_app(running_app, age=-1)
    results.delete_old(-1)
    assert not Path(paths[0]).parent.exists()


def test_the_cleaning_spares_what_everybody_sees(
    running_app: Any, app_client: Any, app_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("skimage")
    from gradio.route_utils import delete_files_created_by_app

    uploads = Path(os.environ["GRADIO_TEMP_DIR"])
    picture(seed=7).save(tmp_path / "of_a_visitor.png")
    app_client.predict(upload(tmp_path / "of_a_visitor.png"), preset="waves", api_name="/stylize")
    assert list(uploads.rglob("of_a_visitor*"))
    for _ in range(300):  # the thumbnails are made in the background
        kept = set().union(*(getattr(b, "keep_in_cache", ()) for b in running_app.blocks.values()))
        if any(path.endswith("squares.png") for path in kept):
            break
        time.sleep(0.1)
    thumbnails = {str(path) for path in uploads.rglob("squares.png")}
    assert thumbnails
    assert thumbnails <= kept

    delete_files_created_by_app(running_app, age=3600)
    results.delete_old(3600)
    assert len(list(uploads.rglob("of_a_visitor*"))) == 2  # the photo and its painting
    delete_files_created_by_app(running_app, age=-1)
    results.delete_old(-1)
    assert not list(uploads.rglob("of_a_visitor*"))
    assert not [folder for folder in uploads.glob("*/") if not any(folder.iterdir())]
    assert {str(path) for path in uploads.rglob("squares.png")} >= thumbnails
    assert list(uploads.rglob("astronaut.png"))  # an example
