"""Many pictures as one style or a few: the mean of a collection, or representatives by clustering; and contact sheets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import torch
from torch import Tensor

from hfstyle.images.decode import ImageError
from hfstyle.images.load import list_images
from hfstyle.styles.code import StyleCode
from hfstyle.styles.code_file import StyleCodeError

__all__ = ["cluster_codes", "left_out_told", "none_usable", "pictures_of", "usable"]

T = TypeVar("T")

_ITERATIONS: Final = 50
_STARTS: Final = 8
_FARTHEST: Final = 2.0  # deviations


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


def usable(
    pictures: Iterable[Any], read: Callable[[Any, int], T], left_out: list[str]
) -> Iterator[T]:
    """What `read(picture, index)` makes of each picture; of one that cannot be used, `left_out` gets why."""
    for index, picture in enumerate(pictures):
        try:
            yield read(picture, index)
        except (ImageError, StyleCodeError) as error:
            left_out.append(str(error))


def left_out_told(count: int) -> str:
    """That so many are left out."""
    which = "picture that cannot be used is" if count == 1 else "pictures that cannot be used are"
    return f"{count} {which} left out"


def none_usable(left_out: Sequence[str]) -> ImageError:
    """The error for pictures that are all left out."""
    if len(left_out) == 1:
        return ImageError(left_out[0])
    return ImageError(f"none of the {len(left_out)} pictures can be used; the first: {left_out[0]}")


def cluster_codes(codes: Sequence[StyleCode], clusters: int) -> list[tuple[StyleCode, list[int]]]:
    """The means of groups of alike styles, by k-means, largest group first.

    Vector and tokens count alike, and so does each number of either; what lies far out counts as two deviations, so that
    a picture unlike all others does not become a group of its own before the others are told apart. Of several starts
    by k-means++ (Arthur & Vassilvitskii 2007), with fixed seeds, the one with the tightest groups is taken.

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
    found = [_grouped(points, _starts(points, clusters, seed)) for seed in range(_STARTS)]
    groups = min(found, key=lambda pair: pair[1])[0]
    members = [(groups == k).nonzero().flatten().tolist() for k in range(clusters)]
    members = sorted((m for m in members if m), key=lambda m: (-len(m), m))
    return [(StyleCode.mix([codes[i] for i in group]), group) for group in members]


def _scaled(tensors: Sequence[Tensor]) -> Tensor:
    """(N, C): each number in its deviations, far ones drawn in, and all divided so that summed variances are about 1."""
    points = torch.stack([tensor.flatten() for tensor in tensors])
    points = points - points.mean(0)
    points /= points.std(0, correction=0).clamp(min=1e-9)
    return points.clamp_(-_FARTHEST, _FARTHEST) / points.shape[1] ** 0.5


def _starts(points: Tensor, count: int, seed: int) -> Tensor:
    """`count` of the points (N, C), each drawn by its squared distance from those before: (count, C)."""
    chance = torch.Generator().manual_seed(seed)
    chosen = [int(torch.randint(len(points), (1,), generator=chance))]
    while len(chosen) < count:
        gaps = torch.cdist(points, points[chosen]).amin(1).square()  # (N,)
        gaps[chosen] = 0
        gaps = gaps if float(gaps.sum()) > 0 else torch.ones_like(gaps)  # all alike
        chosen.append(int(torch.multinomial(gaps, 1, generator=chance)))
    return points[chosen].clone()


def _grouped(points: Tensor, centres: Tensor) -> tuple[Tensor, float]:
    """Group of each of the points (N, C) by Lloyd's algorithm, and the sum of squared distances to their centres."""
    groups = torch.cdist(points, centres).argmin(1)  # (N,)
    for _ in range(_ITERATIONS):
        for k in range(len(centres)):
            if bool((groups == k).any()):
                centres[k] = points[groups == k].mean(0)
        moved = torch.cdist(points, centres).argmin(1)
        if torch.equal(moved, groups):
            break
        groups = moved
    return groups, float((points - centres[groups]).square().sum())
