"""What a run on one's own art needs and leaves besides a model: photos to paint, its pictures as presets, before and after."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from PIL import Image

from hfstyle.examples import EXAMPLE_PHOTOS, example_photo, example_photo_path
from hfstyle.images.save import save_image
from hfstyle.images.sheet import contact_sheet
from hfstyle.models.generator import StyleGenerator
from hfstyle.pipeline import StyleTransferPipeline
from hfstyle.styles.code import StyleCode
from hfstyle.styles.listed import STYLES_FOLDER
from training.data.sources import DataError, PictureSource, decode_picture
from training.run.report import save_styles

__all__ = ["BEFORE_AND_AFTER", "OWN", "bring_example_photos", "finish_own_art"]

OWN: Final = "own_art"
"""The preset that is the mean of all pictures; that of one is called like its file."""
BEFORE_AND_AFTER: Final = "before-and-after.jpg"
_PRESETS: Final = 50
_SHOWN: Final = 3  # styles on the sheet
_ROWS: Final = 4
_SIDE: Final = 320  # px of a picture on the sheet
_LONGEST: Final = 1024  # px, to which pictures are reduced when they are looked at

_log = logging.getLogger(__name__)


def bring_example_photos(folder: Path) -> Path:
    """Copy the example photos there, unless they are. ModuleNotFoundError without scikit-image."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in EXAMPLE_PHOTOS:
        path = example_photo_path(name)
        if not (folder / path.name).is_file():
            shutil.copyfile(path, folder / path.name)
    return folder


def finish_own_art(
    args: Any,
    after: StyleGenerator,
    art: PictureSource,
    photos: Sequence[Image.Image],
    folder: Path,
) -> None:
    """Write the presets of the start, those of the art, and BEFORE_AND_AFTER into the folder of a run.

    Args:
        after: the trained generator, with the encoder of `args.init_from`.
        art: the pictures it learned from, and those held out.
        photos: to show it on; the example photos if there are none.
    """
    save_styles(args.init_from, after, folder, args.hub_token)
    pipes = [
        StyleTransferPipeline(g.eval())
        for g in (
            StyleGenerator.from_pretrained(args.init_from, token=args.hub_token).float(),
            after,
        )
    ]
    pictures = _readable(art)
    codes = {name: pipes[1].encode_style(picture, name=name) for name, picture in pictures.items()}
    if not codes:
        return
    target = folder / STYLES_FOLDER
    target.mkdir(exist_ok=True)
    mean = StyleCode.mix(list(codes.values()), name=OWN)
    for name, code in {OWN: mean, **codes}.items():
        code.save(target / f"{name}.safetensors")
    _log.info("presets of these pictures: %s", ", ".join([OWN, *codes]))
    shown = list(pictures)[:: max(1, len(pictures) // _SHOWN)][:_SHOWN]
    rows: list[Image.Image] = []
    titles: list[str] = []
    photos = list(photos)[:_ROWS] or [example_photo(name) for name in EXAMPLE_PHOTOS]
    for number in range(max(len(photos), len(shown))):
        photo, name = photos[number % len(photos)], shown[number % len(shown)]
        rows += [pictures[name], photo, *(p(photo, codes[name]).images[0] for p in pipes)]
        titles += [name, "photo", "before", "after"]
    sheet = contact_sheet(rows, titles, columns=4, side=_SIDE)
    save_image(sheet, folder / BEFORE_AND_AFTER)
    _log.info("%s: photos in the style of these pictures", folder / BEFORE_AND_AFTER)


def _readable(art: PictureSource) -> dict[str, Image.Image]:
    """Up to 50 pictures by names that suit files, none twice."""
    found: dict[str, Image.Image] = {}
    for index in range(min(len(art), _PRESETS)):
        try:
            raw = art[index]
            picture = Image.fromarray(decode_picture(raw, _LONGEST))
        except DataError as error:
            _log.warning("%s", error)
            continue
        stem = Path(raw.name).stem if isinstance(raw.data, Path) else f"picture_{index + 1}"
        name = re.sub(r"\W+", "_", stem.lower()).strip("_") or f"picture_{index + 1}"
        found[name if name not in {*found, OWN} else f"{name}_{index + 1}"] = picture
    return found
