"""What the components of the page of new styles call: styles by chance and by words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import gradio as gr

from hfstyle import StyleCode
from hfstyle.studio.jobs import PROGRESS, job
from hfstyle.studio.painting import Studio
from hfstyle.studio.refusals import needed, refusal, whole
from hfstyle.studio.settings import DEFAULT_RESOLUTION, Settings

SHOWN: Final = 6
"""Styles that are offered at a time."""
MAX_SEED: Final = 2**31 - 1
LONGEST_QUERY: Final = 200
"""Letters of a search."""

_OFFER_RESOLUTION: Final = 256  # of the pictures to choose from


@dataclass(frozen=True)
class Found:
    """How a style was found, from which it can be found again: a visitor's page keeps no more."""

    text: str = ""
    index: int = 0
    seed: int = 0
    variety: float = 1.0


class DiscoverHandlers:
    """The docstrings of the public ones are the API's documentation."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def offer_random(
        self, content: str | None, seed: float, variety: float
    ) -> Iterator[tuple[Any, Any, Any]]:
        """Pictures in styles by chance, as they come; what they are; the first as the chosen one."""
        first = _seed(seed)
        seeds = [(first + step) % MAX_SEED for step in range(SHOWN)]
        yield from self._offer(
            content, [(Found(seed=one, variety=float(variety)), f"seed {one}") for one in seeds]
        )

    def offer_words(self, content: str | None, text: str) -> Iterator[tuple[Any, Any, Any]]:
        """The same, in styles that words describe."""
        text = _words(text)
        matches = self.studio.pipe.find_styles(text, SHOWN)
        offers = []
        for index, match in enumerate(matches):
            words = ", ".join(dict.fromkeys(match.matched.values()))
            offers.append((Found(text, index), f"{match.name}: {words}"))
        yield from self._offer(content, offers)

    def _offer(
        self, content: str | None, offers: list[tuple[Found, str]]
    ) -> Iterator[tuple[Any, Any, Any]]:
        shown = content or self.studio.first_photo
        if shown is None:
            raise refusal("Choose a photo first.")
        pictures: list[tuple[str, str]] = []
        for found, label in offers:
            settings = Settings(resolution=_OFFER_RESOLUTION)
            code = self._code(found)
            paint = partial(self.studio.painted_preview, shown, code, found, settings)
            path = yield from job(paint, (gr.skip(), gr.skip(), gr.skip()))
            pictures.append((path, label))
            yield list(pictures), gr.skip(), gr.skip()
        yield pictures, [found for found, _ in offers], offers[0][0]

    def render(
        self,
        content: str | None,
        found: Found | None,
        strength: float,
        color: float,
        resolution: float,
    ) -> tuple[Any, str]:
        """Before and after of the chosen style, status."""
        shown = content or self.studio.first_photo
        if shown is None or found is None:
            return gr.skip(), "Find a style first."
        settings = Settings.of(strength, color, Settings.style_size, resolution)
        code = self._code(found)
        original = self.studio.original_preview(shown, settings.resolution)
        return (original, self.studio.painted_preview(shown, code, found, settings)), code.name

    def keep(
        self,
        content: str | None,
        found: Found | None,
        strength: float,
        color: float,
        resolution: float,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Any]:
        """Full-size picture and style file of the chosen style."""
        shown = content or self.studio.first_photo
        if shown is None or found is None:
            raise refusal("Find a style first.")
        settings = Settings.of(strength, color, Settings.style_size, resolution)

        def work() -> tuple[str, str]:
            code = self._code(found)
            return self.studio.full_size(shown, code, settings), self.studio.save_style(code)

        yield (yield from job(work, (gr.skip(), gr.skip()), progress))

    def sample(
        self,
        content: str | None,
        seed: float = 0,
        variety: float = 1.0,
        strength: float = 1.0,
        color: float = 1.0,
        resolution: float = DEFAULT_RESOLUTION,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Any]:
        """Paint a photo in a style by chance, drawn from the styles of the training art, at the photo's full size.

        Args:
            content: the photo.
            seed: a whole number from 0; the same one gives the same style.
            variety: from 0, the mean of all styles, over 1, as various as the training art, to 2.
            strength: from 0, the photo itself, to 1, the full style.
            color: from 0, the photo's own colours, to 1, the colours of the style.
            resolution: short side in pixels at which the photo is painted; the result has the photo's own size.

        Returns:
            The painted photo, a PNG file; and the style file, which /stylize takes.
        """
        found = Found(seed=_seed(seed), variety=float(variety))
        photo = needed(content, "photo")
        yield from self.keep(photo, found, strength, color, resolution, progress)

    def find(self, text: str, count: float = 5) -> tuple[list[dict[str, Any]], list[str]]:
        """Find styles by words, among the presets and the training art.

        Args:
            text: such as "soft watercolour of a misty lake": movements, artists, techniques, colours, textures.
            count: how many, from 1 to 6.

        Returns:
            Name, score from 0 to 1 and the words that matched, best first; and their style files, which /stylize takes.
        """
        count = whole(count, "number of styles")
        if not 1 <= count <= SHOWN:
            raise refusal(f"{count} styles; give a number from 1 to {SHOWN}.")
        matches = self.studio.pipe.find_styles(_words(text), count)
        told = [
            {"name": match.name, "score": round(match.score, 4), "matched": dict(match.matched)}
            for match in matches
        ]
        return told, [self.studio.save_style(match.code) for match in matches]

    def _code(self, found: Found) -> StyleCode:
        pipe = self.studio.pipe
        if found.text:
            return pipe.find_styles(found.text, SHOWN)[found.index].code
        return pipe.sample_style(found.seed, found.variety)


def _seed(value: float | None) -> int:
    seed = whole(value or 0, "seed")
    if not 0 <= seed <= MAX_SEED:
        raise refusal(f"The seed is {seed}; give a whole number from 0 to {MAX_SEED}.")
    return seed


def _words(text: str | None) -> str:
    text = (text or "").strip()
    if not text:
        raise refusal("Type a few words, such as: blue woodcut waves.")
    return text[:LONGEST_QUERY]
