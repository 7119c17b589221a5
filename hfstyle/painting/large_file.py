"""Internal to `hfstyle.pipeline`: from a picture file to a picture file, without either in memory.

The photo is decoded in bands into a file of pixels, from which the network reads its tiles; what it has painted goes
into the result at once.

H, W size of the picture · h rows of a band
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hfstyle._arguments import (
    DEFAULT_STYLE_SIZE,
    as_list,
    as_share,
    check_resolution,
    check_sides,
    check_style_size,
    check_tile_size,
)
from hfstyle._decode import (
    MAX_IMAGE_PIXELS,
    ImageError,
    open_file,
    seekable,
    short_reason,
    size_of,
)
from hfstyle._encode import check_target, whole_or_nothing
from hfstyle._file_bands import open_bands
from hfstyle._metadata import as_stored, orientation_of, portable_exif
from hfstyle._pixel_file import PixelFile
from hfstyle._pixels import flattened, has_8_bits, has_alpha, pil_strips, strip_bounds
from hfstyle._progress import Progress, Run
from hfstyle._recolor import recolor_bands
from hfstyle._row_writers import ROW_FORMATS, row_writer
from hfstyle._style_codes import StyleCodes, StyleInput
from hfstyle.images import WHITE
from hfstyle.style import StyleCode, normalise_weights
from hfstyle.tiling import UNTILED_PIXELS, TileSize

__all__ = ["FilePainter", "better_by_rows"]

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


class FilePainter(StyleCodes):
    """What `StyleTransferPipeline` does with files too large for memory."""

    def paint_file(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        style: StyleInput | Sequence[StyleInput],
        strength: float = 1.0,
        *,
        color: float = 1.0,
        style_weights: Sequence[float] | None = None,
        style_size: int = DEFAULT_STYLE_SIZE,
        processing_resolution: int | None = None,
        tile_size: TileSize = "auto",
        keep_alpha: bool = False,
        keep_exif: bool = False,
        keep_gps: bool = False,
        overwrite: bool = True,
        max_pixels: int | None = MAX_IMAGE_PIXELS,
        progress_callback: Callable[[int, int], None] | None = None,
    ) -> Path:
        """Paint a picture file into another, row by row: memory is bounded by a tile, whatever the size of the picture.

        The pixels are those of `pipe(source, style, ...)`. PNGs that are not interlaced, of 8 or 16 bits, and TIFFs in
        strips or tiles are decoded in bands; other files are decoded whole first, 4 bytes for each pixel, and then laid
        aside. The pixels lie in an unnamed file in the target's folder meanwhile: 3 bytes for each, 12 if they have more
        than 8 bits, 3 more with a `color` below 1. With a `processing_resolution` of r, memory is also needed for about
        9 r max(H, W) numbers.

        Args:
            source: path of the photo.
            target: path of the result, .png, .tif or .tiff; it is there when it is whole, and not before.
            style: a style, or with `style_weights` a list whose mixture is the style.
            strength, color, style_size, processing_resolution, tile_size: as in a call of the pipeline.
            keep_alpha: keep the photo's transparency instead of laying it over white.
            keep_exif: keep date, camera and author.
            keep_gps: keep these and the place.
            overwrite: replace an existing target.
            max_pixels: limit of H * W, checked before decoding; None for none.
            progress_callback: called as `progress_callback(done, total)` after each tile and at the end; what it raises
                ends the work, and no target is written.

        Returns:
            The target.

        Raises:
            ImageError: a photo that cannot be used, a target that cannot be written.
            StyleCodeError: a style code of another encoder, or a damaged file.
            ValueError: an argument out of range.
        """
        photo, final = Path(source), Path(target)
        if final.suffix.lower() not in ROW_FORMATS:
            raise ImageError(
                f"{final} has the suffix {final.suffix!r}; row by row, pictures are written as "
                f"{', '.join(sorted(ROW_FORMATS))}; for others call the pipeline and save its result"
            )
        check_target(final, overwrite)
        amount, share = as_share("strength", strength), as_share("color", color)
        resolution, tile_size = check_resolution(processing_resolution), check_tile_size(tile_size)
        code = self._mixed(style, style_weights, check_style_size(style_size))
        run = Run(tile_size, torch.uint8, Progress(progress_callback, 1))
        with ExitStack() as files, torch.inference_mode():
            folder = Path(os.path.realpath(final)).parent
            pixels = _Pixels.of(photo, folder, keep_alpha, keep_gps, max_pixels, files)
            height, width = pixels.rgb.shape[2:]
            check_sides(str(photo), height, width)
            bands = self._painted(pixels.rgb, code, amount, resolution, run)
            if amount > 0 and share < 1:
                bands = _recolored(bands, pixels.rgb, share, folder, files)
            stream = files.enter_context(whole_or_nothing(final, overwrite=overwrite))
            channels = 3 if pixels.alpha is None else 4
            exif = pixels.exif if keep_exif or keep_gps else None
            writer = row_writer(stream, final.suffix, (width, height), channels, exif)
            bottom = 0
            for band in bands:
                top, bottom = bottom, bottom + band.shape[1]
                planes = (
                    [band] if pixels.alpha is None else [band, pixels.alpha[..., top:bottom, :][0]]
                )
                rows = torch.cat([_levels(plane) for plane in planes])  # (C, h, W)
                writer.add(rows.permute(1, 2, 0).numpy())
            writer.finish()
        run.progress.picture_done()
        return final

    def _mixed(
        self, style: StyleInput | Sequence[StyleInput], weights: Sequence[float] | None, size: int
    ) -> StyleCode:
        styles = as_list(style, "style")
        if weights is None and len(styles) != 1:
            raise ValueError(
                f"{len(styles)} styles for one picture; give one, or style_weights for a mixture"
            )
        shares = None if weights is None else normalise_weights(weights, len(styles))
        codes = self._encode_all(styles, size)
        return codes[0] if shares is None else StyleCode.mix(codes, shares)

    def _painted(
        self, content: PixelFile, code: StyleCode, strength: float, resolution: int | None, run: Run
    ) -> Iterator[Tensor]:
        """content (1, 3, H, W) -> (3, h, W) on the CPU, uint8 or float32."""
        if strength > 0:
            return self._bands(content, code, strength, resolution, run)
        bounds = strip_bounds(*content.shape[2:])
        return (content[..., top:bottom, :][0] for top, bottom in bounds)


@dataclass(frozen=True)
class _Pixels:
    """A photo, decoded and upright: rgb (1, 3, H, W), alpha (1, 1, H, W) or None, of uint8 or float32."""

    rgb: PixelFile
    alpha: PixelFile | None
    exif: bytes | None

    @classmethod
    def of(
        cls,
        photo: Path,
        folder: Path,
        keep_alpha: bool,
        keep_gps: bool,
        max_pixels: int | None,
        files: ExitStack,
    ) -> _Pixels:
        """Decode a photo into `folder`; `files` closes what is opened."""
        name = str(photo)
        with open_file(photo, name) as file:
            bands = open_bands(seekable(file, name), name, max_pixels)
            first = next(bands.parts)
            orientation = orientation_of(bands.head)
            compact, alpha = has_8_bits(first), None
            width, height = bands.size
            size = (width, height) if orientation >= 5 else (height, width)
            dtype = torch.uint8 if compact else torch.float32
            try:
                rgb = files.enter_context(PixelFile(*size, 3, dtype, folder))
                if keep_alpha and has_alpha(first.image):
                    alpha = files.enter_context(PixelFile(*size, 1, dtype, folder))
                top, over = 0, np.asarray(WHITE, np.float32)
                for decoded in chain([first], bands.parts):
                    for strip in pil_strips(decoded, name):
                        color, opacity = flattened(strip, alpha is not None, over, compact)
                        start = top + strip.top
                        _lay_down(rgb, color, start, height, orientation)
                        if alpha is not None and opacity is not None:
                            _lay_down(alpha, opacity, start, height, orientation)
                    top += decoded.image.height
            except OSError as error:
                room = height * width * (3 if compact else 12) / 1e9
                raise ImageError(
                    f"{name}: its pixels cannot be laid aside in {folder}, which takes {room:.1f} GB there: "
                    f"{short_reason(error)}; make room"
                ) from error
            return cls(rgb, alpha, portable_exif(bands.head, keep_gps))


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
    bands: Iterator[Tensor], content: PixelFile, color: float, folder: Path, files: ExitStack
) -> Iterator[Tensor]:
    """Bands (3, h, W) moved toward the palette of the content, which is known when all are there."""
    painted: PixelFile | None = None
    bottom = 0
    for band in bands:
        if painted is None:
            height, width = content.shape[2:]
            painted = files.enter_context(PixelFile(height, width, 3, band.dtype, folder))
        painted.write(bottom, 0, band.permute(1, 2, 0).numpy())
        bottom += band.shape[1]
    assert painted is not None
    for _, recolored in recolor_bands(painted, content, color):
        yield recolored


def _levels(plane: Tensor) -> Tensor:
    """256 levels of float32 in [0, 1]; uint8 as it is."""
    return plane if plane.dtype == torch.uint8 else plane.mul(255).round().to(torch.uint8)
