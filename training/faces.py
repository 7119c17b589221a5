"""Teach a generator's map of faces, from photos with boxes around faces.

    python training/faces.py --model hfstyle/pretrained/base --data_dir "content-hires-*.parquet" \
        --heads training/heads.csv --output_dir with-faces

Rows with a list `faces` of boxes (x0, y0, x1, y1, shares of width and height) say where the faces of a picture are; rows
without the column say nothing, unless --heads names them: a table with the columns row, x0, y0, x1, y1 of further boxes, for
the animals, whose `row` is the number of the picture. What is learned is a soft ellipse within each box. Crops are seen at
the size at which the map looks at photos, with faces from 10 px to most of the crop. Only the map changes: codes of styles and
what is painted elsewhere stay as they are. Batch normalisation, which makes this a matter of minutes, is folded into the
convolutions at the end.

B crops · S side of a crop
"""

from __future__ import annotations

import argparse
import csv
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from hfstyle.models.faces import FaceMap
from hfstyle.models.generator import StyleGenerator
from training.data.sources import DataError, ParquetSource, decode_picture, open_pictures

logger = logging.getLogger("hfstyle")

Box = tuple[float, float, float, float]

_GROWN, _FALL, _POWER = 1.15, 0.45, 2.5  # of the ellipse: its axes, its soft edge, how square it is
_LEAST = 10  # px of a face in a crop
_EMPTY = 0.4  # share of crops of pictures without faces


@dataclass
class Photo:
    """A picture, (H, W, 3) uint8, and the boxes of its faces."""

    pixels: np.ndarray
    boxes: list[Box] = field(default_factory=list)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    args = parse_args(argv)
    rng = np.random.default_rng(args.seed)
    torch.manual_seed(args.seed)
    photos = read_photos(args.data_dir, args.heads)
    shown = sum(len(photo.boxes) for photo in photos)
    logger.info(f"{len(photos)} pictures with {shown} faces")
    generator = StyleGenerator.from_pretrained(args.model).float()
    generator.faces = learn(generator.faces, photos, rng, args)
    generator.half().save_pretrained(args.output_dir)


def learn(
    network: FaceMap, photos: Sequence[Photo], rng: np.random.Generator, args: argparse.Namespace
) -> FaceMap:
    """A map that has learned from these photos, without gradients."""
    with_norms(network).requires_grad_(True).train()
    if not network.out.weight.any():  # it has learned nothing before
        nn.init.normal_(network.out.weight, std=0.1)
        nn.init.constant_(network.out.bias, -2.0)  # type: ignore[arg-type]
    optimizer = torch.optim.AdamW(network.parameters(), args.learning_rate, weight_decay=1e-3)
    began, step, total = time.monotonic(), 0, 0.0
    while (done := _share(args, step, began)) < 1:
        rate = min(1.0, (step + 1) / 100) * 0.5 * (1 + np.cos(np.pi * done))
        for group in optimizer.param_groups:
            group["lr"] = args.learning_rate * rate
        pictures, goal = batch(photos, args.train_batch_size, args.resolution, rng)
        loss = face_loss(network.logits(pictures), goal)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad()
        step, total = step + 1, total + float(loss.detach())
        if step % args.logging_steps == 0:
            minutes = (time.monotonic() - began) / 60
            logger.info(
                f"step {step}  loss {total / args.logging_steps:.4f}  minutes {minutes:.1f}"
            )
            total = 0.0
    return fold_norms(network).requires_grad_(False).eval()


def face_loss(logits: Tensor, goal: Tensor) -> Tensor:
    """Cross entropy, faces counting double, and 0.3 of 1 - Dice for crops with faces: whole ones, and little else.

    logits, goal: (B, 1, S/4, S/4), the goal in [0, 1].
    """
    entropy = F.binary_cross_entropy_with_logits(logits, goal, weight=1 + goal)
    found, inside = torch.sigmoid(logits).flatten(1), goal.flatten(1)
    energy = found.square().sum(1) + inside.square().sum(1)
    dice = 1 - (2 * (found * inside).sum(1) + 1) / (energy + 1)
    shown = (inside.sum(1) > 1).float()
    return entropy + 0.3 * (dice * shown).sum() / shown.sum().clamp(min=1)


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


def batch(
    photos: Sequence[Photo], count: int, side: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Crops (B, 3, S, S) in [0, 1], and where their faces are, (B, 1, S/4, S/4)."""
    with_faces = [photo for photo in photos if photo.boxes]
    without = [photo for photo in photos if not photo.boxes]
    pictures, goals = [], []
    for _ in range(count):
        empty = bool(without) and (not with_faces or rng.random() < _EMPTY)
        pool = without if empty else with_faces
        picture, boxes = crop(pool[rng.integers(len(pool))], side, rng)
        pictures.append(graded(picture, rng))
        goals.append(soft_ellipses(boxes, side // 4, side // 4))
    return torch.stack(pictures), torch.stack(goals)


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
    given = _given_boxes(source.files)
    photos = []
    for index in range(len(source)):
        boxes = [*given[index], *further.get(index, [])]
        photos.append(Photo(decode_picture(source[index]), boxes))
    if not any(photo.boxes for photo in photos):
        raise DataError(
            f"no picture of {pattern!r} has a face: give Parquet files with a column 'faces', or a table by --heads"
        )
    return photos


def with_norms(network: FaceMap) -> FaceMap:
    """Batch normalisation after each convolution but the last, in place; at first they change nothing of their own."""
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.Conv2d) and name != "out":
            normed = nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels))
            _replace(network, name, normed)
    return network


@torch.no_grad()
def fold_norms(network: FaceMap) -> FaceMap:
    """The opposite: what the norms do becomes a part of the convolutions."""
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.Sequential):
            conv, norm = layer
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            assert conv.bias is not None
            assert norm.running_mean is not None
            assert norm.running_var is not None
            gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            conv.weight.mul_(gain[:, None, None, None])
            conv.bias.sub_(norm.running_mean).mul_(gain).add_(norm.bias)
            _replace(network, name, conv)
    return network


def _replace(network: nn.Module, name: str, layer: nn.Module) -> None:
    *path, last = name.split(".")
    setattr(network.get_submodule(".".join(path)), last, layer)


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


def _share(args: argparse.Namespace, step: int, began: float) -> float:
    """How much of the time or of the steps is over."""
    if args.max_train_steps is not None:
        return float(step / args.max_train_steps)
    return float((time.monotonic() - began) / 60 / args.max_train_minutes)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description="Teach a generator's map of faces.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--model", required=True, help="folder of the generator")
    add("--data_dir", required=True, help="Parquet files with pictures and a column 'faces'")
    add("--heads", type=Path, help="table of further boxes: row, x0, y0, x1, y1")
    add("--output_dir", required=True)
    add("--resolution", type=int, default=192, help="side of crops, px, a multiple of 32")
    add("--train_batch_size", type=int, default=32)
    add("--max_train_minutes", type=float, default=60.0)
    add("--max_train_steps", type=int, help="instead of minutes")
    add("--learning_rate", type=float, default=3e-3)
    add("--logging_steps", type=int, default=50)
    add("--seed", type=int, default=0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, datefmt="%H:%M:%S")
    main()
