"""Example photos for demos, tests and documentation: those that lie inside scikit-image's wheel.

They are read from its folder, without importing scikit-image and without a download.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from PIL import Image

__all__ = ["EXAMPLE_PHOTOS", "example_photo", "example_photo_path"]

EXAMPLE_PHOTOS: Final[dict[str, str]] = {
    "astronaut": "portrait of Eileen Collins, NASA (public domain), 512 x 512",
    "chelsea": "a cat, Stefan van der Walt (CC0), 451 x 300",
    "coffee": "a cup of coffee on a table, Rachel Michetti (CC0), 600 x 400",
    "rocket": "a rocket taking off, SpaceX (public domain), 640 x 427",
}
"""Names of the photos, with what they show, their source and their size in pixels."""

_FILES: Final = {
    "astronaut": "astronaut.png",
    "chelsea": "chelsea.png",
    "coffee": "coffee.png",
    "rocket": "rocket.jpg",
}


def example_photo_path(name: str) -> Path:
    """The file of an example photo.

    Args:
        name: one of `EXAMPLE_PHOTOS`.

    Raises:
        ValueError: no photo of that name.
        ModuleNotFoundError: scikit-image is not installed.
        FileNotFoundError: the installed scikit-image lacks the photo.
    """
    if name not in _FILES:
        raise ValueError(f"no example photo {name!r}; there are: {', '.join(_FILES)}")
    spec = find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            "the example photos are part of scikit-image, which is not installed; "
            "install it with: pip install 'hfstyle[examples]'",
            name="skimage",
        )
    path = Path(spec.submodule_search_locations[0], "data", _FILES[name])
    if not path.is_file():
        raise FileNotFoundError(
            f"the installed scikit-image lacks the photo {path}; "
            "install it again with: pip install --force-reinstall 'hfstyle[examples]'"
        )
    return path


def example_photo(name: str = "astronaut") -> Image.Image:
    """An example photo as a Pillow image, RGB.

    Args:
        name: one of `EXAMPLE_PHOTOS`.

    Raises:
        ValueError, ModuleNotFoundError, FileNotFoundError: as `example_photo_path`.
    """
    with Image.open(example_photo_path(name)) as image:
        return image.convert("RGB")
