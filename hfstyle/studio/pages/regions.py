"""What the components of the page of regions call."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from hfstyle import Region, StyleCode
from hfstyle.images import resize, to_pil
from hfstyle.pipeline import DEFAULT_STYLE_SIZE
from hfstyle.studio.jobs import PROGRESS, job
from hfstyle.studio.masks import EDITOR_SIDE, REGION_COLORS, drawn_masks, given_masks
from hfstyle.studio.painting import Studio, preset_label
from hfstyle.studio.refusals import needed, refusal
from hfstyle.studio.results import write_png
from hfstyle.studio.settings import DEFAULT_RESOLUTION, Settings
from hfstyle.studio.uploads import open_picture

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
        found: dict[str, Any] = drawn_masks(self.drawing or [])
        if self.mask:
            found |= given_masks(self.mask)
        chosen = zip(REGION_COLORS, self.names, strict=True)
        return found | {color: name for color, name in chosen if name and name != DRAWN}

    def key(self) -> Hashable:
        return hashlib.blake2b(b"".join(self.drawing or [])).digest(), self.mask, *self.names


def _told(style: Any) -> str:
    return preset_label(style.name, style) if isinstance(style, StyleCode) else "the photo itself"


class RegionHandlers:
    """The docstring of the public one is the API's documentation."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def canvas(self, content: str | None, last: str | None) -> tuple[Any, str | None]:
        """The photo for the editor, reduced, with nothing drawn, unless it was the last one there; and its path."""
        shown = content or self.studio.first_photo
        if shown is None or shown == last:
            return gr.skip(), last
        picture = open_picture(shown, "photo").rgb
        height, width = picture.shape[1:]
        short = min(height, width)
        side = min(short, max(16, round(EDITOR_SIDE * short / max(height, width))))
        path = write_png(to_pil(resize(picture, side).clamp(0, 1)), "photo", {}, fast=True)
        return {"background": path, "layers": [], "composite": None}, shown

    def render(
        self,
        content: str | None,
        drawing: list[bytes] | None,
        background: str | None,
        strength: float,
        color: float,
        resolution: float,
        *rest: Any,
    ) -> Iterator[tuple[Any, Any]]:
        """Before and after, status."""
        shown = content or self.studio.first_photo
        if shown is None:
            yield None, "Choose a photo to begin."
            return
        settings = Settings.of(strength, color, DEFAULT_STYLE_SIZE, resolution)

        def work() -> tuple[Any, str]:
            original = self.studio.original_preview(shown, settings.resolution)
            *slots, mask, red, green, blue = rest
            places = _Places(drawing, mask, (red, green, blue))
            code, regions, key = self._regions(places, background, slots)
            if not regions and code is None:
                return (original, original), f"{_NOWHERE} Then press **Paint**."
            painted = self.studio.painted_preview(shown, code, key, settings, regions)
            names = [_told(region.style) for region in regions]
            told = f"{', '.join(names) or 'No region'}; elsewhere {_told(code)}"
            return (original, painted), told

        yield (yield from job(work, (gr.skip(), gr.skip())))

    def regions(
        self,
        content: str | None,
        drawing: list[bytes] | None = None,
        background: str | None = None,
        strength: float = 1.0,
        color: float = 1.0,
        resolution: float = DEFAULT_RESOLUTION,
        preset_red: str | None = None,
        style_red: str | None = None,
        strength_red: float = 1.0,
        color_red: float = 1.0,
        preset_green: str | None = None,
        style_green: str | None = None,
        strength_green: float = 1.0,
        color_green: float = 1.0,
        preset_blue: str | None = None,
        style_blue: str | None = None,
        strength_blue: float = 1.0,
        color_blue: float = 1.0,
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
            background: name of a style of the gallery for the rest of the photo; None leaves the rest as it is.
            strength: of the background's style, from 0 to 1.
            color: of the background, from 0, the photo's own colours, to 1, the colours of the style.
            resolution: short side in pixels at which the photo is painted; the result has the photo's own size.
            preset_red: name of the style of the red region; without a style it stays as it is.
            style_red: a picture whose style the red region takes, before the preset.
            strength_red: of the red region, from 0 to 1.
            color_red: of the red region, from 0 to 1.
            preset_green: name of the style of the green region; without a style it stays as it is.
            style_green: a picture whose style the green region takes, before the preset.
            strength_green: of the green region, from 0 to 1.
            color_green: of the green region, from 0 to 1.
            preset_blue: name of the style of the blue region; without a style it stays as it is.
            style_blue: a picture whose style the blue region takes, before the preset.
            strength_blue: of the blue region, from 0 to 1.
            color_blue: of the blue region, from 0 to 1.
            mask: a picture that shows the regions: a label map in red, green and blue, or a mask, whose white is the red
                region. Its regions replace those of the drawing.
            where_red: "drawn" where the drawing or the mask has it; or "left-half", "right-half", "upper-half",
                "lower-half", "upper-third", "lower-third", "middle" or "surroundings".
            where_green: the same of the green region.
            where_blue: the same of the blue region.

        Returns:
            The painted photo, a PNG file with the settings in its name and metadata.
        """
        studio, photo = self.studio, needed(content, "photo")
        slots = [preset_red, style_red, strength_red, color_red]
        slots += [preset_green, style_green, strength_green, color_green]
        slots += [preset_blue, style_blue, strength_blue, color_blue]
        settings = Settings.of(strength, color, DEFAULT_STYLE_SIZE, resolution)

        def work() -> str:
            places = _Places(drawing, mask, (where_red, where_green, where_blue))
            code, regions, _ = self._regions(places, background, slots)
            if not regions and code is None:
                raise refusal(_NOWHERE)
            return studio.full_size(photo, code, settings, regions)

        yield (yield from job(work, gr.skip(), progress))

    def _regions(
        self, places: _Places, background: str | None, slots: Any
    ) -> tuple[StyleCode | None, list[Region], Hashable]:
        """Style of the background, regions, and what tells them from others."""
        masks = places.masks()
        regions = []
        for index, name in enumerate(REGION_COLORS):
            preset, style, strength, color = slots[4 * index : 4 * index + 4]
            if name in masks:
                code = self.studio.style(style, None, preset, DEFAULT_STYLE_SIZE)
                feather = _SHAPE_FEATHER if isinstance(masks[name], str) else Region.feather
                regions.append(Region(masks[name], code, float(strength), float(color), feather))
        key = (places.key(), background, *slots)
        return self.studio.style(None, None, background, DEFAULT_STYLE_SIZE), regions, key
