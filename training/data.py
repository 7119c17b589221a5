"""Endless batches of training pictures; the door to the training data.

Three layers, each usable alone:

1. `training/sources.py`: :func:`open_pictures` finds encoded pictures (local Parquet, folders, Hub)
   and :func:`decode_picture` decodes one.
2. `training/streams.py`: :class:`PictureStream` decodes each picture once and cuts random crops.
3. This file: :class:`BatchLoader` makes batches in background threads; :class:`DeviceLoader` makes
   them on a GPU that holds all pictures (:class:`DevicePictures`). Both count the batches consumed.

Content and style are two loaders, each endless: never a zip of two data sets.

Letters: B batch · K crops per picture · S side of a crop · H, W picture size · M crops at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.sources import DataError, PictureSource, RawPicture, decode_picture, open_pictures
from training.streams import (
    CropStream,
    DecodedPictures,
    EpochOrder,
    PictureStream,
    StreamedPictures,
    Zoom,
    check_crops,
    draw_regions,
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
]

_SAMPLES_AT_ONCE = 2**24  # bilinear samples that DevicePictures gathers at once, 100 bytes each


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
        return sum(int(getattr(stream, "skipped", 0)) for stream in self.streams)

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


class DevicePictures:
    """All pictures of a source, decoded and held on a device as one (pixels, 3) uint8 tensor.

    4,800 pictures of 320 px take about 2 GB. Unreadable ones are logged and counted in `skipped`.
    Raises DataError if none is readable.
    """

    def __init__(
        self,
        source: PictureSource,
        device: torch.device | str = "cpu",
        *,
        resolution_limit: int | None = 320,
        threads: int = 4,
    ) -> None:
        self.source, self.device, self.skipped = source, torch.device(device), 0
        store = DecodedPictures(source, resolution_limit, memory_limit=0)
        with ThreadPoolExecutor(max(1, threads)) as pool:
            parts = [
                picture
                for picture in pool.map(store.get, range(len(source)))
                if picture is not None
            ]
        self.skipped = store.skipped
        if not parts:
            raise DataError(f"none of the {len(source)} pictures of {source.name} can be decoded.")
        sizes = torch.tensor([part.shape[:2] for part in parts], dtype=torch.int64)
        ends = sizes.prod(dim=1).cumsum(0)
        self.sizes: list[tuple[int, int]] = [part.shape[:2] for part in parts]  # (H, W)
        self.heights, self.widths = sizes.unbind(1)  # (N,) on the CPU, where crops are drawn
        self.starts = ends - sizes.prod(dim=1)
        self.pixels = torch.empty(int(ends[-1]), 3, dtype=torch.uint8, device=self.device)
        for start, part in zip(self.starts.tolist(), parts, strict=True):
            flat = torch.from_numpy(part).reshape(-1, 3)
            self.pixels[start : start + len(flat)] = flat.to(self.device)

    def __len__(self) -> int:
        return len(self.starts)

    def cut(self, indices: Tensor, regions: Tensor, flips: Tensor, size: int) -> Tensor:
        """Square regions of pictures as float crops.

        Args:
            indices: (M,) int64 on the CPU, pictures.
            regions: (M, 3) float on the CPU: top, left, side in px.
            flips: (M,) bool on the CPU.
            size: S.

        Returns:
            (M, 3, S, S) float32 in [0, 255] on the device: bilinear, averaged over as many samples
            per pixel as shrinking needs.
        """
        samples = max(1, min(4, int(np.ceil(float(regions[:, 2].max()) / size - 1e-3))))
        chunk = max(1, _SAMPLES_AT_ONCE // (size * samples) ** 2)
        parts = zip(indices.split(chunk), regions.split(chunk), flips.split(chunk), strict=True)
        return torch.cat([self._sample(*part, size, samples) for part in parts])

    def _sample(
        self, indices: Tensor, regions: Tensor, flips: Tensor, size: int, samples: int
    ) -> Tensor:
        grid = (torch.arange(size * samples, device=self.device) + 0.5) / (size * samples)
        meta = torch.stack([self.starts[indices], self.heights[indices], self.widths[indices]], 1)
        start, height, width = meta.to(self.device)[:, :, None].unbind(1)  # (M, 1) each
        top, left, side = regions.to(self.device, torch.float32)[:, :, None].unbind(1)
        along = torch.where(flips.to(self.device)[:, None], 1 - grid, grid)
        y = (top + side * grid - 0.5).clamp_min(0).minimum(height - 1)  # (M, S·samples)
        x = (left + side * along - 0.5).clamp_min(0).minimum(width - 1)
        y0, x0 = y.floor().long(), x.floor().long()
        y1, x1 = (y0 + 1).minimum(height - 1), (x0 + 1).minimum(width - 1)
        fy, fx = (y - y0)[:, :, None, None], (x - x0)[:, None, :, None]

        def row(rows: Tensor) -> Tensor:
            base = (start + rows * width)[:, :, None]
            a, b = self.pixels[base + x0[:, None]], self.pixels[base + x1[:, None]]
            return torch.lerp(a.float(), b.float(), fx)

        crop = torch.lerp(row(y0), row(y1), fy).permute(0, 3, 1, 2)  # (M, 3, S·samples, S·samples)
        if samples > 1:
            crop = torch.nn.functional.avg_pool2d(crop, samples)
        return crop


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
        self.pictures = [store for store, _ in mix]
        check_crops(size, crops, zoom)
        self.size, self.number_of_crops, self.zoom = size, crops, zoom
        self._plan = _Plan([weight for _, weight in mix], batch_size, seed)
        self._rank = rank
        self._orders = [
            EpochOrder(len(store), seed + number, rank, world_size)
            for number, store in enumerate(self.pictures)
        ]

    def next_batch(self) -> Tensor:
        """(B, K, 3, S, S) uint8 on the device."""
        rng = np.random.default_rng((self._plan.seed, self._plan.batches, 1 + self._rank))
        items = self._plan.next()
        crops = self.number_of_crops
        shape = (len(items), crops, 3, self.size, self.size)
        batch = torch.empty(shape, dtype=torch.uint8, device=self.pictures[0].device)
        for number, (store, order) in enumerate(zip(self.pictures, self._orders, strict=True)):
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
        return sum(store.skipped for store in self.pictures)

    def state_dict(self) -> dict[str, Any]:
        return self._plan.state()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._plan.restore(state)

    def close(self) -> None:
        """Nothing to end; here for the common interface."""
