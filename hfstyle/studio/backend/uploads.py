"""What comes in: files that were uploaded here, within limits that are checked before anything is decoded."""

from __future__ import annotations

import functools
import io
import math
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import quote, unquote

import gradio as gr
from gradio import component_meta
from gradio.route_utils import API_PREFIX
from gradio.utils import get_upload_folder, is_in_or_equal
from gradio_client import handle_file
from gradio_client.utils import is_http_url_like
from PIL import Image, ImageFile, ImageOps

from hfstyle.examples import example_photo
from hfstyle.images import Picture, load_image
from hfstyle.studio.backend.jobs import job, mark, taken
from hfstyle.studio.backend.memory import Memory
from hfstyle.studio.backend.photos import with_long_side
from hfstyle.studio.backend.refusals import display_name, refusal
from hfstyle.studio.backend.results import write_webp

MAX_UPLOAD_BYTES: Final = 25_000_000
"""Of one file, checked while it arrives and again before it is opened."""
MAX_UPLOAD_PIXELS: Final = 40_000_000
"""Of one picture, checked from its header; a full-size painting of that many needs about 3 GB."""
MAX_ASPECT: Final = 30
"""Long side over short side of a picture, from its header: the network paints at least 64 pixels of the short one."""
MAX_STYLE_FILE_BYTES: Final = 1_000_000
MAX_PICTURES: Final = 24
"""Of a collection."""

_DECODERS: Final = 2  # pictures that are decoded at a time, of all visitors
_READ_BYTES: Final = 8192  # of a JPEG between two looks at whether anybody waits
_decoding = threading.Semaphore(_DECODERS)

_SHOWN_SIDE: Final = 640
"""Long side in pixels at which a page shows what a visitor has brought, in a box of a few centimetres."""
_SHOWN_QUALITY: Final = 80
_SHOWN_FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF")
_SMALL_BYTES: Final = 200_000
_SMALL_PIXELS: Final = 2_000_000
_REDUCING_SECONDS: Final = 10.0
_MOST_SMALL: Final = 2000  # of which is known whether there is a small copy

_EXAMPLE: Final = "coffee"

_SHOWN_AT: Final = f"{API_PREFIX}/file="


class NoWebAddresses:
    """Keeps a component from fetching web addresses for a client, as Gradio would.

    The address under which this app shows an upload, which is what clients of the Model Context Protocol give, stands
    for its path.
    """

    async def async_move_resource_to_block_cache(
        self, url_or_file_path: str | Path | None
    ) -> str | None:
        if url_or_file_path is not None and is_http_url_like(str(url_or_file_path)):
            path = unquote(str(url_or_file_path).partition(_SHOWN_AT)[2])
            if not path or not is_in_or_equal(path, get_upload_folder()):
                raise refusal("Web addresses are not read here; save the file and upload it.")
            url_or_file_path = path
        moved: str | None = await super().async_move_resource_to_block_cache(  # type: ignore[misc]
            url_or_file_path
        )
        return moved


class FromUpload(NoWebAddresses):
    """Makes a component accept files that were uploaded to this app, and nothing else.

    Gradio opens pictures before the handler can refuse them. Here the handler gets the path of the uploaded file,
    unopened.
    """

    most_bytes = MAX_UPLOAD_BYTES
    described = "an uploaded file; gradio_client's handle_file(path) uploads"

    def preprocess(self, payload: Any) -> Any:
        return None if payload is None else checked_upload(payload, self.most_bytes)

    def api_info(self) -> dict[str, Any]:
        info: dict[str, Any] = super().api_info()  # type: ignore[misc]
        return {**info, "description": self.described}

    def example_payload(self) -> Any:
        """For "Use via API": a photo of this app at its address here, which is not fetched but read from its file."""
        path = self.example_file(get_upload_folder())
        if path is None:
            return None
        self.keep_in_cache.add(path)  # type: ignore[attr-defined]
        return handle_file(f"{_address()}{_SHOWN_AT.removeprefix('/')}{quote(path)}")

    def example_file(self, folder: str) -> str | None:
        """What `example_payload` shows, a file in the app's folder; None for nothing."""
        return _example_upload(folder)

    def example_value(self) -> Any:
        return None


@functools.cache
def _example_upload(folder: str) -> str | None:
    """An example photo in the app's folder, None without the package that has them."""
    try:
        return write_webp(example_photo(_EXAMPLE), _EXAMPLE, keep=True)
    except (ModuleNotFoundError, FileNotFoundError):
        return None


_described: ContextVar[gr.Blocks | None] = ContextVar("_described", default=None)


@contextmanager
def described(demo: gr.Blocks) -> Iterator[None]:
    """Within it, photos for "Use via API" are shown at the address of this app.

    A component knows its app by its parents, but Gradio puts one without parents in its place when an event updates it.
    """
    token = _described.set(demo)
    try:
        yield
    finally:
        _described.reset(token)


def _address() -> str:
    """Where the app that is being described is reached from outside."""
    if host := os.environ.get("SPACE_HOST"):
        return f"https://{host}/"
    return str(getattr(_described.get(), "local_url", None) or "http://127.0.0.1:7860/")


def checked_upload(payload: Any, most_bytes: int) -> str:
    """The path of a file that was uploaded here.

    Raises:
        gr.Error: another file, a deleted one, or one of more than `most_bytes`.
    """
    path = getattr(payload, "path", None)
    if not path or not is_in_or_equal(path, get_upload_folder()):
        raise refusal("That file was not uploaded here; upload it first.")
    if not os.path.isfile(path):
        raise refusal("The uploaded file has been deleted since; please upload it again.")
    size = os.path.getsize(path)
    if size > most_bytes:
        raise refusal(
            f"{display_name(path)} has {size / 1e6:.1f} MB; the limit is {most_bytes / 1e6:.0f} MB."
        )
    return str(path)


def still_here(path: Any, most_bytes: int) -> str | None:
    """The path of an upload that a browser's tab has noted; None if it was deleted since, or never uploaded here."""
    try:
        return checked_upload(SimpleNamespace(path=path), most_bytes)
    except (gr.Error, TypeError, ValueError):
        return None


@contextmanager
def no_stub_files() -> Iterator[None]:
    """Keeps Gradio from writing a .pyi file of the components that are defined meanwhile beside their source."""
    write = component_meta.create_or_modify_pyi
    component_meta.create_or_modify_pyi = lambda *_: None
    try:
        yield
    finally:
        component_meta.create_or_modify_pyi = write


with no_stub_files():

    class PhotoUpload(FromUpload, gr.Image):
        """`gr.Image` whose handler gets a path."""

        def get_config(self, cls: Any = None) -> dict[str, Any]:
            """Its camera is not mirrored, as Gradio's are: what is taken is what stands before it."""
            config: dict[str, Any] = super().get_config(cls)
            return {**config, "webcam_options": gr.WebcamOptions(mirror=False)}

        def get_block_name(self) -> str:
            return "image"

        get_block_class = get_block_name

    class StyleUpload(FromUpload, gr.File):
        """`gr.File` for style codes."""

        most_bytes = MAX_STYLE_FILE_BYTES

        def get_block_name(self) -> str:
            return "file"

        get_block_class = get_block_name

    class PicturesUpload(FromUpload, gr.File):
        """`gr.File` for several pictures; its handler gets a list of paths."""

        most_pictures = MAX_PICTURES

        @property
        def described(self) -> str:  # type: ignore[override]
            return f"a list of at most {self.most_pictures} uploaded files; gradio_client's handle_file(path) uploads"

        def get_block_name(self) -> str:
            return "file"

        get_block_class = get_block_name

        def example_payload(self) -> Any:
            file = super().example_payload()
            return None if file is None else [file]

        def preprocess(self, payload: Any) -> list[str]:
            files = [] if payload is None else list(payload)
            if len(files) > self.most_pictures:
                raise refusal(f"{len(files)} pictures; the limit is {self.most_pictures}.")
            return [checked_upload(file, self.most_bytes) for file in files]

        def api_info(self) -> dict[str, Any]:
            """With the items' definition in its place: references are lost on the way to the Model Context Protocol."""
            info = super().api_info()
            name = info["items"]["$ref"].rpartition("/")[2]
            return {**info, "items": info["$defs"][name]}


class _WatchedFile(io.FileIO):
    """A file that is read as long as somebody waits for the picture in it.

    JPEGs are read in small pieces: a few bytes of one can ask for another pass over all of its pixels.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._is_jpeg = super().read(2) == b"\xff\xd8"
        self.seek(0)

    def read(self, size: int | None = -1, /) -> bytes:
        mark()
        if self._is_jpeg and size is not None and size >= ImageFile.MAXBLOCK:
            size = _READ_BYTES
        return super().read(-1 if size is None else size) or b""


_small = Memory(_MOST_SMALL)
"""Path of an upload -> (its copy or None,)."""


def small_copy(path: str) -> str | None:
    """A small copy of an uploaded picture, in a format that browsers show: the page shows no more of it.

    None where the upload itself may be sent: it is small, or it cannot be read, which its painting says.
    """
    known: tuple[str | None] | None = _small.get(path)
    if known is not None and (known[0] is None or os.path.isfile(known[0])):
        return known[0]
    try:
        steps = job(partial(_reduced, path), None, seconds=_REDUCING_SECONDS)
        while True:
            next(steps)
    except StopIteration as end:
        made: str | None = end.value
    except Exception:  # whatever is wrong with it
        made = None
    _small.put(path, (made,), 1)
    return made


def _reduced(path: str) -> str | None:
    name = Path(path).stem
    with warnings.catch_warnings(), _WatchedFile(path) as file:
        warnings.simplefilter("ignore")
        with Image.open(file) as image:
            pixels = math.prod(image.size)
            small = pixels <= _SMALL_PIXELS and os.path.getsize(path) <= _SMALL_BYTES
            if pixels > MAX_UPLOAD_PIXELS or (small and image.format in _SHOWN_FORMATS):
                return None
            if image.format == "JPEG" and image.mode == "RGB":
                image.draft("RGB", (_SHOWN_SIDE, _SHOWN_SIDE))  # decodes an eighth of it
                image.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
                upright = ImageOps.exif_transpose(image)
                profile = image.info.get("icc_profile")
                return write_webp(upright, name, quality=_SHOWN_QUALITY, profile=profile)
    shown = with_long_side(open_picture(path, "picture").rgb, _SHOWN_SIDE)
    return write_webp(shown, name, quality=_SHOWN_QUALITY)


def open_picture(path: str, what: str, *, keep_alpha: bool = False) -> Picture:
    """An uploaded picture, decoded, if its header announces a size that may be decoded; of 8 bits it stays uint8.

    Args:
        path: of the upload.
        what: what to call it.
        keep_alpha: leave transparency beside the colours instead of laying them over white.

    Raises:
        gr.Error: more than `MAX_UPLOAD_PIXELS`, or sides further apart than `MAX_ASPECT`.
        ImageError: not a usable picture.
        Stopped: in a job that nobody waits for any more.
    """
    name = f"{what} {display_name(path)}"
    size: tuple[int, int] | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path) as header:
                size = header.size
        except Image.DecompressionBombError:
            raise refusal(f"The {name} is far too large to be opened.") from None
        except Exception:  # `load_image` says what is wrong with it
            size = None
    if size is not None and math.prod(size) > MAX_UPLOAD_PIXELS:
        raise refusal(
            f"The {name} is {size[0]} x {size[1]} px ({math.prod(size) / 1e6:.0f} megapixels); the limit is "
            f"{MAX_UPLOAD_PIXELS / 1e6:.0f} megapixels. Please make it smaller."
        )
    if size is not None and max(size) > MAX_ASPECT * max(1, min(size)):
        raise refusal(
            f"The {name} is {size[0]} x {size[1]} px, which is too long and narrow; the long side may be {MAX_ASPECT} "
            "times the short one. Please crop it."
        )
    with taken(_decoding), _WatchedFile(path) as file:
        return load_image(
            file,
            keep_alpha=keep_alpha,
            max_pixels=MAX_UPLOAD_PIXELS,
            name=f"the {name}",
            compact=True,
        )
