"""Regions that a visitor paints over the photo: one colour of the brush for each."""

from __future__ import annotations

import io
import math
from typing import Any, Final

import gradio as gr
import numpy as np
from gradio.components.base import server
from gradio.components.image_editor import EditorDataBlobs
from PIL import Image

from hfstyle.studio.refusals import refusal
from hfstyle.studio.uploads import checked_upload, no_stub_files

REGION_COLORS: Final = {"red": "#e11d48", "green": "#16a34a", "blue": "#2563eb"}
"""Names and values of the brushes, one for each region."""
EDITOR_SIDE: Final = 768
"""Long side in pixels of the copy of the photo that is painted over; masks are enlarged to the photo's size."""

_MOST_BYTES: Final = 4_000_000  # of one layer
_MOST_LAYERS: Final = 8
_MOST_WAITING: Final = 64  # drawings that were sent and not used yet
_MOST_PIXELS: Final = 4_000_000


with no_stub_files():

    class MaskEditor(gr.ImageEditor):
        """`gr.ImageEditor` whose handler gets what was drawn, as PNG, JPEG or WebP data, and not the picture below it.

        What browsers send ahead is kept by Gradio until it is used; here its size and number are limited.
        """

        def get_block_name(self) -> str:
            return "imageeditor"

        get_block_class = get_block_name

        @server  # type: ignore[untyped-decorator]
        def accept_blobs(self, data: Any) -> None:
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


def region_masks(layers: list[bytes]) -> dict[str, np.ndarray]:
    """Where each colour of the brush was used.

    Args:
        layers: encoded pictures with transparency, later ones over earlier ones.

    Returns:
        (H, W) uint8 by name of the colour, 255 where it covers the photo; without colours that were not used.

    Raises:
        gr.Error: not a picture, or a picture of too many pixels.
    """
    canvas: Image.Image | None = None
    for layer in layers:
        try:
            with Image.open(io.BytesIO(layer), formats=["PNG", "WEBP", "JPEG"]) as image:
                size = image.size
                if math.prod(size) > _MOST_PIXELS:
                    raise refusal(f"The drawing is {size[0]} x {size[1]} px, which is too large.")
                drawn = image.convert("RGBA")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            raise refusal("The drawing is not a readable picture; please draw it again.") from None
        if canvas is None:
            canvas = drawn
        else:
            canvas = Image.alpha_composite(canvas, drawn.resize(canvas.size))
    if canvas is None:
        return {}
    pixels = np.asarray(canvas)  # (H, W, 4)
    values = [tuple(bytes.fromhex(value[1:])) for value in REGION_COLORS.values()]
    colors = np.array(values, dtype=np.int32)  # (R, 3)
    distance = np.stack([((pixels[..., :3] - color) ** 2).sum(-1) for color in colors])
    nearest = distance.argmin(0)  # (H, W)
    masks = {
        name: np.where(nearest == index, pixels[..., 3], 0).astype(np.uint8)
        for index, name in enumerate(REGION_COLORS)
    }
    return {name: mask for name, mask in masks.items() if mask.max() > 127}
