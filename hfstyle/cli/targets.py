"""The files that a command is to write, checked before it begins with what takes long."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from hfstyle.files import INPUT_REFUSED, InputFiles
from hfstyle.images.encode import WRITE_FORMATS
from hfstyle.messages import UsageError

__all__ = ["check_output", "check_output_folder", "check_picture_output", "same_place"]


def check_output(
    file: str | Path,
    read: Iterable[str | Path | None] = (),
    *,
    option: str = "-o",
    folders: Iterable[str | Path | None] = (),
    overwrite: bool = True,
    makes_folder: bool = False,
) -> Path:
    """The path of a file that is to be written.

    Args:
        file: as given.
        read: files that the command reads; what is no file, such as the name of a preset, does not count.
        option: that names the file.
        folders: of which the command reads all files.
        overwrite: whether a file that is there may be replaced.
        makes_folder: whether the command makes its folder.

    Raises:
        UsageError: it names a folder, lies in none, or is one of those that are read.
        FileExistsError: it exists, without `overwrite`.
    """
    target = Path(file)
    if target.is_dir() or str(file).endswith(("/", os.sep)):
        raise UsageError(f"{file} is a folder; give {option} the name of a file")
    folder = Path(os.path.realpath(target)).parent
    while makes_folder and not os.path.lexists(folder):
        folder = folder.parent
    if not folder.is_dir():
        raise UsageError(f"{file}: there is no folder {target.parent}; create it")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"{file}: nothing can be written into the folder {target.parent}")
    if InputFiles(read, folders).has(target):
        raise UsageError(f"{file} {INPUT_REFUSED}; give another {option}")
    if not overwrite and target.exists():
        raise FileExistsError(f"{file} exists already; choose another name")
    return target


def check_output_folder(name: str, option: str = "-o") -> Path:
    """The path of a folder that is to be written into, and made if needed. UsageError if it is, or lies in, a file."""
    target = Path(name)
    for place in (target, *target.parents):
        if place.exists() and not place.is_dir():
            of = "" if place == target else f"{name}: "
            raise UsageError(f"{of}{place} is a file; give {option} the name of a folder")
    return target


def check_picture_output(
    file: str | Path, read: Iterable[str | Path | None] = (), *, option: str = "-o"
) -> Path:
    """The same of a picture; UsageError if its suffix is none of a picture, too."""
    target = check_output(file, read, option=option)
    if target.suffix.lower() not in WRITE_FORMATS:
        raise UsageError(
            f"{file} has the suffix {target.suffix!r}; pictures are written as {', '.join(WRITE_FORMATS)}"
        )
    return target


def same_place(one: str, other: str) -> bool:
    """Whether two names are of one file, there or to be written."""
    return os.path.realpath(one) == os.path.realpath(other)
