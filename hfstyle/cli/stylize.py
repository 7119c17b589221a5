"""Internal to `hfstyle.cli`: what each command does with its parsed arguments. Each returns its exit code."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image

from hfstyle import _control_commands
from hfstyle._batch import Inputs, Outputs, Photo, Row, find_style, style_label
from hfstyle._model_commands import benchmark, evaluate, export_onnx, info, load_pipeline
from hfstyle._sources import open_source
from hfstyle._stylize import goes_by_rows, paint_and_write, paint_by_rows
from hfstyle._terminal import Progress, UsageError, reason
from hfstyle.examples import EXAMPLE_PHOTOS, example_photo
from hfstyle.images import load_image, save_image
from hfstyle.pipeline import StyleTransferPipeline
from hfstyle.regions import Region
from hfstyle.style import StyleCode, normalise_weights
from hfstyle.words import WORDS_PREFIX

__all__ = [
    "benchmark",
    "demo",
    "encode",
    "evaluate",
    "explain",
    "export_onnx",
    "info",
    "path",
    "styles",
    "stylize",
]

_DEMO_STYLE: Final = "starry_night_van_gogh"


def stylize(args: argparse.Namespace) -> int:
    """Paint photos in styles; what fails is told at the end and stops nothing else."""
    names = [*(args.style or []), *(f"{WORDS_PREFIX}{text}" for text in args.style_words or [])]
    areas = args.region or []
    if not names and not areas:
        raise UsageError("give a style with --style, or --region MASK STYLE")
    if args.style_weights is not None:
        _check_weights(args.style_weights, names)
    groups = [[style] for style in names] if args.style_weights is None else [names]
    output_folder = None if args.output == "-" else Path(args.output)
    inputs = Inputs.find(args.photos, args.recursive, leave_out=output_folder)
    files = [photo.path for photo in inputs.photos if photo.path is not None]
    outputs = Outputs(
        args.output,
        inputs.many or len(groups) > 1,
        f".{args.format}",
        [*files, *map(Path, names), *(Path(name) for area in areas for name in area)],
    )
    failures = _Failures(args.debug, inputs.failures)
    if not inputs.photos:
        return failures.report()
    pipe = load_pipeline(args)
    ready: list[tuple[str, StyleCode | None]] = []
    regions = _regions(pipe, args, failures)
    for group in groups or [[]] if regions is not None else []:
        label = style_label([*group, *(area[1] for area in areas)])
        try:
            codes = [find_style(pipe, style, args.style_size) for style in group]
            code = StyleCode.mix(codes, args.style_weights, label) if codes else None
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
                        print(target, flush=True)
                except BrokenPipeError:
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


def encode(args: argparse.Namespace) -> int:
    """Save the style of a picture, or the mean of several, as a style code."""
    if bool(args.pictures) == bool(args.dataset):
        raise UsageError("give pictures, or --dataset NAME, and not both")
    inputs = Inputs.find(args.pictures, args.recursive) if args.pictures else Inputs([], [], True)
    several = inputs.many
    output = args.output
    if output is None:
        if several:
            raise UsageError("several pictures make one style; name its file with -o")
        output = f"{style_label(args.pictures) if args.pictures != ['-'] else 'stdin'}"
        output += ".style.safetensors"
    target = Path(output)
    if target.is_dir():
        raise UsageError(f"{target} is a folder; give -o FILE.style.safetensors")
    if target.suffix != ".safetensors":
        raise UsageError(f"{target}: the file of a style code is named *.safetensors")
    if any(_is_file(photo.path, target) for photo in inputs.photos):
        raise UsageError(f"{target} is one of the inputs, which are never overwritten")
    if args.no_overwrite and target.exists():
        raise FileExistsError(f"{target} exists already; choose another name")

    failures = _Failures(args.debug, inputs.failures)
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
    if codes and (args.collection or args.clusters > 1):
        _control_commands.save_collection(args, pipe, codes, target)
    elif codes:
        name = args.name or style_label([target.name if several else args.pictures[0]])
        code = StyleCode.mix(codes, name=name)
        given = {key: getattr(args, key) for key in ("title", "artist", "year", "licence")}
        metadata = {**code.metadata, **{key: value for key, value in given.items() if value}}
        StyleCode(code.vector, code.tokens, code.encoder, name, metadata).save(target)
        if not args.quiet:
            print(target)
    exit_code = failures.report()
    if codes and exit_code:
        print(f"hfstyle: {target} is the style of the other {len(codes)}", file=sys.stderr)
    return exit_code


def styles(args: argparse.Namespace) -> int:
    """List the presets of a model, or search them."""
    return _control_commands.list_styles(args, load_pipeline(args))


def path(args: argparse.Namespace) -> int:
    """An animation from style to style."""
    return _control_commands.path(args, lambda: load_pipeline(args))


def explain(args: argparse.Namespace) -> int:
    """What each region of a photo attended to in a style."""
    return _control_commands.explain(args, lambda: load_pipeline(args))


def demo(args: argparse.Namespace) -> int:
    """An example photo and its painting, side by side."""
    if args.photo not in EXAMPLE_PHOTOS:
        raise UsageError(f"no example photo {args.photo!r}; there are: {', '.join(EXAMPLE_PHOTOS)}")
    outputs = Outputs(args.output, False, ".png", [Path(args.style or "")])
    target = outputs.file or (outputs.folder or Path()) / "hfstyle-demo.png"
    if outputs.stdout:
        raise UsageError("the demo writes a file; give -o FILE.png")
    outputs.check(target)
    begun = time.perf_counter()
    photo = example_photo(args.photo)
    pipe = load_pipeline(args)
    style = args.style or next((n for n in (_DEMO_STYLE, *pipe.presets) if n in pipe.presets), None)
    if style is None:
        raise ValueError("this model came without styles; name a picture with --style painting.jpg")
    code = find_style(pipe, style, 256)
    loaded = time.perf_counter()
    painted: Image.Image = pipe(photo, code, args.strength).images[0]
    seconds = time.perf_counter() - loaded

    gap = 8
    both = Image.new("RGB", (2 * photo.width + gap, photo.height), "white")
    both.paste(photo, (0, 0))
    both.paste(painted, (photo.width + gap, 0))
    target.parent.mkdir(parents=True, exist_ok=True)
    save_image(both, target)
    by = ", ".join(filter(None, (code.metadata.get("artist"), code.metadata.get("year"))))
    about = f"{code.metadata.get('title') or code.name or style}{f' ({by})' if by else ''}"
    print(f"The photo {args.photo!r} in the style of {about}:")
    print(f"  {target.resolve()}")
    print(
        f"{photo.width} x {photo.height} px painted in {seconds:.1f} s on {pipe.device}, "
        f"after {loaded - begun:.1f} s to load the model."
    )
    return 0


class _Failures:
    """Messages about what failed, kept for the end."""

    def __init__(self, debug: bool, messages: Sequence[str] = ()) -> None:
        self._debug = debug
        self.messages = list(messages)

    def add(self, error: Exception, about: str) -> None:
        if self._debug:
            traceback.print_exception(error)
        self.messages.append(reason(error, about))

    def report(self) -> int:
        """Print them; returns the exit code."""
        for message in self.messages:
            print(f"hfstyle: error: {message}", file=sys.stderr)
        return 1 if self.messages else 0


def _check_weights(weights: list[float], styles: list[str]) -> None:
    try:
        normalise_weights(weights, len(styles))
    except ValueError as error:
        raise UsageError(f"argument --style-weights: {error}") from error


def _regions(
    pipe: StyleTransferPipeline, args: argparse.Namespace, failures: _Failures
) -> list[Region] | None:
    """The regions that were asked for; None if one has no usable style."""
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


def _is_file(path: Path | None, target: Path) -> bool:
    return path is not None and path.exists() and target.exists() and path.samefile(target)
