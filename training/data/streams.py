"""Endless, shuffled streams of random crops of training pictures.

Which picture and which crop item `k` of a stream is depends on the seed, the process and `k` alone,
so a run can stop and go on anywhere (streamed data sets excepted: see StreamedPictures).

Letters: K crops per picture · S side of a crop · H, W picture size.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from training.data.crops import Zoom, check_crops, random_crops
from training.data.decoded import LARGEST, DecodedPictures, Unreadable, memory_for_pictures
from training.data.sources import (
    DataError,
    HubStream,
    PictureSource,
    RawPicture,
    decode_picture,
)

__all__ = ["CropStream", "EpochOrder", "PictureStream", "StreamedPictures", "make_stream"]


class EpochOrder:
    """Which picture item `k` of a process is: a new permutation each epoch, dealt to processes."""

    def __init__(self, count: int, seed: int, rank: int, world_size: int) -> None:
        if not 0 <= rank < world_size:
            raise DataError(f"rank {rank} is not in 0 ... {world_size - 1} (world size).")
        self.count, self.seed, self.rank, self.world_size = count, seed, rank, world_size
        # Every process gets as many; up to world_size - 1 pictures sit out an epoch, others the
        # next. With fewer pictures than processes all processes see all pictures.
        self.shared = count < world_size
        self.per_epoch = count if self.shared else count // world_size
        self._cache: tuple[int, np.ndarray] = (-1, np.empty(0, dtype=np.int64))

    def epoch(self, epoch: int) -> np.ndarray:
        """The pictures of this process in `epoch`, in order: (per_epoch,) int64."""
        cached, order = self._cache
        if cached != epoch:
            salt = self.rank if self.shared else 0
            order = np.random.default_rng((self.seed, epoch, salt)).permutation(self.count)
            if not self.shared:
                order = order[self.rank :: self.world_size][: self.per_epoch]
            self._cache = (epoch, order)
        return order

    def index(self, k: int) -> int:
        epoch, position = divmod(k, self.per_epoch)
        return int(self.epoch(epoch)[position])


class CropStream(Protocol):
    """What a BatchLoader needs: `crops(k, ...)` -> (K, 3, S, S) uint8, and which pictures it could not read."""

    @property
    def unreadable(self) -> Unreadable: ...

    def crops(
        self, k: int, size: int, crops: int = 1, zoom: Zoom = (1.0, None), salt: int = 0
    ) -> np.ndarray: ...


class PictureStream(IterableDataset):  # type: ignore[type-arg]
    """An endless, shuffled stream of random crops of pictures that are decoded once.

    Each epoch shows every picture once, in an order from `seed`, and no picture in two processes.
    A picture that cannot be decoded is logged, counted in `unreadable` (once), and replaced by the
    next of the same process.

    Args:
        source: from :func:`open_pictures`.
        seed: of order and crops. Item `k` depends on (seed, rank, world_size, k) alone.
        rank, world_size: of this process.
        resolution_limit: px; pictures are kept with a short side of at most this.
        memory_limit: bytes of decoded pictures kept; those beyond it are decoded on each use. None: `memory_for_pictures`.
        size, crops, zoom: of the crops that iterating yields; see :meth:`crops`.
    """

    def __init__(
        self,
        source: PictureSource,
        *,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        resolution_limit: int | None = LARGEST,
        memory_limit: int | None = None,
        size: int = 256,
        crops: int = 1,
        zoom: Zoom = (1.0, None),
    ) -> None:
        if len(source) == 0:
            raise DataError(f"{source.name} holds no pictures.")
        self.source, self.seed, self.rank, self.world_size = source, seed, rank, world_size
        memory_limit = memory_for_pictures() if memory_limit is None else memory_limit
        self.resolution_limit, self.memory_limit = resolution_limit, memory_limit
        self.size, self.number_of_crops, self.zoom = size, crops, zoom
        self.position = 0  # items that iterating has yielded
        self._order = EpochOrder(len(source), seed, rank, world_size)
        self._store = DecodedPictures(source, resolution_limit, memory_limit)

    def with_seed(self, seed: int) -> PictureStream:
        """The same pictures (decoded once for both) in another order."""
        twin = PictureStream(
            self.source,
            seed=seed,
            rank=self.rank,
            world_size=self.world_size,
            resolution_limit=self.resolution_limit,
            memory_limit=self.memory_limit,
            size=self.size,
            crops=self.number_of_crops,
            zoom=self.zoom,
        )
        twin._store = self._store
        return twin

    @property
    def unreadable(self) -> Unreadable:
        """Pictures found to be unreadable so far, also by twins."""
        return self._store.unreadable

    @property
    def epoch_length(self) -> int:
        """Items per epoch of this process."""
        return self._order.per_epoch

    def preload(self, threads: int = 1) -> None:
        """Decodes the pictures now, as many as fit in `memory_limit`, not each on its first use."""
        with ThreadPoolExecutor(max(1, threads)) as pool:
            list(pool.map(self._store.preload, range(len(self.source))))

    def picture(self, k: int) -> np.ndarray:
        """Picture of item `k`: (H, W, 3) uint8. Raises DataError if no picture can be decoded."""
        epoch, position = divmod(k, self._order.per_epoch)
        order = self._order.epoch(epoch)
        for step in range(len(order)):
            picture = self._store.get(int(order[(position + step) % len(order)]))
            if picture is not None:
                return picture
        raise DataError(f"none of the {len(order)} pictures of {self.source.name} can be decoded.")

    def crops(
        self, k: int, size: int, crops: int = 1, zoom: Zoom = (1.0, None), salt: int = 0
    ) -> np.ndarray:
        """Random crops of item `k`: (K, 3, S, S) uint8, each flipped with probability 1/2.

        The side of the region that becomes a crop is log-uniform between ``size * zoom[0]`` and
        ``size * zoom[1]`` px (None: the short side), never more than the short side, so a picture
        smaller than `size` is enlarged. Further crops come from other places of the picture as far
        as it is large enough. `salt` makes other crops of the same item.
        """
        check_crops(size, crops, zoom)
        picture = self.picture(k)
        rng = np.random.default_rng((self.seed, salt, k * self.world_size + self.rank))
        return random_crops(picture, size, crops, zoom, rng)

    def __iter__(self) -> Iterator[Tensor]:
        """Endless (K, 3, S, S) uint8, from `position` on; workers of a DataLoader take turns.

        In such a worker `position` counts on a copy; BatchLoader keeps the state in this process.
        """
        worker = get_worker_info()
        turn, turns = (worker.id, worker.num_workers) if worker is not None else (0, 1)
        while True:
            item = self.crops(self.position + turn, self.size, self.number_of_crops, self.zoom)
            self.position += turns
            yield torch.from_numpy(item)

    def state_dict(self) -> dict[str, int]:
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.position = int(state["position"])


def make_stream(
    source: PictureSource | HubStream,
    *,
    seed: int = 0,
    rank: int = 0,
    world_size: int = 1,
    resolution_limit: int | None = LARGEST,
) -> PictureStream | StreamedPictures:
    """The stream of crops that fits the source: in memory, or through a reservoir if streamed."""
    if isinstance(source, HubStream):
        return StreamedPictures(
            source,
            seed=seed,
            rank=rank,
            world_size=world_size,
            resolution_limit=resolution_limit,
        )
    return PictureStream(
        source,
        seed=seed,
        rank=rank,
        world_size=world_size,
        resolution_limit=resolution_limit,
    )


class StreamedPictures:
    """Random crops from a streamed Hub dataset, through a reservoir of decoded pictures.

    Each draw takes a random picture of the reservoir and refills its place from the stream. The
    order depends on the seed and, with several threads, on which asks first. Resuming is not exact:
    it starts another pass (:meth:`restart`), whose shards are shuffled otherwise, so that it does
    not show the same pictures again. Other arguments are those of :class:`PictureStream`.

    Args:
        buffer_size: decoded pictures in the reservoir, about 1.4 MB each at 576 px.
    """

    def __init__(
        self,
        source: HubStream,
        *,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        resolution_limit: int | None = LARGEST,
        buffer_size: int = 512,
    ) -> None:
        self.source, self.seed, self.rank, self.world_size = source, seed, rank, world_size
        self.resolution_limit, self.buffer_size = resolution_limit, buffer_size
        if buffer_size < 1:
            raise DataError(f"buffer size {buffer_size} must be at least 1.")
        self.unreadable = Unreadable()
        self._lock = threading.Lock()
        self._buffer: list[np.ndarray] = []
        self._rows = self._rows_forever(epoch=0)
        self._good = 1  # pictures of this pass and the one before

    def with_seed(self, seed: int) -> StreamedPictures:
        """Another stream of the same data set, in another order; both count their unreadable pictures together."""
        twin = StreamedPictures(
            self.source,
            seed=seed,
            rank=self.rank,
            world_size=self.world_size,
            resolution_limit=self.resolution_limit,
            buffer_size=self.buffer_size,
        )
        twin.unreadable = self.unreadable
        return twin

    def restart(self, epoch: int) -> None:
        """Empties the reservoir and begins pass `epoch` (alike in all processes)."""
        with self._lock:
            self._buffer, self._rows, self._good = [], self._rows_forever(epoch), 1

    def _rows_forever(self, epoch: int) -> Iterator[RawPicture | tuple[str, str]]:
        while True:
            good, self._good = self._good, 0
            if good == 0:
                raise DataError(f"a pass over {self.source.name} gave no picture.")
            yield from self.source.rows(self.seed, epoch, self.rank, self.world_size)
            epoch += 1

    def _next_picture(self) -> np.ndarray:
        """Fetched and decoded outside of the lock: several threads do it at once."""
        while True:
            with self._lock:
                row = next(self._rows)
            raw = self.source.read(row)
            try:
                picture = decode_picture(raw, self.resolution_limit)
            except DataError as error:
                # Another pass numbers rows otherwise: known is the address of a file, else what is in it.
                self.unreadable.add(
                    row[0] if raw is not row else hash(raw.data) if raw.data else raw.name, error
                )
                continue
            with self._lock:
                self._good += 1
            return picture

    def crops(
        self, k: int, size: int, crops: int = 1, zoom: Zoom = (1.0, None), salt: int = 0
    ) -> np.ndarray:
        """Crops of the next picture, (K, 3, S, S) uint8; `k` seeds the draw."""
        rng = np.random.default_rng((self.seed, salt, k * self.world_size + self.rank))
        # Two in, one out: the first batch comes soon and the reservoir fills while training.
        fresh = [self._next_picture()]
        if len(self._buffer) < self.buffer_size - 1:
            fresh.append(self._next_picture())
        with self._lock:
            self._buffer += fresh
            slot = int(rng.integers(len(self._buffer)))
            picture = self._buffer[slot]
            self._buffer[slot] = self._buffer[-1]
            self._buffer.pop()
        return random_crops(picture, size, crops, zoom, rng)
