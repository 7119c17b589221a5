"""A camera's pictures, painted as they come: those that come too late are left out, never queued."""

from __future__ import annotations

import threading
import time as clock
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Unpack

import numpy as np
from numpy.typing import NDArray

from hfstyle.film.errors import VideoError, load_cv2
from hfstyle.film.steady import Layers, SteadyPainter
from hfstyle.limits import DEFAULT_LIVE_SIZE, Numbers, all_numbers, as_share, check_live_size
from hfstyle.styles.code import StyleCode

if TYPE_CHECKING:
    from hfstyle.pipeline import StyleTransferPipeline

__all__ = ["LiveFrame", "LivePainter"]

_AVERAGED: Final = 0.1  # weight of the last frame in the rate


@dataclass(frozen=True)
class LiveFrame:
    """A painted picture of a camera.

    rgb: (h, w, 3) uint8, with the short side that was asked for, or the camera's if that is less.
    rate: painted frames per second, of late.
    painted, dropped: how many were painted, and how many came while others were.
    """

    rgb: NDArray[np.uint8]
    rate: float
    painted: int
    dropped: int


class LivePainter:
    """Paints one camera's pictures, remembering those before; safe to call from several threads.

    Args:
        pipe: paints.
        size: short side in px, 64 to 2160, at which pictures are painted.
        layers: what keeps frames alike.

    Example:
        >>> live = LivePainter(pipe, size=384)
        >>> frame = live.paint(rgb, pipe.preset("great_wave_hokusai"), strength=0.8)
        >>> if frame is not None: show(frame.rgb, frame.rate)
    """

    def __init__(
        self,
        pipe: StyleTransferPipeline,
        size: int = DEFAULT_LIVE_SIZE,
        *,
        layers: Layers | None = None,
    ) -> None:
        self._pipe = pipe
        self.size = check_live_size(size)
        self._painter = SteadyPainter(pipe, layers=layers, quick=True)
        self._lock = threading.Lock()
        self._tickets = threading.Lock()
        self._newest = 0
        self._painted = self._dropped = 0
        self._rate = 0.0
        self._last: float | None = None

    def paint(
        self,
        rgb: NDArray[np.uint8],
        code: StyleCode,
        strength: float = 1.0,
        *,
        time: float | None = None,
        **numbers: Unpack[Numbers],
    ) -> LiveFrame | None:
        """The picture painted, or None if a newer one has come while this one waited for its turn.

        Style and numbers may be others each time.

        Args:
            rgb: (H, W, 3) uint8, from 16 px.
            code: of the pipeline's encoder.
            strength, numbers (color, faces, outlines): in [0, 1].
            time: in seconds, when it was taken; None is now.

        Raises:
            VideoError: not such a picture.
            ValueError: a number out of range.
        """
        strength, full = as_share("strength", strength), all_numbers(numbers)
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or min(rgb.shape[:2]) < 16:
            raise VideoError(
                f"a camera's picture is {rgb.dtype} {rgb.shape}; give uint8 (H, W, 3), from 16 px"
            )
        taken = clock.monotonic() if time is None else time
        with self._tickets:
            self._newest += 1
            ticket = self._newest
        with self._lock:
            if ticket != self._newest:
                self._dropped += 1
                return None
            small = self._small(rgb)
            painted = self._painter.paint(small, taken, code, strength, **full)
            self._painted += 1
            self._tell_rate(clock.monotonic())
            return LiveFrame(painted, self._rate, self._painted, self._dropped)

    def forget(self) -> None:
        """Stop: the next picture is painted as if it were the first."""
        with self._lock:
            self._painter.forget()
            self._last, self._rate = None, 0.0

    def _small(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = rgb.shape[:2]
        if min(height, width) <= self.size:
            return np.ascontiguousarray(rgb)
        scale = self.size / min(height, width)
        size = round(width * scale), round(height * scale)
        cv2 = load_cv2()
        return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))

    def _tell_rate(self, now: float) -> None:
        if self._last is not None and now > self._last:
            rate = 1 / (now - self._last)
            self._rate = rate if not self._rate else self._rate + _AVERAGED * (rate - self._rate)
        self._last = now
