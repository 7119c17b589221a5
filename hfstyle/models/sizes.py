"""The generator's configurations by name, and what every configuration must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

__all__ = ["SIZES", "check_counts"]

SIZES: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "base": {  # as published: 5 M numbers
            "widths": (32, 48, 128, 192),
            "fine_width": 24,
            "blocks": (2, 1, 2),
            "style_width": 256,
            "token_width": 128,
            "token_grid": 8,
            "heads": 4,
            "face_widths": (24, 48, 80, 96),
        },
        "tiny": {  # for tests and dry runs
            "widths": (8, 8, 16, 16),
            "fine_width": 8,
            "blocks": (1, 1, 1),
            "style_width": 16,
            "token_width": 16,
            "token_grid": 4,
            "heads": 2,
            "face_widths": (4, 4, 8, 8),
        },
    }
)
"""Configurations by name: `StyleGenerator(**SIZES["tiny"])`."""


def check_counts(**given: int | Sequence[int]) -> None:
    """ValueError for an argument of a network that is not made of whole numbers from 1."""
    for name, value in given.items():
        numbers = value if isinstance(value, Sequence) else [value]
        if not numbers or any(
            not isinstance(n, int) or isinstance(n, bool) or n < 1 for n in numbers
        ):
            raise ValueError(f"{name} is {value!r}; give whole numbers from 1")
