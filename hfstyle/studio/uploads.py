"""What comes in: files that were uploaded here, within limits that are checked before anything is decoded."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import gradio as gr
from gradio import component_meta
from gradio.route_utils import API_PREFIX
from gradio.utils import get_upload_folder, is_in_or_equal
from gradio_client.utils import is_http_url_like
from PIL import Image

from hfstyle.images import Picture, load_image
from hfstyle.studio.refusals import display_name, refusal

MAX_UPLOAD_BYTES: Final = 25_000_000
"""Of one file, checked while it arrives and again before it is opened."""
MAX_UPLOAD_PIXELS: Final = 40_000_000
"""Of one picture, checked from its header; a full-size painting of that many needs about 3 GB."""
MAX_STYLE_FILE_BYTES: Final = 1_000_000
MAX_PICTURES: Final = 24
"""Of a collection."""

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


class _FromUpload(NoWebAddresses):
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

    class PhotoUpload(_FromUpload, gr.Image):
        """`gr.Image` whose handler gets a path."""

        def get_block_name(self) -> str:
            return "image"

        get_block_class = get_block_name

    class StyleUpload(_FromUpload, gr.File):
        """`gr.File` for style codes."""

        most_bytes = MAX_STYLE_FILE_BYTES

        def get_block_name(self) -> str:
            return "file"

        get_block_class = get_block_name

    class PicturesUpload(_FromUpload, gr.File):
        """`gr.File` for several pictures; its handler gets a list of paths."""

        described = f"a list of at most {MAX_PICTURES} uploaded files; gradio_client's handle_file(path) uploads"

        def get_block_name(self) -> str:
            return "file"

        get_block_class = get_block_name

        def preprocess(self, payload: Any) -> list[str]:
            files = [] if payload is None else list(payload)
            if len(files) > MAX_PICTURES:
                raise refusal(f"{len(files)} pictures; the limit is {MAX_PICTURES}.")
            return [checked_upload(file, self.most_bytes) for file in files]

        def api_info(self) -> dict[str, Any]:
            """With the items' definition in its place: references are lost on the way to the Model Context Protocol."""
            info = super().api_info()
            name = info["items"]["$ref"].rpartition("/")[2]
            return {**info, "items": info["$defs"][name]}


def open_picture(path: str, what: str, *, keep_alpha: bool = False) -> Picture:
    """An uploaded picture, decoded, if its header announces a size that may be decoded; of 8 bits it stays uint8.

    Args:
        path: of the upload.
        what: what to call it.
        keep_alpha: leave transparency beside the colours instead of laying them over white.

    Raises:
        gr.Error: more than `MAX_UPLOAD_PIXELS`.
        ImageError: not a usable picture.
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
    return load_image(
        path,
        keep_alpha=keep_alpha,
        max_pixels=MAX_UPLOAD_PIXELS,
        name=f"the {name}",
        compact=True,
    )
