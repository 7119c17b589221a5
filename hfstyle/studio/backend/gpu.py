"""Where pictures are painted: on the CPU, on a GPU, or on one that ZeroGPU lends for some seconds.

On ZeroGPU a decorated function runs in a process forked for it, which alone has a GPU; its arguments and its result are
pickled. So the model stays on the CPU, where it can be read at any time, and moves in that process.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, Final

import torch

from hfstyle import StyleTransferPipeline

try:
    import spaces
except ImportError:  # everywhere but on a Space, as a rule
    spaces = None

_LEAST_SECONDS: Final = (
    10  # a short loan waits less, and is possible with less of a visitor's quota left
)
_SECONDS_PER_MEGAPIXEL: Final = 1.0


def is_lent() -> bool:
    """Whether this is a Space on ZeroGPU."""
    return spaces is not None and os.environ.get("SPACES_ZERO_GPU", "").lower() in {
        *("1", "t", "true")
    }


def home_device() -> str:
    """Where a model stays."""
    return "cuda" if torch.cuda.is_available() and not is_lent() else "cpu"


def on_cpu_here(doing: str) -> str:
    """For pages whose work no lent GPU does: a sentence that says so, empty where GPUs are not lent.

    Args:
        doing: such as "films are painted".
    """
    return (
        f" On this Space a GPU is lent for single pictures; {doing} on its CPU."
        if is_lent()
        else ""
    )


def on_gpu(function: Callable[..., Any], pipe: StyleTransferPipeline) -> Callable[..., Any]:
    """The function, on a lent GPU where GPUs are lent.

    Args:
        function: its first argument is a `Picture`, and all can be pickled, like its result; it takes no lock, which the
            forked process could find closed for ever.
        pipe: the model that it uses.
    """
    if spaces is None:
        return function

    @functools.wraps(function)
    def lent(*arguments: Any) -> Any:
        if is_lent() and torch.cuda.is_available():
            pipe.to("cuda")
        return function(*arguments)

    return spaces.GPU(lent, duration=_seconds)


def _seconds(picture: Any, *_: Any) -> int:
    """How long a GPU is asked for."""
    height, width = picture.size
    return round(_LEAST_SECONDS + _SECONDS_PER_MEGAPIXEL * height * width / 1e6)
