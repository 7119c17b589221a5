"""Internal to `hfstyle.batch`: the encoded pictures of a folder, of Parquet files, or of a data set of the Hub."""

from __future__ import annotations

import glob
from collections import Counter
from pathlib import Path
from typing import Any, Protocol

from hfstyle.images import list_images

__all__ = ["Source", "open_source"]


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


def open_source(dataset: str, *, split: str, image_column: str, revision: str | None) -> Source:
    """A folder of pictures or of Parquet files, Parquet files by name or pattern, or else a Hub id.

    Raises:
        ValueError: nothing there, or no such column; the message says what is.
    """
    path = Path(dataset)
    if path.is_dir():
        tables = sorted(path.rglob("*.parquet"))
        pictures = list_images(path, recursive=True)
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
    if path.exists() or dataset.count("/") > 1 or dataset.startswith((".", "/")):
        raise ValueError(
            f"{dataset} is no folder, no Parquet file (*.parquet) and no Hub id (user/data-set)"
        )
    return _HubSource(dataset, split, image_column, revision)


class _FolderSource:
    def __init__(self, folder: Path, files: list[Path]) -> None:
        self._folder, self._files = folder, files
        names = [file.relative_to(folder) for file in files]
        self._names = {_folded(name) for name in names}
        self._stems = Counter(_folded(name.with_suffix("")) for name in names)

    def __len__(self) -> int:
        return len(self._files)

    def name(self, index: int) -> str:
        return str(self._files[index])

    def read(self, index: int) -> Path:
        return self._files[index]

    def stem(self, index: int) -> str:
        name = self._files[index].relative_to(self._folder)
        stem = name.with_suffix("")
        alone = self._stems[_folded(stem)] == 1 and _folded(stem) not in self._names
        return (stem if alone else name).as_posix()  # a.jpg and a.png must not both become a.png

    def columns(self, index: int) -> Any:
        import pyarrow as pa

        return pa.table({"path": [self._files[index].relative_to(self._folder).as_posix()]})


class _ParquetSource:
    """Files with a column of pictures: {bytes, path}, bytes, or paths beside the file."""

    def __init__(self, files: list[Path], image_column: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._column = image_column
        self._groups: list[tuple[Path, int, int, int]] = []  # file, group, first row, rows before
        self._read: tuple[int, Any] = (-1, None)  # one group at a time is in memory
        total = 0
        for file in files:
            try:
                parquet = pq.ParquetFile(file)
            except (pa.ArrowException, OSError) as error:
                raise ValueError(f"{file} cannot be read as Parquet: {error}") from error
            _check_column(image_column, parquet.schema_arrow.names, str(file))
            row = 0
            for group in range(parquet.num_row_groups):
                self._groups.append((file, group, row, total))
                row += parquet.metadata.row_group(group).num_rows
                total += parquet.metadata.row_group(group).num_rows
        self._length = total

    def __len__(self) -> int:
        return self._length

    def _row(self, index: int) -> tuple[Path, int, Any]:
        """Its file, its place there, and a table of one row."""
        import pyarrow.parquet as pq

        number = max(i for i, group in enumerate(self._groups) if group[3] <= index)
        file, group, first, before = self._groups[number]
        if self._read[0] != number:
            self._read = (number, pq.ParquetFile(file).read_row_group(group))
        return file, first + index - before, self._read[1].slice(index - before, 1)

    def name(self, index: int) -> str:
        number = max(i for i, group in enumerate(self._groups) if group[3] <= index)
        file, _, first, before = self._groups[number]
        return f"{file.name} row {first + index - before}"

    def read(self, index: int) -> bytes | Path:
        file, _, row = self._row(index)
        return _encoded(row[self._column][0].as_py(), file.parent)

    def stem(self, index: int) -> str:
        return f"{index:09d}"

    def columns(self, index: int) -> Any:
        return self._row(index)[2].drop_columns([self._column])


class _HubSource:
    def __init__(self, name: str, split: str, image_column: str, revision: str | None) -> None:
        import datasets

        try:
            dataset: Any = datasets.load_dataset(name, split=split, revision=revision)
        except datasets.exceptions.DatasetNotFoundError as error:
            raise ValueError(f"{name} is no folder, and no data set of the Hub: {error}") from error
        _check_column(image_column, dataset.column_names, name)
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


def _check_column(column: str, columns: list[str], where: str) -> None:
    if column not in columns:
        raise ValueError(
            f"{where} has no column {column!r}, but {', '.join(columns)}; give --image-column"
        )


def _encoded(value: Any, folder: Path) -> bytes | Path:
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return folder / value
    raise ValueError("there is no picture in this row")


def _folded(path: Path) -> str:
    return path.as_posix().casefold()
