"""Pictures in Parquet files, as `datasets` writes them: the groups of rows, and what a cell of pictures holds.

Batches and training read them, each in its own order and with a memory of its own. pyarrow is imported when it is needed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Place", "RowGroups", "check_column", "encoded"]


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

    def __len__(self) -> int:
        return self._length

    def place(self, index: int) -> Place:
        """Of row number `index` of all."""
        group = bisect_right(self._starts, index) - 1
        file, _, first = self._groups[group]
        within = index - self._starts[group]
        return Place(group, file, first + within, within)

    def read(self, group: int, columns: list[str] | None = None) -> Any:
        """A group as a `pyarrow.Table`, of these columns or all."""
        import pyarrow.parquet as pq

        file, number, _ = self._groups[group]
        with pq.ParquetFile(file) as parquet:
            return parquet.read_row_group(number, columns=columns)


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
