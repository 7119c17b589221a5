"""`hfstyle explain`: what each region of a photo attended to in a style."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hfstyle.cli.options import Commands, Parser, add_command, add_model, add_style_size, whole
from hfstyle.messages import table

if TYPE_CHECKING:
    from hfstyle.styles.code import StyleInput

__all__ = ["add_explain", "explain"]


def explain(args: argparse.Namespace) -> int:
    """Write a picture of what each region attended to, and print the nearest presets."""
    from hfstyle.cli.files import find_style
    from hfstyle.cli.model import load_pipeline, model_files
    from hfstyle.cli.targets import check_picture_output
    from hfstyle.explain import explain as explain_style
    from hfstyle.images.load import load_image
    from hfstyle.images.save import save_image

    target = check_picture_output(args.output, [args.photo, args.style, *model_files(args)])
    photo = load_image(args.photo)
    pipe = load_pipeline(args)
    style: StyleInput = args.style  # whose picture is shown, if it is one
    if args.style in pipe.presets or not Path(args.style).is_file():
        style = find_style(pipe, args.style, args.style_size)
    found = explain_style(pipe, photo, style, args.count, style_size=args.style_size)
    save_image(found.picture, target)
    print(target)
    if found.nearest:
        rows = [[name, f"{distance:.2f}"] for name, distance in found.nearest]
        print(table([["NEAREST STYLES", "DISTANCE"], *rows], right=(1,)))
    return 0


def add_explain(commands: Commands[Parser]) -> Parser:
    parser = add_command(
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
        type=whole(1, None),
        default=5,
        metavar="N",
        help="of nearest styles (default: 5)",
    )
    add_style_size(parser)
    add_model(parser)
    return parser
