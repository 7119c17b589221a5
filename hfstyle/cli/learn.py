"""`hfstyle learn`: a style learned from pictures."""

from __future__ import annotations

import argparse
import sys

from hfstyle.cli.options import Commands, Parser, add_command, add_model, add_option, add_style_size
from hfstyle.cli.terminal import Failures, Progress
from hfstyle.files import safe_name
from hfstyle.messages import UsageError

__all__ = ["add_learn", "learn"]

_SUFFIX = ".safetensors"


def learn(args: argparse.Namespace) -> int:
    """Write a style code learned from pictures, and a sheet of photos before and after beside it."""
    from hfstyle.cli.files import Inputs
    from hfstyle.cli.model import load_pipeline, model_files
    from hfstyle.cli.targets import check_output
    from hfstyle.images.sheet import check_sheet, save_sheet

    target = check_output(args.output, makes_folder=True)
    if target.suffix != _SUFFIX:
        raise UsageError(f"{target}: the file of a style code is named *{_SUFFIX}")
    stem = target.name.removesuffix(_SUFFIX).removesuffix(".style")
    sheet = target.with_name(f"{safe_name(stem, room=4)}.jpg")
    pictures = Inputs.find(args.pictures, args.recursive)
    photos = Inputs.find(args.photos, False) if args.photos else None
    failures = Failures(args.debug, [*pictures.failures, *(photos.failures if photos else [])])
    if not pictures.photos or (photos is not None and not photos.photos):
        return failures.report()
    given = [p.path for found in (pictures, photos) if found for p in found.photos]
    read = [*given, args.perceptual_model, *model_files(args)]
    for file in (target, sheet):
        check_output(file, read, overwrite=not args.no_overwrite, makes_folder=True)
    check_sheet(sheet)
    pipe = load_pipeline(args)
    progress = Progress(args.steps, args.quiet)
    if not args.quiet:
        count = len(pictures.photos)
        print(f"hfstyle: looking at {count} picture{'s' * (count > 1)}", file=sys.stderr)

    def show(done: int, total: int) -> None:
        progress.step()
        progress.show("learning; Ctrl-C keeps the best so far")

    about = {key: getattr(args, key) for key in ("title", "artist", "year", "licence")}
    learned = pipe.learn_style(
        [photo.source() for photo in pictures.photos],
        None if photos is None else [photo.source() for photo in photos.photos],
        steps=args.steps,
        size=args.size,
        style_size=args.style_size,
        perceptual_model=args.perceptual_model,
        name=args.name or stem,
        metadata={key: value for key, value in about.items() if value},
        progress_callback=show,
    )
    progress.clear()
    learned.code.save(target)
    save_sheet(learned.sheet, sheet)
    if not args.quiet:
        print(target)
        print(sheet)
    print(f"hfstyle: {learned.told}", file=sys.stderr)
    return max(failures.report(), int(bool(learned.left_out)))


def add_learn(commands: Commands[Parser]) -> Parser:
    parser = add_command(
        commands,
        "learn",
        "learn a style from your own pictures",
        "Learn the style of 1 to 50 pictures: begin with what `hfstyle encode` makes of them, and\n"
        "move it until photos painted by it look like them. The file is an ordinary style code; the\n"
        "model stays as it is.\n"
        "Photos that took no part decide whether it helped; otherwise the encoder's style is written.\n"
        "Ctrl-C ends the learning and keeps the best so far.\n"
        "Pictures that cannot be used are named and left out; the exit code is then 1.\n",
        "examples:\n"
        "  hfstyle learn my-drawings/ -o mine.style.safetensors\n"
        "  hfstyle learn poster.jpg -o poster.style.safetensors --photos holiday/ --steps 200\n"
        "  hfstyle stylize photo.jpg --style mine.style.safetensors -o out.png\n",
    )
    parser.add_argument(
        "pictures", nargs="+", metavar="PICTURE", help="1 to 50 pictures, or folders of pictures"
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help="file to write, named *.safetensors; a picture of photos before and after is written beside it",
    )
    parser.add_argument(
        "--photos",
        nargs="+",
        metavar="PHOTO",
        help="photos or folders of photos to paint meanwhile, from 2; one in four is held out to judge by "
        "(default: the four of scikit-image)",
    )
    add_option(parser, "learning_steps", flag="--steps")
    add_option(parser, "learning_size", flag="--size")
    parser.add_argument(
        "--perceptual-model",
        metavar="MODEL",
        help="a VGG-19 that compares: compact-vgg19 (3.9 MB, downloaded once), a safetensors file, or a Hub id as timm/vgg19.tv_in1k "
        "(default: the model's own style encoder, which needs no download)",
    )
    parser.add_argument("--name", help="of the style (default: the name of FILE)")
    for key in ("title", "artist", "year", "licence"):
        parser.add_argument(f"--{key}", help=f"{key} to keep in the file")
    add_style_size(parser)
    parser.add_argument(
        "--recursive", action="store_true", help="also take pictures in subfolders of folders"
    )
    parser.add_argument("--no-overwrite", action="store_true", help="fail if a file exists already")
    add_model(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print only how much it helped")
    return parser
