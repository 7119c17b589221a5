"""Internal to `hfstyle.images`: the formats in which pictures are written, and files that are whole or not there."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import IO, Any, NamedTuple

from PIL import Image, features

from hfstyle._decode import ImageError

WRITE_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
} | ({".avif": "AVIF"} if features.check("avif") else {})
_LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 65_535}
_TEMPORARY = ".{}.tmp"
_TEMPORARY_LENGTH = len(_TEMPORARY.format(uuid.uuid4().hex))


class Encoding(NamedTuple):
    """A format of Pillow and what its encoder is told."""

    format_name: str
    options: dict[str, Any]

    def write(self, image: Image.Image, stream: IO[bytes]) -> None:
        image.save(stream, format=self.format_name, **self.options)


def encoding_for(
    name: str, suffix: str, size: tuple[int, int], quality: int, exif: bytes | None
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
    if format_name == "JPEG":
        options["subsampling"] = 0 if quality >= 90 else 2
    elif format_name == "TIFF":
        options["compression"] = "tiff_adobe_deflate"
    if exif is not None:
        options["exif"] = exif
    return Encoding(format_name, options)


def write_atomically(
    image: Image.Image, target: Path, encoding: Encoding, *, overwrite: bool
) -> None:
    """Write beside the target, then take its name. ImageError, and no trace, if that fails."""
    final = Path(os.path.realpath(target))  # through a link, not in its place
    temporary = final.with_name(_TEMPORARY.format(uuid.uuid4().hex))
    try:
        try:
            with open(temporary, "xb+") as stream:
                encoding.write(image, stream)
            if final.exists():
                os.chmod(temporary, final.stat().st_mode & 0o777)
            (os.replace if overwrite else _rename_to_new)(temporary, final)
        finally:
            temporary.unlink(missing_ok=True)
    except FileExistsError as error:
        raise ImageError(f"{target} exists already; choose another name") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(f"{target}: there is no folder {final.parent}; create it") from error
    except Exception as error:  # Pillow's encoders raise several kinds
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ImageError(f"{target} cannot be written: {reason}; check rights and space") from error


def is_unfinished(path: Path) -> bool:
    """Whether a killed process left this file of `write_atomically` behind."""
    name = path.name
    return len(name) == _TEMPORARY_LENGTH and name.startswith(".") and name.endswith(".tmp")


def _rename_to_new(temporary: Path, final: Path) -> None:
    try:
        os.link(temporary, final)  # unlike a rename, fails if `final` has come to exist
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if final.exists():
            raise FileExistsError(final) from None
        os.replace(temporary, final)
