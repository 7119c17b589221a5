"""Internal to `hfstyle.images`: encoded pictures (files, bytes, streams) as Pillow images, whatever they hold."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import stat
import struct
from collections.abc import Iterator
from typing import IO, Any, Final, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageFile, TiffImagePlugin

from hfstyle.files import web_address
from hfstyle.images.chunks import ColorNumbers, Png, coded_colors, count_scans
from hfstyle.images.low_bytes import low_layout, with_rawmode
from hfstyle.images.read_tiff import TiffPixels, has_tifffile, tiff_pixels
from hfstyle.images.tiff import has_deep_colors, is_tiff, main_picture, read_directories
from hfstyle.messages import short_reason

_log = logging.getLogger(__name__)

# 2.4 GB once decoded to float32; the largest phone cameras give 200 megapixels.
MAX_IMAGE_PIXELS: int = 200_000_000

# A strip of pixels costs the network as much as a picture as high as its least size (64 px).
_LONGEST_ANY: Final = 8192  # px, of pictures of any proportions
_MOST_ASPECT: Final = 200  # long sides in short ones, of longer pictures
_MOST_SCANS: Final = (
    100  # of a progressive JPEG; encoders write about ten, and each takes a pass over all pixels
)

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
_GREY_STEPS: Final = {
    "1": 255,
    "L;2": 85,
    "L;4": 17,
}  # one level of a PNG of 1, 2, 4 bits, in 8 bits
_SAMPLE_FORMAT: Final = 339  # a TIFF's tag
_SIGNED: Final = 2
_APART: Final = 2
_SUBFILE: Final = 254


class ImageError(ValueError):
    """A picture that cannot be used: the message names it, what is wrong, the limit and the remedy."""


class Decoded(NamedTuple):
    """A decoded picture.

    image: in its own mode; of 16-bit colours, the higher bytes, which is all that Pillow has room for.
    low: of 16-bit colours, the lower bytes: RGB, RGBA or CMYK as `image`; of grey with alpha, RGBA whose
        channels are the higher and lower bytes of grey, and those of alpha. Else None.
    grey: whether `low` is such a picture of grey with alpha.
    colors: what its file says of its colours by numbers.
    values: (H, W, C), the pixels in the channels of `image.mode`, of uint8, uint16 or float32, where tifffile read them;
        `image` then has none. Else None.
    """

    image: Image.Image
    low: Image.Image | None = None
    grey: bool = False
    colors: ColorNumbers = ColorNumbers()
    values: np.ndarray | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(W, H)"""
        return self.image.size if self.values is None else self.values.shape[1::-1]


def check_size(name: str, width: int, height: int, max_pixels: int | None) -> None:
    """Raises ImageError when a picture has no pixels, or more than `max_pixels`, or is a very long strip; None sets no limit."""
    if width < 1 or height < 1:
        raise ImageError(
            f"{name} is {width} x {height} px, so it has no pixels; give a picture of at least 1 x 1 px"
        )
    if max_pixels is not None and width * height > max_pixels:
        raise ImageError(
            f"{name} is {width} x {height} px ({width * height / 1e6:,.1f} megapixels); the limit is "
            f"{max_pixels / 1e6:,.1f} megapixels; make it smaller, or raise `max_pixels` if you trust it"
        )
    long, short = max(width, height), min(width, height)
    if max_pixels is not None and long > max(_LONGEST_ANY, _MOST_ASPECT * short):
        raise ImageError(
            f"{name} is {width} x {height} px; the long side may be {_LONGEST_ANY} px, or {_MOST_ASPECT} times the "
            "short one; cut it into parts, or give `max_pixels=None` if you trust it"
        )


def decode_file(
    source: bytes | str | os.PathLike[str] | IO[bytes],
    name: str,
    max_pixels: int | None,
    least_side: int | None = None,
) -> Decoded:
    """The picture of an encoded file, of several frames the first. ImageError if it is not one.

    least_side: px; a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size while its short side has at least as many.
    """
    if isinstance(source, bytes):
        if not source:
            raise ImageError(f"{name} is empty (0 bytes); give the bytes of an encoded picture")
        return _decode_stream(io.BytesIO(source), name, max_pixels, least_side)
    if not isinstance(source, (str, os.PathLike)):
        return _decode_stream(seekable(source, name), name, max_pixels, least_side)
    with open_file(source, name) as stream:
        return _decode_stream(seekable(stream, name), name, max_pixels, least_side)


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


def decode_pil(image: Image.Image, name: str, max_pixels: int | None) -> None:
    """Makes sure that the pixels of a Pillow image (its current frame) are in memory."""
    check_size(name, *image.size, max_pixels)
    _scale_transparent_color(image)
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(_SUBFILE, 0) == 1:
        _log.warning(
            "%s: the current frame is a smaller copy, by its own word; give the path for the picture",
            name,
        )
    if _lost_its_file(image):
        raise ImageError(
            f"{name} was closed before its pixels were read; call its `load()` before its file is closed, or give the path"
        )
    try:
        image.load()
    except Exception as error:  # whatever a broken file makes a decoder raise
        raise ImageError(
            f"{name} ({image.format or image.mode}, {image.width} x {image.height} px) cannot be "
            f"decoded, it is truncated or damaged: {short_reason(error)}; export or download it again"
        ) from error
    check_size(name, *image.size, max_pixels)  # what was decoded may differ from the header


def _lost_its_file(image: Image.Image) -> bool:
    """Whether Pillow would have to read pixels from a file that is closed."""
    if not isinstance(image, ImageFile.ImageFile) or not getattr(image, "tile", None):
        return False
    stream = getattr(image, "fp", None)
    return stream is None or bool(getattr(stream, "closed", False))


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


class _Prepared(NamedTuple):
    """A file as Pillow can open it: its stream, and what it says that Pillow does not see."""

    stream: IO[bytes]
    colors: ColorNumbers = ColorNumbers()
    profile: bytes | None = None  # of ICC, too long for Pillow
    orientation: int | None = None  # of EXIF, where it stands apart
    tiff: TiffPixels | None = None  # where tifffile is to read it


def _prepared(stream: IO[bytes], name: str, every_tiff: bool = False) -> _Prepared:
    """every_tiff: not only those whose pixels Pillow has no room for. ImageError for a raw file without a developed picture."""
    try:
        stream.seek(0)
        prefix = stream.read(16)
        if not isinstance(prefix, bytes):
            raise ImageError(f"{name} is open as text; open it in binary mode ('rb')")
        if (png := Png.of(stream)) is not None:
            return _Prepared(png.stream, png.colors, png.profile)
        if prefix[4:8] == b"ftyp":
            return _Prepared(stream, coded_colors(stream))
        if is_tiff(prefix):
            found = main_picture(stream, name)
            wanted = every_tiff or has_deep_colors(found.stream)
            tiff = tiff_pixels(found.stream) if wanted else None
            return _Prepared(found.stream, orientation=found.orientation, tiff=tiff)
    except ImageError:
        raise
    except ValueError as error:
        raise ImageError(str(error)) from error
    except (OSError, struct.error, OverflowError) as error:  # Pillow will say what is wrong
        _log.debug("%s: %s", name, error)
    return _Prepared(stream)


def _decode_stream(
    stream: IO[bytes], name: str, max_pixels: int | None, least_side: int | None
) -> Decoded:
    prepared = _prepared(stream, name)
    image = _opened(prepared, name)
    check_size(name, *image.size, max_pixels)
    _check_scans(image, prepared.stream, name)
    if least_side is not None and image.format in ("JPEG", "MPO"):
        image.draft(None, (least_side, least_side))
    if prepared.tiff is not None:
        with as_image_error(name):
            return Decoded(image, colors=prepared.colors, values=prepared.tiff.whole())
    layout = low_layout(image)
    _refuse_misread(image, prepared.stream, name)
    decode_pil(image, name, max_pixels)
    if layout is None:
        return Decoded(image, colors=prepared.colors)
    # Pillow takes the higher byte of each 16-bit colour. The same data in the other byte order show the lower.
    low = _opened(prepared, name)
    mode, rawmodes = layout
    low._mode = mode
    low.tile = [
        tile._replace(args=with_rawmode(tile.args, rawmode))
        for tile, rawmode in zip(low.tile, rawmodes, strict=True)
    ]
    decode_pil(low, name, max_pixels)
    return Decoded(image, low, rawmodes == ["RGBA"], prepared.colors)


def _refuse_misread(image: ImageFile.ImageFile, stream: IO[bytes], name: str) -> None:
    """ImageError for TIFFs that Pillow takes for 8 bits without a sign: 8 bits with one, and 16 whose channels lie apart."""
    tags: Any = getattr(image, "tag_v2", None) or {}
    signed = set(_many(tags.get(_SAMPLE_FORMAT))) == {_SIGNED} and image.mode == "L"
    raw = all(tile.codec_name == "raw" for tile in image.tile)
    apart = tags.get(ExifTags.Base.PlanarConfiguration) == _APART and raw
    if signed or (apart and max(_many(tags.get(ExifTags.Base.BitsPerSample)), default=8) > 8):
        _refuse_tiff(stream, b"II*\0", name)


def _check_scans(image: ImageFile.ImageFile, stream: IO[bytes], name: str) -> None:
    """ImageError for a JPEG, or a part of a TIFF in JPEG's compression, of very many scans."""
    if image.format in ("JPEG", "MPO"):
        stream.seek(0)
        scans = count_scans(stream.read(), _MOST_SCANS)
    elif image.format == "TIFF" and image.info.get("compression") in ("jpeg", "tiff_jpeg"):
        scans = 0
        tags: Any = getattr(image, "tag_v2", {})
        for places, lengths in ((273, 279), (324, 325)):  # of strips, of tiles
            for place, length in zip(
                _many(tags.get(places)), _many(tags.get(lengths)), strict=False
            ):
                stream.seek(place)
                scans = max(scans, count_scans(stream.read(length), _MOST_SCANS))
    else:
        return
    if scans > _MOST_SCANS:
        raise ImageError(
            f"{name} is a JPEG of more than {_MOST_SCANS} scans, each of which takes a pass over the whole picture; "
            "save it again in an image editor"
        )


def _many(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else () if value is None else (value,)


def identify(stream: IO[bytes], name: str) -> ImageFile.ImageFile:
    """The picture of a file, its header only. ImageError if it is none."""
    return _opened(_prepared(stream, name), name)


def open_tiff(stream: IO[bytes], name: str) -> tuple[ImageFile.ImageFile, TiffPixels] | None:
    """The picture of a TIFF file: its metadata and its pixels, not yet read; None for what tifffile is not to read.

    Raises:
        ImageError: as `identify`.
    """
    prepared = _prepared(stream, name, every_tiff=True)
    return None if prepared.tiff is None else (_opened(prepared, name), prepared.tiff)


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


def _opened(prepared: _Prepared, name: str) -> ImageFile.ImageFile:
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
                accepted = accepts(prefix) if accepts else True
                if not accepted or isinstance(accepted, str) or format_name in _REFUSED_FORMATS:
                    continue
                stream.seek(0)
                try:
                    return factory(stream, "")
                except (SyntaxError, IndexError, TypeError, struct.error) as error:
                    _log.debug("%s is not %s: %s", name, format_name, error)
    except ImageError:
        raise
    except Exception as error:  # whatever a broken header makes a plugin raise
        _refuse_tiff(stream, prefix, name)
        raise ImageError(
            f"{name} is not a readable picture: {short_reason(error)}; export or download it again"
        ) from error
    _refuse_tiff(stream, prefix, name)
    hint = "HEIC needs the package pillow-heif; " if _is_heic(prefix) else ""
    if prefix.startswith(_RAW) or prefix[4:12] == b"ftypcrx ":
        hint = "a camera's raw file must be developed first, by a raw converter; "
    raise ImageError(
        f"{name} is not a picture in a known format; {hint}"
        "give a JPEG, PNG, WebP, TIFF, AVIF, GIF or BMP"
    )


def _refuse_tiff(stream: IO[bytes], prefix: bytes, name: str) -> None:
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


def _scale_transparent_color(image: Image.Image) -> None:
    """PNG: brings the transparent colour to the 8 bits to which Pillow decodes the pixels."""
    key = image.info.get("transparency")
    tiles = getattr(image, "tile", None)  # empty once decoded
    if image.format != "PNG" or not tiles:
        return
    rawmode = tiles[0][3]
    if rawmode == "RGB;16B" and isinstance(key, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in key)
    elif rawmode in _GREY_STEPS and isinstance(key, int):
        image.info["transparency"] = min(key * _GREY_STEPS[rawmode], 255)
