"""`hfstyle live`: what a camera sees, in a style."""

from __future__ import annotations

import argparse

from hfstyle.cli.options import (
    Commands,
    Parser,
    add_command,
    add_model,
    add_numbers,
    add_option,
    add_style_size,
    numbers_of,
    whole,
)

__all__ = ["add_live", "live"]


def live(args: argparse.Namespace) -> int:
    """Paint a camera's pictures in a window until it is closed."""
    from hfstyle.cli.model import load_pipeline
    from hfstyle.film.window import Camera, Window, check_window, show_camera

    check_window()  # before the networks are loaded
    pipe = load_pipeline(args)
    codes = [pipe.encode_style(style, style_size=args.style_size) for style in args.style]
    with Camera(args.camera) as camera:
        saved = show_camera(
            pipe,
            codes,
            camera,
            Window(),
            strength=args.strength,
            size=args.size,
            **numbers_of(args),
        )
    for file in saved:
        print(file)
    return 0


def add_live(commands: Commands[Parser]) -> Parser:
    parser = add_command(
        commands,
        "live",
        "paint what a camera sees, in a window",
        "Paint the pictures of a camera as they come. Pictures that come while one is being painted\n"
        "are left out. Keys: q ends, s saves a picture, + and - change the strength, n takes the\n"
        "next style. Needs OpenCV with windows: pip install opencv-python.\n",
        "examples:\n"
        "  hfstyle live --style starry_night_van_gogh\n"
        "  hfstyle live -s franz_marc -s great_wave_hokusai --size 256 --camera 1\n",
    )
    parser.add_argument(
        "-s",
        "--style",
        action="append",
        required=True,
        metavar="STYLE",
        help="as in `hfstyle stylize`; may be given several times",
    )
    parser.add_argument(
        "--camera",
        type=whole(0, None),
        default=0,
        metavar="N",
        help="number of the camera (default: 0)",
    )
    add_numbers(parser, "picture")
    add_option(parser, "live_size", flag="--size", dest="size")
    add_style_size(parser)
    add_model(parser)
    return parser
