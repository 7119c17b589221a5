"""Encode a gallery of pictures as the bundled styles of a model.

    python training/publish/presets.py --model hfstyle/pretrained/base --gallery GALLERY \
        --works training/publish/presets.csv --pictures "style-train-*.parquet"

GALLERY holds pictures and gallery.csv with the columns file, title, artist, year, movement, licence (all but the first
and the year may be empty). Of each picture FILE.jpg, MODEL/styles/FILE.safetensors is made. To be run whenever the weights change:
a style code belongs to the encoder that made it.

WORKS is another table, of chosen works, with the columns name, picture, title, artist, year, movement, technique, licence.
`picture` says where a work is: "gallery" (GALLERY/NAME.jpg), "drawn" (the specimen NAME of training/publish/specimens.py), or
"TITLE|ARTIST", as those columns of PICTURES, Parquet files, name it. The table of the bundled styles is
training/publish/presets.csv; with the command above it makes all of them.

What the works' table says of a work comes first, then what a code that is there already says, whichever encoder made it,
then gallery.csv. Works of which none of them knows the year are left out, unless their codes are there.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from PIL import Image

from hfstyle.limits import DEFAULT_STYLE_SIZE
from hfstyle.parser import Parser
from hfstyle.pipeline import StyleTransferPipeline
from hfstyle.styles.code import StyleCode
from hfstyle.styles.code_file import StyleCodeError
from hfstyle.styles.listed import STYLES_FOLDER
from training.data.sources import DataError, ParquetSource, RawPicture, open_pictures
from training.publish.specimens import SPECIMENS

COLUMNS = ("title", "artist", "year", "movement", "technique", "licence")

Opener = Callable[[], "Path | bytes | Image.Image"]


@dataclass(frozen=True)
class Work:
    """A picture to encode: what the code is called, how to open the picture, and what is known of it."""

    name: str
    picture: Opener
    about: Mapping[str, str]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0, or 1 if a picture failed or the gallery cannot be used."""
    args = _parse(argv)
    try:
        works = {work.name: work for work in read_gallery(args.gallery)}
        chosen = [] if args.works is None else read_works(args.works, works, args.pictures)
        pipe = StyleTransferPipeline.from_pretrained(args.model)
    except (OSError, ValueError) as error:
        print(f"presets: error: {error}", file=sys.stderr)
        return 1
    folder = args.model / STYLES_FOLDER
    known = known_metadata(folder)
    told = {work.name: work.about for work in chosen}
    works.update((work.name, work) for work in chosen)
    written = failures = 0
    for name, work in works.items():
        about = {**work.about, **known.get(name, {}), **told.get(name, {})}
        if "year" not in about and name not in known:
            print(f"presets: {name} is left out: its year is not known")
            continue
        try:
            code = pipe.encode_style(
                work.picture(), style_size=args.style_size, name=name, metadata=about
            )
            code.save(folder / f"{name}.safetensors")
            written += 1
        except (OSError, ValueError) as error:
            failures += 1
            print(f"presets: error: {name}: {error}", file=sys.stderr)
    removed = remove_stale(folder, pipe.generator.encoder_fingerprint())
    files = list(folder.glob("*.safetensors"))
    print(
        f"{written} styles written to {folder}, {removed} of other encoders removed; "
        f"it holds {len(files)}, {sum(file.stat().st_size for file in files) / 1e6:.2f} MB"
    )
    return 1 if failures else 0


def read_gallery(folder: Path) -> list[Work]:
    """The works of gallery.csv, titles with a capital first letter.

    Raises:
        FileNotFoundError: no gallery.csv.
        ValueError: no column "file", no rows, a row without a file, or two files of one name.
    """
    path = folder / "gallery.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; it lists the pictures of the gallery")
    files: dict[str, str] = {}
    works = []
    for line, row in enumerate(_rows(path, ("file",)), start=2):
        if not row["file"]:
            raise ValueError(f"{path}: row {line} names no file")
        name = Path(row["file"]).stem
        if name in files:
            raise ValueError(f"{path}: {files[name]} and {row['file']} would both be {name!r}")
        files[name] = row["file"]
        if title := row.get("title"):
            row["title"] = title[0].upper() + title[1:]
        works.append(Work(name, partial(Path, folder / row["file"]), _about(row)))
    return works


def read_works(table: Path, gallery: Mapping[str, Work], pictures: str | None) -> list[Work]:
    """The works of a table such as training/publish/presets.csv.

    Args:
        table: a CSV file.
        gallery: works that rows with the picture "gallery" mean, by name.
        pictures: Parquet files with the columns title and artist, or a pattern.

    Raises:
        FileNotFoundError: no such table.
        ValueError: a column is missing, two rows have one name, or a row's picture is nowhere.
    """
    rows = _rows(table, ("name", "picture"))
    wanted = {row["picture"] for row in rows if "|" in row["picture"]}
    if wanted and pictures is None:
        raise ValueError(f"{table} takes works from Parquet files; name them with --pictures")
    found = _find(pictures, wanted) if pictures is not None else {}
    works: dict[str, Work] = {}
    for row in rows:
        name, place = row["name"], row["picture"]
        if name in works:
            raise ValueError(f"{table}: two rows are named {name!r}")
        if place == "gallery" and name in gallery:
            opener: Opener = gallery[name].picture
        elif place == "drawn" and name in SPECIMENS:
            opener = SPECIMENS[name]
        elif place in found:
            opener = partial(_data, found[place])
        else:
            raise ValueError(f"{table}: the picture {place!r} of {name!r} is nowhere")
        works[name] = Work(name, opener, _about(row))
    return list(works.values())


def known_metadata(folder: Path) -> dict[str, dict[str, str]]:
    """What the style codes in `folder` say of their works, by name of the file; whichever encoder made them."""
    known = {}
    for file in folder.glob("*.safetensors"):
        try:
            known[file.stem] = dict(StyleCode.load(file).metadata)
        except StyleCodeError as error:
            print(f"presets: {error}", file=sys.stderr)
    return known


def remove_stale(folder: Path, encoder: str) -> int:
    """Delete the style codes in `folder` that another encoder made, which this model cannot use; returns how many."""
    removed = 0
    for file in folder.glob("*.safetensors"):
        try:
            stale = StyleCode.load(file).encoder != encoder
        except StyleCodeError:
            continue  # not ours to delete
        if stale:
            file.unlink()
            removed += 1
    return removed


def _rows(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a CSV file that has the columns `needed`, spaces stripped."""
    with open(path, encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        for column in needed:
            if column not in (reader.fieldnames or []):
                raise ValueError(f"{path} has no column {column!r} but {reader.fieldnames}")
        rows = [{k: (v or "").strip() for k, v in row.items() if k is not None} for row in reader]
    if not rows:
        raise ValueError(f"{path} lists no pictures")
    return rows


def _about(row: Mapping[str, str]) -> dict[str, str]:
    return {key: row[key] for key in COLUMNS if row.get(key)}


def _find(pictures: str, wanted: set[str]) -> dict[str, RawPicture]:
    """The first picture of Parquet files whose "TITLE|ARTIST" is each of `wanted`."""
    import pyarrow.parquet as pq

    source = open_pictures(data_dir=pictures)
    if not isinstance(source, ParquetSource):
        raise DataError(f"{pictures!r} are no Parquet files")
    found: dict[str, RawPicture] = {}
    index = 0
    for file in source.files:
        rows: list[dict[str, Any]] = pq.read_table(file, columns=["title", "artist"]).to_pylist()
        for row in rows:
            key = f"{row['title'] or ''}|{row['artist'] or ''}"
            if key in wanted:
                found.setdefault(key, source[index])
            index += 1
    return found


def _data(raw: RawPicture) -> Path | bytes:
    return raw.data


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", type=Path, required=True, help="folder with config.json and model.safetensors"
    )
    parser.add_argument(
        "--gallery", type=Path, required=True, help="folder with gallery.csv and pictures"
    )
    parser.add_argument(
        "--works",
        type=Path,
        help="table of chosen works, as training/publish/presets.csv (default: none)",
    )
    parser.add_argument(
        "--pictures", help="Parquet files, or a pattern, that hold works of the table"
    )
    parser.add_argument(
        "--style_size",
        type=int,
        default=DEFAULT_STYLE_SIZE,
        help=f"short side in pixels at which pictures are looked at (default: {DEFAULT_STYLE_SIZE})",
    )
    args = parser.parse_args(argv)
    if not 64 <= args.style_size <= 4096:
        parser.error(f"--style_size is {args.style_size}; give 64 to 4096")
    return args


if __name__ == "__main__":
    sys.exit(main())
