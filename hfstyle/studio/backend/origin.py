"""How a style was made from what every visitor has: a line of text, for the style's file and for a link, from which it is made again."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import torch

from hfstyle import StyleCode, StyleTransferPipeline
from hfstyle.limits import OPTIONS
from hfstyle.studio.backend.refusals import one_line

__all__ = [
    "carried_origin",
    "is_of_ones_own",
    "made_again",
    "mixture_line",
    "origin_of",
    "own_line",
    "parts_of",
    "seed_line",
    "with_origin",
    "words_line",
]

_OF_ONES_OWN: Final = "own"

_KEY: Final = "origin"  # of a style's metadata
_MOST_PARTS: Final = 8  # of a mixture; one of mixtures has more than its page has places
_MOST_FOUND: Final = 6  # by words
_LONGEST: Final = 200  # letters, as many as of other metadata


def mixture_line(parts: Sequence[tuple[str, float]]) -> str:
    """Of a mixture of presets, each with its weight; one that is there twice is told once."""
    sums: dict[str, float] = {}
    for name, weight in parts:
        sums[name] = sums.get(name, 0.0) + weight
    most = max(1.0, *sums.values())
    parts = [(name, weight / most) for name, weight in sums.items()]
    return "mix:" + ",".join(f"{name}*{weight:g}" for name, weight in parts)


def seed_line(seed: int, variety: float) -> str:
    """Of a style by chance."""
    return f"seed:{seed}*{variety:g}"


def words_line(text: str, index: int) -> str:
    """Of a style that words describe, by its place among those that are found."""
    return f"words:{index}*{text}"


def with_origin(code: StyleCode, line: str) -> StyleCode:
    """The style, which says how it was made; as it is where that is not known, or not one line of bounded length."""
    if not line or one_line(line, _LONGEST) != line:
        return code
    return replace(code, metadata={**code.metadata, _KEY: line})


def origin_of(code: StyleCode) -> str:
    """The line of a style, empty if it has none."""
    return code.metadata.get(_KEY, "")


def parts_of(line: str) -> list[tuple[str, float]]:
    """Presets and their shares, of which the sum is 1, of the line of a mixture; none of another line."""
    kind, _, rest = line.partition(":")
    try:
        parts = [_part(text) for text in rest.split(",")] if kind == "mix" else []
    except ValueError:
        return []
    whole = sum(weight for _, weight in parts)
    return [(name, weight / whole) for name, weight in parts] if whole > 0 else []


def own_line(path: str) -> str:
    """In place of a line, in links: of a style that nobody else can make again, by what tells this upload from others."""
    return f"{_OF_ONES_OWN}:{hashlib.blake2b(path.encode(), digest_size=4).hexdigest()}"


def is_of_ones_own(line: str | None) -> bool:
    """Whether it is one of `own_line`."""
    return (line or "").partition(":")[0] == _OF_ONES_OWN


def carried_origin(pipe: StyleTransferPipeline, code: StyleCode, path: str) -> str:
    """The line of a style file from which it is indeed made again, else `own_line`: a file may say what it likes."""
    line = origin_of(code)
    again = made_again(pipe, line)
    same = again is not None and all(
        ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3)
        for ours, theirs in ((code.vector, again.vector), (code.tokens, again.tokens))
    )
    return line if same else own_line(path)


def made_again(pipe: StyleTransferPipeline, line: str | None) -> StyleCode | None:
    """The style of a line; None if there is none, or it is not possible."""
    kind, _, rest = (line or "")[:_LONGEST].partition(":")
    try:
        if kind == "words":
            place, _, text = rest.partition("*")
            if not text.strip() or not 0 <= int(place) < _MOST_FOUND:
                return None
            found = pipe.find_styles(text, int(place) + 1)[-1].code
            return with_origin(found, words_line(text, int(place)))
        parts = [_part(text) for text in rest.split(",")]
        if kind == "seed" and len(parts) == 1:
            (seed, variety) = int(parts[0][0]), parts[0][1]
            least, most = OPTIONS["temperature"].offered
            if not (0 <= seed < 2**31 - 1 and least <= variety <= most):
                return None
            return with_origin(pipe.sample_style(seed, variety), seed_line(seed, variety))
        if kind != "mix" or len(parts) > _MOST_PARTS:
            return None
        if any(name not in pipe.presets or not 0 < weight <= 1 for name, weight in parts):
            return None
    except (ValueError, OverflowError):
        return None
    return mixed(pipe, parts)


def mixed(pipe: StyleTransferPipeline, parts: Sequence[tuple[str, float]]) -> StyleCode:
    """A mixture of presets under their titles, as of the page Mix."""
    codes = [pipe.preset(name) for name, _ in parts]
    named = [replace(code, name=code.metadata.get("title", code.name)) for code in codes]
    mixture = StyleCode.mix(named, [weight for _, weight in parts])
    return with_origin(mixture, mixture_line(parts))


def _part(text: str) -> tuple[str, float]:
    name, _, weight = text.partition("*")
    number = float(weight)
    if not math.isfinite(number):
        raise ValueError
    return name, number
