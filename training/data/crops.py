"""Random square crops of pictures: where they lie, and how they are cut.

Letters: K crops per picture · S side of a crop · H, W picture size.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from training.data.sources import DataError

__all__ = ["Zoom", "check_crops", "draw_regions", "random_crops"]

Zoom = tuple[float, float | None]  # lowest and highest side of a region / side of its crop


def check_crops(size: int, crops: int, zoom: Zoom) -> None:
    """Raises DataError unless size and crops are at least 1 and 0 < zoom[0] <= zoom[1] or None."""
    if size < 1 or crops < 1:
        raise DataError(f"size {size} and crops {crops} must be at least 1.")
    low, high = zoom
    if not low > 0 or (high is not None and not high >= low):
        raise DataError(f"zoom {zoom} must be (low, high) with 0 < low <= high, or high None.")


def _draw_region(
    height: int, width: int, size: int, zoom: Zoom, rng: np.random.Generator
) -> tuple[int, int, int]:
    """A random square (top, left, side): side log-uniform in size·[zoom], at most the picture."""
    short = min(height, width)
    low = min(max(1.0, size * zoom[0]), short)
    high = short if zoom[1] is None else min(size * zoom[1], short)
    side = round(low * (max(high, low) / low) ** rng.random())
    return int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1)), side


def draw_regions(
    height: int, width: int, size: int, zoom: Zoom, crops: int, rng: np.random.Generator
) -> list[tuple[int, int, int]]:
    """Random squares; each after the first is the one of four draws that overlaps least."""
    regions = [_draw_region(height, width, size, zoom, rng)]
    while len(regions) < crops:
        draws = [_draw_region(height, width, size, zoom, rng) for _ in range(4)]
        regions.append(min(draws, key=lambda draw: sum(_overlap(draw, r) for r in regions)))
    return regions


def _overlap(a: tuple[int, int, int], b: tuple[int, int, int]) -> float:
    """The share of the smaller square that the other one covers, in [0, 1]."""
    rows = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    columns = min(a[1] + a[2], b[1] + b[2]) - max(a[1], b[1])
    return max(rows, 0) * max(columns, 0) / min(a[2], b[2]) ** 2


def _cut(picture: np.ndarray, region: tuple[int, int, int], size: int, flip: bool) -> np.ndarray:
    """The square `region` of an (H, W, 3) picture as (3, S, S) uint8, resized with antialias."""
    top, left, side = region
    crop = picture[top : top + side, left : left + side]
    if side != size:
        image = Image.fromarray(np.ascontiguousarray(crop))
        crop = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
    if flip:
        crop = crop[:, ::-1]
    return np.ascontiguousarray(crop.transpose(2, 0, 1))


def random_crops(
    picture: np.ndarray, size: int, crops: int, zoom: Zoom, rng: np.random.Generator
) -> np.ndarray:
    """Crops of an (H, W, 3) uint8 picture: (K, 3, S, S) uint8, each flipped with probability 1/2."""
    regions = draw_regions(picture.shape[0], picture.shape[1], size, zoom, crops, rng)
    flips = rng.random(crops) < 0.5
    return np.stack(
        [
            _cut(picture, region, size, bool(flip))
            for region, flip in zip(regions, flips, strict=True)
        ]
    )
