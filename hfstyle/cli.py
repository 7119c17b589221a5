"""The command `hfstyle`: its arguments and exit codes. What the commands do is in `hfstyle._commands`.

Exit codes: 0 all done, 1 something failed, 2 the command line is wrong, 130 interrupted by Ctrl-C or SIGTERM.
Torch is imported by the commands that need it, not for `--help`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Any, Final, NoReturn

from hfstyle import __version__
from hfstyle._terminal import UsageError, reason

__all__ = ["main"]

_EXAMPLES: Final = """\
examples:
  hfstyle demo                                             a bundled photo in a bundled style
  hfstyle stylize photo.jpg --style painting.jpg -o out.png
  hfstyle stylize holiday/ --style starry_night_van_gogh --strength 0.8 -o painted/
  hfstyle styles                                           names of the bundled styles

`hfstyle COMMAND --help` explains a command. Exit codes: 0 all done, 1 something failed,
2 wrong usage, 130 interrupted.
"""

_STYLIZE: Final = """\
Paint photos in the style of a picture. The result has the size of the photo. The paths of
the files written are printed on standard output.

A STYLE is a picture, a style code (*.safetensors, made by `hfstyle encode`), the name of
a bundled style (`hfstyle styles`), words:TEXT, or random:SEED. With several --style, each photo
is painted in each style; with --style-weights, in their mixture.
"""

_STYLIZE_EXAMPLES: Final = """\
examples:
  hfstyle stylize photo.jpg --style painting.jpg -o out.png
  hfstyle stylize photo.jpg --style painting.jpg --strength 0.5 -o out.jpg
  hfstyle stylize *.jpg --style great_wave_hokusai -o painted/
  hfstyle stylize holiday/ --recursive --style monet.style.safetensors -o painted/
  hfstyle stylize photo.jpg --style a.jpg --style b.jpg --style-weights 0.7,0.3 -o mix.png
  hfstyle stylize photo.jpg --style a.jpg --region sky.png b.jpg -o two.png
  curl -s https://example.org/photo.jpg | hfstyle stylize - --style a.jpg -o - > out.png
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"hfstyle: error: {message}\nTry: {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        argv: arguments without the program's name; None takes those of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, TextIOWrapper
        ):  # names of files that are not text in the locale's encoding
            stream.reconfigure(errors="surrogateescape")
    debug = False
    before = _stop_as_by_ctrl_c()
    try:
        args = _parser().parse_args(argv)
        debug = args.debug
        command = getattr(import_module("hfstyle._commands"), args.command.replace("-", "_"))
        code: int = command(args)
        sys.stdout.flush()
        return code
    except SystemExit as exit_:  # argparse, after its message
        return exit_.code if isinstance(exit_.code, int) else 1
    except KeyboardInterrupt:
        print("hfstyle: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `hfstyle styles | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(f"hfstyle: error: {reason(error)}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _stop_as_by_ctrl_c() -> Any:
    """Makes SIGTERM end the program in order, without half a file; returns what it did before, None if it cannot be."""
    if threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGTERM, signal.default_int_handler)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="hfstyle",
        description="Paint a photo in the style of any picture, by a conditional GAN.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"hfstyle {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (
        *(_add_stylize, _add_encode, _add_styles, _add_info),
        *(_add_path, _add_explain),
        *(_add_demo, _add_benchmark, _add_evaluate, _add_export_onnx),
    ):
        command = add(commands)
        command.add_argument(
            "--debug", action="store_true", help="show where in the program an error arose"
        )
    return parser


_Commands = argparse._SubParsersAction  # it has no public name


def _add(commands: _Commands[_Parser], name: str, summary: str, about: str, epilog: str) -> _Parser:
    return commands.add_parser(
        name,
        help=summary,
        description=about,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _add_stylize(commands: _Commands[_Parser]) -> _Parser:
    parser = _add(commands, "stylize", "paint photos in a style", _STYLIZE, _STYLIZE_EXAMPLES)
    parser.add_argument(
        "photos", nargs="+", metavar="PHOTO", help="pictures, folders of pictures, or - (stdin)"
    )
    parser.add_argument(
        "-s",
        "--style",
        action="append",
        metavar="STYLE",
        help="picture, style code or name of a bundled style; may be given several times. May be left "
        "out with --region, whose surroundings then stay as they are",
    )
    parser.add_argument(
        "--style-words",
        action="append",
        metavar="TEXT",
        help='a style by words, as "soft watercolour of a misty lake"; the same as --style words:TEXT',
    )
    parser.add_argument(
        "--style-weights",
        type=_weights,
        metavar="W,W,...",
        help="mix the styles with these shares (>= 0, divided by their sum), e.g. 0.7,0.3",
    )
    parser.add_argument(
        "-o",
        "--output",
        default=".",
        metavar="OUT",
        help="file to write: .png .jpg .webp .tif .avif; or a folder, in which files are named "
        "PHOTO__STYLE.png; or - (stdout); default: the current folder. An existing file is "
        "replaced unless it is one of the inputs",
    )
    parser.add_argument(
        "--strength",
        type=_number(0.0, 1.0),
        default=1.0,
        metavar="X",
        help="0 (the photo itself) to 1 (the full style, default)",
    )
    parser.add_argument(
        "--color",
        type=_number(0.0, 1.0),
        default=1.0,
        metavar="X",
        help="0 (the photo's own palette) to 1 (the style's, default)",
    )
    parser.add_argument(
        "--region",
        action="append",
        nargs=2,
        metavar=("MASK", "STYLE"),
        help="paint another style where the picture MASK is white; may be given several times, later "
        "ones lie over earlier ones. --strength and --color hold for all",
    )
    parser.add_argument(
        "--feather",
        type=_number(0.0, 0.5),
        default=0.01,
        metavar="X",
        help="width of the soft edges of regions, in short sides of the photo (default: 0.01)",
    )
    parser.add_argument(
        "--size",
        type=_size,
        default="auto",
        metavar="N",
        help="short side in pixels, from 64, at which the photo is painted; the result is brought "
        "back to the photo's size with its fine detail. Smaller is faster and paints broader "
        "strokes. 'full' paints at the photo's size; default: the same, but at most 1080",
    )
    parser.add_argument(
        "--tile-size",
        type=_tile_size,
        default="auto",
        metavar="N",
        help="side in pixels, from 64, of the tiles in which larger photos are painted, to need less "
        "memory; the result is the same. 'off' paints in one piece; default: 1024 if the photo is "
        "painted at more than 2048 x 2048 pixels",
    )
    _add_style_size(parser)
    parser.add_argument(
        "--format",
        choices=("png", "jpg", "webp", "tif", "avif"),
        default="png",
        help="of files in an output folder and on stdout (default: png)",
    )
    parser.add_argument(
        "--quality",
        type=_whole(1, 100),
        default=95,
        metavar="Q",
        help="1 to 100, of JPEG, WebP and AVIF (default: 95)",
    )
    parser.add_argument(
        "--recursive", action="store_true", help="also take pictures in subfolders of folders"
    )
    parser.add_argument(
        "--no-overwrite",
        action="store_true",
        help="leave files that exist already and do not paint them again: continues an "
        "interrupted run",
    )
    parser.add_argument(
        "--keep-alpha",
        action="store_true",
        help="keep transparency (PNG, WebP, TIFF) instead of laying it over white",
    )
    parser.add_argument(
        "--keep-exif",
        action="store_true",
        help="copy date, camera and author from the photo's EXIF data (default: leave them out)",
    )
    parser.add_argument(
        "--keep-gps",
        action="store_true",
        help="as --keep-exif, and the place where the photo was taken",
    )
    _add_model(parser)
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="no progress bar, no list of files written"
    )
    return parser


def _add_encode(commands: _Commands[_Parser]) -> _Parser:
    parser = _add(
        commands,
        "encode",
        "save the style of pictures as a style code",
        "Save the style of a picture as a small file, which `hfstyle stylize --style` takes in\n"
        "place of the picture. Of several pictures, the mean of their styles.\n",
        "examples:\n"
        "  hfstyle encode painting.jpg -o painting.style.safetensors\n"
        "  hfstyle encode monet/ -o monet.style.safetensors --artist 'Claude Monet'\n",
    )
    parser.add_argument(
        "pictures",
        nargs="+",
        metavar="PICTURE",
        help="pictures, folders of pictures, style codes, or - (stdin)",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="file to write, named *.safetensors; default: NAME.style.safetensors here",
    )
    parser.add_argument(
        "--collection",
        action="store_true",
        help="also write a picture beside FILE with a photo in the style that was made",
    )
    parser.add_argument(
        "--clusters",
        type=_whole(1, None),
        default=1,
        metavar="K",
        help="write K styles, FILE with a number: the means of groups of alike pictures",
    )
    parser.add_argument("--photo", metavar="FILE", help="of that picture (default: a bundled cat)")
    parser.add_argument("--name", help="of the style (default: the picture's file name)")
    for key in ("title", "artist", "year", "licence"):
        parser.add_argument(f"--{key}", help=f"{key} to keep in the file")
    _add_style_size(parser)
    parser.add_argument(
        "--recursive", action="store_true", help="also take pictures in subfolders of folders"
    )
    parser.add_argument(
        "--no-overwrite", action="store_true", help="fail if the file exists already"
    )
    _add_model(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing")
    return parser


def _add_styles(commands: _Commands[_Parser]) -> _Parser:
    parser = _add(
        commands,
        "styles",
        "list the bundled styles",
        "List the styles that come with the model: their names, for `hfstyle stylize --style NAME`,\n"
        "with title, artist and year of the picture they were made from.\n",
        "",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument(
        "--search",
        metavar="TEXT",
        help="those that words describe, best first: movements, artists, techniques, colours, textures",
    )
    parser.add_argument(
        "--count", type=_whole(1, None), default=10, metavar="N", help="of a search (default: 10)"
    )
    parser.add_argument(
        "--preview", metavar="FILE", help="write a picture with a photo in each of the styles there"
    )
    parser.add_argument("--photo", metavar="FILE", help="of the preview (default: a bundled cat)")
    _add_model(parser, runs=False)
    return parser


def _add_path(commands: _Commands[_Parser]) -> _Parser:
    parser = _add(
        commands,
        "path",
        "animate a photo from style to style",
        "Paint a photo in mixtures along the way from each style to the next, and write the pictures\n"
        "as an animation, which plays forth and back. MP4 needs the program ffmpeg.\n",
        "examples:\n"
        "  hfstyle path photo.jpg -s great_wave_hokusai -s starry_night_van_gogh -o path.gif\n",
    )
    parser.add_argument("photo", metavar="PHOTO", help="picture")
    parser.add_argument(
        "-s",
        "--style",
        action="append",
        required=True,
        metavar="STYLE",
        help="as in `hfstyle stylize`; two or more",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="animation to write: .gif or .mp4"
    )
    parser.add_argument(
        "--steps", type=_whole(2, 1000), default=16, metavar="N", help="pictures (default: 16)"
    )
    parser.add_argument(
        "--fps",
        type=_number(0.1, 50.0),
        default=8.0,
        metavar="X",
        help="pictures per second (default: 8)",
    )
    parser.add_argument(
        "--close",
        action="store_true",
        help="go on from the last style to the first, round and round",
    )
    parser.add_argument(
        "--strength", type=_number(0.0, 1.0), default=1.0, metavar="X", help="0 to 1 (default)"
    )
    parser.add_argument(
        "--color", type=_number(0.0, 1.0), default=1.0, metavar="X", help="0 to 1 (default)"
    )
    parser.add_argument(
        "--size",
        type=_whole(64, None),
        default=384,
        metavar="N",
        help="short side of the animation in pixels, at most that of the photo (default: 384)",
    )
    _add_style_size(parser)
    _add_model(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing")
    return parser


def _add_explain(commands: _Commands[_Parser]) -> _Parser:
    parser = _add(
        commands,
        "explain",
        "show what each part of a photo takes from a style",
        "Write a picture in which each part of the style has a colour, and each place of the photo the\n"
        "colour of the parts that it attended to; and print which bundled styles are like the style.\n",
        "",
    )
    parser.add_argument("photo", metavar="PHOTO", help="picture")
    parser.add_argument(
        "-s", "--style", required=True, metavar="STYLE", help="as in `hfstyle stylize`"
    )
    parser.add_argument(
        "-o",
        "--output",
        default="explained.png",
        metavar="FILE",
        help="picture to write (default: explained.png)",
    )
    parser.add_argument(
        "--count",
        type=_whole(1, None),
        default=5,
        metavar="N",
        help="of nearest styles (default: 5)",
    )
    _add_style_size(parser)
    _add_model(parser)
    return parser


def _add_info(commands: _Commands[_Parser]) -> _Parser:
    parser = _add(
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
    _add_model(parser, runs=False)
    return parser


def _add_demo(commands: _Commands[_Parser]) -> _Parser:
    parser = _add(
        commands,
        "demo",
        "paint a bundled photo in a bundled style",
        "Paint an example photo of scikit-image (pip install 'hfstyle[examples]') in a bundled\n"
        "style, and write photo and result side by side.\n",
        "",
    )
    parser.add_argument(
        "-o",
        "--output",
        default="hfstyle-demo.png",
        metavar="FILE",
        help="picture to write (default: hfstyle-demo.png)",
    )
    parser.add_argument(
        "--photo",
        default="astronaut",
        metavar="NAME",
        help="astronaut (default), chelsea (a cat), coffee or rocket",
    )
    parser.add_argument(
        "-s",
        "--style",
        metavar="STYLE",
        help="as in `hfstyle stylize` (default: starry_night_van_gogh)",
    )
    parser.add_argument(
        "--strength",
        type=_number(0.0, 1.0),
        default=1.0,
        metavar="X",
        help="0 (the photo itself) to 1 (the full style, default)",
    )
    _add_model(parser)
    return parser


def _add_benchmark(commands: _Commands[_Parser]) -> _Parser:
    parser = _add(
        commands,
        "benchmark",
        "measure time and memory on this machine",
        "Measure how long it takes to paint square pictures, pixels in to pixels out, and to encode\n"
        "a style. Each line is a process of its own, so that its peak memory is its own.\n",
        "",
    )
    parser.add_argument(
        "--sizes",
        type=_whole(32, None),
        nargs="+",
        default=[512, 1024],
        metavar="N",
        help="sides in pixels (default: 512 1024)",
    )
    parser.add_argument(
        "--threads",
        type=_whole(1, None),
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
        type=_whole(1, None),
        default=5,
        metavar="N",
        help="runs, of which the median is shown, after one to warm up (default: 5)",
    )
    parser.add_argument("--json", metavar="FILE", help="also write the numbers there; - is stdout")
    _add_model(parser, several_dtypes=True)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    return parser


def _add_evaluate(commands: _Commands[_Parser]) -> _Parser:
    parser = _add(
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
        type=_number(0.0, 1.0),
        nargs="+",
        metavar="X",
        help="0 to 1, at which the model paints; each is measured (default: 1)",
    )
    _add_style_size(parser)
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
    _add_model(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    return parser


def _add_export_onnx(commands: _Commands[_Parser]) -> _Parser:
    parser = _add(
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
    _add_model(parser, runs=False)
    parser.add_argument("-q", "--quiet", action="store_true", help="no list of files written")
    return parser


def _add_style_size(parser: _Parser) -> None:
    parser.add_argument(
        "--style-size",
        type=_whole(64, 4096),
        default=384,
        metavar="N",
        help="short side in pixels, 64 to 4096, at which style pictures are looked at: larger "
        "makes broader strokes (default: 384)",
    )


def _add_model(parser: _Parser, *, runs: bool = True, several_dtypes: bool = False) -> None:
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        metavar="MODEL",
        help="folder with config.json and model.safetensors, or Hugging Face Hub id 'user/model' "
        "(default: the weights that come with hfstyle)",
    )
    group.add_argument("--revision", help="branch, tag or commit of the Hub repository")
    if not runs:
        return
    group.add_argument(
        "--device",
        default="auto",
        help="cpu, cuda, cuda:1 ... (default: cuda if there is one, else cpu)",
    )
    types = ("float32", "bfloat16", "float16")
    if several_dtypes:
        group.add_argument(
            "--dtype",
            choices=types,
            nargs="+",
            default=["float32"],
            help="types of the arithmetic (default: float32); float16 needs cuda",
        )
    else:
        group.add_argument(
            "--dtype",
            choices=types,
            default="float32",
            help="type of the arithmetic (default: float32); float16 needs cuda",
        )


def _whole(least: int, most: int | None) -> Callable[[str], int]:
    limits = f"from {least} up" if most is None else f"from {least} to {most}"

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {limits}")
        return value

    return parse


def _number(least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
        return value

    return parse


def _size(text: str) -> int | str:
    if text in ("auto", "full"):
        return text
    try:
        return _whole(64, None)(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, 'full' or 'auto'") from None


def _tile_size(text: str) -> int | str | None:
    if text in ("auto", "off"):
        return None if text == "off" else text
    try:
        return _whole(64, None)(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, 'off' or 'auto'") from None


def _weights(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of numbers with commas, like 0.7,0.3"
        ) from None
