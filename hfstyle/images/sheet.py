"""Pictures with their titles on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import ExifTags, Image, ImageDraw, ImageFont

from hfstyle.images.decode import ImageError
from hfstyle.images.provenance import mark_of, put_mark
from hfstyle.images.save import save_image

__all__ = ["check_sheet", "contact_sheet", "save_sheet"]

_MARGIN: Final = 10
_MARK: Final = "hfstyle: a sheet of pictures"


def contact_sheet(
    pictures: Sequence[Image.Image],
    titles: Sequence[str],
    columns: int = 4,
    side: int = 256,
    letters: int = 13,
) -> Image.Image:
    """Pictures in rows with their titles below; the sheet says how they were made if one of them does.

    Args:
        pictures: at least one.
        titles: one for each.
        columns: pictures in a row, from 1.
        side: longest side of a picture in pixels.
        letters: size of the titles in pixels.

    Raises ValueError for no pictures, or another number of titles.
    """
    if not pictures or len(pictures) != len(titles):
        raise ValueError(f"{len(pictures)} pictures and {len(titles)} titles; give as many of both")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    tiles = [picture.convert("RGB") for picture in pictures]
    for tile in tiles:
        tile.thumbnail((side, side), Image.Resampling.LANCZOS)
    high = max(tile.height for tile in tiles)
    line = letters * 22 // 13
    cell = (side + _MARGIN, high + line + _MARGIN)
    sheet = Image.new("RGB", (columns * cell[0] + _MARGIN, rows * cell[1] + _MARGIN), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(letters)
    for index, (tile, title) in enumerate(zip(tiles, titles, strict=True)):
        x = _MARGIN + index % columns * cell[0]
        y = _MARGIN + index // columns * cell[1]
        sheet.paste(tile, (x + (side - tile.width) // 2, y + (high - tile.height) // 2))
        while title and draw.textlength(title, font=font) > side:
            title = title[:-2] + "…" if len(title) > 2 else ""
        draw.text((x, y + high + 3), title, "black", font)
    if marks := [mark for mark in map(mark_of, pictures) if mark is not None]:
        put_mark(sheet, marks[0])
    return sheet


def save_sheet(sheet: Image.Image, target: Path) -> None:
    """Write a sheet, marked in its EXIF data as one. ImageError as `save_image`."""
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = _MARK
    save_image(sheet, target, exif=exif.tobytes())


def check_sheet(target: Path) -> None:
    """Make sure that a sheet beside a file, which nobody named, replaces at most an earlier sheet.

    Raises:
        ImageError: there is another file of that name.
    """
    if not target.exists():
        return
    try:
        with Image.open(target) as picture:
            ours = picture.getexif().get(ExifTags.Base.ImageDescription) == _MARK
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        ours = False
    if not ours:
        raise ImageError(
            f"{target}, where the sheet of pictures would be written, exists and is no such sheet; move it, or give "
            "another -o"
        )
