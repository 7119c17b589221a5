"""Internal to `hfstyle.pipeline`: an encoded file decoded in bands of rows, each as a small picture of its own.

So tifffile reads TIFFs, if it is installed. Other files are one band.

H, W size of the picture
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from PIL import Image

from hfstyle.images.decode import Decoded, check_size, decode_file
from hfstyle.images.opening import as_image_error, open_tiff
from hfstyle.images.pixels import strip_bounds
from hfstyle.images.read_tiff import TiffPixels
from hfstyle.images.tiff import is_tiff

__all__ = ["Bands", "open_bands"]


@dataclass
class Bands:
    """A picture that is decoded band by band.

    head: the picture, whose metadata count; its pixels may not be decoded.
    size: (W, H) as it is stored.
    parts: the bands from top to bottom, of any heights, in the mode of the picture.
    """

    head: Image.Image
    size: tuple[int, int]
    parts: Iterator[Decoded]


def open_bands(stream: IO[bytes], name: str, max_pixels: int | None) -> Bands:
    """Begin to decode a picture.

    Args:
        stream: a file open in binary mode, seekable, at its beginning; must stay open until the last band.
        name: of the picture in errors.
        max_pixels: as of `load_image`.

    Raises:
        ImageError: as `load_image`; of damage to its pixels, when the band is reached.
    """
    found = open_tiff(stream, name) if is_tiff(stream.read(4)) else None
    if found is not None:
        head, pixels = found
        check_size(name, *pixels.size, max_pixels)
        return Bands(head, pixels.size, _bands(head, pixels, name))
    decoded = decode_file(stream, name, max_pixels)
    return Bands(decoded.image, decoded.size, iter([decoded]))


def _bands(head: Image.Image, pixels: TiffPixels, name: str) -> Iterator[Decoded]:
    width, height = pixels.size
    _, rows = next(strip_bounds(height, width))
    with as_image_error(name):
        for values in pixels.bands(rows):
            yield Decoded(head, values=values)
