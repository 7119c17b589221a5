"""Encoded training pictures and their decoding.

Local Parquet (pyarrow only), folders of files, or data sets of the Hugging Face Hub, downloaded or
streamed (`datasets`, imported only then). A picture that cannot be read raises DataError, so that
the streams of `training/streams.py` can skip and count it.
"""

from __future__ import annotations

import glob
import io
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from PIL import Image, ImageOps

__all__ = [
    "DataError",
    "FolderSource",
    "HubSource",
    "HubStream",
    "ParquetSource",
    "PictureSource",
    "RawPicture",
    "decode_picture",
    "open_pictures",
]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm")
MINIMUM_SIDE = 16  # px; what is smaller says nothing about a style and is skipped
MAX_ENCODED_PIXELS = 178_000_000  # read from the header: a decompression bomb is skipped undecoded


class DataError(ValueError):
    """Pictures cannot be found or read; the message names them and the remedy."""


class RawPicture(NamedTuple):
    """An encoded picture: its bytes or its file, and a name for messages."""

    name: str
    data: bytes | Path


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

        self.name, self.files = name, sorted(files)
        self._batches: list[tuple[Path, int, Any]] = []  # file, its first row here, column
        starts, total = [], 0
        for file in self.files:
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

    def __init__(
        self, name: str, dataset: Any, image_column: str, token: str | bool | None = None
    ) -> None:
        self.name, self.dataset, self.image_column = name, dataset, image_column
        self.token = token

    def iterate(self, seed: int, epoch: int, rank: int, world_size: int) -> Iterator[RawPicture]:
        """One pass over the part of process `rank`; `seed` and `epoch` shuffle the shards."""
        from datasets.distributed import split_dataset_by_node

        # The reservoir of StreamedPictures shuffles the pictures; this shuffles the shards. All
        # processes must do it alike, or their parts overlap.
        shuffled = self.dataset.shuffle(seed=seed + epoch, buffer_size=1)
        part = split_dataset_by_node(shuffled, rank=rank, world_size=world_size)
        for row, example in enumerate(part):
            value, name = example.get(self.image_column), f"{self.name} row {row}"
            url = value.get("path") if isinstance(value, dict) and not value.get("bytes") else None
            if url and "://" in url:  # a repository of picture files comes as addresses
                yield self._read(url, f"{name} ({url})")
            else:
                yield _raw_picture(value, name, Path())

    def _read(self, url: str, name: str) -> RawPicture:
        import fsspec

        options: dict[str, Any] = {} if self.token is None else {"token": self.token}
        if options and not url.startswith("hf://"):
            options = {"hf": options}  # "zip://a.jpg::hf://..." takes each part's options by name
        try:
            with fsspec.open(url, "rb", **options) as file:
                return RawPicture(name, file.read())
        except Exception as error:  # one absent file must not end the stream
            return RawPicture(f"{name}, {type(error).__name__}: {error}", b"")


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
        streaming: read a Hub dataset while training instead of downloading it first. Local
            pictures are not affected: their encoded bytes are on this machine already.

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
        return HubStream(dataset_name, dataset, image_column, token)
    return HubSource(dataset_name, dataset, image_column)


def _open_local(place: str, image_column: str) -> PictureSource:
    path = Path(place)
    if path.is_dir():
        found_files = (file.relative_to(path) for file in sorted(path.rglob("*")) if file.is_file())
        hidden = (".", "__MACOSX")
        files = [
            path / file
            for file in found_files
            if not any(part.startswith(hidden) for part in file.parts)
        ]
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
    if not parquet:
        return FolderSource(place, pictures)
    source = ParquetSource(place, parquet, image_column)
    if len(source) == 0:
        raise DataError(f"the Parquet files at {place!r} hold no rows.")
    return source


def decode_picture(raw: RawPicture, resolution_limit: int | None = None) -> np.ndarray:
    """Decodes to (H, W, 3) uint8 RGB; EXIF orientation applied, transparency laid over white.

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
        if image.mode != "I" or values.max(initial=0) > 255:
            values = values / np.float32(257)
        image = Image.fromarray(values.clip(0, 255).round().astype(np.uint8))
    elif image.mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float32))
        values = values * np.float32(255) if values.max(initial=0) <= 1 else values
        image = Image.fromarray(values.clip(0, 255).round().astype(np.uint8))
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, rgba)
    return image.convert("RGB")
