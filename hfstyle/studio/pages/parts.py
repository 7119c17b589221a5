"""Components that several pages have."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Final

import gradio as gr

from hfstyle.limits import OPTIONS
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.photos import example_paths, example_thumbnail
from hfstyle.studio.backend.results import AS_PHOTO
from hfstyle.studio.backend.uploads import PhotoUpload, no_stub_files
from hfstyle.studio.backend.wishes import Wishes
from hfstyle.studio.look.stop import ENDS, STOPS

QUIET: Final[dict[str, Any]] = {
    "api_visibility": "private",
    "queue": False,
    "show_progress": "hidden",
}
"""Options of an event that is over at once: it waits for nothing and shows no progress."""
ON_CHANGE: Final[dict[str, Any]] = {**QUIET, "trigger_mode": "multiple"}
"""The same for a component's `change`. Gradio would let a second one wait for the first ("always_last"), and when that is
done, fire the component's whole event again, with all that listens to it. Two events under way then wake each other
without end, and the page paints on and on. Only what paints may wait."""


with no_stub_files():

    class PageDropdown(gr.Dropdown):
        """`gr.Dropdown` with choices that only its page offers: their values begin with a colon."""

        def get_block_name(self) -> str:
            return "dropdown"

        get_block_class = get_block_name

        def api_info(self) -> dict[str, Any]:
            info = super().api_info()
            if "items" in info:
                return {**info, "items": _offered(info["items"])}
            return _offered(info)

        def example_payload(self) -> Any:
            first = next((value for _, value in self.choices if not _is_of_page(value)), None)
            return [first] if self.multiselect else first


def _is_of_page(value: Any) -> bool:
    return str(value).startswith(":")


def _offered(described: dict[str, Any]) -> dict[str, Any]:
    """The description without values that begin with a colon."""
    values = [value for value in described["enum"] if not _is_of_page(value)]
    return {**described, "enum": values}


@functools.cache
def example_thumbnails(folder: str) -> list[str]:
    """Made once for the app's folder."""
    return [example_thumbnail(path) for path in example_paths().values()]


def preset_list(
    studio: Studio,
    label: str,
    info: str | None = None,
    first: Sequence[tuple[str, str]] = (),
) -> gr.Dropdown:
    """A list of the presets, none chosen: what a page chooses for a visitor is no default of the endpoints.

    first: other choices of the page, as text and value, before them; endpoints do not describe these.
    """
    choices = [*first, *((text, name) for name, text in studio.labels.items())]
    kind = PageDropdown if first else gr.Dropdown
    return kind(choices, value=None, label=label, info=info, visible=bool(choices))


def style_choice(
    studio: Studio, number: str, first: Sequence[tuple[str, str]] = ()
) -> tuple[gr.Dropdown, PhotoUpload]:
    """A preset, or the visitor's own picture in its place; `first` as of `preset_list`."""
    preset = preset_list(studio, f"Style {number}", first=first)
    with gr.Accordion("or a picture of your own", open=not studio.labels):
        style = PhotoUpload(label=f"Own picture {number}", height=180, format="png")
    return preset, style


def strength_slider(label: str = "Strength") -> gr.Slider:
    """The headline control."""
    return _share_slider("strength", label)


def color_slider(label: str = "Colour") -> gr.Slider:
    """Whose colours the result has."""
    return _share_slider("color", label)


def faces_slider() -> gr.Slider:
    """How much of faces is kept."""
    return _share_slider("faces", "Faces")


def outlines_slider() -> gr.Slider:
    """How far large strokes stop at outlines."""
    return _share_slider("outlines", "Outlines")


def _share_slider(name: str, label: str) -> gr.Slider:
    return option_slider(name, label, step=0.05, min_width=100)


def option_slider(name: str, label: str, **how: Any) -> gr.Slider:
    """One of `hfstyle.limits.OPTIONS`, whose range, first value and hint it has, if not told otherwise."""
    option = OPTIONS[name]
    how = {"value": option.default, "info": option.hint} | how
    return gr.Slider(*option.offered, label=label, **how)


def style_size_slider() -> gr.Slider:
    """The size at which style pictures are looked at."""
    return option_slider("style_size", "Size of the brush", step=64)


def resolution_slider() -> gr.Slider:
    """The size at which the photo is painted."""
    return option_slider("resolution", "Detail", step=64, elem_classes="detail")


def results_gallery(label: str, columns: int = 3, **changes: Any) -> gr.Gallery:
    """Painted pictures beside each other, whole; the label is for screen readers."""
    options = {"object_fit": "contain", "elem_classes": "results", **changes}
    return gr.Gallery(
        label=label, show_label=False, columns=columns, format="png", interactive=False, **options
    )


def before_after_slider(share: int = 50) -> gr.ImageSlider:
    """The photo and its painting, one over the other; of the photo, a share of so many percent is seen at first."""
    return gr.ImageSlider(
        label="Before and after",
        show_label=False,
        format="png",
        max_height=440,
        slider_position=share,
        interactive=False,
        buttons=["download"],  # instead of its full screen, "Zoom" shows both at any size
        elem_classes="compared",
    )


NOTHING_MARKED: Final = "none"
"""`selected_index` of a gallery of which no picture is chosen. Gradio drops None from an update, and a gallery moves any number
to one of its pictures when it gets new ones."""


IN_VIEW: Final = """() => {
  const shown = [...document.querySelectorAll(".compared")].find((box) => box.checkVisibility());
  if (!shown || innerWidth > 900) return;
  const box = shown.getBoundingClientRect();
  if (box.top >= 0 && box.bottom <= innerHeight) return;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  shown.scrollIntoView({behavior: calm ? "auto" : "smooth", block: "start"});
}"""
"""For what is chosen on a phone, where the result may be far from it: bring the result into view."""


_LOOK: Final = """() => {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const look = () => {
    const boxes = [...document.querySelectorAll("SELECTOR")].filter((box) => box.checkVisibility());
    boxes.pop()?.scrollIntoView({behavior: calm ? "auto" : "smooth", block: innerWidth > 900 ? "nearest" : "PLACE"});
  };
  setTimeout(look, 300);  // its progress
  setTimeout(look, 1000);
  // What comes later may make the page long enough to be scrolled there only then. Whoever does something meanwhile is left alone.
  const grown = new ResizeObserver(look);
  let left = false;
  const done = () => { left = true; grown.disconnect(); };
  setTimeout(() => left || grown.observe(document.body), 1000);
  for (const kind of ["wheel", "touchstart", "pointerdown", "keydown"]) addEventListener(kind, done, {once: true, capture: true});
  setTimeout(done, 60000);
}"""


def in_view(selector: str, on_phone: str = "nearest") -> str:
    """For a button far from its result: a script that brings the last one that is shown of such elements into view.

    on_phone: where: "nearest", as far as needed; or "start", at the top, where what follows is to be seen, too.
    """
    return _LOOK.replace("SELECTOR", selector).replace("PLACE", on_phone)


EMPTIED: Final = "() => ''"
"""For a text about the work before, once there is new work."""


TO_THE_TOP: Final = "() => scrollTo({top: 0})"
"""For what shows another page."""


def first_status(studio: Studio) -> str:
    """What a page says before its first painting."""
    return "Painting an example …" if studio.first_photo else "Choose a photo to begin."


def wish_of(
    wishes: Wishes, changes: Sequence[Any], inputs: Sequence[Any], outdated: Sequence[Any] = ()
) -> None:
    """Tell what a page wants to see as soon as it changes; to be called before the event that paints is registered.

    Args:
        wishes: of the page.
        changes: events.
        inputs: what the picture depends on.
        outdated: files of the settings before, which are emptied.
    """
    gr.on(
        list(changes),
        wishes.told(len(outdated)),
        [*inputs, _time()],
        list(outdated),
        js=_WITH_TIME,
        preprocess=False,
        **ON_CHANGE,
    )


def files_of_wish(wishes: Wishes, button: gr.Button, inputs: Sequence[Any]) -> None:
    """Tell that a button asks for files of what is wanted; to be called before the event that makes them is registered.

    Args:
        wishes: of the page.
        button: is pressed.
        inputs: as of `wish_of`.
    """
    button.click(None, js=in_view(".files"), api_visibility="private")
    button.click(
        wishes.asked,
        [*inputs, _time()],
        None,
        js=_WITH_TIME,
        preprocess=False,
        **QUIET,
    )


_WITH_TIME: Final = "(...values) => [...values.slice(0, -1), performance.now()]"


def _time() -> gr.Number:
    """Filled by `_WITH_TIME`."""
    return gr.Number(0, visible="hidden", label="time of the change")


def format_choice(value: str = "png") -> gr.Radio:
    """Of a file to keep."""
    choices = [("PNG, exact", "png"), ("JPEG, small", "jpeg"), ("WebP, smaller", "webp")]
    return gr.Radio(choices, value=value, label="Format")


def quality_slider() -> gr.Slider:
    """Of a file that is not exact."""
    return option_slider("quality", "Quality", step=1)


def sheet_choice() -> gr.Dropdown:
    """What a file to keep says about its size in print."""
    choices = [
        ("as the photo says", AS_PHOTO),
        ("10 × 15 cm", "10x15"),
        *((x, x) for x in ("A5", "A4", "A3")),
    ]
    return gr.Dropdown(
        choices,
        value=AS_PHOTO,
        label="Print size",
        info="written into the file; the pixels stay as they are",
    )


def stop_button(*, keeps: bool = False) -> gr.Button:
    """Ends what the page computes.

    keeps: what is done until then stays, as of `Stops`, which hears at once and need not be told again.
    """
    return gr.Button("Stop", scale=1, min_width=80, elem_classes=[ENDS] if keeps else [ENDS, STOPS])


def begin_and_stop(label: str, *, keeps: bool = False) -> tuple[gr.Button, gr.Button]:
    """One that begins, and one that ends it; `keeps` as of `stop_button`."""
    with gr.Row():
        return gr.Button(label, variant="primary", scale=4), stop_button(keeps=keeps)


def files_result(label: str) -> gr.File:
    return gr.File(label=label, file_count="multiple", interactive=False, elem_classes="files")


def picture_result(label: str, format: str, alt_text: str) -> gr.Image:
    return gr.Image(
        label=label,
        format=format,
        alt_text=alt_text,
        interactive=False,
        show_label=False,
        buttons=["download", "fullscreen"],
        elem_classes="results",
    )
