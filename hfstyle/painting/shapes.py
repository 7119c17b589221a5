"""Internal to `hfstyle.regions`: masks that have names. Free of torch, for the command line's help."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FOUND", "INSIDE", "SHAPES"]

_Inside: TypeAlias = "Callable[[Tensor, Tensor], Tensor]"


def _in_the_middle(x: Tensor, y: Tensor) -> Tensor:
    return ((x - 0.5) / 0.32) ** 2 + ((y - 0.5) / 0.42) ** 2 < 1


INSIDE: Final[Mapping[str, _Inside]] = {
    "left-half": lambda x, y: x < 1 / 2,
    "right-half": lambda x, y: x > 1 / 2,
    "upper-half": lambda x, y: y < 1 / 2,
    "lower-half": lambda x, y: y > 1 / 2,
    "upper-third": lambda x, y: y < 1 / 3,
    "lower-third": lambda x, y: y > 2 / 3,
    "middle": _in_the_middle,
    "surroundings": lambda x, y: ~_in_the_middle(x, y),
}
"""What is inside, of places (x, y) in shares of width and height."""

SHAPES: Final = tuple(INSIDE)
"""Names that are masks for photos of any size: halves, thirds, an ellipse in the middle, and all around it."""

FOUND: Final = ("faces", "subject", "background")
"""Names of masks that are found in each photo: the faces of people, the subject, and all but the subject."""
