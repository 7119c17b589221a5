"""Internal to `hfstyle.images`: encoded pictures (files, bytes, streams) as Pillow images, whatever they hold."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import stat
import struct
import sys
from typing import IO, Any, Final, NamedTuple

from PIL import ExifTags, Image, ImageFile

_log = logging.getLogger(__name__)

# 2.4 GB once decoded to float32; the largest phone cameras give 200 megapixels.
MAX_IMAGE_PIXELS: int = 200_000_000

# PostScript is a program: Pillow would hand it to Ghostscript.
_REFUSED_FORMATS: Final = frozenset({"EPS"})
_HEIC_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1"})
_GREY_STEPS: Final = {
    "1": 255,
    "L;2": 85,
    "L;4": 17,
}  # one level of a PNG of 1, 2, 4 bits, in 8 bits
_GREY_ALPHA: Final = "LA;16B"
_SEPARATE_PLANES: Final = 2


class ImageError(ValueError):
    """A picture that cannot be used: the message names it, what is wrong, the limit and the remedy."""


class Decoded(NamedTuple):
    """A decoded picture.

    image: in its own mode; of 16-bit colours, the higher bytes, which is all that Pillow has room for.
    low: of 16-bit colours, the lower bytes: RGB, RGBA or CMYK as `image`; of grey with alpha, RGBA whose
        channels are the higher and lower bytes of grey, and those of alpha. Else None.
    grey: whether `low` is such a picture of grey with alpha.
    """

    image: Image.Image
    low: Image.Image | None = None
    grey: bool = False


def check_size(name: str, width: int, height: int, max_pixels: int | None) -> None:
    """Raises ImageError when a picture has no pixels or more than `max_pixels`."""
    if width < 1 or height < 1:
        raise ImageError(
            f"{name} is {width} x {height} px, so it has no pixels; give a picture of at least 1 x 1 px"
        )
    if max_pixels is not None and width * height > max_pixels:
        raise ImageError(
            f"{name} is {width} x {height} px ({width * height / 1e6:,.1f} megapixels); the limit is "
            f"{max_pixels / 1e6:,.1f} megapixels; make it smaller, or raise `max_pixels` if you trust it"
        )


def decode_file(
    source: bytes | str | os.PathLike[str] | IO[bytes], name: str, max_pixels: int | None
) -> Decoded:
    """The first frame of an encoded picture. ImageError if it is not one."""
    if isinstance(source, bytes):
        if not source:
            raise ImageError(f"{name} is empty (0 bytes); give the bytes of an encoded picture")
        return _decode_stream(io.BytesIO(source), name, max_pixels)
    if not isinstance(source, (str, os.PathLike)):
        return _decode_stream(seekable(source, name), name, max_pixels)
    with open_file(source, name) as stream:
        return _decode_stream(seekable(stream, name), name, max_pixels)


def open_file(source: str | os.PathLike[str], name: str) -> IO[bytes]:
    """The file of a picture, open in binary mode. ImageError if there is none or it is empty."""
    if str(source).lower().startswith(("http://", "https://")):
        raise ImageError(f"{name} is a web address; download the picture and give the file's path")
    try:
        stream = open(source, "rb")  # noqa: SIM115
    except FileNotFoundError as error:
        raise ImageError(f"{name}: there is no such file; check the path") from error
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
    try:
        image.load()
    except Exception as error:  # whatever a broken file makes a decoder raise
        raise ImageError(
            f"{name} ({image.format or image.mode}, {image.width} x {image.height} px) cannot be "
            f"decoded, it is truncated or damaged: {short_reason(error)}; export or download it again"
        ) from error
    check_size(name, *image.size, max_pixels)  # what was decoded may differ from the header


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


def _decode_stream(stream: IO[bytes], name: str, max_pixels: int | None) -> Decoded:
    image = identify(stream, name)
    _name_planes(image)
    layout = _low_layout(image)
    decode_pil(image, name, max_pixels)
    if layout is None:
        return Decoded(image)
    # Pillow takes the higher byte of each 16-bit colour. The same data in the other byte order show the lower.
    stream.seek(0)
    low = identify(stream, name)
    mode, rawmodes = layout
    low._mode = mode
    low.tile = [
        tile._replace(args=_with_rawmode(tile.args, rawmode))
        for tile, rawmode in zip(low.tile, rawmodes, strict=True)
    ]
    decode_pil(low, name, max_pixels)
    return Decoded(image, low, grey=rawmodes == ["RGBA"])


def _rawmode(args: Any) -> str:
    """What a decoder of Pillow is told about the arrangement of the data."""
    return str(args[0] if isinstance(args, tuple) else args)


def _with_rawmode(args: Any, rawmode: str) -> Any:
    return (rawmode, *args[1:]) if isinstance(args, tuple) else rawmode


def _name_planes(image: ImageFile.ImageFile) -> None:
    """An uncompressed TIFF whose channels of 16 bits lie apart: Pillow takes them for 8 bits."""
    tags: Any = getattr(image, "tag_v2", None) or {}
    depths = tags.get(ExifTags.Base.BitsPerSample) or ()
    if (
        tags.get(ExifTags.Base.PlanarConfiguration) != _SEPARATE_PLANES
        or set(depths) != {16}
        or any(tile.codec_name != "raw" or len(_rawmode(tile.args)) != 1 for tile in image.tile)
    ):
        return
    order = "L" if tags.prefix == b"II" else "B"
    image.tile = [
        tile._replace(args=_with_rawmode(tile.args, f"{_rawmode(tile.args)};16{order}"))
        for tile in image.tile
    ]


def _low_layout(image: ImageFile.ImageFile) -> tuple[str, list[str]] | None:
    """Mode and arrangements that show the lower bytes of 16-bit colours; None if there are none or they cannot be had."""
    rawmodes = [_rawmode(tile.args) for tile in image.tile]
    if image.format == "PNG" and rawmodes == [_GREY_ALPHA]:
        return "RGBA", ["RGBA"]
    tags = getattr(image, "tag_v2", None) or {}
    compressed = any(tile.codec_name == "libtiff" for tile in image.tile)
    apart = tags.get(ExifTags.Base.PlanarConfiguration) == _SEPARATE_PLANES
    swapped = []
    for rawmode in rawmodes:
        channels, _, order = rawmode.partition(";16")
        # Premultiplied colours (RGBa) are divided while they are read.
        if channels not in ("RGB", "RGBX", "RGBA", "CMYK", "R", "G", "B", "A"):
            return None
        if order not in ("L", "B", "N") or (apart and compressed):
            return None
        little = order == "L" or (order == "N" and sys.byteorder == "little")
        swapped.append(f"{channels};16{'B' if little else 'L'}")
    return (image.mode, swapped) if swapped else None


def identify(stream: IO[bytes], name: str) -> ImageFile.ImageFile:
    """Header only. `Image.open` without its own pixel limit, which is global and partly a warning.

    No file name is given to the plugins, so none maps the file into memory: it may change later.
    """
    tried: set[str] = set()
    try:
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
        raise ImageError(
            f"{name} is not a readable picture: {short_reason(error)}; export or download it again"
        ) from error
    hint = "HEIC needs the package pillow-heif; " if _is_heic(prefix) else ""
    raise ImageError(
        f"{name} is not a picture in a known format; {hint}"
        "give a JPEG, PNG, WebP, TIFF, AVIF, GIF or BMP"
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


def short_reason(error: BaseException) -> str:
    """An exception in one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
