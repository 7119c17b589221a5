"""The styles of the pages Mix and Animate: up to four, each a preset or a picture, with a weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias, TypeVar

import gradio as gr

from hfstyle import StyleCode
from hfstyle.studio.backend.endpoints import spread
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.origin import mixture_line
from hfstyle.studio.backend.refusals import one_line

_Handler = TypeVar("_Handler", bound=Callable[..., Any])

ORDINALS: Final = ("first", "second", "third", "fourth")
STYLE_SLOTS: Final = len(ORDINALS)

Slots: TypeAlias = tuple[Any, ...]
"""Preset, picture and weight of the first style, the same of the second one, and so on."""


def with_slots(weights: Sequence[float], about: str) -> Callable[[_Handler], _Handler]:
    """A handler's `slots` are parameters for each style: its preset, picture and weight.

    weights: of each, when nothing is given.
    about: of a weight, with {ordinal}.
    """
    defaults: dict[str, Any] = {}
    told: dict[str, str] = {}
    for number, (ordinal, weight) in enumerate(zip(ORDINALS, weights, strict=True), start=1):
        defaults |= {f"preset_{number}": None, f"style_{number}": None, f"weight_{number}": weight}
        told |= {
            f"preset_{number}": f"name of the {ordinal} style; used if there is no picture for it",
            f"style_{number}": f"picture of the {ordinal} style",
            f"weight_{number}": about.format(ordinal=ordinal),
        }
    return spread("slots", defaults, told, lambda *values: values)


def given_name(text: str | None) -> str:
    """What a visitor calls a style, cut to what is asked for; empty without a name."""
    return one_line(text or "")


def slot_styles(
    studio: Studio, style_size: int, slots: Slots
) -> tuple[list[StyleCode], list[float]]:
    """Codes and weights; without those of weight 0."""
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


def slots_line(slots: Slots) -> str:
    """How `slot_styles` make a mixture again; empty where a picture is among them."""
    used = [slots[3 * index : 3 * index + 3] for index in range(STYLE_SLOTS)]
    used = [slot for slot in used if slot[2] > 0 and (slot[0] or slot[1])]
    if any(style for _, style, _ in used):
        return ""
    return mixture_line([(preset, weight) for preset, _, weight in used])


def begin_with_two(studio: Studio, demo: gr.Blocks, slots: Sequence[Any]) -> Any:
    """When the page is opened, the first two styles are chosen, if there are as many: the event that does it.

    slots: the components, as of `Slots`.
    """
    if len(studio.labels) < 2:
        return None
    return demo.load(
        lambda: tuple(studio.first_styles(2)),
        None,
        [slots[0], slots[3]],
        api_visibility="private",
        queue=False,
    )
