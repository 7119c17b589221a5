"""Internal to `hfstyle.images`: the file of a picture, opened: what it is, before any pixel is decoded."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import stat
import struct
from collections.abc import Iterator
from typing import IO, Final, NamedTuple

from PIL import ExifTags, Image, ImageFile

from hfstyle.files import web_address
from hfstyle.images.chunks import ColorNumbers, Png, coded_colors
from hfstyle.images.read_tiff import TiffPixels, has_tifffile, tiff_pixels
from hfstyle.images.tiff import has_deep_colors, is_tiff, main_picture, read_directories
from hfstyle.messages import short_reason

__all__ = [
    "ImageError",
    "Prepared",
    "as_image_error",
    "identify",
    "open_file",
    "open_tiff",
    "opened",
    "prepared_file",
    "refuse_tiff",
    "seekable",
    "size_of",
]

_log = logging.getLogger(__name__)

# PostScript is a program: Pillow would hand it to Ghostscript.
_REFUSED_FORMATS: Final = frozenset({"EPS"})
_HEIC_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1"})
_RAW: Final = (
    b"FUJIFILMCCD-RAW",
    b"IIU\0",
    b"IIRO",
    b"IIRS",
    b"MMOR",
    b"FOVb",
    b"\0MRM",
)  # not TIFFs


class ImageError(ValueError):
    """A picture that cannot be used: the message names it, what is wrong, the limit and the remedy."""


@contextlib.contextmanager
def as_image_error(name: str) -> Iterator[None]:
    """Whatever a damaged file makes the code inside raise becomes an ImageError."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(
            f"{name} cannot be decoded, it is truncated or damaged: {short_reason(error)}; export or download it again"
        ) from error


def open_file(source: str | os.PathLike[str], name: str) -> IO[bytes]:
    """The file of a picture, open in binary mode. ImageError if there is none or it is empty."""
    if address := web_address(source):
        raise ImageError(
            f"{address} is a web address; download the picture and give the file's path"
        )
    try:
        stream = open(source, "rb")  # noqa: SIM115
    except FileNotFoundError as error:
        is_url = os.fsdecode(source).lower().startswith("file:")
        remedy = "give its path, without file:" if is_url else "check the path"
        raise ImageError(f"{name}: there is no such file; {remedy}") from error
    except IsADirectoryError as error:
        raise ImageError(f"{name} is a folder; give the path of one picture in it") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(
            f"{name} cannot be opened: {reason}; check the path and its rights"
        ) from error
    status = os.fstat(stream.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_size == 0:
        stream.close()
        raise ImageError(f"{name} is an empty file (0 bytes); copy or download it again")
    return stream


def size_of(source: str | os.PathLike[str], name: str) -> tuple[int, int]:
    """(W, H) of the picture in a file, as it is seen or as it is stored, from its header. ImageError if it is none."""
    with open_file(source, name) as stream:
        return identify(seekable(stream, name), name).size


def seekable(stream: IO[bytes], name: str) -> IO[bytes]:
    """`stream` from its beginning, read into memory if it is a pipe."""
    try:
        try:
            stream.seek(0)
            return stream
        except (AttributeError, OSError):  # io.UnsupportedOperation is an OSError
            return io.BytesIO(stream.read())
    except Exception as error:  # a stream can be anything that has `read`
        raise ImageError(
            f"{name} cannot be read: {short_reason(error)}; open it in binary mode ('rb')"
        ) from error


class Prepared(NamedTuple):
    """A file as Pillow can open it: its stream, and what it says that Pillow does not see."""

    stream: IO[bytes]
    colors: ColorNumbers = ColorNumbers()
    profile: bytes | None = None  # of ICC, too long for Pillow
    orientation: int | None = None  # of EXIF, where it stands apart
    tiff: TiffPixels | None = None  # where tifffile is to read it


def prepared_file(stream: IO[bytes], name: str, every_tiff: bool = False) -> Prepared:
    """every_tiff: not only those whose pixels Pillow has no room for. ImageError for a raw file without a developed picture."""
    try:
        stream.seek(0)
        prefix = stream.read(16)
        if not isinstance(prefix, bytes):
            raise ImageError(f"{name} is open as text; open it in binary mode ('rb')")
        if (png := Png.of(stream)) is not None:
            return Prepared(png.stream, png.colors, png.profile)
        if prefix[4:8] == b"ftyp":
            return Prepared(stream, coded_colors(stream))
        if is_tiff(prefix):
            found = main_picture(stream, name)
            wanted = every_tiff or has_deep_colors(found.stream)
            tiff = tiff_pixels(found.stream) if wanted else None
            return Prepared(found.stream, orientation=found.orientation, tiff=tiff)
    except ImageError:
        raise
    except ValueError as error:
        raise ImageError(str(error)) from error
    except (OSError, struct.error, OverflowError) as error:  # Pillow will say what is wrong
        _log.debug("%s: %s", name, error)
    return Prepared(stream)


def identify(stream: IO[bytes], name: str) -> ImageFile.ImageFile:
    """The picture of a file, its header only. ImageError if it is none."""
    return opened(prepared_file(stream, name), name)


def open_tiff(stream: IO[bytes], name: str) -> tuple[ImageFile.ImageFile, TiffPixels] | None:
    """The picture of a TIFF file: its metadata and its pixels, not yet read; None for what tifffile is not to read.

    Raises:
        ImageError: as `identify`.
    """
    prepared = prepared_file(stream, name, every_tiff=True)
    return None if prepared.tiff is None else (opened(prepared, name), prepared.tiff)


def opened(prepared: Prepared, name: str) -> ImageFile.ImageFile:
    if prepared.tiff is None:
        image = _identified(prepared.stream, name)
    else:
        with as_image_error(name):
            image = _identified(prepared.tiff.head(), name)
    if prepared.profile is not None:
        image.info["icc_profile"] = prepared.profile
    if prepared.orientation is not None:
        image.getexif()[ExifTags.Base.Orientation] = prepared.orientation
    return image


def _identified(stream: IO[bytes], name: str) -> ImageFile.ImageFile:
    """`Image.open` without its own pixel limit, which is global and partly a warning.

    No file name is given to the plugins, so none maps the file into memory: it may change later.
    """
    tried: set[str] = set()
    prefix = b""
    try:
        stream.seek(0)
        prefix = stream.read(16)
        if not prefix:
            raise ImageError(f"{name} is empty (0 bytes); give an encoded picture")
        if not isinstance(prefix, bytes):
            raise ImageError(f"{name} is open as text; open it in binary mode ('rb')")
        # the common formats, then all
        for register in (_register_heic, Image.preinit, Image.init)[not _is_heic(prefix) :]:
            register()
            for format_name in [f for f in Image.ID if f not in tried]:
                tried.add(format_name)
                factory, accepts = Image.OPEN[format_name]
                if format_name in _REFUSED_FORMATS:
                    continue
                try:
                    accepted = accepts(prefix) if accepts else True
                    if not accepted or isinstance(accepted, str):
                        continue
                    stream.seek(0)
                    return factory(stream, "")
                except (SyntaxError, IndexError, TypeError, struct.error) as error:
                    _log.debug("%s is not %s: %s", name, format_name, error)
    except ImageError:
        raise
    except Exception as error:  # whatever a broken header makes a plugin raise
        refuse_tiff(stream, prefix, name)
        raise ImageError(
            f"{name} is not a readable picture: {short_reason(error)}; export or download it again"
        ) from error
    refuse_tiff(stream, prefix, name)
    hint = "HEIC needs the package pillow-heif; " if _is_heic(prefix) else ""
    if prefix.startswith(_RAW) or prefix[4:12] == b"ftypcrx ":
        hint = "a camera's raw file must be developed first, by a raw converter; "
    raise ImageError(
        f"{name} is not a picture in a known format; {hint}"
        "give a JPEG, PNG, WebP, TIFF, AVIF, GIF or BMP"
    )


def refuse_tiff(stream: IO[bytes], prefix: bytes, name: str) -> None:
    """ImageError for a TIFF of a kind that Pillow lacks, which says the kind; nothing for other files."""
    if not is_tiff(prefix) or not (found := read_directories(stream)):
        return
    width, height = found[0].size
    if min(width, height) > 0:
        more = "" if has_tifffile() else "more kinds need pip install 'hfstyle[tiff]'; or "
        raise ImageError(
            f"{name} is a TIFF of {width} x {height} px whose kind of pixels cannot be read ({found[0].describe()}); {more}"
            "save it as grey, RGB or RGBA of 8 or 16 bits for each channel, as whole numbers without a sign"
        )


def _is_heic(prefix: bytes) -> bool:
    return prefix[4:8] == b"ftyp" and prefix[8:12] in _HEIC_BRANDS


def _register_heic() -> None:
    with contextlib.suppress(ModuleNotFoundError):  # an optional package
        import pillow_heif

        pillow_heif.register_heif_opener()
