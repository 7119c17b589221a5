"""`python -m hfstyle.batch`: the options of a batch, and its exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from hfstyle.batch.dataset import refuse_inputs_in, stylize_dataset
from hfstyle.cli.files import find_style, style_label
from hfstyle.cli.options import Parser, add_model, add_painting, numbers_of, weights, whole
from hfstyle.cli.streams import drop_output, flush_output, open_streams, output_trouble
from hfstyle.cli.terminal import Progress
from hfstyle.messages import UsageError, reason
from hfstyle.models.devices import chosen_device, dtype_of
from hfstyle.pipeline import StyleTransferPipeline
from hfstyle.regions import Region
from hfstyle.styles.code import StyleCode

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code: 0 all done, 1 some failed, 2 wrong usage."""
    open_streams()
    args = _parser().parse_args(argv)
    try:
        code = _run(args)
        flush_output(needed=False)
        return code
    except BrokenPipeError:  # the results are written, and nobody reads the summary
        drop_output()
        return 141
    except (UsageError, ValueError, OSError, ModuleNotFoundError) as error:
        told = output_trouble(error) or reason(error)
        print(f"hfstyle.batch: error: {told}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


def _run(args: argparse.Namespace) -> int:
    if args.workers is not None and args.engine != "ray":
        raise UsageError("--workers is for --engine ray; the launcher says how many processes")
    state = _only() if args.engine == "ray" else _of_launcher()
    pipe = StyleTransferPipeline.from_pretrained(
        args.model,
        revision=args.revision,
        dtype=dtype_of(args.dtype),
        device=state.device if args.device == "auto" else args.device,
    )
    refuse_inputs_in(Path(args.output), [*args.style, *(x for area in args.region for x in area)])
    styles = [find_style(pipe, style, args.style_size) for style in args.style]
    regions = [
        Region(
            Path(mask),
            None if style == "none" else find_style(pipe, style, args.style_size),
            args.strength,
            args.color,
            args.feather,
        )
        for mask, style in args.region
    ]
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
            **numbers_of(args),
            regions=regions,
            size=args.size,
            tile_size=args.tile_size,
            style_size=args.style_size,
            format=args.format,
            quality=args.quality,
            keep_alpha=args.keep_alpha,
            keep_exif=args.keep_exif,
            keep_gps=args.keep_gps,
            provenance=args.provenance,
            split=args.split,
            image_column=args.image_column,
            dataset_revision=args.dataset_revision,
            rows_per_file=args.rows_per_file,
            engine=args.engine,
            workers=args.workers,
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


def _only() -> Any:
    """The one process that asks Ray."""
    return SimpleNamespace(device=chosen_device("auto"), is_main_process=True, num_processes=1)


def _of_launcher() -> Any:
    """Which of the launcher's processes this is."""
    from accelerate import PartialState

    on_cpus = "RANK" in os.environ and not torch.accelerator.is_available()
    state = PartialState(cpu=on_cpus)
    if "MASTER_ADDR" in os.environ and "RANK" not in os.environ and state.num_processes == 1:
        print(
            "hfstyle.batch: one process: `accelerate launch --cpu` starts no more, whatever --num_processes says; for "
            "N processes on CPUs use `torchrun --nproc_per_node N -m hfstyle.batch`",
            file=sys.stderr,
        )
    return state


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="hfstyle.batch",
        description="Paint all pictures of a data set. The same command goes on after an interruption.",
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
    add_painting(parser, formats=("parquet",))
    parser.add_argument(
        "--rows-per-file", type=whole(1, None), default=256, help="of Parquet files (default: 256)"
    )
    parser.add_argument(
        "--engine",
        choices=("processes", "ray"),
        default="processes",
        help="who spreads the work: the launcher's processes (default), or Ray, on this machine or on the cluster "
        "that RAY_ADDRESS names",
    )
    parser.add_argument(
        "--workers",
        type=whole(1, None),
        metavar="N",
        help="processes of Ray (default: one for each core, or each GPU)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar, no summary")
    add_model(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
