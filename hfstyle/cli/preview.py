"""A contact sheet of a photo in some styles."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from hfstyle.examples import example_photo
from hfstyle.images.geometry import resize
from hfstyle.images.load import load_image
from hfstyle.images.save import to_pil
from hfstyle.images.sheet import contact_sheet, save_sheet
from hfstyle.pipeline import StyleTransferPipeline
from hfstyle.styles.code import StyleCode

__all__ = ["preview"]

SHEET_SIDE = 256


def preview(
    pipe: StyleTransferPipeline,
    codes: list[StyleCode],
    titles: list[str],
    target: str,
    photo: str | None = None,
    columns: int = 4,
) -> None:
    """Write a contact sheet of a photo in each style; by default of an example photo, or a plain ramp of colours."""
    content = _photo(photo)
    pictures = [pipe(content, code).images[0] for code in codes]
    save_sheet(contact_sheet(pictures, titles, columns, SHEET_SIDE), Path(target))


def _photo(photo: str | None) -> Image.Image:
    if photo is not None:
        rgb = load_image(photo).rgb
        return to_pil(resize(rgb, min(SHEET_SIDE, *rgb.shape[1:])))
    try:
        shown = example_photo("chelsea")
    except ModuleNotFoundError:
        shown = Image.linear_gradient("L").convert("RGB")
    shown.thumbnail((SHEET_SIDE * 3 // 2, SHEET_SIDE))
    return shown
