"""The endpoints as tools of the Model Context Protocol, asked by its own client."""

from __future__ import annotations

import base64
import io
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from app_server import launched
from PIL import Image

from hfstyle import StyleTransferPipeline

pytest.importorskip("gradio")
mcp = pytest.importorskip("mcp")

from hfstyle.studio.backend import results, uploads  # noqa: E402

TOOLS = {
    *("stylize", "regions", "sample", "find", "mix", "encode", "compare"),
    *("path", "collect", "explain", "learn", "video"),
}


@pytest.fixture(scope="module")
def server(
    running_app: Any, app_pipe: StyleTransferPipeline, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """Another app than the tests' usual one, which is made before the variable is set."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_MCP_SERVER", "true")
        with launched(app_pipe, tmp_path_factory.mktemp("uploads")) as demo:
            yield demo


def ask(demo: Any, tool: str | None = None, **arguments: Any) -> Any:
    """What a tool answers; the list of tools without one."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def talk() -> Any:
        async with (
            streamable_http_client(demo.local_url + "gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            if tool is None:
                return await session.list_tools()
            return await session.call_tool(tool, arguments)

    return anyio.run(talk)


def test_every_endpoint_is_a_tool_that_says_what_it_takes(server: Any) -> None:
    tools = {tool.name: tool for tool in ask(server).tools}
    assert set(tools) == TOOLS
    for tool in tools.values():
        assert len(tool.description) > 40, tool.name
        described = tool.inputSchema["properties"]
        assert all(about.get("description") for about in described.values()), tool.name
    assert tools["stylize"].inputSchema["required"] == ["content"]


def test_a_tool_paints_an_uploaded_photo(server: Any, app_folder: Path) -> None:
    """Uploaded as Gradio's helper for such clients does it, which hands on an address of this server."""
    import httpx

    with open(app_folder / "photo.png", "rb") as file:
        paths = httpx.post(f"{server.local_url}gradio_api/upload", files={"files": file}).json()
    address = f"{server.local_url}gradio_api/file={paths[0]}"
    answer = ask(server, "stylize", content=address, preset="waves", strength=0.5)
    assert not answer.isError, answer.content
    assert _pictures(answer) == [(70, 50)]


def test_a_tool_paints_a_photo_in_the_question(server: Any, app_folder: Path) -> None:
    data = base64.b64encode((app_folder / "photo.png").read_bytes()).decode()
    answer = ask(server, "stylize", content=f"data:image/png;base64,{data}", preset="waves")
    assert not answer.isError, answer.content
    assert _pictures(answer) == [(70, 50)]


def test_a_tool_paints_a_film(server: Any, tmp_path: Path) -> None:
    pytest.importorskip("av")
    pytest.importorskip("cv2")
    import httpx
    from film_clips import panned, write_clip

    from hfstyle.film import film_facts

    clip = write_clip(tmp_path / "in.mp4", panned(10, 96, 160))
    with open(clip, "rb") as file:
        paths = httpx.post(f"{server.local_url}gradio_api/upload", files={"files": file}).json()
    film = f"{server.local_url}gradio_api/file={paths[0]}"
    answer = ask(server, "video", film=film, preset="waves", seconds=0.2, size=128)
    assert not answer.isError, answer.content
    told = " ".join(part.text for part in answer.content if part.type == "text")
    assert "5 frames, 0.2 s, painted in" in told
    address = re.findall(r"http\S+?\.mp4", told)[0]
    (tmp_path / "out.mp4").write_bytes(httpx.get(address).content)
    assert film_facts(tmp_path / "out.mp4").size == (160, 96)


def _data_url(picture: Path | bytes, kind: str = "image/png") -> str:
    data = picture if isinstance(picture, bytes) else picture.read_bytes()
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _files() -> set[Path]:
    return {path for path in Path(os.environ["GRADIO_TEMP_DIR"]).rglob("*") if path.is_file()}


def test_a_photo_in_the_question_is_deleted_like_an_upload(server: Any, app_folder: Path) -> None:
    before = _files()
    image = Image.open(app_folder / "photo.png").rotate(3)
    stream = io.BytesIO()
    image.save(stream, "JPEG")
    given = _data_url(stream.getvalue(), "image/jpeg")
    answer = ask(server, "stylize", content=given, preset="waves")
    assert not answer.isError, answer.content
    added = _files() - before
    assert [path.name for path in added if path.suffix == ".jpg"] == ["picture.jpg"]
    results.delete_old(3600)
    assert added <= _files()
    results.delete_old(-1)
    assert not added & _files()


def test_a_photo_in_the_question_is_held_to_the_limits(server: Any, app_folder: Path) -> None:
    before = _files()
    huge = bytearray((app_folder / "photo.png").read_bytes())
    huge[16:24] = (9000).to_bytes(4, "big") * 2  # width and height in the header
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    for given, words in (
        ("data:image/png;base64,AAA", "damaged"),
        ("data:image/png;base64,A!AA", "damaged"),
        ("data:image/png,hello", "in base64"),
        (_data_url(b"notes"), "not a picture"),
        (_data_url(bytes(huge)), "81 megapixels"),
    ):
        answer = ask(server, "stylize", content=given, preset="waves")
        assert answer.isError
        assert words in answer.content[0].text
    results.delete_old(-1)
    assert _files() <= before


def test_a_photo_of_too_many_bytes_is_refused_before_it_is_decoded(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below the network, where newer versions of the package `mcp` refuse it already."""
    monkeypatch.delattr(base64, "b64decode")
    given = {"content": "data:image/png;base64," + "A" * (uploads.MAX_UPLOAD_BYTES * 4 // 3 + 8)}
    with pytest.raises(ValueError, match="the limit is 25 MB"):
        server.mcp_server_obj.convert_strings_to_filedata(given, [["content"]])


def test_a_tool_gives_all_that_it_makes(server: Any, app_folder: Path) -> None:
    data = base64.b64encode((app_folder / "photo.png").read_bytes()).decode()
    answer = ask(server, "mix", content=f"data:image/png;base64,{data}", preset_1="waves")
    assert not answer.isError, answer.content
    told = " ".join(part.text for part in answer.content if part.type == "text")
    assert ".png" in told
    assert ".safetensors" in told


def test_a_tool_takes_a_list_of_pictures(server: Any, app_folder: Path) -> None:
    pictures = [_data_url(app_folder / name) for name in ("photo.png", "style.png")]
    answer = ask(server, "collect", pictures=pictures, clusters=2, name="two")
    assert not answer.isError, answer.content
    told = " ".join(part.text for part in answer.content if part.type == "text")
    assert "two_1.style.safetensors" in told
    assert "two_2.style.safetensors" in told
    answer = ask(server, "collect", pictures=[_data_url(b"notes")])
    assert answer.isError
    assert "not a picture" in answer.content[0].text
    answer = ask(server, "collect", pictures=["http://127.0.0.1:9/photo.png"])
    assert "Web addresses are not read here" in answer.content[0].text


def test_a_tool_refuses_with_a_sentence(server: Any) -> None:
    answer = ask(server, "find", text=" ")
    assert answer.isError
    assert "Type a few words" in answer.content[0].text
    answer = ask(server, "stylize", content="http://127.0.0.1:9/photo.png", preset="waves")
    assert answer.isError
    assert "Web addresses are not read here" in answer.content[0].text


def test_it_is_off_by_default(running_app: Any) -> None:
    import httpx

    assert httpx.get(running_app.local_url + "gradio_api/mcp/").status_code == 404


def _pictures(answer: Any) -> list[tuple[int, int]]:
    images = [part for part in answer.content if part.type == "image"]
    return [Image.open(io.BytesIO(base64.b64decode(image.data))).size for image in images]
