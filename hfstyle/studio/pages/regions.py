"""Parts of a photo in styles of their own: drawn over with a brush of one colour for each, at a place, or in a mask."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import gradio as gr

from hfstyle import Region, StyleCode
from hfstyle.limits import DEFAULT_STYLE_SIZE, OPTIONS
from hfstyle.painting.found import absent_package, found_mask
from hfstyle.painting.shapes import FOUND
from hfstyle.studio.backend.endpoints import spread
from hfstyle.studio.backend.engine import Studio
from hfstyle.studio.backend.jobs import PROGRESS, job, mark
from hfstyle.studio.backend.masks import (
    EDITOR_SIDE,
    REGION_COLORS,
    MaskEditor,
    PlaceChoice,
    drawn_masks,
    empty_layer,
    given_masks,
    note_of_drawing,
    noted_drawing,
)
from hfstyle.studio.backend.refusals import (
    friendly_steps,
    needed,
    plain,
    refusal,
)
from hfstyle.studio.backend.settings import DEFAULT_RESOLUTION, DEFAULTS, Settings, with_settings
from hfstyle.studio.backend.style_names import shown_name
from hfstyle.studio.backend.uploads import PhotoUpload
from hfstyle.studio.look.drawing import FILLED
from hfstyle.studio.pages.chosen import (
    AS_ON_STYLIZE,
    STYLIZE_FIRST,
    ChosenStyle,
    OnStylize,
    name_on_stylize,
)
from hfstyle.studio.pages.parts import (
    before_after_slider,
    color_slider,
    in_view,
    preset_list,
    stop_button,
    strength_slider,
    style_choice,
)
from hfstyle.studio.pages.remember import remember_in_tab
from hfstyle.studio.pages.shared import Shared
from hfstyle.studio.pages.slots import Slots

DRAWN: Final = "drawn"
"""Where a region is, if not at a place with a name."""
_NOWHERE: Final = (
    "Draw over a part of the photo, choose a place for a region from its list, or give a mask."
)
_SHAPE_FEATHER: Final = 0.05  # short sides; what is drawn has edges of its own


@dataclass(frozen=True)
class _Places:
    """What tells where the regions are: later ones go before earlier ones."""

    drawing: list[bytes] | None
    mask: str | None
    names: Sequence[str | None]

    def masks(self) -> dict[str, Any]:
        """Masks of `Region`, by name of the colour; without colours that are nowhere."""
        given = given_masks(self.mask) if self.mask else {}
        return {**self._drawn, **given, **self._listed}

    def unused(self) -> list[str]:
        """Colours that were drawn with, although their region is somewhere else."""
        return [color for color in self._listed if color in self._drawn]

    @cached_property
    def _drawn(self) -> dict[str, Any]:
        return drawn_masks(self.drawing or [])

    @property
    def _listed(self) -> dict[str, str]:
        """Places that were chosen from a list, by colour."""
        chosen = zip(REGION_COLORS, self.names, strict=True)
        return {color: name for color, name in chosen if name and name != DRAWN}

    def key(self) -> Hashable:
        return hashlib.blake2b(b"".join(self.drawing or [])).digest(), self.mask, *self.names


def _told(style: Any) -> str:
    return plain(shown_name(style)) if isinstance(style, StyleCode) else "the photo itself"


_SLOTS: Final = {
    "preset": (None, "name of the style of the {} region; without a style it stays as it is"),
    "style": (None, "a picture whose style the {} region takes, before the preset"),
    "strength": (OPTIONS["strength"].default, "of the {} region, from 0 to 1"),
    "color": (OPTIONS["color"].default, "of the {} region, from 0 to 1"),
}
_EACH: Final = [(part, region) for region in REGION_COLORS for part in _SLOTS]
_with_slots = spread(
    "slots",
    {f"{part}_{region}": _SLOTS[part][0] for part, region in _EACH},
    {f"{part}_{region}": _SLOTS[part][1].format(region) for part, region in _EACH},
    lambda *values: values,
)
"""A handler's `slots` are parameters for each region."""


class RegionHandlers:
    """The docstring of the public one is the API's documentation."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def canvas(
        self, content: str | None, last: str | None, mask: str | None, noted: str | None
    ) -> Iterator[tuple[Any, Any, Any, Any, Any]]:
        """The photo for the editor, reduced, with nothing drawn, unless it was the last one there; and its path.

        Over it lies an empty layer: with a layer that it is given, Gradio's editor begins what it can undo anew. Without one
        it would begin with the photo, and undo that.

        What is noted as drawn over it, before the page was loaded again, becomes the mask, and the note is done: Gradio's
        editor shows layers that it is given at a wrong place.
        """
        shown, left = content or self.studio.first_photo, (gr.skip(),) * 3
        if shown is None or shown == last:
            yield gr.skip(), last, *left
            return

        def work() -> tuple[Any, ...]:
            path = self.studio.reduced(shown, EDITOR_SIDE)
            drawn = None if mask or last else noted_drawing(shown, noted)
            kept = left if drawn is None else (drawn, gr.update(open=True), "")
            layer = empty_layer(path)
            return {"background": path, "layers": [layer], "composite": None}, shown, *kept

        yield (yield from job(work, (gr.skip(), gr.skip(), *left)))

    @_with_slots
    @with_settings("style_size")
    def render(
        self,
        content: str | None,
        drawing: list[bytes] | None,
        background: str | None,
        settings: Settings,
        slots: Slots,
        mask: str | None,
        where_red: str | None,
        where_green: str | None,
        where_blue: str | None,
        preset: str | None = None,
        style: str | None = None,
        style_file: str | None = None,
        style_size: float = DEFAULT_STYLE_SIZE,
    ) -> Iterator[tuple[Any, Any, Any]]:
        """Before and after, status, and a note of what was drawn."""
        shown = content or self.studio.first_photo
        if shown is None:
            yield None, "Choose a photo to begin.", ""
            return

        def work() -> tuple[Any, str, str]:
            original = self.studio.original_preview(shown, settings.resolution)
            note = note_of_drawing(shown, drawing)
            places = _Places(drawing, mask, (where_red, where_green, where_blue))
            self._find(shown, places)
            on_stylize = OnStylize(preset, style, style_file, style_size)
            code, regions, key = self._regions(places, background, slots, on_stylize)
            if not regions and code is None:
                return (original, original), f"{_NOWHERE} Then press **Paint**.", note
            painted = self.studio.painted_preview(shown, code, key, settings, regions)
            names = [_told(region.style if region.strength else None) for region in regions]
            elsewhere = _told(code if settings.strength else None)
            told = f"{', '.join(names) or 'No region'}; elsewhere {elsewhere}"
            if set(names) == {elsewhere}:
                told = f"{elsewhere}, everywhere"
            if unused := places.unused():
                told += f". Not used: what is drawn in {' and '.join(unused)}, whose place is chosen from its list"
            return (original, painted), told, note

        yield (yield from job(work, (gr.skip(), gr.skip(), gr.skip())))

    @_with_slots
    @with_settings("style_size")
    def regions(
        self,
        content: str | None,
        drawing: list[bytes] | None = None,
        background: str | None = None,
        settings: Settings = DEFAULTS,
        slots: Slots = (),
        mask: str | None = None,
        where_red: str | None = DRAWN,
        where_green: str | None = DRAWN,
        where_blue: str | None = DRAWN,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Any]:
        """Paint parts of a photo in styles of their own, at the photo's full size.

        Args:
            content: the photo.
            drawing: layers with the regions, painted in red #e11d48, green #16a34a and blue #2563eb over nothing.
            background: name of a style of the gallery for the rest of the photo, which strength and color belong to; None
                leaves the rest as it is.
            settings: as of the sliders.
            slots: style, strength and colour of each region.
            mask: a picture that shows the regions: a label map in red, green and blue, or a mask, whose white is the red
                region. Its regions replace those of the drawing.
            where_red: "drawn" where the drawing or the mask has it; or "left-half", "right-half", "upper-half",
                "lower-half", "upper-third", "lower-third", "middle" or "surroundings"; or what is found in the photo:
                "faces" of people, the "subject", or the "background", which is the rest.
            where_green: the same of the green region.
            where_blue: the same of the blue region.

        Returns:
            The painted photo, a PNG file with the settings in its name and metadata.
        """
        places = _Places(drawing, mask, (where_red, where_green, where_blue))
        yield from self._full_size(
            content, places, background, settings, slots, OnStylize(), progress
        )

    @_with_slots
    @with_settings("style_size")
    def regions_here(
        self,
        content: str | None,
        drawing: list[bytes] | None,
        background: str | None,
        settings: Settings,
        slots: Slots,
        mask: str | None,
        where_red: str | None,
        where_green: str | None,
        where_blue: str | None,
        preset: str | None,
        style: str | None,
        style_file: str | None,
        style_size: float,
        progress: gr.Progress = PROGRESS,
    ) -> Iterator[Any]:
        """The same, where a region may have the style of Stylize."""
        places = _Places(drawing, mask, (where_red, where_green, where_blue))
        on_stylize = OnStylize(preset, style, style_file, style_size)
        yield from self._full_size(
            content, places, background, settings, slots, on_stylize, progress
        )

    def _full_size(
        self,
        content: str | None,
        places: _Places,
        background: str | None,
        settings: Settings,
        slots: Slots,
        on_stylize: OnStylize,
        progress: gr.Progress,
    ) -> Iterator[Any]:
        studio, photo = self.studio, needed(content, "photo")

        def work() -> str:
            self._find(photo, places)
            code, regions, _ = self._regions(places, background, slots, on_stylize)
            if not regions and code is None:
                raise refusal(_NOWHERE)
            return studio.full_size(photo, code, settings, regions)

        yield (yield from job(work, gr.skip(), progress))

    def _find(self, photo: str, places: _Places) -> None:
        """Make sure that what is to be found in the photo is there."""
        for name in sorted(set(FOUND) & set(places.names)):
            absent = absent_package(name)
            if absent is not None:
                raise refusal(f"To find {_NAMES[name]}, this server needs {absent}.")
            mark(0.05, f"Looking for {_NAMES[name]}")
            seen = self.studio.preview(photo, DEFAULT_RESOLUTION)
            if not bool(found_mask(name, seen.rgb).any()):
                raise refusal(
                    f"In this photo, {_NAMES[name].partition(',')[0]} cannot be found; draw with the brush instead."
                )

    def _regions(
        self, places: _Places, background: str | None, slots: Slots, on_stylize: OnStylize
    ) -> tuple[StyleCode | None, list[Region], Hashable]:
        """Style of the background, regions, and what tells them from others."""

        def code_of(preset: str | None, style: str | None) -> StyleCode | None:
            if preset == AS_ON_STYLIZE and not style:
                return on_stylize.code(self.studio)
            return self.studio.style(style, None, preset, DEFAULT_STYLE_SIZE)

        masks = places.masks()
        regions = []
        for index, name in enumerate(REGION_COLORS):
            preset, style, strength, color = slots[4 * index : 4 * index + 4]
            if name in masks:
                code = code_of(preset, style)
                shape = isinstance(masks[name], str) and masks[name] not in FOUND
                feather = _SHAPE_FEATHER if shape else Region.feather
                regions.append(Region(masks[name], code, float(strength), float(color), feather))
        key = (places.key(), background, on_stylize, *slots)
        return code_of(background, None), regions, key


_NAMES: Final = {
    "faces": "the faces",
    "subject": "the subject",
    "background": "the background, all but the subject",
}
"""Of what is found in the photo."""
_PLACES: Final = (
    ("as drawn, or as in the mask", DRAWN),
    *((text, name) for name, text in _NAMES.items() if absent_package(name) is None),
    ("left half", "left-half"),
    ("right half", "right-half"),
    ("upper half", "upper-half"),
    ("lower half", "lower-half"),
    ("upper third", "upper-third"),
    ("lower third", "lower-third"),
    ("middle", "middle"),
    ("all around the middle", "surroundings"),
)
_EXAMPLE_PLACE: Final = next((text for text, name in _PLACES if name in FOUND), "the left half")


def regions_page(
    handlers: RegionHandlers,
    compute: dict[str, Any],
    private: dict[str, Any],
    demo: gr.Blocks,
    tab: gr.Tab,
    shared: Shared,
    chosen: ChosenStyle,
) -> None:
    """Build the page.

    Args:
        handlers: what its components call.
        compute: options of events that paint.
        private: the same, for events that are no endpoints.
        demo: whose loading brings back what was chosen and drawn.
        tab: in which the page is.
        shared: photo and settings, without strength and colour, of which each region and the rest have their own.
        chosen: the style of the page Stylize, which a region may have.
    """
    content = shared.content
    studio = handlers.studio
    slots: list[Any] = []
    places: list[Any] = []
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            name_on_stylize(studio, chosen)
            for index, name in enumerate(REGION_COLORS):
                with gr.Accordion(f"{name.title()} region", open=index == 0):
                    place = PlaceChoice(
                        list(_PLACES), value=DRAWN, label=f"Where the {name} region is"
                    )
                    places.append(place)
                    slots += style_choice(studio, f"of the {name} region", [STYLIZE_FIRST])
                    slots += [
                        strength_slider(f"Strength of the {name} region"),
                        color_slider(f"Colour of the {name} region"),
                    ]
            with gr.Accordion("The rest of the photo", open=False):
                background = preset_list(
                    studio, "Style of the rest", "none: it stays as it is", [STYLIZE_FIRST]
                )
                rest = [strength_slider("Strength of the rest"), color_slider("Colour of the rest")]
        with gr.Column(scale=3, min_width=320):
            gr.Markdown(
                f"Say where each region is, such as {_EXAMPLE_PLACE}, or draw over a part of the photo with the red, green or "
                "blue brush. Then press **Paint**."
            )
            editor = MaskEditor(
                label="Draw the regions",
                show_label=False,
                sources=(),
                transforms=(),
                layers=False,
                format="png",
                height=460,
                brush=gr.Brush(
                    default_size=60,
                    colors=list(REGION_COLORS.values()),
                    default_color=REGION_COLORS["red"],
                    color_mode="fixed",
                ),
                eraser=gr.Eraser(default_size=60),
                elem_id="regions",
                elem_classes="drawing",
            )
            with gr.Accordion("or a mask from a file", open=False) as mask_part:
                gr.Markdown(
                    "A picture in black and white, whose white is the red region, or in red, green and blue."
                )
                mask = PhotoUpload(
                    label="Mask or label map",
                    height=180,
                    format="png",
                    sources=["upload", "clipboard"],
                    alt_text="the mask of the regions",
                    elem_id="mask",
                )
            last = gr.State()  # the photo in the editor
            drawn = gr.Textbox("", visible="hidden", label="drawn")
            with gr.Row():
                paint = gr.Button("Paint", variant="primary", scale=4)
                stop = stop_button()
            status = gr.Markdown("", elem_classes="status")
            before_after = before_after_slider(5)  # half would hide what is painted on the left
            download = gr.Button("Full-size picture")
            file = gr.File(label="Full-size PNG", elem_classes="files")
    settings = shared.settings_without("style_size")
    settings[:2] = rest  # the theme hides those above the pages
    inputs: list[Any] = [content, editor, background, *settings]
    inputs += [*slots, mask, *places]
    gr.on(
        [shared.wakes["regions"].change],
        friendly_steps(handlers.canvas),
        [content, last, mask, drawn],
        [editor, last, mask, mask_part, drawn],
        show_progress="minimal",
        **private,
    )
    editor.upload(None, js=FILLED, show_progress="hidden", api_visibility="private")
    here = [*inputs, *chosen.components, shared.style_size]
    shown = paint.click(
        friendly_steps(handlers.render),
        here,
        [before_after, status, drawn],
        show_progress="minimal",
        **private,
    )
    shown.success(None, js=in_view(".compared"), api_visibility="private")
    remember_in_tab(demo, "regions", [background, *rest, *slots, mask, *places, drawn])
    gr.on(  # it is that of the settings before
        [component.change for component in here if component is not editor],
        None,
        None,
        file,
        js="() => null",
        show_progress="hidden",
        api_visibility="private",
    )
    download.click(None, js=in_view(".files"), api_visibility="private")
    run = download.click(friendly_steps(handlers.regions_here), here, file, **private)
    gr.Button(visible=False).click(
        friendly_steps(handlers.regions), inputs, file, api_name="regions", **compute
    )
    stop.click(None, cancels=[run, shown])
    if studio.labels:
        presets = slots[::4]
        first = [AS_ON_STYLIZE, *studio.first_styles(len(presets))[1:]]

        def fill(*chosen: str | None) -> list[str | None]:
            return [own or given for own, given in itertools.zip_longest(chosen, first)]

        tab.select(fill, presets, presets, api_visibility="private", queue=False)
