"""Internal to `hfstyle.pipeline`: from a picture file to a picture file, without either in memory.

The photo is decoded in bands into a file of pixels, from which the network reads its tiles; what it has painted goes
into the result at once.

H, W size of the picture · h rows of a band
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import Tensor

from hfstyle.images.cutout import fill_hidden
from hfstyle.images.encode import check_target, whole_or_nothing
from hfstyle.images.exif import Resolution, as_stored, orientation_of, portable_exif, resolution_of
from hfstyle.images.load import WHITE
from hfstyle.images.opening import ImageError, open_file, seekable, size_of
from hfstyle.images.pixel_file import PixelFile
from hfstyle.images.pixels import (
    flattened,
    has_8_bits,
    has_alpha,
    pil_strips,
    strip_bounds,
)
from hfstyle.images.provenance import Mark, is_painted, packet, portable_xmp
from hfstyle.images.read_bands import open_bands
from hfstyle.images.unscaled import Largest, largest_in, tell_unscaled
from hfstyle.images.write_bands import ROW_FORMATS, row_writer
from hfstyle.limits import (
    UNTILED_PIXELS,
    TileSize,
    as_share,
    check_resolution,
    check_tile_size,
    working_size,
)
from hfstyle.messages import short_reason
from hfstyle.painting.finite import named
from hfstyle.painting.painter import Painter, check_sides
from hfstyle.painting.recolor import recolor_bands
from hfstyle.painting.run import Progress, Run
from hfstyle.styles.code import StyleCode

__all__ = ["better_by_rows", "check_order", "paint_file"]

_ORDER: Final = "the order is paint_file(photo, target, style)"

_UPSIDE_DOWN: Final = (3, 4, 6, 7)  # orientations whose first stored row is the last row or column


def better_by_rows(source: Path, target: Path, name: str) -> bool:
    """Whether a photo is so large that it matters to have neither it nor its result in memory, and the target allows it.

    Raises:
        ImageError: the source, called `name`, is not a readable picture.
    """
    if target.suffix.lower() not in ROW_FORMATS:
        return False
    width, height = size_of(source, name)
    return width * height > UNTILED_PIXELS


def check_order(target: Any, style: Any, names: Collection[str]) -> None:
    """ValueError if target and style of `paint_file` seem to have changed places: a call of the pipeline has the style second.

    Args:
        target, style: as given.
        names: of presets.
    """
    if not isinstance(target, (str, os.PathLike)):
        raise ValueError(
            f"target is of type {type(target).__name__}, not the path of a file; {_ORDER}"
        )
    to = os.fsdecode(target)
    if to in names or to.endswith(".safetensors") or to.startswith(("words:", "random:")):
        raise ValueError(f"target {to!r} is a style; {_ORDER}")
    if not isinstance(style, (str, os.PathLike)) or not os.path.isfile(to):
        return
    by = os.fsdecode(style)
    if by in names or Path(by).suffix.lower() not in ROW_FORMATS:
        return
    if not os.path.exists(by):
        raise ValueError(f"style {by} does not exist, and target {to} does; {_ORDER}")
    if is_painted(by) and not is_painted(to):
        raise ValueError(
            f"style {by} was painted by hfstyle, and target {to} would be replaced, which was not; {_ORDER}. If it is "
            f"meant, remove {to} first"
        )


@torch.inference_mode()
def paint_file(
    painter: Painter,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    code: StyleCode,
    strength: float,
    *,
    color: float,
    faces: float,
    outlines: float,
    processing_resolution: int | Literal["auto", "full"] | None,
    tile_size: TileSize,
    keep_alpha: bool,
    keep_exif: bool,
    keep_gps: bool,
    overwrite: bool,
    max_pixels: int | None,
    mark: Mark | None,
    progress_callback: Callable[[int, int], None] | None,
) -> Path:
    """As `StyleTransferPipeline.paint_file`, in a style that is ready; `mark`: what is said to have painted it."""
    photo, final = Path(source), Path(target)
    if final.suffix.lower() not in ROW_FORMATS:
        raise ImageError(
            f"{final} has the suffix {final.suffix!r}; row by row, pictures are written as "
            f"{', '.join(sorted(ROW_FORMATS))}; for others call the pipeline and save its result"
        )
    check_target(final, overwrite)
    amount, share = as_share("strength", strength), as_share("color", color)
    wanted, tile_size = check_resolution(processing_resolution), check_tile_size(tile_size)
    kept = as_share("faces", faces), as_share("outlines", outlines)
    run = Run(tile_size, torch.uint8, Progress(progress_callback, 1), *kept)
    with ExitStack() as files:
        folder = Path(os.path.realpath(final)).parent
        pixels = _Pixels.of(photo, folder, keep_alpha, keep_gps, max_pixels, files)
        height, width = pixels.rgb.shape[2:]
        check_sides(str(photo), height, width)
        if pixels.alpha is not None and amount > 0:
            fill_hidden(pixels.rgb, pixels.alpha)
        resolution = working_size(wanted, min(height, width))
        bands = _painted(painter, pixels.rgb, code, amount, resolution, run)
        if amount > 0 and share < 1:
            bands = _recolored(bands, pixels, share, folder, files)
        stream = files.enter_context(whole_or_nothing(final, overwrite=overwrite))
        channels = 3 if pixels.alpha is None else 4
        keeps = keep_exif or keep_gps
        exif, xmp = (pixels.exif, pixels.xmp) if keeps else (None, None)
        made_by = mark if amount > 0 else None
        writer = row_writer(
            stream,
            final.suffix,
            (width, height),
            channels,
            exif,
            pixels.resolution,
            None if made_by is None and xmp is None else packet(made_by, xmp),
        )
        bottom = 0
        files.enter_context(named(str(photo)))
        for band in _strips(bands):
            top, bottom = bottom, bottom + band.shape[1]
            planes = [band] if pixels.alpha is None else [band, pixels.alpha[..., top:bottom, :][0]]
            rows = torch.cat([_levels(plane) for plane in planes])  # (C, h, W)
            writer.add(rows.permute(1, 2, 0).numpy())
        writer.finish()
    run.progress.picture_done()
    return final


def _painted(
    painter: Painter,
    content: PixelFile,
    code: StyleCode,
    strength: float,
    resolution: int | None,
    run: Run,
) -> Iterator[Tensor]:
    """content (1, 3, H, W) -> (3, h, W) on the CPU, uint8 or float32."""
    if strength > 0:
        return painter.bands(content, code, strength, resolution, run)
    bounds = strip_bounds(*content.shape[2:])
    return (content[..., top:bottom, :][0] for top, bottom in bounds)


def _strips(bands: Iterator[Tensor]) -> Iterator[Tensor]:
    """Bands (3, h, W) in parts of about a million pixels, of which a writer makes several copies."""
    for band in bands:
        for top, bottom in strip_bounds(*band.shape[1:]):
            yield band[:, top:bottom]


@dataclass(frozen=True)
class _Pixels:
    """A photo, decoded and upright: rgb (1, 3, H, W), alpha (1, 1, H, W) or None, of uint8 or float32."""

    rgb: PixelFile
    alpha: PixelFile | None
    exif: bytes | None
    resolution: Resolution | None
    xmp: bytes | None

    @classmethod
    def of(
        cls,
        photo: Path,
        folder: Path,
        keep_alpha: bool,
        keep_gps: bool,
        max_pixels: int | None,
        files: ExitStack,
        largest: Largest | None = None,
    ) -> _Pixels:
        """Decode a photo into `folder`; `files` closes what is opened.

        largest: of the photo; None is not known yet, so that it may take a second time.
        """
        name = str(photo)
        with open_file(photo, name) as file:
            bands = open_bands(seekable(file, name), name, max_pixels)
            first = next(bands.parts)
            orientation = orientation_of(bands.head)
            compact, alpha = has_8_bits(first), None
            seen, given = Largest(), largest or Largest(color=65535, alpha=65535)
            width, height = bands.size
            size = (width, height) if orientation >= 5 else (height, width)
            dtype = torch.uint8 if compact else torch.float32
            try:
                rgb = files.enter_context(PixelFile(*size, 3, dtype, folder))
                if keep_alpha and has_alpha(first.image):
                    alpha = files.enter_context(PixelFile(*size, 1, dtype, folder))
                top, over = 0, np.asarray(WHITE, np.float32)
                for decoded in chain([first], bands.parts):
                    seen = seen.and_of(largest_in(decoded))
                    for strip in pil_strips(decoded, name, given):
                        color, opacity = flattened(strip, alpha is not None, over, compact)
                        start = top + strip.top
                        _lay_down(rgb, color, start, height, orientation)
                        if alpha is not None and opacity is not None:
                            _lay_down(alpha, opacity, start, height, orientation)
                    top += decoded.size[1]
            except OSError as error:
                room = height * width * (3 if compact else 12) / 1e9
                raise ImageError(
                    f"{name}: its pixels cannot be laid aside in {folder}, which takes {room:.1f} GB there: "
                    f"{short_reason(error)}; make room"
                ) from error
            if largest is None and seen.unscaled:
                tell_unscaled(name, seen)
                return cls.of(photo, folder, keep_alpha, keep_gps, max_pixels, files, seen)
            exif, xmp = portable_exif(bands.head, keep_gps), portable_xmp(bands.head)
            return cls(rgb, alpha, exif, resolution_of(bands.head), xmp)


def _lay_down(
    pixels: PixelFile, stored: np.ndarray, top: int, height: int, orientation: int
) -> None:
    """Rows (h, W, C) of a picture, as it is stored from `top` on, to where they are seen.

    height: of the stored picture.
    """
    rows, width, channels = stored.shape
    turned = orientation >= 5
    seen = np.empty((channels, width, rows) if turned else (channels, rows, width), stored.dtype)
    as_stored(seen, orientation)[...] = stored.transpose(2, 0, 1)
    start = height - top - rows if orientation in _UPSIDE_DOWN else top
    pixels.write(0 if turned else start, start if turned else 0, seen.transpose(1, 2, 0))


def _recolored(
    bands: Iterator[Tensor], photo: _Pixels, color: float, folder: Path, files: ExitStack
) -> Iterator[Tensor]:
    """Bands (3, h, W) moved toward the palette of the content, which is known when all are there."""
    painted: PixelFile | None = None
    bottom = 0
    for band in bands:
        if painted is None:
            height, width = photo.rgb.shape[2:]
            painted = files.enter_context(PixelFile(height, width, 3, band.dtype, folder))
        painted.write(bottom, 0, band.permute(1, 2, 0).numpy())
        bottom += band.shape[1]
    assert painted is not None
    for _, recolored in recolor_bands(painted, photo.rgb, color, seen=photo.alpha):
        yield recolored


def _levels(plane: Tensor) -> Tensor:
    """256 levels of float32 in [0, 1]; uint8 as it is."""
    return plane if plane.dtype == torch.uint8 else plane.mul(255).round().to(torch.uint8)
