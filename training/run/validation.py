"""What a run is looked at by: pictures that it never trains on if there are enough, painted as a user of the exported model paints them.

S side of a picture in the grid
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps

from hfstyle.models.generator import StyleGenerator
from hfstyle.pipeline import StyleTransferPipeline
from training.data.held import HELD, part_of
from training.data.sources import DataError, HubStream, PictureSource, decode_picture

__all__ = ["held_pictures", "pictures_to_show", "save_grid"]

_SHORT_SIDE = 512  # px at which photos are painted; users paint larger ones too
_log = logging.getLogger(__name__)


def pictures_to_show(
    kind: str, whole: PictureSource | HubStream, held: PictureSource | None
) -> list[Image.Image]:
    """The pictures that were held out; of a source too small for that, some that are trained on; none of a streamed one."""
    if held is not None:
        return held_pictures(held)
    if isinstance(whole, HubStream):
        _log.warning(
            "no validation pictures: %s pictures that are streamed are all trained on", kind
        )
        return []
    few = part_of(whole, range(min(len(whole), HELD)))
    _log.info(
        "none of %d %s pictures are held out, which takes 5: validation shows those that it trains on",
        len(whole), kind,
    )  # fmt: skip
    return held_pictures(few)


def held_pictures(source: PictureSource | None) -> list[Image.Image]:
    """The pictures that were held out; those that cannot be read are logged and left out."""
    pictures = []
    for index in range(0 if source is None else len(source)):
        assert source is not None
        try:
            pictures.append(Image.fromarray(decode_picture(source[index], 2 * _SHORT_SIDE)))
        except DataError as error:
            _log.warning("validation: %s", error)
    return pictures


def save_grid(
    generator: StyleGenerator,
    contents: Sequence[Image.Image],
    styles: Sequence[Image.Image],
    path: Path,
    side: int,
) -> None:
    """A picture of contents (rows) x styles (columns): strength 1, and the first style at 1/4, 1/2, 3/4.

    Painted by the pipeline with its defaults and a copy of the generator, no longer in training. Photos are painted at their own size, with a short side of at most 512 px.

    Args:
        generator: is left as it is.
        contents, styles: one or more of each.
        path: of the PNG.
        side: S in pixels; pictures are cut to squares.
    """
    pipe = StyleTransferPipeline(copy.deepcopy(generator).requires_grad_(False))
    codes = [pipe.encode_style(style) for style in styles]
    columns = [*((code, 1.0) for code in codes), *((codes[0], x) for x in (0.25, 0.5, 0.75))]
    heads = [Image.new("RGB", (side, side), "white"), *styles, *[styles[0]] * 3]
    rows = [heads]
    for content in contents:
        scale = min(1.0, _SHORT_SIDE / min(content.size))
        photo = ImageOps.scale(content, scale) if scale < 1 else content
        rows.append([photo, *(pipe(photo, code, x).images[0] for code, x in columns)])
    sheet = Image.new("RGB", (side * len(heads), side * len(rows)))
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            sheet.paste(ImageOps.fit(picture, (side, side)), (x * side, y * side))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
