"""What styles are called on the pages."""

from __future__ import annotations

import re
from typing import Final

from hfstyle import StyleCode

__all__ = ["caption_of", "facts_of", "shown_name"]

_LONGEST: Final = (
    56  # letters of a title or a name; those of what was learned from end at 60, within a word
)
_LONGEST_CAPTION: Final = 32  # letters of a title below a thumbnail
# Of the art that was learned from, some titles are names of files, and others what is left of a web address.
_FILE_NAME: Final = re.compile(r"_|^\S*\d{5}")
_WITH_YEAR: Final = re.compile(r"(.+?) ([12]\d{3})(?: \d{1,2})?")
_SMALL: Final = re.compile(r"(?<= )(?:Da|De|Del|Della|Den|Der|Di|La|Le|Of|The|Van|Von)(?= )")


def shown_name(code: StyleCode, preset: str = "") -> str:
    """A style's title, artist and year, or what it is an example of; never the name of a file.

    preset: its name among the presets, where it is one of them, for a style without a title.
    """
    title, by = _title_and_artist(code, preset)
    return f"{title} ({by})" if by else title


def caption_of(code: StyleCode, preset: str = "") -> str:
    """The same for below a thumbnail: title, and artist and year in a line of their own."""
    title, by = _title_and_artist(code, preset)
    return f"{_cut(title, _LONGEST_CAPTION)}\n{by}".strip()


def facts_of(code: StyleCode, preset: str = "") -> dict[str, str]:
    """The same for programs: title, and artist and year where they are known."""
    facts = zip(("title", "artist", "year"), _facts(code, preset), strict=True)
    return {name: told for name, told in facts if told}


def _title_and_artist(code: StyleCode, preset: str) -> tuple[str, str]:
    title, artist, year = _facts(code, preset)
    return title, ", ".join(filter(None, (artist, year)))


def _facts(code: StyleCode, preset: str) -> tuple[str, str, str]:
    """Title, artist and year as they are shown; empty where they are not known."""
    about = code.metadata
    title, year = about.get("title", ""), about.get("year", "")
    artist = about.get("artist", "").partition(" (")[0]  # nationality and dates
    if not title or _FILE_NAME.search(title):
        title = about.get("movement", "")
        title = title[:1].upper() + title[1:]
        return _cut(title or preset.replace("_", " ") or code.name), "", ""
    if title.islower():
        title = title.replace(" s ", "’s ")
        if not year and (dated := _WITH_YEAR.fullmatch(title)):
            title, year = dated[1], dated[2]
        artist = _SMALL.sub(lambda word: word[0].lower(), artist.title())
    return _cut(title[:1].upper() + title[1:]), _cut(artist), year


def _cut(text: str, longest: int = _LONGEST) -> str:
    """Text of at most so many letters, cut between words if it has any."""
    text = text.strip(" ;,")
    if len(text) <= longest:
        return text
    return f"{text[: longest - 1].rpartition(' ')[0] or text[: longest - 2]} …"
