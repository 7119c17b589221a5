"""Encode a gallery of pictures as the bundled styles of a model.

    python training/presets.py --model hfstyle/pretrained/base --gallery GALLERY

GALLERY holds pictures and gallery.csv with the columns file, title, artist, year, movement, licence (all but the first
may be empty). Of each picture FILE.jpg, MODEL/styles/FILE.safetensors is made. To be run whenever the weights change:
a style code belongs to the encoder that made it. What a code that is there already says of its work stays, whichever
encoder made it; the gallery only fills what it leaves open. Works without a year are left out, unless they are there.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hfstyle._presets import STYLES_FOLDER
from hfstyle.pipeline import DEFAULT_STYLE_SIZE, StyleTransferPipeline
from hfstyle.style import StyleCode, StyleCodeError

COLUMNS = ("title", "artist", "year", "movement", "licence")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0, or 1 if a picture failed or the gallery cannot be used."""
    args = _parse(argv)
    try:
        rows = read_gallery(args.gallery)
        pipe = StyleTransferPipeline.from_pretrained(args.model)
    except (OSError, ValueError) as error:
        print(f"presets: error: {error}", file=sys.stderr)
        return 1
    folder = args.model / STYLES_FOLDER
    known = known_metadata(folder)
    written = failures = 0
    for row in rows:
        picture = args.gallery / row["file"]
        metadata = {key: row[key] for key in COLUMNS if row.get(key)} | known.get(picture.stem, {})
        if "year" not in metadata and picture.stem not in known:
            print(f"presets: {row['file']} is left out: {args.gallery}/gallery.csv has no year")
            continue
        try:
            code = pipe.encode_style(picture, style_size=args.style_size, metadata=metadata)
            code.save(folder / f"{picture.stem}.safetensors")
            written += 1
        except (OSError, ValueError) as error:
            failures += 1
            print(f"presets: error: {error}", file=sys.stderr)
    removed = remove_stale(folder, pipe.generator.encoder_fingerprint())
    files = list(folder.glob("*.safetensors"))
    print(
        f"{written} styles written to {folder}, {removed} of other encoders removed; "
        f"it holds {len(files)}, {sum(file.stat().st_size for file in files) / 1e6:.2f} MB"
    )
    return 1 if failures else 0


def read_gallery(folder: Path) -> list[dict[str, str]]:
    """Rows of gallery.csv, spaces stripped, titles with a capital first letter.

    Raises:
        FileNotFoundError: no gallery.csv.
        ValueError: no column "file", no rows, a row without a file, or two files of one name.
    """
    path = folder / "gallery.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; it lists the pictures of the gallery")
    with open(path, encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        if "file" not in (reader.fieldnames or []):
            raise ValueError(f"{path} has no column 'file' but {reader.fieldnames}")
        rows = [{k: (v or "").strip() for k, v in row.items() if k is not None} for row in reader]
    if not rows:
        raise ValueError(f"{path} lists no pictures")
    seen: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        if not row["file"]:
            raise ValueError(f"{path}: row {line} names no file")
        name = Path(row["file"]).stem
        if name in seen:
            raise ValueError(f"{path}: {seen[name]} and {row['file']} would both be {name!r}")
        seen[name] = row["file"]
        if title := row.get("title"):
            row["title"] = title[0].upper() + title[1:]
    return rows


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


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model", type=Path, required=True, help="folder with config.json and model.safetensors"
    )
    parser.add_argument(
        "--gallery", type=Path, required=True, help="folder with gallery.csv and pictures"
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
