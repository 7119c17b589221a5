"""Internal to `hfstyle.images`: TIFF files read by tifffile, an optional package, strip by strip and with all their bits.

Pillow has room for 8 bits of each colour, and for no colours of floating point. tifffile knows where the parts of a picture
are and what they mean; what its other codecs would need a large package for, LZW and the like, Pillow unpacks.

H, W size of the picture · h rows of a band · C channels
"""

from __future__ import annotations

import contextlib
import io
import logging
import zlib
from collections.abc import Iterator
from typing import IO, Any, Final

import numpy as np
from PIL import ExifTags, TiffImagePlugin, TiffTags

from hfstyle.images.exif import as_it_was, writable

_log = logging.getLogger(__name__)
logging.getLogger("tifffile").addHandler(logging.NullHandler())  # no word on stderr about odd tags

__all__ = ["TiffPixels", "has_tifffile", "tiff_pixels"]

_COLORS: Final = {0: 1, 1: 1, 2: 3, 5: 4}  # channels by photometric interpretation
_INVERTED: Final = 0
_INKS: Final = 5
_BITS: Final = {1: (8, 16), 3: (16, 32, 64)}  # by sample format: whole numbers, floating point
_STORED, _DEFLATE = (1,), (8, 32946)
_BY_PILLOW: Final = (5, 32773, 50000)  # LZW, PackBits, Zstandard
_APART: Final = 2
_PREMULTIPLIED, _ALPHA = 1, 2
_FLOATS: Final = 3  # a predictor
_SPARE: Final = 1024  # px by which a tile may be longer than the picture
_BAND: Final = 1 << 20  # pixels
_START: Final = b"II*\0\x08\0\0\0"
# What is said about a picture rather than about how it is stored.
_KEPT: Final = frozenset(
    {254, 270, 271, 272, 274, 282, 283, 296, 301, 306, 315, 318, 319, 532, 700}
    | {33432, 34675, *range(0x9C9B, 0x9CA0)}
)
_INNER: Final = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)


def has_tifffile() -> bool:
    """Whether the package is there."""
    try:
        import tifffile  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True


def tiff_pixels(stream: IO[bytes]) -> TiffPixels | None:
    """The first picture of a TIFF file; None if tifffile is not installed or it is of another kind than those read here."""
    if not has_tifffile():
        return None
    from tifffile import TiffFile

    try:
        stream.seek(0)
        page = TiffFile(stream).pages.first
        return TiffPixels(stream, page) if _is_known(page) else None
    except Exception:  # whatever a broken file makes it raise; Pillow will say what is wrong
        return None


def _is_known(page: Any) -> bool:
    colors = _COLORS.get(page.photometric, 0)
    more = page.samplesperpixel - colors
    return (
        page.bitspersample in _BITS.get(page.sampleformat, ())
        and page.dtype is not None
        and colors > 0
        and more >= 0
        and not (page.photometric == _INKS and more)
        and page.compression in (*_STORED, *_DEFLATE, *_BY_PILLOW)
        and page.predictor in ((1, 2) if page.sampleformat == 1 else (1, _FLOATS))
        and page.fillorder == 1
        and page.shaped[1] == 1
        and page.tilewidth <= page.imagewidth + _SPARE
        and page.tilelength <= page.imagelength + _SPARE
    )


class TiffPixels:
    """A picture that is read in bands.

    size: (W, H) as it is stored.
    mode: of Pillow, by its channels: L, LA, RGB, RGBA or CMYK.
    """

    def __init__(self, stream: IO[bytes], page: Any) -> None:
        self._stream, self._page = stream, page
        self.size: tuple[int, int] = (page.imagewidth, page.imagelength)
        self._packing, self._predictor = int(page.compression), int(page.predictor)
        page.compression = 1  # for tifffile: it gets what is unpacked
        if self._predictor == _FLOATS:
            page.predictor = 1
        colors = _COLORS[page.photometric]
        kinds = [int(kind) for kind in page.extrasamples]
        if not kinds and page.samplesperpixel > colors:
            kinds = [_ALPHA]
        alphas = [place for place, kind in enumerate(kinds) if kind in (_PREMULTIPLIED, _ALPHA)]
        self._alpha = colors + alphas[0] if alphas else None
        self._premultiplied = bool(alphas) and kinds[alphas[0]] == _PREMULTIPLIED
        self._colors = colors
        self.mode = {1: "L", 3: "RGB", 4: "CMYK"}[colors] + ("A" if alphas else "")

    def head(self) -> IO[bytes]:
        """A small TIFF for Pillow, of the same size, mode and metadata, without pixels."""
        try:
            small = self._directory(self._metadata()).tobytes(len(_START))
        except Exception as error:  # broken metadata must not cost the picture
            _log.warning("metadata of a TIFF that cannot be read are ignored: %s", error)
            small = self._directory({}).tobytes(len(_START))
        return io.BytesIO(_START + small)

    def _directory(self, metadata: dict[int, Any]) -> TiffImagePlugin.ImageFileDirectory_v2:
        """metadata: (type, value) by tag; without a type for inner directories."""
        small = TiffImagePlugin.ImageFileDirectory_v2(_START)
        for tag, (kind, value) in metadata.items():
            if kind is not None:
                small.tagtype[tag] = kind
            small[tag] = value
        meaning = {"L": 1, "R": 2, "C": _INKS}[self.mode[0]]
        _describe(small, self.size, (8,) * len(self.mode), 1, meaning, 0)
        if self._alpha is not None:
            small[TiffImagePlugin.EXTRASAMPLES] = _ALPHA
        return small

    def _metadata(self) -> dict[int, Any]:
        self._stream.seek(0)
        start = self._stream.read(8)
        start += self._stream.read(8) if 43 in start[2:4] else b""
        tags = TiffImagePlugin.ImageFileDirectory_v2(start)
        self._stream.seek(self._page.offset)
        tags.load(self._stream)
        found: dict[int, Any] = {
            tag: (tags.tagtype[tag], as_it_was(tags[tag])) for tag in _KEPT.intersection(tags)
        }
        for tag in _INNER:
            if isinstance(place := tags.get(tag), int):
                inner = TiffImagePlugin.ImageFileDirectory_v2(start, group=tag)
                with contextlib.suppress(Exception):
                    self._stream.seek(place)
                    inner.load(self._stream)
                    found[tag] = (None, writable(dict(inner), tag))
        return found

    def whole(self) -> np.ndarray:
        """(H, W, C), of uint8, uint16 or float32; alpha is not multiplied into the colours."""
        width, height = self.size
        values = None
        top = 0
        for band in self.bands(-(-_BAND // width)):
            if len(band) == height:
                return band
            if values is None:
                values = np.empty((height, *band.shape[1:]), band.dtype)
            values[top : top + len(band)] = band
            top += len(band)
        assert values is not None, "a picture has rows"
        return values

    def bands(self, rows: int) -> Iterator[np.ndarray]:
        """(h, W, C) from top to bottom, of about as many rows, in whole strips or tiles.

        Raises:
            Exception: of any kind, if the file is damaged.
        """
        page, (width, height) = self._page, self.size
        self._cut_one_strip(rows)
        long = page.tilelength if page.is_tiled else min(page.rowsperstrip, height)
        across = -(-width // page.tilewidth) if page.is_tiled else 1
        down = -(-height // long)
        needed = page.shaped[0] * down * across
        known = min(len(page.dataoffsets), len(page.databytecounts))
        if known < needed:
            raise ValueError(f"it says where {known} of {needed} parts are")
        at_once = max(1, rows // long)
        for first in range(0, down, at_once):
            last = min(first + at_once, down)
            top, bottom = first * long, min(last * long, height)
            band = np.empty((bottom - top, width, page.samplesperpixel), page.dtype)
            for plane in range(page.shaped[0]):
                start = plane * down
                for number in range((start + first) * across, (start + last) * across):
                    self._lay_down(band, top, number)
            yield self._as_meant(band)

    def _cut_one_strip(self, rows: int) -> None:
        """A strip that is not compressed is as good as many."""
        page, (width, height) = self._page, self.size
        if page.is_tiled or self._packing != 1 or page.rowsperstrip < height:
            return
        channels = page.shaped[4]
        row = width * channels * page.dtype.itemsize
        starts = range(0, height, rows)
        page.dataoffsets = tuple(place + top * row for place in page.dataoffsets for top in starts)
        counts = tuple(min(rows, height - top) * row for top in starts)
        page.databytecounts = counts * len(page.databytecounts)
        page.rowsperstrip = rows

    def _lay_down(self, band: np.ndarray, top: int, number: int) -> None:
        """A strip or tile into the band that begins at row `top`."""
        page, (_, height) = self._page, self.size
        self._stream.seek(page.dataoffsets[number])
        data = self._stream.read(page.databytecounts[number])
        if page.is_tiled:
            rows, columns = page.tilelength, page.tilewidth
        else:
            strips = -(-height // page.rowsperstrip)
            rows = min(page.rowsperstrip, height - number % strips * page.rowsperstrip)
            columns = page.imagewidth
        data = self._unpacked(data, rows, columns * page.shaped[4])
        values, (plane, _, y, x, _), _ = page.decode(data, number)
        block = values[0]  # (h, w, C) or (h, w, 1)
        place = band[y - top :, x:]
        h, w = min(len(block), len(place)), min(block.shape[1], place.shape[1])
        channels = slice(plane, plane + 1) if page.planarconfig == _APART else slice(None)
        place[:h, :w, channels] = block[:h, :w]

    def _unpacked(self, data: bytes, rows: int, samples: int) -> bytes:
        """samples: of a row."""
        item = self._page.dtype.itemsize
        if self._packing in _DEFLATE:  # never more than there is room for
            data = zlib.decompressobj().decompress(data, rows * samples * item)
        elif self._packing in _BY_PILLOW:
            data = _by_pillow(data, self._packing, rows, samples * item)
        if self._predictor == _FLOATS:
            data = self._without_differences(data, rows, samples)
        return data

    def _without_differences(self, data: bytes, rows: int, samples: int) -> bytes:
        """Floating-point numbers of a predictor that stores, row by row, all first bytes, then all second ones."""
        item, step = self._page.dtype.itemsize, self._page.shaped[4]
        differences = np.frombuffer(data, np.uint8).reshape(rows, -1, step)
        planes = differences.cumsum(1, dtype=np.uint8).reshape(rows, item, samples)
        numbers = np.ascontiguousarray(planes.transpose(0, 2, 1)).view(f">f{item}")
        return numbers.astype(f"{self._page.parent.byteorder}f{item}").tobytes()

    def _as_meant(self, band: np.ndarray) -> np.ndarray:
        """Colours and alpha alone, not premultiplied, with the largest number as white."""
        if band.dtype.kind == "f":
            band, white = band.astype(np.float32), 1
        else:
            band = band.astype(band.dtype.newbyteorder("="), copy=False)
            white = np.iinfo(band.dtype).max
        colors = band[..., : self._colors]
        if self._page.photometric == _INVERTED:
            colors = white - colors
        if self._alpha is None:
            return colors
        alpha = band[..., self._alpha, None]
        if self._premultiplied:
            factor = white / np.where(alpha > 0, alpha, white).astype(np.float32)
            divided = np.minimum(colors * factor, white)
            colors = divided if white == 1 else np.rint(divided).astype(band.dtype)
        return np.concatenate((colors, alpha), -1)


def _by_pillow(data: bytes, packing: int, rows: int, row: int) -> bytes:
    """`rows` times `row` bytes, unpacked as if they were greys."""
    small = TiffImagePlugin.ImageFileDirectory_v2(_START)
    _describe(small, (row, rows), (8,), packing, 1, len(data))
    stream = io.BytesIO(_START + small.tobytes(len(_START)) + data)
    return TiffImagePlugin.TiffImageFile(stream).tobytes()


def _describe(
    tags: TiffImagePlugin.ImageFileDirectory_v2,
    size: tuple[int, int],
    depths: tuple[int, ...],
    packing: int,
    meaning: int,
    length: int,
) -> None:
    """A picture of one strip that follows its directory; Pillow counts places from there."""
    for tag, value in {
        TiffImagePlugin.IMAGEWIDTH: size[0],
        TiffImagePlugin.IMAGELENGTH: size[1],
        TiffImagePlugin.BITSPERSAMPLE: depths,
        TiffImagePlugin.COMPRESSION: packing,
        TiffImagePlugin.PHOTOMETRIC_INTERPRETATION: meaning,
        TiffImagePlugin.STRIPOFFSETS: 0,
        TiffImagePlugin.SAMPLESPERPIXEL: len(depths),
        TiffImagePlugin.ROWSPERSTRIP: size[1],
        TiffImagePlugin.STRIPBYTECOUNTS: length,
    }.items():
        if tag in (TiffImagePlugin.STRIPOFFSETS, TiffImagePlugin.STRIPBYTECOUNTS):
            tags.tagtype[tag] = TiffTags.LONG
        tags[tag] = value
