"""A drawing of a style: a landscape of a few lines of code, painted from the style alone, above colours that it has.

It shows palette and strokes of a painting that may not be shown itself, or of a style that never was a painting.
"""

from __future__ import annotations

import functools
from typing import Final

import torch
from PIL import Image
from torch import Tensor

__all__ = ["DRAWN", "canvas", "with_palette"]

DRAWN: Final = "Palette and strokes of the style, our own drawing"
"""What the drawing is called."""

_HEIGHT, _WIDTH = 192, 256  # px
_COLORS: Final = 6
_STRIP: Final = 32  # px


@functools.cache
def canvas() -> Tensor:
    """(3, H, W) in [0, 1], grey: a sky with a sun over two rows of hills, in which edges and plain areas show strokes."""
    y = torch.linspace(0, 1, _HEIGHT)[:, None].expand(-1, _WIDTH)
    x = torch.linspace(0, _WIDTH / _HEIGHT, _WIDTH)[None].expand(_HEIGHT, -1)
    light = 0.85 - 0.35 * y
    light = torch.where((x - 0.95) ** 2 + (y - 0.25) ** 2 < 0.11**2, 1.0, light)
    far = 0.55 + 0.08 * torch.sin(5 * x + 1)
    light = torch.where(y > far, 0.45 - 0.45 * (y - far), light)
    near = 0.75 + 0.06 * torch.sin(7 * x + 3)
    return torch.where(y > near, 0.2, light).expand(3, -1, -1).contiguous()


def with_palette(painted: Image.Image) -> Image.Image:
    """The painted canvas above its colours, from dark to light."""
    reduced = painted.convert("RGB").quantize(_COLORS, Image.Quantize.MEDIANCUT)
    found = reduced.getpalette() or []
    colors = [tuple(found[3 * i : 3 * i + 3]) for i in range(len(found) // 3)][:_COLORS]
    colors.sort(key=lambda rgb: 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2])
    card = Image.new("RGB", (painted.width, painted.height + _STRIP), "white")
    card.paste(painted, (0, 0))
    for index, color in enumerate(colors):
        left, right = (round(painted.width * i / len(colors)) for i in (index, index + 1))
        card.paste(color, (left, painted.height + 4, right, card.height))
    return card
