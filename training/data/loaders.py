"""Endless batches of training pictures; the door to the training data.

Three layers, each usable alone:

1. `training/data/sources.py`: :func:`open_pictures` finds encoded pictures (local Parquet, folders, Hub)
   and :func:`decode_picture` decodes one.
2. `training/data/streams.py`: :class:`PictureStream` decodes each picture once and cuts random crops
   (`training/data/crops.py`); `training/data/device_pictures.py`: :class:`DevicePictures` holds all on a GPU.
3. This file: :class:`BatchLoader` makes batches in background threads; :class:`DeviceLoader` makes
   them on the GPU that holds the pictures. Both count the batches consumed.

Content and style are two loaders, each endless: never a zip of two data sets.

Letters: B batch · K crops per picture · S side of a crop · H, W picture size · M crops at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.data.crops import Zoom, check_crops, draw_regions
from training.data.device_pictures import DevicePictures
from training.data.sources import (
    DataError,
    PictureSource,
    RawPicture,
    decode_picture,
    open_pictures,
)
from training.data.streams import (
    CropStream,
    EpochOrder,
    PictureStream,
    StreamedPictures,
    make_stream,
)

__all__ = [
    "BatchLoader",
    "DataError",
    "DeviceLoader",
    "DevicePictures",
    "PictureSource",
    "PictureStream",
    "RawPicture",
    "StreamedPictures",
    "decode_picture",
    "make_stream",
    "open_pictures",
    "skipped_pictures",
]


def skipped_pictures(loaders: Iterable[BatchLoader | DeviceLoader]) -> int:
    """Unreadable pictures that these have met so far; one that several of them met counts once."""
    streams = (stream for loader in loaders for stream in loader.streams)
    met = {id(stream.unreadable): len(stream.unreadable) for stream in streams}
    return sum(met.values())


def _weights(weights: Sequence[float]) -> np.ndarray:
    array = np.asarray(weights, dtype=np.float64)
    if array.size == 0 or not np.isfinite(array).all() or (array < 0).any() or array.sum() <= 0:
        raise DataError(f"mix weights {list(weights)} must be finite, not negative, and sum > 0.")
    return array / array.sum()


class _Plan:
    """Which stream and which of its items fill each batch; the state is (batches, positions).

    All processes plan alike (each stream deals them other pictures), so one saved state serves all.
    """

    def __init__(self, weights: Sequence[float], batch_size: int, seed: int) -> None:
        if batch_size < 1:
            raise DataError(f"batch size {batch_size} must be at least 1.")
        self.weights = _weights(weights)
        self.batch_size, self.seed = batch_size, seed
        self.batches = 0
        self.positions = [0] * len(self.weights)

    def next(self) -> list[tuple[int, int]]:
        """(stream, item) of each picture of the next batch."""
        rng = np.random.default_rng((self.seed, self.batches))
        chosen = rng.choice(len(self.weights), size=self.batch_size, p=self.weights)
        items = []
        for stream in chosen.tolist():
            items.append((stream, self.positions[stream]))
            self.positions[stream] += 1
        self.batches += 1
        return items

    def state(self) -> dict[str, Any]:
        return {"batches": self.batches, "positions": list(self.positions)}

    def restore(self, state: dict[str, Any]) -> None:
        if len(state["positions"]) != len(self.weights):
            raise DataError(
                f"the saved data position has {len(state['positions'])} streams, this run has "
                f"{len(self.weights)}: resume with the same data sets."
            )
        self.batches, self.positions = int(state["batches"]), [int(p) for p in state["positions"]]


class BatchLoader:
    """Endless batches of crops, made ahead of need by background threads.

    Args:
        streams: one stream, or ``[(stream, weight), ...]``: each picture of a batch comes from a
            stream drawn with these weights (paintings among the content photos).
        batch_size: pictures per batch and process.
        size: px, side of a crop. crops: crops per picture. zoom: see :meth:`PictureStream.crops`.
        seed: of the draws among the streams and of the crops; other loaders of a run want others.
        rank: of this process, for DeviceLoader's sake; here the streams know theirs.
        threads: that make batches; 0 makes each batch when it is asked for.
        prefetch: batches made ahead.

    The state counts the batches taken out, not those made ahead, so resuming is exact
    and one saved state serves all processes.
    """

    def __init__(
        self,
        streams: CropStream | Sequence[tuple[CropStream, float]],
        batch_size: int,
        size: int,
        *,
        crops: int = 1,
        zoom: Zoom = (1.0, None),
        seed: int = 0,
        rank: int = 0,
        threads: int = 1,
        prefetch: int = 4,
    ) -> None:
        mix = list(streams) if isinstance(streams, Sequence) else [(streams, 1.0)]
        self.streams = [stream for stream, _ in mix]
        check_crops(size, crops, zoom)
        self.size, self.number_of_crops, self.zoom, self.seed = size, crops, zoom, seed
        self.prefetch = max(1, prefetch)
        self._plan = _Plan([weight for _, weight in mix], batch_size, seed)
        self._state = self._plan.state()
        self._pool = ThreadPoolExecutor(threads, "batches") if threads > 0 else None
        self._ahead: deque[tuple[Future[Tensor], dict[str, Any]]] = deque()

    def _make(self, items: list[tuple[int, int]], size: int, zoom: Zoom) -> Tensor:
        batch = [
            self.streams[stream].crops(k, size, self.number_of_crops, zoom, self.seed)
            for stream, k in items
        ]
        return torch.from_numpy(np.stack(batch))

    def next_batch(self) -> Tensor:
        """(B, K, 3, S, S) uint8 on the CPU. Raises DataError if no picture can be decoded."""
        if self._pool is None:
            batch = self._make(self._plan.next(), self.size, self.zoom)
            self._state = self._plan.state()
            return batch
        while len(self._ahead) <= self.prefetch:
            job = self._pool.submit(self._make, self._plan.next(), self.size, self.zoom)
            self._ahead.append((job, self._plan.state()))
        job, state = self._ahead.popleft()
        batch = job.result()
        self._state = state
        return batch

    def set_size(self, size: int, zoom: Zoom | None = None) -> None:
        """Another crop side (and zoom) from the next batch on."""
        zoom = zoom if zoom is not None else self.zoom
        check_crops(size, self.number_of_crops, zoom)
        self.size, self.zoom = size, zoom
        self._rewind(self._state)

    def __iter__(self) -> Iterator[Tensor]:
        while True:
            yield self.next_batch()

    @property
    def skipped(self) -> int:
        """Unreadable pictures met so far in all streams."""
        return skipped_pictures([self])

    def state_dict(self) -> dict[str, Any]:
        return {"batches": self._state["batches"], "positions": list(self._state["positions"])}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._rewind(state)
        for stream in self.streams:
            if isinstance(stream, StreamedPictures):
                stream.restart(epoch=int(state["batches"]))

    def _rewind(self, state: dict[str, Any]) -> None:
        self._plan.restore(state)
        self._state = self._plan.state()
        for job, _ in self._ahead:
            job.cancel()
        self._ahead.clear()

    def close(self) -> None:
        """Ends the threads; the loader cannot be used after it."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


class DeviceLoader:
    """Endless batches of crops cut on the device; arguments and state as :class:`BatchLoader`.

    The order of pictures is that of a PictureStream (every picture once per epoch, processes
    disjoint); the draws come from (seed, rank, number of the batch), so resuming is exact
    and one saved state serves all processes.
    """

    def __init__(
        self,
        pictures: DevicePictures | Sequence[tuple[DevicePictures, float]],
        batch_size: int,
        size: int,
        *,
        crops: int = 1,
        zoom: Zoom = (1.0, None),
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        mix = [(pictures, 1.0)] if isinstance(pictures, DevicePictures) else list(pictures)
        self.streams = [store for store, _ in mix]
        check_crops(size, crops, zoom)
        self.size, self.number_of_crops, self.zoom = size, crops, zoom
        self._plan = _Plan([weight for _, weight in mix], batch_size, seed)
        self._rank = rank
        self._orders = [
            EpochOrder(len(store), seed + number, rank, world_size)
            for number, store in enumerate(self.streams)
        ]

    def next_batch(self) -> Tensor:
        """(B, K, 3, S, S) uint8 on the device."""
        rng = np.random.default_rng((self._plan.seed, self._plan.batches, 1 + self._rank))
        items = self._plan.next()
        crops = self.number_of_crops
        shape = (len(items), crops, 3, self.size, self.size)
        batch = torch.empty(shape, dtype=torch.uint8, device=self.streams[0].device)
        for number, (store, order) in enumerate(zip(self.streams, self._orders, strict=True)):
            slots = [slot for slot, (stream, _) in enumerate(items) if stream == number]
            if not slots:
                continue
            indices = [order.index(items[slot][1]) for slot in slots]
            regions = [
                region
                for index in indices
                for region in draw_regions(*store.sizes[index], self.size, self.zoom, crops, rng)
            ]
            cut = store.cut(
                torch.tensor(indices).repeat_interleave(crops),
                torch.tensor(regions, dtype=torch.float32),
                torch.from_numpy(rng.random(len(regions)) < 0.5),
                self.size,
            )
            cut = cut.round().to(torch.uint8).unflatten(0, (len(slots), crops))
            batch[torch.tensor(slots, device=batch.device)] = cut.to(batch.device)
        return batch

    def set_size(self, size: int, zoom: Zoom | None = None) -> None:
        """Another crop side (and zoom) from the next batch on."""
        zoom = zoom if zoom is not None else self.zoom
        check_crops(size, self.number_of_crops, zoom)
        self.size, self.zoom = size, zoom

    def __iter__(self) -> Iterator[Tensor]:
        while True:
            yield self.next_batch()

    @property
    def skipped(self) -> int:
        """Unreadable pictures of all sources."""
        return skipped_pictures([self])

    def state_dict(self) -> dict[str, Any]:
        return self._plan.state()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._plan.restore(state)

    def close(self) -> None:
        """Nothing to end; here for the common interface."""
