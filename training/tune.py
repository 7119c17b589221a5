"""Tune a trained generator at the size at which pictures are painted: gains and biases of its channels, by style and content alone.

    python training/tune.py --model MODEL --content_data_dir "content-train-*.parquet" \
        --style_data_dir "style-train-*.parquet" --output_dir tuned --max_train_minutes 16

Training paints crops of 256 px, beside a discriminator and lessons of steadiness, and wants large batches: of a few pairs at
a time, millions of weights learn noise. Ten thousand gains and biases do not. Following the perceptual losses alone, in
larger crops, they took the published generator's style distance from 0.675 to 0.638 in a quarter of an hour on two cores.
The encoder stays as it is, unless asked for, and style codes keep their meaning.

Beforehand, the style's tokens may be moved apart from their mean (`--token_gain`).

B pairs · S side of a crop · E token width
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from accelerate.utils import set_seed
from torch import Tensor, nn

from hfstyle.limits import OPTIONS
from hfstyle.models.faces import looked_at
from hfstyle.models.generator import StyleGenerator
from hfstyle.models.levels import Instructions
from hfstyle.models.style_encoder import Condition
from hfstyle.parser import Parser
from training.data.loaders import BatchLoader
from training.data.open import open_crops
from training.data.variation import vary_colors, vary_patterns
from training.game import losses
from training.game.perceptual import (
    PerceptualNetwork,
    SeveralNetworks,
    in_all,
    load_perceptuals,
    weights_in_all,
)
from training.game.views import (
    channels_last,
    move,
    no_grad_features,
    resized,
    to_float,
    without_border,
)
from training.game.weights import WEIGHTS
from training.run.adapter import add_gains, folded, style_weights
from training.run.arguments import STYLE_LAYERS, add_lesson
from training.run.folder import make_output_dir
from training.run.optimisation import ema_update, precision
from training.run.report import save_styles, save_whole
from training.run.stopping import StopRequest, run_told

logger = logging.getLogger("hfstyle")

_CONTENT_LAYERS = ("relu4_1", "relu5_1")
_LOCAL_LAYERS = ("relu3_1", "relu4_1")
_ZOOMS = {"content": (0.8, 1.0), "style": (0.75, 1.0)}
_PICTURES = 128  # from which the mean of tokens is taken


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    args = parse_args(argv)
    output_dir = make_output_dir(args.output_dir)
    set_seed(args.seed)
    device = torch.device(args.device)
    generator = StyleGenerator.from_pretrained(args.model).float().to(device)
    generator.train()  # no more is asked for than was taught
    generator.to(memory_format=torch.channels_last)
    loaders = open_crops(args, args.resolution, _ZOOMS)
    if args.token_gain != 1:
        move_tokens_apart(
            generator, _mean_token(generator, loaders["style"], device), args.token_gain
        )
    if args.learn == "style":
        groups = [{"params": style_weights(generator), "lr": args.learning_rate}]
        weights = []
    else:
        gains, biases, weights = add_gains(generator, args.with_encoder)
        groups = [{"params": gains + biases, "lr": args.learning_rate}]
    if args.weights_learning_rate:
        for weight in weights:
            weight.requires_grad_(True)
        groups.append({"params": weights, "lr": args.weights_learning_rate})
    learning = [parameter for group in groups for parameter in group["params"]]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.98))
    rates = [group["lr"] for group in optimizer.param_groups]
    averages, update = [p.detach().clone() for p in learning], ema_update(args.ema_decay)
    network = load_perceptuals(args.perceptual_model)
    network.to(device, memory_format=torch.channels_last)
    in_bf16 = precision(args.mixed_precision, device) == "bf16"
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=in_bf16)
    began, step = time.monotonic(), 0
    sums: dict[str, float] = {}
    stopping = StopRequest()
    while not stopping.asked and (done := _share(args, step, began)) < 1:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * min(1.0, (step + 1) / args.lr_warmup_steps) * (1 - done)
        content = to_float(loaders["content"].next_batch()[:, 0], device)
        style = to_float(loaders["style"].next_batch()[:, 0], device)
        style = vary_patterns(vary_colors(style[:, None], 0.3), 0.15)[:, 0]
        with autocast:
            terms = objective(generator, network, content, style, step, args)
        loss = torch.stack(list(terms.values())).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, 5.0)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        with torch.no_grad():
            update(averages, learning, step)
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        if step == 1:
            length = (
                f"{args.max_train_steps} steps"
                if args.max_train_steps
                else f"{args.max_train_minutes:g} minutes"
            )
            logger.info(
                f"step 1 took {time.monotonic() - began:.1f} s, of {length}; numbers every {args.logging_steps} steps"
            )
        if step % args.logging_steps == 0:
            told = "  ".join(
                f"{name} {total / args.logging_steps:.4f}" for name, total in sums.items()
            )
            logger.info(f"step {step}  {told}  minutes {(time.monotonic() - began) / 60:.1f}")
            sums.clear()
        if step % args.checkpointing_steps == 0:
            tuned = save_averages(generator, averages, learning, output_dir)
            save_styles(args.model, tuned, output_dir)
    if stopping.asked:
        logger.info(f"stopped at step {step}; go on with --model {args.output_dir}")
    stopping.restore()
    save_styles(args.model, save_averages(generator, averages, learning, output_dir), output_dir)
    logger.info(f"{args.output_dir} is the model, after {step} steps")
    for loader in loaders.values():
        loader.close()


@torch.no_grad()
def save_averages(
    generator: StyleGenerator,
    averages: Sequence[Tensor],
    learning: Sequence[nn.Parameter],
    folder: Path,
) -> StyleGenerator:
    """Write the generator with the averages in place of what is learning, its gains folded into the weights; returns that."""
    current = [parameter.detach().clone() for parameter in learning]
    for average, parameter in zip(averages, learning, strict=True):
        parameter.copy_(average)
    tuned = folded(generator)
    for value, parameter in zip(current, learning, strict=True):
        parameter.copy_(value)
    save_whole(tuned, folder)
    return tuned


def objective(
    generator: StyleGenerator,
    network: PerceptualNetwork | SeveralNetworks,
    content: Tensor,
    style: Tensor,
    step: int,
    args: Any,
) -> dict[str, Tensor]:
    """The weighted losses of a batch at full strength, of whole pictures in even steps, at half their resolution in odd ones.

    Args:
        network: of several, only the first looks at whole pictures.
        content, style: (B, 3, S, S) in [0, 1].
        step: every third has a lesson of steadiness, if its weight is not 0: what is painted of the photos moved by some
            pixels, with noise, is to be what is painted of the photos.
        args: the command line's.
    """
    full = torch.ones(len(content), device=content.device)
    with torch.set_grad_enabled(args.with_encoder):
        condition = generator.encode(style)
    output = _painted(generator, content, condition, full, args.faces)
    side = content.shape[2]
    inner = [without_border(x, side) for x in (output, content, style)]
    shown = inner[0].shape[2] // (1 + step % 2)
    painted, photo, painting = (channels_last(resized(x, shown)) for x in inner)
    # Large networks look at small pictures only: on a CPU, most of the time would be theirs.
    known = network.layers if step % 2 else ()
    style_layers = weights_in_all(STYLE_LAYERS, known)
    layers = frozenset(style_layers)
    seen = no_grad_features(network, layers, content=photo, style=painting)
    of_content, of_style = seen["content"], seen["style"]
    before, goal = losses.measure(of_content), losses.measure(of_style)
    features = network(painted, layers)
    after = losses.measure(features)
    terms = {
        "style": losses.style_loss(after, goal, before, goal, weights=style_layers),
        "texture": losses.texture_loss(after, goal, before, goal),
        "local": losses.local_loss(features, of_style, in_all(_LOCAL_LAYERS, known), full),
        "halo": losses.halo_loss(inner[0], inner[1]),
        "structure": losses.structure_loss(inner[0], inner[1]),
    }
    with torch.autocast(content.device.type, enabled=False):
        terms["color"] = losses.color_loss(inner[0].float(), inner[1], inner[2], full)
    terms = {name: WEIGHTS[name].default * value for name, value in terms.items()}
    alike = losses.content_loss(features, of_content, list(_CONTENT_LAYERS))
    terms["content"] = args.content_weight * alike
    if args.identity_weight and step % 2 == 0:
        own = torch.cat((style[:1], content[-1:]))
        with torch.set_grad_enabled(args.with_encoder):
            condition_of_own = generator.encode(own)
        itself = _painted(generator, own, condition_of_own, full.new_ones(2), args.faces)
        terms["identity"] = args.identity_weight * losses.identity_loss(itself, own)
    if args.consistency_weight and step % 3 == 2:
        moved, down, right = move(content)
        again = _painted(generator, channels_last(moved), condition, full, args.faces)
        apart = losses.consistency_loss(output.detach(), again, down, right)
        terms["consistency"] = args.consistency_weight * apart
    return terms


def _painted(
    generator: StyleGenerator,
    content: Tensor,
    condition: Condition,
    strength: Tensor,
    faces: float,
) -> Tensor:
    """As users get it: the grid of both levels lies on the photo, and what the map of faces marks is spared."""
    with torch.no_grad():
        origin = generator.origin(content)
        spared = faces * generator.faces(looked_at(content)) if faces else None
    how = Instructions(condition, strength, spared=spared)
    change = generator.paint_coarse(content, how, origin=origin).change
    return generator.paint_fine(content, change, how, origin=origin)


@torch.no_grad()
def move_tokens_apart(generator: StyleGenerator, mean: Tensor, gain: float) -> None:
    """As if every token t were mean + gain (t - mean), by the weights of keys and values. mean: (E,)."""
    for attention in (generator.attend_high, generator.attend_mid):
        for layer in (attention.key, attention.value):
            layer.bias.add_((1 - gain) * (layer.weight @ mean))
            layer.weight.mul_(gain)


@torch.no_grad()
def _mean_token(generator: StyleGenerator, loader: BatchLoader, device: torch.device) -> Tensor:
    """(E,), of the next pictures."""
    total, count = torch.zeros((), device=device), 0
    while count < _PICTURES:
        tokens = generator.encode(to_float(loader.next_batch()[:, 0], device)).tokens  # (B, T, E)
        total = total + tokens.mean(1).sum(0)
        count += len(tokens)
    return total / count


def _share(args: argparse.Namespace, step: int, began: float) -> float:
    """How much of the time or of the steps is over."""
    if args.max_train_steps is not None:
        return step / args.max_train_steps
    return (time.monotonic() - began) / 60 / args.max_train_minutes


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(
        description="Tune gains and biases of a trained generator by style and content alone.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_lesson(parser)
    add = parser.add_argument
    add("--resolution", type=int, default=384, help="side of crops, px")
    add("--train_batch_size", type=int, default=4, help="pairs of a step")
    add("--max_train_minutes", type=float, default=16.0, help="after which it ends")
    add("--max_train_steps", type=int, help="instead of minutes")
    add(
        "--learn",
        choices=("channels", "style"),
        default="channels",
        help="gains and biases of channels; or what a style's vector and tokens pass first, for which the rate should be 1e-4",
    )
    add("--learning_rate", type=float, default=3e-3, help="of what learns")
    add(
        "--weights_learning_rate",
        type=float,
        default=0.0,
        help="of the style's and the last weights",
    )
    add(
        "--with_encoder",
        action="store_true",
        help="tune the encoder's as well: style codes made before then mean nothing",
    )
    add("--token_gain", type=float, default=1.0, help="how far tokens are moved apart first")
    add("--content_weight", type=float, default=1.0, help="more keeps more of the photo")
    add(
        "--faces",
        type=float,
        default=OPTIONS["faces"].default,
        help="how far faces are spared, from 0 to 1: as users ask for it",
    )
    add("--consistency_weight", type=float, default=0.0, help="of a lesson in every third step")
    add(
        "--identity_weight",
        type=float,
        default=0.0,
        help="a picture styled by itself is itself, in every second step",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, datefmt="%H:%M:%S")
    run_told(main, None)
