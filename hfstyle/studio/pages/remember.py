"""What a page's components hold, noted in the storage of the browser's tab, and brought back when the page is loaded again.

The storage ends with the tab, and an upload that is noted there with the hour after which it is deleted here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Final

import gradio as gr

from hfstyle.studio.backend.uploads import FromUpload, PicturesUpload, still_here
from hfstyle.studio.pages.parts import ON_CHANGE

__all__ = ["fitting", "noted_values", "remember_in_tab"]

_LONGEST: Final = 30_000  # letters of a note
_LONGEST_TEXT: Final = 4_000  # letters of a text in it

# A page is noted only after its note has been read: what it opens with would replace that.
_NOTE: Final = """(...values) => {
  if (!window.hfstyleTab?.has(NAME)) return;
  const plain = (value) => Array.isArray(value) ? value.map(plain) : value?.path ?? value ?? null;
  try { sessionStorage.setItem("hfstyle-" + NAME, JSON.stringify(values.map(plain))); } catch {}
}"""
_READ: Final = """() => {
  (window.hfstyleTab ??= new Set()).add(NAME);
  try { return sessionStorage.getItem("hfstyle-" + NAME) || ""; } catch { return ""; }
}"""


def remember_in_tab(
    demo: gr.Blocks, name: str, components: Sequence[Any], after: Any = None
) -> None:
    """Let components keep their values when the page is loaded again.

    Args:
        demo: whose loading brings them back.
        name: of the page.
        components: lists, sliders, numbers, choices, texts and uploads.
        after: the event of loading that sets what the page opens with, if there is one.
    """
    noted = gr.Textbox("", visible="hidden", label=f"{name}, noted")

    def brought_back(note: str | None) -> Any:
        values = noted_values(note, len(components))
        found = [fitting(*pair) for pair in zip(components, values, strict=True)]
        return found if len(found) > 1 else found[0]

    read = _READ.replace("NAME", json.dumps(name))
    if after is None:
        demo.load(None, None, noted, js=read, api_visibility="private")
    else:
        after.then(None, None, noted, js=read, api_visibility="private")
    noted.change(brought_back, noted, list(components), **ON_CHANGE)
    gr.on(
        [component.change for component in components],
        None,
        list(components),
        None,
        js=_NOTE.replace("NAME", json.dumps(name)),
        trigger_mode="multiple",
        show_progress="hidden",
        api_visibility="private",
    )


def noted_values(note: str | None, count: int) -> list[Any]:
    """That many values, all None if the note does not hold them."""
    try:
        values = json.loads((note or "")[:_LONGEST])
    except (ValueError, RecursionError):
        values = None
    if isinstance(values, list) and len(values) == count:
        return values
    return [None] * count


def fitting(component: Any, value: Any) -> Any:
    """A noted value, if the component may hold it; else `gr.skip()`, which leaves the component as it is."""
    if isinstance(component, FromUpload):
        return _upload(component, value)
    if isinstance(component, (gr.Dropdown, gr.Radio)):
        known = [choice for _, choice in component.choices]
        if isinstance(component, gr.Dropdown) and component.multiselect:
            fits = isinstance(value, list) and all(one in known for one in value)
            return value[: component.max_choices] if fits else gr.skip()
        return value if value in known else gr.skip()
    if isinstance(component, (gr.Slider, gr.Number)):
        is_number = isinstance(value, (int, float)) and math.isfinite(value)
        least, most = component.minimum, component.maximum
        fits = is_number and (least is None or value >= least) and (most is None or value <= most)
        return value if fits else gr.skip()
    if isinstance(component, gr.Textbox) and isinstance(value, str):
        return value[: component.max_length or _LONGEST_TEXT]
    return gr.skip()


def _upload(component: FromUpload, value: Any) -> Any:
    """The paths of files that are still here."""
    paths = value if isinstance(value, list) else [value]
    most = component.most_pictures if isinstance(component, PicturesUpload) else 1
    kept = (still_here(path, component.most_bytes) for path in paths[:most])
    found = [path for path in kept if path is not None]
    if not found:
        return gr.skip()
    return found if isinstance(component, PicturesUpload) else found[0]
