"""`hfstyle live`: a camera's pictures painted in a window of OpenCV, where that has windows."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, Unpack

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hfstyle.film.errors import VideoError, load_cv2
from hfstyle.film.live import LivePainter
from hfstyle.images.provenance import put_mark
from hfstyle.images.save import save_image
from hfstyle.limits import DEFAULT_LIVE_SIZE, Numbers
from hfstyle.styles.code import StyleCode

if TYPE_CHECKING:
    from hfstyle.pipeline import StyleTransferPipeline

__all__ = ["Camera", "Window", "check_window", "show_camera"]

_TITLE: Final = "hfstyle live"
_STEP: Final = 0.1  # of the strength, by one key
_PATIENCE: Final = 5.0  # s without a picture of the camera
_INSTALL: Final = (
    "pip uninstall opencv-python-headless, then pip install opencv-python; "
    "the app has a page for cameras, too"
)


def check_window() -> None:
    """VideoError, with what to do, where OpenCV has no windows or there is no screen."""
    cv2 = load_cv2()
    gui = re.search(r"GUI:\s*(\S+)", cv2.getBuildInformation())
    if gui is None or gui[1] == "NONE":
        raise VideoError(
            f"this OpenCV was built without windows; install one that has them: {_INSTALL}"
        )
    if sys.platform == "linux" and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        raise VideoError(
            "there is no screen for a window: neither DISPLAY nor WAYLAND_DISPLAY is set"
        )


class Pictures(Protocol):
    """A camera."""

    def newest(self) -> NDArray[np.uint8] | None: ...


class Screen(Protocol):
    """A window."""

    def show(self, rgb: NDArray[np.uint8], line: str) -> None: ...

    def key(self) -> str: ...


class Camera:
    """A camera whose newest picture is at hand; older ones are forgotten.

    Args:
        number: of the camera, from 0.

    Raises VideoError for a camera that cannot be opened.
    """

    def __init__(self, number: int) -> None:
        cv2 = load_cv2()
        self._number = number
        self._device = cv2.VideoCapture(number)
        if not self._device.isOpened():
            raise VideoError(
                f"camera {number} cannot be opened; is it plugged in, and used by nothing else?"
            )
        self._slot: NDArray[np.uint8] | None = None
        self._ready = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def newest(self) -> NDArray[np.uint8] | None:
        """The picture (H, W, 3) that has come since the last call, waited for; None if none comes."""
        with self._ready:
            self._ready.wait_for(lambda: self._slot is not None or self._stopped, _PATIENCE)
            picture, self._slot = self._slot, None
        return picture

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped = True
        self._thread.join(_PATIENCE)
        self._device.release()

    def _read(self) -> None:
        while not self._stopped:
            good, bgr = self._device.read()
            with self._ready:
                if not good:
                    self._stopped = True
                else:
                    self._slot = np.ascontiguousarray(bgr[..., ::-1])
                self._ready.notify()


class Window:
    """A window of OpenCV."""

    def __init__(self) -> None:
        self._cv2 = load_cv2()
        self._cv2.namedWindow(_TITLE, self._cv2.WINDOW_NORMAL)

    def show(self, rgb: NDArray[np.uint8], line: str) -> None:
        """Show a picture (H, W, 3), and a line of text in it."""
        cv2: Any = self._cv2
        bgr = np.ascontiguousarray(rgb[..., ::-1])
        for color, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(
                bgr, line, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, width, cv2.LINE_AA
            )
        cv2.imshow(_TITLE, bgr)

    def key(self) -> str:
        """The key that was pressed, "" if none was, "q" if the window was closed."""
        code = self._cv2.waitKey(1)
        if self._cv2.getWindowProperty(_TITLE, self._cv2.WND_PROP_VISIBLE) < 1:
            return "q"
        return "" if code < 0 else chr(code & 0xFF)


def show_camera(
    pipe: StyleTransferPipeline,
    codes: Sequence[StyleCode],
    camera: Pictures,
    window: Screen,
    *,
    strength: float = 1.0,
    size: int = DEFAULT_LIVE_SIZE,
    folder: Path = Path(),
    **numbers: Unpack[Numbers],
) -> list[Path]:
    """Paint a camera's pictures in a window until q or Escape; returns the pictures that s saved.

    Keys: + and - change the strength, n takes the next style, s saves a picture into the folder.

    Raises VideoError if the camera gives no pictures.
    """
    painter = LivePainter(pipe, size)
    saved: list[Path] = []
    style = 0
    while True:
        picture = camera.newest()
        if picture is None:
            raise VideoError("the camera gives no more pictures")
        frame = painter.paint(picture, codes[style], strength, **numbers)
        if frame is None:
            continue
        window.show(frame.rgb, f"{codes[style].name}  {strength:.1f}  {frame.rate:.1f}/s")
        key = window.key()
        if key in ("q", "\x1b"):
            return saved
        if key == "n":
            style = (style + 1) % len(codes)
        elif key in "+=" and key:
            strength = min(1.0, round(strength + _STEP, 2))
        elif key == "-":
            strength = max(0.0, round(strength - _STEP, 2))
        elif key == "s":
            target = folder / f"hfstyle-{time.strftime('%Y%m%d-%H%M%S')}-{len(saved) + 1}.png"
            shown = Image.fromarray(frame.rgb)
            put_mark(shown, pipe.mark)
            save_image(shown, target)
            saved.append(target)
