"""The pictures of a folder by their names, and pairs of such names.

A picture is named by its file's name without suffix.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from hfstyle.images.load import list_images

__all__ = ["by_name", "check_pairs", "read_pairs"]


def by_name(folder: str | os.PathLike[str], several: bool = False) -> dict[str, Path]:
    """The pictures of a folder by their names without suffix; with `several`, those of one stem keep it.

    Raises ValueError for two pictures of one name and for no pictures, ImageError for no folder.
    """
    found = list_images(folder)
    if not found:
        raise ValueError(f"{folder} holds no pictures")
    stems = Counter(file.stem for file in found)
    files: dict[str, Path] = {}
    for file in found:
        name = file.name if several and stems[file.stem] > 1 else file.stem
        if name in files:
            raise ValueError(
                f"{files[name]} and {file} have the same name; pictures are told apart by names "
                "without suffix, so rename one"
            )
        files[name] = file
    return files


def check_pairs(
    pairs: Iterable[tuple[str, str]] | None, contents: dict[str, Path], styles: dict[str, Path]
) -> list[tuple[str, str]]:
    """The pairs that are meant, each once; None for all combinations. Raises ValueError for names that are not there."""
    if pairs is None:
        return [(content, style) for content in contents for style in styles]
    chosen = list(dict.fromkeys((content, style) for content, style in pairs))
    if not chosen:
        raise ValueError("pairs is empty; give at least one (content, style)")
    for place, kind, known in ((0, "contents", contents), (1, "styles", styles)):
        unknown = sorted({pair[place] for pair in chosen} - known.keys())
        if unknown:
            raise ValueError(
                f"the pairs name {', '.join(unknown)}, which the folder of {kind} does not hold; "
                "names are those of files without suffix"
            )
    return chosen


def read_pairs(path: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """The (content, style) names of a JSON file: a list of pairs, or an object whose member "pairs" is one.

    Raises ValueError for another form, FileNotFoundError for no file.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    pairs = value.get("pairs") if isinstance(value, dict) else value
    good = isinstance(pairs, list) and all(
        isinstance(p, list) and len(p) == 2 and all(isinstance(n, str) for n in p) for p in pairs
    )
    if not good or not pairs:
        raise ValueError(f'{path} holds no pairs; give [["CONTENT", "STYLE"], ...]')
    return [(content, style) for content, style in pairs]
