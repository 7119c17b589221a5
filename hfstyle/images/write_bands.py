"""Internal to `hfstyle.images`: PNG and TIFF files written row by row, so that no picture need be whole in memory.

H, W size of the picture · h rows of a band · C channels
"""

from __future__ import annotations

import struct
import zlib
from typing import IO, Final, Protocol

import numpy as np
from PIL import Image, TiffImagePlugin, TiffTags

from hfstyle.images.exif import Resolution, as_it_was, writable

__all__ = ["ROW_FORMATS", "RowWriter", "row_writer"]

ROW_FORMATS: Final = frozenset({".png", ".tif", ".tiff"})
"""Suffixes of files that `row_writer` writes."""

_LEVEL: Final = 6  # zlib's and Pillow's default
_LEVEL_OF_DIFFERENCES: Final = 4  # beyond, a TIFF takes six times as long and loses 3 %
_STRIP_BYTES: Final = 1 << 18
_CHUNK_BYTES: Final = 1 << 16
_METRE: Final = 0.0254  # in inches' length: pixels per inch over this are pixels per metre
_EXIF_PREFIX: Final = b"Exif\0\0"
_XMP_IN_PNG: Final = b"XML:com.adobe.xmp\0\0\0\0\0"  # not compressed, of no language
_XMP_IN_TIFF: Final = 700


class RowWriter(Protocol):
    """Takes a picture in bands, from top to bottom."""

    def add(self, rows: np.ndarray) -> None:
        """rows: (h, W, C) uint8, those below what was added before."""
        ...

    def finish(self) -> None:
        """After the last row: write what comes at the end."""
        ...


def row_writer(
    stream: IO[bytes],
    suffix: str,
    size: tuple[int, int],
    channels: int,
    exif: bytes | None,
    resolution: Resolution | None = None,
    xmp: bytes | None = None,
) -> RowWriter:
    """The writer for a suffix among `ROW_FORMATS`.

    Args:
        stream: open for writing in binary mode, empty and seekable.
        size: (W, H) of the picture.
        channels: 3 for RGB, 4 for RGBA, in sRGB; in TIFF files also 1 for grey.
        exif: metadata to embed, as in `Picture.exif`; None for none.
        resolution: in pixels per inch, across and down; None says none.
        xmp: a packet to embed.
    """
    if suffix.lower() == ".png":
        return _PngWriter(stream, size, channels, exif, resolution, xmp)
    return _TiffWriter(stream, size, channels, exif, resolution, xmp)


class _PngWriter:
    """8 bits for each channel; the filter of each row is the one that leaves the smallest differences."""

    def __init__(
        self,
        stream: IO[bytes],
        size: tuple[int, int],
        channels: int,
        exif: bytes | None,
        resolution: Resolution | None,
        xmp: bytes | None,
    ) -> None:
        self._stream, self._channels = stream, channels
        width, height = size
        self._above = np.zeros((1, width * channels), np.uint8)
        self._zlib = zlib.compressobj(_LEVEL, zlib.DEFLATED, 15, 9, zlib.Z_FILTERED)
        self._ready = bytearray()
        stream.write(b"\x89PNG\r\n\x1a\n")
        kind = {3: 2, 4: 6}[channels]
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
        if resolution is not None:
            across, down = (round(number / _METRE) for number in resolution)
            self._chunk(b"pHYs", struct.pack(">IIB", across, down, 1))
        if exif is not None:
            self._chunk(b"eXIf", exif.removeprefix(_EXIF_PREFIX))
        if xmp is not None:
            self._chunk(b"iTXt", _XMP_IN_PNG + xmp)

    def add(self, rows: np.ndarray) -> None:
        raw = np.ascontiguousarray(rows).reshape(len(rows), -1)  # (h, W * C)
        above = np.concatenate((self._above, raw[:-1]))
        self._above = raw[-1:].copy()
        self._ready += self._zlib.compress(_filtered(raw, above, self._channels))
        self._flush(_CHUNK_BYTES)

    def finish(self) -> None:
        self._ready += self._zlib.flush()
        self._flush(1)
        self._chunk(b"IEND", b"")

    def _flush(self, least: int) -> None:
        while len(self._ready) >= least:
            self._chunk(b"IDAT", bytes(self._ready[:_CHUNK_BYTES]))
            del self._ready[:_CHUNK_BYTES]

    def _chunk(self, tag: bytes, data: bytes) -> None:
        self._stream.write(struct.pack(">I", len(data)) + tag + data)
        self._stream.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(tag))))


def _filtered(raw: np.ndarray, above: np.ndarray, channels: int) -> bytes:
    """Rows (h, W * C) with PNG's filters Sub, Up or Average, each after the number of its filter.

    The choice is libpng's: the least sum of absolute differences.
    """
    left = np.zeros_like(raw)
    left[:, channels:] = raw[:, :-channels]
    average = (left & above) + ((left ^ above) >> 1)  # without a carry
    best = np.empty((len(raw), raw.shape[1] + 1), np.uint8)
    least = np.full(len(raw), np.iinfo(np.int64).max)
    for number, guess in ((1, left), (2, above), (3, average)):
        difference = raw - guess
        size = np.minimum(difference, -difference).sum(1, dtype=np.int64)
        better = size < least
        least[better] = size[better]
        best[better, 0] = number
        best[better, 1:] = difference[better]
    return best.tobytes()


class _TiffWriter:
    """Strips of about a quarter of a megabyte, differences from the pixel on the left, compressed by deflate on their own."""

    def __init__(
        self,
        stream: IO[bytes],
        size: tuple[int, int],
        channels: int,
        exif: bytes | None,
        resolution: Resolution | None,
        xmp: bytes | None,
    ) -> None:
        self._stream = stream
        width, height = size
        self._rows_per_strip = max(1, min(height, _STRIP_BYTES // (width * channels)))
        self._waiting: list[np.ndarray] = []
        self._count = 0
        self._offsets: list[int] = []  # after the directory
        self._lengths: list[int] = []
        self._directory = _directory(size, channels, self._rows_per_strip, exif, resolution, xmp)
        self._strips = -(-height // self._rows_per_strip)
        self._write_directory([0] * self._strips, [0] * self._strips)

    def add(self, rows: np.ndarray) -> None:
        self._waiting.append(rows)
        self._count += len(rows)
        if self._count < self._rows_per_strip:
            return
        ready = np.concatenate(self._waiting)
        whole = len(ready) - len(ready) % self._rows_per_strip
        for top in range(0, whole, self._rows_per_strip):
            self._strip(ready[top : top + self._rows_per_strip])
        self._waiting, self._count = [ready[whole:].copy()], len(ready) - whole

    def finish(self) -> None:
        if self._count:
            self._strip(np.concatenate(self._waiting))
        assert len(self._lengths) == self._strips, "all rows are added before the end"
        self._stream.seek(0)
        self._write_directory(self._offsets, self._lengths)

    def _strip(self, rows: np.ndarray) -> None:
        differences = rows.copy()
        differences[:, 1:] -= rows[:, :-1]
        data = zlib.compress(differences.tobytes(), _LEVEL_OF_DIFFERENCES)
        self._offsets.append(self._offsets[-1] + self._lengths[-1] if self._offsets else 0)
        self._lengths.append(len(data))
        self._stream.write(data)

    def _write_directory(self, offsets: list[int], lengths: list[int]) -> None:
        """At the stream's place, its beginning; as long the second time as the first."""
        self._directory[TiffImagePlugin.STRIPOFFSETS] = tuple(offsets)  # from its end, says Pillow
        self._directory[TiffImagePlugin.STRIPBYTECOUNTS] = tuple(lengths)
        self._stream.write(b"II*\0\x08\0\0\0" + self._directory.tobytes(8))


def _directory(
    size: tuple[int, int],
    channels: int,
    rows_per_strip: int,
    exif: bytes | None,
    resolution: Resolution | None,
    xmp: bytes | None,
) -> TiffImagePlugin.ImageFileDirectory_v2:
    """What a TIFF file says of itself, but where its strips are."""
    entries = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\x08\0\0\0")
    if exif is not None:
        metadata = Image.Exif()
        metadata.load(exif)
        for tag in metadata:
            inner = tag in TiffTags.TAGS_V2_GROUPS
            values = metadata.get_ifd(tag) if inner else {tag: metadata[tag]}
            entries[tag] = writable(values, tag) if inner else as_it_was(values[tag])
    if resolution is not None:
        entries[TiffImagePlugin.X_RESOLUTION], entries[TiffImagePlugin.Y_RESOLUTION] = resolution
        entries[TiffImagePlugin.RESOLUTION_UNIT] = 2  # inch
    if xmp is not None:
        entries.tagtype[_XMP_IN_TIFF] = TiffTags.BYTE
        entries[_XMP_IN_TIFF] = xmp
    entries[TiffImagePlugin.IMAGEWIDTH], entries[TiffImagePlugin.IMAGELENGTH] = size
    entries[TiffImagePlugin.BITSPERSAMPLE] = (8,) * channels
    entries[TiffImagePlugin.COMPRESSION] = TiffImagePlugin.COMPRESSION_INFO_REV[
        "tiff_adobe_deflate"
    ]
    entries[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] = 1 if channels == 1 else 2
    entries[TiffImagePlugin.SAMPLESPERPIXEL] = channels
    entries[TiffImagePlugin.ROWSPERSTRIP] = rows_per_strip
    entries[TiffImagePlugin.PLANAR_CONFIGURATION] = 1
    entries[TiffImagePlugin.PREDICTOR] = 2
    if channels == 4:
        entries[TiffImagePlugin.EXTRASAMPLES] = 2
    for tag in (TiffImagePlugin.STRIPOFFSETS, TiffImagePlugin.STRIPBYTECOUNTS):
        entries.tagtype[tag] = TiffTags.LONG
    return entries
