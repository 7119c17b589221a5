"""Internal to `hfstyle.batch`: where painted pictures go, whole or not at all, and which are there already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from hfstyle.files import as_utf8, folded, merges_names, safe_name, short_digest, whole_file
from hfstyle.images.save import encode_image, save_image
from hfstyle.images.sources import Source
from hfstyle.styles.code import StyleCode

__all__ = ["FileResults", "Results", "TableResults"]


class Results(Protocol):
    """Where painted pictures go, and which are there."""

    def done(self) -> set[int]: ...

    def add(
        self, index: int, image: Any, exif: bytes | None = None, xmp: bytes | None = None
    ) -> None: ...

    def file(self, index: int) -> Path | None:
        """The file that a picture has for itself, or None."""
        ...

    def close(self) -> None: ...


class FileResults:
    """One file for each picture."""

    def __init__(self, folder: Path, source: Source, suffix: str, quality: int) -> None:
        self._folder, self._source = folder, source
        self._suffix, self._quality = suffix, quality
        times = Counter(folded(source.stem(index)) for index in range(len(source)))
        alike = {name for name, count in times.items() if count > 1}
        self._alike = alike if alike and merges_names(folder) else set()

    def file(self, index: int) -> Path:
        """Of a name of its own, if the file system takes a.jpg and A.jpg for one, too."""
        whole = self._source.stem(index)
        *folders, stem = Path(whole).parts
        if folded(whole) in self._alike:
            stem += f"-{short_digest(whole)}"
        place = self._folder.joinpath(*(safe_name(part, unique=True) for part in folders))
        return place / f"{safe_name(stem, room=len(self._suffix), unique=True)}{self._suffix}"

    def done(self) -> set[int]:
        return {index for index in range(len(self._source)) if self.file(index).exists()}

    def add(
        self, index: int, image: Any, exif: bytes | None = None, xmp: bytes | None = None
    ) -> None:
        path = self.file(index)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_image(image, path, quality=self._quality, exif=exif, xmp=xmp)

    def close(self) -> None:
        """Everything is written already."""


class TableResults:
    """Parquet files, each named after the first index in it, which no other file can have."""

    def __init__(
        self, folder: Path, source: Source, styles: Sequence[StyleCode], rows_per_file: int
    ) -> None:
        self._folder, self._source, self._styles = folder, source, styles
        self._rows_per_file = rows_per_file
        self._rows: list[Any] = []
        self._first = 0

    def done(self) -> set[int]:
        import pyarrow.parquet as pq

        found: set[int] = set()
        for file in self._folder.glob("painted-*.parquet"):
            found.update(pq.read_table(file, columns=["index"])["index"].to_pylist())
        return found

    def add(
        self, index: int, image: Any, exif: bytes | None = None, xmp: bytes | None = None
    ) -> None:
        import pyarrow as pa

        row = self._source.columns(index)
        value = {
            "bytes": encode_image(image, ".png", exif=exif, xmp=xmp),
            "path": f"{as_utf8(self._source.stem(index))}.png",
        }
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        own = {
            "image": pa.array([value], kind),
            "index": pa.array([index], pa.int64()),
            "style": pa.array([self._styles[index % len(self._styles)].name], pa.string()),
        }
        known = [name for name in row.column_names if name not in own]
        own |= {name: row[name] for name in known}
        self._rows.append(pa.table(own))
        if len(self._rows) == 1:
            self._first = index
        if len(self._rows) >= self._rows_per_file:
            self.close()

    def file(self, index: int) -> None:
        """None: pictures share them."""

    def close(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self._rows:
            return
        final = self._folder / f"painted-{self._first:09d}.parquet"
        table = pa.concat_tables(self._rows, promote_options="permissive")
        with whole_file(final) as stream:
            pq.write_table(_as_pictures(table), stream, row_group_size=64)
        self._rows = []


def _as_pictures(table: Any) -> Any:
    """Tells `datasets` that the column `image` holds pictures."""
    import datasets

    features = datasets.Features.from_arrow_schema(table.schema)
    features["image"] = datasets.Image()
    return table.cast(features.arrow_schema)
