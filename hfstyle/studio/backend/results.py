"""What goes out: PNG files with their settings inside and WebP files to look at, at paths that cannot be guessed."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import secrets
import shutil
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gradio.utils import get_upload_folder
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hfstyle import ImageError, StyleCode, __version__
from hfstyle.images.exif import resolution_of, with_resolution
from hfstyle.images.provenance import mark_of, packet, png_info
from hfstyle.limits import OPTIONS
from hfstyle.paths import save_animation
from hfstyle.studio.backend.jobs import Stopped, mark
from hfstyle.studio.backend.refusals import refusal, within
from hfstyle.studio.backend.settings import Settings

_log = logging.getLogger(__name__)


LOOK_QUALITY: Final = 90
"""Of WebP, for pictures that are looked at closely."""
DEFAULT_QUALITY: Final[int] = OPTIONS["quality"].default
"""Of JPEG and WebP files to keep."""
_QUALITIES: Final = tuple(map(int, OPTIONS["quality"].offered))
_FORMATS: Final = ("png", "jpeg", "webp")


_COMPRESSION: Final = 2
"""Of PNGs to keep. A painting of 24 megapixels is written in 4.1 s, of 30.5 MB; at 4 in 7.5 s, of 28.6 MB."""
_PNG_BYTES: Final = 1.5  # of a pixel of a painting, about

AS_PHOTO: Final = "photo"
SHEETS: Final = {
    "10x15": (101.6, 152.4),
    "A5": (148.0, 210.0),
    "A4": (210.0, 297.0),
    "A3": (297.0, 420.0),
}
"""Short and long side in mm of what a picture is printed on."""
_INCH: Final = 25.4  # mm


def print_resolution(size: tuple[int, int], sheet: str) -> float:
    """Pixels per inch at which a picture (W, H) just fits on a sheet, as large as possible."""
    return max(px * _INCH / mm for px, mm in zip(sorted(size), SHEETS[sheet], strict=True))


@dataclass(frozen=True)
class FileFormat:
    """Of a file to keep; the quality counts for all but PNG; for which sheet, or `AS_PHOTO`, it says how large it prints."""

    name: str = "png"
    quality: int = DEFAULT_QUALITY
    sheet: str = AS_PHOTO

    @property
    def suffix(self) -> str:
        return "jpg" if self.name == "jpeg" else self.name


PNG: Final = FileFormat()


def file_format(name: str, quality: float | None, sheet: str = AS_PHOTO) -> FileFormat:
    """What a visitor or a program asks for.

    Raises:
        gr.Error: another format or sheet, or a quality that is no whole number from 1 to 100.
    """
    if name not in _FORMATS:
        raise refusal(f"The format is {name}; give {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}.")
    if sheet not in (AS_PHOTO, *SHEETS):
        raise refusal(f"The print size is {sheet}; give {AS_PHOTO}, {', '.join(SHEETS)}.")
    return FileFormat(name, within(quality, "quality", *_QUALITIES), sheet)


def slug(text: str, longest: int = 40) -> str:
    """Small letters, digits and underscores."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:longest].strip("_") or "style"


def result_name(content: str, code: StyleCode | None, settings: Settings) -> str:
    """Of a preview: photo, style, strength and colour in hundredths."""
    style = slug(code.name) if code else "regions"
    strength, color = round(100 * settings.strength), round(100 * settings.color)
    return f"{slug(Path(content).stem)}__{style}_strength{strength:03d}_color{color:03d}"


def full_name(content: str, code: StyleCode | None, settings: Settings) -> str:
    """Of a download: all settings; outlines only where they are kept."""
    name = f"{result_name(content, code, settings)}_faces{round(100 * settings.faces):03d}"
    if settings.outlines:
        name += f"_outlines{round(100 * settings.outlines):03d}"
    return f"{name}_brush{settings.style_size}_res{settings.resolution}"


_given: set[Path] = set()


def new_file(name: str, *, keep: bool = False) -> Path:
    """A path in a folder of its own that cannot be guessed, from which Gradio serves.

    Args:
        name: of the file.
        keep: whether `delete_old` spares it.
    """
    folder = Path(os.path.abspath(get_upload_folder()), secrets.token_hex(32))
    folder.mkdir(parents=True)
    if not keep:
        _given.add(folder)
    return folder / name


def is_result(path: str) -> bool:
    """Whether a file was made here to be given out, and not brought by a visitor."""
    return Path(path).parent in _given


def delete_old(seconds: float) -> None:
    """Delete what was given out by `new_file`, or was left by uploads that broke off, and is older than this; empty folders.

    Args:
        seconds: since it was made or last shown; of an upload that broke off, since its last byte came.
    """
    latest = time.time() - seconds
    for folder in list(_given):
        files = list(folder.glob("*"))
        if all(file.stat().st_mtime <= latest for file in files):
            shutil.rmtree(folder, ignore_errors=True)
            _given.discard(folder)
    uploads = Path(get_upload_folder())
    for part in uploads.glob("tmp*"):  # while it arrives, Gradio writes a file here and forgets it
        with contextlib.suppress(OSError):  # just gone
            if part.is_file() and part.stat().st_mtime <= latest:
                part.unlink()
    for folder in uploads.glob("*/"):  # Gradio leaves those of uploads
        with contextlib.suppress(OSError):  # not empty, or just gone
            if folder.stat().st_mtime <= latest:
                folder.rmdir()


class _Breakable(io.FileIO):
    """A file that is written until the job is stopped: compressing 40 megapixels takes seconds.

    Args:
        path: of the file.
        told: called as `told(done, total)` when bytes are written.
        expected: how many bytes that will be, about.
    """

    def __init__(
        self, path: Path, told: Callable[[int, int], None] | None = None, expected: int = 1
    ) -> None:
        super().__init__(path, "w")
        self._told, self._expected = told, max(1, expected)

    def write(self, data: Any) -> int:
        if self._told is None:
            mark()
        else:
            self._told(min(self.tell(), self._expected), self._expected)
        return super().write(data)


def write_webp(
    image: Image.Image,
    name: str,
    *,
    quality: int = LOOK_QUALITY,
    keep: bool = False,
    profile: bytes | None = None,
) -> str:
    """Write a picture that is only looked at, of a tenth of a PNG's bytes; returns its path.

    Args:
        image: without transparency.
        name: of the file, without suffix.
        quality: from 0 to 100; from 90 on, differences are hard to see.
        keep: whether `delete_old` spares it.
        profile: of its colours, other than sRGB.
    """
    path = new_file(f"{name}.webp", keep=keep)
    mark()
    options: dict[str, Any] = {"icc_profile": profile} if profile else {}
    options |= _marked(image)
    image.convert("RGB").save(path, "WEBP", quality=quality, method=2, **options)
    return str(path)


def write_png(
    image: Image.Image,
    name: str,
    settings: dict[str, Any],
    *,
    fast: bool = False,
    told: Callable[[int, int], None] | None = None,
) -> str:
    """Write a PNG with the settings in its metadata, `fast` for one that few look at; returns its path."""
    painter = mark_of(image)
    info = PngInfo() if painter is None else png_info(packet(painter))
    if settings:
        info.add_text("Software", f"hfstyle {__version__}")
        info.add_itxt("hfstyle", json.dumps(settings, ensure_ascii=False))
    path = new_file(f"{name}.png")
    try:
        pixels = image.width * image.height
        with _Breakable(path, told, round(_PNG_BYTES * pixels)) as file:
            dpi = resolution_of(image)
            options: dict[str, Any] = {} if dpi is None else {"dpi": dpi}
            level = 1 if fast else _COMPRESSION
            image.save(file, "PNG", pnginfo=info, compress_level=level, **options)
    except Stopped:
        path.unlink()
        raise
    return str(path)


def write_result(
    image: Image.Image,
    name: str,
    settings: dict[str, Any],
    ending: FileFormat,
    told: Callable[[int, int], None] | None = None,
) -> str:
    """Write a picture to keep, a PNG with the settings in its metadata; returns its path.

    How large it prints is said by the format's sheet, or as of the photo by `image.info["dpi"]`, where it has one.
    """
    if ending.sheet != AS_PHOTO:
        image.info["dpi"] = (print_resolution(image.size, ending.sheet),) * 2
    dpi = resolution_of(image)
    if ending.name == "png":
        return write_png(image, name, settings, told=told)
    path = new_file(f"{name}.{ending.suffix}")
    options: dict[str, Any] = {"quality": ending.quality, **_marked(image)}
    if dpi is not None and ending.name == "jpeg":
        options["dpi"] = dpi
    elif dpi is not None:
        options["exif"] = with_resolution(None, dpi)
    if ending.name == "jpeg":
        options |= {
            "subsampling": 0,
            "optimize": False,
        }  # colours of strokes as fine as their light
    try:
        with _Breakable(path) as file:
            image.convert("RGB").save(file, ending.name.upper(), **options)
    except Stopped:
        path.unlink()
        raise
    return str(path)


def _marked(image: Image.Image) -> dict[str, bytes]:
    """What Pillow's JPEG and WebP are told of how a picture was made."""
    painter = mark_of(image)
    return {} if painter is None else {"xmp": packet(painter)}


def write_zip(paths: Sequence[str], name: str) -> str:
    """Pack results into one file, each under its own name; returns its path.

    Args:
        paths: of pictures, which are small already and packed as they are.
        name: of the file, without suffix.
    """
    path, used = new_file(f"{name}.zip"), set[str]()
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for file in map(Path, paths):
                mark()
                called, number = file.name, 1
                while called in used:
                    number += 1
                    called = f"{file.stem}_{number}{file.suffix}"
                used.add(called)
                archive.write(file, called)
    except Stopped:
        path.unlink()
        raise
    return str(path)


def write_animation(frames: Sequence[Image.Image], name: str) -> list[str]:
    """Write pictures as a GIF that plays forth and back, and as an MP4 where the package av is; returns their paths."""
    moving = new_file(f"{name}.gif")
    save_animation(frames, moving)
    mark()
    film = new_file(f"{name}.mp4")
    try:
        save_animation(frames, film)
    except ModuleNotFoundError:
        film.unlink(missing_ok=True)
        return [str(moving)]
    except ImageError as error:  # such as an FFmpeg without H.264
        _log.warning("no MP4: %s", error)
        film.unlink(missing_ok=True)
        return [str(moving)]
    return [str(moving), str(film)]
