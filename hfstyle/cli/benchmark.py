"""`hfstyle benchmark`: time and memory as a table or JSON."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from hfstyle.cli.options import Commands, Parser, add_command, add_model, number, whole
from hfstyle.cli.terminal import Progress, print_json

__all__ = ["add_benchmark", "benchmark"]


def benchmark(args: argparse.Namespace) -> int:
    """Measure, print a table, and write the numbers as JSON."""
    from hfstyle.benchmark.run import format_results, run_benchmark, run_large_benchmark
    from hfstyle.cli.model import model_files
    from hfstyle.cli.targets import check_output
    from hfstyle.files import write_json
    from hfstyle.models.devices import chosen_device
    from hfstyle.models.generator import StyleGenerator

    device = chosen_device(args.device)
    runs = [len(args.dtype) if backend == "torch" else 1 for backend in args.backend]
    count = len(args.threads) * sum(len(args.sizes) * types + 1 for types in runs)
    if args.large is not None:
        args.large = args.large or [1, 4, 16, 64]
        count = len(args.threads) * len(args.dtype) * len(args.large)
    if args.json not in (None, "-"):
        check_output(args.json, model_files(args), option="--json")
    if args.model is not None:  # what is wrong with it is said once, not of every row
        StyleGenerator.from_pretrained(args.model, revision=args.revision)
    progress = Progress(count, args.quiet)

    def show(doing: str) -> None:
        progress.show(doing)
        progress.step()

    common: dict[str, Any] = {"threads": args.threads, "dtypes": args.dtype, "device": device}
    common |= {"model": args.model, "revision": args.revision, "progress_callback": show}
    if args.large is not None:
        report = run_large_benchmark(
            megapixels=args.large, tile_size=args.tile_size, repeats=args.repeats or 1, **common
        )
    else:
        report = run_benchmark(
            sizes=args.sizes,
            backends=args.backend,
            repeats=args.repeats or 5,
            profiled=args.profile,
            **common,
        )
    progress.clear()
    if args.json == "-":
        print_json(report)
    else:
        print(format_results(report))
    if args.json not in (None, "-"):
        write_json(args.json, report)
    failed = [result["error"] for result in report["results"] if "error" in result]
    for message in failed:
        print(f"hfstyle: error: {message}", file=sys.stderr)
    return 1 if failed else 0


def add_benchmark(commands: Commands[Parser]) -> Parser:
    parser = add_command(
        commands,
        "benchmark",
        "measure time and memory on this machine",
        "Measure how long it takes to paint square pictures, pixels in to pixels out, and to encode\n"
        "a style. Each line is a process of its own, so that its peak memory is its own.\n",
        "",
    )
    parser.add_argument(
        "--sizes",
        type=whole(32, None),
        nargs="+",
        default=[512, 1024],
        metavar="N",
        help="sides in pixels (default: 512 1024)",
    )
    parser.add_argument(
        "--threads",
        type=whole(1, None),
        nargs="+",
        default=[None],
        metavar="N",
        help="numbers of CPU threads (default: as torch chooses)",
    )
    parser.add_argument(
        "--backend",
        choices=("torch", "onnx"),
        nargs="+",
        default=["torch"],
        help="what runs the networks (default: torch); onnx: onnxruntime on the CPU in float32",
    )
    parser.add_argument(
        "--repeats",
        type=whole(1, None),
        metavar="N",
        help="runs, of which the median is shown, after one to warm up (default: 5; of --large 1)",
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="also say where the time goes, what share of the processor's peak the arithmetic reaches, and how much longer a "
        "call takes than the network alone (torch on a CPU)",
    )
    parser.add_argument(
        "--large",
        type=number(0.0625, 200.0),
        nargs="*",
        metavar="MP",
        help="instead, paint PNG files of these many times 1024 x 1024 pixels (default: 1 4 16 64) into PNG files in "
        "tiles, and fit how time grows with pixels; one run each unless --repeats is given",
    )
    parser.add_argument(
        "--tile-size",
        type=whole(64, None),
        default=512,
        metavar="N",
        help="side of the tiles of --large in pixels (default: 512)",
    )
    parser.add_argument("--json", metavar="FILE", help="also write the numbers there; - is stdout")
    add_model(parser, several_dtypes=True)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    return parser
