"""Styles by words: "soft watercolour of a misty lake" -> the styles whose labels and looks say so.

An index of the presets and of the training art, each with words: movement, artist, techniques that go with them, title, and
words for palette and texture computed from the picture. A query's words are matched to those (other names, word stems,
misspellings, and with a text encoder the nearest in meaning); each style is scored by the words it has, rare words,
movements and colours counting more, and by what its nearest styles have, so that a style is chosen that is typical of the words and
not an outlier with the right label.

Q words of a query · V words of the index · M styles in it · R directions of the style space
"""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor

from hfstyle.styles.code import StyleCode
from hfstyle.styles.lexicon import SAME, STOP, label_words, words_of
from hfstyle.styles.palette import COLOR_WORDS
from hfstyle.styles.space import StyleSpace
from hfstyle.styles.text_encoders import TextEncoder

__all__ = ["WORDS_PREFIX", "StyleMatch", "WordIndex"]

WORDS_PREFIX: Final = "words:"
"""What a style begins with that is a text and not a file."""

_FACETS: Final = {
    "movement": 3.0,
    "artist": 3.0,
    "technique": 3.0,
    "words": 1.5,
    "title": 0.8,
    "name": 0.8,
}
_TOPIC: Final = 2.0  # of words that go with a movement and are not its name
_OF_A_COLOR: Final = 4.0
"""Least rarity of a colour, about that of a word that one style in 50 has: many styles are blue, but whoever says it wants blue."""
_NEIGHBOURS: Final = 8
_LEAST_MEANING: Final = (
    0.4  # cosine from which the nearest word of the index stands for an unknown one
)
_BLENDED: Final = 3
_MOST_WORDS: Final = 50


@dataclass(frozen=True)
class StyleMatch:
    """A style that was found.

    name: of the preset, or title and artist of the training picture.
    score: in [0, 1]; 1 has all the words, and so have its neighbours.
    code: its style.
    matched: for each word of the query that was understood, the word of this style that it was taken for.
    """

    name: str
    score: float
    code: StyleCode
    matched: Mapping[str, str]


class WordIndex:
    """The words of styles, and where the styles lie.

    Args:
        space: its paintings are entries.
        presets: further entries, by name; they come first among equals.
        encoder: compares words by meaning; None compares them by their letters only.
    """

    def __init__(
        self,
        space: StyleSpace,
        presets: Mapping[str, StyleCode],
        encoder: TextEncoder | None = None,
    ) -> None:
        self._space, self._presets, self._encoder = space, list(presets.items()), encoder
        entries = [{**code.metadata, "name": name} for name, code in self._presets]
        entries += [dict(entry) for entry in space.about]
        self._entries = entries
        points = [space.coordinates_of(code) for _, code in self._presets]
        self._points = (
            torch.cat((torch.stack(points), space.coordinates)) if points else space.coordinates
        )
        self._terms = [_terms(entry) for entry in entries]  # word -> weight of its facet
        counts = Counter(term for terms in self._terms for term in terms)
        of_presets = {term for terms in self._terms[: len(points)] for term in terms}
        self.vocabulary = sorted(t for t, count in counts.items() if count > 1 or t in of_presets)
        self._rarity = {
            t: math.log((len(entries) + 1) / (counts[t] + 0.5)) for t in self.vocabulary
        }
        distances = torch.cdist(self._points, self._points)
        k = min(_NEIGHBOURS + 1, len(entries))
        self._near = distances.topk(k, largest=False).indices  # (M, k), each with itself
        self._meaningful: list[str] = []  # the vocabulary without names, which mean nothing
        self._meanings: Tensor | None = None

    def find(self, text: str, k: int = 5) -> list[StyleMatch]:
        """The k best styles for a text, best first.

        Raises ValueError if k is below 1, or no word of the text is understood.
        """
        if k < 1:
            raise ValueError(f"k is {k}; give at least 1")
        scores, understood = self._scores(text)
        order = scores.topk(min(k, len(scores))).indices.tolist()
        return [self._match(index, float(scores[index]), understood) for index in order]

    def blend(self, text: str) -> StyleCode:
        """The style for a text: the mean of the best match and of those near it that match about as well.

        Raises ValueError as `find`.
        """
        scores, understood = self._scores(text)
        best = int(scores.argmax())
        near = [i for i in self._near[best].tolist() if scores[i] >= 0.9 * scores[best]][:_BLENDED]
        matches = [
            self._match(i, float(scores[i]), understood) for i in dict.fromkeys([best, *near])
        ]
        code = StyleCode.mix([match.code for match in matches], name=f"{WORDS_PREFIX}{text}")
        return StyleCode(
            code.vector,
            code.tokens,
            code.encoder,
            code.name,
            {
                **code.metadata,
                "words": text,
                "matched": ", ".join(
                    word if word == term else f"{word} = {term}"
                    for word, (term, _) in understood.items()
                ),
                "found": "; ".join(match.name for match in matches),
            },
        )

    def understand(self, text: str) -> dict[str, tuple[str, float]]:
        """For each word of a text that has a meaning here: the word of the index, and how surely it is meant."""
        words = words_of(text)[:_MOST_WORDS]
        found: dict[str, tuple[str, float]] = {}
        known = set(self.vocabulary)
        skip = False
        for word, after in zip(words, [*words[1:], ""], strict=False):
            if skip:
                skip = False
                continue
            pair = f"{word}-{after}"
            if after and pair in known:
                found[f"{word} {after}"] = (pair, 1.0)
                skip = True
            elif match := self._letters(word, known) or self._meaning(word):
                found[word] = match
        return found

    def _letters(self, word: str, known: set[str]) -> tuple[str, float] | None:
        candidates = [word, SAME.get(word, word)]
        for ending in ("s", "es", "ist", "ists", "ism", "ic", "ing", "ed", "y"):
            if word.endswith(ending) and len(word) - len(ending) >= 3:
                stem = word.removesuffix(ending)
                candidates += [stem, SAME.get(stem, stem), f"{stem}s", f"{stem}ism", f"{stem}y"]
        for candidate in [*candidates[:2], *dict.fromkeys(candidates[2:])]:
            if candidate in known:
                return candidate, 1.0
        if len(word) >= 5:
            close = difflib.get_close_matches(word, self.vocabulary, n=1, cutoff=0.8)
            if close:
                return close[0], 0.8
        return None

    def _meaning(self, word: str) -> tuple[str, float] | None:
        if self._encoder is None:
            return None
        if self._meanings is None and not self._meaningful:
            artists = {entry.get("artist", "") for entry in self._entries}
            names = {word for artist in artists for word in _terms({"artist": artist})}
            self._meaningful = [t for t in self.vocabulary if t not in names and len(t) > 2]
            if self._meaningful:
                texts = [term.replace("-", " ") for term in self._meaningful]
                self._meanings = _unit(self._encoder(texts))
        if self._meanings is None:
            return None
        cosines = self._meanings @ _unit(self._encoder([word]))[0]  # (V,)
        best = int(cosines.argmax())
        likeness = float(cosines[best])
        return (self._meaningful[best], likeness) if likeness >= _LEAST_MEANING else None

    def _scores(self, text: str) -> tuple[Tensor, dict[str, tuple[str, float]]]:
        """(M,) in [0, 1], and what was understood."""
        understood = self.understand(text)
        if not understood:
            some = sorted(
                (w for w in self.vocabulary if w.isascii()), key=lambda w: self._rarity[w]
            )[:12]
            raise ValueError(
                f"none of the words of {text!r} is known; try movements, artists, techniques, colours or "
                f"textures, as {', '.join(some)}"
            )
        own = torch.zeros(len(self._entries), dtype=torch.float32)
        most = 0.0
        for term, sureness in understood.values():
            weights = [terms.get(term, 0.0) for terms in self._terms]
            rarity = max(self._rarity[term], _OF_A_COLOR if term in COLOR_WORDS else 0.0)
            factor = sureness * rarity
            own += factor * torch.tensor(weights, dtype=torch.float32)
            most += factor * max(weights)
        own /= most or 1.0
        around = own[self._near].mean(1)  # (M,)
        score = 0.5 * own + 0.5 * around
        score[: len(self._presets)] += 1e-4
        return score.clamp(0, 1), understood

    def _match(
        self, index: int, score: float, understood: Mapping[str, tuple[str, float]]
    ) -> StyleMatch:
        terms = self._terms[index]
        matched = {word: term for word, (term, _) in understood.items() if term in terms}
        if index < len(self._presets):
            name, code = self._presets[index]
            return StyleMatch(name, score, code, matched)
        entry = self._entries[index]
        name = _title(entry)
        about = {k: v for k, v in entry.items() if k in ("title", "artist", "movement", "licence")}
        code = self._space.code(self._points[index], name, **about)
        return StyleMatch(name, score, code, matched)


def _terms(entry: Mapping[str, str]) -> dict[str, float]:
    """The words of an entry, each with the weight of the strongest facet that has it."""
    terms: dict[str, float] = {}
    for facet, weight in _FACETS.items():
        text = entry.get(facet, "")
        words, about = label_words(text) if facet == "movement" else (words_of(text), [])
        if facet == "artist":
            words += ["-".join(pair) for pair in pairwise(words)]
        for word, counts in [*((w, weight) for w in words), *((w, _TOPIC) for w in about)]:
            for form in {word, SAME.get(word, word)}:
                if form not in STOP:
                    terms[form] = max(terms.get(form, 0.0), counts)
    return terms


def _title(entry: Mapping[str, str]) -> str:
    title = entry.get("title") or entry.get("movement") or "untitled"
    return f"{title} ({entry['artist']})" if entry.get("artist") else title


def _unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=1, keepdim=True).clamp(min=1e-9)
