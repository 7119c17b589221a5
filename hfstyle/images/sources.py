"""Internal to `hfstyle.batch`: the encoded pictures of a folder, of Parquet files, or of a data set of the Hub."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol

from hfstyle.files import as_utf8, folded, web_address
from hfstyle.images.load import list_images
from hfstyle.images.parquet import Place, RowGroups, check_column, encoded

__all__ = ["Source", "is_below", "open_source"]

_REMEDY: Final = "give --image-column"
_PATIENCE: Final = 10.0  # s, for the Hub's first answer


class Source(Protocol):
    """Pictures by index, in an order that does not change between runs."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """What the picture is called in messages."""
        ...

    def read(self, index: int) -> bytes | Path:
        """The encoded picture. Raises any exception if there is none."""
        ...

    def stem(self, index: int) -> str:
        """Path of its result below the output folder, without suffix; different for each picture."""
        ...

    def columns(self, index: int) -> Any:
        """A `pyarrow.Table` of one row: what is known of the picture beside its pixels."""
        ...


def open_source(
    dataset: str,
    *,
    split: str,
    image_column: str,
    revision: str | None,
    leave_out: Path | None = None,
) -> Source:
    """A folder of pictures or of Parquet files, Parquet files by name or pattern, or else a Hub id.

    leave_out: the folder of the results; if it lies in that of the pictures, what is in it is none of them.

    Raises:
        ValueError: nothing there, or no such column; the message says what is.
    """
    path = Path(dataset)
    if address := web_address(dataset):
        raise ValueError(
            f"{address} is a web address; download it, or give a data set of the Hub by its id, user/data-set"
        )
    if path.is_dir():
        tables = sorted(path.rglob("*.parquet"))
        pictures = list_images(path, recursive=True)
        if leave_out is not None and is_below(leave_out, path):
            tables = [file for file in tables if not is_below(file, leave_out)]
            pictures = [file for file in pictures if not is_below(file, leave_out)]
        if tables and pictures:
            raise ValueError(
                f"{dataset} holds {len(tables)} Parquet files and {len(pictures)} pictures; name "
                f"one kind, for instance '{path / '*.parquet'}'"
            )
        if tables:
            return _ParquetSource(tables, image_column)
        if not pictures:
            raise ValueError(f"{dataset}: no pictures and no Parquet files in this folder")
        return _FolderSource(path, pictures)
    if dataset.endswith(".parquet"):
        tables = sorted(map(Path, glob.glob(dataset, recursive=True)))
        if not tables:
            raise ValueError(f"{dataset}: there is no such Parquet file")
        return _ParquetSource(tables, image_column)
    if (
        path.exists()
        or dataset.count("/") > 1
        or dataset.startswith((".", "/"))
        or dataset.endswith("/")
    ):
        raise ValueError(
            f"{dataset} is no folder, no Parquet file (*.parquet) and no Hub id (user/data-set)"
        )
    return _HubSource(dataset, split, image_column, revision)


class _FolderSource:
    def __init__(self, folder: Path, files: list[Path]) -> None:
        self._folder, self._files = folder, files
        names = [file.relative_to(folder) for file in files]
        self._names = {folded(name.as_posix()) for name in names}
        self._stems = Counter(folded(name.with_suffix("").as_posix()) for name in names)

    def __len__(self) -> int:
        return len(self._files)

    def name(self, index: int) -> str:
        return str(self._files[index])

    def read(self, index: int) -> Path:
        return self._files[index]

    def stem(self, index: int) -> str:
        name = self._files[index].relative_to(self._folder)
        stem = name.with_suffix("").as_posix()
        alone = self._stems[folded(stem)] == 1 and folded(stem) not in self._names
        return stem if alone else name.as_posix()  # a.jpg and a.png must not both become a.png

    def columns(self, index: int) -> Any:
        import pyarrow as pa

        name = self._files[index].relative_to(self._folder).as_posix()
        return pa.table({"path": [as_utf8(name)]})


class _ParquetSource:
    """Files with a column of pictures: {bytes, path}, bytes, or paths beside the file."""

    def __init__(self, files: list[Path], image_column: str) -> None:
        self._column = image_column
        self._groups = RowGroups(files, image_column, _REMEDY)
        self._group, self._first = -1, 0
        self._parts: Iterator[Any] = iter(())
        self._part: Any = ()  # of the group, from its row `_first` on; no more is in memory

    def __len__(self) -> int:
        return len(self._groups)

    def _row(self, place: Place) -> Any:
        """A table of one row. Rows are asked for in their order; one that lies further up costs the way from the group's first."""
        if place.group != self._group or place.within < self._first:
            self._parts, self._part = self._groups.parts(place.group), ()
            self._group, self._first = place.group, 0
        try:
            while place.within >= self._first + len(self._part):
                self._first += len(self._part)
                self._part = next(self._parts)
        except Exception:  # what is damaged is told of each row that lies behind it
            self._group = -1
            raise
        return self._part.slice(place.within - self._first, 1)

    def name(self, index: int) -> str:
        place = self._groups.place(index)
        return f"{place.file.name} row {place.row}"

    def read(self, index: int) -> bytes | Path:
        place = self._groups.place(index)
        return _encoded(self._row(place)[self._column][0].as_py(), place.file.parent)

    def stem(self, index: int) -> str:
        return f"{index:09d}"

    def columns(self, index: int) -> Any:
        return self._row(self._groups.place(index)).drop_columns([self._column])


class _HubSource:
    def __init__(self, name: str, split: str, image_column: str, revision: str | None) -> None:
        import datasets

        _check_reachable(name)
        try:
            dataset: Any = datasets.load_dataset(name, split=split, revision=revision)
        except datasets.exceptions.DatasetNotFoundError as error:
            raise ValueError(f"{name} is no folder, and no data set of the Hub: {error}") from error
        check_column(image_column, dataset.column_names, name, _REMEDY)
        # One picture that cannot be decoded would end the iteration.
        self._dataset = dataset.cast_column(image_column, datasets.Image(decode=False))
        self._table = self._dataset.with_format("arrow")
        self._name, self._column = name, image_column

    def __len__(self) -> int:
        return len(self._dataset)

    def name(self, index: int) -> str:
        return f"{self._name} row {index}"

    def read(self, index: int) -> bytes | Path:
        return _encoded(self._dataset[index][self._column], Path())

    def stem(self, index: int) -> str:
        return f"{index:09d}"

    def columns(self, index: int) -> Any:
        return self._table[index].drop_columns([self._column])


def _check_reachable(name: str) -> None:
    """Raises ValueError at once if nobody answers and nothing of the data set was downloaded; `datasets` tries for half a minute."""
    import datasets
    from huggingface_hub import constants, get_session

    from hfstyle.models.hub import transport_error

    if constants.HF_HUB_OFFLINE:
        return
    try:
        get_session().head(f"{constants.ENDPOINT}/api/datasets/{name}", timeout=_PATIENCE)
    except (OSError, transport_error) as error:
        if not (Path(datasets.config.HF_DATASETS_CACHE) / name.replace("/", "___")).is_dir():
            raise ValueError(
                f"{name} is no folder, and as a data set of the Hub it could not be reached ({error}); check the path, "
                "or the network"
            ) from None


def _encoded(value: Any, folder: Path) -> bytes | Path:
    found = encoded(value, folder)
    if found is None:
        raise ValueError("there is no picture in this row")
    return found


def is_below(path: Path, folder: Path) -> bool:
    """Whether a path, links followed, lies in a folder and is not that itself."""
    place, top = (Path(os.path.realpath(p)) for p in (path, folder))
    return place != top and place.is_relative_to(top)
