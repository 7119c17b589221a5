"""What a run leaves behind: the exported model and loss curves."""

from __future__ import annotations

import copy
import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hfstyle.files import safe_name, whole_file, write_text
from hfstyle.models.discriminator import StyleDiscriminator
from hfstyle.models.generator import StyleGenerator
from hfstyle.styles.listed import PACK_FILE, STYLES_FOLDER
from hfstyle.styles.pack import read_pack
from hfstyle.styles.presets import download_styles, local_folder
from hfstyle.styles.space import SPACE_FILE
from training.run.folder import written
from training.run.upload import write_card

__all__ = ["Log", "export", "save_curves", "save_styles", "save_whole", "told_numbers"]

_GAME: Final = (
    "d_loss", "d_accuracy_real", "d_accuracy_fake", "d_accuracy_mismatched", "d_accuracy_shown", "d_condition",
    "d_logit_size", "r1", "diversity", "code_spread", "adversarial_weight",
)  # fmt: skip


class Log:
    """Means of the numbers of a run, one JSON object a line.

    Args:
        path: rows of this run up to `step` are kept, later ones (of steps that a resumed run repeats) are dropped.
        step: the step at which the run starts.
        unlogged: name -> [sum, count] of steps since the last row, kept up to date for checkpoints; empty for a new run.
    """

    def __init__(
        self, path: Path, step: int = 0, unlogged: dict[str, list[float]] | None = None
    ) -> None:
        self.path = path
        self._unlogged = {} if unlogged is None else unlogged
        lines = path.read_text().splitlines() if path.is_file() else []
        kept = [line for line in lines if _step_of(line) <= step]
        write_text(path, "".join(line + "\n" for line in kept))

    def add(self, numbers: Mapping[str, float]) -> None:
        """One step's numbers; not all need to be there in each step, and what is not finite is left out."""
        for name, value in numbers.items():
            if math.isfinite(value):
                total, count = self._unlogged.get(name, (0.0, 0))
                self._unlogged[name] = [total + value, count + 1]

    def write(self, more: Mapping[str, float]) -> dict[str, float]:
        """Append a row: the means since the last one and `more`."""
        row = {name: total / count for name, (total, count) in self._unlogged.items()} | dict(more)
        self._unlogged.clear()
        with self.path.open("a") as file:
            file.write(json.dumps({name: round(value, 6) for name, value in row.items()}) + "\n")
        return row


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # a line cut off when the run was killed
        return math.inf


def told_numbers(head: str, row: Mapping[str, float]) -> str:
    """A row of the log to read: how far the run is, then its numbers, a line for each kind."""
    lines: dict[str, list[str]] = {"losses": [], "game": [], "run": []}
    for name, value in row.items():
        kind = "losses" if name.startswith("loss_") else "game" if name in _GAME else "run"
        if name not in ("step", "minutes"):
            lines[kind].append(f"{name} {value:.4g}")
    return "\n".join([head, *("    " + "  ".join(line) for line in lines.values() if line)])


def save_whole(model: StyleGenerator | StyleDiscriminator, folder: Path) -> None:
    """Write a copy in fp16, beside and then moved file by file, so that a run killed here leaves whole files.

    Raises OSError if it cannot be written.
    """
    partial = folder / "partial-export"
    shutil.rmtree(partial, ignore_errors=True)
    with written(folder, "free some space", partial):
        copy.deepcopy(model).half().save_pretrained(partial)
    for file in partial.iterdir():
        os.replace(file, folder / file.name)
    partial.rmdir()


def save_styles(
    model: str, generator: StyleGenerator, folder: Path, token: str | None = None
) -> None:
    """Copy presets and style space of the model that was taught, a folder or Hub id, if they are still the encoder's."""
    source = local_folder(model) or download_styles(model, None, token, False, None)
    fingerprint = copy.deepcopy(generator).half().encoder_fingerprint()
    start = StyleGenerator.from_pretrained(model, token=token)
    if source is None or start.encoder_fingerprint() != fingerprint:
        return
    if (pack := source / PACK_FILE).is_file():  # of the Hub: all styles in one file
        (folder / STYLES_FOLDER).mkdir(parents=True, exist_ok=True)
        for name, code in read_pack(pack).items():
            code.save(folder / STYLES_FOLDER / f"{safe_name(name, room=12)}.safetensors")
    for file in (source / SPACE_FILE, *sorted((source / STYLES_FOLDER).glob("*.safetensors"))):
        if file.is_file():
            target = folder / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(target) as stream:
                stream.write(file.read_bytes())


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
    save_whole(generator, folder)
    save_whole(discriminator, folder / "discriminator")
    write_card(folder, generator, counters, args)
    state = {
        "step": counters.step,
        "pairs": counters.pairs,
        "minutes": round(counters.minutes, 1),
        "bad_steps": counters.bad_steps,
        "arguments": {k: v for k, v in vars(args).items() if k != "hub_token"},
    }
    write_text(folder / "training_state.json", json.dumps(state, indent=1, default=str) + "\n")


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


def save_curves(log: Path, path: Path) -> None:
    """Plot every logged number over the pairs seen; skipped where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
    terms = sorted({name for row in rows for name in row if name.startswith("loss_")})
    groups = {
        "losses of the generator": terms,  # whichever there are
        "accuracy of the discriminator": [f"d_accuracy_{of}" for of in ("real", "fake", "mismatched", "shown")],
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
