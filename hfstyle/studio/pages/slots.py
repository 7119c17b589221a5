"""The styles of the pages Mix and Animate: up to four, each a preset, that of Stylize, a picture or a file, with a weight."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias, TypeVar

import gradio as gr

from hfstyle import StyleCode
from hfstyle.studio.backend.endpoints import spread
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.origin import mixture_line, origin_of, parts_of
from hfstyle.studio.backend.refusals import one_line
from hfstyle.studio.backend.style_names import shown_name
from hfstyle.studio.backend.uploads import PhotoUpload, StyleUpload
from hfstyle.studio.pages.chosen import AS_ON_STYLIZE, STYLIZE_FIRST, ChosenStyle, OnStylize
from hfstyle.studio.pages.parts import preset_list

_Handler = TypeVar("_Handler", bound=Callable[..., Any])

ORDINALS: Final = ("first", "second", "third", "fourth")
STYLE_SLOTS: Final = len(ORDINALS)

Slots: TypeAlias = tuple[Any, ...]
"""Preset, picture and weight of the first style, the same of the second one, and so on."""
Files: TypeAlias = tuple[str | None, ...]
"""Style file of each style."""


def with_slots(weights: Sequence[float], about: str) -> Callable[[_Handler], _Handler]:
    """A handler's `slots` and `files` are parameters for each style: its preset, picture and weight; its style file.

    weights: of each, when nothing is given.
    about: of a weight, with {ordinal}.
    """
    defaults: dict[str, Any] = {}
    told: dict[str, str] = {}
    files: dict[str, str] = {}
    for number, (ordinal, weight) in enumerate(zip(ORDINALS, weights, strict=True), start=1):
        defaults |= {f"preset_{number}": None, f"style_{number}": None, f"weight_{number}": weight}
        told |= {
            f"preset_{number}": f"name of the {ordinal} style; used if there is no picture and no file for it",
            f"style_{number}": f"picture of the {ordinal} style",
            f"weight_{number}": about.format(ordinal=ordinal),
        }
        files[f"file_{number}"] = (
            f"style file of the {ordinal} style; used if there is no picture for it"
        )
    slots = spread("slots", defaults, told, lambda *values: values)
    of_files = spread("files", dict.fromkeys(files), files, lambda *values: values)
    return lambda handler: slots(of_files(handler))


def given_name(text: str | None) -> str:
    """What a visitor calls a style, cut to what is asked for; empty without a name."""
    return one_line(text or "")


@dataclass(frozen=True)
class _Slot:
    preset: str | None
    style: str | None
    weight: float
    file: str | None = None

    def code(self, studio: Studio, style_size: int, on_stylize: OnStylize) -> StyleCode | None:
        """The style, under the name by which mixtures name it."""
        if self.preset == AS_ON_STYLIZE and not self.style and not self.file:
            code = on_stylize.code(studio)
            if on_stylize.style:
                return code
            own = on_stylize.style_file is not None
        else:
            found = studio.style(self.style, self.file, self.preset, style_size)
            if found is None or self.style:
                return found
            code, own = found, self.file is not None
        title = code.metadata.get("title", code.name)
        return replace(code, name=shown_name(code) if own else title)

    def line(self, studio: Studio, on_stylize: OnStylize) -> list[tuple[str, float]]:
        """The presets of which the style is made, with their weights; none where a picture is among them."""
        preset, style, file = self.preset, self.style, self.file
        if preset == AS_ON_STYLIZE and not style and not file:
            preset, style, file = on_stylize.preset, on_stylize.style, on_stylize.style_file
        if style:
            return []
        if not file:
            return [(preset, self.weight)] if preset else []
        code = studio.style(None, file, None, 0)
        parts = parts_of(origin_of(code)) if code else []
        return [(name, self.weight * share) for name, share in parts]


def _used(slots: Slots, files: Files) -> list[_Slot]:
    """Without those of weight 0, and of no style."""
    found = []
    for index in range(STYLE_SLOTS):
        preset, style, weight = slots[3 * index : 3 * index + 3]
        file = files[index] if files else None
        if weight > 0 and (preset or style or file):
            found.append(_Slot(preset, style, weight, file))
    return found


def slot_styles(
    studio: Studio,
    style_size: int,
    slots: Slots,
    files: Files = (),
    on_stylize: OnStylize | None = None,
) -> tuple[list[StyleCode], list[float]]:
    """Codes and weights; without those of weight 0."""
    codes, weights = [], []
    for slot in _used(slots, files):
        code = slot.code(studio, style_size, on_stylize or OnStylize())
        if code is not None:
            codes.append(code)
            weights.append(slot.weight)
    if len(codes) > 1:  # a mixture of a mixture
        codes = [replace(c, name=f"({c.name})") if " + " in c.name else c for c in codes]
    return codes, weights


def slots_line(
    studio: Studio, slots: Slots, files: Files = (), on_stylize: OnStylize | None = None
) -> str:
    """How `slot_styles` make a mixture again; empty where a picture is among them."""
    parts: list[tuple[str, float]] = []
    for slot in _used(slots, files):
        made_of = slot.line(studio, on_stylize or OnStylize())
        if not made_of:
            return ""
        parts += made_of
    return mixture_line(parts) if parts else ""


def style_slot(studio: Studio, number: str) -> tuple[gr.Dropdown, PhotoUpload, StyleUpload]:
    """A preset or the style of Stylize; or the visitor's own picture or style file in its place."""
    preset = preset_list(studio, f"Style {number}", first=[STYLIZE_FIRST])
    with gr.Accordion("or a picture or style file of your own", open=not studio.labels):
        style = PhotoUpload(label=f"Own picture {number}", height=180, format="png")
        file = StyleUpload(label=f"Style file {number}", file_types=[".safetensors"], height=100)
    return preset, style, file


def as_it_was(
    slots: Slots, files: Files, preset: str | None, style: str | None, style_file: str | None
) -> tuple[Slots, Files]:
    """What stands for the style of Stylize, as that style itself, which is to be another one: given last."""
    kept, kept_files = list(slots), list(files)
    for index in range(STYLE_SLOTS):
        place = slots[3 * index : 3 * index + 2]
        if place == (AS_ON_STYLIZE, None) and not files[index]:
            own = style or style_file
            kept[3 * index] = None if own else preset
            kept[3 * index + 1] = style
            kept_files[index] = None if style else style_file
    return tuple(kept), tuple(kept_files)


def begin_with_two(
    studio: Studio, demo: gr.Blocks, slots: Sequence[Any], chosen: ChosenStyle
) -> Any:
    """When the page is opened, the style of Stylize is chosen, and another one: the event that does it.

    slots: the components, as of `Slots`.
    chosen: the style of Stylize; when that becomes the second one here, another takes its place.
    """
    if len(studio.labels) < 2:
        return None
    two = json.dumps(studio.first_styles(2))
    chosen.preset.change(
        None,
        [chosen.preset, slots[0], slots[3]],
        slots[3],
        js=_ANOTHER.replace("STYLIZE", json.dumps(AS_ON_STYLIZE)).replace("TWO", two),
        trigger_mode="multiple",
        show_progress="hidden",
        api_visibility="private",
    )
    return demo.load(
        lambda: (AS_ON_STYLIZE, studio.first_styles(2)[1]),
        None,
        [slots[0], slots[3]],
        api_visibility="private",
        queue=False,
    )


_ANOTHER: Final = """(preset, first, second) => {
  const twice = first === STYLIZE && second === preset;
  return twice && TWO.includes(second) ? TWO.find((name) => name !== second) : second;
}"""
"""Of a style with itself there is no mixture."""
