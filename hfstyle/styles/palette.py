"""Internal to `hfstyle.styles.words`: words for colours and texture, computed from a picture.

Bounds were set so that each word is said of roughly a tenth to a third of the training art.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from hfstyle.images.geometry import resize

__all__ = ["COLOR_WORDS", "picture_words"]

_SIZE: Final = 160  # px, short side
_HUES: Final = (  # where a hue ends, in degrees
    (15, "red"),
    (48, "orange"),
    (70, "yellow"),
    (165, "green"),
    (260, "blue"),
    (300, "purple"),
    (345, "pink"),
    (360, "red"),
)
COLOR_WORDS: Final = {name for _, name in _HUES} | {"brown", "gold", "ivory"}
"""Those that name a hue."""


def picture_words(rgb: Tensor) -> list[str]:
    """Words for a picture (3, H, W) in [0, 1]: its lightness, colours, contrast and texture."""
    x = resize(rgb, _SIZE)
    high, low = x.amax(0), x.amin(0)  # (h, w)
    light, chroma = (high + low) / 2, high - low
    words = []
    mean, spread, colour = float(light.mean()), float(light.std()), float(chroma.mean())
    words += ["dark"] if mean < 0.33 else ["pale"] if mean > 0.66 else []
    words += ["contrast"] if spread > 0.26 else ["subdued"] if spread < 0.13 else []
    words += ["vivid"] if colour > 0.28 else ["muted"] if colour < 0.11 else []
    if colour < 0.05:
        words.append("monochrome")
    else:
        words += _hue_words(x, high, chroma, light)
    step = (light[1:, :-1] - light[:-1, :-1]).abs() + (light[:-1, 1:] - light[:-1, :-1]).abs()
    rough, flat = float(step.mean()), float((step < 0.012).float().mean())
    words += ["detailed", "rough"] if rough > 0.13 else ["soft"] if rough < 0.055 else []
    if flat > 0.35:
        words += ["flat"] if float(step.quantile(0.97)) > 0.25 else ["misty"]
    return words


def _hue_words(x: Tensor, high: Tensor, chroma: Tensor, light: Tensor) -> list[str]:
    """The hues that carry most of the colour, and whether they are warm or cool."""
    red, green, blue = x
    safe = chroma.clamp(min=1e-6)
    sector = torch.where(
        high == red,
        ((green - blue) / safe) % 6,
        torch.where(high == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    hue = sector * 60  # (h, w) degrees
    mass = chroma / chroma.sum()
    shares: dict[str, float] = {}
    begin = 0
    for end, name in _HUES:
        inside = (hue >= begin) & (hue < end)
        shares[name] = shares.get(name, 0.0) + float(mass[inside].sum())
        begin = end
    words = [name for name, share in shares.items() if share > 0.3 and name != "orange"]
    if shares["orange"] > 0.35:
        orange = (hue >= 15) & (hue < 48)
        tone = float((light * mass * orange).sum()) / shares["orange"]
        words.append("brown" if tone < 0.45 else "gold" if tone < 0.62 else "ivory")
    warm = shares["red"] + shares["orange"] + shares["yellow"]
    words += ["warm"] if warm > 0.95 else ["cool"] if warm < 0.4 else []
    return words
