"""What the web demo's server takes from anybody: files only where files are meant, known routes only, little for each request."""

from __future__ import annotations

import importlib
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from app_server import refusal, upload, values_of

pytest.importorskip("gradio")
httpx = pytest.importorskip("httpx")

from hfstyle.studio import internals, server  # noqa: E402
from hfstyle.studio.backend.wishes import Wishes  # noqa: E402

# What each endpoint is given; "photo" is an upload.
VALUES: dict[str, dict[str, Any]] = {
    "stylize": {"content": "photo", "preset": "waves"},
    "find": {"text": "painter"},
    "encode": {"style": "photo"},
    "sample": {"content": "photo"},
    "compare": {"content": "photo", "presets": ["waves"]},
    "mix": {"content": "photo", "preset_1": "waves", "preset_2": "night"},
    "explain": {"content": "photo", "preset": "waves"},
}


def asked(app_client: Any, endpoint: str, data: list[Any]) -> str:
    """All that an endpoint answers."""
    url = f"{app_client.src}gradio_api/call/{endpoint}"
    response = httpx.post(url, json={"data": data})
    assert response.status_code == 200, response.text
    return httpx.get(f"{url}/{response.json()['event_id']}", timeout=60).text


def said(answer: str) -> str:
    """The sentence in an answer that is an error."""
    assert "event: error" in answer, answer
    told = json.loads(answer.rpartition("data: ")[2])
    return str(told["error"])


def all_values(app_client: Any, endpoint: str, photo: dict[str, Any]) -> list[Any]:
    """As an endpoint takes them."""
    given = {name: photo if v == "photo" else v for name, v in VALUES[endpoint].items()}
    return values_of(app_client, endpoint, **given)


@pytest.fixture
def photo(app_client: Any, app_folder: Path) -> dict[str, Any]:
    with open(app_folder / "photo.png", "rb") as file:
        (path,) = httpx.post(app_client.src + "gradio_api/upload", files={"files": file}).json()
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that Gradio would fetch."""
    from gradio import processing_utils

    addresses: list[str] = []

    async def fetch(url: str, *_: Any, **__: Any) -> str:
        addresses.append(url)
        raise ValueError("not in a test")

    monkeypatch.setattr(processing_utils, "async_ssrf_protected_download", fetch)
    return addresses


@pytest.mark.parametrize("endpoint", VALUES)
def test_no_parameter_makes_the_server_fetch_an_address(
    app_client: Any, photo: dict[str, Any], fetched: list[str], endpoint: str
) -> None:
    hidden = {"path": "http://example.com/x.png", "meta": {"_type": "gradio.FileData"}}
    right = all_values(app_client, endpoint, photo)
    for place in range(len(right)):
        for given in (hidden, [hidden], {"a": [hidden]}, {**hidden, "is_stream": True}):
            data = [*right[:place], given, *right[place + 1 :]]
            answer = said(asked(app_client, endpoint, data))
            assert len(answer) > 10
            assert "were given" not in answer  # refused for what it is
    assert fetched == []


def test_files_are_refused_where_none_are_meant(app_client: Any, photo: dict[str, Any]) -> None:
    """Even uploads: a description of a file in a text is no text."""
    data = values_of(app_client, "stylize", content=photo, preset=photo)
    assert "takes no file" in said(asked(app_client, "stylize", data))
    data = values_of(app_client, "stylize", content=photo, preset="waves")
    assert "complete" in asked(app_client, "stylize", data)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("content", {"path": 5}, "uploaded"),
        ("preset", 3, "list of choices"),
        ("strength", "strong", "“Strength” cannot be 'strong'"),
        ("resolution", "x" * 9000, "..."),
    ],
)
def test_values_of_a_wrong_type_get_a_sentence(
    app_client: Any, photo: dict[str, Any], name: str, value: Any, words: str
) -> None:
    given = {"content": photo, "preset": "waves"} | {name: value}
    sentence = said(asked(app_client, "stylize", values_of(app_client, "stylize", **given)))
    assert words in sentence
    assert len(sentence) < 300
    assert "Error" not in sentence


def test_too_few_values_get_a_sentence(app_client: Any, photo: dict[str, Any]) -> None:
    count = len(values_of(app_client, "stylize"))
    assert f"{count} values; 1 were given" in said(asked(app_client, "stylize", [photo]))


def test_nothing_passes_by_the_queue(app_client: Any, photo: dict[str, Any]) -> None:
    for endpoint in VALUES:
        data = all_values(app_client, endpoint, photo)
        index = {"data": data, "fn_index": _index(app_client, endpoint)}
        for route in ("run", "api"):
            for name, body in ((endpoint, {"data": data}), ("predict", index)):
                answer = httpx.post(f"{app_client.src}gradio_api/{route}/{name}", json=body)
                assert answer.status_code == 404, (endpoint, route)


def _index(app_client: Any, endpoint: str) -> int:
    dependencies = httpx.get(app_client.src + "config").json()["dependencies"]
    return next(d["id"] for d in dependencies if d["api_name"] == endpoint)


def test_routes_that_the_pages_do_not_use_are_closed(app_client: Any) -> None:
    for line in (
        "GET gradio_api/file=http://example.com/x.png",
        "GET gradio_api/file=https://example.com/x.png",
        "GET gradio_api/file/http://example.com/x.png",
        "GET gradio_api/proxy=http://example.com/x.png",
        "POST gradio_api/process_recording",
        "GET gradio_api/deep_link?session_hash=x",
        "POST gradio_api/vibe-edit",
        "GET gradio_api/run-history/buckets",
        "GET monitoring",
        "GET gradio_api/stream/x/y/3/playlist.m3u8",
    ):
        method, route = line.split()
        assert httpx.request(method, app_client.src + route).status_code == 404, line


def test_a_session_costs_little(running_app: Any, app_client: Any, photo: dict[str, Any]) -> None:
    """Each request of a program is a session of its own, and the server remembers thousands."""
    asked(app_client, "find", ["painter", 2])
    holder = running_app.app.state_holder
    assert holder.capacity <= 2000
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(20):
            _ = holder[f"a session of a test {number}"]
        each = (tracemalloc.get_traced_memory()[0] - before) / 20
    finally:
        tracemalloc.stop()
    assert each < 20_000  # bytes; 485,000 with Gradio's own


def test_another_gradio_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    internals.check_gradio()
    utils = importlib.import_module("gradio.utils")
    monkeypatch.delattr(utils, "is_in_or_equal")
    with pytest.raises(internals.GradioChanged, match=r"is_in_or_equal.*6\.31.*pip install"):
        internals.check_gradio()


def test_a_parameter_of_gradio_that_moved_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = importlib.import_module("gradio.blocks")
    monkeypatch.setattr(blocks.Blocks, "preprocess_data", lambda self, fn, inputs: None)
    with pytest.raises(internals.GradioChanged, match="explicit_call"):
        internals.check_gradio()


def test_uploads_are_still_read(app_client: Any, app_folder: Path) -> None:
    path = app_client.predict(upload(app_folder / "photo.png"), preset="waves", api_name="/stylize")
    assert Path(path).is_file()


@pytest.mark.parametrize("endpoint", ["stylize", "encode", "compare", "video"])
def test_the_snippets_of_use_via_api_run_as_pasted(app_client: Any, endpoint: str) -> None:
    pytest.importorskip("skimage")
    import gradio_client

    info = httpx.get(app_client.src + "gradio_api/info").json()["named_endpoints"][f"/{endpoint}"]
    given: dict[str, Any] = {}
    for parameter in info["parameters"]:
        example = parameter["example_input"]
        if parameter["parameter_has_default"]:
            example = parameter["parameter_default"]
        else:
            files = example if isinstance(example, list) else [example]
            assert [f["path"][: len(app_client.src)] for f in files] == [app_client.src] * len(
                files
            )
            assert httpx.get(files[0]["path"]).status_code == 200
            loaded = [gradio_client.handle_file(file["path"]) for file in files]
            example = loaded if isinstance(example, list) else loaded[0]
        given[parameter["parameter_name"]] = example
    if endpoint in ("stylize", "compare", "video"):
        given["presets" if endpoint == "compare" else "preset"] = (
            ["waves"] if endpoint == "compare" else "waves"
        )
    assert app_client.predict(**given, api_name=f"/{endpoint}")


def test_examples_have_the_apps_address_whatever_was_updated(
    running_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event that updates a component puts another one in its place, which has no parents."""
    monkeypatch.setattr(running_app, "local_url", "http://127.0.0.1:9/")
    before = dict(running_app.blocks)
    try:
        for number, block in before.items():
            if hasattr(block, "example_file"):
                running_app.blocks[number] = type(block)(label=block.label, render=False)
        info = running_app.get_api_info()["named_endpoints"]["/stylize"]
    finally:
        running_app.blocks.update(before)
    example = info["parameters"][0]["example_input"]
    assert example["path"].startswith("http://127.0.0.1:9/")


def test_results_have_names(app_client: Any) -> None:
    api = app_client.view_api(return_format="dict")["named_endpoints"]
    for name, endpoint in api.items():
        labels = [result["label"] for result in endpoint["returns"]]
        assert not [label for label in labels if label.startswith("value_")], name


def test_descriptions_are_whole(running_app: Any) -> None:
    from gradio.utils import get_function_description

    fns = {fn.api_name: fn.fn for fn in running_app.fns.values() if fn.api_name}
    _, parameters, _ = get_function_description(fns["regions"])
    assert parameters["where_red"].endswith("which is the rest.")
    assert parameters["mask"].endswith("replace those of the drawing.")


class TestPayloads:
    """What is said to requests that no page and no honest program sends."""

    def test_a_question_of_very_many_bytes_is_not_read(
        self, running_app: Any, app_client: Any
    ) -> None:
        """It took 20 s, in which nobody was served, and a gigabyte."""
        most = server.MOST_BYTES
        long = json.dumps({"data": ["x" * most], "fn_index": 0, "session_hash": "long"}).encode()
        for route in ("queue/join", "run/predict", "call/stylize", "reset"):
            url = f"{app_client.src}gradio_api/{route}"
            for content in (long, iter([long[:1000], long[1000:]])):  # of told length or not
                answer = httpx.post(
                    url, content=content, headers={"content-type": "application/json"}, timeout=60
                )
                assert answer.status_code == 413, route
                assert "6 MB" in answer.text

    def test_wishes_of_any_size_and_kind_take_little_memory(self, running_app: Any) -> None:
        wishes = Wishes()
        long = "x" * 1_000_000
        tracemalloc.start()
        for index in range(40):
            request: Any = type("Request", (), {"session_hash": str(index)})
            for tell in (wishes.told(), wishes.asked):
                tell(request, long + str(index), {"path": [long]}, [long], {}, 1.0)
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert kept < 2_000_000

    def test_whatever_fails_is_told_in_a_sentence(self, running_app: Any, app_client: Any) -> None:
        """Also where no handler of ours is: a choice of a gallery that sends no choice, a time that is no number."""
        failed = 0
        for number, fn in running_app.fns.items():
            if fn.fn is None or fn.queue:
                continue
            for data, event in (
                ([{}] * len(fn.inputs), None),
                ([None] * len(fn.inputs), {"index": -5}),
                (["x"] * len(fn.inputs), "x"),
            ):
                answer = httpx.post(
                    f"{app_client.src}gradio_api/run/predict",
                    json={
                        "data": data,
                        "fn_index": number,
                        "session_hash": "q",
                        "event_data": event,
                    },
                    timeout=60,
                )
                if answer.status_code != 200:
                    failed += 1
                    sentence = answer.json()["error"]
                    assert len(sentence) > 10, fn.name
                    assert "Traceback" not in sentence
                    assert 'File "' not in sentence
        assert failed > 20


def test_a_page_gives_no_advice_for_programs(app_client: Any, app_folder: Path) -> None:
    photo = upload(app_folder / "photo.png")
    told = refusal(app_client, film=photo, preset="waves", api_name="/video")
    assert told.startswith("photo.png is not a film")
    assert "it is a picture" in told
    assert "`" not in told
