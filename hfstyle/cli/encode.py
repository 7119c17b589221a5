"""`hfstyle encode`: pictures become a style code, or a few."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hfstyle.cli.options import Commands, Parser, add_command, add_model, add_style_size, whole
from hfstyle.cli.terminal import Failures, Progress
from hfstyle.messages import UsageError

if TYPE_CHECKING:
    from hfstyle.cli.files import Photo, Row
    from hfstyle.pipeline import StyleTransferPipeline
    from hfstyle.styles.code import StyleCode

__all__ = ["add_encode", "encode", "files_of_a_collection", "save_collection"]

_SUFFIX = ".safetensors"


def encode(args: argparse.Namespace) -> int:
    """Save the style of a picture, or the mean of several, as a style code."""
    from hfstyle.cli.files import Inputs, Row, style_label
    from hfstyle.cli.model import load_pipeline, model_files
    from hfstyle.cli.targets import check_output
    from hfstyle.files import safe_name
    from hfstyle.images.sheet import check_sheet
    from hfstyle.images.sources import open_source
    from hfstyle.styles.code import StyleCode

    if bool(args.pictures) == bool(args.dataset):
        raise UsageError("give pictures, or --dataset NAME, and not both")
    inputs = Inputs.find(args.pictures, args.recursive) if args.pictures else Inputs([], [], True)
    several = inputs.many
    output = args.output
    if output is None:
        if several:
            raise UsageError("several pictures make one style; name its file with -o")
        name = style_label(args.pictures) if args.pictures != ["-"] else "stdin"
        end = ".style.safetensors"
        output = f"{safe_name(name, room=len(end))}{end}"
    target = check_output(output, makes_folder=True)
    if target.suffix != ".safetensors":
        raise UsageError(f"{target}: the file of a style code is named *.safetensors")
    written = files_of_a_collection(args, target)
    given = [*(photo.path for photo in inputs.photos), args.photo, *model_files(args)]
    for file in written:
        check_output(
            file,
            [*given, args.dataset],
            folders=[args.dataset],
            overwrite=not args.no_overwrite,
            makes_folder=True,
        )
    if len(written) > 1:
        check_sheet(written[-1])

    failures = Failures(args.debug, inputs.failures)
    photos: list[Photo | Row] = [*inputs.photos]
    if args.dataset:
        rows = open_source(
            args.dataset,
            split=args.split,
            image_column=args.image_column,
            revision=args.dataset_revision,
        )
        photos = [Row(rows, index) for index in range(len(rows))]
    if args.limit is not None and len(photos) > args.limit:
        photos = [photos[k * len(photos) // args.limit] for k in range(args.limit)]
    if not photos:
        return failures.report()
    pipe = load_pipeline(args)
    codes = []
    progress = Progress(len(photos), args.quiet)
    for photo in photos:
        progress.show(photo.name)
        try:
            source = photo.load() if photo.path is None else photo.path  # or a style code's path
            codes.append(pipe.encode_style(source, style_size=args.style_size))
        except Exception as error:
            failures.add(error, photo.name)
        progress.step()
    progress.clear()
    exit_code = failures.report()
    if codes and (args.collection or args.clusters > 1):
        save_collection(args, pipe, codes, target)
    elif codes:
        name = args.name or style_label([target.name if several else args.pictures[0]])
        code = StyleCode.mix(codes, name=name)
        about = {key: getattr(args, key) for key in ("title", "artist", "year", "licence")}
        metadata = {**code.metadata, **{key: value for key, value in about.items() if value}}
        StyleCode(code.vector, code.tokens, code.encoder, name, metadata).save(target)
        if not args.quiet:
            print(target)
    if codes and exit_code:
        made = f"{target} is the style" if args.clusters == 1 else "the files are styles"
        print(f"hfstyle: {made} of the other {len(codes)}", file=sys.stderr)
    return exit_code


def save_collection(
    args: argparse.Namespace, pipe: StyleTransferPipeline, codes: list[StyleCode], target: Path
) -> None:
    """Write the representatives of a collection, FILE-1.style.safetensors ..., and a contact sheet of them."""
    from hfstyle.cli.preview import preview
    from hfstyle.styles.code import StyleCode
    from hfstyle.styles.collection import cluster_codes

    groups = cluster_codes(codes, args.clusters)
    stem = _stem(target)
    given = {key: getattr(args, key) for key in ("title", "artist", "year", "licence")}
    made, names = [], []
    for number, (code, members) in enumerate(groups, start=1):
        several = f"-{number}" if len(groups) > 1 else ""
        name = f"{args.name or stem}{several}"
        metadata = {**code.metadata, **{k: v for k, v in given.items() if v}}
        metadata["pictures"] = str(len(members))
        ready = StyleCode(code.vector, code.tokens, code.encoder, name, metadata)
        file = _numbered(target, number) if several else target
        ready.save(file)
        made.append(ready)
        names.append(f"{name}: {len(members)} picture{'s' if len(members) > 1 else ''}")
        if not args.quiet:
            print(file)
    sheet = _sheet(target)
    preview(pipe, made, names, str(sheet), args.photo)
    if not args.quiet:
        print(sheet)


def files_of_a_collection(args: argparse.Namespace, target: Path) -> list[Path]:
    """All files that `hfstyle encode` may write: the style or its numbered ones, and the picture beside them."""
    if not args.collection and args.clusters == 1:
        return [target]
    numbered = [_numbered(target, number) for number in range(1, args.clusters + 1)]
    return [target, *(numbered if args.clusters > 1 else []), _sheet(target)]


def _stem(target: Path) -> str:
    return target.name.removesuffix(_SUFFIX).removesuffix(".style")


def _numbered(target: Path, number: int) -> Path:
    from hfstyle.files import safe_name

    end = f"-{number}.style{_SUFFIX}"
    return target.with_name(safe_name(_stem(target), room=len(end)) + end)


def _sheet(target: Path) -> Path:
    from hfstyle.files import safe_name

    return target.with_name(safe_name(_stem(target), room=4) + ".jpg")


def add_encode(commands: Commands[Parser]) -> Parser:
    parser = add_command(
        commands,
        "encode",
        "save the style of pictures as a style code",
        "Save the style of a picture as a small file, which `hfstyle stylize --style` takes in\n"
        "place of the picture. Of several pictures, the mean of their styles.\n",
        "examples:\n"
        "  hfstyle encode painting.jpg -o painting.style.safetensors\n"
        "  hfstyle encode monet/ -o monet.style.safetensors --artist 'Claude Monet'\n"
        "  hfstyle encode --dataset user/my-paintings --limit 500 --clusters 4 -o paintings.style.safetensors\n",
    )
    parser.add_argument(
        "pictures",
        nargs="*",
        metavar="PICTURE",
        help="pictures, folders of pictures, style codes, or - (stdin)",
    )
    parser.add_argument(
        "--dataset",
        metavar="NAME",
        help="in place of pictures: a data set of the Hub, user/name, or Parquet files "
        "(pip install 'hfstyle[batch]')",
    )
    parser.add_argument("--split", default="train", help="of a data set of the Hub")
    parser.add_argument("--dataset-revision", help="of a data set of the Hub")
    parser.add_argument("--image-column", default="image", help="of --dataset (default: image)")
    parser.add_argument(
        "--limit",
        type=whole(1, None),
        metavar="N",
        help="take at most N pictures, evenly from the first to the last (default: all)",
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
        type=whole(1, None),
        default=1,
        metavar="K",
        help="write K styles, FILE with a number: the means of groups of alike pictures",
    )
    parser.add_argument("--photo", metavar="FILE", help="of that picture (default: a bundled cat)")
    parser.add_argument("--name", help="of the style (default: the picture's file name)")
    for key in ("title", "artist", "year", "licence"):
        parser.add_argument(f"--{key}", help=f"{key} to keep in the file")
    add_style_size(parser)
    parser.add_argument(
        "--recursive", action="store_true", help="also take pictures in subfolders of folders"
    )
    parser.add_argument(
        "--no-overwrite", action="store_true", help="fail if the file exists already"
    )
    add_model(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing")
    return parser
