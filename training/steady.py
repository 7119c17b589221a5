"""Teach a trained generator to paint borders as it paints the middle, and a photo with noise as the photo without.

    python training/steady.py --model MODEL --content_data_dir "content-train-*.parquet" \
        --style_data_dir "style-train-*.parquet" --output_dir steadier

The generator is its own teacher (distillation, Hinton et al. 2015): what it was paints a photo, and what it becomes learns to
paint the same of less. Of a window of the photo, with the statistics of the whole: there the window has a border, the whole
has none. Or of the photo moved by some pixels, with a little noise. Both are compared pixel by pixel, so that some hundred
steps suffice. Where a stroke lies along a border cannot be foretold, and the median of all such strokes is none: along the
borders of windows, means and deviations of perceptual features are compared as well. The encoder stays as it is, and style
codes keep their meaning.

B pairs · S side of a crop
"""

from __future__ import annotations

import argparse
import copy
import logging
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
import torch.nn.functional as F
from accelerate.utils import set_seed
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from hfstyle.models.generator import StyleGenerator
from hfstyle.models.statistics import InstanceStatistics
from hfstyle.parser import Parser
from training.data.open import open_crops
from training.data.variation import vary_colors, vary_patterns
from training.game import losses
from training.game.perceptual import PerceptualNetwork, load_perceptual
from training.game.views import channels_last, move, noisy, resized, to_float
from training.run.arguments import add_lesson
from training.run.folder import make_output_dir
from training.run.optimisation import ema_update, precision
from training.run.report import save_styles, save_whole
from training.run.stopping import StopRequest, run_told

logger = logging.getLogger("hfstyle")

_SIDE = 320  # px, of crops: windows of 192 px
_ZOOMS = {"content": (0.55, 1.0), "style": (0.6, 1.0)}
_MARGIN = 64  # px, a multiple of the cells of the coarsest maps: how far a border is seen to reach
_STRIP = 32  # px
_LAYERS = frozenset({"relu1_1", "relu2_1", "relu3_1", "relu4_1"})


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    args = parse_args(argv)
    output_dir = make_output_dir(args.output_dir)
    set_seed(args.seed)
    device = torch.device(args.device)
    pupil = StyleGenerator.from_pretrained(args.model).float().to(device)
    pupil = pupil.to(memory_format=torch.channels_last).train()
    pupil.encoder.requires_grad_(False)
    teacher = copy.deepcopy(pupil).requires_grad_(
        False
    )  # training, too: windows have the grid of the whole
    learning = [p for p in pupil.parameters() if p.requires_grad]
    average = AveragedModel(pupil, multi_avg_fn=ema_update(args.ema_decay))
    optimizer = torch.optim.AdamW(learning, args.learning_rate, (0.9, 0.99), weight_decay=0.0)

    def share(step: int) -> float:
        falling = 0.5 * (1 + math.cos(math.pi * step / args.max_train_steps))
        return falling * min(1.0, (step + 1) / args.lr_warmup_steps)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
    perceptual = load_perceptual(args.perceptual_model[0], reflect=False)
    perceptual.to(device, memory_format=torch.channels_last)
    loaders = open_crops(args, _SIDE, _ZOOMS)
    began = time.monotonic()
    sums: dict[str, list[float]] = {"window": [], "moved": []}
    in_bf16 = precision(args.mixed_precision, device) == "bf16"
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=in_bf16)
    stopping = StopRequest()
    for step in range(args.max_train_steps):
        kind = "moved" if step % 3 == 2 else "window"
        content = to_float(loaders["content"].next_batch()[:, 0], device)
        style = to_float(loaders["style"].next_batch()[:, 0], device)
        style = vary_patterns(vary_colors(style[:, None], 0.4), 0.25)[:, 0]
        strength = torch.ones(len(content), device=device)
        strength[: len(content) // 4] = torch.rand(len(content) // 4, device=device)
        with autocast:
            loss = lesson(
                pupil, teacher, perceptual, content, resized(style, 240), strength, kind, args
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        average.update_parameters(pupil)
        sums[kind].append(float(loss.detach()))
        if step == 0:
            logger.info(
                f"step 1 of {args.max_train_steps} took {time.monotonic() - began:.1f} s; numbers every {args.logging_steps} steps"
            )
        if (step + 1) % args.logging_steps == 0:
            means = "  ".join(f"{name} {sum(v) / max(1, len(v)):.5f}" for name, v in sums.items())
            minutes = (time.monotonic() - began) / 60
            logger.info(f"step {step + 1}  {means}  rate {share(step):.3f}  minutes {minutes:.1f}")
            for values in sums.values():
                values.clear()
        last = stopping.asked or step + 1 == args.max_train_steps
        if last or (step + 1) % args.checkpointing_steps == 0:
            save_whole(average.module, output_dir)
            save_styles(args.model, average.module, output_dir)
        if stopping.asked:
            logger.info(f"stopped at step {step + 1}; go on with --model {args.output_dir}")
            break
    else:
        logger.info(f"{args.output_dir} is the model, after {args.max_train_steps} steps")
    stopping.restore()
    for loader in loaders.values():
        loader.close()


def lesson(
    pupil: StyleGenerator,
    teacher: StyleGenerator,
    perceptual: PerceptualNetwork,
    content: Tensor,
    style: Tensor,
    strength: Tensor,
    kind: str,
    args: Any,
) -> Tensor:
    """How far what the pupil paints of a part of photos, or of photos moved, is from what the teacher paints of them.

    Args:
        pupil, teacher: of equal encoders.
        perceptual: sees the borders of windows.
        content, style: (B, 3, S, S) and (B, 3, s, s) in [0, 1].
        strength: (B,).
        kind: "window" or "moved".
        args: the command line's.
    """
    with torch.no_grad():
        condition = teacher.encode(style)
        whole = InstanceStatistics()
        goal = teacher(content, condition, strength, whole)
    if kind == "window":
        seen = channels_last(noisy(window(content), args.noise))
        painted = pupil(seen, condition, strength, InstanceStatistics(whole.taken)).float()
        goal = window(goal)
        along = border_loss(painted, goal, perceptual)
        return F.l1_loss(painted, goal) + args.border_weight * along
    moved, down, right = move(content, args.move_multiple)
    painted = pupil(channels_last(moved), condition, strength)
    return losses.consistency_loss(window(goal), window(painted), down, right)


def window(pictures: Tensor) -> Tensor:
    """The middle of (B, 3, S, S), without 64 px at each side: its border is far from that of the whole."""
    return pictures[..., _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]


def border_loss(painted: Tensor, goal: Tensor, perceptual: PerceptualNetwork) -> Tensor:
    """How far strips of 32 px along the borders are from those of the goal, by means and deviations of features.

    painted, goal: (B, 3, S, S) in [0, 1]. Each layer is divided by the energy of the goal's features, as in `style_loss`.
    """
    features = perceptual(channels_last(painted), _LAYERS)
    with torch.no_grad():
        wanted = perceptual(channels_last(goal), _LAYERS)
    terms = []
    for name in _LAYERS:
        a, b = features[name], wanted[name]
        cells = a.shape[2] * _STRIP // painted.shape[2]
        for strip in (
            (..., slice(cells), slice(None)),
            (..., slice(-cells, None), slice(None)),
            (..., slice(cells)),
            (..., slice(-cells, None)),
        ):
            own, other = losses.measure({name: a[strip]}), losses.measure({name: b[strip]})
            terms.append(losses.style_loss(own, other, other, other, normalise="energy"))
    return torch.stack(terms).mean()


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(
        description="Teach a generator to paint borders as the middle, and noise as none.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_lesson(parser)
    add = parser.add_argument
    add("--train_batch_size", type=int, default=8, help="pairs of a step")
    add("--max_train_steps", type=int, default=1000, help="at which it ends")
    add("--learning_rate", type=float, default=1.5e-4, help="at its highest")
    add("--border_weight", type=float, default=0.4, help="of features along the borders")
    add("--noise", type=float, default=0.01, help="deviation of the noise on windows")
    add(
        "--move_multiple",
        type=int,
        choices=(1, 2, 4, 8),
        default=1,
        help="of the pixels that a photo is moved by",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, datefmt="%H:%M:%S")
    run_told(main, None)
