"""The values used last, in a bounded number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Final

_MEMORY_BYTES: Final = 256_000_000


class Memory:
    """The values used last, up to a number of bytes. Keys of visitors' things contain the path of their upload."""

    def __init__(self, most_bytes: int = _MEMORY_BYTES) -> None:
        self._most, self._bytes = most_bytes, 0
        self._items: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Any:
        with self._lock:
            if key not in self._items:
                return None
            self._items.move_to_end(key)
            return self._items[key][0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        with self._lock:
            self._bytes += size - self._items.pop(key, (None, 0))[1]
            self._items[key] = (value, size)
            while self._bytes > self._most and len(self._items) > 1:
                self._bytes -= self._items.popitem(last=False)[1][1]
