"""Every way a picture enters or leaves. Inside, pictures are RGB float32 in [0, 1], sRGB.

B batch · C channels · H, W image size
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hfstyle.files import web_address
from hfstyle.images.arrays import array_strips, as_float, channels_last, describe
from hfstyle.images.chunks import numbers_of_pil
from hfstyle.images.decode import (
    MAX_IMAGE_PIXELS,
    Decoded,
    ImageError,
    check_size,
    decode_file,
    decode_pil,
)
from hfstyle.images.exif import Resolution, as_stored, orientation_of, portable_exif, resolution_of
from hfstyle.images.pixels import Strip, flattened, has_8_bits, pil_strips
from hfstyle.images.pixels import has_alpha as image_has_alpha
from hfstyle.images.provenance import portable_xmp
from hfstyle.images.unscaled import largest_in, largest_of, tell_unscaled
from hfstyle.limits import flags_checked

__all__ = ["READ_SUFFIXES", "ImageInput", "Picture", "list_images", "load_image", "load_input"]

ImageInput: TypeAlias = (
    Image.Image | np.ndarray | Tensor | str | os.PathLike[str] | bytes | IO[bytes]
)

WHITE = (1.0, 1.0, 1.0)

READ_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".avif", ".heic", ".heif"}
    | {".tif", ".tiff", ".gif", ".bmp", ".dib", ".ico", ".tga", ".jp2", ".j2k"}
    | {".ppm", ".pgm", ".pbm", ".pnm"}
)
"""Of the files that are taken for pictures in a folder."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture, upright.

    rgb: (3, H, W) float32 in [0, 1], sRGB, on the CPU, sharing memory with nothing; of a compact picture
        of 8 bits (see `load_image`), uint8.
    alpha: (1, H, W) of the same type, 1 or 255 is opaque; None if there is none or it was flattened.
        With alpha, rgb is not multiplied by it.
    name: the path, or what the picture was given as.
    exif: what may be kept of its EXIF data in a copy (no orientation, thumbnail or, by default,
        place), or None.
    xmp: of the photo's XMP, author, titles, rights and dates, as an RDF description, or None.
    resolution: pixels per inch when it is printed, across and down, or None.
    """

    rgb: Tensor
    alpha: Tensor | None
    name: str
    exif: bytes | None = None
    resolution: Resolution | None = None
    xmp: bytes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.rgb.shape[-2], self.rgb.shape[-1]


@flags_checked
def load_image(
    source: ImageInput | Picture,
    *,
    keep_alpha: bool = False,
    background: Sequence[float] = WHITE,
    max_pixels: int | None = MAX_IMAGE_PIXELS,
    name: str | None = None,
    compact: bool = False,
    keep_place: bool = False,
    least_side: int | None = None,
) -> Picture:
    """Any picture as upright RGB in [0, 1].

    source: one of
        a path, bytes or binary file of an encoded picture (its first frame, if it moves);
        a Pillow image of any mode (its current frame);
        a numpy array (H, W), (H, W, 1 | 2 | 3 | 4) or (1, H, W, C), uint8, uint16 or float in [0, 1];
        a torch tensor (1 | 2 | 3 | 4, H, W) or (1, C, H, W), uint8, uint16 or float in [0, 1].
        One channel is grey, two are grey and alpha, four are red, green, blue and alpha. Whole numbers of more than 8
        bits of which none is above 255 are taken as if they had 8 bits, with a warning;
        a `Picture`, whose transparency is laid over `background` unless it is to be kept.
    keep_alpha: return alpha beside the colours instead of flattening it over `background`.
    background: red, green, blue in [0, 1].
    max_pixels: limit of H * W, checked before decoding; None for none.
    name: what to call the picture in errors and in `Picture.name`; default: its path or type.
    keep_place: leave the place where a photo was taken (GPS) in `Picture.exif`.
    compact: leave pictures of 8 bits as uint8, a quarter of the memory; flattening rounds to that.
    least_side: px; of a JPEG file, a half, a quarter or an eighth of the size is decoded, which is faster, if that
        leaves the short side as long. None decodes all.

    EXIF orientation is applied and ICC profiles, CMYK and Lab are converted to sRGB. Grey of 16 bits, floating point
    grey, and colours of 16 bits in PNG and TIFF files keep their precision, unless a profile or inks (CMYK) must be
    converted, which rounds them to 8 bits. TIFFs of floating point colours in [0, 1] need tifffile (`hfstyle[tiff]`). Other
    colours of more than 8 bits (AVIF, HEIC, JPEG 2000, PPM, Pillow images; without tifffile, TIFFs with compressed channels
    that lie apart or with premultiplied alpha) are read as 8 bits.

    Raises ImageError for whatever is not a usable picture: missing, empty, truncated, of unknown
    format, type or shape, without pixels or with too many, with NaN or values out of range.
    """
    over = check_background(background)
    if isinstance(source, Picture):
        return _again(source, keep_alpha, over, compact)
    name = name if name is not None else describe(source)
    if max_pixels is not None and max_pixels < 1:
        raise ImageError(f"max_pixels is {max_pixels}; give at least 1, or None for no limit")

    orientation, exif, resolution, xmp = 1, None, None, None
    strips: Iterator[Strip]
    if isinstance(source, (np.ndarray, Tensor)):
        pixels = channels_last(source, name)
        height, width, channels = pixels.shape
        check_size(name, width, height, max_pixels)
        largest = largest_of(pixels, 1 if channels <= 2 else 3)
        strips, has_alpha = array_strips(pixels, name, largest), channels in (2, 4)
        compact = compact and pixels.dtype == np.uint8
    else:
        if isinstance(source, Image.Image):
            numbers = numbers_of_pil(source)
            decode_pil(source, name, max_pixels)
            decoded = Decoded(source, colors=numbers)
        elif isinstance(source, (str, os.PathLike, bytes)) or hasattr(source, "read"):
            decoded = decode_file(source, name, max_pixels, least_side)
        else:
            raise ImageError(
                f"{name} is not a picture; give a path, bytes, a binary file, a Pillow image, "
                "a numpy array or a torch tensor"
            )
        image = decoded.image
        width, height = decoded.size
        orientation, exif = orientation_of(image), portable_exif(image, keep_place)
        resolution, xmp = resolution_of(image), portable_xmp(image)
        largest = largest_in(decoded)
        strips, has_alpha = pil_strips(decoded, name, largest), image_has_alpha(image)
        compact = compact and has_8_bits(decoded)

    size = (width, height) if orientation >= 5 else (height, width)
    try:
        rgb = _empty(3, size, compact)
        alpha = _empty(1, size, compact) if has_alpha and keep_alpha else None
    except MemoryError as error:
        raise ImageError(
            f"{name} is {width} x {height} px and needs {(3e-9 if compact else 12e-9) * width * height:.1f} GB of "
            "memory; make it smaller"
        ) from error
    rgb_rows = as_stored(rgb, orientation)
    alpha_rows = None if alpha is None else as_stored(alpha, orientation)
    for strip in strips:
        rows = slice(strip.top, strip.top + len(strip.color))
        color, opacity = flattened(strip, alpha_rows is not None, over, compact)
        rgb_rows[:, rows] = color.transpose(2, 0, 1)  # grey becomes three channels here
        if alpha_rows is not None and opacity is not None:
            alpha_rows[:, rows] = opacity.transpose(2, 0, 1)
    tell_unscaled(name, largest)
    return Picture(
        rgb=torch.from_numpy(rgb),
        alpha=None if alpha is None else torch.from_numpy(alpha),
        name=name,
        exif=exif,
        resolution=resolution,
        xmp=xmp,
    )


def _again(picture: Picture, keep_alpha: bool, over: np.ndarray, compact: bool) -> Picture:
    """A picture that was decoded before, as it is asked for now."""
    rgb, alpha = picture.rgb, picture.alpha
    if alpha is not None and not keep_alpha:
        ground = torch.from_numpy(over)[:, None, None]
        rgb, alpha = torch.lerp(ground, as_float(rgb), as_float(alpha)), None
    if not compact:
        rgb, alpha = as_float(rgb), None if alpha is None else as_float(alpha)
    return replace(picture, rgb=rgb, alpha=alpha)


def _empty(channels: int, size: tuple[int, int], compact: bool) -> np.ndarray:
    """(C, H, W): float32, or uint8 whose channels lie side by side in memory, as Pillow wants them."""
    if compact:
        return np.empty((*size, channels), dtype=np.uint8).transpose(2, 0, 1)
    return np.empty((channels, *size), dtype=np.float32)


@flags_checked
def list_images(folder: str | os.PathLike[str], recursive: bool = False) -> list[Path]:
    """The picture files in a folder, by suffix, sorted by path; hidden ones are left out.

    recursive: also those in its subfolders (links to folders are not followed).
    Raises ImageError if the folder does not exist, is a file or cannot be read.
    """
    root = Path(folder)
    if address := web_address(root):
        raise ImageError(f"{address} is a web address; download its pictures and give their folder")
    if not os.path.isdir(root):
        what = "is a file" if os.path.exists(root) else "does not exist"
        raise ImageError(f"{root} {what}; give an existing folder")

    def fail(error: OSError) -> None:
        raise ImageError(f"{error.filename} cannot be read: {error.strerror}") from error

    found = []
    for parent, folders, files in os.walk(root, onerror=fail):
        folders[:] = [f for f in folders if recursive and not f.startswith(".")]
        for file in files:
            if Path(file).suffix.lower() in READ_SUFFIXES and not file.startswith("."):
                found.append(Path(parent, file))
    return sorted(found)


def check_background(background: Sequence[float]) -> np.ndarray:
    over = np.asarray(background, dtype=np.float32)
    if over.shape != (3,) or not ((over >= 0) & (over <= 1)).all():
        raise ImageError(f"background is {background}; give red, green and blue, each in [0, 1]")
    return over


def load_input(source: ImageInput | Picture, name: str, keep_alpha: bool) -> Picture:
    path = isinstance(source, (str, os.PathLike))
    named = path or bool(getattr(source, "filename", "") or getattr(source, "name", ""))
    return load_image(source, keep_alpha=keep_alpha, name=None if named else name, compact=True)
