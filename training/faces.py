"""Teach a generator's map of faces, from photos with boxes around faces.

    python training/faces.py --model hfstyle/pretrained/base --data_dir "content-hires-*.parquet" \
        --heads training/heads.csv --output_dir with-faces

Rows with a list `faces` of boxes (x0, y0, x1, y1, shares of width and height) say where the faces of a picture are; rows
without the column say nothing, unless --heads names them: a table with the columns row, x0, y0, x1, y1 of further boxes, for
the animals, whose `row` is the number of the picture. What is learned is a soft ellipse within each box. Crops are seen at
the size at which the map looks at photos, with faces from 10 px to most of the crop. Only the map changes: codes of styles and
what is painted elsewhere stay as they are. Batch normalisation, which makes this a matter of minutes, is folded into the
convolutions at the end; it begins with the map as it was.

Most pictures are soon known, and few go wrong for long. Of the draws, the share --mining takes pictures as often as the map
was wrong on their last crops: a flower that it takes for a face, a face that it misses. What is written is the mean of the
last weights, every --checkpointing_steps, at the end, and when Ctrl-C or SIGTERM ends it; to go on, name that folder with
--model. With --held_out 8, the photos of every eighth author take no part, and say at the end how well faces are found.

B crops · S side of a crop
"""

from __future__ import annotations

import argparse
import copy
import csv
import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from hfstyle.models.faces import FaceMap, looked_at
from hfstyle.models.generator import StyleGenerator
from training.data.sources import DataError, ParquetSource, decode_picture, open_pictures
from training.run.optimisation import ema_update
from training.run.report import save_whole
from training.run.stopping import StopRequest

logger = logging.getLogger("hfstyle")

Box = tuple[float, float, float, float]

_GROWN, _FALL, _POWER = 1.15, 0.45, 2.5  # of the ellipse: its axes, its soft edge, how square it is
_LEAST = 10  # px of a face in a crop
_EMPTY = 0.3  # share of crops of pictures without faces
_REMEMBERED = 0.7  # of a picture's error, when a further crop of it is seen
_FOUND, _SHOWN = (
    0.5,
    40,
)  # mean of the map in a face that counts as found; least side in px of those that are counted


@dataclass
class Photo:
    """A picture, (H, W, 3) uint8, the boxes of its faces, and who made it, if that is known."""

    pixels: np.ndarray
    boxes: list[Box] = field(default_factory=list)
    author: str = ""


class Quality(NamedTuple):
    """How well faces of photos are found, all in [0, 1].

    recall: of faces of at least 40 px, the share that is marked, in the mean over their box, by half and more.
    precision: of what is marked, the share that lies in faces or their soft edge. empty: of photos without faces, the
    share that is marked.
    """

    recall: float
    precision: float
    empty: float


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


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    args = parse_args(argv)
    rng = np.random.default_rng(args.seed)
    torch.manual_seed(args.seed)
    photos, held = split(read_photos(args.data_dir, args.heads), args.held_out)
    shown = sum(len(photo.boxes) for photo in photos)
    logger.info(f"{len(photos)} pictures with {shown} faces; {len(held)} held out")
    generator = StyleGenerator.from_pretrained(args.model).float()

    def save(network: FaceMap) -> None:
        generator.faces = network
        save_whole(generator, Path(args.output_dir))

    if held:
        logger.info(f"before: {told(measure(generator.faces, held))}")
    network = learn(generator.faces, photos, rng, args, save)
    save(network)
    if held:
        logger.info(f"after: {told(measure(network, held))}")


def learn(
    network: FaceMap,
    photos: Sequence[Photo],
    rng: np.random.Generator,
    args: argparse.Namespace,
    save: Callable[[FaceMap], None] = lambda network: None,
) -> FaceMap:
    """A map that has learned from these photos, without gradients.

    save: is given what is learned so far, now and then.
    """
    draws = Draws(photos, args.mining)
    fresh = not network.out.weight.any()  # it has learned nothing before
    with_norms(network)
    if fresh:
        nn.init.normal_(network.out.weight, std=0.1)
        nn.init.constant_(network.out.bias, -2.0)  # type: ignore[arg-type]
    else:
        keep_function(network, batch(photos, draws, 64, args.resolution, rng).pictures)
    network.requires_grad_(True).train()
    average = AveragedModel(network, multi_avg_fn=ema_update(args.ema_decay), use_buffers=True)
    optimizer = torch.optim.AdamW(network.parameters(), args.learning_rate, weight_decay=1e-3)
    began, step, total = time.monotonic(), 0, 0.0
    stopping = StopRequest()
    while (done := _share(args, step, began)) < 1 and not stopping.asked:
        rate = min(1.0, (step + 1) / 100) * 0.5 * (1 + np.cos(np.pi * done))
        for group in optimizer.param_groups:
            group["lr"] = args.learning_rate * rate
        numbers, pictures, goal = batch(photos, draws, args.train_batch_size, args.resolution, rng)
        logits = network.logits(pictures)
        loss = face_loss(logits, goal)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad()
        average.update_parameters(network)
        draws.seen(numbers, wrong(logits.detach(), goal))
        step, total = step + 1, total + float(loss.detach())
        if step % args.logging_steps == 0:
            minutes = (time.monotonic() - began) / 60
            logger.info(
                f"step {step}  loss {total / args.logging_steps:.4f}  minutes {minutes:.1f}"
            )
            total = 0.0
        if step % args.checkpointing_steps == 0:
            save(_learned(average))
    stopping.restore()
    return _learned(average)


def _learned(average: AveragedModel) -> FaceMap:
    network = copy.deepcopy(average.module)
    assert isinstance(network, FaceMap)
    return fold_norms(network).requires_grad_(False).eval()


def wrong(logits: Tensor, goal: Tensor) -> Tensor:
    """How much of a face's area is marked wrongly or not marked, for each crop: (B,) >= 0, with little noise of what is sure.

    The sum of (p - g)^2 over the crop, divided by that of g^2 and an eighth of the crop's area.
    """
    off = (torch.sigmoid(logits) - goal).square().flatten(1).sum(1)
    inside = goal.square().flatten(1)
    return off / (inside.sum(1) + inside.shape[1] / 8)


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


@torch.inference_mode()
def measure(network: FaceMap, photos: Sequence[Photo]) -> Quality:
    """How well a map without norms finds the faces of these photos."""
    network = network.eval()
    faces = hits = 0
    marked = right = empty = 0.0
    without = 0
    for photo in photos:
        height, width = photo.pixels.shape[:2]
        picture = torch.from_numpy(photo.pixels).permute(2, 0, 1)[None].float() / 255
        found = network(looked_at(picture))  # (1, 1, h, w)
        rows, columns = found.shape[2:]
        share = float(found.mean())
        if not photo.boxes:
            without, empty = without + 1, empty + share
        marked += share
        right += float((found[0] * (soft_ellipses(photo.boxes, rows, columns) > 0)).mean())
        for x0, y0, x1, y1 in photo.boxes:
            if ((x1 - x0) * width * (y1 - y0) * height) ** 0.5 < _SHOWN:
                continue
            part = found[0, 0, int(y0 * rows) : int(np.ceil(y1 * rows)), int(x0 * columns) : int(np.ceil(x1 * columns))]  # fmt: skip
            faces, hits = faces + 1, hits + int(part.mean() > _FOUND)
    return Quality(hits / max(1, faces), right / max(1e-6, marked), empty / max(1, without))


def told(quality: Quality) -> str:
    """The measures in words."""
    return (
        f"finds {quality.recall:.1%} of faces, {quality.precision:.1%} of what it marks is face, "
        f"of photos without faces it marks {quality.empty:.2%}"
    )


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


class Crops(NamedTuple):
    """numbers: of the pictures they are of. pictures: (B, 3, S, S) in [0, 1]. goals: (B, 1, S/4, S/4), where faces are."""

    numbers: list[int]
    pictures: Tensor
    goals: Tensor


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


def with_norms(network: FaceMap) -> FaceMap:
    """Batch normalisation after each convolution but the last, in place."""
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.Conv2d) and name != "out":
            norm = nn.BatchNorm2d(layer.out_channels)
            norm.num_batches_tracked = None  # whole numbers have no mean
            normed = nn.Sequential(layer, norm)
            _replace(network, name, normed)
    return network


@torch.no_grad()
def keep_function(network: FaceMap, pictures: Tensor) -> None:
    """Let new norms give back what they take, as measured on pictures: the map begins as it was before them."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
            layer.register_forward_pre_hook(_give_back)
    network.train()
    network.logits(pictures)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.1
            layer._forward_pre_hooks.clear()


def _give_back(norm: nn.BatchNorm2d, given: tuple[Tensor]) -> None:
    variance, mean = torch.var_mean(given[0], (0, 2, 3), correction=0)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.copy_(mean)


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
    add("--learning_rate", type=float, default=3e-3, help="at its most; it falls by a cosine")
    add("--mining", type=float, default=0.5, help="share of draws that goes by errors, 0 to 1")
    add("--ema_decay", type=float, default=0.995, help="of the mean of weights that is written")
    add("--held_out", type=int, default=0, help="keep every so-many-th author's photos to measure")
    add("--logging_steps", type=int, default=50)
    add("--checkpointing_steps", type=int, default=200)
    add("--seed", type=int, default=0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, datefmt="%H:%M:%S")
    main()
