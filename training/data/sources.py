"""Encoded training pictures and their decoding.

Local Parquet (pyarrow only), folders of files, or data sets of the Hugging Face Hub, downloaded or
streamed (`datasets`, imported only then). A picture that cannot be read raises DataError, so that
the streams of `training/data/streams.py` can skip and count it.
"""

from __future__ import annotations

import glob
import logging
import tempfile
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError
from PIL import Image

from hfstyle.files import web_address
from hfstyle.images.load import READ_SUFFIXES, ImageError, load_image
from hfstyle.images.parquet import CellsAside, Place, RowGroups, check_column, encoded
from hfstyle.images.save import to_pil
from hfstyle.models.hub import transport_error

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

logger = logging.getLogger(__name__)

MINIMUM_SIDE = 16  # px; what is smaller says nothing about a style and is skipped
_KEPT_BYTES = 512 * 2**20  # of encoded pictures of Parquet files, in each source
_LARGE_GROUP = 128 * 2**20  # bytes of a group of rows from which on it is not held in memory
_ASIDE_BYTES = 16 * 2**30  # of encoded pictures on the disk, in each source
_REWRITTEN = (
    "python -c \"import pyarrow.parquet as pq; old = pq.ParquetFile('{file}', pre_buffer=False, buffer_size=2**20); "
    "new = pq.ParquetWriter('new.parquet', old.schema_arrow); [new.write_batch(rows) for rows in old.iter_batches(100)]; "
    'new.close()"'
)
_OTHER_COLUMN = "name the right one with --image_column, or that of one set with --content_image_column or --style_image_column"
_PATIENCE = 10.0  # s, for the Hub's first answer
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

    Groups of rows are read when a picture of theirs is asked for, and the latest are kept, up to `_KEPT_BYTES`; other columns
    are not read. Larger groups than `_LARGE_GROUP` are read in parts and laid aside on the disk, the latest up to `_ASIDE_BYTES`.
    Raises DataError if a file is not Parquet or has no such column. Several threads
    may ask.
    """

    def __init__(self, name: str, files: Sequence[Path], image_column: str = "image") -> None:
        self.name, self.files, self.image_column = name, sorted(files), image_column
        self._held: OrderedDict[int, Any] = OrderedDict()  # columns by number of the group
        self._aside: OrderedDict[int, CellsAside] = OrderedDict()
        self._lock = threading.Lock()
        self._large = _LARGE_GROUP  # bytes; what is larger is laid aside
        try:
            self._groups = RowGroups(self.files, image_column, _OTHER_COLUMN)
        except ValueError as error:
            raise DataError(str(error)) from error
        self._tell_large()

    def _tell_large(self) -> None:
        """How much of the disk large groups need, and what to do where that is much."""
        large = {
            size: group for group, size in enumerate(self._groups.sizes) if size > _LARGE_GROUP
        }
        aside = sum(size for size in self._groups.sizes if size > _LARGE_GROUP)
        if aside > _ASIDE_BYTES:
            logger.warning(
                "%s has groups of rows of up to %.0f MB, %.0f GB in all. Only %.0f GB of their pictures are laid aside in %s, and "
                "others are read again and again, which is slow; groups of a hundred rows are not: %s",
                self.name,
                max(large) / 1e6,
                aside / 1e9,
                _ASIDE_BYTES / 1e9,
                tempfile.gettempdir(),
                _REWRITTEN.format(file=self._groups.file(large[max(large)])),
            )
        elif large:
            logger.info(
                "%s has groups of rows of up to %.0f MB: while it is read, up to %.0f MB of pictures are laid aside in %s",
                self.name,
                max(large) / 1e6,
                aside / 1e6,
                tempfile.gettempdir(),
            )

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, index: int) -> RawPicture:
        place = self._groups.place(index)
        if self._groups.sizes[place.group] > self._large:
            value = self._cell_aside(place)
        else:
            value = self._column(place.group)[place.within].as_py()
        return _raw_picture(value, f"{place.file.name} row {place.row}", place.file.parent)

    def _cell_aside(self, place: Place) -> Any:
        with self._lock:  # one reads a group, the others wait for it
            if place.group not in self._aside:
                self._lay_aside(place.group)
            if place.group in self._aside:
                self._aside.move_to_end(place.group)
                return self._aside[place.group][place.within]
        return self._column(place.group)[place.within].as_py()

    def _lay_aside(self, group: int) -> None:
        others = sum(cells.nbytes for cells in self._aside.values())
        while self._aside and others + self._groups.sizes[group] > _ASIDE_BYTES:
            oldest = self._aside.popitem(last=False)[1]
            others -= oldest.nbytes
            oldest.close()
        parts = self._groups.parts(group, [self.image_column])
        cells = (cell for part in parts for cell in part.column(0).to_pylist())
        try:
            self._aside[group] = CellsAside(cells)
        except OSError as error:
            self._large = max(self._groups.sizes)  # from now on, groups are held in memory
            logger.warning(
                "pictures of %s cannot be laid aside in %s (%s) and are held in memory: %.0f MB; name another folder by the "
                "variable TMPDIR",
                self._groups.file(group),
                tempfile.gettempdir(),
                error.strerror or error,
                self._groups.sizes[group] / 1e6,
            )

    def _column(self, group: int) -> Any:
        with self._lock:
            if group in self._held:
                self._held.move_to_end(group)
                return self._held[group]
        column = self._groups.read(group, [self.image_column]).column(0)
        with self._lock:
            self._held[group] = column
            while len(self._held) > 1 and sum(c.nbytes for c in self._held.values()) > _KEPT_BYTES:
                self._held.popitem(last=False)
        return column

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_lock": None, "_held": OrderedDict(), "_aside": OrderedDict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"_lock": threading.Lock()}


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
        return map(self.read, self.rows(seed, epoch, rank, world_size))

    def rows(
        self, seed: int, epoch: int, rank: int, world_size: int
    ) -> Iterator[RawPicture | tuple[str, str]]:
        """The same, before a picture file is fetched: its address and name, for `read`, which several threads may call."""
        from datasets.distributed import split_dataset_by_node

        # The reservoir of StreamedPictures shuffles the pictures; this shuffles the shards. All
        # processes must do it alike, or their parts overlap.
        shuffled = self.dataset.shuffle(seed=seed + epoch, buffer_size=1)
        part = split_dataset_by_node(shuffled, rank=rank, world_size=world_size)
        for row, example in enumerate(part):
            value, name = example.get(self.image_column), f"{self.name} row {row}"
            url = value.get("path") if isinstance(value, dict) and not value.get("bytes") else None
            if url and "://" in url:  # a repository of picture files comes as addresses
                yield url, f"{name} ({url})"
            else:
                yield _raw_picture(value, name, Path())

    def read(self, row: RawPicture | tuple[str, str]) -> RawPicture:
        """The encoded picture of one of `rows`; one that cannot be fetched is empty, and its name says why."""
        return row if isinstance(row, RawPicture) else self._read(*row)

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
    path = value.get("path") if isinstance(value, dict) else None
    data = encoded(value, folder)
    # Decoding what is absent reports "empty".
    return RawPicture(f"{name} ({path})" if path else name, b"" if data is None else data)


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
    if address := web_address(dataset_name or data_dir or ""):
        raise DataError(
            f"{address} is a web address; download its pictures and give their folder, or give a dataset of the Hub by its id."
        )
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
    if dataset_name.endswith(("/", "\\")) or dataset_name.startswith((".", "/", "~")):
        raise DataError(
            f"there is no folder {dataset_name!r}, and it is no data set's name on the Hub: give local pictures by "
            "--content_data_dir or --style_data_dir, and check the path."
        )
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            f"the Hub dataset {dataset_name!r} needs the package `datasets`: "
            "`pip install datasets`, or give local pictures as a data dir."
        ) from error
    silent = _silence(dataset_name, token)
    offline = datasets.config.HF_HUB_OFFLINE
    try:
        datasets.config.HF_HUB_OFFLINE = offline or silent is not None
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
        at = "" if revision is None else f", revision {revision!r}"
        why = " ".join(str(error).split()).rstrip(".")
        if silent is not None:
            raise DataError(
                f"the dataset {dataset_name!r} (split {split!r}{at}) is not in the cache, and the Hub at "
                f"{constants.ENDPOINT} cannot be reached ({silent}); check the network, or give local pictures by "
                "--content_data_dir or --style_data_dir"
            ) from error
        raise DataError(
            f"the dataset {dataset_name!r} (split {split!r}{at}) cannot be loaded: {type(error).__name__}: {why}"
            f"{_hint(error, token)}"
        ) from error
    finally:
        datasets.config.HF_HUB_OFFLINE = offline
    columns = getattr(dataset, "column_names", None)
    if columns is not None:
        try:
            check_column(image_column, columns, f"the dataset {dataset_name!r}", _OTHER_COLUMN)
        except ValueError as error:
            raise DataError(str(error)) from error
    # Decoding here, not in `datasets`: there one corrupt picture ends the iterator.
    if streaming:
        # Where columns' types are known beforehand, as of picture files, `cast_column` comes after their decoding.
        return HubStream(dataset_name, dataset.decode(False), image_column, token)
    # One of several columns alone is read: `datasets` would decode the others, of which one may be corrupt.
    dataset = dataset.select_columns(image_column).cast_column(
        image_column, datasets.Image(decode=False)
    )
    return HubSource(dataset_name, dataset, image_column)


def _silence(dataset: str, token: str | bool | None) -> Exception | None:
    """What keeps the Hub from answering; None if it does, or is not to be asked.

    `datasets` asks for half a minute before it looks into its cache.
    """
    if constants.HF_HUB_OFFLINE:
        return None
    try:
        HfApi(token=token).dataset_info(dataset, timeout=_PATIENCE)
    except (HfHubHTTPError, ValueError):  # an answer, or no name to ask for; `datasets` says which
        return None
    except (OSError, transport_error) as error:
        return error
    return None


def _hint(error: Exception, token: str | bool | None) -> str:
    """What to do about a data set, or a revision of it, that the Hub does not show."""
    if str(error).startswith("Revision"):
        return ". Check --content_revision or --style_revision."
    if type(error).__name__ not in (
        "DatasetNotFoundError",
        "RepositoryNotFoundError",
        "GatedRepoError",
    ):
        return ""
    given = "with this --hub_token" if token else "without a token"
    return (
        f". Check the name; a private or gated data set looks absent {given}: log in with `hf auth login`, or give "
        "--hub_token, and accept its terms on its page."
    )


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
    pictures = [file for file in files if file.suffix.lower() in READ_SUFFIXES]
    if not parquet and not pictures:
        raise DataError(
            f"none of the {len(files)} files at {place!r} is Parquet or a picture "
            f"({', '.join(sorted(READ_SUFFIXES))})."
        )
    if not parquet:
        return FolderSource(place, pictures)
    source = ParquetSource(place, parquet, image_column)
    if len(source) == 0:
        raise DataError(f"the Parquet files at {place!r} hold no rows.")
    return source


def decode_picture(raw: RawPicture, resolution_limit: int | None = None) -> np.ndarray:
    """Decodes to (H, W, 3) uint8 RGB, as `hfstyle.load_image` does: upright, in sRGB, transparency laid over white.

    The picture is shrunk (never enlarged) until its short side is at most `resolution_limit` px.
    Raises DataError naming the picture if it is empty, truncated, not a picture, or has a side
    under 16 px or more than 178 million pixels.
    """
    try:
        if isinstance(raw.data, bytes) and not raw.data:
            raise ImageError(f"{raw.name} is empty")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = load_image(
                raw.data,
                name=raw.name,
                max_pixels=MAX_ENCODED_PIXELS,
                compact=True,
                least_side=resolution_limit,
            )
    except ImageError as error:
        raise DataError(str(error)) from error
    height, width = picture.size
    short = min(height, width)
    if short < MINIMUM_SIDE:
        raise DataError(f"{raw.name} is {width} x {height} px, under {MINIMUM_SIDE} px")
    rgb = picture.rgb
    image = (
        Image.fromarray(rgb.permute(1, 2, 0).numpy()) if rgb.dtype == torch.uint8 else to_pil(rgb)
    )
    if resolution_limit is not None and short > resolution_limit:
        scale = resolution_limit / short
        size = (round(width * scale), round(height * scale))
        image = image.resize(size, Image.Resampling.LANCZOS)
    return np.array(image)  # (H, W, 3)
