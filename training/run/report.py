"""What a run leaves behind: the exported model, a validation grid, loss curves."""

from __future__ import annotations

import copy
import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from hfstyle.models.discriminator import StyleDiscriminator
from hfstyle.models.generator import StyleGenerator

__all__ = ["Log", "export", "push", "save_curves", "save_grid"]


class Log:
    """Means of the numbers of a run, one JSON object a line.

    Args:
        path: rows of this run up to `step` are kept, later ones (of steps that a resumed run repeats) are dropped.
        step: the step at which the run starts.
    """

    def __init__(self, path: Path, step: int = 0) -> None:
        self.path = path
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        lines = path.read_text().splitlines() if path.is_file() else []
        kept = [line for line in lines if _step_of(line) <= step]
        _replace(path, "".join(line + "\n" for line in kept))

    def add(self, numbers: Mapping[str, float]) -> None:
        """One step's numbers; not all need to be there in each step, and what is not finite is left out."""
        for name, value in numbers.items():
            if math.isfinite(value):
                self._sums[name] = self._sums.get(name, 0.0) + value
                self._counts[name] = self._counts.get(name, 0) + 1

    def write(self, more: Mapping[str, float]) -> dict[str, float]:
        """Append a row: the means since the last one and `more`."""
        row = {name: total / self._counts[name] for name, total in self._sums.items()} | dict(more)
        self._sums, self._counts = {}, {}
        with self.path.open("a") as file:
            file.write(json.dumps({name: round(value, 6) for name, value in row.items()}) + "\n")
        return row


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # a line cut off when the run was killed
        return math.inf


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    os.replace(partial, path)


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
        # Written beside and moved file by file, so that a run killed here leaves whole files.
        partial = folder / "partial-export"
        shutil.rmtree(partial, ignore_errors=True)
        copy.deepcopy(model).half().save_pretrained(partial)
        place.mkdir(parents=True, exist_ok=True)
        for file in partial.iterdir():
            os.replace(file, place / file.name)
        partial.rmdir()
    state = {
        "step": counters.step,
        "pairs": counters.pairs,
        "minutes": round(counters.minutes, 1),
        "bad_steps": counters.bad_steps,
        "arguments": {k: v for k, v in vars(args).items() if k != "hub_token"},
    }
    _replace(folder / "training_state.json", json.dumps(state, indent=1, default=str) + "\n")


def push(folder: Path, counters: Any, args: Any) -> None:
    """Upload the exported generator with a model card that says how it was made."""
    content = args.content_dataset_name or args.content_data_dir
    style = args.style_dataset_name or args.style_data_dir
    description = (
        f"Trained by `training/train.py` for {counters.step} steps ({counters.pairs} pairs, {counters.minutes:.0f} "
        f"minutes) on contents of `{content}` and styles of `{style}`, {args.resolution} px, seed {args.seed}."
    )
    StyleGenerator.from_pretrained(folder).half().push_to_hub(
        args.hub_model_id,
        token=args.hub_token,
        commit_message=f"Step {counters.step}",
        model_card_kwargs={"description": description, "repo_id": args.hub_model_id},
    )


def describe(counters: Any, args: Any) -> str:
    """How a model was trained, for its card: data, length, and every argument, as Markdown."""
    data = "\n".join(
        f"- {kind}: `{getattr(args, f'{kind}_dataset_name') or getattr(args, f'{kind}_data_dir')}`"
        for kind in ("content", "style")
    )
    rows = "\n".join(
        f"| `{name}` | `{value}` |"
        for name, value in sorted(vars(args).items())
        if value is not None and name != "hub_token" and not name.endswith(("_dir", "_name"))
    )
    return (
        f"## Training\n\n{counters.step} steps, {counters.pairs} pairs, {counters.minutes:.0f} minutes, by "
        f"`training/train.py` of hfstyle on\n\n{data}\n\n| argument | value |\n| --- | --- |\n{rows}\n"
    )


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
        "losses of the generator": ["loss_content", "loss_style", "loss_texture", "loss_coarse", "loss_local",
                                                "loss_color", "loss_structure", "loss_identity", "loss_consistency",
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
    axes.flat[0].set_yscale("symlog", linthresh=0.01)  # terms of very different sizes, and below 0
    figure.savefig(path, dpi=110)
    plt.close(figure)
