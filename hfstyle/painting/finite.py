"""Internal to `hfstyle.pipeline`: numbers that left the range of their type are an error, not a black picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

__all__ = ["NotFiniteError", "check_finite", "named"]


class NotFiniteError(ValueError):
    """The network painted NaN or infinity."""


def check_finite(painted: Tensor, dtype: torch.dtype) -> None:
    """Raises NotFiniteError if any number of a painting (or of what was measured for it) is NaN or infinite.

    Args:
        painted: any shape, floating.
        dtype: in which the network runs.
    """
    # Their sum is a number if they all are: a pass over the picture instead of four. In float32, a picture's does not overflow.
    if bool(painted.sum(dtype=torch.float32).isfinite()) or bool(painted.isfinite().all()):
        return
    remedy = (
        "its weights are damaged, or an input is far out of range"
        if dtype == torch.float32
        else "load the model with dtype=torch.float32 (--dtype float32), or bfloat16 on a GPU"
    )
    raise NotFiniteError(
        f"the network gave NaN or infinity in {dtype} instead of colours: {remedy}"
    )


@contextmanager
def named(picture: str) -> Iterator[None]:
    """A NotFiniteError from inside says which picture was painted."""
    try:
        yield
    except NotFiniteError as error:
        raise NotFiniteError(f"{picture}: {error}") from None
