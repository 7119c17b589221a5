"""Training pictures: where they come from, how they are decoded, and endless batches of crops.

Three layers, each usable alone:

1. :func:`open_pictures` finds encoded pictures: local Parquet (pyarrow only), a folder of files,
   or a dataset of the Hugging Face Hub, downloaded or streamed (``datasets``, imported only then).
2. :class:`PictureStream` decodes each picture once and cuts random crops. Which picture and which
   crop item ``k`` is depends on the seed and ``k`` alone, so a run can stop and go on anywhere.
3. :class:`BatchLoader` makes batches in background threads; :class:`DeviceLoader` makes them on a
   GPU that holds all pictures (:class:`DevicePictures`). Both count the batches *consumed*.

Content and style are two loaders, each endless: never a zip of two data sets.

Letters: B batch · K crops per picture · S side of a crop · H, W picture size.
"""

from __future__ import annotations

import glob
import io
import logging
import threading
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import IterableDataset

__all__ = [
    "BatchLoader",
    "DataError",
    "DeviceLoader",
    "DevicePictures",
    "PictureSource",
    "PictureStream",
    "StreamedPictures",
    "decode_picture",
    "open_pictures",
]

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm")
MINIMUM_SIDE = 16  # px; what is smaller says nothing about a style and is skipped
MAX_ENCODED_PIXELS = 178_000_000  # read from the header: a decompression bomb is skipped undecoded
_LOGGED_SKIPS = 20  # names of skipped pictures that are logged one by one


class DataError(ValueError):
    """Pictures cannot be found or read; the message names them and the remedy."""


class RawPicture(NamedTuple):
    """An encoded picture: its bytes or its file, and a name for messages."""

    name: str
    data: bytes | Path


# --- 1. sources -----------------------------------------------------------------------------------


class PictureSource(Protocol):
    """Encoded pictures by index; reading one that is absent or unreadable raises any exception."""

    name: str

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> RawPicture: ...


class FolderSource:
    """Picture files, in sorted order."""

    def __init__(self, name: str, files: Sequence[Path]) -> None:
        self.name, self.files = name, sorted(files)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> RawPicture:
        return RawPicture(str(self.files[index]), self.files[index])


class ParquetSource:
    """Parquet files in the `datasets` Image format: a column of {bytes, path}, bytes or paths.

    The encoded column is held in memory; other columns are not read. Raises DataError if a file is
    not Parquet or has no such column.
    """

    def __init__(self, name: str, files: Sequence[Path], image_column: str = "image") -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.name = name
        self._batches: list[tuple[Path, int, Any]] = []  # file, its first row here, column
        starts, total = [], 0
        for file in sorted(files):
            try:
                parquet = pq.ParquetFile(file)
                columns = parquet.schema_arrow.names
                if image_column not in columns:
                    raise DataError(
                        f"{file} has no column {image_column!r}; its columns are "
                        f"{', '.join(columns)}. Name the right one with --image_column."
                    )
                first_row = total
                for batch in parquet.iter_batches(batch_size=256, columns=[image_column]):
                    starts.append(total)
                    self._batches.append((file, first_row, batch.column(0)))
                    total += batch.num_rows
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"{file} cannot be read as Parquet: {error}") from error
        self._starts, self._length = np.array(starts, dtype=np.int64), total

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> RawPicture:
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        file, first_row, column = self._batches[number]
        value = column[index - int(self._starts[number])].as_py()
        return _raw_picture(value, f"{file.name} row {index - first_row}", file.parent)


class HubSource:
    """A downloaded `datasets.Dataset` whose image column is cast to ``Image(decode=False)``."""

    def __init__(self, name: str, dataset: Any, image_column: str) -> None:
        self.name, self.dataset, self.image_column = name, dataset, image_column

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> RawPicture:
        value = self.dataset[int(index)][self.image_column]
        return _raw_picture(value, f"{self.name} row {index}", Path())


class HubStream:
    """A streamed `datasets.IterableDataset` (image column cast to ``Image(decode=False)``)."""

    def __init__(self, name: str, dataset: Any, image_column: str) -> None:
        self.name, self.dataset, self.image_column = name, dataset, image_column

    def iterate(self, seed: int, epoch: int, rank: int, world_size: int) -> Iterator[RawPicture]:
        """One pass over the part of process `rank`; `seed` and `epoch` shuffle the shards."""
        from datasets.distributed import split_dataset_by_node

        # The reservoir of StreamedPictures shuffles the pictures; this shuffles the shards. All
        # processes must do it alike, or their parts overlap.
        shuffled = self.dataset.shuffle(seed=seed + epoch, buffer_size=1)
        part = split_dataset_by_node(shuffled, rank=rank, world_size=world_size)
        for row, example in enumerate(part):
            yield _raw_picture(example[self.image_column], f"{self.name} row {row}", Path())


def _raw_picture(value: Any, name: str, folder: Path) -> RawPicture:
    """A cell of an image column: {bytes, path}, bytes, or a path (relative to `folder`)."""
    if isinstance(value, dict):
        path = value.get("path")
        name = f"{name} ({path})" if path else name
        value = value.get("bytes") or path
    if isinstance(value, bytes):
        return RawPicture(name, value)
    if isinstance(value, str) and value:
        return RawPicture(name, folder / value)
    return RawPicture(name, b"")  # decoding it reports "empty"


def open_pictures(
    dataset_name: str | None = None,
    data_dir: str | Path | None = None,
    *,
    split: str = "train",
    image_column: str = "image",
    streaming: bool = False,
    cache_dir: str | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    config_name: str | None = None,
) -> PictureSource | HubStream:
    """The pictures of a Hub dataset, or of local Parquet or picture files.

    Args:
        dataset_name: id of a Hub dataset (needs the package `datasets`), or an existing local path,
            which is taken as `data_dir`.
        data_dir: a .parquet file, a picture, a folder, or a glob pattern of files such as
            ``data/style-train-*.parquet``. A folder is searched recursively; if it holds Parquet
            files, they are the pictures, otherwise its picture files are.
        split, revision, cache_dir, token, config_name: of the Hub dataset; unused for local data.
        image_column: of the Hub dataset or the Parquet files.
        streaming: read a Hub dataset while training instead of downloading it first.

    Raises:
        DataError: neither or both places given, nothing found there, no such column, or the Hub
            dataset cannot be loaded.
    """
    if dataset_name is not None and data_dir is None and Path(dataset_name).exists():
        dataset_name, data_dir = None, dataset_name
    if (dataset_name is None) == (data_dir is None):
        raise DataError(
            "pictures come from one place: give either a dataset name (Hub id) or a data dir "
            f"(local), not {'both' if dataset_name else 'neither'} "
            f"(dataset name {dataset_name!r}, data dir {data_dir!r})."
        )
    if data_dir is not None:
        return _open_local(str(data_dir), image_column)
    assert dataset_name is not None
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            f"the Hub dataset {dataset_name!r} needs the package `datasets`: "
            "`pip install datasets`, or give local pictures as a data dir."
        ) from error
    try:
        dataset = datasets.load_dataset(
            dataset_name,
            config_name,
            split=split,
            streaming=streaming,
            cache_dir=cache_dir,
            revision=revision,
            token=token,
        )
    except Exception as error:  # the Hub client raises many types; each becomes one message
        raise DataError(
            f"the dataset {dataset_name!r} (split {split!r}, revision {revision!r}) cannot be "
            f"loaded: {type(error).__name__}: {error}"
        ) from error
    columns = getattr(dataset, "column_names", None)
    if columns is not None and image_column not in columns:
        raise DataError(
            f"the dataset {dataset_name!r} has no column {image_column!r}; its columns are "
            f"{', '.join(columns)}. Name the right one with --image_column."
        )
    # Decoding here, not in `datasets`: there one corrupt picture ends the iterator.
    dataset = dataset.cast_column(image_column, datasets.Image(decode=False))
    if streaming:
        return HubStream(dataset_name, dataset, image_column)
    return HubSource(dataset_name, dataset, image_column)


def _open_local(place: str, image_column: str) -> PictureSource:
    path = Path(place)
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if file.is_file()]
    elif path.is_file():
        files = [path]
    else:
        files = [Path(match) for match in sorted(glob.glob(place, recursive=True))]
        files = [file for file in files if file.is_file()]
    if not files:
        raise DataError(
            f"no files at {place!r}: give a .parquet file, a folder of pictures or of Parquet, "
            "or a glob pattern in quotes."
        )
    parquet = [file for file in files if file.suffix.lower() == ".parquet"]
    pictures = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    if not parquet and not pictures:
        raise DataError(
            f"none of the {len(files)} files at {place!r} is Parquet or a picture "
            f"({', '.join(IMAGE_SUFFIXES)})."
        )
    source = ParquetSource(place, parquet, image_column) if parquet else None
    found: PictureSource = source if source is not None else FolderSource(place, pictures)
    if len(found) == 0:
        raise DataError(f"the Parquet files at {place!r} hold no rows.")
    return found


# --- 2. decoding and cropping ---------------------------------------------------------------------


def decode_picture(raw: RawPicture, resolution_limit: int | None = None) -> np.ndarray:
    """Decodes to (H, W, 3) uint8 sRGB; EXIF orientation applied, transparency laid over white.

    The picture is shrunk (never enlarged) until its short side is at most `resolution_limit` px.
    Raises DataError naming the picture if it is empty, truncated, not a picture, or has a side
    under 16 px or more than 178 million pixels.
    """
    try:
        if isinstance(raw.data, bytes) and not raw.data:
            raise ValueError("empty")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source = io.BytesIO(raw.data) if isinstance(raw.data, bytes) else raw.data
            with Image.open(source) as opened:
                if opened.width * opened.height > MAX_ENCODED_PIXELS:
                    raise ValueError(f"{opened.width}x{opened.height} px is too large")
                if resolution_limit is not None:  # JPEG: decode at 1/2, 1/4 or 1/8 where enough
                    opened.draft("RGB", (resolution_limit, resolution_limit))
                image = _to_rgb(ImageOps.exif_transpose(opened))
        short = min(image.size)
        if short < MINIMUM_SIDE:
            raise ValueError(f"{image.width}x{image.height} px is under {MINIMUM_SIDE} px")
        if resolution_limit is not None and short > resolution_limit:
            scale = resolution_limit / short
            size = (round(image.width * scale), round(image.height * scale))
            image = image.resize(size, Image.Resampling.LANCZOS)
        return np.array(image)  # (H, W, 3)
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises many types for broken files
        raise DataError(f"{raw.name}: {type(error).__name__}: {error}") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits per pixel, some of them in a 32-bit mode
        values = np.asarray(image).astype(np.float32)
        if values.max(initial=0) > 255:
            values = values / 257
        image = Image.fromarray(values.clip(0, 255).round().astype(np.uint8))
    elif image.mode == "F":
        values = np.nan_to_num(np.asarray(image))
        values = values * 255 if values.max(initial=0) <= 1 else values
        image = Image.fromarray(values.clip(0, 255).round().astype(np.uint8))
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, rgba)
    return image.convert("RGB")


Zoom = tuple[float, float | None]


def _draw_region(
    height: int, width: int, size: int, zoom: Zoom, rng: np.random.Generator
) -> tuple[int, int, int]:
    """A random square (top, left, side): side log-uniform in size·[zoom], at most the picture."""
    short = min(height, width)
    low = min(max(1.0, size * zoom[0]), short)
    high = short if zoom[1] is None else min(size * zoom[1], short)
    side = round(low * (max(high, low) / low) ** rng.random())
    return int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1)), side


def _draw_regions(
    height: int, width: int, size: int, zoom: Zoom, crops: int, rng: np.random.Generator
) -> list[tuple[int, int, int]]:
    """Random squares; each after the first is the one of four draws that overlaps least."""
    regions = [_draw_region(height, width, size, zoom, rng)]
    while len(regions) < crops:
        draws = [_draw_region(height, width, size, zoom, rng) for _ in range(4)]
        regions.append(min(draws, key=lambda draw: sum(_overlap(draw, r) for r in regions)))
    return regions


def _overlap(a: tuple[int, int, int], b: tuple[int, int, int]) -> float:
    """The share of the smaller square that the other one covers, in [0, 1]."""
    rows = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    columns = min(a[1] + a[2], b[1] + b[2]) - max(a[1], b[1])
    return max(rows, 0) * max(columns, 0) / min(a[2], b[2]) ** 2


def _cut(picture: np.ndarray, region: tuple[int, int, int], size: int, flip: bool) -> np.ndarray:
    """The square `region` of an (H, W, 3) picture as (3, S, S) uint8, resized with antialias."""
    top, left, side = region
    crop = picture[top : top + side, left : left + side]
    if side != size:
        image = Image.fromarray(np.ascontiguousarray(crop))
        crop = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
    if flip:
        crop = crop[:, ::-1]
    return np.ascontiguousarray(crop.transpose(2, 0, 1))


# --- 3. streams -----------------------------------------------------------------------------------


class _EpochOrder:
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
    """What a BatchLoader needs: `crops(k, ...)` -> (K, 3, S, S) uint8."""

    def crops(
        self, k: int, size: int, crops: int = 1, zoom: Zoom = (1.0, None), salt: int = 0
    ) -> np.ndarray: ...


class PictureStream(IterableDataset):  # type: ignore[type-arg]
    """An endless, shuffled stream of random crops of pictures that are decoded once.

    Each epoch shows every picture once, in an order from `seed`, and no picture in two processes.
    A picture that cannot be decoded is logged, counted in `skipped` (once), and replaced by the
    next of the same process.

    Args:
        source: from :func:`open_pictures`.
        seed: of order and crops. Item `k` depends on (seed, rank, world_size, k) alone.
        rank, world_size: of this process.
        resolution_limit: px; pictures are kept with a short side of at most this.
        memory_limit: bytes of decoded pictures kept; those beyond it are decoded on each use.
        size, crops, zoom: of the crops that iterating yields; see :meth:`crops`.
    """

    def __init__(
        self,
        source: PictureSource,
        *,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        resolution_limit: int | None = 320,
        memory_limit: int = 8 * 2**30,
        size: int = 256,
        crops: int = 1,
        zoom: Zoom = (1.0, None),
    ) -> None:
        if len(source) == 0:
            raise DataError(f"{source.name} holds no pictures.")
        self.source, self.seed, self.rank, self.world_size = source, seed, rank, world_size
        self.resolution_limit, self.memory_limit = resolution_limit, memory_limit
        self.size, self.number_of_crops, self.zoom = size, crops, zoom
        self.position = 0  # items that iterating has yielded
        self._order = _EpochOrder(len(source), seed, rank, world_size)
        self._store = _DecodedPictures(source, resolution_limit, memory_limit)

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
    def skipped(self) -> int:
        """Pictures found to be unreadable so far."""
        return self._store.skipped

    @property
    def epoch_length(self) -> int:
        """Items per epoch of this process."""
        return self._order.per_epoch

    def preload(self, threads: int = 1) -> None:
        """Decodes this process's pictures now (until `memory_limit`) instead of on first use."""
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(self._store.get, range(len(self.source))))

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
        if size < 1 or crops < 1:
            raise DataError(f"size {size} and crops {crops} must be at least 1.")
        picture = self.picture(k)
        rng = np.random.default_rng((self.seed, salt, k * self.world_size + self.rank))
        return _random_crops(picture, size, crops, zoom, rng)

    def __iter__(self) -> Iterator[Tensor]:
        """Endless (K, 3, S, S) uint8, from `position` on. For one process and one worker."""
        while True:
            item = self.crops(self.position, self.size, self.number_of_crops, self.zoom)
            self.position += 1
            yield torch.from_numpy(item)

    def state_dict(self) -> dict[str, int]:
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.position = int(state["position"])


def _random_crops(
    picture: np.ndarray, size: int, crops: int, zoom: Zoom, rng: np.random.Generator
) -> np.ndarray:
    regions = _draw_regions(picture.shape[0], picture.shape[1], size, zoom, crops, rng)
    flips = rng.random(crops) < 0.5
    return np.stack(
        [_cut(picture, region, size, bool(flip)) for region, flip in zip(regions, flips)]
    )


class _DecodedPictures:
    """Decoded pictures by index, kept up to a memory limit; safe to use from several threads."""

    def __init__(self, source: PictureSource, limit: int | None, memory_limit: int) -> None:
        self.source, self.limit, self.memory_limit = source, limit, memory_limit
        self.bytes_held = 0
        self._held: dict[int, np.ndarray] = {}
        self._bad: set[int] = set()
        self._lock = threading.Lock()

    @property
    def skipped(self) -> int:
        return len(self._bad)

    def get(self, index: int) -> np.ndarray | None:
        """(H, W, 3) uint8, or None if the picture cannot be decoded."""
        picture = self._held.get(index)
        if picture is not None or index in self._bad:
            return picture
        try:
            picture = _read(self.source, index, self.limit)
        except DataError as error:
            with self._lock:
                if index not in self._bad:
                    self._bad.add(index)
                    _log_skip(len(self._bad), error)
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


def _log_skip(count: int, error: Exception) -> None:
    if count <= _LOGGED_SKIPS:
        logger.warning("skipped picture %d: %s", count, error)
    if count == _LOGGED_SKIPS:
        logger.warning("further skipped pictures are counted, not named")


class StreamedPictures:
    """Random crops from a streamed Hub dataset, through a reservoir of decoded pictures.

    Each draw takes a random picture of the reservoir and refills its place from the stream. The
    order depends on the seed and on which thread asks first; a resumed run starts a new pass over
    the data (numbered by the count of items drawn, so it does not repeat the first) and is not
    exact. Other arguments are those of :class:`PictureStream`.
    """

    def __init__(
        self,
        source: HubStream,
        *,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        resolution_limit: int | None = 320,
        buffer_size: int = 512,
    ) -> None:
        self.source, self.seed, self.rank, self.world_size = source, seed, rank, world_size
        self.resolution_limit, self.buffer_size = resolution_limit, buffer_size
        self.skipped = 0
        self._buffer: list[np.ndarray] = []
        self._pictures: Iterator[np.ndarray] | None = None
        self._lock = threading.Lock()

    def _read_forever(self, epoch: int) -> Iterator[np.ndarray]:
        while True:
            good = 0
            for raw in self.source.iterate(self.seed, epoch, self.rank, self.world_size):
                try:
                    picture = decode_picture(raw, self.resolution_limit)
                except DataError as error:
                    self.skipped += 1
                    _log_skip(self.skipped, error)
                    continue
                good += 1
                yield picture
            if good == 0:
                raise DataError(f"a pass over {self.source.name} gave no picture.")
            epoch += 1

    def crops(
        self, k: int, size: int, crops: int = 1, zoom: Zoom = (1.0, None), salt: int = 0
    ) -> np.ndarray:
        """Crops of the next picture, (K, 3, S, S) uint8; `k` seeds the draw."""
        rng = np.random.default_rng((self.seed, salt, k * self.world_size + self.rank))
        with self._lock:
            if self._pictures is None:
                self._pictures = self._read_forever(epoch=k)
            # Filling two at a time gives the first batch soon; the reservoir is full a little later.
            for _ in range(2):
                if len(self._buffer) < self.buffer_size:
                    self._buffer.append(next(self._pictures))
            slot = int(rng.integers(len(self._buffer)))
            picture = self._buffer[slot]
            if len(self._buffer) == self.buffer_size:
                self._buffer[slot] = next(self._pictures)
            else:
                self._buffer[slot] = self._buffer[-1]
                self._buffer.pop()
        return _random_crops(picture, size, crops, zoom, rng)


# --- 4. loaders -----------------------------------------------------------------------------------


def _weights(weights: Sequence[float]) -> np.ndarray:
    array = np.asarray(weights, dtype=np.float64)
    if array.size == 0 or not np.isfinite(array).all() or (array < 0).any() or array.sum() <= 0:
        raise DataError(f"mix weights {list(weights)} must be finite, not negative, and sum > 0.")
    return array / array.sum()


class _Plan:
    """Which stream and which of its items fill each batch; the state is (batches, positions)."""

    def __init__(self, weights: Sequence[float], batch_size: int, seed: int, rank: int) -> None:
        if batch_size < 1:
            raise DataError(f"batch size {batch_size} must be at least 1.")
        self.weights, self.batch_size, self.seed, self.rank = (
            _weights(weights),
            batch_size,
            seed,
            rank,
        )
        self.batches = 0
        self.positions = [0] * len(self.weights)

    def next(self) -> list[tuple[int, int]]:
        """(stream, item) of each picture of the next batch."""
        rng = np.random.default_rng((self.seed, self.rank, self.batches))
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
        seed, rank: of the draws among the streams and of the crops.
        threads: that make batches; 0 makes each batch when it is asked for.
        prefetch: batches made ahead.

    The state counts the batches taken out, not those made ahead, so resuming is exact.
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
        self.size, self.number_of_crops, self.zoom, self.seed = size, crops, zoom, seed
        self.prefetch = max(1, prefetch)
        self._plan = _Plan([weight for _, weight in mix], batch_size, seed, rank)
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
        self.size, self.zoom = size, zoom if zoom is not None else self.zoom
        self.load_state_dict(self._state)

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
        store = _DecodedPictures(source, resolution_limit, memory_limit=0)
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
        self.heights, self.widths = sizes.unbind(1)  # (N,) on the CPU, where crops are drawn
        self.starts = ends - sizes.prod(dim=1)
        self.pixels = torch.empty(int(ends[-1]), 3, dtype=torch.uint8, device=self.device)
        for start, part in zip(self.starts.tolist(), parts):
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
        return crop.contiguous()


class DeviceLoader:
    """Endless batches of crops cut on the device; arguments and state as :class:`BatchLoader`.

    The order of pictures is that of a PictureStream (every picture once per epoch, processes
    disjoint); the draws come from (seed, rank, number of the batch), so resuming is exact.
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
        self.size, self.number_of_crops, self.zoom = size, crops, zoom
        self._plan = _Plan([weight for _, weight in mix], batch_size, seed, rank)
        self._orders = [_EpochOrder(len(s), seed, rank, world_size) for s in self.pictures]

    def next_batch(self) -> Tensor:
        """(B, K, 3, S, S) uint8 on the device."""
        number = self._plan.batches
        items = self._plan.next()
        rng = np.random.default_rng((self._plan.seed, self._plan.rank, number, 1))
        crops = self.number_of_crops
        batch = torch.empty(
            len(items), crops, 3, self.size, self.size,
            dtype=torch.uint8, device=self.pictures[0].device,
        )  # fmt: skip
        for number, (store, order) in enumerate(zip(self.pictures, self._orders)):
            slots = [slot for slot, (stream, _) in enumerate(items) if stream == number]
            if not slots:
                continue
            indices = [order.index(items[slot][1]) for slot in slots]
            regions = [
                region
                for index in indices
                for region in _draw_regions(
                    int(store.heights[index]), int(store.widths[index]),
                    self.size, self.zoom, crops, rng,
                )
            ]  # fmt: skip
            cut = store.cut(
                torch.tensor(indices).repeat_interleave(crops),
                torch.tensor(regions, dtype=torch.float32),
                torch.from_numpy(rng.random(len(regions)) < 0.5),
                self.size,
            )
            cut = cut.round().to(torch.uint8).view(len(slots), crops, 3, self.size, self.size)
            batch[torch.tensor(slots, device=batch.device)] = cut.to(batch.device)
        return batch

    def set_size(self, size: int, zoom: Zoom | None = None) -> None:
        """Another crop side (and zoom) from the next batch on."""
        self.size, self.zoom = size, zoom if zoom is not None else self.zoom

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
