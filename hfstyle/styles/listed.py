"""What styles a model's folder holds, read without torch, whose import takes longer than all the rest of a list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

__all__ = ["PACK_FILE", "STYLES_FOLDER", "listed_styles"]

STYLES_FOLDER: Final = "styles"
"""In a model's folder: a file for each of its styles."""
PACK_FILE: Final = "styles.safetensors"
"""Instead of that, in a download: all of them in one file."""

_BUNDLED: Final = Path(__file__).resolve().parent.parent / "pretrained" / "base"
_MOST_HEADER: Final = 1 << 20  # bytes


def listed_styles(model: str | None) -> dict[str, dict[str, str]] | None:
    """Names of the styles in a folder, with their metadata.

    Args:
        model: the folder; None is that of the bundled weights.

    Returns:
        None where whoever loads the model says more: of the Hub, not a model, damaged, its styles in one file.
    """
    folder = _BUNDLED if model is None else Path(model)
    if not _has_config(folder / "config.json") or not (folder / "model.safetensors").is_file():
        return None
    styles = {}
    for file in sorted((folder / STYLES_FOLDER).glob("*.safetensors")):
        try:
            with open(file, "rb") as opened:  # safetensors itself imports numpy
                length = int.from_bytes(opened.read(8), "little")
                facts = json.loads(opened.read(min(length, _MOST_HEADER)))["__metadata__"]
            metadata = json.loads(facts["metadata"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if facts.get("format") != "hfstyle.style_code" or not isinstance(metadata, dict):
            return None
        styles[file.name.removesuffix(".safetensors")] = metadata
    return None if not styles and (folder / PACK_FILE).is_file() else styles


def _has_config(file: Path) -> bool:
    """Whether this is an object of numbers and lists, as a model's arguments are."""
    try:
        config = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    values = config.values() if isinstance(config, dict) else [None]
    return all(isinstance(value, (int, float, list)) for value in values)
