"""Internal to `hfstyle.styles.space`: the file of a style space.

A safetensors file with mean and limits as float16, the rows of directions and coordinates in 255 steps each, and texts
packed by zlib.

N paintings · R directions · D style width · T style tokens · E token width
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from hfstyle.files import whole_file
from hfstyle.models.hub import unusable

if TYPE_CHECKING:
    from hfstyle.styles.space import StyleSpace

__all__ = ["read_space_file", "write_space_file"]

_FORMAT: Final = "hfstyle.style_space"


def write_space_file(path: Path, space: StyleSpace) -> None:
    """As `StyleSpace.save`."""
    tensors = {"mean": space.mean.half(), "limits": space.limits.half().contiguous()}
    width, count, length = space.shape
    of_vector, of_tokens = space.directions.split((width, count * length), dim=1)
    of_tokens = of_tokens[int((of_tokens == 0).all(1).sum()) :]  # the last rows: others have none
    for name, rows in (
        ("directions", of_vector),
        ("token_directions", of_tokens),
        ("coordinates", space.coordinates),
    ):
        steps = rows.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
        tensors[name] = (rows / steps).round().to(torch.int8)
        tensors[f"{name}.steps"] = steps
    header = {
        "format": _FORMAT,
        "encoder": space.encoder,
        "scales": json.dumps(space.scales),
        "parts": json.dumps(space.parts),
        "shape": json.dumps(space.shape),
    }
    text = json.dumps(_columns(space.about), ensure_ascii=False, separators=(",", ":"))
    packed = zlib.compress(text.encode(), 9)
    tensors["about"] = torch.frombuffer(bytearray(packed), dtype=torch.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = save(tensors, header)
    with whole_file(path) as file:
        file.write(data)


def read_space_file(path: Path) -> dict[str, Any]:
    """The arguments of a `StyleSpace`.

    Raises OSError, SafetensorError, KeyError, ValueError, IndexError or zlib.error if it is no such file or damaged.
    """
    with safe_open(path, framework="pt") as file:
        header: dict[str, str] = file.metadata() or {}
        if header.get("format") != _FORMAT:
            raise ValueError("it is another kind of safetensors file")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    _check(tensors)
    rows = {
        name.removesuffix(".steps"): tensors[name.removesuffix(".steps")].float() * steps
        for name, steps in tensors.items()
        if name.endswith(".steps")
    }
    scales, shape = json.loads(header["scales"]), json.loads(header["shape"])
    directions = rows["directions"]
    if "token_directions" in rows:
        of_tokens = rows["token_directions"]
        others = len(directions) - len(of_tokens)
        directions = torch.cat((directions, F.pad(of_tokens, (0, 0, others, 0))), dim=1)
    about = json.loads(zlib.decompress(tensors["about"].numpy().tobytes()))
    return {
        "mean": tensors["mean"].float(),
        "directions": directions,
        "coordinates": rows["coordinates"],
        "limits": tensors["limits"].float(),
        "scales": tuple(scales),
        "parts": tuple(json.loads(header["parts"])),
        "shape": (shape[0], shape[1], shape[2]),
        "encoder": header["encoder"],
        "about": _rows(about, len(tensors["coordinates"])),
    }


def _check(tensors: Mapping[str, Tensor]) -> None:
    """Raises ValueError for tensors of another type than they are written in, or with NaN or infinity."""
    numbers = {name: x for name, x in tensors.items() if name != "about"}
    stepped = [name.removesuffix(".steps") for name in numbers if name.endswith(".steps")]
    for name in stepped:
        found = numbers.pop(name, None)
        if found is not None and found.dtype != torch.int8:
            raise ValueError(f"tensors of another type than int8: {name} is {found.dtype}")
    if damage := unusable(numbers):
        raise ValueError(f"tensors {damage}")


def _columns(about: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    keys = sorted({key for entry in about for key in entry})
    return {key: [entry.get(key, "") for entry in about] for key in keys}


def _rows(columns: Mapping[str, Sequence[str]], count: int) -> list[dict[str, str]]:
    return [{key: values[i] for key, values in columns.items() if values[i]} for i in range(count)]
