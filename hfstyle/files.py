"""Files that are whole or not there, that are never one of the inputs, and whose names every file system takes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import unicodedata
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

__all__ = [
    "INPUT_REFUSED",
    "InputFiles",
    "as_utf8",
    "folded",
    "is_unfinished",
    "merges_names",
    "result_stem",
    "safe_name",
    "short_digest",
    "web_address",
    "whole_file",
    "write_json",
    "write_text",
]

INPUT_REFUSED: Final = "is one of the inputs, which are never overwritten"

_TEMPORARY: Final = ".{}.tmp"
_TEMPORARY_LENGTH: Final = len(_TEMPORARY.format(uuid.uuid4().hex))

# Forbidden on Windows, or with a meaning of its own in some file system: a colon names a stream of NTFS.
_FORBIDDEN: Final = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED: Final = re.compile(
    r"^(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?= *(?:\.|$))", re.IGNORECASE
)
_WEB: Final = re.compile(
    r"([a-z][a-z0-9+.-]+):/{1,2}(?=[^/])", re.IGNORECASE
)  # Path makes one / of two
_LIKE_A_PICTURE: Final = re.compile(r"\.[a-z][a-z0-9]{2,3}$", re.IGNORECASE)
_LONGEST_NAME: Final = 255
"""Bytes of a name in UTF-8: the limit of ext4, XFS, Btrfs and APFS; NTFS takes as many UTF-16 units."""


def safe_name(name: str, room: int = 0, *, unique: bool = False) -> str:
    """A name, of a file or a folder, as every file system takes it; one that they take already stays as it is.

    Characters that Windows forbids become "-", spaces and dots at the end go, the names of Windows' devices (CON, NUL,
    COM1 ...) get an underscore, and a long name is cut. What had to be cut ends in a digest of the whole, so that two
    long names stay two.

    Args:
        name: without folders; a separator in it is a forbidden character.
        room: bytes that are to be left for what is put behind it, such as a suffix.
        unique: a name that had to be changed ends in a digest too, so that "a:b" and "a-b" stay two.
    """
    safe = _FORBIDDEN.sub("-", name).rstrip(" .")
    safe = safe or "unnamed"
    safe = _RESERVED.sub(r"\1_", safe, count=1)
    limit = _LONGEST_NAME - room
    if (unique and safe != name) or len(os.fsencode(safe)) > limit:
        end = f"-{short_digest(name)}"
        kept = os.fsencode(safe)[: limit - len(end)]
        safe = kept.decode("utf-8", "ignore").rstrip(" .") + end
    return safe


def result_stem(file: Path) -> str:
    """What the result of a picture file begins with: its name without ".jpg"; other suffixes stay.

    So it depends on the file alone, and a.jpg, a.JPG, a.png and a.png.jpg have four results, whichever of them is there
    first.
    """
    plain = file.suffix == ".jpg" and not _LIKE_A_PICTURE.search(file.stem)
    return file.stem if plain else file.name


def short_digest(text: str) -> str:
    """Eight hexadecimal digits that tell texts apart."""
    return hashlib.blake2b(os.fsencode(text), digest_size=4).hexdigest()


def as_utf8(name: str) -> str:
    """The name as texts of UTF-8 take it: bytes of it that are none become \\xff."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def folded(name: str) -> str:
    """Equal for names that some file systems take for one: of letters of another case, or accents written apart."""
    return unicodedata.normalize("NFC", name).casefold()


def merges_names(folder: Path) -> bool:
    """Whether the file system of a folder, there or to be made, takes names that are equal when `folded` for one.

    Tried with an empty file, which is gone again afterwards; where none can be made, yes.
    """
    folder = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    tried = folder / f".hfstyle-\u00e9-{uuid.uuid4().hex}.tmp"
    others = (tried.name.upper(), unicodedata.normalize("NFD", tried.name))
    try:
        tried.touch(exist_ok=False)
        try:
            return any((folder / name).exists() for name in others)
        finally:
            tried.unlink(missing_ok=True)
    except (OSError, UnicodeEncodeError):
        return True


def web_address(source: str | os.PathLike[str]) -> str | None:
    """The web address that was given for a file, whole again if it has been a `Path`; None for anything else."""
    text = os.fspath(source)
    address = _WEB.match(text)
    if address is None or address[1].lower() == "file" or os.path.exists(text):
        return None
    return f"{address[1]}://{text[address.end() :]}"


class InputFiles:
    """The files that a command reads, however they are named: by other paths, links, or letters of another case.

    Args:
        files: what is no file, such as the name of a preset, does not count.
        folders: of which all files count.
    """

    def __init__(
        self,
        files: Iterable[str | os.PathLike[str] | None],
        folders: Iterable[str | os.PathLike[str] | None] = (),
    ) -> None:
        self._known: set[tuple[int, int]] = set()
        for path in files:
            if path is not None:
                self._add(path)
        for top in folders:
            for folder, _, names in os.walk(top) if top is not None else ():
                for name in names:
                    self._add(os.path.join(folder, name))

    def _add(self, path: str | os.PathLike[str]) -> None:
        with contextlib.suppress(OSError, ValueError):  # not there, or a text that is no path
            status = os.stat(path)
            self._known.add((status.st_dev, status.st_ino))

    def has(self, target: str | os.PathLike[str]) -> bool:
        """Whether a file that is to be written is one of them."""
        try:
            status = os.stat(target)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) in self._known


@contextmanager
def whole_file(target: str | os.PathLike[str], *, overwrite: bool = True) -> Iterator[IO[bytes]]:
    """A file beside the target, which takes its name at the end: a reader never sees half of it.

    A link is written through, not replaced. Rights are those of the file that was there, else those of a new file.

    Raises:
        FileExistsError: the target exists, without `overwrite`.
        OSError: whatever else goes wrong, inside as well; it names the target.
    """
    final = Path(os.path.realpath(target))
    temporary = final.with_name(_TEMPORARY.format(uuid.uuid4().hex))
    try:
        try:
            with open(temporary, "xb+") as stream:
                yield stream
            if final.exists():
                os.chmod(temporary, final.stat().st_mode & 0o777)
            (os.replace if overwrite else _rename_to_new)(temporary, final)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(target)) from error


def write_text(target: str | os.PathLike[str], text: str) -> None:
    """A file of UTF-8, whole or not there. OSError as `whole_file`."""
    with whole_file(target) as stream:
        stream.write(text.encode("utf-8", "backslashreplace"))  # names may hold other bytes


def write_json(target: str | os.PathLike[str], value: Any) -> None:
    """A file of JSON, whole or not there. ValueError of NaN and infinity; OSError as `whole_file`."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(target, text + "\n")


def is_unfinished(path: Path) -> bool:
    """Whether a killed process left this file of `whole_file` behind."""
    name = path.name
    return len(name) == _TEMPORARY_LENGTH and name.startswith(".") and name.endswith(".tmp")


def _rename_to_new(temporary: Path, final: Path) -> None:
    try:
        os.link(temporary, final)  # unlike a rename, fails if `final` has come to exist
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if final.exists():
            raise FileExistsError(17, os.strerror(17), str(final)) from None
        os.replace(temporary, final)
