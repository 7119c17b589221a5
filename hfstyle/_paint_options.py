"""Internal to `hfstyle.cli`: the arguments of the commands that paint."""

from __future__ import annotations

from typing import Final

from hfstyle._options import (
    Commands,
    Parser,
    add_command,
    add_model,
    add_style_size,
    number,
    size,
    tile_size,
    weights,
    whole,
)
from hfstyle._shapes import SHAPES

__all__ = ["add_demo", "add_path", "add_stylize"]

_STYLIZE: Final = """\
Paint photos in the style of a picture. The result has the size of the photo. The paths of
the files written are printed on standard output.

A STYLE is a picture, a style code (*.safetensors, made by `hfstyle encode`), the name of
a bundled style (`hfstyle styles`), words that describe it (words:TEXT for one alone), or
random:SEED. With several --style, each photo is painted in each style; with --style-weights,
in their mixture.
"""

_STYLIZE_EXAMPLES: Final = """\
examples:
  hfstyle stylize photo.jpg --style painting.jpg -o out.png
  hfstyle stylize photo.jpg --style painting.jpg --strength 0.5 -o out.jpg
  hfstyle stylize *.jpg --style great_wave_hokusai -o painted/
  hfstyle stylize holiday/ --recursive --style monet.style.safetensors -o painted/
  hfstyle stylize photo.jpg --style a.jpg --style b.jpg --style-weights 0.7,0.3 -o mix.png
  hfstyle stylize photo.jpg --style a.jpg --region sky.png b.jpg -o two.png
  hfstyle stylize photo.jpg --style a.jpg --region left-half b.jpg --feather 0.1 -o half.png
  curl -s https://example.org/photo.jpg | hfstyle stylize - --style a.jpg -o - > out.png
"""


def add_stylize(commands: Commands[Parser]) -> Parser:
    parser = add_command(
        commands, "stylize", "paint photos in a style", _STYLIZE, _STYLIZE_EXAMPLES
    )
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
        type=weights,
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
        type=number(0.0, 1.0),
        default=1.0,
        metavar="X",
        help="0 (the photo itself) to 1 (the full style, default)",
    )
    parser.add_argument(
        "--color",
        type=number(0.0, 1.0),
        default=1.0,
        metavar="X",
        help="0 (the photo's own palette) to 1 (the style's, default)",
    )
    parser.add_argument(
        "--region",
        action="append",
        nargs=2,
        metavar=("MASK", "STYLE"),
        help="paint another style where the picture MASK is white, 'none' leaves it as it is; MASK may also be one of "
        f"{', '.join(SHAPES)}. May be given several times, later ones lie over earlier ones. --strength and --color "
        "hold for all",
    )
    parser.add_argument(
        "--region-photo",
        action="append",
        nargs=3,
        dest="region",
        metavar=("MASK", "STYLE", "PHOTO"),
        help="as --region, and show another photo there",
    )
    parser.add_argument(
        "--feather",
        type=number(0.0, 0.5),
        default=0.01,
        metavar="X",
        help="width of the soft edges of regions, in short sides of the photo (default: 0.01)",
    )
    parser.add_argument(
        "--size",
        type=size,
        default="auto",
        metavar="N",
        help="short side in pixels, from 64, at which the photo is painted; the result is brought "
        "back to the photo's size with its fine detail. Smaller is faster and paints broader "
        "strokes. 'full' paints at the photo's size; default: the same, but at most 1080",
    )
    parser.add_argument(
        "--tile-size",
        type=tile_size,
        default="auto",
        metavar="N",
        help="side in pixels, from 64, of the tiles in which larger photos are painted, to need less "
        "memory; the result is the same. 'off' paints in one piece; default: 1024 if the photo is "
        "painted at more than 2048 x 2048 pixels",
    )
    add_style_size(parser)
    parser.add_argument(
        "--format",
        choices=("png", "jpg", "webp", "tif", "avif"),
        default="png",
        help="of files in an output folder and on stdout (default: png)",
    )
    parser.add_argument(
        "--quality",
        type=whole(1, 100),
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
    add_model(parser)
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="no progress bar, no list of files written"
    )
    return parser


def add_demo(commands: Commands[Parser]) -> Parser:
    parser = add_command(
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
        type=number(0.0, 1.0),
        default=1.0,
        metavar="X",
        help="0 (the photo itself) to 1 (the full style, default)",
    )
    add_model(parser)
    return parser


def add_path(commands: Commands[Parser]) -> Parser:
    parser = add_command(
        commands,
        "path",
        "animate a photo from style to style",
        "Paint a photo in mixtures along the way from each style to the next, and write the pictures\n"
        "as an animation, which plays forth and back. MP4 needs the program ffmpeg, or\n"
        "pip install 'hfstyle[video]', which brings it along.\n",
        "examples:\n"
        "  hfstyle path photo.jpg -s great_wave_hokusai -s starry_night_van_gogh -o path.gif\n"
        "  hfstyle path photo.jpg -s roman_mosaic_griffin -s franz_marc --steps 48 --fps 24 -o path.mp4\n",
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
        "--steps", type=whole(2, 1000), default=16, metavar="N", help="pictures (default: 16)"
    )
    parser.add_argument(
        "--fps",
        type=number(0.1, 50.0),
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
        "--strength", type=number(0.0, 1.0), default=1.0, metavar="X", help="0 to 1 (default)"
    )
    parser.add_argument(
        "--color", type=number(0.0, 1.0), default=1.0, metavar="X", help="0 to 1 (default)"
    )
    parser.add_argument(
        "--size",
        type=whole(64, None),
        default=384,
        metavar="N",
        help="short side of the animation in pixels, at most that of the photo (default: 384)",
    )
    add_style_size(parser)
    add_model(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing")
    return parser
