"""Many pictures as one style or a few: the mean of a collection, or representatives by clustering; and contact sheets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from hfstyle.images import list_images
from hfstyle.style import StyleCode

__all__ = ["cluster_codes", "contact_sheet", "pictures_of"]

_ITERATIONS: Final = 50
_MARGIN: Final = 10
_LINE: Final = 22


def pictures_of(collection: Any) -> Iterable[Any]:
    """The pictures of a collection: of a folder's path its files, of a data set its column "image", else the items.

    Raises:
        ImageError: no such folder.
        ValueError: a row of a data set has no "image".
    """
    if isinstance(collection, (str, os.PathLike)):
        return list_images(collection)
    return (_picture(item) for item in collection)


def _picture(item: Any) -> Any:
    if not isinstance(item, Mapping):
        return item
    if "image" not in item:
        raise ValueError(
            f"a row of the data set has the columns {', '.join(map(str, item))} and no 'image'; rename one"
        )
    return item["image"]


def cluster_codes(codes: Sequence[StyleCode], clusters: int) -> list[tuple[StyleCode, list[int]]]:
    """The means of groups of alike styles, by k-means, largest group first.

    Vector and tokens count alike. The first centre is the code nearest to the mean, each further one the code farthest
    from those before, so that nothing depends on chance.

    Args:
        codes: at least `clusters`, of one encoder.
        clusters: number of groups, from 1.

    Returns:
        For each group its mean code and the indices of its members.

    Raises:
        ValueError: `clusters` out of range.
        StyleCodeError: codes of different encoders.
    """
    if not 1 <= clusters <= len(codes):
        raise ValueError(
            f"clusters is {clusters} for {len(codes)} pictures; give 1 to {len(codes)}"
        )
    StyleCode.mix(codes)  # checks that they are alike
    points = torch.cat([_scaled([c.vector for c in codes]), _scaled([c.tokens for c in codes])], 1)
    centres = _spread(points, clusters)  # (K, C)
    groups = torch.cdist(points, centres).argmin(1)  # (N,)
    for _ in range(_ITERATIONS):
        for k in range(clusters):
            if bool((groups == k).any()):
                centres[k] = points[groups == k].mean(0)
        moved = torch.cdist(points, centres).argmin(1)
        if torch.equal(moved, groups):
            break
        groups = moved
    members = [(groups == k).nonzero().flatten().tolist() for k in range(clusters)]
    members = sorted((m for m in members if m), key=lambda m: (-len(m), m))
    return [(StyleCode.mix([codes[i] for i in group]), group) for group in members]


def contact_sheet(
    pictures: Sequence[Image.Image], titles: Sequence[str], columns: int = 4, side: int = 256
) -> Image.Image:
    """Pictures in rows with their titles below.

    Args:
        pictures: at least one.
        titles: one for each.
        columns: pictures in a row, from 1.
        side: longest side of a picture in pixels.

    Raises ValueError for no pictures, or another number of titles.
    """
    if not pictures or len(pictures) != len(titles):
        raise ValueError(f"{len(pictures)} pictures and {len(titles)} titles; give as many of both")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    tiles = [picture.convert("RGB") for picture in pictures]
    for tile in tiles:
        tile.thumbnail((side, side), Image.Resampling.LANCZOS)
    high = max(tile.height for tile in tiles)
    cell = (side + _MARGIN, high + _LINE + _MARGIN)
    sheet = Image.new("RGB", (columns * cell[0] + _MARGIN, rows * cell[1] + _MARGIN), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for index, (tile, title) in enumerate(zip(tiles, titles, strict=True)):
        x = _MARGIN + index % columns * cell[0]
        y = _MARGIN + index // columns * cell[1]
        sheet.paste(tile, (x + (side - tile.width) // 2, y + (high - tile.height) // 2))
        while title and draw.textlength(title, font=font) > side:
            title = title[:-2] + "…" if len(title) > 2 else ""
        draw.text((x, y + high + 3), title, "black", font)
    return sheet


def _scaled(tensors: Sequence[Tensor]) -> Tensor:
    """(N, C) whose summed variance is 1, or 0."""
    points = torch.stack([tensor.flatten() for tensor in tensors])
    spread = float(points.var(0, correction=0).sum()) ** 0.5
    return (points - points.mean(0)) / (spread or 1.0)


def _spread(points: Tensor, count: int) -> Tensor:
    """`count` of the points (N, C), far from each other: (count, C)."""
    chosen = [int(points.norm(dim=1).argmin())]
    while len(chosen) < count:
        chosen.append(int(torch.cdist(points, points[chosen]).amin(1).argmax()))
    return points[chosen].clone()
