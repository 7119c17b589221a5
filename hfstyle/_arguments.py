"""Internal to `hfstyle.pipeline`: what its arguments may be; each error names the value and what to give instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import Tensor

from hfstyle._decode import ImageError
from hfstyle.tiling import LEAST_TILE, TileSize

LARGEST_AUTO_SIZE: Final = 1080
DEFAULT_STYLE_SIZE: Final = 384
"""Short side in pixels at which a style is looked at: the middle of the scales it has in training."""
MINIMUM_SIDE: Final = 16
"""Least height and width of a content picture, in pixels."""

_STYLE_SIZES: Final = (64, 4096)
_MINIMUM_RESOLUTION: Final = 64


def working_size(size: int | str, short: int) -> int | None:
    """`processing_resolution` of the command lines' --size for a photo whose short side is `short` px."""
    if isinstance(size, int):
        return size
    return LARGEST_AUTO_SIZE if size == "auto" and short > LARGEST_AUTO_SIZE else None


def chosen_dtype(
    dtype: torch.dtype | Literal["auto"], device: torch.device | str | None
) -> torch.dtype:
    """ "auto": bfloat16 on a CPU whose arithmetic is faster in it, float32 elsewhere; other types as they are."""
    if dtype != "auto":
        return dtype
    on_cpu = device is None or str(device) == "cpu"
    return torch.bfloat16 if on_cpu and computes_in_bfloat16() else torch.float32


def dtype_of(name: str) -> torch.dtype | Literal["auto"]:
    """The type that the command lines' --dtype names."""
    return "auto" if name == "auto" else getattr(torch, name)


def computes_in_bfloat16() -> bool:
    """Whether this CPU multiplies in bfloat16 (AVX-512 BF16 or AMX); False where torch cannot say."""
    ask = getattr(torch.cpu, "get_capabilities", None)  # not in torch < 2.11
    if ask is None:
        ask_older = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)
        return bool(ask_older())
    able = ask()
    return any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def check_device(device: torch.device | str | None, dtype: torch.dtype) -> None:
    try:
        kind = torch.device("cpu" if device is None else device).type
    except RuntimeError as error:
        raise ValueError(f"device {device!r} is not one that torch knows: {error}") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device {str(device)!r} needs CUDA, which this torch or machine lacks; use 'cpu'"
        )
    if dtype == torch.float16 and kind != "cuda":
        raise ValueError(
            f"dtype float16 needs CUDA, the device is {kind!r}: there, half precision is slower than float32; "
            "use float32 or bfloat16"
        )
    if dtype not in (torch.float32, torch.bfloat16, torch.float16):
        raise ValueError(f"dtype is {dtype}; use torch.float32, bfloat16, or float16 on CUDA")


def check_int(name: str, value: int, least: int, most: int | None) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ValueError(f"{name} is {value!r}; give a whole number of pixels")
    if value < least or (most is not None and value > most):
        limits = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} is {value}; it must be {limits} px")
    return int(value)


def check_style_size(style_size: int) -> int:
    return check_int("style_size", style_size, *_STYLE_SIZES)


def check_resolution(resolution: int | None) -> int | None:
    if resolution is None:
        return None
    return check_int("processing_resolution", resolution, _MINIMUM_RESOLUTION, None)


def check_tile_size(tile_size: TileSize) -> TileSize:
    if tile_size is None or tile_size == "auto":
        return tile_size
    return check_int("tile_size", tile_size, LEAST_TILE, None)


def check_sides(name: str, height: int, width: int) -> None:
    """ImageError for a content picture that is too small."""
    if min(height, width) < MINIMUM_SIDE:
        raise ImageError(
            f"{name} is {width} x {height} px; height and width must be at least "
            f"{MINIMUM_SIDE} px, enlarge it first"
        )


def as_strengths(strength: float | Sequence[float], count: int) -> list[float]:
    return as_shares("strength", strength, count)


def as_shares(name: str, value: float | Sequence[float], count: int) -> list[float]:
    """One number in [0, 1] for each of `count` pictures."""
    many = isinstance(value, (list, tuple, np.ndarray, Tensor)) and np.ndim(value) > 0
    given: list[Any] = list(value) if many else [value] * count  # type: ignore[arg-type]
    if len(given) != count:
        raise ValueError(f"{len(given)} {name}s for {count} pictures; give one for all or each")
    return [as_share(name, item) for item in given]


def as_share(name: str, value: Any, most: float = 1.0) -> float:
    """A number in [0, most]."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {value!r}; give a number in [0, {most:g}]") from None
    if not 0 <= number <= most:  # NaN as well
        raise ValueError(f"{name} is {number}; it must lie in [0, {most:g}]")
    return number


def item_name(argument: str, index: int, count: int) -> str:
    """What an input is called in errors when it has no path."""
    return argument if count == 1 else f"{argument}[{index}]"


def as_list(value: Any, name: str) -> list[Any]:
    """A list or tuple as it is; a 4-dimensional array or tensor as its members; anything else as the only one."""
    batched = isinstance(value, (np.ndarray, Tensor)) and value.ndim == 4
    items = list(value) if batched or isinstance(value, (list, tuple)) else [value]
    if not items:
        raise ValueError(f"{name} is empty; give at least one")
    return items
