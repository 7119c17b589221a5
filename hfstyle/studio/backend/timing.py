"""How long work will take: told before it is begun, learned from what this machine has done before."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Final

__all__ = ["Expected"]

_NEW: Final = 0.3  # share of the newest time in what was learned


class Expected:
    """Seconds by megapixels of each part of a work, of this machine in the last pictures.

    A part that has not been done yet is expected to be as much slower or faster than at first as those that have.

    Args:
        apart: names of parts that another machine does: how fast they are says nothing of the others, nor the other way round.
        first: seconds for a megapixel of each part on the machine on which they were measured, by its name.
    """

    def __init__(self, apart: Collection[str] = (), **first: float) -> None:
        self._apart = frozenset(apart)
        self._first = first
        self._learned: dict[str, float] = {}
        self._lock = threading.Lock()

    def took(self, part: str, pixels: int, seconds: float) -> None:
        """Learn from a part of a picture."""
        rate = max(0.0, seconds) / max(0.1, pixels / 1e6)
        with self._lock:
            before = self._learned.get(part, rate)
            self._learned[part] = before + _NEW * (rate - before)

    def seconds(self, **pixels: int) -> float:
        """For a picture of so many pixels in each part."""
        with self._lock:
            known = self._learned
            ours = known.keys() - self._apart
            before = sum(self._first[name] for name in ours)
            here = sum(known[name] for name in ours) / before if ours else 1.0
            rates = {
                name: known.get(name, (1.0 if name in self._apart else here) * self._first[name])
                for name in pixels
            }
        return sum(rates[name] * count / 1e6 for name, count in pixels.items())
