"""Fit the space of styles of a model: what `pipe.sample_style` draws from and `pipe.find_styles` searches.

    python training/publish/style_space.py --model hfstyle/pretrained/base --style_data_dir "style-train-*.parquet"

Encodes all paintings, and writes MODEL/style_space.safetensors (below 1 MB): mean and principal directions of their codes,
and for each painting its coordinates, labels (columns title, artist and label, where the Parquet files have them) and words
for palette and texture. To be run whenever the weights change: a space belongs to the encoder whose codes it holds.

Pictures whose label is in `--exclude` are left out: by default "cartoon", in the project's data two stills of film
characters that are not free, and should be neither found nor drawn.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from hfstyle.limits import DEFAULT_STYLE_SIZE
from hfstyle.parser import Parser
from hfstyle.pipeline import StyleTransferPipeline
from hfstyle.styles.code import StyleCode
from hfstyle.styles.palette import picture_words
from hfstyle.styles.space import SPACE_FILE, StyleSpace
from training.data.sources import DataError, ParquetSource, decode_picture, open_pictures

_LABELS = {"title": "title", "artist": "artist", "label": "movement"}
_LONGEST_LABEL = 60  # characters
EXCLUDED = ("cartoon",)
"""Labels of pictures that are left out by default; the reason stands above."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0, or 1 if there is nothing to fit."""
    args = _parse(argv)
    try:
        pipe = StyleTransferPipeline.from_pretrained(args.model, device=args.device)
        codes, about, failures = encode_pictures(
            pipe, args.style_data_dir, args.style_size, args.exclude
        )
        for failure in failures:
            print(f"style_space: left out: {failure}", file=sys.stderr)
        parts = pipe.generator.encoder.parts
        space = StyleSpace.fit(codes, about, args.rank, args.token_rank, parts=parts)
    except (OSError, ValueError) as error:
        print(f"style_space: error: {error}", file=sys.stderr)
        return 1
    path = args.model / SPACE_FILE
    space.save(path)
    print(
        f"{len(space)} paintings in {space.directions.shape[0]} directions, which hold "
        f"{float(space.coordinates.var(0).sum()):.0%} of the variance of their codes (parts of "
        f"the vector and tokens weighted): {path}, {path.stat().st_size / 1e6:.2f} MB"
    )
    return 0


def encode_pictures(
    pipe: StyleTransferPipeline, place: str, style_size: int, exclude: Sequence[str] = EXCLUDED
) -> tuple[list[StyleCode], list[dict[str, str]], list[str]]:
    """Codes of all pictures, what is known of them, and messages about those that are excluded or cannot be read.

    Raises:
        DataError: no pictures are found.
    """
    source = open_pictures(data_dir=place)
    if not hasattr(source, "__len__"):
        raise DataError(f"{place!r} is streamed; give local pictures")
    labels = _labels(source) or [{}] * len(source)
    codes, about, failures = [], [], []
    for index in range(len(source)):
        if labels[index].get("movement") in exclude:
            failures.append(f"{source[index].name}: its label is {labels[index]['movement']!r}")
            continue
        try:
            pixels = decode_picture(source[index])
        except (DataError, OSError) as error:
            failures.append(str(error))
            continue
        rgb = torch.from_numpy(pixels).permute(2, 0, 1).float().div(255)  # (3, H, W)
        codes.append(pipe.encode_style(rgb, style_size=style_size))
        about.append({**labels[index], "words": " ".join(picture_words(rgb))})
    return codes, about, failures


def _labels(source: object) -> list[dict[str, str]]:
    """What the columns of Parquet files say of each row."""
    if not isinstance(source, ParquetSource):
        return []
    import pyarrow.parquet as pq

    rows: list[dict[str, str]] = []
    for file in source.files:
        parquet = pq.ParquetFile(file)
        columns = [name for name in _LABELS if name in parquet.schema_arrow.names]
        if not columns:
            rows += [{} for _ in range(parquet.metadata.num_rows)]
            continue
        for row in parquet.read(columns=columns).to_pylist():
            entries = {_LABELS[name]: str(row[name] or "").strip() for name in columns}
            rows.append({key: value[:_LONGEST_LABEL] for key, value in entries.items() if value})
    return rows


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", type=Path, required=True, help="folder with config.json and model.safetensors"
    )
    parser.add_argument(
        "--style_data_dir", required=True, help="Parquet files, a folder, or a pattern of either"
    )
    parser.add_argument(
        "--exclude",
        nargs="*",
        default=EXCLUDED,
        metavar="LABEL",
        help=f"leave pictures with these labels out (default: {' '.join(EXCLUDED)})",
    )
    parser.add_argument(
        "--rank", type=int, default=96, help="directions that are kept of vectors (default: 96)"
    )
    parser.add_argument("--token_rank", type=int, default=24, help="and of tokens (default: 24)")
    parser.add_argument(
        "--style_size",
        type=int,
        default=DEFAULT_STYLE_SIZE,
        help=f"short side in pixels at which pictures are looked at (default: {DEFAULT_STYLE_SIZE})",
    )
    parser.add_argument("--device", default="cpu", help="where the encoder runs (default: cpu)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
