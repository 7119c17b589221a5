"""Internal to `hfstyle.images`: the formats in which pictures are written, and files that are whole or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image, features

from hfstyle.files import whole_file
from hfstyle.images.decode import ImageError
from hfstyle.images.exif import Resolution, with_resolution
from hfstyle.images.pixels import strip_bounds
from hfstyle.images.provenance import png_info
from hfstyle.images.write_bands import row_writer

WRITE_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
} | ({".avif": "AVIF"} if features.check("avif") else {})
_LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 65_535}


class Encoding(NamedTuple):
    """A format of Pillow and what its encoder is told."""

    format_name: str
    options: dict[str, Any]
    resolution: Resolution | None = None

    def write(self, image: Image.Image, stream: IO[bytes]) -> None:
        """image: grey, RGB or RGBA of 8 bits."""
        if self.format_name != "TIFF":
            image.save(stream, format=self.format_name, **self.options)
            return
        # Pillow's compressed TIFFs take no EXIF data of when and where.
        channels = len(image.getbands())
        writer = row_writer(
            stream,
            ".tif",
            image.size,
            channels,
            self.options.get("exif"),
            self.resolution,
            self.options.get("xmp"),
        )
        for top, bottom in strip_bounds(image.height, image.width):
            rows = np.asarray(image.crop((0, top, image.width, bottom)))
            writer.add(rows.reshape(bottom - top, image.width, channels))
        writer.finish()


def encoding_for(
    name: str,
    suffix: str,
    size: tuple[int, int],
    quality: int,
    exif: bytes | None,
    resolution: Resolution | None,
    xmp: bytes | None = None,
) -> Encoding:
    """How a picture of `size` (W, H) is written under a suffix. ImageError if it cannot be."""
    format_name = WRITE_FORMATS.get(suffix.lower())
    if format_name is None:
        raise ImageError(
            f"{name} has the suffix {suffix!r}; pictures can be written as "
            + ", ".join(WRITE_FORMATS)
        )
    if not 1 <= quality <= 100:
        raise ImageError(f"quality is {quality}; give 1 to 100")
    limit = _LONGEST_SIDE.get(format_name, 2**31 - 1)
    if max(size) > limit:
        raise ImageError(
            f"{name}: {size[0]} x {size[1]} px do not fit into {format_name}, whose "
            f"longest side is {limit} px; write .png or .tif"
        )
    options: dict[str, Any] = {} if format_name in ("PNG", "TIFF") else {"quality": quality}
    if format_name in ("JPEG", "AVIF"):
        options["subsampling"] = "4:4:4" if quality >= 90 else "4:2:0"
    if resolution is not None and format_name in ("PNG", "JPEG"):
        options["dpi"] = resolution  # a JPEG's are whole numbers
    elif resolution is not None and format_name != "TIFF":
        exif = with_resolution(exif, resolution)
    if exif is not None:
        options["exif"] = exif
    if xmp is not None and format_name == "PNG":
        options["pnginfo"] = png_info(xmp)
    elif xmp is not None:
        options["xmp"] = xmp
    return Encoding(format_name, options, resolution)


def check_target(target: Path, overwrite: bool) -> None:
    """ImageError if a picture cannot be written there."""
    if os.path.isdir(target):
        raise ImageError(f"{target} is a folder; give the path of a file")
    if not overwrite and os.path.exists(target):
        raise ImageError(f"{target} exists already; choose another name or allow overwriting")
    folder = Path(os.path.realpath(target)).parent
    if not folder.is_dir():
        raise ImageError(f"{target}: there is no folder {folder}; create it")


def write_atomically(
    image: Image.Image, target: Path, encoding: Encoding, *, overwrite: bool
) -> None:
    """Write beside the target, then take its name. ImageError, and no trace, if that fails."""
    with whole_or_nothing(target, overwrite=overwrite) as stream:
        try:
            encoding.write(image, stream)
        except OSError:
            raise
        except Exception as error:  # Pillow's encoders raise several kinds
            raise _cannot_be_written(target, error) from error


@contextmanager
def whole_or_nothing(target: Path, *, overwrite: bool) -> Iterator[IO[bytes]]:
    """As `hfstyle.files.whole_file`, with errors that say what to do.

    Raises:
        ImageError: the target exists (without `overwrite`) or cannot be written; OSErrors inside count as that.
    """
    try:
        with whole_file(target, overwrite=overwrite) as stream:
            yield stream
    except FileExistsError as error:
        raise ImageError(f"{target} exists already; choose another name") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        folder = Path(os.path.realpath(target)).parent
        raise ImageError(f"{target}: there is no folder {folder}; create it") from error
    except OSError as error:
        raise _cannot_be_written(target, error) from error


def _cannot_be_written(target: Path, error: Exception) -> ImageError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ImageError(f"{target} cannot be written: {reason}; check rights and space")
