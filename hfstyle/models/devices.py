"""Where things are computed, and in which precision, whatever the caller's surroundings say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, Literal

import torch

__all__ = [
    "check_device",
    "chosen_device",
    "chosen_dtype",
    "computes_in_bfloat16",
    "dtype_of",
    "own_precision",
]

_KINDS: Final = ("cpu", "cuda", "mps", "xpu")


@contextmanager
def own_precision() -> Iterator[None]:
    """Computes without a `torch.autocast` or another default device that the caller has around, so that one style has one code, one
    picture one painting.

    Also a decorator. Inside, `torch.autocast` may be entered again.
    """
    with ExitStack() as stack:
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))  # what goes elsewhere is sent there
        for kind in _KINDS:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def chosen_device(name: str) -> str:
    """ "auto": the GPU where there is one, else the CPU; other names as they are."""
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


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
