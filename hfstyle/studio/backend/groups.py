"""Groups of the gallery's styles, by what they were made with; a style may be in several, or in none but "All"."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from hfstyle import StyleCode

__all__ = ["ALL", "FAVOURITES", "GROUPS", "chosen_styles", "groups_of"]

ALL: Final = "All"
FAVOURITES: Final = "Favourites"

_WORDS: Final = {
    "Oil": "oil",
    "Prints": "woodblock woodcut engraving etching lithograph print poster cover",
    "Ink and pencil": "ink charcoal pencil comic",
    "Watercolour": "watercolour pastel gouache",
    "Fresco and tempera": "fresco tempera illumination",
    "Mosaic and glass": "mosaic glass",
    "Abstract": "abstract cubism suprematism constructivism analytical",
}
"""Words of a style's technique or movement that put it into a group."""

GROUPS: Final = (ALL, *_WORDS, FAVOURITES)


def groups_of(code: StyleCode) -> set[str]:
    """The groups of a style, from its metadata; without "All"."""
    told = f"{code.metadata.get('technique', '')} {code.metadata.get('movement', '')}".lower()
    words = set(re.findall(r"\w+", told))
    return {group for group, listed in _WORDS.items() if words & set(listed.split())}


def chosen_styles(
    styles: Mapping[str, StyleCode], group: str, text: str, favourites: Collection[str]
) -> list[str]:
    """Names of the styles of a group whose title, artist, year, technique or movement have all words of a text.

    Args:
        styles: by name, in the order of the gallery.
        group: one of `GROUPS`.
        text: beginnings of words, in any order; empty for all.
        favourites: names that the visitor keeps.
    """
    wanted = re.findall(r"\w+", text.lower())
    found = []
    for name, code in styles.items():
        if group == FAVOURITES and name not in favourites:
            continue
        if group in _WORDS and group not in groups_of(code):
            continue
        words = re.findall(
            r"\w+", " ".join([name.replace("_", " "), *code.metadata.values()]).lower()
        )
        if all(any(word.startswith(one) for word in words) for one in wanted):
            found.append(name)
    return found
