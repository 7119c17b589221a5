"""Internal to `hfstyle.pipeline`: an encoded file decoded in bands of rows, each as a small picture of its own.

A band of a PNG is unpacked, given the row above it, which its filters refer to, and wrapped as a PNG; strips and tiles
of a TIFF are put behind a directory of their own. Pillow then decodes what stands for the band, so that depth, palette,
transparency and profile mean what they mean in the whole picture. Other files, and interlaced ones, are one band.

H, W size of the picture · h rows of a band
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import IO, Final, Literal

import numpy as np
from PIL import Image, TiffImagePlugin, TiffTags

from hfstyle.images.decode import Decoded, ImageError, check_size, decode_file, identify
from hfstyle.images.pixels import strip_bounds
from hfstyle.messages import short_reason

__all__ = ["Bands", "open_bands"]

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by its colour type
_PNG_COLORS: Final = frozenset({b"PLTE", b"tRNS", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP"})
_PNG_NOTES: Final = frozenset({b"eXIf", b"pHYs", b"tEXt", b"zTXt", b"iTXt"})
_LARGEST_NOTE: Final = 1 << 24
_READ: Final = 1 << 16

# What the pixels of a TIFF depend on, beside its size and where its strips or tiles are.
_TIFF_PIXELS: Final = (
    *(258, 259, 262, 266, 277, 284, 292, 293, 317, 320, 322, 323, 338, 339, 347),
    *(301, 318, 319, 339, 529, 530, 531, 532, TiffImagePlugin.ICCPROFILE),
)
_OLD_JPEG: Final = "tiff_jpeg"
_APART: Final = 2


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
    with _named(name):
        if stream.read(len(_SIGNATURE)) == _SIGNATURE:
            png = _Png.scan(stream, name)
            if png is not None:
                check_size(name, *png.size, max_pixels)
                parts = _checked(png.bands(), png.size, name)
                first = next(parts)
                return Bands(first.image, png.size, chain([first], parts))
        stream.seek(0)
        if stream.read(4) in (b"II*\0", b"MM\0*"):
            stream.seek(0)
            head = identify(stream, name)
            if isinstance(head, TiffImagePlugin.TiffImageFile) and _has_bands(head):
                size = _stored_size(head)
                check_size(name, *size, max_pixels)
                return Bands(head, size, _checked(_tiff_bands(head, stream, name), size, name))
    decoded = decode_file(stream, name, max_pixels)
    return Bands(decoded.image, decoded.image.size, iter([decoded]))


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Whatever a damaged file makes the code inside raise becomes an ImageError."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(
            f"{name} cannot be decoded, it is truncated or damaged: {short_reason(error)}; export or download it again"
        ) from error


def _checked(parts: Iterator[Decoded], size: tuple[int, int], name: str) -> Iterator[Decoded]:
    """The bands of a picture (W, H). ImageError where one cannot be decoded, and if they do not fill the picture."""
    bottom = 0
    while bottom < size[1]:
        with _named(name):
            decoded = next(parts)
            width, height = decoded.image.size
            bottom += height
            if width != size[0] or bottom > size[1]:
                raise ValueError(f"{width} x {height} px do not fit into {size[0]} x {size[1]} px")
        yield decoded


@dataclass
class _Png:
    """Where the parts of a PNG are.

    header: depth, colour type, compression, filter, interlace. colors, notes: whole chunks. data: places and lengths of
    the compressed pixels.
    """

    stream: IO[bytes]
    name: str
    size: tuple[int, int]
    header: bytes
    colors: bytes
    notes: bytes
    data: list[tuple[int, int]]

    @classmethod
    def scan(cls, stream: IO[bytes], name: str) -> _Png | None:
        """None if the rows do not follow each other, have less than 8 bits, or the chunks are no PNG's."""
        stream.seek(len(_SIGNATURE))
        size, header, colors, notes = (0, 0), b"", b"", b""
        data: list[tuple[int, int]] = []
        while len(begun := stream.read(8)) == 8:
            length, tag = struct.unpack(">I4s", begun)
            if tag == b"IEND":
                break
            place = stream.tell()
            if tag == b"IDAT":
                data.append((place, length))
            elif tag == b"IHDR" and length == 13:
                fields = stream.read(13)
                size, header = struct.unpack(">II", fields[:8]), fields[8:]
            elif (
                length <= _LARGEST_NOTE
                and tag in _PNG_COLORS
                and not data
                and len(colors) <= _LARGEST_NOTE
            ):
                colors += begun + stream.read(length + 4)
            elif length <= _LARGEST_NOTE and tag in _PNG_NOTES and len(notes) <= _LARGEST_NOTE:
                notes += begun + stream.read(length + 4)
            stream.seek(place + length + 4)
        if len(header) != 5 or header[0] not in (8, 16) or header[4] or not data:
            return None
        if header[1] not in _PNG_CHANNELS:
            return None
        return cls(stream, name, (size[0], size[1]), header, colors, notes, data)

    def bands(self) -> Iterator[Decoded]:
        width, height = self.size
        row_bytes = 1 + width * _PNG_CHANNELS[self.header[1]] * self.header[0] // 8
        rows = self._rows(row_bytes)
        above = b""  # the row before the band, unfiltered
        for top, bottom in strip_bounds(height, width):
            count = bottom - top
            filtered = b"".join(next(rows) for _ in range(count))
            given = 1 if above else 0
            fields = struct.pack(">II", width, count + given) + self.header
            small = _SIGNATURE + _chunk(b"IHDR", fields) + self.colors
            small += b"" if top else self.notes
            small += _chunk(b"IDAT", zlib.compress(above + filtered, 0)) + _chunk(b"IEND", b"")
            decoded = decode_file(small, self.name, None)
            above = b"\0" + _raw_row(decoded, self.header[0])
            yield _cropped(decoded, given)

    def _rows(self, row_bytes: int) -> Iterator[bytes]:
        """As they are stored, each with its filter."""
        unpack = zlib.decompressobj()
        waiting = bytearray()
        packed = self._packed()
        while True:
            try:
                piece = unpack.unconsumed_tail or next(packed, b"")
                waiting += unpack.decompress(piece, max(_READ, row_bytes))
            except zlib.error as error:
                raise self._damaged(str(error)) from error
            if not piece and len(waiting) < row_bytes:
                raise self._damaged("its pixels end too early")
            while len(waiting) >= row_bytes:
                yield bytes(waiting[:row_bytes])
                del waiting[:row_bytes]

    def _packed(self) -> Iterator[bytes]:
        for place, length in self.data:
            for start in range(0, length, _READ):
                self.stream.seek(place + start)
                yield self.stream.read(min(_READ, length - start))

    def _damaged(self, why: str) -> ImageError:
        width, height = self.size
        return ImageError(
            f"{self.name} (PNG, {width} x {height} px) cannot be decoded, it is truncated or damaged: {why}; export or "
            "download it again"
        )


def _chunk(tag: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))


def _raw_row(decoded: Decoded, depth: int) -> bytes:
    """The last row of a PNG as its filters see it."""
    image, low = decoded.image, decoded.low
    box = (0, image.height - 1, image.width, image.height)
    if low is None:
        row = np.asarray(image.crop(box))
        return row.astype(">u2").tobytes() if depth == 16 else row.tobytes()
    both = np.asarray(low.crop(box))
    return (
        both.tobytes()
        if decoded.grey
        else np.stack((np.asarray(image.crop(box)), both), -1).tobytes()
    )


def _cropped(decoded: Decoded, rows: int) -> Decoded:
    """Without its first rows."""
    if not rows:
        return decoded
    width, height = decoded.image.size
    image, low = (
        None if picture is None else picture.crop((0, rows, width, height))
        for picture in (decoded.image, decoded.low)
    )
    assert image is not None
    return decoded._replace(image=image, low=low)


def _has_bands(head: TiffImagePlugin.TiffImageFile) -> bool:
    tags = head.tag_v2
    apart = tags.get(TiffImagePlugin.PLANAR_CONFIGURATION) == _APART
    if apart or head.info.get("compression") == _OLD_JPEG or head.mode in ("1", "I"):
        return False
    places = TiffImagePlugin.TILEOFFSETS if _is_tiled(head) else TiffImagePlugin.STRIPOFFSETS
    return places in tags and _lengths_tag(head) in tags


def _stored_size(head: TiffImagePlugin.TiffImageFile) -> tuple[int, int]:
    """(W, H); Pillow tells the size of the picture turned upright."""
    width, height = (
        head.tag_v2[tag] for tag in (TiffImagePlugin.IMAGEWIDTH, TiffImagePlugin.IMAGELENGTH)
    )
    return width, height


def _is_tiled(head: TiffImagePlugin.TiffImageFile) -> bool:
    return TiffImagePlugin.TILEOFFSETS in head.tag_v2


def _lengths_tag(head: TiffImagePlugin.TiffImageFile) -> Literal[325, 279]:
    return 325 if _is_tiled(head) else 279


def _tiff_bands(
    head: TiffImagePlugin.TiffImageFile, stream: IO[bytes], name: str
) -> Iterator[Decoded]:
    tags = head.tag_v2
    width, height = _stored_size(head)
    tiled = _is_tiled(head)
    places_tag = TiffImagePlugin.TILEOFFSETS if tiled else TiffImagePlugin.STRIPOFFSETS
    places, lengths = tuple(tags[places_tag]), tuple(tags[_lengths_tag(head)])
    rows = tags.get(TiffImagePlugin.TILELENGTH if tiled else TiffImagePlugin.ROWSPERSTRIP, height)
    across = -(-width // tags[TiffImagePlugin.TILEWIDTH]) if tiled else 1
    needed = across * -(-height // max(1, rows))
    if rows < 1 or min(len(places), len(lengths)) < needed:
        raise ImageError(
            f"{name} (TIFF, {width} x {height} px) cannot be decoded, it is damaged: it says where {len(places)} of "
            f"{needed} parts are; export or download it again"
        )
    _, least = next(strip_bounds(height, width))
    step = rows * max(1, least // rows)  # whole strips
    for top in range(0, height, step):
        count = min(step, height - top)
        chosen = range(across * (top // rows), across * -(-(top + count) // rows))
        data = []
        for part in chosen:
            stream.seek(places[part])
            data.append(stream.read(lengths[part]))
        small = io.BytesIO()
        _write_tiff(small, head, count, min(rows, count) if not tiled else rows, data)
        yield decode_file(small.getvalue(), name, None)


def _write_tiff(
    stream: IO[bytes],
    head: TiffImagePlugin.TiffImageFile,
    height: int,
    rows: int,
    data: list[bytes],
) -> None:
    """A TIFF of `height` rows, whose strips or tiles are `data`, otherwise like another one."""
    tags, tiled = head.tag_v2, _is_tiled(head)
    start = b"II*\0\x08\0\0\0" if tags.prefix == b"II" else b"MM\0*\0\0\0\x08"
    small = TiffImagePlugin.ImageFileDirectory_v2(start)
    for tag in _TIFF_PIXELS:
        if tag in tags:
            small.tagtype[tag] = tags.tagtype[tag]
            small[tag] = tags[tag]
    small[TiffImagePlugin.IMAGEWIDTH] = _stored_size(head)[0]
    small[TiffImagePlugin.IMAGELENGTH] = height
    places_tag = TiffImagePlugin.TILEOFFSETS if tiled else TiffImagePlugin.STRIPOFFSETS
    for tag in (places_tag, _lengths_tag(head)):
        small.tagtype[tag] = TiffTags.LONG
    small[_lengths_tag(head)] = tuple(map(len, data))
    places = [0, *accumulate(map(len, data))][:-1]  # from the end of the directory
    small[places_tag] = tuple(places)
    if tiled:
        end = len(start) + len(small.tobytes(len(start)))
        small[places_tag] = tuple(end + place for place in places)  # Pillow moves only strips
    else:
        small[TiffImagePlugin.ROWSPERSTRIP] = rows
    stream.write(start + small.tobytes(len(start)) + b"".join(data))
