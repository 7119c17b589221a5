"""Let a trained generator hear how much of each style arrives in its paintings, and ask for more of what does not.

    python training/feedback.py --model MODEL --content_data_dir "content-train-*.parquet" \
        --style_data_dir "style-train-*.parquet" --output_dir answered --max_train_minutes 20

A painting, encoded, should have the code that it was painted with. Its learned part falls short, as what is fitted to many
examples does. The code that the generator is told is moved on by `--gain` times what is missing on average, as a controller
with proportional feedback would (Astrom & Murray 2008, ch. 1): a linear function of the code learns this, from paintings
alone, without a gradient through the generator. So a step costs little. In the end the function is folded
into the first layer that sees the vector, and into the keys and values of the tokens. The encoder stays as it is, and style
codes keep their meaning.

B pairs · D length of a style's vector · W length of its learned part · T tokens · E their width
"""

from __future__ import annotations

import argparse
import copy
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from accelerate.utils import set_seed
from torch import Tensor, nn

from hfstyle.models.generator import StyleGenerator
from hfstyle.models.style_encoder import Condition
from hfstyle.parser import Parser
from training.data.loaders import BatchLoader
from training.data.open import open_crops
from training.data.variation import vary_colors, vary_patterns
from training.game.views import channels_last, resized, to_float
from training.run.arguments import add_lesson
from training.run.folder import make_output_dir
from training.run.optimisation import ema_update
from training.run.report import save_styles, save_whole
from training.run.stopping import StopRequest, run_told

logger = logging.getLogger("hfstyle")

_SIDE = 384  # px, of crops of styles: the size at which pictures of styles are encoded
_PAINTED = 256  # px, of photos
_ZOOMS = {"content": (0.6, 1.0), "style": (0.75, 1.0)}
_CODES = 256  # from which means and deviations are taken
_EMA_DECAY = 0.998


class Answer(nn.Module):
    """What the generator is told instead of a code: its learned part and its tokens, moved on by linear functions of both.

    At first the code itself. The mean code stays where it is: what is missing of all styles alike is said by how sharp their
    pictures are, which paintings should not follow.

    Args:
        mean, deviation: (D,) of vectors, in whose units the function learns.
        mean_token: (E,).
        width: W.
    """

    def __init__(self, mean: Tensor, deviation: Tensor, mean_token: Tensor, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.register_buffer("mean_token", mean_token)
        self.of_vector = nn.Linear(len(mean), width, bias=False)
        self.of_token = nn.Linear(len(mean_token), len(mean_token), bias=False)
        for layer in (self.of_vector, self.of_token):
            nn.init.zeros_(layer.weight)

    def forward(self, code: Condition) -> Condition:
        """The condition (B, D), (B, T, E) that is told."""
        added = self.of_vector((code.vector - self.mean) / self.deviation)  # (B, W)
        width = added.shape[1]
        vector = torch.cat((code.vector[:, :width] + added, code.vector[:, width:]), dim=1)
        return Condition(vector, code.tokens + self.of_token(code.tokens - self.mean_token))

    @torch.no_grad()
    def folded_into(self, generator: StyleGenerator) -> StyleGenerator:
        """A copy of the generator that does with a code what the other does with the answer."""
        answered = copy.deepcopy(generator)
        style = answered.style1
        assert style.bias is not None
        told = style.weight[:, : self.of_vector.out_features]  # (D', W)
        style.bias.sub_(told @ (self.of_vector.weight @ (self.mean / self.deviation)))
        style.weight[:, : len(self.mean)] += told @ (self.of_vector.weight / self.deviation)
        for attention in (answered.attend_high, answered.attend_mid):
            for layer in (attention.key, attention.value):
                layer.bias.sub_(layer.weight @ (self.of_token.weight @ self.mean_token))
                layer.weight.add_(layer.weight @ self.of_token.weight)
        return answered


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    args = parse_args(argv)
    output_dir = make_output_dir(args.output_dir)
    set_seed(args.seed)
    device = torch.device(args.device)
    generator = StyleGenerator.from_pretrained(args.model).float().to(device).eval()
    generator = generator.requires_grad_(False).to(memory_format=torch.channels_last)
    loaders = open_crops(args, _SIDE, _ZOOMS)
    answer = first_answer(generator, loaders["style"], device)
    average = copy.deepcopy(answer)
    update = ema_update(_EMA_DECAY)
    optimizer = torch.optim.Adam(answer.parameters(), args.learning_rate, (0.9, 0.99))

    def save() -> None:
        answered = average.folded_into(generator)
        save_whole(answered, output_dir)
        save_styles(args.model, answered, output_dir)

    began, step, missing = time.monotonic(), 0, [0.0, 0.0]
    stopping = StopRequest()
    while (
        not stopping.asked
        and (done := (time.monotonic() - began) / 60 / args.max_train_minutes) < 1
    ):
        for group in optimizer.param_groups:
            rising = min(1.0, (step + 1) / args.lr_warmup_steps)
            group["lr"] = args.learning_rate * rising * (1 - done)
        content = resized(to_float(loaders["content"].next_batch()[:, 0], device), _PAINTED)
        style = to_float(loaders["style"].next_batch()[:, 0], device)
        style = vary_patterns(vary_colors(style[:, None], 0.3), 0.15)[:, 0]
        loss, apart = lesson(generator, answer, channels_last(content), style, args.gain)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(answer.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        with torch.no_grad():
            update(list(average.parameters()), list(answer.parameters()), step)
        missing = [total + float(each) for total, each in zip(missing, apart, strict=True)]
        if step % args.logging_steps == 0:
            vector, tokens = (total / args.logging_steps for total in missing)
            minutes = (time.monotonic() - began) / 60
            logger.info(
                f"step {step}  missing of the vector {vector:.3f}, of the tokens {tokens:.4f}  minutes {minutes:.1f}"
            )
            missing = [0.0, 0.0]
        if step % args.checkpointing_steps == 0:
            save()
    if stopping.asked:
        logger.info(f"stopped at step {step}; go on with --model {args.output_dir}")
    stopping.restore()
    save()
    logger.info(f"{args.output_dir} is the model, after {step} steps")
    for loader in loaders.values():
        loader.close()


@torch.no_grad()
def first_answer(generator: StyleGenerator, loader: BatchLoader, device: torch.device) -> Answer:
    """An answer that changes nothing, in units of the codes of the next pictures."""
    codes: list[Condition] = []
    while sum(len(code.vector) for code in codes) < _CODES:
        codes.append(generator.encode(to_float(loader.next_batch()[:, 0], device)))
    vectors, tokens = (torch.cat(each) for each in zip(*codes, strict=True))
    mean, deviation = vectors.mean(0), vectors.std(0) + 1e-4
    answer = Answer(mean, deviation, tokens.mean((0, 1)), generator.encoder.parts[0])
    return answer.to(device)


def lesson(
    generator: StyleGenerator, answer: Answer, content: Tensor, style: Tensor, gain: float
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """How far the answer is from the codes moved on by `gain` times what is missing in the paintings.

    Args:
        generator: paints what the answer tells; frozen.
        answer: learns.
        content, style: (B, 3, S, S) and (B, 3, s, s) in [0, 1].
        gain: of the feedback, > 0.

    Returns:
        The loss, and what is missing of vectors and of mean tokens: mean squares, relative to the variances of the styles'.
    """
    with torch.no_grad():
        code = generator.encode(style)
    told = answer(code)
    width = generator.encoder.parts[0]
    with torch.no_grad():
        asked = Condition(told.vector.detach(), told.tokens.detach())
        painted = generator.encode(generator(content, asked, torch.ones(len(content)).to(content)))
        missing = code.vector[:, :width] - painted.vector[:, :width]
        missing_tokens = (code.tokens.mean(1) - painted.tokens.mean(1))[:, None]
        vector_goal = code.vector[:, :width] + gain * missing
        token_goal = code.tokens + gain * missing_tokens
        units = code.vector[:, :width].var(), code.tokens.var()
    loss = (told.vector[:, :width] - vector_goal).square().mean() / units[0]
    loss = loss + (told.tokens - token_goal).square().mean() / units[1]
    return loss, (
        missing.square().mean() / units[0],
        missing_tokens.square().mean() / units[1],
    )


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(
        description="Ask for more of what does not arrive in paintings.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_lesson(parser)
    add = parser.add_argument
    add("--train_batch_size", type=int, default=6, help="pairs of a step")
    add("--max_train_minutes", type=float, default=20.0, help="after which it ends")
    parser.set_defaults(checkpointing_steps=200)
    add("--learning_rate", type=float, default=3e-4, help="of the answer")
    add("--gain", type=float, default=4.0, help="how far codes are moved on by what is missing")
    return parser.parse_args(argv)


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, datefmt="%H:%M:%S")
    run_told(main, None)
