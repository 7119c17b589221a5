"""The styles of the page Mix: up to four, each a preset or a picture, with a weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from hfstyle import StyleCode
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.refusals import one_line

STYLE_SLOTS: Final = 4


def given_name(text: str | None) -> str:
    """What a visitor calls a style, cut to what is asked for; empty without a name."""
    return one_line(text or "")


def slot_styles(
    studio: Studio, style_size: int, slots: Sequence[Any]
) -> tuple[list[StyleCode], list[float]]:
    """Codes and weights of the page Mix: of each slot preset, picture, weight; without those of weight 0."""
    codes, weights = [], []
    for index in range(STYLE_SLOTS):
        preset, style, weight = slots[3 * index : 3 * index + 3]
        code = studio.style(style, None, preset, style_size)
        if code is not None and weight > 0:
            if not style:
                code = replace(code, name=code.metadata.get("title", code.name))
            codes.append(code)
            weights.append(weight)
    return codes, weights
