"""Internal to `hfstyle.images`: what files say beside their pixels that Pillow does not read, or refuses the file for.

PNG: colours by numbers, and notes and profiles above Pillow's limit of a megabyte. AVIF and HEIC: colours by numbers.
JPEG: how many scans there are.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, Final

from PIL import Image, ImageFile

__all__ = ["ColorNumbers", "Png", "coded_colors", "count_scans", "numbers_of", "numbers_of_pil"]

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_NOTES: Final = (b"tEXt", b"zTXt", b"iTXt")
_LARGEST_NOTE: Final = 1 << 20  # unpacked; Pillow refuses pictures with longer ones
_LARGEST_NOTES: Final = 1 << 25  # together, unpacked
_LARGEST_PROFILE: Final = 1 << 26
_LARGEST_COLOR: Final = 64  # bytes of the chunks that are read
_BOXES: Final = (b"meta", b"iprp", b"ipco")  # in which the colours of AVIF and HEIC stand
_MOST_CHUNKS: Final = 1_000_000
_MOST_BOXES: Final = 10_000
_LARGEST_META: Final = 1 << 24
_MARKER: Final = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL)


@dataclass(frozen=True)
class ColorNumbers:
    """What a file says of its colours, as far as it does.

    coded: primaries and transfer function, numbers of ITU-T H.273. says_srgb: the chunk sRGB is there.
    power: of the values that gives light, from gAMA. primaries: chromaticities of white, red, green and blue, from cHRM.
    """

    coded: tuple[int, int] | None = None
    says_srgb: bool = False
    power: float | None = None
    primaries: (
        tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]
        | None
    ) = None


@dataclass(frozen=True)
class Png:
    """The chunks of a PNG.

    stream: the file, without notes and profiles that Pillow would refuse it for.
    colors: what it says by numbers. profile: an ICC profile that was left out of `stream`, or None.
    """

    stream: IO[bytes]
    colors: ColorNumbers
    profile: bytes | None = None

    @classmethod
    def of(cls, stream: IO[bytes]) -> Png | None:
        """None for what is no PNG."""
        stream.seek(0)
        if stream.read(8) != _SIGNATURE:
            return None
        found: dict[bytes, bytes] = {}
        left_out: list[tuple[int, int]] = []  # begin and end
        profile: bytes | None = None
        notes = 0
        for place, tag, length in islice(_chunks(stream), _MOST_CHUNKS):
            data = place + 8
            if tag in (b"cICP", b"gAMA", b"cHRM", b"sRGB") and length <= _LARGEST_COLOR:
                stream.seek(data)
                found.setdefault(tag, stream.read(length))
            elif tag == b"iCCP":
                stream.seek(data)
                unpacked = _unpacked(stream.read(length), _LARGEST_PROFILE, tag)
                if unpacked is None or len(unpacked) > _LARGEST_NOTE:
                    left_out.append((place, data + length + 4))
                    profile = unpacked
            elif tag in _NOTES:
                size = 0 if notes > _LARGEST_NOTES else _note_size(stream, data, length, tag)
                if notes > _LARGEST_NOTES or size > _LARGEST_NOTE:
                    left_out.append((place, data + length + 4))
                notes += size
        colors = _numbers(found)
        return cls(_without(stream, left_out) if left_out else stream, colors, profile)


def coded_colors(stream: IO[bytes]) -> ColorNumbers:
    """What an AVIF or HEIC file says of its colours in its first box of type "nclx"."""
    end = stream.seek(0, io.SEEK_END)
    left = _MOST_BOXES
    pending = [(0, end)]
    while pending:
        place, stop = pending.pop()
        while place + 8 <= stop and left:
            left -= 1
            stream.seek(place)
            length, kind = struct.unpack(">I4s", stream.read(8))
            head = 8
            if length == 1:
                (length,), head = struct.unpack(">Q", stream.read(8)), 16
            length = length or stop - place
            if length < head:
                break
            if kind == b"colr":
                content = stream.read(min(length - head, 16))
                if content[:4] == b"nclx" and len(content) >= 10:
                    primaries, transfer = struct.unpack(">HH", content[4:8])
                    return ColorNumbers(coded=(primaries, transfer))
            elif kind in _BOXES and length <= _LARGEST_META:
                pending.append((place + head + (4 if kind == b"meta" else 0), place + length))
            place += length
    return ColorNumbers()


def numbers_of_pil(image: Image.Image) -> ColorNumbers:
    """What the file of a Pillow image says, where that is still open or its name is known; else what Pillow has kept.

    To be asked before the pixels are loaded, after which Pillow closes the file.
    """
    if isinstance(image, ImageFile.ImageFile) and image.format in ("PNG", "AVIF", "HEIF"):
        stream = getattr(image, "fp", None)
        try:
            if stream is not None and not stream.closed:
                place = stream.tell()
                try:
                    return _file_numbers(stream)
                finally:
                    stream.seek(place)
            if image.filename:
                with open(image.filename, "rb") as stream:
                    return _file_numbers(stream)
        except (OSError, ValueError, AttributeError, struct.error):  # moved, or no file for a while
            pass
    return numbers_of(image.info)


def _file_numbers(stream: IO[bytes]) -> ColorNumbers:
    png = Png.of(stream)
    return coded_colors(stream) if png is None else png.colors


def numbers_of(info: Mapping[str | tuple[int, int], Any]) -> ColorNumbers:
    """The same of the `info` of a Pillow image, as far as Pillow has read it from a PNG."""
    gamma, chroma = info.get("gamma"), info.get("chromaticity")
    points = None
    if isinstance(chroma, tuple) and len(chroma) == 8:
        v = [float(number) for number in chroma]
        points = ((v[0], v[1]), (v[2], v[3]), (v[4], v[5]), (v[6], v[7]))
    power = 1 / gamma if isinstance(gamma, float) and 0.1 <= gamma <= 10 else None
    return ColorNumbers(None, "srgb" in info, power, points)


def count_scans(data: bytes, most: int) -> int:
    """How many scans a JPEG has, counted up to `most` + 1; of several pictures in a file, of the first."""
    scans, place = 0, 2
    while scans <= most and (found := _MARKER.search(data, place)):
        place, marker = found.end(), data[found.end() - 1]
        if marker == 0xD9:
            break
        if marker == 0xDA:
            scans += 1
        if marker not in (0x01, 0xD8) and place + 2 <= len(data):
            place += int.from_bytes(data[place : place + 2], "big")
    return scans


def _chunks(stream: IO[bytes]) -> Iterator[tuple[int, bytes, int]]:
    """Place, tag and length of each."""
    place = len(_SIGNATURE)
    while True:
        stream.seek(place)
        begun = stream.read(8)
        if len(begun) < 8:
            return
        length, tag = struct.unpack(">I4s", begun)
        yield place, tag, length
        if tag == b"IEND" or length > 0x7FFFFFFF:
            return
        place += length + 12


def _numbers(found: dict[bytes, bytes]) -> ColorNumbers:
    coded, gamma, chroma = found.get(b"cICP", b""), found.get(b"gAMA", b""), found.get(b"cHRM", b"")
    power = None
    if len(gamma) == 4 and (value := int.from_bytes(gamma, "big")):
        power = 100_000 / value
    points = None
    if len(chroma) == 32:
        v = [number / 100_000 for number in struct.unpack(">8I", chroma)]
        points = ((v[0], v[1]), (v[2], v[3]), (v[4], v[5]), (v[6], v[7]))
    return ColorNumbers(
        coded=(coded[0], coded[1]) if len(coded) == 4 else None,
        says_srgb=b"sRGB" in found,
        power=power if power is not None and 0.1 <= power <= 10 else None,
        primaries=points,
    )


def _note_size(stream: IO[bytes], place: int, length: int, tag: bytes) -> int:
    """How long a note is, as it is or unpacked, counted up to one more than Pillow takes."""
    if length > _LARGEST_NOTE or tag == b"tEXt":
        return min(length, _LARGEST_NOTE + 1)
    stream.seek(place)
    unpacked = _unpacked(stream.read(length), _LARGEST_NOTE, tag)
    return _LARGEST_NOTE + 1 if unpacked is None else max(length, len(unpacked))


def _unpacked(data: bytes, most: int, tag: bytes) -> bytes | None:
    """What a chunk of a name and packed bytes holds; None if that is longer than `most`, nothing if it is damaged."""
    _, _, rest = data.partition(b"\0")
    if tag == b"iTXt":
        if rest[:1] != b"\1":
            return b""
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    else:
        rest = rest[1:]
    try:
        unpacked = zlib.decompressobj().decompress(rest, most + 1)
    except zlib.error:
        return b""  # Pillow knows what to make of it
    return unpacked if len(unpacked) <= most else None


def _without(stream: IO[bytes], parts: list[tuple[int, int]]) -> IO[bytes]:
    kept = io.BytesIO()
    place = 0
    for begin, end in parts:
        stream.seek(place)
        kept.write(stream.read(begin - place))
        place = end
    stream.seek(place)
    kept.write(stream.read())
    kept.seek(0)
    return kept
