"""`hfstyle stylize`: photos in styles."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hfstyle.cli.options import Commands, Parser, add_command, add_model, add_painting, weights
from hfstyle.cli.terminal import Failures, Progress
from hfstyle.messages import UsageError

if TYPE_CHECKING:
    from hfstyle.pipeline import StyleTransferPipeline
    from hfstyle.regions import Region
    from hfstyle.styles.code import StyleCode

__all__ = ["add_stylize", "stylize"]

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


def stylize(args: argparse.Namespace) -> int:
    """Paint photos in styles; what fails is told at the end and stops nothing else."""
    from hfstyle.cli.by_rows import goes_by_rows, paint_and_write, paint_by_rows
    from hfstyle.cli.files import Inputs, Outputs, file_labels, find_style, style_label
    from hfstyle.cli.model import load_pipeline, model_files
    from hfstyle.cli.streams import OutputError, say
    from hfstyle.styles.code import StyleCode
    from hfstyle.styles.words import WORDS_PREFIX

    names = [*(args.style or []), *(f"{WORDS_PREFIX}{text}" for text in args.style_words or [])]
    areas = args.region or []
    if not names and not areas:
        raise UsageError("give a style with --style, or --region MASK STYLE")
    if args.style_weights is not None:
        _check_weights(args.style_weights, names)
    groups = [[style] for style in names] if args.style_weights is None else [names]
    shown = [[*group, *(area[1] for area in areas)] for group in groups or [[]]]
    labels = file_labels(shown)
    output_folder = None if args.output == "-" else Path(args.output)
    inputs = Inputs.find(args.photos, args.recursive, leave_out=output_folder)
    files = [photo.path for photo in inputs.photos if photo.path is not None]
    outputs = Outputs(
        args.output,
        inputs.many or len(groups) > 1,
        f".{args.format}",
        [*files, *names, *(name for area in areas for name in area), *model_files(args)],
    )
    outputs.plan(inputs.photos)
    failures = Failures(args.debug, inputs.failures)
    if not inputs.photos:
        return failures.report()
    pipe = load_pipeline(args)
    ready: list[tuple[str, StyleCode | None]] = []
    regions = _regions(pipe, args, failures)
    for group, label in zip(groups or [[]], labels, strict=True) if regions is not None else []:
        try:
            codes = [find_style(pipe, style, args.style_size) for style in group]
            code = StyleCode.mix(codes, args.style_weights, style_label(group)) if codes else None
            ready.append((label, code))
        except Exception as error:
            failures.add(error, ", ".join(group))

    written = left = 0
    progress = Progress(len(inputs.photos) * len(ready), args.quiet)
    try:
        for photo in inputs.photos if ready else []:
            progress.show(photo.name)
            todo = [(outputs.path(photo, label), code) for label, code in ready]
            if args.no_overwrite:
                todo = [(t, code) for t, code in todo if t is None or not t.exists()]
            left += len(ready) - len(todo)
            progress.step(len(ready) - len(todo))
            if not todo:
                continue
            try:
                by_rows = goes_by_rows(photo, todo[0][0], args)
                picture = None if by_rows else photo.load(args.keep_alpha, args.keep_gps)
            except Exception as error:
                failures.add(error, photo.name)
                progress.step(len(todo))
                continue
            for target, code in todo:
                progress.show(photo.name)
                try:
                    outputs.check(target)
                    if picture is None:
                        paint_by_rows(pipe, photo, code, target, args)
                    else:
                        paint_and_write(pipe, picture, code, regions, target, outputs, args)
                    written += 1
                    progress.clear()
                    if target is not None and not args.quiet:
                        say(target)
                except (BrokenPipeError, OutputError):
                    raise
                except Exception as error:
                    failures.add(error, photo.name)
                progress.step()
    finally:  # Ctrl-C as well
        progress.clear()
        exit_code = failures.report()
    if not args.quiet and (left or (exit_code and written)):
        counts = [f"{written} written", f"{len(failures.messages)} failed"]
        counts += [f"{left} left as they were"] if left else []
        print(f"hfstyle: {', '.join(counts)}", file=sys.stderr)
    return exit_code


def _check_weights(weights: list[float], styles: list[str]) -> None:
    from hfstyle.styles.code import normalise_weights

    try:
        normalise_weights(weights, len(styles))
    except ValueError as error:
        raise UsageError(f"argument --style-weights: {error}") from error


def _regions(
    pipe: StyleTransferPipeline, args: argparse.Namespace, failures: Failures
) -> list[Region] | None:
    """The regions that were asked for; None if one has no usable style."""
    from hfstyle.cli.files import find_style
    from hfstyle.images.load import load_image
    from hfstyle.regions import Region

    regions = []
    for mask, style, *photo in args.region or []:
        try:
            code = None if style == "none" else find_style(pipe, style, args.style_size)
            content = load_image(photo[0]) if photo else None
        except Exception as error:
            failures.add(error, style)
            return None
        regions.append(Region(Path(mask), code, args.strength, args.color, args.feather, content))
    return regions


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
        "--region-photo",
        action="append",
        nargs=3,
        dest="region",
        metavar=("MASK", "STYLE", "PHOTO"),
        help="as --region, and show another photo there",
    )
    add_painting(parser)
    parser.add_argument(
        "--recursive", action="store_true", help="also take pictures in subfolders of folders"
    )
    parser.add_argument(
        "--no-overwrite",
        action="store_true",
        help="leave files that exist already and do not paint them again: continues an "
        "interrupted run",
    )
    add_model(parser)
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="no progress bar, no list of files written"
    )
    return parser
