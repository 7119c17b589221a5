"""Training pictures that are decoded once and kept, and those that cannot be decoded."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Hashable

import numpy as np

from training.data.sources import DataError, PictureSource, decode_picture

__all__ = ["LARGEST", "DecodedPictures", "Unreadable", "memory_for_pictures"]

LARGEST = 576
"""Short side in px at which pictures are kept, at most: faces and thin things are lost in smaller ones."""

logger = logging.getLogger(__name__)

_LOGGED_SKIPS = 20  # names of skipped pictures that are logged one by one


def memory_for_pictures() -> int:
    """Bytes of decoded pictures that one stream of one process keeps: 8 GiB, or less on a small machine.

    A run has two streams; together they take at most a quarter of the memory, whatever the number of its processes there.
    """
    most = 8 * 2**30
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on every system
        return most // 4
    return min(most, memory // 8 // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


class Unreadable:
    """Pictures that cannot be read: each is counted and named in the log once, however often it is met; safe to use from several threads."""

    def __init__(self) -> None:
        self._known: set[Hashable] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, which: Hashable) -> bool:
        return which in self._known

    def add(self, which: Hashable, error: Exception) -> None:
        """which: tells it from the others. Only the first `_LOGGED_SKIPS` are named."""
        with self._lock:
            if which in self._known:
                return
            self._known.add(which)
            if len(self) <= _LOGGED_SKIPS:
                logger.warning("skipped picture %d: %s", len(self), error)
            if len(self) == _LOGGED_SKIPS:
                logger.warning("further skipped pictures are counted, not named")


class DecodedPictures:
    """Decoded pictures by index, kept up to a memory limit; safe to use from several threads."""

    def __init__(self, source: PictureSource, limit: int | None, memory_limit: int) -> None:
        self.source, self.limit, self.memory_limit = source, limit, memory_limit
        self.bytes_held = 0
        self._held: dict[int, np.ndarray] = {}
        self.unreadable = Unreadable()
        self._lock = threading.Lock()

    def preload(self, index: int) -> None:
        if self.bytes_held < 0.99 * self.memory_limit:
            self.get(index)

    def get(self, index: int) -> np.ndarray | None:
        """(H, W, 3) uint8, or None if the picture cannot be decoded."""
        picture = self._held.get(index)
        if picture is not None or index in self.unreadable:
            return picture  # (H, W, 3)
        try:
            picture = _read(self.source, index, self.limit)
        except DataError as error:
            self.unreadable.add(index, error)
            return None
        with self._lock:
            if index not in self._held and self.bytes_held + picture.nbytes <= self.memory_limit:
                self._held[index] = picture
                self.bytes_held += picture.nbytes
        return picture


def _read(source: PictureSource, index: int, limit: int | None) -> np.ndarray:
    try:
        raw = source[index]
    except Exception as error:  # a damaged row must not end the run
        raise DataError(f"{source.name} item {index}: {type(error).__name__}: {error}") from error
    return decode_picture(raw, limit)
