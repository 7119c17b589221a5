"""`hfstyle path`: an animation from style to style."""

from __future__ import annotations

import argparse

from hfstyle.cli.options import (
    Commands,
    Parser,
    add_command,
    add_model,
    add_numbers,
    add_option,
    add_provenance,
    add_style_size,
    numbers_of,
)
from hfstyle.cli.terminal import Progress
from hfstyle.messages import UsageError

__all__ = ["add_path", "path"]


def path(args: argparse.Namespace) -> int:
    """Write an animation of a photo along the way from style to style."""
    from hfstyle.cli.files import find_style
    from hfstyle.cli.model import load_pipeline, model_files
    from hfstyle.cli.targets import check_output
    from hfstyle.film.write import check_form
    from hfstyle.images.geometry import resize
    from hfstyle.images.load import load_image
    from hfstyle.paths import save_animation, style_path

    target = check_output(args.output, [args.photo, *args.style, *model_files(args)])
    if target.suffix.lower() not in (".gif", ".mp4"):
        raise UsageError(f"{target}: an animation is named *.gif or *.mp4")
    check_form(target)  # before the painting, which takes longest
    if len(args.style) < 2:
        raise UsageError("a path needs at least two styles; give --style twice or more")
    if args.steps < len(args.style):
        raise UsageError(f"--steps is {args.steps}; give at least one for each style")
    picture = load_image(args.photo)
    short = min(picture.size)
    rgb = resize(picture.rgb, min(args.size, short))
    pipe = load_pipeline(args)
    codes = [find_style(pipe, style, args.style_size) for style in args.style]
    progress = Progress(args.steps, args.quiet)
    frames = []
    for code in style_path(codes, args.steps, close=args.close):
        progress.show()
        painted = pipe(
            rgb,
            code,
            args.strength,
            **numbers_of(args),
            provenance=args.provenance,
        )
        frames.append(painted.images[0])
        progress.step()
    progress.clear()
    save_animation(frames, target, frames_per_second=args.fps, swing=not args.close)
    if not args.quiet:
        print(target)
    return 0


def add_path(commands: Commands[Parser]) -> Parser:
    parser = add_command(
        commands,
        "path",
        "animate a photo from style to style",
        "Paint a photo in mixtures along the way from each style to the next, and write the pictures\n"
        "as an animation, which plays forth and back. MP4 needs\n"
        "pip install 'hfstyle[video]'.\n",
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
    add_option(parser, "steps")
    add_option(parser, "fps")
    parser.add_argument(
        "--close",
        action="store_true",
        help="go on from the last style to the first, round and round",
    )
    add_numbers(parser)
    add_option(parser, "frame_size", flag="--size")
    add_style_size(parser)
    add_provenance(parser)
    add_model(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing")
    return parser
