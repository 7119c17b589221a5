"""Where a film cuts from one scene to another: nothing of the frame before belongs to the next."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hfstyle.film.errors import load_cv2
from hfstyle.film.flow import Motion

__all__ = ["is_cut", "palette_of"]

_BINS: Final = 8  # of each colour
_NEW_COLORS: Final = 0.5  # share of the pixels that have colours which the frame before had not
_NEW_PLACES: Final = 0.75  # share of places that cannot be found in the frame before
_SOME_NEW: Final = 0.15  # share of new colours, without which a frame is only moved or blurred


def palette_of(rgb: NDArray[np.uint8]) -> NDArray[Any]:
    """rgb (H, W, 3) -> shares (512,) of its pixels in cells of the colour cube, smoothed so that a fade is no cut."""
    cv2 = load_cv2()
    small = cv2.resize(rgb, (64, 64), interpolation=cv2.INTER_AREA)
    found = cv2.calcHist([small], [0, 1, 2], None, [_BINS] * 3, [0, 256] * 3)
    found = found.reshape(_BINS, -1)
    for _ in range(3):  # along each colour in turn
        found = cv2.blur(found.astype(np.float32), (1, 3), borderType=cv2.BORDER_REPLICATE)
        found = np.ascontiguousarray(found.reshape(_BINS, _BINS, _BINS).transpose(1, 2, 0))
        found = found.reshape(_BINS, -1)
    return np.asarray(found.ravel() / max(float(found.sum()), 1e-9))


def is_cut(motion: Motion, before: NDArray[Any], now: NDArray[Any]) -> bool:
    """Whether a scene begins with this frame.

    Args:
        motion: from the frame before.
        before, now: `palette_of` both frames.
    """
    new_colors = 0.5 * float(np.abs(now - before).sum())
    new_places = 1 - float(motion.certain.mean())
    return new_colors > _NEW_COLORS or (new_places > _NEW_PLACES and new_colors > _SOME_NEW)
