"""What goes out: PNG files with their settings inside, at paths that cannot be guessed."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hfstyle import ImageError, StyleCode, __version__
from hfstyle.paths import ffmpeg_program, save_animation
from hfstyle.studio.jobs import Stopped, mark
from hfstyle.studio.settings import Settings

_log = logging.getLogger(__name__)


def slug(text: str, longest: int = 40) -> str:
    """Small letters, digits and underscores."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:longest].strip("_") or "style"


def result_name(content: str, code: StyleCode | None, settings: Settings) -> str:
    """Of a preview: photo, style, strength and colour in hundredths."""
    style = slug(code.name) if code else "regions"
    strength, color = round(100 * settings.strength), round(100 * settings.color)
    return f"{slug(Path(content).stem)}__{style}_strength{strength:03d}_color{color:03d}"


def full_name(content: str, code: StyleCode | None, settings: Settings) -> str:
    """Of a download: all settings."""
    name = result_name(content, code, settings)
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


def delete_old(seconds: float) -> None:
    """Delete the files given out by `new_file` that were made or last shown longer ago than this, and empty folders."""
    latest = time.time() - seconds
    for folder in list(_given):
        files = list(folder.glob("*"))
        if all(file.stat().st_mtime <= latest for file in files):
            shutil.rmtree(folder, ignore_errors=True)
            _given.discard(folder)
    for folder in Path(get_upload_folder()).glob("*/"):  # Gradio leaves those of uploads
        with contextlib.suppress(OSError):  # not empty, or just gone
            if folder.stat().st_mtime <= latest:
                folder.rmdir()


class _Breakable(io.FileIO):
    """A file that is written until the job is stopped: compressing 40 megapixels takes seconds."""

    def write(self, data: Any) -> int:
        mark()
        return super().write(data)


def write_png(
    image: Image.Image,
    name: str,
    settings: dict[str, Any],
    *,
    fast: bool = False,
    keep: bool = False,
) -> str:
    """Write a PNG with the settings in its metadata, `fast` for one that is only looked at; returns its path."""
    info = PngInfo()
    if settings:
        info.add_text("Software", f"hfstyle {__version__}")
        info.add_itxt("hfstyle", json.dumps(settings, ensure_ascii=False))
    path = new_file(f"{name}.png", keep=keep)
    try:
        with _Breakable(path, "w") as file:
            image.save(file, "PNG", pnginfo=info, compress_level=1 if fast else 4)
    except Stopped:
        path.unlink()
        raise
    return str(path)


def write_animation(frames: Sequence[Image.Image], name: str) -> list[str]:
    """Write pictures as a GIF that plays forth and back, and as an MP4 where there is ffmpeg; returns their paths."""
    moving = new_file(f"{name}.gif")
    save_animation(frames, moving)
    try:
        ffmpeg_program()
    except FileNotFoundError:
        return [str(moving)]
    mark()
    film = new_file(f"{name}.mp4")
    try:
        save_animation(frames, film)
    except (ImageError, subprocess.SubprocessError) as error:  # such as an ffmpeg without H.264
        _log.warning("no MP4: %s", error)
        film.unlink(missing_ok=True)
        return [str(moving)]
    return [str(moving), str(film)]
