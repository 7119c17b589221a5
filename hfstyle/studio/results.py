"""What goes out: PNG files with their settings inside, at paths that cannot be guessed."""

from __future__ import annotations

import json
import os
import re
import secrets
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hfstyle import StyleCode, __version__


def slug(text: str, longest: int = 40) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:longest].strip("_") or "style"


def result_name(content: str, code: StyleCode, strength: float) -> str:
    return f"{slug(Path(content).stem)}__{slug(code.name)}_strength{round(100 * strength):03d}"


def new_file(name: str) -> Path:
    """A path in a folder of its own that cannot be guessed, where Gradio serves and later deletes it."""
    folder = Path(os.path.abspath(get_upload_folder()), secrets.token_hex(32))
    folder.mkdir(parents=True)
    return folder / name


def write_png(
    image: Image.Image, name: str, settings: dict[str, Any], *, fast: bool = False
) -> str:
    info = PngInfo()
    if settings:
        info.add_text("Software", f"hfstyle {__version__}")
        info.add_itxt("hfstyle", json.dumps(settings, ensure_ascii=False))
    path = new_file(f"{name}.png")
    image.save(path, pnginfo=info, compress_level=1 if fast else 6)
    return str(path)
