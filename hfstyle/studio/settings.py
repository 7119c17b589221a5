"""What a visitor sets with the sliders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hfstyle.pipeline import DEFAULT_STYLE_SIZE
from hfstyle.studio.refusals import whole

DEFAULT_RESOLUTION: Final = 512


@dataclass(frozen=True)
class Settings:
    """How a photo is painted, whatever the style.

    Args:
        strength: from 0, the photo, to 1, the full style.
        color: from 0, the photo's own colours, to 1, the style's.
        style_size: short side in pixels at which style pictures are looked at.
        resolution: short side in pixels at which the photo is painted.
    """

    strength: float = 1.0
    color: float = 1.0
    style_size: int = DEFAULT_STYLE_SIZE
    resolution: int = DEFAULT_RESOLUTION

    @classmethod
    def of(cls, strength: float, color: float, style_size: float, resolution: float) -> Settings:
        """From sliders, whose whole numbers may come as floats."""
        return cls(
            float(strength),
            float(color),
            whole(style_size, "style size"),
            whole(resolution, "resolution"),
        )
