"""`hfstyle evaluate`: measures of a model or of pictures, as a table, JSON or a page."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from hfstyle.cli.evaluate_film import add_video_measures, evaluate_video
from hfstyle.cli.options import Commands, Parser, add_command, add_model, add_style_size, number
from hfstyle.cli.terminal import Progress, print_json
from hfstyle.messages import UsageError

__all__ = ["add_evaluate", "evaluate"]

_PICTURES_IN_HTML: Final = 400
_NAMES_IN_A_MESSAGE: Final = 10


def evaluate(args: argparse.Namespace) -> int:
    """Measure, print a table, and write the numbers as JSON and the pictures as a page."""
    if args.video is not None:
        return evaluate_video(args)
    if args.prepare is not None:
        return _prepare(args)
    if args.contents is None or args.styles is None:
        raise UsageError("give --contents and --styles, or --video")
    from hfstyle.cli.model import load_pipeline, model_files
    from hfstyle.cli.targets import check_output, same_place
    from hfstyle.evaluation.evaluate import evaluate as run_evaluation
    from hfstyle.evaluation.evaluate import read_pairs
    from hfstyle.evaluation.network_files import load_networks
    from hfstyle.evaluation.report import format_report, write_html
    from hfstyle.files import write_json, write_text
    from hfstyle.models.devices import chosen_device

    folders = [args.contents, args.styles, *args.outputs, *args.networks]
    paints = not args.outputs or args.model is not None or args.strength is not None
    files = [args.pairs, *args.networks, *model_files(args)]
    for option, file in (("--json", args.json), ("--html", args.html)):
        if file not in (None, "-"):
            check_output(file, files, option=option, folders=folders)
    if args.html is not None and args.json is not None and same_place(args.html, args.json):
        raise UsageError(f"--html and --json are both {args.html}; give two files")
    pairs = None if args.pairs is None else read_pairs(args.pairs)
    networks = load_networks(args.networks)
    progress: Progress | None = None

    def show(done: int, total: int) -> None:
        nonlocal progress
        progress = progress or Progress(total, args.quiet)
        progress.step()
        progress.show()

    try:
        evaluation = run_evaluation(
            args.contents,
            args.styles,
            args.outputs,
            pipeline=load_pipeline(args) if paints else None,
            pairs=pairs,
            strengths=args.strength or (1.0,),
            style_size=args.style_size,
            also=args.also,
            networks=networks,
            device=chosen_device(args.device),
            thumbnails=0 if args.html is None else _PICTURES_IN_HTML,
            progress_callback=show,
        )
    finally:
        if progress is not None:
            progress.clear()
    report = evaluation.report
    if args.json == "-":
        print_json(report)
    else:
        print(format_report(report))
    if args.json not in (None, "-"):
        write_json(args.json, report)
    if args.html is not None:
        write_text(args.html, write_html(evaluation))
    for name in networks.unknown:
        print(f"hfstyle: warning: {name} is no known feature network", file=sys.stderr)
    missing = report["missing"]
    if missing:
        more = len(missing) - _NAMES_IN_A_MESSAGE
        names = ", ".join(missing[:_NAMES_IN_A_MESSAGE]) + (f" and {more} more" if more > 0 else "")
        print(
            f"hfstyle: error: {' '.join(args.outputs)}: no output for {names}; --pairs says which are meant",
            file=sys.stderr,
        )
    return 1 if missing else 0


def _prepare(args: argparse.Namespace) -> int:
    """Write the photos that other programs paint, and print their names."""
    if args.contents is None:
        raise UsageError("--prepare needs --contents, the photos")
    from hfstyle.evaluation.evaluate import write_photos

    for file in write_photos(args.contents, args.prepare):
        print(file)
    return 0


def add_evaluate(commands: Commands[Parser]) -> Parser:
    parser = add_command(
        commands,
        "evaluate",
        "measure how good stylised pictures are",
        "Measure painted pictures, or those that a model paints: LPIPS, SSIM, PSNR, content and\n"
        "style distance, palette, FID, ArtFID, CFSD, diversity. Pictures are named by their files\n"
        "without suffix. Measures that need a network are there only if --networks gives it.\n"
        "With --video: how much painted films flicker, against the film's own motion.\n",
        "examples:\n"
        "  hfstyle evaluate --contents photos/ --styles paintings/ --strength 0.5 1\n"
        "  hfstyle evaluate --contents photos/ --styles paintings/ --outputs painted/ \\\n"
        "    --networks networks/ --json numbers.json --html report.html\n"
        "  hfstyle evaluate --contents photos/ --styles paintings/ --strength 0.25 0.5 0.75 1 \\\n"
        "    --outputs method_a/ method_b/ --also identity stability --networks networks/\n"
        "  hfstyle evaluate --video film.mp4 --style painting.jpg --end 2\n"
        "  hfstyle evaluate --video film.mp4 --painted a.mp4 frames_of_b/\n",
    )
    parser.add_argument("--contents", metavar="DIR", help="folder of photos")
    parser.add_argument("--styles", metavar="DIR", help="folder of style pictures")
    add_video_measures(parser)
    parser.add_argument(
        "--outputs",
        nargs="+",
        default=[],
        metavar="DIR",
        help="folder with pictures CONTENT__STYLE.png, as `hfstyle stylize -o DIR` names them; several "
        "are compared; with --strength or --model, the model is compared too; default: the model "
        "alone",
    )
    parser.add_argument(
        "--also",
        nargs="+",
        default=[],
        choices=("identity", "stability"),
        help="identity: paint each photo in its own style, too (CONTENT__CONTENT.png); stability: "
        "paint each pair before and after the photo moved (CONTENT.still__STYLE.png, "
        "CONTENT.moved__STYLE.png)",
    )
    parser.add_argument(
        "--prepare",
        metavar="DIR",
        help="only write there the photos that another program has to paint for --outputs and --also",
    )
    parser.add_argument(
        "--pairs",
        metavar="FILE",
        help='JSON [["CONTENT", "STYLE"], ...] or {"pairs": ...}; default: all combinations',
    )
    parser.add_argument(
        "--strength",
        type=number(0.0, 1.0),
        nargs="+",
        metavar="X",
        help="0 to 1, at which the model paints; each is measured (default: 1)",
    )
    add_style_size(parser)
    parser.add_argument(
        "--networks",
        nargs="+",
        default=[],
        metavar="SOURCE",
        help="safetensors files, folders of them or Hub ids of the networks that judge: SqueezeNet "
        "1.1 and its LPIPS heads, Inception-v3, VGG-19; recognised from their tensors",
    )
    parser.add_argument("--json", metavar="FILE", help="write all numbers there; - is stdout")
    parser.add_argument("--html", metavar="FILE", help="write a page with small pictures there")
    add_model(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    return parser
