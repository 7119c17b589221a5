"""What styles are called on the pages."""

from __future__ import annotations

import re
import textwrap
from typing import Final

from hfstyle import StyleCode

__all__ = ["preset_caption", "preset_label", "shown_name"]

_LONGEST_TITLE: Final = 32  # letters, below a thumbnail
_FILE_NAME: Final = re.compile(
    r"_|^\S*\d{5}"
)  # of some of the art that was learned from, as its title


def preset_label(name: str, code: StyleCode) -> str:
    title, by = _title_and_artist(name, code)
    return f"{title} ({by})" if by else title


def preset_caption(name: str, code: StyleCode) -> str:
    title, by = _title_and_artist(name, code)
    return f"{textwrap.shorten(title, _LONGEST_TITLE, placeholder=' …')}\n{by}".strip()


def _title_and_artist(name: str, code: StyleCode) -> tuple[str, str]:
    title = code.metadata.get("title") or code.name or name.replace("_", " ")
    return title, ", ".join(filter(None, (code.metadata.get("artist"), code.metadata.get("year"))))


def shown_name(code: StyleCode) -> str:
    """What a style is called on the pages: its title and artist, or what it is an example of; never the name of a file."""
    about = code.metadata
    title, kind = about.get("title", ""), about.get("movement", "")
    if _FILE_NAME.search(title) or not title:
        return _capital(kind) or code.name
    artist = about.get("artist", "")
    artist = artist.title() if artist.islower() else artist
    by = ", ".join(filter(None, (artist, about.get("year"))))
    return f"{_capital(title)} ({by})" if by else _capital(title)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
