"""What a visitor sets with the sliders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

from hfstyle.limits import NUMBERS, OPTIONS, Numbers
from hfstyle.studio.backend.refusals import whole

DEFAULT_RESOLUTION: Final[int] = OPTIONS["resolution"].default
"""Not "auto", as elsewhere: a preview comes within a second, and the full-size picture has the strokes of its preview."""


@dataclass(frozen=True)
class Settings:
    """How a photo is painted, whatever the style.

    Args:
        strength: from 0, the photo, to 1, the full style.
        color: from 0, the photo's own colours, to 1, the style's.
        style_size: short side in pixels at which style pictures are looked at.
        resolution: short side in pixels at which the photo is painted.
        faces: from 0, faces are painted like everything else, to 1, of faces as much as possible is kept.
    """

    strength: float = OPTIONS["strength"].default
    color: float = OPTIONS["color"].default
    style_size: int = OPTIONS["style_size"].default
    resolution: int = DEFAULT_RESOLUTION
    faces: float = OPTIONS["faces"].default

    def numbers(self) -> Numbers:
        """Those that a call of the pipeline takes as they are."""
        return cast(Numbers, {name: getattr(self, name) for name in NUMBERS})

    @classmethod
    def of(
        cls,
        strength: float,
        color: float,
        style_size: float,
        resolution: float,
        faces: float = OPTIONS["faces"].default,
    ) -> Settings:
        """From sliders, whose whole numbers may come as floats."""
        return cls(
            float(strength),
            float(color),
            whole(style_size, "style size"),
            whole(resolution, "resolution"),
            float(faces),
        )
