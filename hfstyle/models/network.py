"""What a pipeline asks of the networks: `StyleGenerator` has it, and so have the graphs that were made of one.

B batch · H, W height and width · h, w those of a style's picture
"""

from __future__ import annotations

from typing import Any, Protocol, TypeGuard

import torch
from torch import Tensor, nn

from hfstyle.models.generator import StyleGenerator
from hfstyle.models.style_encoder import Condition

__all__ = ["Network", "device_of", "is_generator", "type_of"]


class Network(Protocol):
    """A style encoder and a generator.

    size_multiple, minimum_size: of the sides H, W that `__call__` takes, in pixels.
    faces: the map that finds them, as `hfstyle.models.faces.FaceMap`.
    encoder: its `parts` are the lengths of what a code's vector is made of, () if that is not known; its `tokens_shape` T
        and E, or None.
    """

    encoder: Any

    @property
    def faces(self) -> Any: ...

    @property
    def size_multiple(self) -> int: ...

    @property
    def minimum_size(self) -> int: ...

    def encoder_fingerprint(self) -> str:
        """Tells encoders apart whose codes do not fit each other."""
        ...

    def encode(self, style: Tensor) -> Condition:
        """style (B, 3, h, w) in [0, 1] -> its condition."""
        ...

    def __call__(
        self,
        content: Tensor,
        condition: Condition,
        strength: Tensor,
        *,
        spared: Tensor | None = None,
        outlines: Tensor | None = None,
    ) -> Tensor:
        """content (B, 3, H, W), strength (B,), spared (B, 1, H, W), outlines (B,), each in [0, 1] -> painted (B, 3, H, W)."""
        ...


def is_generator(network: Network) -> TypeGuard[StyleGenerator]:
    """Whether it is a torch module, compiled or not: it can be cast and moved, and paints in tiles and several styles."""
    return isinstance(network, nn.Module)


def device_of(network: Network) -> torch.device:
    """Where it computes; graphs do on the CPU."""
    return next(network.parameters()).device if is_generator(network) else torch.device("cpu")


def type_of(network: Network) -> torch.dtype:
    """Type of the generator's weights; float32 for graphs. The style encoder is always float32."""
    return network.spread.weight.dtype if is_generator(network) else torch.float32
