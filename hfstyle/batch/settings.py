"""Internal to `hfstyle.batch`: what a run was begun with, so that it goes on with the same or not at all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import torch

from hfstyle.files import is_unfinished, write_json
from hfstyle.styles.code import StyleCode

__all__ = ["FAILURES", "begin", "check_settings", "model_digest", "style_sketch", "write_json"]

FAILURES: Final = ".failures-{}.json"
"""Of each process, by its rank, until all have ended."""
_SETTINGS: Final = "settings.json"
_SKETCH_NUMBERS: Final = 8


def style_sketch(code: StyleCode) -> list[float]:
    """A few numbers that tell styles apart, and are the same wherever the style was encoded.

    Not a digest: the number of threads changes the last bits of a code.
    """
    numbers = torch.cat((code.vector.float(), code.tokens.float().flatten()))
    return [round(float(part.mean()), 3) for part in numbers.tensor_split(_SKETCH_NUMBERS)]


def _alike(before: Any, now: Any) -> bool:
    """Equal; of lists, the numbers within rounding."""
    if isinstance(before, list) and isinstance(now, list):
        pairs = zip(before, now, strict=False)
        return len(before) == len(now) and all(
            abs(a - b) < 0.0015 if isinstance(a, float) and isinstance(b, float) else _alike(a, b)
            for a, b in pairs
        )
    return bool(before == now)


def model_digest(generator: Any) -> str:
    """What tells models apart: a digest of the weights, in their type; of graphs, whose weights are not seen, the encoder's."""
    digest = hashlib.blake2b(generator.encoder_fingerprint().encode(), digest_size=8)
    for weight in getattr(generator, "parameters", list)():
        digest.update(str(weight.dtype).encode())
        digest.update(weight.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


def check_settings(folder: Path, settings: dict[str, Any]) -> None:
    file = folder / _SETTINGS
    if not file.exists():
        if folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
            raise ValueError(f"{folder} holds files of something else; name an empty or new folder")
        return
    try:
        before = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is not JSON ({error}); name another output") from error
    if not isinstance(before, dict):
        raise ValueError(f"{file} holds no settings; name another output")
    for key, value in settings.items():
        if key not in before:  # an earlier hfstyle did not write it down
            continue
        if key == "names" and before[key] != value:
            raise ValueError(
                f"{folder} was begun with pictures of other names; name another output, or take back what was "
                "added, removed or renamed"
            )
        if not _alike(before[key], value):
            raise ValueError(
                f"{folder} was begun with {key} {before.get(key)!r}, now it is {value!r}; go on "
                "with the same, or name another output"
            )


def begin(folder: Path, settings: dict[str, Any]) -> None:
    """Settings of a new run; what killed processes left is taken away."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in [*folder.rglob(".*.tmp"), *folder.glob(FAILURES.format("*"))]:
        if is_unfinished(path) or path.parent == folder:
            path.unlink()
    write_json(folder / _SETTINGS, settings)
