"""The lines of Python and of shell that make the picture on the page again."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

from hfstyle.limits import DEFAULT_STYLE_SIZE
from hfstyle.studio.backend.refusals import display_name
from hfstyle.studio.backend.settings import Settings

__all__ = ["python_lines", "shell_line"]

_BUNDLED: Final = "hfstyle base"


def python_lines(
    content: str, style: str, settings: Settings, side: int | None, model: str = _BUNDLED
) -> str:
    """A program.

    Args:
        content: path of the photo; its name is given.
        style: name of a preset, or path of a style picture or a style file, whose name is given.
        settings: of the page.
        side: short side in pixels at which the network runs; None for the photo's own.
        model: a folder or Hub id; by default the bundled weights.
    """
    photo, given = _names(content, style)
    options = [f"strength={settings.strength:g}"]
    options += [f"{name}={number:g}" for name, number in settings.numbers().items()]
    if settings.style_size != DEFAULT_STYLE_SIZE:
        options.append(f"style_size={settings.style_size}")
    if side is not None:
        options.append(f"processing_resolution={side}")
    loaded = "" if model == _BUNDLED else repr(model)
    return (
        "from hfstyle import StyleTransferPipeline\n\n"
        f"pipe = StyleTransferPipeline.from_pretrained({loaded})\n"
        f"painted = pipe({photo!r}, {given!r}, {', '.join(options)})\n"
        'painted.save("painted.png")'
    )


def shell_line(
    content: str, style: str, settings: Settings, side: int | None, model: str = _BUNDLED
) -> str:
    """The same as one line of shell."""
    photo, given = _names(content, style)
    words = ["hfstyle", "stylize", photo, "--style", given]
    words += ["--strength", f"{settings.strength:g}"]
    for name, number in settings.numbers().items():
        words += [f"--{name.replace('_', '-')}", f"{number:g}"]
    if settings.style_size != DEFAULT_STYLE_SIZE:
        words += ["--style-size", str(settings.style_size)]
    words += ["--size", "full" if side is None else str(side), "-o", "painted.png"]
    if model != _BUNDLED:
        words += ["--model", model]
    return shlex.join(words)


def _names(content: str, style: str) -> tuple[str, str]:
    return display_name(content), display_name(style) if Path(style).suffix else style
