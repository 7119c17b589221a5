"""Measure what model_card.md says of the controls: chance, words, paths and colour.

    python training/publish/measure_controls.py --model hfstyle/pretrained/base --networks NETWORKS \\
        --style_data_dir "style-train-*.parquet" --sheet random.jpg

- random styles: mean LPIPS between a photo in random styles over that of the photo in paintings' styles; the palest of many
  draws, by the deviation of lightness, and the least correlation of lightness with the photo;
- words: for each prompt, the share of the right movement among the five paintings nearest to the chosen code;
- paths: the largest step over the mean step in LPIPS, between pairs of bundled styles;
- colour: how far means and covariances of colours are from the photo's with `color=0`.

NETWORKS holds SqueezeNet 1.1 and the LPIPS heads, as for `hfstyle evaluate`. `--sheet` writes the random styles to look at.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hfstyle import StyleCode, StyleTransferPipeline
from hfstyle.evaluation.formulas import lpips, unit_length
from hfstyle.evaluation.network_files import Networks, load_networks
from hfstyle.examples import example_photo
from hfstyle.images import load_image, to_pil
from hfstyle.images.sheet import contact_sheet
from hfstyle.models.hub import default_model_path
from hfstyle.parser import Parser
from hfstyle.paths import style_path
from training.data.sources import decode_picture, open_pictures
from training.publish.prompts import PROMPTS

PHOTO: Final = "astronaut"
SIDE: Final = 192  # px of the photo
COLOR_PHOTOS: Final = ("astronaut", "chelsea", "coffee", "rocket")
_NEAREST: Final = 5
_STEPS: Final = 11


class Distance:
    """LPIPS between pictures (3, H, W) in [0, 1]."""

    def __init__(self, networks: Networks) -> None:
        if networks.squeezenet is None or networks.heads is None:
            raise ValueError("--networks needs SqueezeNet 1.1 and the LPIPS heads for it")
        self._squeezenet, self._heads = networks.squeezenet, networks.heads

    @torch.inference_mode()
    def features(self, images: Sequence[Tensor]) -> list[list[Tensor]]:
        return [unit_length(self._squeezenet.features(image[None])) for image in images]

    def mean(self, images: Sequence[Tensor]) -> float:
        """Over all pairs."""
        found = [lpips(a, b, self._heads) for a, b in combinations(self.features(images), 2)]
        return sum(found) / len(found)

    def steps(self, images: Sequence[Tensor]) -> list[float]:
        """From each to the next."""
        return [lpips(a, b, self._heads) for a, b in pairwise(self.features(images))]


def random_styles(
    pipe: StyleTransferPipeline,
    distance: Distance,
    paintings: Sequence[StyleCode],
    draws: int,
    sheet: Path | None = None,
) -> dict[str, float]:
    """Ratio of the diversities of as many random styles as there are paintings; extremes of `draws` random styles."""
    photo = example_photo(PHOTO).resize((SIDE, SIDE))
    grey = load_image(photo).rgb.mean(0).flatten()

    def paint(codes: Sequence[StyleCode]) -> list[Tensor]:
        return [pipe(photo, code, output_type="pt").images[0] for code in codes]

    def contrasts(images: Sequence[Tensor]) -> list[float]:
        return [float(image.mean(0).std()) for image in images]

    of_paintings = paint(paintings)
    drawn = paint([pipe.sample_style(seed) for seed in range(max(draws, len(paintings)))])
    likeness = [
        float(torch.corrcoef(torch.stack((image.mean(0).flatten(), grey)))[0, 1]) for image in drawn
    ]
    if sheet is not None:
        titles = [f"{seed}: {value:.3f}" for seed, value in enumerate(contrasts(drawn))]
        contact_sheet([to_pil(image) for image in drawn], titles, 12, SIDE // 2).save(sheet)
    real, random = distance.mean(of_paintings), distance.mean(drawn[: len(paintings)])
    return {
        "lpips_of_random": random,
        "lpips_of_paintings": real,
        "ratio": random / real,
        "palest_draw": min(contrasts(drawn)),
        "palest_draw_seed": int(np.argmin(contrasts(drawn))),
        "palest_painting": min(contrasts(of_paintings)),
        "photo": float(grey.std()),
        "least_correlation": min(likeness),
        "least_correlation_seed": int(np.argmin(likeness)),
    }


def words(
    pipe: StyleTransferPipeline, encoder: str, prompts: Sequence[tuple[str, str]] = PROMPTS
) -> dict[str, object]:
    """Mean share of the prompts' movements among the nearest paintings, and the prompts for which it is below half."""
    space = pipe.style_space
    shares = {}
    for prompt, movements in prompts:
        try:
            code = pipe.style_of_words(prompt, encoder=encoder)
        except ValueError:  # no word is understood
            shares[prompt] = 0.0
            continue
        labels = [space.about[i].get("movement", "") for i, _ in space.nearest(code, _NEAREST)]
        shares[prompt] = sum(label in movements.split("|") for label in labels) / _NEAREST
    return {
        "encoder": encoder,
        "prompts": len(shares),
        "mean_share": sum(shares.values()) / len(shares),
        "majority": sum(share > 0.5 for share in shares.values()) / len(shares),
        "weak": {prompt: share for prompt, share in shares.items() if share < 0.5},
    }


def paths(pipe: StyleTransferPipeline, distance: Distance, count: int) -> dict[str, float]:
    """Largest step over the mean step, of paths between pairs of bundled styles: the worst, and the mean over them."""
    photo = example_photo(PHOTO).resize((SIDE, SIDE))
    names = list(pipe.presets)[:: max(1, len(pipe.presets) // (2 * count))][: 2 * count]
    ratios = []
    for first, second in zip(names[::2], names[1::2], strict=False):
        codes = style_path([pipe.preset(first), pipe.preset(second)], _STEPS)
        steps = distance.steps([pipe(photo, code, output_type="pt").images[0] for code in codes])
        ratios.append(max(steps) / (sum(steps) / len(steps)))
    return {"paths": len(ratios), "worst": max(ratios), "mean": sum(ratios) / len(ratios)}


def colors(pipe: StyleTransferPipeline) -> dict[str, float]:
    """Largest differences of means and covariances from the photo's at `color=0`; values in [0, 1]."""
    means, covariances = [], []
    for name in COLOR_PHOTOS:
        photo = example_photo(name)
        photo.thumbnail((2 * SIDE, 2 * SIDE))
        wanted = load_image(photo).rgb.flatten(1)
        for style in list(pipe.presets)[:: max(1, len(pipe.presets) // 3)][:3]:
            kept = pipe(photo, pipe.preset(style), color=0, output_type="pt").images[0].flatten(1)
            means.append(float((kept.mean(1) - wanted.mean(1)).abs().max()))
            covariances.append(float((torch.cov(kept) - torch.cov(wanted)).abs().max()))
    return {"pictures": len(means), "mean": max(means), "covariance": max(covariances)}


def some_paintings(
    pipe: StyleTransferPipeline, place: str, count: int, seed: int = 0
) -> list[StyleCode]:
    """Codes of `count` pictures, drawn by a seed.

    Raises DataError if there are none.
    """
    source = open_pictures(data_dir=place)
    order = np.random.default_rng(seed).permutation(len(source))[:count]  # type: ignore[arg-type]
    rgb = [decode_picture(source[int(index)]) for index in order]
    return [pipe.encode_style(Image.fromarray(pixels)) for pixels in rgb]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the measurements as JSON; 0, or 1 if something needed is missing."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(default_model_path()), help="folder or Hub id")
    parser.add_argument("--networks", nargs="+", help="files, folders or Hub ids (random, paths)")
    parser.add_argument("--style_data_dir", help="paintings (random)")
    parser.add_argument("--paintings", type=int, default=48, help="how many (default: 48)")
    parser.add_argument("--draws", type=int, default=200, help="random styles (default: 200)")
    parser.add_argument("--pairs", type=int, default=6, help="of styles, for paths (default: 6)")
    parser.add_argument("--encoder", default="auto", help="of words (default: auto)")
    parser.add_argument("--sheet", type=Path, help="picture of the random styles")
    kinds = ("random", "words", "paths", "color")
    parser.add_argument("--only", choices=kinds, nargs="+", default=kinds, help="default: all")
    args = parser.parse_args(argv)
    found: dict[str, object] = {}
    try:
        pipe = StyleTransferPipeline.from_pretrained(args.model)
        if {"random", "paths"} & set(args.only):
            distance = Distance(load_networks(args.networks or []))
        if "random" in args.only:
            if args.style_data_dir is None:
                raise ValueError("random styles are compared with paintings; give --style_data_dir")
            codes = some_paintings(pipe, args.style_data_dir, args.paintings)
            found["random"] = random_styles(pipe, distance, codes, args.draws, args.sheet)
        if "words" in args.only:
            found["words"] = words(pipe, args.encoder)
        if "paths" in args.only:
            found["paths"] = paths(pipe, distance, args.pairs)
        if "color" in args.only:
            found["color"] = colors(pipe)
    except (OSError, ValueError) as error:
        print(f"measure_controls: error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found, indent=2, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
