"""Internal to `hfstyle.cli`: one photo in one style, and its result to where it goes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from hfstyle.cli.files import Outputs, Photo, write_to_stdout
from hfstyle.cli.options import numbers_of
from hfstyle.cli.terminal import Progress
from hfstyle.images.load import Picture
from hfstyle.images.opening import size_of
from hfstyle.images.save import save_image
from hfstyle.limits import working_size
from hfstyle.painting.large_file import better_by_rows
from hfstyle.pipeline import StyleTransferPipeline
from hfstyle.regions import Region
from hfstyle.styles.code import StyleCode

__all__ = ["goes_by_rows", "paint_and_write", "paint_by_rows"]


def goes_by_rows(photo: Photo, target: Path | None, args: argparse.Namespace) -> bool:
    """Whether `paint_by_rows` can make this result, and the photo is so large that it matters.

    Raises:
        ImageError: not a readable picture.
    """
    if target is None or photo.path is None or args.region:
        return False
    return better_by_rows(photo.path, target, photo.name)


def paint_by_rows(
    pipe: StyleTransferPipeline,
    photo: Photo,
    code: StyleCode | None,
    target: Path | None,
    args: argparse.Namespace,
) -> None:
    """From file to file."""
    assert photo.path is not None
    assert target is not None
    assert code is not None
    target.parent.mkdir(parents=True, exist_ok=True)
    width, height = size_of(photo.path, photo.name)
    pipe.paint_file(
        photo.path,
        target,
        code,
        args.strength,
        **numbers_of(args),
        processing_resolution=working_size(args.size, min(width, height)),
        tile_size=args.tile_size,
        keep_alpha=args.keep_alpha,
        keep_exif=args.keep_exif,
        keep_gps=args.keep_gps,
        provenance=args.provenance,
        overwrite=not args.no_overwrite,
        progress_callback=_show_tiles(photo.name, args.quiet),
    )


def paint_and_write(
    pipe: StyleTransferPipeline,
    picture: Picture,
    code: StyleCode | None,
    regions: list[Region] | None,
    target: Path | None,
    outputs: Outputs,
    args: argparse.Namespace,
) -> None:
    """From a picture in memory to a file, or to standard output."""
    image: Image.Image = pipe(
        picture,
        code,
        args.strength,
        **numbers_of(args),
        regions=regions or None,
        processing_resolution=working_size(args.size, min(picture.size)),
        tile_size=args.tile_size,
        progress_callback=_show_tiles(picture.name, args.quiet),
        keep_alpha=args.keep_alpha,
        provenance=args.provenance,
    ).images[0]
    if target is None:
        write_to_stdout(image, outputs.suffix, args.quality)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    keeps = args.keep_exif or args.keep_gps
    save_image(
        image,
        target,
        quality=args.quality,
        overwrite=not args.no_overwrite,
        exif=picture.exif if keeps else None,
        xmp=picture.xmp if keeps else None,
    )


def _show_tiles(name: str, quiet: bool) -> Callable[[int, int], None]:
    """A progress callback that draws a bar for the tiles of a picture."""
    tiles: Progress | None = None
    before = 0

    def show(done: int, total: int) -> None:
        nonlocal tiles, before
        if done < total:  # the last is the picture itself, the others are its tiles
            tiles = tiles or Progress(total - 1, quiet)
            tiles.step(done - before)
            tiles.show(f"tiles of {name}")
            before = done

    return show
