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
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from hfstyle.models.faces import FaceMap, looked_at
from hfstyle.models.generator import StyleGenerator
from hfstyle.parser import Parser
from training.data.face_crops import Draws, Photo, batch, read_photos, soft_ellipses, split
from training.run.folder import make_output_dir
from training.run.norms import fold_norms, keep_function, with_norms
from training.run.optimisation import ema_update
from training.run.report import save_styles, save_whole
from training.run.stopping import StopRequest, run_told

logger = logging.getLogger("hfstyle")

_FOUND = 0.5  # mean of the map in a face that counts as found
_SHOWN = 40  # px, the least side of faces that are counted


class Quality(NamedTuple):
    """How well faces of photos are found, all in [0, 1].

    recall: of faces of at least 40 px, the share that is marked, in the mean over their box, by half and more.
    precision: of what is marked, the share that lies in faces or their soft edge. empty: of photos without faces, the
    share that is marked.
    """

    recall: float
    precision: float
    empty: float


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    args = parse_args(argv)
    output_dir = make_output_dir(args.output_dir)
    rng = np.random.default_rng(args.seed)
    torch.manual_seed(args.seed)
    photos, held = split(read_photos(args.data_dir, args.heads), args.held_out)
    shown = sum(len(photo.boxes) for photo in photos)
    logger.info(f"{len(photos)} pictures with {shown} faces; {len(held)} held out")
    generator = StyleGenerator.from_pretrained(args.model).float()

    def save(network: FaceMap) -> None:
        generator.faces = network
        save_whole(generator, output_dir)
        save_styles(args.model, generator, output_dir)

    if held:
        logger.info(f"before: {told(measure(generator.faces, held))}")
    network = learn(generator.faces, photos, rng, args, save)
    save(network)
    if held:
        logger.info(f"after: {told(measure(network, held))}")
    logger.info(f"{args.output_dir} is the model")


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


def _share(args: argparse.Namespace, step: int, began: float) -> float:
    """How much of the time or of the steps is over."""
    if args.max_train_steps is not None:
        return float(step / args.max_train_steps)
    return float((time.monotonic() - began) / 60 / args.max_train_minutes)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(
        description="Teach a generator's map of faces.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--model", required=True, help="folder or Hub id of the generator")
    add("--data_dir", required=True, help="Parquet files with pictures and a column 'faces'")
    add("--heads", type=Path, help="table of further boxes: row, x0, y0, x1, y1")
    add("--output_dir", required=True, help="folder of the result")
    add("--resolution", type=int, default=192, help="side of crops, px, a multiple of 32")
    add("--train_batch_size", type=int, default=32, help="crops of a step")
    add("--max_train_minutes", type=float, default=60.0, help="after which it ends")
    add("--max_train_steps", type=int, help="instead of minutes")
    add("--learning_rate", type=float, default=3e-3, help="at its most; it falls by a cosine")
    add("--mining", type=float, default=0.5, help="share of draws that goes by errors, 0 to 1")
    add("--ema_decay", type=float, default=0.995, help="of the mean of weights that is written")
    add("--held_out", type=int, default=0, help="keep every so-many-th author's photos to measure")
    add("--logging_steps", type=int, default=50, help="between lines of numbers")
    add("--checkpointing_steps", type=int, default=200, help="write the model every so many steps")
    add("--seed", type=int, default=0, help="of the random numbers")
    return parser.parse_args(argv)


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, datefmt="%H:%M:%S")
    run_told(main, None)
