"""Internal to `hfstyle.images`: how Pillow is made to show all of colours of 16 bits, of which it has room for the higher bytes.

The same data in the other byte order show the lower bytes. What is changed is Pillow's own note of how the data of a file
that is not yet decoded are arranged. So PNGs are read, and TIFFs where tifffile is not installed.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from PIL import ImageFile

__all__ = ["low_layout", "with_rawmode"]

_GREY_ALPHA: Final = "LA;16B"


def _rawmode(args: Any) -> str:
    """What a decoder of Pillow is told about the arrangement of the data."""
    return str(args[0] if isinstance(args, tuple) else args)


def with_rawmode(args: Any, rawmode: str) -> Any:
    return (rawmode, *args[1:]) if isinstance(args, tuple) else rawmode


def low_layout(image: ImageFile.ImageFile) -> tuple[str, list[str]] | None:
    """Mode and arrangements that show the lower bytes of 16-bit colours; None if there are none or they cannot be had."""
    rawmodes = [_rawmode(tile.args) for tile in image.tile]
    if image.format == "PNG" and rawmodes == [_GREY_ALPHA]:
        return "RGBA", ["RGBA"]
    swapped = []
    for rawmode in rawmodes:
        channels, _, order = rawmode.partition(";16")
        # Premultiplied colours (RGBa) are divided while they are read.
        if channels not in ("RGB", "RGBX", "RGBA", "CMYK") or order not in ("L", "B", "N"):
            return None
        little = order == "L" or (order == "N" and sys.byteorder == "little")
        swapped.append(f"{channels};16{'B' if little else 'L'}")
    return (image.mode, swapped) if swapped else None
