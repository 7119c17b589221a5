"""What a run on one's own art needs and leaves besides a model: photos to paint, its pictures as presets, before and after."""

from __future__ import annotations

import copy
import dataclasses
import logging
import re
import shutil
from collections.abc import Mapping, Sequence
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

__all__ = [
    "BEFORE_AND_AFTER",
    "OWN",
    "bring_example_photos",
    "save_before_and_after",
    "save_own_styles",
]

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


def save_own_styles(
    args: Any, generator: StyleGenerator, art: PictureSource, folder: Path
) -> dict[str, Image.Image]:
    """Write the presets of the start and those of the art into the folder of a run.

    Args:
        generator: with the encoder of `args.init_from`, or one that learned too.
        art: the pictures it learns from, and those held out.

    Returns:
        The pictures by the names of their presets: those of their files, with `_own` behind it where another style of the start
        has that name.
    """
    save_styles(args.init_from, generator, folder, args.hub_token)
    pipe = StyleTransferPipeline(copy.deepcopy(generator).eval())
    old = StyleTransferPipeline.from_pretrained(args.init_from, token=args.hub_token).presets
    pictures: dict[str, Image.Image] = {}
    codes: dict[str, StyleCode] = {}
    for name, picture in _readable(art).items():
        code = pipe.encode_style(picture)
        if name in old and not _same(old[name], code):
            name = f"{name}_own"
        pictures[name], codes[name] = picture, dataclasses.replace(code, name=name)
    if codes:
        target = folder / STYLES_FOLDER
        target.mkdir(exist_ok=True)
        for name, code in {OWN: StyleCode.mix(list(codes.values()), name=OWN), **codes}.items():
            code.save(target / f"{name}.safetensors")
    return pictures


def _same(one: StyleCode, other: StyleCode) -> bool:
    """Whether two codes are of one picture, as far as half precision can tell."""
    return float((one.vector - other.vector).norm()) <= 1e-3 * float(other.vector.norm())


def save_before_and_after(
    args: Any,
    after: StyleGenerator,
    pictures: Mapping[str, Image.Image],
    photos: Sequence[Image.Image],
    folder: Path,
) -> None:
    """Write BEFORE_AND_AFTER: photos in the style of some of the pictures, by the model of the start and by the new one.

    Args:
        after: the trained generator.
        pictures: by the names of their presets.
        photos: to show it on; the example photos if there are none.
    """
    if not pictures:
        return
    before = StyleGenerator.from_pretrained(args.init_from, token=args.hub_token).float()
    pipes = [StyleTransferPipeline(copy.deepcopy(g).eval()) for g in (before, after)]
    shown = list(pictures)[:: max(1, len(pictures) // _SHOWN)][:_SHOWN]
    rows: list[Image.Image] = []
    titles: list[str] = []
    photos = list(photos)[:_ROWS] or [example_photo(name) for name in EXAMPLE_PHOTOS]
    for number in range(max(len(photos), len(shown))):
        photo, name = photos[number % len(photos)], shown[number % len(shown)]
        style = pictures[name]
        rows += [style, photo, *(p(photo, p.encode_style(style)).images[0] for p in pipes)]
        titles += [name, "photo", "before", "after"]
    sheet = contact_sheet(rows, titles, columns=4, side=_SIDE)
    save_image(sheet, folder / BEFORE_AND_AFTER)
    _log.info("%s: photos in the style of these pictures", folder / BEFORE_AND_AFTER)
    _log.info(
        "%s is the model. Presets of your pictures: %s. As in: "
        "hfstyle stylize photo.jpg --model %s --style %s -o out.png",
        folder, ", ".join([OWN, *pictures]), folder, OWN,
    )  # fmt: skip


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
