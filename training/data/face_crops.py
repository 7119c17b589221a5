"""Photos with boxes around faces, and crops of them for the map of faces to learn from.

B crops · S side of a crop
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from training.data.sources import DataError, ParquetSource, decode_picture, open_pictures

__all__ = ["Box", "Crops", "Draws", "Photo", "batch", "read_photos", "soft_ellipses", "split"]

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in shares of width and height."""

_GROWN, _FALL, _POWER = 1.15, 0.45, 2.5  # of the ellipse: its axes, its soft edge, how square it is
_LEAST = 10  # px of a face in a crop
_EMPTY = 0.3  # share of crops of pictures without faces
_REMEMBERED = 0.7  # of a picture's error, when a further crop of it is seen


@dataclass
class Photo:
    """A picture, (H, W, 3) uint8, the boxes of its faces, and who made it, if that is known."""

    pixels: np.ndarray
    boxes: list[Box] = field(default_factory=list)
    author: str = ""


class Draws:
    """Which pictures crops are taken from: some evenly, the others as often as the map was wrong on them.

    Args:
        photos: all pictures.
        mining: share of the draws that goes by errors. Those of a picture that was not seen yet are 1.
    """

    def __init__(self, photos: Sequence[Photo], mining: float) -> None:
        self.mining = mining
        self.errors = np.ones(len(photos))
        shown = np.array([bool(photo.boxes) for photo in photos])
        self._with, self._without = np.flatnonzero(shown), np.flatnonzero(~shown)

    def one(self, rng: np.random.Generator) -> int:
        """The number of a picture, in three of ten draws of one without faces."""
        without = len(self._without) and (not len(self._with) or rng.random() < _EMPTY)
        pool = self._without if without else self._with
        errors = self.errors[pool]
        if rng.random() < self.mining and errors.sum() > 0:
            return int(rng.choice(pool, p=errors / errors.sum()))
        return int(rng.choice(pool))

    def seen(self, numbers: Sequence[int], errors: Tensor) -> None:
        """How wrong the map was on crops of these pictures, (B,) >= 0."""
        for number, error in zip(numbers, errors.tolist(), strict=True):
            self.errors[number] += (1 - _REMEMBERED) * (error - self.errors[number])


class Crops(NamedTuple):
    """numbers: of the pictures they are of. pictures: (B, 3, S, S) in [0, 1]. goals: (B, 1, S/4, S/4), where faces are."""

    numbers: list[int]
    pictures: Tensor
    goals: Tensor


def read_photos(pattern: str, heads: Path | None) -> list[Photo]:
    """Pictures of Parquet files that say where faces are, in their column `faces` or in the table `heads`.

    Raises:
        DataError: no such files, or none of them says where faces are.
    """
    source = open_pictures(data_dir=pattern)
    if not isinstance(source, ParquetSource):
        raise DataError(
            f"{pattern!r} are no Parquet files: boxes around faces are read from their column 'faces'"
        )
    further: dict[int, list[Box]] = {}
    if heads is not None:
        with heads.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                box = tuple(float(row[name]) for name in ("x0", "y0", "x1", "y1"))
                further.setdefault(int(row["row"]), []).append(box)  # type: ignore[arg-type]
    given, authors = _given_boxes(source.files), _authors(source.files)
    photos = []
    for index in range(len(source)):
        boxes = [*given[index], *further.get(index, [])]
        photos.append(Photo(decode_picture(source[index]), boxes, authors[index]))
    if not any(photo.boxes for photo in photos):
        raise DataError(
            f"no picture of {pattern!r} has a face: give Parquet files with a column 'faces', or a table by --heads"
        )
    return photos


def split(photos: list[Photo], every: int) -> tuple[list[Photo], list[Photo]]:
    """Photos to learn from, and those of every so-many-th author, or none if it is 0.

    By authors, since some pictures are parts of others.
    """
    if not every:
        return photos, []
    authors = sorted({photo.author for photo in photos})
    away = {author for author in authors[every - 1 :: every] if author}
    return (
        [photo for photo in photos if photo.author not in away],
        [photo for photo in photos if photo.author in away],
    )


def batch(
    photos: Sequence[Photo], draws: Draws, count: int, side: int, rng: np.random.Generator
) -> Crops:
    """Crops to learn from."""
    numbers = [draws.one(rng) for _ in range(count)]
    pictures, goals = [], []
    for number in numbers:
        picture, boxes = crop(photos[number], side, rng)
        pictures.append(graded(picture, rng))
        goals.append(soft_ellipses(boxes, side // 4, side // 4))
    return Crops(numbers, torch.stack(pictures), torch.stack(goals))


def crop(photo: Photo, side: int, rng: np.random.Generator) -> tuple[Tensor, list[Box]]:
    """A part of a photo, mirrored or not, (3, S, S) in [0, 1], and the boxes in it; of photos with faces, around one mostly."""
    height, width = photo.pixels.shape[:2]
    least = 0.8 * side / max(height, width)
    scale = float(np.exp(rng.uniform(np.log(least), np.log(max(2.0, 2 * least)))))
    centre = rng.uniform(0, width), rng.uniform(0, height)
    if photo.boxes and rng.random() < 0.85:
        x0, y0, x1, y1 = photo.boxes[rng.integers(len(photo.boxes))]
        size = np.sqrt((x1 - x0) * width * (y1 - y0) * height)
        wanted = np.exp(rng.uniform(np.log(_LEAST), np.log(0.95 * side)))
        scale = float(np.clip(wanted / size, least, max(3.0, least)))
        shift = rng.uniform(-0.4, 0.4, 2) * side / scale
        centre = (x0 + x1) / 2 * width + shift[0], (y0 + y1) / 2 * height + shift[1]
    half = side / scale / 2
    left, top = (
        float(np.clip(c, min(half, n / 2), max(n - half, n / 2))) - half
        for c, n in zip(centre, (width, height), strict=True)
    )
    area = (left, top, left + 2 * half, top + 2 * half)
    image = Image.fromarray(photo.pixels)
    if min(area[:2]) < 0 or area[2] > width or area[3] > height:  # shown on grey
        image = image.crop(tuple(map(round, area)))  # type: ignore[arg-type]
        resized = image.resize((side, side), Image.Resampling.BILINEAR)
    else:
        resized = image.resize((side, side), Image.Resampling.BILINEAR, box=area)
    picture = torch.from_numpy(np.array(resized)).permute(2, 0, 1).float() / 255
    boxes = [
        ((x0 * width - left) / (2 * half), (y0 * height - top) / (2 * half),
         (x1 * width - left) / (2 * half), (y1 * height - top) / (2 * half))
        for x0, y0, x1, y1 in photo.boxes
    ]  # fmt: skip
    if rng.random() < 0.5:
        picture = picture.flip(2)
        boxes = [(1 - x1, y0, 1 - x0, y1) for x0, y0, x1, y1 in boxes]
    return picture, boxes


def graded(picture: Tensor, rng: np.random.Generator) -> Tensor:
    """(3, S, S) in [0, 1] in other light and colours, grey now and then, some blurred or with noise."""
    x = picture.clamp(min=1e-4) ** float(np.exp(rng.normal(0, 0.25)))
    mean = x.mean()
    x = (x - mean) * float(np.exp(rng.normal(0, 0.25))) + mean + float(rng.normal(0, 0.07))
    grey = x.mean(0, keepdim=True)
    x = grey + (x - grey) * float(rng.choice([0.0, rng.uniform(0.2, 1.6), 1.0], p=[0.2, 0.2, 0.6]))
    x = x * torch.from_numpy(np.exp(rng.normal(0, 0.08, 3))).float()[:, None, None]
    if rng.random() < 0.2:
        x = F.avg_pool2d(F.pad(x[None], (1, 1, 1, 1), mode="replicate"), 3, 1)[0]
    if rng.random() < 0.3:
        x = x + float(rng.uniform(0.005, 0.05)) * torch.from_numpy(rng.normal(size=x.shape)).float()
    return x.clamp(0, 1)


def soft_ellipses(boxes: Sequence[Box], height: int, width: int) -> Tensor:
    """(1, height, width) in [0, 1]: 1 within the boxes' ellipses, falling to 0 softly outside."""
    goal = torch.zeros(height, width)
    down = ((torch.arange(height) + 0.5) / height)[:, None]
    right = ((torch.arange(width) + 0.5) / width)[None]
    for x0, y0, x1, y1 in boxes:
        x = ((right - (x0 + x1) / 2) / (_GROWN * (x1 - x0) / 2)).abs()
        y = ((down - (y0 + y1) / 2) / (_GROWN * (y1 - y0) / 2)).abs()
        away = (x**_POWER + y**_POWER) ** (1 / _POWER)
        t = ((1 + _FALL - away) / _FALL).clamp(0, 1)
        goal = torch.maximum(goal, t * t * (3 - 2 * t))
    return goal[None]


def _given_boxes(files: Sequence[Path]) -> list[list[Box]]:
    """Of each row of Parquet files, the boxes in their column `faces`; none where there is no such column."""
    import pyarrow.parquet as pq

    boxes: list[list[Box]] = []
    for file in files:
        table = pq.ParquetFile(file)
        if "faces" not in table.schema_arrow.names:
            boxes += [[] for _ in range(table.metadata.num_rows)]
            continue
        for row in table.read(["faces"]).column(0).to_pylist():
            own = [
                tuple(box.values()) if isinstance(box, dict) else tuple(box) for box in row or ()
            ]
            boxes.append(own)  # type: ignore[arg-type]
    return boxes


def _authors(files: Sequence[Path]) -> list[str]:
    """Of each row of Parquet files, its column `artist`, or nothing."""
    import pyarrow.parquet as pq

    authors: list[str] = []
    for file in files:
        table = pq.ParquetFile(file)
        if "artist" in table.schema_arrow.names:
            column = table.read(["artist"]).column(0).to_pylist()
            authors += [name or "" for name in column]
        else:
            authors += [""] * table.metadata.num_rows
    return authors
