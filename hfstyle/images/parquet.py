"""Pictures in Parquet files, as `datasets` writes them: the groups of rows, and what a cell of pictures holds.

Batches and training read them, each in its own order and with a memory of its own. A group of rows may be the whole file, and
reading it as one takes three times its size of memory; read a few rows after the other, it takes that of a page, which pyarrow
begins after at most 1024 rows. pyarrow is imported when it is needed.
"""

from __future__ import annotations

import pickle
import tempfile
import threading
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

__all__ = ["CellsAside", "Place", "RowGroups", "check_column", "encoded"]

_ROWS: Final = 16  # of a part of a group
_BUFFER: Final = 1 << 20  # bytes of a file that are read at a time


class Place(NamedTuple):
    """Where a row lies: the group's number, its file, and the row's number in the file and in the group."""

    group: int
    file: Path
    row: int
    within: int


class RowGroups:
    """The rows of several files, counted through; only the files' ends are read for it.

    Args:
        files: in their order.
        column: of pictures, which each file must have.
        remedy: which option names another column, for the message.

    Raises ValueError for a file that is not Parquet, or has no such column.
    """

    def __init__(self, files: Sequence[Path], column: str, remedy: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._groups: list[tuple[Path, int, int]] = []  # file, number there, its first row there
        self._starts: list[int] = []
        self._sizes: list[int] = []  # of the column in each group, decompressed
        self._length = 0
        for file in files:
            try:
                with pq.ParquetFile(file) as parquet:
                    columns, metadata = parquet.schema_arrow.names, parquet.metadata
            except (pa.ArrowException, OSError) as error:
                raise ValueError(f"{file} cannot be read as Parquet: {error}") from error
            check_column(column, columns, str(file), remedy)
            first = 0
            for number in range(metadata.num_row_groups):
                self._groups.append((file, number, first))
                self._starts.append(self._length)
                first += metadata.row_group(number).num_rows
                self._length += metadata.row_group(number).num_rows
                self._sizes.append(_size(metadata.row_group(number), column))

    def __len__(self) -> int:
        return self._length

    def place(self, index: int) -> Place:
        """Of row number `index` of all."""
        group = bisect_right(self._starts, index) - 1
        file, _, first = self._groups[group]
        within = index - self._starts[group]
        return Place(group, file, first + within, within)

    @property
    def sizes(self) -> Sequence[int]:
        """Bytes of the pictures in each group, decompressed."""
        return self._sizes

    def file(self, group: int) -> Path:
        """Where a group lies."""
        return self._groups[group][0]

    def parts(self, group: int, columns: list[str] | None = None) -> Iterator[Any]:
        """A group as small `pyarrow.Table`s, one after the other, of these columns or all."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        file, number, _ = self._groups[group]
        with pq.ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER) as parquet:
            for part in parquet.iter_batches(
                _ROWS, row_groups=[number], columns=columns, use_threads=False
            ):
                yield pa.Table.from_batches([part])
        pa.default_memory_pool().release_unused()  # what pages took

    def read(self, group: int, columns: list[str] | None = None) -> Any:
        """A group as a `pyarrow.Table`, of these columns or all."""
        import pyarrow as pa

        return pa.concat_tables(list(self.parts(group, columns)))


class CellsAside:
    """Cells that are laid aside in an unnamed file, so that any of them is at hand and none in memory.

    Several threads may ask. Raises OSError where there is no room for the file. What ends the cells early, since the file that
    they come from is damaged, is raised for each of those that are missing.
    """

    def __init__(self, cells: Iterable[Any]) -> None:
        self._file = tempfile.TemporaryFile(prefix="hfstyle-")  # noqa: SIM115
        self._lock = threading.Lock()
        self._starts = array("Q", [0])
        self._damage: Exception = IndexError("there is no such row")
        source = iter(cells)
        try:
            while True:
                try:
                    cell = next(source)
                except StopIteration:
                    break
                except Exception as error:
                    self._damage = error
                    break
                self._starts.append(self._starts[-1] + self._file.write(pickle.dumps(cell)))
            self._file.flush()
        except BaseException:
            self._file.close()
            raise

    @property
    def nbytes(self) -> int:
        """Of the file."""
        return self._starts[-1]

    def __getitem__(self, row: int) -> Any:
        if row + 1 >= len(self._starts):
            raise self._damage
        start, end = self._starts[row], self._starts[row + 1]
        with self._lock:
            self._file.seek(start)
            data = self._file.read(end - start)
        return pickle.loads(data)

    def close(self) -> None:
        """Give the room back."""
        with self._lock:
            self._file.close()


def _size(group: Any, column: str) -> int:
    """Bytes of a column, which may be a structure of several, decompressed."""
    chunks = (group.column(number) for number in range(group.num_columns))
    return sum(
        chunk.total_uncompressed_size
        for chunk in chunks
        if chunk.path_in_schema.partition(".")[0] == column
    )


def check_column(column: str, columns: Sequence[str], where: str, remedy: str) -> None:
    """ValueError if there is no such column; `where` has these, and `remedy` names another one."""
    if column not in columns:
        raise ValueError(f"{where} has no column {column!r}, but {', '.join(columns)}; {remedy}")


def encoded(value: Any, folder: Path) -> bytes | Path | None:
    """A picture of a cell, {bytes, path}, bytes, or a path, which begins at `folder`; None if the cell has none."""
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return value
    return folder / value if isinstance(value, str) and value else None
