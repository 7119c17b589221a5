"""What a caller may give: name, range, default and meaning of each option, for Python, shell, batch and browser alike.

Imports nothing that takes time. What a front end does otherwise, it says where it does it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Final, Literal, ParamSpec, TypeAlias, TypedDict, TypeVar, cast

__all__ = [
    "DEFAULT_FACES",
    "DEFAULT_LIVE_SIZE",
    "DEFAULT_OUTLINES",
    "DEFAULT_STYLE_SIZE",
    "LARGEST_AUTO_SIZE",
    "LEAST_TILE",
    "MINIMUM_SIDE",
    "NUMBERS",
    "OPTIONS",
    "SMALLEST_AUTO_SIZE",
    "UNTILED_PIXELS",
    "Numbers",
    "Option",
    "TileSize",
    "all_numbers",
    "as_list",
    "as_share",
    "as_shares",
    "as_strengths",
    "by_name",
    "check_flag",
    "check_int",
    "check_live_size",
    "check_resolution",
    "check_style_size",
    "check_tile_size",
    "flags_checked",
    "is_number",
    "item_name",
    "working_size",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")

TileSize: TypeAlias = int | Literal["auto"] | None
"""Side of tiles in pixels; None for one pass."""

MINIMUM_SIDE: Final = 16
"""Least height and width of a content picture, in pixels."""
SMALLEST_AUTO_SIZE: Final = 512
LARGEST_AUTO_SIZE: Final = 1080
"""Short side in pixels at which "auto" paints larger photos: strokes as broad as on a screen, and seconds of work."""
LEAST_TILE: Final = 64
"""Least side of a tile in pixels, without its margin."""
UNTILED_PIXELS: Final = 2048 * 2048
"""The most that "auto" paints in one pass: about 0.6 GB of feature maps."""


@dataclass(frozen=True)
class Option:
    """What a caller may give.

    default: what it is when nothing is given.
    least, most: its range, both included; None for no limit, and for what is no number.
    about: in one sentence, with its unit.
    words: texts that it may be beside, or in place of, a number.
    hint: the same in a few words, below a slider.
    slider: the part of the range that a slider offers; None is all of it.
    """

    default: Any
    least: float | None
    most: float | None
    about: str
    words: tuple[str, ...] = ()
    hint: str = ""
    slider: tuple[float, float] | None = None

    @property
    def offered(self) -> tuple[float, float]:
        """Least and greatest number of a slider."""
        least, most = self.slider or (self.least, self.most)
        assert least is not None
        assert most is not None
        return least, most


OPTIONS: Final[dict[str, Option]] = {
    "strength": Option(
        1.0,
        0,
        1,
        "0 (the photo itself) to 1 (the full style)",
        hint="0 is the photo, 1 the full style",
    ),
    "color": Option(
        1.0,
        0,
        1,
        "0 (the photo's own palette) to 1 (the style's)",
        hint="0 is the photo's, 1 the style's",
    ),
    "faces": Option(
        0.9,  # found again in most styles, and still painted
        0,
        1,
        "0 (faces are painted like everything else) to 1 (of faces, as much as possible is kept)",
        hint="higher keeps faces clearer",
    ),
    "outlines": Option(
        0.0,  # style at equal content is a little nearer without
        0,
        1,
        "0 (large strokes run over everything) to 1 (they stop at outlines and thin things)",
        hint="higher keeps outlines and thin things clearer",
    ),
    "feather": Option(
        0.01, 0, 0.5, "width of the soft edges of regions, in short sides of the photo, 0 to 0.5"
    ),
    "style_size": Option(
        384,  # the middle of the scales that a style has in training
        64,
        4096,
        "short side in pixels, 64 to 4096, at which style pictures are looked at: larger makes broader strokes",
        hint="larger paints broader strokes; only for a style picture of your own",
        slider=(128, 768),
    ),
    "size": Option(
        "auto",
        64,
        None,
        "short side in pixels, from 64, at which the photo is painted; the result is brought back to the photo's "
        "size with its fine detail. Smaller is faster and paints broader strokes. 'full' paints at the photo's "
        "size, 'auto' too, but at most at 1080, and smaller photos at 512, at most doubled",
        ("auto", "full"),
    ),
    "tile_size": Option(
        "auto",
        LEAST_TILE,
        None,
        "side in pixels, from 64, of the tiles in which larger photos are painted, to need less memory; the result "
        "is the same. 'off' paints in one piece, 'auto' in tiles of 1024 what has more than 2048 x 2048 pixels",
        ("auto", "off"),
    ),
    "provenance": Option(
        True,
        None,
        None,
        "say in the file how it was made, by which model: IPTC's digital source type in XMP, nothing private",
    ),
    "format": Option(
        "png", None, None, "of files in a folder", ("png", "jpg", "webp", "tif", "avif")
    ),
    "quality": Option(
        95,
        1,
        100,
        "1 to 100, of JPEG, WebP and AVIF",
        hint="of JPEG and WebP; higher makes larger files",
    ),
    "film_quality": Option(75, 1, 100, "1 to 100, of films; not of .gif"),
    "live_size": Option(
        384,  # ten pictures per second on two cores
        64,
        2160,
        "short side in pixels, 64 to 2160, at which a camera's pictures are painted and shown",
        hint="short side in pixels; smaller is faster",
        slider=(128, 480),
    ),
    "temperature": Option(
        1.0,
        0,
        3,
        "0 (the mean of the training art) over 1 (as various as it) to 3",
        hint="0 is the mean of all styles, 1 as various as the paintings it learned from",
        slider=(0, 2),
    ),
    "learning_steps": Option(
        90,
        1,
        None,
        "at most; each paints one photo",
        hint="more take longer and help less and less",
        slider=(10, 180),
    ),
    "learning_size": Option(
        512,
        128,
        2048,
        "short side in pixels, 128 to 2048, at which pictures and photos are compared",
    ),
    "steps": Option(
        16, 2, 1000, "pictures of an animation", hint="from first to last style", slider=(2, 24)
    ),
    "fps": Option(8.0, 0.1, 50, "pictures per second of an animation"),
    "frame_size": Option(
        384,
        64,
        None,
        "short side of an animation in pixels, at most that of the photo",
        hint="short side in pixels",
        slider=(128, 512),
    ),
    "resolution": Option(
        512,
        64,
        4096,
        "short side in pixels, 64 to 4096, at which the app paints, less than elsewhere for previews to come at once; a "
        "full-size picture has the photo's own size",
        hint="short side in pixels at which the photo is painted; higher is finer and slower",
        slider=(128, 1024),
    ),
}
"""By name; Python's names have underscores where the shell has hyphens."""


class Numbers(TypedDict, total=False):
    """How a photo is painted, beside its style and strength: numbers in [0, 1], by the names of `OPTIONS`.

    What paints by way of the pipeline takes them as they are and hands them on. So a new one is written down here and
    done by the pipeline; shell, batches and diffusers have it by that.
    """

    color: float
    faces: float
    outlines: float


NUMBERS: Final = tuple(Numbers.__annotations__)
"""Their names."""


def all_numbers(given: Mapping[str, object]) -> Numbers:
    """Those given, checked, and of the others the defaults.

    Raises TypeError for another name, ValueError for a number out of range.
    """
    if unknown := given.keys() - set(NUMBERS):
        raise TypeError(f"unexpected keyword argument {min(unknown)!r}; give {', '.join(NUMBERS)}")
    full = {name: as_share(name, given.get(name, OPTIONS[name].default)) for name in NUMBERS}
    return cast(Numbers, full)


def by_name(numbers: Numbers) -> dict[str, float]:
    """The same, for what goes through all of them and knows none."""
    return cast(dict[str, float], numbers)


DEFAULT_FACES: Final[float] = OPTIONS["faces"].default
DEFAULT_OUTLINES: Final[float] = OPTIONS["outlines"].default
DEFAULT_STYLE_SIZE: Final[int] = OPTIONS["style_size"].default
DEFAULT_LIVE_SIZE: Final[int] = OPTIONS["live_size"].default


def working_size(size: int | str | None, short: int, *, enlarge: bool = True) -> int | None:
    """The short side at which a photo is painted whose own is `short` px; None is its own.

    Strokes have a size in pixels, beside which the things in a small photo dissolve; "auto" paints it enlarged.

    size: pixels, "auto", or "full", for which None stands as well.
    enlarge: whether "auto" enlarges.
    """
    if not isinstance(size, str):
        return size
    if size == "full":
        return None
    doubled = max(2 * short, int(OPTIONS["size"].least or 0))
    least = min(SMALLEST_AUTO_SIZE, doubled) if enlarge else short
    side = min(max(short, least), LARGEST_AUTO_SIZE)
    return None if side == short else side


def check_callback(callback: Any) -> None:
    """ValueError for a `progress_callback` that cannot be called; None is none."""
    if callback is not None and not callable(callback):
        raise ValueError(
            f"progress_callback is {callback!r}; give a function, called as function(done, total)"
        )


def is_number(value: object) -> bool:
    """Whether it is a real number, of Python or NumPy; NaN and infinity are."""
    return isinstance(value, Real)


def check_int(name: str, value: Any, least: int, most: int | None) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"{name} is {value!r}; give a whole number of pixels")
    number = int(value)
    if number < least or (most is not None and number > most):
        limits = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} is {number}; it must be {limits} px")
    return number


def _check_option(name: str, value: Any, called: str = "") -> int:
    option = OPTIONS[name]
    least, most = (None if x is None else int(x) for x in (option.least, option.most))
    assert least is not None
    return check_int(called or name, value, least, most)


def check_style_size(style_size: int) -> int:
    return _check_option("style_size", style_size)


def check_live_size(size: int) -> int:
    return _check_option("live_size", size, "size")


def check_resolution(resolution: int | str | None) -> int | str | None:
    if resolution is None or resolution in ("auto", "full"):
        return resolution
    return _check_option("size", resolution, "processing_resolution")


def check_tile_size(tile_size: TileSize) -> TileSize:
    if tile_size is None or tile_size == "auto":
        return tile_size
    return _check_option("tile_size", tile_size)


def as_strengths(strength: float | Sequence[float], count: int) -> list[float]:
    return as_shares("strength", strength, count)


def as_shares(name: str, value: float | Sequence[float], count: int) -> list[float]:
    """One number in [0, 1] for each of `count` pictures."""
    many = isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) > 0  # arrays and tensors
    given: list[Any] = list(value) if many else [value] * count  # type: ignore[arg-type]
    if len(given) != count:
        raise ValueError(
            f"{name} has {len(given)} numbers for {count} picture{'s' * (count != 1)}; give one for all or each"
        )
    return [as_share(name, item) for item in given]


def as_share(name: str, value: Any, most: float = 1.0) -> float:
    """A number in [0, most]."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {value!r}; give a number in [0, {most:g}]") from None
    if not 0 <= number <= most:  # NaN as well
        raise ValueError(f"{name} is {number}; it must lie in [0, {most:g}]")
    return number


def flags_checked(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Refuses, with a ValueError, what is given by name for a `bool` and is none: "no" would count as true."""
    flags = frozenset(name for name, kind in function.__annotations__.items() if kind == "bool")

    @functools.wraps(function)
    def checked(*args: _P.args, **keywords: _P.kwargs) -> _R:
        for name in flags & keywords.keys():
            check_flag(name, keywords[name])
        return function(*args, **keywords)

    return checked


def check_flag(name: str, value: Any) -> None:
    """ValueError for what is neither True nor False; 0, 1 and numpy's count as these."""
    given = isinstance(value, int) and value in (0, 1)
    if not given and str(getattr(value, "dtype", "")) != "bool":
        raise ValueError(f"{name} is {value!r}; give True or False")


def item_name(argument: str, index: int, count: int) -> str:
    """What an input is called in errors when it has no path."""
    return argument if count == 1 else f"{argument}[{index}]"


def as_list(value: Any, name: str) -> list[Any]:
    """A list or tuple as it is; a 4-dimensional array or tensor as its members; anything else as the only one."""
    batched = getattr(value, "ndim", 0) == 4
    items = list(value) if batched or isinstance(value, (list, tuple)) else [value]
    if not items:
        raise ValueError(f"{name} is empty; give at least one")
    return items
