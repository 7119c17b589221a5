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
from torch.nn.utils import parametrize

from hfstyle.models.generator import StyleGenerator
from training import losses
from training.arguments import STYLE_LAYERS, add_lesson
from training.data import BatchLoader
from training.loaders import open_crops
from training.optimisation import ema_update
from training.perceptual import (
    PerceptualNetwork,
    SeveralNetworks,
    in_all,
    load_perceptuals,
    weights_in_all,
)
from training.variation import vary_colors, vary_patterns
from training.views import (
    channels_last,
    move,
    no_grad_features,
    resized,
    to_float,
    without_border,
)

logger = logging.getLogger("hfstyle")

_CONTENT_LAYERS = ("relu4_1", "relu5_1")
_LOCAL_LAYERS = ("relu3_1", "relu4_1")
# Beside the content's: as of train.py.
_WEIGHTS = {
    "style": 14.0,
    "texture": 4.0,
    "local": 4.0,
    "color": 4.0,
    "halo": 40.0,
    "structure": 2.0,
}
_ZOOMS = {"content": (0.8, 1.0), "style": (0.75, 1.0)}
# Of these, whole weights may be learned too: what a style does to channels, and the last layers.
_LAST = ("refine", "paint", "tint", "underdrawing", "spread")
_PICTURES = 128  # from which the mean of tokens is taken


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    args = parse_args(argv)
    set_seed(args.seed)
    device = torch.device(args.device)
    generator = StyleGenerator.from_pretrained(args.model).float().to(device)
    generator.goes_beyond = False
    generator.to(memory_format=torch.channels_last)
    loaders = open_crops(args, args.resolution, _ZOOMS)
    if args.token_gain != 1:
        move_tokens_apart(
            generator, _mean_token(generator, loaders["style"], device), args.token_gain
        )
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
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=args.mixed_precision == "bf16")
    began, step = time.monotonic(), 0
    sums: dict[str, float] = {}
    while (done := _share(args, step, began)) < 1:
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
        if step % args.logging_steps == 0:
            told = "  ".join(
                f"{name} {total / args.logging_steps:.4f}" for name, total in sums.items()
            )
            logger.info(f"step {step}  {told}  minutes {(time.monotonic() - began) / 60:.1f}")
            sums.clear()
    with torch.no_grad():
        for average, parameter in zip(averages, learning, strict=True):
            parameter.copy_(average)
    fold_gains(generator)
    generator.half().save_pretrained(args.output_dir)
    for loader in loaders.values():
        loader.close()


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
    output = generator(content, condition, full)
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
    terms = {name: _WEIGHTS[name] * value for name, value in terms.items()}
    alike = losses.content_loss(features, of_content, list(_CONTENT_LAYERS))
    terms["content"] = args.content_weight * alike
    if args.consistency_weight and step % 3 == 2:
        moved, down, right = move(content, 4 if step % 2 else 1)
        again = generator(channels_last(moved), condition, full)
        apart = losses.consistency_loss(output.detach(), again, down, right)
        terms["consistency"] = args.consistency_weight * apart
    return terms


class Gain(nn.Module):
    """A weight times 1 + g, of each output channel."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        shape = (len(weight), *[1] * (weight.dim() - 1))
        self.gain = nn.Parameter(torch.zeros(shape, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        return weight * (1 + self.gain)


def add_gains(
    generator: StyleGenerator, with_encoder: bool = False
) -> tuple[list[nn.Parameter], list[nn.Parameter], list[nn.Parameter]]:
    """Gains for all layers but the grain's and the first of the style's; all else is frozen but biases.

    Args:
        with_encoder: False leaves out the encoder's.

    Returns:
        gains, biases, and the weights that may be learned too, still frozen.
    """
    generator.requires_grad_(False)
    gains, biases, weights = [], [], []
    for name, layer in list(generator.named_modules()):
        frozen = ("grain",) if with_encoder else ("grain", "encoder")
        if name.startswith(frozen) or name == "style1":
            continue
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        gain = Gain(layer.weight)
        if name.endswith(".affine") or name in _LAST:
            weights.append(layer.weight)
        parametrize.register_parametrization(layer, "weight", gain)
        gains.append(gain.gain)
        if layer.bias is not None:
            biases.append(layer.bias.requires_grad_(True))
    return gains, biases, weights


def fold_gains(generator: StyleGenerator) -> None:
    """The opposite: gains become a part of the weights."""
    for layer in list(generator.modules()):
        if parametrize.is_parametrized(layer):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


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
    parser = argparse.ArgumentParser(
        description="Tune gains and biases of a trained generator by style and content alone.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_lesson(parser)
    add = parser.add_argument
    add("--resolution", type=int, default=384, help="side of crops, px")
    add("--train_batch_size", type=int, default=4)
    add("--max_train_minutes", type=float, default=16.0)
    add("--max_train_steps", type=int, help="instead of minutes")
    add("--learning_rate", type=float, default=3e-3, help="of gains and biases")
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
    add("--content_weight", type=float, default=1.0)
    add("--consistency_weight", type=float, default=0.0, help="of a lesson in every third step")
    return parser.parse_args(argv)


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, datefmt="%H:%M:%S")
    main()
