"""Frames of a file as they are shown: whole, upright, of one size, in RGB.

H, W size of a frame as it is shown
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hfstyle.film.colors import Colors, colors_of, from_wide
from hfstyle.film.errors import VideoError, load_av

__all__ = ["LEAST_SIDE", "MOST_PIXELS", "Deinterlacer", "Shape"]

MOST_PIXELS: Final = 64_000_000
"""Of one frame; 8K has 33 million."""
LEAST_SIDE: Final = 16


@dataclass(frozen=True)
class Shape:
    """How frames are brought upright, to one size and to RGB; as the first frame says, for all."""

    coded: tuple[int, int]  # (W, H) after scaling, before turning
    size: tuple[int, int]
    rotation: int
    pixel_aspect: Fraction
    colors: Colors
    opaque: bool

    @classmethod
    def of(cls, frame: Any, stream: Any, short: int | None, path: Path) -> Shape:
        width, height = frame.width, frame.height
        if width * height > MOST_PIXELS:
            raise VideoError(
                f"{path}: frames of {width} x {height} px; the most are {MOST_PIXELS / 1e6:.0f} million pixels, "
                "scale the film down first"
            )
        if min(width, height) < LEAST_SIDE:
            raise VideoError(
                f"{path}: frames of {width} x {height} px; height and width must be at least {LEAST_SIDE} px"
            )
        colors = colors_of(frame, min(width, height))
        if short is not None and short != min(width, height):
            scale = Fraction(short, min(width, height))
            width, height = max(1, round(width * scale)), max(1, round(height * scale))
            if width * height > MOST_PIXELS:
                raise VideoError(
                    f"{path}: frames would have {width} x {height} px at a short side of {short} px; the most are "
                    f"{MOST_PIXELS / 1e6:.0f} million pixels, give a smaller one"
                )
        rotation = round(frame.rotation / 90) * 90 % 360
        aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
        turned = rotation % 180 == 90
        return cls(
            coded=(width, height),
            size=(height, width) if turned else (width, height),
            rotation=rotation,
            pixel_aspect=1 / aspect if turned else aspect,
            colors=colors,
            opaque=not any(part.is_alpha for part in frame.format.components)
            and frame.format.name != "pal8",
        )

    def rgb(self, frame: Any) -> NDArray[np.uint8]:
        """(H, W, 3) uint8; what is transparent lies over white, as of pictures."""
        width, height = self.coded
        kind = "rgb24" if self.opaque else "rgba"
        if self.colors.wide:
            kind = "rgb48le"
        options: dict[str, Any] = {"width": width, "height": height, "format": kind}
        if (width, height) != (frame.width, frame.height):
            options["interpolation"] = "AREA" if width < frame.width else "BICUBIC"
        if not frame.format.is_rgb:
            options["src_colorspace"] = self.colors.matrix
            options["src_color_range"] = self.colors.range
        pixels: NDArray[Any] = frame.reformat(**options).to_ndarray()
        if self.colors.wide:
            pixels = from_wide(pixels, self.colors)
        elif not self.opaque:
            alpha = pixels[..., 3:].astype(np.uint16)
            over = pixels[..., :3] * alpha + 255 * (255 - alpha)
            pixels = ((over + 127) // 255).astype(np.uint8)
        turns = self.rotation // 90
        return np.ascontiguousarray(np.rot90(pixels, turns) if turns else pixels)


class Deinterlacer:
    """Frames of two fields, of two moments, as whole frames of one (BWDIF); others pass as they are."""

    def __init__(self, stream: Any) -> None:
        av = load_av()
        self._graph = av.filter.Graph()
        source = self._graph.add_buffer(template=stream)
        middle = self._graph.add("bwdif", "mode=send_frame:deint=interlaced")
        source.link_to(middle)
        middle.link_to(self._graph.add("buffersink"))
        self._graph.configure()

    def add(self, frame: Any) -> Iterator[Any]:
        self._graph.push(frame)
        yield from self._pulled()

    def rest(self) -> Iterator[Any]:
        self._graph.push(None)
        yield from self._pulled()

    def _pulled(self) -> Iterator[Any]:
        av = load_av()
        while True:
            try:
                yield self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
