"""What the web demo is given: odd pictures are painted, bad ones get a sentence, and nothing else is read."""

from __future__ import annotations

import io
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_server import picture, refusal, upload, values_of
from PIL import Image

from hfstyle import ImageError, StyleCode, StyleTransferPipeline

gr = pytest.importorskip("gradio")

from hfstyle.studio.backend import jobs, results, uploads  # noqa: E402


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
    answer = _post(app_client, {"path": str(secret), **meta})
    assert "error" in answer
    assert "complete" not in answer


@pytest.mark.parametrize(
    ("field", "address"),
    [("url", "config"), ("path", "gradio_api/file={secret}"), ("url", "gradio_api/file=../x")],
)
def test_no_web_address_is_fetched(
    app_client: Any, app_folder: Path, field: str, address: str
) -> None:
    given = {"path": "x.png", "meta": {"_type": "gradio.FileData"}}
    given[field] = app_client.src + address.format(secret=app_folder / "photo.png")
    answer = _post(app_client, given)
    assert "error" in answer
    assert "complete" not in answer


def test_an_uploaded_file_is_read_by_its_path(app_client: Any, app_folder: Path) -> None:
    """The requests of the two tests above fail for what they ask, not for how they ask."""
    import httpx

    with open(app_folder / "photo.png", "rb") as file:
        paths = httpx.post(app_client.src + "gradio_api/upload", files={"files": file}).json()
    for path in (paths[0], f"{app_client.src}gradio_api/file={paths[0]}"):
        given = {"path": path, "meta": {"_type": "gradio.FileData"}}
        answer = _post(app_client, given)
        assert "complete" in answer
        assert "photo__waves" in answer


def _post(app_client: Any, content: dict[str, Any]) -> str:
    """What /stylize answers to a photo that `gradio_client` would not send as it is."""
    import httpx

    data = values_of(app_client, "stylize", content=content, preset="waves")
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


def test_an_upload_that_broke_off_is_deleted_too(running_app: Any, app_client: Any) -> None:
    uploads = Path(os.environ["GRADIO_TEMP_DIR"])
    before = set(uploads.glob("tmp*"))
    port = int(app_client.src.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as visitor:
        head = (
            "POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000000\r\n"
            "Content-Type: multipart/form-data; boundary=edge\r\n\r\n"
            '--edge\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        )
        visitor.sendall(head.encode() + b"x" * 2_000_000)
        until = time.monotonic() + 30
        while not (left := set(uploads.glob("tmp*")) - before):
            assert time.monotonic() < until
            time.sleep(0.05)
    time.sleep(0.5)
    results.delete_old(3600)
    assert left <= set(uploads.glob("tmp*")), "another visitor's upload may still arrive"
    results.delete_old(-1)
    assert not set(uploads.glob("tmp*"))


def test_the_cleaning_spares_what_everybody_sees(
    running_app: Any, app_client: Any, app_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("skimage")
    from gradio.route_utils import delete_files_created_by_app

    uploads = Path(os.environ["GRADIO_TEMP_DIR"])
    picture(seed=7).save(tmp_path / "of_a_visitor.png")
    app_client.predict(upload(tmp_path / "of_a_visitor.png"), preset="waves", api_name="/stylize")
    assert list(uploads.rglob("of_a_visitor*"))
    thumbnails: list[Path] = []
    for _ in range(300):  # they are made in the background
        kept = set().union(*(getattr(b, "keep_in_cache", ()) for b in running_app.blocks.values()))
        thumbnails = [Path(path) for path in kept if path.endswith("squares.webp")]
        if thumbnails:
            break
        time.sleep(0.1)
    assert thumbnails
    assert all(uploads in path.parents for path in thumbnails)

    delete_files_created_by_app(running_app, age=3600)
    results.delete_old(3600)
    assert len(list(uploads.rglob("of_a_visitor*"))) == 2  # the photo and its painting
    delete_files_created_by_app(running_app, age=-1)
    results.delete_old(-1)
    assert not list(uploads.rglob("of_a_visitor*"))
    assert not [folder for folder in uploads.glob("*/") if not any(folder.iterdir())]
    assert all(path.is_file() for path in thumbnails)
    assert list(uploads.rglob("astronaut.png"))  # an example


@pytest.mark.parametrize(
    ("endpoint", "size"),
    [("stylize", (200_000, 20)), ("encode", (20, 200_000))],
)
def test_a_picture_that_is_too_long_and_narrow_is_refused_at_once(
    app_client: Any, tmp_path: Path, size: tuple[int, int], endpoint: str
) -> None:
    """A PNG of a few hundred bytes kept everybody waiting for minutes."""
    Image.new("1", size).save(tmp_path / "strip.png", optimize=True)
    strip = upload(tmp_path / "strip.png")
    asks = {"content": strip, "preset": "waves"} if endpoint == "stylize" else {"content": strip}
    started = time.monotonic()
    sentence = refusal(
        app_client,
        **({"style": strip} if endpoint == "encode" else asks),
        api_name=f"/{endpoint}",
    )
    assert "narrow" in sentence
    assert f"{size[0]} x {size[1]} px" in sentence
    assert time.monotonic() - started < 20


def test_a_panorama_is_painted(app_client: Any, tmp_path: Path) -> None:
    picture(1200, 41).save(tmp_path / "wide.png")
    path = app_client.predict(upload(tmp_path / "wide.png"), preset="waves", api_name="/stylize")
    assert Image.open(path).size == (1200, 41)


def test_decoding_ends_with_its_request(tmp_path: Path) -> None:
    """Whoever presses Stop, or leaves, leaves no thread at work behind, whatever the file makes a decoder do."""
    from hfstyle.studio.backend import jobs

    data = _encoded(picture(2000, 2000), "JPEG", progressive=True, quality=5)
    last = data.rindex(b"\xff\xda")  # its last scan; each one asks for a pass over all pixels
    (tmp_path / "scans.jpg").write_bytes(data[:-2] + data[last : last + 30] * 20_000 + b"\xff\xd9")
    outcome: list[BaseException | None] = []

    def read() -> None:
        try:
            uploads.open_picture(str(tmp_path / "scans.jpg"), "photo")
            outcome.append(None)
        except BaseException as error:
            outcome.append(error)
            raise

    steps = jobs.job(read, None)
    started = time.monotonic()
    try:
        next(steps)
    except ImageError:  # the file was refused before it was decoded, which is as well
        return
    steps.close()
    while not outcome:
        assert time.monotonic() - started < 30
        time.sleep(0.05)
    assert isinstance(outcome[0], (jobs.Stopped, ImageError)), "it was read to its end"


def test_a_job_is_ended_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from hfstyle.studio.backend import jobs

    monkeypatch.setattr(jobs, "MOST_SECONDS", 0.3)

    def forever() -> None:
        while True:
            time.sleep(0.01)
            jobs.mark()

    with pytest.raises(gr.Error, match="seconds and was ended"):
        list(jobs.job(forever, None))


def test_few_pictures_are_decoded_at_a_time(
    app_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hfstyle.studio.backend import jobs

    at_once: list[int] = []
    at_work = threading.Semaphore(100)

    def slow(*_: Any, **__: Any) -> None:
        with at_work:
            at_once.append(100 - at_work._value)
            for _ in range(20):
                time.sleep(0.01)
                jobs.mark()

    monkeypatch.setattr(uploads, "load_image", slow)
    photo = str(app_folder / "photo.png")
    running = [jobs.job(lambda: uploads.open_picture(photo, "photo"), None) for _ in range(6)]
    for steps in running:
        next(steps)
    running.pop(0).close()
    for steps in running:
        list(steps)
    assert max(at_once) <= 2


def _shown(app_client: Any, path: str, accept: str) -> Any:
    import httpx

    address = f"{app_client.src}gradio_api/file={path}"
    return httpx.get(address, headers={"Accept": accept}, timeout=60)


_AS_PICTURE = "image/avif,image/webp,image/apng,image/*,*/*;q=0.8"
"""What browsers accept for a picture of a page."""


def _brought(app_client: Any, name: str, content: bytes) -> str:
    import httpx

    url = app_client.src + "gradio_api/upload"
    return str(httpx.post(url, files={"files": (name, content)}).json()[0])


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_a_page_shows_a_small_copy_of_a_large_photo(app_client: Any, format: str) -> None:
    """Whose full size is what is painted; a phone's turned photo is shown upright, and what browsers cannot show is shown."""
    large = picture(30, 20).resize((3000, 2000), Image.Resampling.BICUBIC)
    noise = picture(3000, 2000, seed=5)
    exif = large.getexif()
    if format == "JPEG":
        exif[0x0112] = 6
    content = _encoded(Image.blend(large, noise, 0.1), format, exif=exif)
    path = _brought(app_client, f"photo.{format.lower()}", content)
    answer = _shown(app_client, path, _AS_PICTURE)
    assert answer.headers["content-type"] == "image/webp"
    assert len(answer.content) < 60_000
    with Image.open(io.BytesIO(answer.content)) as small:
        expected = (427, 640) if format == "JPEG" else (640, 427)
        assert small.size == expected
        upright = large.rotate(-90, expand=True) if format == "JPEG" else large
        away = np.asarray(small.convert("RGB"), int) - np.asarray(upright.resize(expected), int)
        assert np.abs(away).mean() < 20
    assert _shown(app_client, path, "*/*").content == content


def test_small_and_unreadable_uploads_and_results_are_shown_as_they_are(
    app_client: Any, app_folder: Path, tmp_path: Path
) -> None:
    photo = (app_folder / "photo.png").read_bytes()
    for content in (photo, b"these are notes " * 40_000):
        path = _brought(app_client, "photo.png", content)
        assert _shown(app_client, path, _AS_PICTURE).content == content
    picture(1400, 1000).save(tmp_path / "large.png")
    large = upload(tmp_path / "large.png")
    app_client.predict(large, preset="waves", strength=0, api_name="/stylize")
    file = next(file for folder in results._given for file in folder.glob("large__*.png"))
    with Image.open(io.BytesIO(_shown(app_client, str(file), _AS_PICTURE).content)) as shown:
        assert shown.size == (1400, 1000)


def test_a_picture_that_takes_long_to_reduce_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(uploads, "_REDUCING_SECONDS", 0.3)
    picture(1500, 1500).save(tmp_path / "photo.png")

    def slow(path: str) -> None:
        while True:
            jobs.mark()
            time.sleep(0.01)

    monkeypatch.setattr(uploads, "_reduced", slow)
    begun = time.monotonic()
    assert uploads.small_copy(str(tmp_path / "photo.png")) is None
    assert uploads.small_copy(str(tmp_path / "photo.png")) is None  # not tried again
    assert time.monotonic() < begun + 20
