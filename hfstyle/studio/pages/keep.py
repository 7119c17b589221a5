"""What a visitor takes along from the page Stylize: its address, the lines that make the same picture, the last pictures."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qs

import gradio as gr

from hfstyle.limits import OPTIONS
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.memory import Memory
from hfstyle.studio.backend.origin import is_of_ones_own, made_again, own_line
from hfstyle.studio.backend.photos import painting_side, size_of
from hfstyle.studio.backend.recipe import python_lines, shell_line
from hfstyle.studio.backend.refusals import as_text, display_name
from hfstyle.studio.backend.settings import Settings
from hfstyle.studio.backend.style_names import shown_name
from hfstyle.studio.backend.uploads import MAX_STYLE_FILE_BYTES, MAX_UPLOAD_BYTES, still_here
from hfstyle.studio.pages.chosen import ChosenStyle
from hfstyle.studio.pages.parts import NOTHING_MARKED, ON_CHANGE, QUIET, results_gallery
from hfstyle.studio.pages.remember import noted_values
from hfstyle.studio.pages.shared import FIRST, Shared

__all__ = ["keep_part"]

_LAST: Final = 12  # pictures that a visitor can go back to

_WRITE_ADDRESS: Final = """(preset, origin, strength, color, brush, detail, faces, outlines) => {
  const words = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries({preset, origin, strength, color, brush, detail, faces, outlines}))
    value === null || value === undefined || value === "" ? words.delete(name) : words.set(name, value);
  history.replaceState(history.state, "", "?" + words + location.hash);
  sessionStorage.setItem("hfstyle-address", "?" + words);
}"""
# In the storage of the browser's tab, which ends with it: a link has no pictures.
_NOTE_UPLOADS: Final = """(...files) => {
  sessionStorage.setItem("hfstyle-uploads", JSON.stringify(files.map((file) => file?.path || null)));
}"""
# An address without settings, opened in a tab that had some, brings back those as well as the uploads.
_READ_ADDRESS: Final = """() => {
  const given = new URLSearchParams(location.search);
  const named = ["preset", "origin", "strength", "color", "brush", "detail", "faces", "outlines"].some((name) => given.has(name));
  return [named ? location.search : sessionStorage.getItem("hfstyle-address") || ""];
}"""
_READ_UPLOADS: Final = """() => {
  const noted = sessionStorage.getItem("hfstyle-uploads") || "";
  return noted.includes('"') ? noted : "";  // a path is in quotes
}"""
_COPY_ADDRESS: Final = """async (...values) => {
  (WRITE)(...values);  // a painting that is still under way would write it later
  const button = document.querySelector("#copy-link");
  try { await navigator.clipboard.writeText(location.href); button.textContent = "Copied"; }
  catch { prompt("Copy this link:", location.href); }
  setTimeout(() => { button.textContent = "Copy link"; }, 2000);
  return values;
}""".replace("WRITE", _WRITE_ADDRESS)
_NO_STYLE: Final = (
    "The link carries your settings but no pictures, and so not this style: whoever opens it sees {gets}, and is told so. To "
    "share the style too, save its style file on the page where you made it, and send that."
)
_ANOTHER_STYLE: Final = "The link that you opened does not carry its style{name}, which {why}. You see {gets}, with the settings of the link."
_OWN: Final = "was made from pictures, or is a mixture that no link can hold"
_ABSENT: Final = "is not in this gallery"
_READING_SECONDS: Final = 30
"""For which a message of two sentences stays."""

_SLIDERS: Final = {
    "strength": "strength",
    "color": "color",
    "brush": "style_size",
    "detail": "resolution",
    "faces": "faces",
    "outlines": "outlines",
}
"""What an address sets besides the preset, as sliders do: the option of each of its words."""


def restored(studio: Studio, address: str | None) -> list[Any]:
    """Preset, style file, strength, colour, brush, detail, faces and outlines that the query of an address sets; what it lacks, or what is
    not possible, is that with which the page opens.
    """
    words = _words(address)
    first = studio.first_styles(1)
    preset = words.get("preset")
    made = None if preset in studio.labels else made_again(studio.pipe, words.get("origin"))
    values: list[Any] = [preset if preset in studio.labels else (first[0] if first else None)]
    values = [*values, None] if made is None else [None, studio.save_style(made)]
    for name, option in _SLIDERS.items():
        least, most = OPTIONS[option].offered
        begin = float(FIRST.get(name, OPTIONS[option].default))
        try:
            value = float(words.get(name, begin))
        except ValueError:
            value = begin
        values.append(value if math.isfinite(value) and least <= value <= most else begin)
    return values


def restored_uploads(noted: str | None) -> list[str | None]:
    """Photo, style picture and style file that the tab had before it was loaded again, as far as they are still here."""
    limits = MAX_UPLOAD_BYTES, MAX_UPLOAD_BYTES, MAX_STYLE_FILE_BYTES
    paths = noted_values((noted or "")[:4000], len(limits))
    return [still_here(path, most) for path, most in zip(paths, limits, strict=True)]


def told_of_link(studio: Studio, address: str | None, noted: str | None) -> str:
    """What to say to whoever opens a link whose style is not had; empty if it is, or if there is none in the link.

    noted: the uploads of the browser's tab, in which it may be the visitor's own style.
    """
    words = _words(address)
    preset, origin = words.get("preset"), words.get("origin")
    if preset in studio.labels or not (preset or origin):
        return ""
    if made_again(studio.pipe, origin) is not None or any(own_uploads(address, noted)[1:]):
        return ""
    name = f" “{display_name(preset)}”" if preset else ""
    why = _OWN if is_of_ones_own(origin) else _ABSENT
    return as_text(_ANOTHER_STYLE.format(name=name, why=why, gets=_first_style(studio)))


def own_uploads(address: str | None, noted: str | None) -> list[str | None]:
    """The same as `restored_uploads`, but without a style that is not the one of the address, where that names one."""
    photo, *styles = restored_uploads(noted)
    words = _words(address)
    if "preset" in words or "origin" in words:
        line = words.get("origin")
        styles = [own if own and own_line(own) == line else None for own in styles]
    return [photo, *styles]


def _first_style(studio: Studio) -> str:
    """What is shown in place of a style that a link does not carry."""
    first = studio.first_styles(1)
    return f"“{studio.labels[first[0]]}” instead" if first else "no style"


def _words(address: str | None) -> dict[str, str]:
    """Of the query of an address."""
    words = parse_qs((address or "")[:2000].lstrip("?"))
    return {name: values[-1] for name, values in words.items()}


class _Photos:
    """Which photos are the same, wherever they lie: an example is copied when it is chosen."""

    def __init__(self) -> None:
        self._keys = Memory(1000)

    def key(self, path: str) -> bytes:
        known: bytes | None = self._keys.get(path)
        if known is None:
            with open(path, "rb") as file:
                known = hashlib.file_digest(file, "blake2b").digest()
            self._keys.put(path, known, 1)
        return known


def keep_part(
    studio: Studio,
    shown: Any,
    inputs: Sequence[Any],
    shared: Shared,
    chosen: ChosenStyle,
    demo: gr.Blocks,
) -> None:
    """Build it.

    Args:
        studio: what paints.
        shown: the event that has painted.
        inputs: photo, preset, style picture, style file, strength, colour, brush, detail, faces, outlines.
        shared: photo and settings.
        chosen: the style.
        demo: whose loading restores what its address says.
    """
    with gr.Accordion("The same picture in Python and in a shell", open=False):
        gr.Markdown("With `pip install hfstyle`, in the folder of your files.")
        python, shell = _lines("Python"), _lines("Shell")
    with gr.Accordion("The last pictures of this visit", open=False):
        gr.Markdown("Choose one to go back to its photo, style and settings.")
        gallery = results_gallery(
            "The last pictures", 4, allow_preview=False, buttons=[], fit_columns=False
        )
    history = gr.State([])
    same_photo = _Photos()

    def lines(
        content: str | None,
        preset: str | None,
        style: str | None,
        style_file: str | None,
        *rest: float,
    ) -> tuple[str, str]:
        photo, named = content or studio.first_photo, style or style_file or preset
        size = size_of(photo) if photo else None
        if photo is None or named is None or size is None:
            return "", ""
        at = Settings.of(*rest)
        side = painting_side((size[1], size[0]), at.resolution)
        told = photo, named, at, side, studio.model_name
        return python_lines(*told), shell_line(*told)

    def remember(entries: list[dict[str, Any]], *values: Any) -> tuple[Any, Any]:
        """One entry for each photo in each style, the newest settings of it; what is new first, what was there in its place."""
        photo, style = values[0] or studio.first_photo, values[2] or values[3] or values[1]
        at = Settings.of(*values[4:])
        if photo is None or style is None or not studio.remembers(photo, style, at):
            return gr.skip(), gr.skip()
        code = studio.style(values[2], values[3], values[1], at.style_size)
        if code is None:
            return gr.skip(), gr.skip()
        entry = {
            "shows": (same_photo.key(photo), code.vector.numpy().tobytes()),
            "picture": studio.small_painted_preview(photo, code, style, at),
            "caption": f"{studio.labels.get(style) or shown_name(code)}\nstrength {at.strength:g}",
            "values": list(values),
        }
        if any(old["shows"] == entry["shows"] for old in entries):
            entries = [entry if old["shows"] == entry["shows"] else old for old in entries]
        else:
            entries = [entry, *entries][:_LAST]
        pictures = [(old["picture"], old["caption"]) for old in entries]
        return entries, gr.update(value=pictures, selected_index=NOTHING_MARKED)

    def go_back(entries: list[dict[str, Any]], event: gr.SelectData) -> list[Any]:
        return list(entries[int(event.index)]["values"])

    address = [chosen.preset, chosen.origin, *shared.settings]
    shown.then(None, address, None, js=_WRITE_ADDRESS, api_visibility="private")
    shown.then(lines, list(inputs), [python, shell], **QUIET)
    shown.then(remember, [history, *inputs], [history, gallery], **QUIET)
    gallery.select(go_back, history, list(inputs), **QUIET)
    uploads: list[Any] = [shared.content, chosen.style, chosen.style_file]

    def brought_back(words: str | None, noted: str | None) -> list[Any]:
        files = own_uploads(words, noted)
        preset = None if files[1] or files[2] else gr.skip()  # one of the three is the style
        return [preset, *(gr.skip() if file is None else file for file in files)]

    query = gr.Textbox("", visible="hidden", label="address")
    noted = gr.Textbox("", visible="hidden", label="uploads")
    restored_address = demo.load(
        lambda words: restored(studio, words),
        query,
        [chosen.preset, chosen.style_file, *shared.settings],
        js=_READ_ADDRESS,
        **QUIET,
    )
    # Only where something was noted: a photo that is chosen meanwhile is not touched.
    read = restored_address.then(
        None,
        None,
        [query, noted],
        js=f"() => [({_READ_ADDRESS})()[0], ({_READ_UPLOADS})()]",
        **QUIET,
    )
    noted.change(brought_back, [query, noted], [chosen.preset, *uploads], **ON_CHANGE)

    def tell(words: str | None, uploads: str | None) -> None:
        told = told_of_link(studio, words, uploads)
        if told:
            gr.Info(told, duration=_READING_SECONDS)

    read.then(tell, [query, noted], None, **_TELLS)
    shown.then(None, uploads, None, js=_NOTE_UPLOADS, api_visibility="private")


def _lines(label: str) -> gr.Textbox:
    """Not `gr.Code`, whose editor is a tenth of the page's bytes."""
    return gr.Textbox(
        "", label=label, lines=1, interactive=False, buttons=["copy"], elem_classes="lines"
    )


_TELLS: Final[dict[str, Any]] = {
    "concurrency_limit": None,
    "show_progress": "hidden",
    "api_visibility": "private",
}
"""Of an event that shows a message: in the queue, outside of which there are none."""


def link_button(studio: Studio, address: Sequence[Any]) -> gr.Button:
    """Copies the page's address, which holds these: preset, origin, strength, colour, brush, detail, faces, outlines."""
    told = as_text(_NO_STYLE.format(gets=_first_style(studio)))
    button = gr.Button("Copy link", elem_id="copy-link", scale=2, min_width=100)

    def tell(preset: str | None, origin: str, *settings: float) -> None:
        if is_of_ones_own(origin):
            gr.Info(told, duration=_READING_SECONDS)
        else:
            gr.Info("The link holds the style and your settings, not your photo.", duration=5)

    button.click(tell, list(address), None, js=_COPY_ADDRESS, **_TELLS)
    return button
