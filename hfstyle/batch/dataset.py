"""Paint a whole data set, split over processes, so that it can be stopped at any time and go on.

    accelerate launch -m hfstyle.batch --dataset photos/ --style painting.jpg --output painted/

What is done is what stands in the output, written whole or not at all. A run that was killed goes on with the same
command, with any number of processes; what could not be painted is tried again and listed in report.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch

from hfstyle._arguments import dtype_of, working_size
from hfstyle._batch import find_style, style_label
from hfstyle._batch_results import FileResults, Results, TableResults
from hfstyle._batch_settings import FAILURES, begin, check_settings, style_sketch, write_json
from hfstyle._decode import size_of
from hfstyle._encode import WRITE_FORMATS
from hfstyle._options import Parser, add_model, add_style_size, number, weights, whole
from hfstyle._options import size as size_option
from hfstyle._paint_file import better_by_rows
from hfstyle._sources import Source, open_source
from hfstyle._terminal import Progress, UsageError, reason
from hfstyle.images import load_image
from hfstyle.pipeline import StyleTransferPipeline
from hfstyle.style import StyleCode

__all__ = ["BatchReport", "main", "stylize_dataset"]

_REPORT: Final = "report.json"


@dataclass
class BatchReport:
    """What a run left: numbers of pictures, and what is wrong with those that cannot be painted.

    painted: by this run, in all processes. earlier: by runs before it. failed: {"index", "name", "error"} of each.
    """

    painted: int
    earlier: int
    failed: list[dict[str, Any]] = field(default_factory=list)


def stylize_dataset(
    pipe: StyleTransferPipeline,
    dataset: str,
    styles: Sequence[StyleCode],
    output: str | os.PathLike[str],
    *,
    strength: float = 1.0,
    size: int | str = "auto",
    format: str = "png",
    quality: int = 95,
    keep_alpha: bool = False,
    split: str = "train",
    image_column: str = "image",
    dataset_revision: str | None = None,
    rows_per_file: int = 256,
    progress_callback: Callable[[int, int], None] | None = None,
) -> BatchReport:
    """Paint all pictures of a data set; run by each process of a launcher, or by one alone.

    Args:
        pipe: on the device of this process.
        dataset: folder of pictures, with its subfolders; folder, name or pattern of Parquet files; or a Hub id.
        styles: of this pipeline's encoder. Of several, picture number i gets number i modulo their count.
        output: folder. Pictures keep their names, or are numbered; PNG and TIFF files of large pictures in files are
            painted row by row (`StyleTransferPipeline.paint_file`); with `format` "parquet" it holds files of
            `rows_per_file` rows: `image` {bytes, path} (PNG), `index`, `style`, and the other columns of the data set.
        strength: in [0, 1].
        size: short side in pixels, from 64, at which the network runs; "full" is the picture's; "auto" at most 1080.
        format: "png", "jpg", "webp", "tif", "avif" or "parquet".
        quality: 1 to 100, of JPEG, WebP and AVIF.
        keep_alpha: keep transparency instead of laying it over white.
        split: of a data set of the Hub.
        image_column: of Parquet files and data sets of the Hub.
        dataset_revision: branch, tag or commit of a data set of the Hub.
        rows_per_file: rows that a Parquet file holds; what is painted is lost with a killed process until it is full.
        progress_callback: called as `progress_callback(done, total)` with the pictures of this process.

    Returns:
        The report, the same in all processes; the main process also writes it to report.json in `output`.

    Raises:
        ValueError: no such data set, an empty list of styles, or an output that was begun with other settings.
    """
    from accelerate import PartialState

    if not styles:
        raise ValueError("styles is empty; give at least one")
    state = PartialState()
    with state.main_process_first():  # downloads once
        source = open_source(
            dataset, split=split, image_column=image_column, revision=dataset_revision
        )
    folder = Path(output)
    results: Results
    if format == "parquet":
        results = TableResults(folder, source, styles, rows_per_file)
    elif f".{format}" in WRITE_FORMATS:
        results = FileResults(folder, source, f".{format}", quality)
    else:
        raise ValueError(f"format is {format!r}; give 'parquet' or a format of pictures, like png")
    settings = {
        "dataset": dataset,
        "pictures": len(source),
        "styles": [style_sketch(code) for code in styles],
        "strength": strength,
        "size": size,
        "format": format,
        "keep_alpha": keep_alpha,
    }
    check_settings(folder, settings)
    state.wait_for_everyone()  # all have looked before one writes
    if state.is_main_process:
        begin(folder, settings)
    state.wait_for_everyone()
    done = results.done()
    todo = [index for index in range(len(source)) if index not in done]
    state.wait_for_everyone()  # all have listed what is to do before one does it

    failed: list[dict[str, Any]] = []
    painted = 0
    with state.split_between_processes(todo) as own:
        try:
            for number, index in enumerate(own):
                try:
                    _paint(
                        pipe,
                        source,
                        index,
                        styles[index % len(styles)],
                        results,
                        strength=strength,
                        size=size,
                        keep_alpha=keep_alpha,
                    )
                    painted += 1
                except Exception as error:  # one bad picture stops none of the others
                    message = reason(error, source.name(index))
                    failed.append({"index": index, "name": source.name(index), "error": message})
                if progress_callback is not None:
                    progress_callback(number + 1, len(own))
        finally:  # Ctrl-C as well
            results.close()
    return _gather(folder, state, painted, len(done), failed)


def _paint(
    pipe: StyleTransferPipeline,
    source: Source,
    index: int,
    style: StyleCode,
    results: Results,
    *,
    strength: float,
    size: int | str,
    keep_alpha: bool,
) -> None:
    """Picture number `index`; a large one from file to file, which gives the same pixels."""
    encoded, name, file = source.read(index), source.name(index), results.file(index)
    if isinstance(encoded, Path) and file is not None and better_by_rows(encoded, file, name):
        file.parent.mkdir(parents=True, exist_ok=True)
        pipe.paint_file(
            encoded,
            file,
            style,
            strength,
            processing_resolution=working_size(size, min(size_of(encoded, name))),
            keep_alpha=keep_alpha,
        )
        return
    picture = load_image(encoded, keep_alpha=keep_alpha, name=name, compact=True)
    image = pipe(
        picture,
        style,
        strength,
        processing_resolution=working_size(size, min(picture.size)),
        keep_alpha=keep_alpha,
    ).images[0]
    results.add(index, image)


def _gather(
    folder: Path, state: Any, painted: int, earlier: int, failed: list[dict[str, Any]]
) -> BatchReport:
    """The report of all processes, by files: a folder is what they share in any case."""
    own = {"painted": painted, "failed": failed}
    write_json(folder / FAILURES.format(state.process_index), own)
    state.wait_for_everyone()
    files = [folder / FAILURES.format(rank) for rank in range(state.num_processes)]
    parts = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    bad = sorted((item for part in parts for item in part["failed"]), key=lambda f: f["index"])
    report = BatchReport(sum(part["painted"] for part in parts), earlier, bad)
    state.wait_for_everyone()
    if state.is_main_process:
        numbers = {"painted": report.painted, "earlier": earlier, "failed": bad}
        write_json(folder / _REPORT, numbers)
        for file in files:
            file.unlink()
    return report


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code: 0 all done, 1 some failed, 2 wrong usage."""
    args = _parser().parse_args(argv)
    try:
        return _run(args)
    except (UsageError, ValueError, OSError, ModuleNotFoundError) as error:
        print(f"hfstyle.batch: error: {reason(error)}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


def _run(args: argparse.Namespace) -> int:
    from accelerate import PartialState

    on_cpus = "RANK" in os.environ and not torch.accelerator.is_available()
    state = PartialState(cpu=on_cpus)
    if "MASTER_ADDR" in os.environ and "RANK" not in os.environ and state.num_processes == 1:
        print(
            "hfstyle.batch: one process: `accelerate launch --cpu` starts no more, whatever --num_processes says; for "
            "N processes on CPUs use `torchrun --nproc_per_node N -m hfstyle.batch`",
            file=sys.stderr,
        )
    pipe = StyleTransferPipeline.from_pretrained(
        args.model,
        revision=args.revision,
        dtype=dtype_of(args.dtype),
        device=state.device if args.device == "auto" else args.device,
    )
    styles = [find_style(pipe, style, args.style_size) for style in args.style]
    if args.style_weights is not None:
        styles = [StyleCode.mix(styles, args.style_weights, style_label(args.style))]
    progress: Progress | None = None

    def show(done: int, total: int) -> None:
        nonlocal progress
        progress = progress or Progress(total, args.quiet or not state.is_main_process)
        progress.step()
        progress.show("pictures of this process" if state.num_processes > 1 else "")

    try:
        report = stylize_dataset(
            pipe,
            args.dataset,
            styles,
            args.output,
            strength=args.strength,
            size=args.size,
            format=args.format,
            quality=args.quality,
            keep_alpha=args.keep_alpha,
            split=args.split,
            image_column=args.image_column,
            dataset_revision=args.dataset_revision,
            rows_per_file=args.rows_per_file,
            progress_callback=show,
        )
    finally:
        if progress is not None:
            progress.clear()
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    if state.is_main_process:
        for item in report.failed:
            print(f"hfstyle.batch: error: {item['error']}", file=sys.stderr)
        if not args.quiet:
            print(
                f"{args.output}: {report.painted} painted, {report.earlier} were there, "
                f"{len(report.failed)} failed"
            )
    return 1 if report.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="hfstyle.batch",
        description="Paint all pictures of a data set. The same command goes on after an interruption.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--dataset",
        required=True,
        help="folder of pictures or Parquet files, 'files/*.parquet', or a data set of the Hub",
    )
    parser.add_argument("--split", default="train", help="of a data set of the Hub")
    parser.add_argument("--dataset-revision", help="of a data set of the Hub")
    parser.add_argument(
        "--image-column", default="image", help="of Parquet files and data sets (default: image)"
    )
    parser.add_argument(
        "--style",
        action="append",
        required=True,
        help="picture, style code or name of a bundled style; of several, each picture gets one, by turns",
    )
    parser.add_argument("--style-weights", type=weights, metavar="W,W,...", help="mix the styles")
    parser.add_argument("--output", required=True, metavar="DIR", help="folder for the results")
    parser.add_argument(
        "--format",
        choices=("png", "jpg", "webp", "tif", "avif", "parquet"),
        default="png",
        help="of the results (default: png)",
    )
    parser.add_argument("--quality", type=whole(1, 100), default=95, help="of JPEG, WebP and AVIF")
    parser.add_argument("--strength", type=number(0.0, 1.0), default=1.0, help="0 to 1")
    parser.add_argument(
        "--size", type=size_option, default="auto", help="as of `hfstyle stylize` (default: auto)"
    )
    parser.add_argument("--keep-alpha", action="store_true", help="keep transparency")
    parser.add_argument(
        "--rows-per-file", type=whole(1, None), default=256, help="of Parquet files (default: 256)"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar, no summary")
    add_style_size(parser)
    add_model(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
