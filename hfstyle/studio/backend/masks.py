"""Regions that a visitor draws over the photo, or gives as a mask: one colour for each."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Final

import gradio as gr
import numpy as np
from gradio.components.base import server
from gradio.components.image_editor import EditorDataBlobs
from PIL import Image

from hfstyle.images import ImageError, Picture, load_image, to_pil
from hfstyle.images.arrays import as_float
from hfstyle.painting.shapes import FOUND
from hfstyle.studio.backend.refusals import refusal, sentence_of
from hfstyle.studio.backend.results import new_file
from hfstyle.studio.backend.uploads import (
    MAX_UPLOAD_BYTES,
    NoWebAddresses,
    checked_upload,
    no_stub_files,
    open_picture,
    still_here,
)

REGION_COLORS: Final = {"red": "#e11d48", "green": "#16a34a", "blue": "#2563eb"}
"""Names and values of the brushes, one for each region."""
EDITOR_SIDE: Final = 768
"""Long side in pixels of the copy of the photo that is painted over; masks are enlarged to the photo's size."""

_LABELS: Final = {
    "red": ("#e11d48", "#ff0000"),
    "green": ("#16a34a", "#00ff00", "#008000"),
    "blue": ("#2563eb", "#0000ff"),
}
"""Colours of a label map: those of the brushes, and those that are called so."""
_LABEL_TOLERANCE: Final = 100  # of 255, root of the sum of squares
_GREY: Final = 48  # greatest difference of two channels, of 255, in a mask without colours

_MOST_BYTES: Final = 4_000_000  # of one layer
_MOST_LAYERS: Final = 8
_MOST_WAITING: Final = 64  # drawings that were sent and not used yet
_MOST_PIXELS: Final = 4_000_000


with no_stub_files():

    class PlaceChoice(gr.Dropdown):
        """`gr.Dropdown` of places that offers none for which a package is absent, and lets a handler say which one."""

        def get_block_name(self) -> str:
            return "dropdown"

        get_block_class = get_block_name

        def preprocess(self, payload: Any) -> Any:
            return payload if payload in FOUND else super().preprocess(payload)

    class MaskEditor(NoWebAddresses, gr.ImageEditor):
        """`gr.ImageEditor` whose handler gets what was drawn, as PNG, JPEG or WebP data, and not the picture below it.

        What browsers send ahead is kept by Gradio until it is used; here its size and number are limited.
        """

        def get_block_name(self) -> str:
            return "imageeditor"

        get_block_class = get_block_name

        @server  # type: ignore[untyped-decorator]
        def accept_blobs(self, data: Any) -> None:
            try:
                self._accepted(data)
            except (AttributeError, LookupError, TypeError, ValueError):
                return  # what no editor sends

        def _accepted(self, data: Any) -> None:
            index = data.data["index"]
            if len(data.files[0][1]) > _MOST_BYTES or (
                index not in (None, "", "null") and not 0 <= int(index) < _MOST_LAYERS
            ):
                return
            if data.data["type"] == "layer":
                super().accept_blobs(data)
            else:  # the picture below and the two together are not needed
                empty = EditorDataBlobs(background=None, layers=[], composite=None)
                self.blob_storage.setdefault(data.data["id"], empty)
            while len(self.blob_storage) > _MOST_WAITING:
                self.blob_storage.pop(next(iter(self.blob_storage)))

        def preprocess(self, payload: Any) -> list[bytes] | None:  # type: ignore[override]
            if payload is None:
                return None
            if payload.id is not None:
                blobs = self.blob_storage.pop(payload.id, None)
                return [layer for layer in blobs.layers if layer] if blobs else []
            if len(payload.layers) > _MOST_LAYERS:
                raise refusal(f"{len(payload.layers)} layers; the limit is {_MOST_LAYERS}.")
            drawn = []
            for layer in payload.layers:
                with open(checked_upload(layer, _MOST_BYTES), "rb") as file:
                    drawn.append(file.read())
            return drawn

        def api_info(self) -> dict[str, Any]:
            described = (
                'what was drawn, {"background": None, "layers": [file], "composite": None}: transparent pictures painted '
                f"in {', '.join(f'{name} {value}' for name, value in REGION_COLORS.items())}; "
                "gradio_client's handle_file(path) uploads"
            )
            return {**super().api_info(), "description": described}


def drawn_masks(layers: Sequence[bytes]) -> dict[str, np.ndarray]:
    """Where each colour of the brush was used.

    Args:
        layers: encoded pictures with transparency, later ones over earlier ones. Without any transparency they are a mask
            or a label map, as of `given_masks`.

    Returns:
        (H, W) uint8 by name of the colour, 255 where it covers the photo; without colours that were not used.

    Raises:
        gr.Error: not a picture, or a picture of too many pixels.
    """
    canvas: Image.Image | None = None
    for layer in layers:
        try:
            picture = load_image(
                layer, keep_alpha=True, max_pixels=_MOST_PIXELS, name="the drawing", compact=True
            )
        except ImageError as error:
            raise refusal(f"{sentence_of(error)} Please draw it again.") from None
        drawn = _with_alpha(picture)
        if canvas is None:
            canvas = drawn
        else:
            canvas = Image.alpha_composite(canvas, drawn.resize(canvas.size))
    if canvas is None:
        return {}
    pixels = np.asarray(canvas)  # (H, W, 4)
    if pixels[..., 3].min() == 255:
        return _labelled(pixels, "drawing")
    nearest = np.stack([_distance(pixels, color) for color in REGION_COLORS.values()]).argmin(0)
    return _used({name: nearest == i for i, name in enumerate(REGION_COLORS)}, pixels[..., 3])


def empty_layer(photo: str) -> str:
    """A layer of the size of a photo, in which nothing is drawn."""
    with Image.open(photo) as image:
        size = image.size
    path = new_file("nothing.png")
    Image.new("RGBA", size).save(path)
    return str(path)


def note_of_drawing(photo: str, layers: Sequence[bytes] | None) -> str:
    """Where what was drawn over a photo is kept, as a label map, for as long as an upload; empty for nothing."""
    masks = drawn_masks(layers or [])
    if not masks:
        return ""
    labels = np.zeros((*next(iter(masks.values())).shape, 4), np.uint8)
    for name, mask in masks.items():
        color = tuple(bytes.fromhex(REGION_COLORS[name][1:]))
        labels[mask > 0] = [*color, 0]
        labels[..., 3] = np.maximum(labels[..., 3], mask)
    path = new_file("drawn_regions.png")
    Image.fromarray(labels).save(path)
    return json.dumps([photo, str(path)])


def noted_drawing(photo: str, note: str | None) -> str | None:
    """The label map that a note names, if that was drawn over this photo and is still here."""
    try:
        over, path = json.loads(note or "[null, null]")
    except (TypeError, ValueError, RecursionError):
        return None
    return still_here(path, MAX_UPLOAD_BYTES) if over == photo else None


def given_masks(path: str) -> dict[str, np.ndarray]:
    """The regions of an uploaded picture: a label map in red, green and blue, or a mask, whose white is the red region.

    Args:
        path: of the upload; what is transparent is outside of all regions.

    Returns:
        (H, W) uint8 by name of the colour, as `drawn_masks` does; at least one.

    Raises:
        gr.Error: neither white nor one of the colours in it, or too large.
        ImageError: not a usable picture.
    """
    picture = open_picture(path, "mask", keep_alpha=True)
    step = math.ceil(math.sqrt(math.prod(picture.size) / _MOST_PIXELS))
    alpha = None if picture.alpha is None else picture.alpha[:, ::step, ::step]
    smaller = Picture(picture.rgb[:, ::step, ::step], alpha, picture.name)
    return _labelled(np.asarray(_with_alpha(smaller)), "mask")


def _with_alpha(picture: Picture) -> Image.Image:
    rgb, alpha = as_float(picture.rgb), picture.alpha
    return to_pil(rgb, rgb.new_ones(1, *picture.size) if alpha is None else as_float(alpha))


def _labelled(pixels: np.ndarray, what: str) -> dict[str, np.ndarray]:
    """The regions of a mask or a label map (H, W, 4)."""
    colors, alpha = pixels[..., :3], pixels[..., 3]
    spread = colors.max(-1).astype(int) - colors.min(-1)
    if spread[alpha > 0].max(initial=0) <= _GREY:
        white = np.asarray(Image.fromarray(colors).convert("L")) * (alpha / 255.0)
        found = _used({"red": np.ones_like(alpha, bool)}, white.round().astype(np.uint8))
        if not found:
            raise refusal(f"The {what} has no white in it; white is where the red region is.")
        return found
    nearest = np.stack(
        [np.stack([_distance(pixels, c) for c in of]).min(0) for of in _LABELS.values()]
    )
    near = nearest.min(0) <= _LABEL_TOLERANCE**2
    found = _used({name: near & (nearest.argmin(0) == i) for i, name in enumerate(_LABELS)}, alpha)
    if not found:
        raise refusal(
            f"The {what} has neither red #ff0000, green #00ff00 nor blue #0000ff in it; give a picture in these "
            "colours, or one in black and white."
        )
    return found


def _distance(pixels: np.ndarray, color: str) -> np.ndarray:
    """(H, W) int32: squared, of the colours of (H, W, 4)."""
    value = np.array(tuple(bytes.fromhex(color[1:])), np.int32)
    return ((pixels[..., :3] - value) ** 2).sum(-1, dtype=np.int32)


def _used(places: dict[str, np.ndarray], alpha: np.ndarray) -> dict[str, np.ndarray]:
    """Masks of the colours that cover at least half of a pixel somewhere."""
    masks = {name: np.where(place, alpha, 0).astype(np.uint8) for name, place in places.items()}
    return {name: mask for name, mask in masks.items() if mask.max() > 127}
