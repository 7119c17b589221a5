"""What a run leaves behind: the exported model, a validation grid, loss curves."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from hfstyle.models.discriminator import StyleDiscriminator
from hfstyle.models.generator import StyleGenerator

__all__ = ["export", "save_curves", "save_grid"]


def export(
    generator: StyleGenerator,
    discriminator: StyleDiscriminator,
    folder: Path,
    counters: Any,
    args: Any,
) -> None:
    """Write the EMA generator and the discriminator in fp16, and what a continued run needs to know.

    `folder` gets config.json, model.safetensors, discriminator/ and training_state.json; it can be given to
    `StyleTransferPipeline.from_pretrained` and to `--init_from`.
    """
    for model, place in ((generator, folder), (discriminator, folder / "discriminator")):
        copy.deepcopy(model).half().save_pretrained(place)
    state = {
        "step": counters.step,
        "pairs": counters.pairs,
        "minutes": round(counters.minutes, 1),
        "bad_steps": counters.bad_steps,
        "arguments": {k: v for k, v in vars(args).items() if k != "hub_token"},
    }
    (folder / "training_state.json").write_text(json.dumps(state, indent=1, default=str) + "\n")


@torch.no_grad()
def save_grid(generator: StyleGenerator, content: Tensor, style: Tensor, path: Path) -> None:
    """A picture of contents (rows) x styles (columns): strength 1, and the first style at 1/4, 1/2, 3/4.

    content (N, 3, S, S) and style (M, 3, S, S) in [0, 1].
    """
    condition = generator.encode(style)
    blank = torch.ones_like(content[:1])
    rows = [torch.cat((blank, style, style[:1].expand(3, -1, -1, -1)))]
    for picture in content:
        many = picture[None].expand(len(style) + 3, -1, -1, -1)
        index = torch.tensor([*range(len(style)), 0, 0, 0])
        strength = torch.tensor([1.0] * len(style) + [0.25, 0.5, 0.75], device=content.device)
        chosen = type(condition)(condition.vector[index], condition.tokens[index])
        rows.append(torch.cat((picture[None], generator(many, chosen, strength))))
    sheet = torch.cat(
        [torch.cat(list(row), dim=2) for row in rows], dim=1
    )  # (3, rows * S, columns * S)
    pixels = sheet.mul(255).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def save_curves(log: Path, path: Path) -> None:
    """Plot every logged number over the pairs seen; skipped where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
    groups = {
        "losses of the generator": ["loss_content", "loss_style", "loss_texture", "loss_local", "loss_identity",
                                                "loss_contrast", "loss_adversarial"],
        "accuracy of the discriminator": ["d_accuracy_real", "d_accuracy_fake", "d_accuracy_mismatched"],
        "discriminator": ["d_loss", "r1", "d_logit_size"],
        "spread": ["diversity", "code_spread"],
    }  # fmt: skip
    if not rows:
        return
    figure, axes = plt.subplots(2, 2, figsize=(12, 8), constrained_layout=True)
    for axis, (title, names) in zip(axes.flat, groups.items(), strict=True):
        for name in names:
            points = [(row["pairs"], row[name]) for row in rows if name in row]
            if points:
                axis.plot(*zip(*points, strict=True), label=name, linewidth=1)
        axis.set(title=title, xlabel="pairs")
        if axis.lines:
            axis.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)
