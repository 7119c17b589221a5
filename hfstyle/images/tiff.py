"""Internal to `hfstyle.images`: which of the pictures in a TIFF file is the picture, and what the others are.

A TIFF file is a list of directories, each of which describes one picture and may refer to further ones (tag 330). Cameras
and scanners put a thumbnail first; raw files describe the sensor's data in the same way, beside a developed preview.
Pillow opens the first directory, whatever it is. TIFF revision 6.0, sections 2 and 8; TIFF/EP and DNG 1.7, "NewSubFileType".

H, W size of a picture
"""

from __future__ import annotations

import io
import logging
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import IO, Final

from PIL import ExifTags

__all__ = [
    "Directory",
    "MainPicture",
    "has_deep_colors",
    "is_tiff",
    "main_picture",
    "read_directories",
]

_log = logging.getLogger(__name__)

_MOST_DIRECTORIES: Final = 256
_MOST_ENTRIES: Final = 1000
_MOST_VALUES: Final = 64  # of a tag; those that are looked at have few
_STARTS: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two: BigTIFF
_FORMATS: Final = {
    1: "B",
    3: "H",
    4: "L",
    6: "b",
    8: "h",
    9: "l",
    13: "L",
    16: "Q",
    17: "q",
    18: "Q",
}

_REDUCED: Final = 1  # bits of NewSubfileType
_MASK: Final = 4
_OLD_KINDS: Final = {1: 0, 2: _REDUCED, 3: 0}  # SubfileType
_SENSOR: Final = (32803, 34892)  # photometric interpretations: colour filter array, linear raw
_LOSSLESS_JPEG: Final = 7
_OLD_JPEG: Final = 6
_SUFFICES: Final = 0.9  # sides of a preview in those of the picture
_SUBFILE, _OLD_SUBFILE, _SUBDIRECTORIES, _SAMPLE_FORMAT, _EXTRA = 254, 255, 330, 339, 338
_JPEG_START, _JPEG_LENGTH = 513, 514

_PHOTOMETRIC: Final = {0: "grey", 1: "grey", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr"} | {
    8: "CIELab",
    9: "ICCLab",
    10: "ITULab",
    32844: "LogL",
    32845: "LogLuv",
}
_KINDS: Final = {1: "integer", 2: "signed integer", 3: "floating point", 5: "complex", 6: "complex"}
_COMPRESSIONS: Final = {1: "uncompressed", 5: "LZW", 7: "JPEG", 8: "deflate", 32773: "PackBits"} | {
    34712: "JPEG 2000",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
    34887: "LERC",
    52546: "JPEG XL",
    32946: "deflate",
    6: "JPEG of the old kind",
}


@dataclass(frozen=True)
class Directory:
    """What one directory says: the first values of its tags that are whole numbers.

    offset: its place in the file. depth: 0 in the list of the file, 1 if another one refers to it, and so on.
    """

    offset: int
    depth: int
    tags: dict[int, tuple[int, ...]]

    def one(self, tag: int, default: int = 0) -> int:
        return self.tags.get(tag, (default,))[0]

    @property
    def size(self) -> tuple[int, int]:
        """(W, H)"""
        return self.one(ExifTags.Base.ImageWidth), self.one(ExifTags.Base.ImageLength)

    @property
    def is_picture(self) -> bool:
        """Neither a smaller copy nor a mask of another."""
        kind = self.one(_SUBFILE, _OLD_KINDS.get(self.one(_OLD_SUBFILE), 0))
        return not kind & (_REDUCED | _MASK)

    @property
    def is_mask(self) -> bool:
        return bool(self.one(_SUBFILE) & _MASK)

    @property
    def is_sensor(self) -> bool:
        """Whether its pixels are what a sensor saw, which must be developed first."""
        return self.one(ExifTags.Base.PhotometricInterpretation) in _SENSOR

    def describe(self) -> str:
        """Its kind of pixels in a few words."""
        bits = "/".join(
            str(b) for b in sorted(set(self.tags.get(ExifTags.Base.BitsPerSample, (1,))))
        )
        channels = self.one(ExifTags.Base.SamplesPerPixel, 1)
        kind = _KINDS.get(self.one(_SAMPLE_FORMAT, 1), "integer")
        meaning = self.one(ExifTags.Base.PhotometricInterpretation, -1)
        colors = _PHOTOMETRIC.get(meaning, f"photometric interpretation {meaning}")
        compression = self.one(ExifTags.Base.Compression, 1)
        packed = _COMPRESSIONS.get(compression, f"compression {compression}")
        more = f" of {channels} channels" if channels != 1 else ""
        more += ", one of them alpha" if _EXTRA in self.tags and channels > 1 else ""
        return f"{bits}-bit {kind} {colors}{more}, {packed}"


@dataclass(frozen=True)
class MainPicture:
    """Where the picture is.

    stream: a file whose first picture it is: the given one, one with another beginning, or an embedded JPEG.
    orientation: EXIF orientation if it stands elsewhere in the file, else None.
    """

    stream: IO[bytes]
    orientation: int | None = None


def is_tiff(prefix: bytes) -> bool:
    """Whether a file that begins so is a TIFF, or a raw file of the same structure."""
    return prefix[:4] in _STARTS


def has_deep_colors(stream: IO[bytes]) -> bool:
    """Whether the first picture has several channels of more than 8 bits."""
    first = next(_directories(stream), None)
    return (
        first is not None
        and len(first.tags.get(ExifTags.Base.BitsPerSample, ())) > 1
        and (max(first.tags[ExifTags.Base.BitsPerSample]) > 8)
    )


def read_directories(stream: IO[bytes]) -> list[Directory]:
    """The directories of a TIFF file, in the order of the file, each followed by those it refers to.

    What is damaged ends the list without an error: Pillow will say what is wrong with the picture.
    """
    return list(islice(_directories(stream), _MOST_DIRECTORIES))


def main_picture(stream: IO[bytes], name: str) -> MainPicture:
    """The picture that a TIFF file is about: the first that is neither a thumbnail, a preview nor a mask.

    Args:
        stream: seekable.
        name: for the message.

    Raises:
        ValueError: a raw file without a developed picture of full size.
    """
    found = [directory for directory in read_directories(stream) if min(directory.size) > 0]
    if not found:
        return MainPicture(stream)
    chosen = _chosen(found)
    if chosen.is_sensor or _is_raw(stream, found, chosen):
        full = max((d for d in found if d.is_sensor), key=_area, default=max(found, key=_area))
        chosen = _developed(found, full, stream, name)
    elif not chosen.is_picture:
        _log.warning("%s holds no picture but a smaller copy of one, which is taken", name)
    if chosen is found[0] and chosen.offset == _first(stream)[2]:
        return MainPicture(stream)
    place = found[0].one(ExifTags.Base.Orientation)
    orientation = place if ExifTags.Base.Orientation not in chosen.tags and place else None
    if (start := chosen.one(_JPEG_START)) and chosen.one(ExifTags.Base.Compression) == _OLD_JPEG:
        stream.seek(start)
        return MainPicture(io.BytesIO(stream.read(chosen.one(_JPEG_LENGTH))), orientation)
    return MainPicture(_beginning_at(stream, chosen.offset), orientation)


def _chosen(found: list[Directory]) -> Directory:
    whole = [directory for directory in found if directory.is_picture]
    listed = [directory for directory in whole if directory.depth == 0]
    if listed:
        parts = [
            directory for directory in whole if directory.depth > 0 and not directory.is_sensor
        ]
        return max([listed[0], *parts], key=_area)  # of equals the first
    shown = [directory for directory in found if not directory.is_mask]
    return max(whole or shown or found, key=_area)


def _is_raw(stream: IO[bytes], found: list[Directory], chosen: Directory) -> bool:
    """Whether the chosen picture is but a preview of what a sensor saw."""
    stream.seek(8)
    if stream.read(2) == b"CR":  # Canon's raw files of the second version
        return True
    return any(directory.is_sensor and _area(directory) > _area(chosen) for directory in found)


def _developed(found: list[Directory], full: Directory, stream: IO[bytes], name: str) -> Directory:
    """The developed picture in a raw file, if it has the size of what the sensor saw."""
    goal = sorted(full.size)
    previews = [d for d in found if not d.is_sensor and _is_readable(d)]
    for preview in sorted(previews, key=_area, reverse=True):
        sides = zip(sorted(preview.size), goal, strict=True)
        if preview is not full and all(side >= _SUFFICES * wanted for side, wanted in sides):
            return preview
    sizes = [f"{d.size[0]} x {d.size[1]} px" for d in previews if d is not full]
    inside = f"the previews in it have only {', '.join(sizes)}" if sizes else "it holds no preview"
    raise ValueError(
        f"{name} is a camera's raw file of {full.size[0]} x {full.size[1]} px, which must be developed first, and "
        f"{inside}; export it from a raw converter (darktable, RawTherapee, Lightroom) as TIFF or JPEG"
    )


def _is_readable(directory: Directory) -> bool:
    """Whether this may be a developed picture rather than sensor data without a name."""
    compression = directory.one(ExifTags.Base.Compression, 1)
    known = ExifTags.Base.PhotometricInterpretation in directory.tags
    return known or (compression == _OLD_JPEG and directory.one(_JPEG_START) > 0)


def _area(directory: Directory) -> int:
    return directory.size[0] * directory.size[1]


def _first(stream: IO[bytes]) -> tuple[str, bool, int]:
    """Byte order, whether it is a BigTIFF, place of the first directory."""
    stream.seek(0)
    head = stream.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = 43 in head[2:4]
    (offset,) = struct.unpack_from(f"{order}{'Q' if big else 'L'}", head, 8 if big else 4)
    return order, big, offset


def _directories(stream: IO[bytes]) -> Iterator[Directory]:
    try:
        order, big, first = _first(stream)
    except struct.error:
        return
    seen: set[int] = set()
    waiting = [(first, 0)]
    while waiting:
        offset, depth = waiting.pop()
        if offset in seen or not offset:
            continue
        seen.add(offset)
        try:
            tags, following = _read_one(stream, order, big, offset)
        except (struct.error, OverflowError, OSError, ValueError):
            continue
        yield Directory(offset, depth, tags)
        if depth == 0:
            waiting.append((following, 0))
        waiting.extend((place, depth + 1) for place in reversed(tags.get(_SUBDIRECTORIES, ())))


def _read_one(
    stream: IO[bytes], order: str, big: bool, offset: int
) -> tuple[dict[int, tuple[int, ...]], int]:
    """The tags of the directory at a place, and where the next one is."""
    count_format, entry_format, next_format = ("Q", "HHQ8s", "Q") if big else ("H", "HHL4s", "L")
    stream.seek(offset)
    size = struct.calcsize(f"{order}{count_format}")
    (count,) = struct.unpack(f"{order}{count_format}", stream.read(size))
    entry_size, next_size = (20, 8) if big else (12, 4)
    count = min(count, _MOST_ENTRIES)
    data = stream.read(count * entry_size + next_size)
    tags = {}
    for number in range(count):
        tag, kind, length, value = struct.unpack_from(
            f"{order}{entry_format}", data, number * entry_size
        )
        if kind not in _FORMATS or length < 1:
            continue
        form = f"{order}{min(length, _MOST_VALUES)}{_FORMATS[kind]}"
        if length * struct.calcsize(f"{order}{_FORMATS[kind]}") > len(value):
            (place,) = struct.unpack(f"{order}{next_format}", value)
            stream.seek(place)
            value = stream.read(struct.calcsize(form))
        tags[tag] = struct.unpack_from(form, value)
    (following,) = struct.unpack_from(f"{order}{next_format}", data, count * entry_size)
    return tags, following


def _beginning_at(stream: IO[bytes], offset: int) -> IO[bytes]:
    """The same file with another directory as its first."""
    order, big, _ = _first(stream)
    stream.seek(0)
    data = bytearray(stream.read())
    struct.pack_into(f"{order}{'Q' if big else 'L'}", data, 8 if big else 4, offset)
    return io.BytesIO(data)
