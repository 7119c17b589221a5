"""Internal to `hfstyle.cli`: the arguments of the commands about models."""

from __future__ import annotations

from hfstyle._options import Commands, Parser, add_command, add_model, add_style_size, number, whole

__all__ = ["add_benchmark", "add_evaluate", "add_export_onnx", "add_info"]


def add_info(commands: Commands[Parser]) -> Parser:
    parser = add_command(
        commands,
        "info",
        "versions, model and devices; or what a style code holds",
        "Without FILE: versions of hfstyle, Python and torch, devices, threads, and the model's\n"
        "size, files and encoder fingerprint. With FILE: what that style code holds, and whether\n"
        "it belongs to the model.\n",
        "",
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="a style code, *.safetensors")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_model(parser, runs=False)
    return parser


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
        help="also say where the time goes, and what share of the processor's peak the arithmetic reaches (torch on a "
        "CPU)",
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


def add_evaluate(commands: Commands[Parser]) -> Parser:
    parser = add_command(
        commands,
        "evaluate",
        "measure how good stylised pictures are",
        "Measure painted pictures, or those that a model paints: LPIPS, SSIM, PSNR, content and\n"
        "style distance, palette, FID, ArtFID, CFSD. Pictures are named by their files without\n"
        "suffix. Measures that need a network are there only if --networks gives it.\n",
        "examples:\n"
        "  hfstyle evaluate --contents photos/ --styles paintings/ --strength 0.5 1\n"
        "  hfstyle evaluate --contents photos/ --styles paintings/ --outputs painted/ \\\n"
        "    --networks networks/ --json numbers.json --html report.html\n",
    )
    parser.add_argument("--contents", required=True, metavar="DIR", help="folder of photos")
    parser.add_argument("--styles", required=True, metavar="DIR", help="folder of style pictures")
    parser.add_argument(
        "--outputs",
        metavar="DIR",
        help="folder with pictures CONTENT__STYLE.png, as `hfstyle stylize -o DIR` names them; "
        "default: the model paints them",
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


def add_export_onnx(commands: Commands[Parser]) -> Parser:
    parser = add_command(
        commands,
        "export-onnx",
        "write a model as ONNX graphs",
        "Write the style encoder and the generator as ONNX graphs of any height and width, with the\n"
        "model's styles, into a folder for `StyleTransferPipeline.from_onnx`.\n",
        "",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="folder to write into; made if needed"
    )
    add_model(parser, runs=False)
    parser.add_argument("-q", "--quiet", action="store_true", help="no list of files written")
    return parser
