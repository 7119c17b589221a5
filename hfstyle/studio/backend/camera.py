"""A visitor's camera: its pictures come as texts, are painted, and go back as texts; none becomes a file."""

from __future__ import annotations

import base64
import binascii
import io
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import gradio as gr
import numpy as np
from gradio.data_classes import ImageData
from numpy.typing import NDArray
from PIL import Image

from hfstyle import StyleCode
from hfstyle.film.live import LiveFrame, LivePainter
from hfstyle.images.provenance import Mark, packet
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.refusals import refusal
from hfstyle.studio.backend.settings import Settings
from hfstyle.studio.backend.uploads import NoWebAddresses, no_stub_files

__all__ = ["CameraPictures", "LiveStudio", "PaintedPictures"]

MAX_PICTURE_LETTERS: Final = 3_000_000
"""Of a picture in base64."""
MAX_PICTURE_PIXELS: Final = 2_500_000
_FORGOTTEN: Final = 60.0  # s after its last picture that nothing of a camera is kept
_QUALITY: Final = 88  # of JPEG, on its way to the browser
_KINDS: Final = ("JPEG", "PNG", "WEBP")


def picture_of(url: str | None) -> NDArray[np.uint8]:
    """(H, W, 3) of a `data:` URL, as browsers send a camera's pictures.

    Raises:
        gr.Error: anything else, or too large.
    """
    head, comma, body = (url or "").partition(",")
    if not comma or not head.startswith("data:image/") or not head.endswith(";base64"):
        raise refusal("This takes the pictures of a camera, and nothing else.")
    if len(body) > MAX_PICTURE_LETTERS:
        raise refusal(
            f"The camera's picture has {len(body) * 3 / 4e6:.1f} MB; the limit is {MAX_PICTURE_LETTERS * 3 / 4e6:.1f} MB."
        )
    image = _unless_damaged(
        lambda: Image.open(io.BytesIO(base64.b64decode(body, validate=True)), formats=_KINDS)
    )
    width, height = image.size
    if width * height > MAX_PICTURE_PIXELS or min(width, height) < 16:
        raise refusal(
            f"The camera's picture has {width} x {height} px; give sides from 16 px and at most "
            f"{MAX_PICTURE_PIXELS / 1e6:g} megapixels."
        )
    return _unless_damaged(lambda: np.asarray(image.convert("RGB")))


T = TypeVar("T")


def _unless_damaged(read: Callable[[], T]) -> T:
    try:
        return read()
    except (OSError, ValueError, SyntaxError, binascii.Error, Image.DecompressionBombError):
        raise refusal("A picture of the camera is damaged.") from None


with no_stub_files():

    class CameraPictures(NoWebAddresses, gr.Image):
        """`gr.Image` of a camera; its handler gets (H, W, 3), and never a file."""

        def get_block_name(self) -> str:
            return "image"

        get_block_class = get_block_name

        def preprocess(self, payload: ImageData | None) -> Any:
            return None if payload is None else picture_of(payload.url)

    class PaintedPictures(gr.Image):
        """`gr.Image` that shows (H, W, 3) without writing a file.

        mark: what painted it, which a picture says that is saved.
        """

        mark: Mark | None = None

        def get_block_name(self) -> str:
            return "image"

        get_block_class = get_block_name

        def postprocess(self, value: Any) -> ImageData | None:
            if value is None:
                return None
            stream = io.BytesIO()
            told = {} if self.mark is None else {"xmp": packet(self.mark)}
            Image.fromarray(value).save(stream, "JPEG", quality=_QUALITY, **told)
            text = base64.b64encode(stream.getvalue()).decode("ascii")
            return ImageData(url=f"data:image/jpeg;base64,{text}")


class LiveStudio:
    """Paints the camera of one visitor at a time, remembering its last pictures, and nothing of a visitor before.

    Args:
        studio: whose model paints.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._lock = threading.Lock()
        self._whose: tuple[str, int] | None = None
        self._painter: LivePainter | None = None
        self._last = 0.0

    def paint(
        self,
        visitor: str,
        rgb: NDArray[np.uint8],
        code: StyleCode,
        settings: Settings,
        size: int,
    ) -> LiveFrame | None:
        """A picture of a visitor's camera, painted; None if a newer one has come meanwhile.

        Args:
            visitor: the session.
            rgb: (H, W, 3).
            code: its style.
            settings: strength, colour and faces.
            size: short side in px at which it is painted.
        """
        with self._lock:
            if self._painter is None or self._whose != (visitor, size):
                self._whose, self._painter = (visitor, size), LivePainter(self._studio.pipe, size)
            painter, self._last = self._painter, time.monotonic()
        with self._studio.turn():
            return painter.paint(rgb, code, settings.strength, **settings.numbers())

    def forget(self, visitor: str) -> None:
        """Keep nothing of a visitor who has left."""
        with self._lock:
            if self._whose is not None and self._whose[0] == visitor:
                self._whose = self._painter = None

    def forget_idle(self) -> None:
        """Keep nothing of a camera that has stopped."""
        with self._lock:
            if time.monotonic() - self._last > _FORGOTTEN:
                self._whose = self._painter = None
