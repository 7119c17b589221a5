"""Internal to `hfstyle.cli`: which pictures are meant, and which files are written for them."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from hfstyle.cli.streams import is_closed, write_output
from hfstyle.files import (
    INPUT_REFUSED,
    InputFiles,
    folded,
    merges_names,
    result_stem,
    safe_name,
    short_digest,
    web_address,
)
from hfstyle.images.decode import ImageError
from hfstyle.images.load import Picture, list_images, load_image
from hfstyle.images.save import encode_image
from hfstyle.images.sources import Source
from hfstyle.messages import UsageError, reason
from hfstyle.pipeline import StyleTransferPipeline
from hfstyle.styles.code import StyleCode

__all__ = [
    "Inputs",
    "Outputs",
    "Photo",
    "Row",
    "file_labels",
    "find_style",
    "style_label",
    "write_to_stdout",
]

_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".avif")
_ROOM_BESIDE_LABEL: Final = 155  # bytes of 255, for the photo's name


@dataclass(frozen=True)
class Photo:
    """An input: path, None for standard input; and the folder, below that of the outputs, of its results."""

    path: Path | None
    folder: Path = Path()

    @property
    def name(self) -> str:
        return "stdin" if self.path is None else str(self.path)

    @property
    def stem(self) -> str:
        """What the names of its results begin with; depends on its own name only."""
        return "stdin" if self.path is None else result_stem(self.path)

    @property
    def identity(self) -> str:
        return "-" if self.path is None else os.path.realpath(self.path)

    def source(self) -> Path | bytes:
        """The file, or what came through standard input, to be decoded."""
        if self.path is not None:
            return self.path
        if sys.stdin is None:
            raise ImageError("standard input is closed; name a file in place of -")
        return sys.stdin.buffer.read()

    def load(self, keep_alpha: bool = False, keep_place: bool = False) -> Picture:
        return load_image(
            self.source(),
            keep_alpha=keep_alpha,
            keep_place=keep_place,
            name=self.name,
            compact=True,
        )


@dataclass(frozen=True)
class Inputs:
    """Photos in the order they were named, and a message for each argument that gave none."""

    photos: list[Photo]
    failures: list[str]
    many: bool  # several were asked for, even if fewer were found

    @classmethod
    def find(
        cls, arguments: Sequence[str], recursive: bool, leave_out: Path | None = None
    ) -> Inputs:
        """Files as they are, the pictures of folders, "-" for standard input; each file once.

        leave_out: folder of outputs; if it lies in a folder of photos, its pictures are not inputs.
        """
        if arguments.count("-") > 1:
            raise UsageError("standard input (-) can be read only once")
        photos: dict[str, Photo] = {}
        failures = []
        for argument in arguments:
            path = Path(argument)
            if argument == "-":
                photos["-"] = Photo(None)
            elif address := web_address(argument):
                failures.append(f"{address} is a web address; download it and give the file")
            elif not path.is_dir():  # a file, or an error that loading it will tell
                photos.setdefault(os.path.realpath(path), Photo(path))
            else:
                if leave_out is not None and _same(path, leave_out):
                    raise UsageError(
                        f"{path} is the folder of the photos and of the results; name another with -o"
                    )
                try:
                    found = list_images(path, recursive)
                except ImageError as error:
                    failures.append(reason(error))
                    continue
                if leave_out is not None and _is_below(leave_out, path):
                    found = [file for file in found if not _is_below(file, leave_out)]
                if not found:
                    hint = "" if recursive else "; --recursive looks into its subfolders"
                    failures.append(f"{path}: no pictures in this folder{hint}")
                for file in found:
                    photo = Photo(file, file.parent.relative_to(path))
                    photos.setdefault(os.path.realpath(file), photo)
        many = len(arguments) > 1 or Path(arguments[0]).is_dir()
        return cls(list(photos.values()), failures, many)


@dataclass(frozen=True)
class Row:
    """A picture of a data set, as `Photo` is one of a file."""

    source: Source
    index: int
    path: None = None

    @property
    def name(self) -> str:
        return self.source.name(self.index)

    def load(self) -> Picture:
        return load_image(self.source.read(self.index), name=self.name, compact=True)


class Outputs:
    """Where results go: one file, standard output, or a folder with names PHOTO__STYLE.png.

    Args:
        output: as given; a folder if it is one, ends in a separator, has no suffix, or if there are several results.
        several: whether there may be several results.
        suffix: of files in a folder and on standard output, with its dot.
        inputs: files that are never overwritten; what is no file does not count.
    """

    def __init__(
        self, output: str, several: bool, suffix: str, inputs: Iterable[str | Path | None]
    ) -> None:
        path = Path(output)
        self.suffix = suffix
        self.stdout = output == "-"
        self.folder: Path | None = None
        self.file: Path | None = None
        if self.stdout:
            if several:
                raise UsageError("standard output (-) takes one result; give -o FOLDER")
            if is_closed():
                raise UsageError("standard output is closed; give -o FILE")
            if sys.stdout.isatty():
                raise UsageError("standard output is a terminal; give -o FILE, or > FILE")
        elif several or path.is_dir() or output.endswith(("/", os.sep)) or not path.suffix:
            if path.exists() and not path.is_dir():
                raise UsageError(f"{path} is a file; several results need a folder, -o FOLDER")
            if several and path.suffix.lower() in _SUFFIXES and not path.is_dir():
                raise UsageError(
                    f"{path} names one file, but there may be several results; give -o FOLDER"
                )
            self.folder = path
        else:
            if path.suffix.lower() not in _SUFFIXES:
                raise UsageError(
                    f"{path} has the suffix {path.suffix!r}; pictures are written as "
                    f"{', '.join(_SUFFIXES)}; the name of a folder ends in /"
                )
            if not path.parent.is_dir():
                raise UsageError(f"{path}: there is no folder {path.parent}; create it")
            self.file = path
        self._inputs = InputFiles(inputs)
        self._met: set[str] = set()

    def plan(self, photos: Iterable[Photo]) -> None:
        """Tell which photos there are: those of one name in several folders get a digest of where they lie.

        Names that differ in the case of letters are two, unless the file system of the results takes them for one.
        """
        photos = list(photos)
        alike = _met(photos, folded)
        if self.folder is not None and alike and alike != (same := _met(photos, str)):
            self._met = alike if merges_names(self.folder) else same
        else:
            self._met = alike

    def path(self, photo: Photo, label: str) -> Path | None:
        """The file for a photo in a style, of a name that depends on these two alone; None for standard output."""
        if self.folder is None:
            return self.file
        stem = photo.stem
        if str(photo.folder / stem) in self._met:
            stem += f"-{short_digest(photo.identity)}"
        end = f"__{label}{self.suffix}"
        stem = safe_name(stem, room=len(os.fsencode(end)), unique=True)
        folder = self.folder.joinpath(*(safe_name(p, unique=True) for p in photo.folder.parts))
        return folder / f"{stem}{end}"

    def check(self, target: Path | None) -> None:
        """Raise ImageError if the file is one of the inputs."""
        if target is not None and self._inputs.has(target):
            raise ImageError(f"{target} {INPUT_REFUSED}; give another -o")


def _met(photos: Iterable[Photo], key: Callable[[str], str]) -> set[str]:
    """Folders and stems of photos that share theirs with another photo, as far as `key` tells."""
    named: dict[str, set[tuple[str, str]]] = {}
    for photo in photos:
        name = str(photo.folder / photo.stem)
        named.setdefault(key(name), set()).add((name, photo.identity))
    return {name for group in named.values() if len(group) > 1 for name, _ in group}


def style_label(styles: Sequence[str]) -> str:
    """What a style, or a mixture, is called."""
    stems = (Path(s.removesuffix(".safetensors").removesuffix(".style")) for s in styles)
    return "+".join(p.stem if p.suffix.lower() in _SUFFIXES else p.name for p in stems)


def file_labels(groups: Sequence[Sequence[str]]) -> list[str]:
    """What styles, or mixtures, are called in names of files; those called alike get a digest of where their files lie,
    however these are named.
    """
    labels = [safe_name(style_label(group), room=_ROOM_BESIDE_LABEL) for group in groups]
    folds = Counter(map(folded, labels))
    return [
        f"{label}-{short_digest('+'.join(map(_identity, group)))}"
        if folds[folded(label)] > 1
        else label
        for label, group in zip(labels, groups, strict=True)
    ]


def _identity(style: str) -> str:
    """A file by its whole path; what is none as it is."""
    return os.path.realpath(style) if os.path.exists(style) else style


def find_style(pipe: StyleTransferPipeline, style: str, style_size: int) -> StyleCode:
    """As the pipeline finds a style; what to do with a folder is said."""
    if os.path.isdir(style) and style not in pipe.presets:
        raise ValueError(
            f"{style} is a folder; `hfstyle encode {style} -o FILE.style.safetensors` makes one "
            "style of its pictures"
        )
    return pipe.encode_style(style, style_size=style_size)


def write_to_stdout(image: Image.Image, suffix: str, quality: int) -> None:
    """The picture, encoded, on standard output."""
    write_output(encode_image(image, suffix, quality=quality))


def _same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


def _is_below(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
