"""How long a full-size picture will take: told before it is begun, learned from those before it."""

from __future__ import annotations

import threading
from typing import Final

__all__ = ["Expected"]

_BEGIN: Final = 1.0  # seconds, whatever the size: the network paints the reduced photo
_PER_MEGAPIXEL: Final = 1.2  # seconds on two cores, until this machine has shown its own
_NEW: Final = 0.3  # share of the newest picture in what was learned


class Expected:
    """Seconds by megapixels, of this machine in the last pictures.

    Args:
        per_megapixel: until there has been one.
    """

    def __init__(self, per_megapixel: float = _PER_MEGAPIXEL) -> None:
        self._per_megapixel = per_megapixel
        self._lock = threading.Lock()

    def took(self, pixels: int, seconds: float) -> None:
        """Learn from a picture."""
        rate = max(0.0, seconds - _BEGIN) / max(0.1, pixels / 1e6)
        with self._lock:
            self._per_megapixel += _NEW * (rate - self._per_megapixel)

    def seconds(self, pixels: int) -> float:
        """For a picture of so many pixels."""
        return _BEGIN + self._per_megapixel * pixels / 1e6
