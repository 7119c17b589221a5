"""What the app's server takes from anybody: uploads where files are meant, plain values elsewhere, known routes only."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any, Final

import gradio as gr
from gradio import state_holder
from gradio.exceptions import Error as GradioError
from gradio.route_utils import API_PREFIX
from gradio.utils import get_upload_folder, is_in_or_equal
from gradio_client.utils import is_file_obj_with_meta, is_http_url_like
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse

from hfstyle.studio.backend.refusals import LONGEST_SENTENCE, OUR_FAULT, refusal
from hfstyle.studio.backend.results import is_result
from hfstyle.studio.backend.uploads import NoWebAddresses, described, small_copy

__all__ = ["CLOSED_ROUTES", "SESSIONS", "StudioBlocks", "keep_sessions_small"]

_log = logging.getLogger(__name__)

SESSIONS: Final = 2000
"""Visitors of whom the server remembers what their pages hold; of programs, requests."""


class StudioBlocks(gr.Blocks):
    """`gr.Blocks` whose endpoints take files only where a file is meant, and say what is wrong with other values.

    Gradio itself looks for descriptions of files in every value, whatever its component is, and fetches those at web
    addresses.
    """

    def get_block_name(self) -> str:
        return "blocks"

    def get_api_info(self, *args: Any, **options: Any) -> Any:
        with described(self):
            return super().get_api_info(*args, **options)

    async def process_api(self, block_fn: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Whatever fails, in a handler or before it, is told in a sentence."""
        try:
            return await super().process_api(block_fn, *arguments, **options)
        except GradioError:
            raise
        except Exception as error:
            _log.exception("an event failed")
            raise refusal(OUR_FAULT) from error

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], state: Any, explicit_call: bool = False
    ) -> Any:
        if len(inputs) < len(block_fn.inputs):
            raise refusal(
                f"This endpoint takes {len(block_fn.inputs)} values; {len(inputs)} were given."
            )
        for block, value in zip(block_fn.inputs, inputs, strict=False):
            if not isinstance(block, NoWebAddresses) and any(_descriptions_of_files(value)):
                raise refusal(f"{_named(block)} takes no file.")
        try:
            return await super().preprocess_data(block_fn, inputs, state, explicit_call)
        except GradioError as error:
            if len(error.message) > LONGEST_SENTENCE:  # Gradio repeats what was given
                raise refusal(error.message) from None
            raise
        except Exception as error:
            _log.info("refused a value: %s", error)
            raise refusal(_unfit(error, block_fn, inputs)) from error


def _named(block: Any) -> str:
    label = getattr(block, "label", None)
    return f"“{label}”" if label else f"A {block.get_block_name()}"


def _unfit(error: Exception, block_fn: Any, inputs: list[Any]) -> str:
    """A sentence about a value that a component could not take."""
    found = re.search(r"at index (\d+) ", str(error))
    if found is not None:
        index = int(found[1])
        return f"{_named(block_fn.inputs[index])} cannot be {_shown(inputs[index])}."
    return (
        "A value was given that this endpoint does not take: “Use via API” shows which are texts and numbers, "
        "and which are uploaded files."
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _descriptions_of_files(value: Any) -> Iterator[bool]:
    """One item for each thing in a value that Gradio would take for a file."""
    if isinstance(value, dict):
        if is_file_obj_with_meta(value) or (
            isinstance(value.get("path"), str) and ("meta" in value or "url" in value)
        ):
            yield True
        for item in value.values():
            yield from _descriptions_of_files(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _descriptions_of_files(item)


class _SmallSession(state_holder.SessionState):
    """What the server keeps for a visitor: the values of `gr.State`, without a copy of the whole page.

    Gradio keeps half a megabyte for each session, which every request of a program opens anew, to make links to the
    present state of a page; this app closes the route that makes them.
    """

    def __init__(self, blocks: gr.Blocks) -> None:
        self.blocks_config = blocks.default_config
        self.config_values: dict[int, Any] = {}
        self.state_data: dict[int, Any] = {}
        self._state_ttl: dict[int, Any] = {}
        self.is_closed = False
        self.STATE_TTL_WHEN_CLOSED = 3600
        self._updated: tuple[int, Any] | None = None

    def __setitem__(self, key: int, value: Any) -> None:
        if getattr(self.blocks_config.blocks.get(key), "stateful", False):
            super().__setitem__(key, value)
        else:
            self._updated = key, value

    def __getitem__(self, key: int) -> Any:
        """What a handler's `gr.update` has just made of a component is read once, for the answer to the browser."""
        updated, self._updated = self._updated, None
        if updated is not None and updated[0] == key:
            return updated[1]
        return super().__getitem__(key)

    def _update_config(self, key: int) -> None:
        pass

    def _update_value_in_config(self, key: int, value: Any) -> None:
        pass


def keep_sessions_small() -> None:
    """Keep little for each session in apps that are launched from now on."""
    state_holder.SessionState = _SmallSession  # type: ignore[misc]


_CLOSED: Final = re.compile(
    rf"({API_PREFIX})?/(proxy=|process_recording|deep_link|vibe|undo-vibe|run-history|monitoring|dev/|"
    r"stream/(?![0-9a-f]{32}(/close)?/?$))"  # but for the pictures of a camera
)
_FILE: Final = re.compile(rf"({API_PREFIX})?/file[=/](?P<path>.*)", re.DOTALL)

_LONG_TEXTS: Final = frozenset({"", "/", "/config", f"{API_PREFIX}/info", "/theme.css"})
"""Half a megabyte each, a tenth of that packed, which Gradio does not do."""

_UPLOADS: Final = f"{API_PREFIX}/upload"
_DRAWINGS: Final = f"{API_PREFIX}/component_server"
MOST_BYTES: Final = 6_000_000
"""Of a question; the longest that a page asks has a picture of a camera in it."""
_MOST_DRAWN: Final = 30_000_000

_REDUCED_AT_A_TIME: Final = 2
_SMALL_HEADERS: Final = {"Cache-Control": "private, max-age=3600", "Vary": "Accept"}

_STREAM: Final = "/queue/data"
"""Of what the server tells a page, or a program, about all that it computes for it."""

_Scope = MutableMapping[str, Any]
_App = Callable[[_Scope, Any, Any], Awaitable[None]]


class _Door:
    """Packs long texts, mends what is told of work, and sends pictures that visitors have brought to their pages small. Answers 404 on routes of Gradio that the app does not use and that
    work for whoever asks: they fetch web pages, run ffmpeg on films, or write files that nobody deletes.
    """

    def __init__(self, app: _App) -> None:
        self.app = app
        self._packed = GZipMiddleware(app, compresslevel=6)
        self._reducing = asyncio.Semaphore(_REDUCED_AT_A_TIME)

    async def __call__(self, scope: _Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and _is_closed(scope):
            headers = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": 404, "headers": headers})
            await send({"type": "http.response.body", "body": b"There is nothing here."})
            return
        most = _most_bytes(scope)
        if most is not None:
            receive = _bounded(receive, most)
        shown = _shown_upload(scope)
        if shown is not None:
            async with self._reducing:
                small = await asyncio.to_thread(small_copy, shown)
            if small is not None:
                answer = FileResponse(small, media_type="image/webp", headers=_SMALL_HEADERS)
                await answer(scope, receive, send)
                return
        if scope["type"] == "http" and _path(scope).endswith(_STREAM):
            send = _mended(send)
        pack = scope["type"] == "http" and _path(scope) in _LONG_TEXTS
        await (self._packed if pack else self.app)(scope, receive, send)


def _most_bytes(scope: _Scope) -> int | None:
    """Of a request's body, which is read whole, by the one thread that serves all; None for uploads, which are written to files."""
    if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
        return None
    path = _path(scope).rstrip("/")
    if path == _UPLOADS:
        return None
    return _MOST_DRAWN if path == _DRAWINGS else MOST_BYTES


def _bounded(receive: Any, most: int) -> Any:
    """What is received, up to so many bytes."""
    taken = 0

    async def received() -> Any:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            raise HTTPException(
                413, f"A question of more than {most / 1e6:.0f} MB is not read here."
            )
        return message

    return received


_STEP: Final = re.compile(
    rb'data: \{"msg":"process_generating","event_id":"(?P<event>\w+)","output":\{"data":\[(?P<same>(\[\],?)+\],)?'
)
"""A step of a handler, and whether it changes nothing, as those that `jobs.job` takes ten times a second."""


def _mended(send: Any) -> Any:
    """What the server tells of its work, in two points otherwise than Gradio does.

    What was stopped ends with a result that lacks its data, in which Gradio's own page sees an error. And with every step of a
    handler, also one that changes nothing, the page hides how far the handler is; after the first, these are left out.
    """
    begun = set[bytes]()

    async def sent(message: MutableMapping[str, Any]) -> None:
        body = message.get("body", b"").replace(b'"output":{},', b'"output":{"data":[]},')
        step = _STEP.match(body)
        if step is not None and step["same"] and step["event"] in begun:
            return
        if step is not None:
            begun.add(step["event"])
        await send({**message, "body": body} if body else message)

    return sent


def _shown_upload(scope: _Scope) -> str | None:
    """The path of an upload that a page asks for to show it as a picture: of this a browser accepts pictures first."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    file = _FILE.fullmatch(_path(scope))
    accepted = dict(scope["headers"]).get(b"accept", b"")
    if file is None or not accepted.startswith(b"image/"):
        return None
    path = file["path"]
    is_upload = is_in_or_equal(path, get_upload_folder()) and not is_result(path)
    return path if is_upload else None


def _path(scope: _Scope) -> str:
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def _is_closed(scope: _Scope) -> bool:
    path = _path(scope)
    if _CLOSED.match(path):
        return True
    file = _FILE.match(path)
    return file is not None and is_http_url_like(file["path"].strip())


CLOSED_ROUTES: Final = Middleware(_Door)
"""For `launch(app_kwargs={"middleware": [...]})`."""
