"""The mean of the weights of models that began alike (model soups, Wortsman et al. 2022).

    python training/publish/average.py --models steadier tuned --output_dir averaged

Models before and after tuning have one encoder, so that style codes stay valid.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from hfstyle.models.generator import StyleGenerator
from hfstyle.parser import Parser
from training.run.report import save_styles, save_whole
from training.run.stopping import run_told

__all__ = ["average", "main"]


@torch.no_grad()
def average(
    generators: Sequence[StyleGenerator], weights: Sequence[float] | None = None
) -> StyleGenerator:
    """The first one, with the weighted mean of all; weights: by default equal.

    Raises ValueError for fewer than two, another number of weights, or tensors of other names or shapes.
    """
    shares = list(weights or [1.0] * len(generators))
    if len(generators) < 2 or len(shares) != len(generators) or sum(shares) <= 0:
        raise ValueError(
            f"{len(generators)} models and weights {shares}; give at least 2 models and as many weights, of a sum above 0"
        )
    states = [generator.state_dict() for generator in generators]
    shapes = [{name: tensor.shape for name, tensor in state.items()} for state in states]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError("these models are of different architectures and have no mean")
    for name, tensor in states[0].items():
        parts = [share * state[name].double() for share, state in zip(shares, states, strict=True)]
        tensor.copy_(torch.stack(parts).sum(0) / sum(shares))
    return generators[0]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = Parser(description="Average the weights of models that began alike.")
    parser.add_argument("--models", nargs="+", required=True, help="folders or Hub ids, from 2")
    parser.add_argument("--weights", type=float, nargs="+", help="of each; by default equal")
    parser.add_argument("--output_dir", required=True, help="folder of the result")
    args = parser.parse_args(argv)
    folder = Path(args.output_dir)
    mean = average([StyleGenerator.from_pretrained(x).float() for x in args.models], args.weights)
    save_whole(mean, folder)
    save_styles(args.models[0], mean, folder)


if __name__ == "__main__":
    run_told(main, None)
