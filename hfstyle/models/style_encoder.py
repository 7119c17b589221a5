"""The style encoder: a picture of any size -> the condition that paints in its look.

B batch · H, W height and width · D style width · T style tokens · E token width
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hfstyle.models import fast, graph
from hfstyle.models.color import ColorTransfer, standardise
from hfstyle.models.layers import ResidualBlock, activate, conv3x3
from hfstyle.models.resample import halve
from hfstyle.models.statistics import moments

__all__ = ["Condition", "StyleEncoder"]


class Condition(NamedTuple):
    """A batch of styles, as the generator and the discriminator take it.

    vector: (B, D) the global look. tokens: (B, T, E) the local look on a coarse grid.
    """

    vector: Tensor
    tokens: Tensor


class Trunk(nn.Module):
    """The layers that contents and styles share: a picture -> features at 1/2, 1/4, 1/8 and 1/16 of its resolution.

    Every reduction averages first, so that neither noise nor the position of the grid passes into the coarser scale.
    """

    def __init__(self, widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        fine, low, mid, high = widths
        self.stem = conv3x3(12, fine)
        self.down0 = conv3x3(fine, low)
        self.block = ResidualBlock(low)
        self.down1 = conv3x3(low, mid)
        self.down2 = conv3x3(mid, high)

    def forward(self, x: Tensor, stages: int = 4) -> list[Tensor]:
        """Features at 1/2, 1/4, 1/8 and 1/16 of the resolution; of two or three stages, the first of these.

        x (B, 3, H, W) standardised -> (B, fine, H/2, W/2), (B, low, H/4, W/4), (B, mid, H/8, W/8), (B, high, H/16, W/16).
        """
        fine = activate(
            graph.convolve_halved(x, self.stem.weight, self.stem.bias)
            if graph.wanted()
            else self._of_quarters(x)
        )
        low = self.block(activate(self.down0(halve(fine))))
        features = [fine, low]
        if stages > 2:
            features.append(activate(self.down1(halve(low))))
        if stages > 3:
            features.append(activate(self.down2(halve(features[2]))))
        return features

    def _of_quarters(self, x: Tensor) -> Tensor:
        """The stem of x (B, 3, H, W), whose 2 x 2 pixels are channels of one: (B, fine, H/2, W/2)."""
        batch, channels, height, width = x.shape
        if not fast.possible(x):
            return self.stem(F.pixel_unshuffle(x, 2))
        quarters = (batch, 4 * channels, height // 2, width // 2)
        weight, bias = self.stem.weight, self.stem.bias
        assert bias is not None
        weight = weight.unflatten(1, (channels, 2, 2)).permute(0, 2, 3, 1, 4, 5)
        padded = fast.framed(quarters, x.dtype, partial(fast.unshuffled, x))
        return self.stem.of_padded(padded, (weight.flatten(1, 3), bias))


class StyleEncoder(nn.Module):
    """Picture -> `Condition`: one vector, the global look, and a grid of tokens, the local look.

    The vector has three kinds of parts: a learned embedding by fully connected layers from multi-scale statistics; the means and
    deviations of the trunk's features at four scales, which the generator's `FeatureTransfer` uses as they are; and
    the colours, for its `ColorTransfer`. No normalisation inside: contrast and colour are half of a style.

    Args:
        widths: channels at 1/2, 1/4, 1/8 and 1/16 of the picture's resolution.
        style_width: length of the learned part of the vector.
        token_width: E, length of a token.
        token_grid: side of the token grid; T = token_grid ** 2.
    """

    def __init__(
        self,
        widths: tuple[int, int, int, int] = (24, 48, 128, 192),
        style_width: int = 256,
        token_width: int = 128,
        token_grid: int = 8,
    ) -> None:
        super().__init__()
        self.token_grid = token_grid
        self.trunk = Trunk(widths)
        self.block = ResidualBlock(widths[3])
        self.parts = (style_width, *(2 * width for width in widths), ColorTransfer.WIDTH)
        """Lengths of the parts of the vector."""
        self.tokens_shape = (token_grid**2, token_width)
        """T and E."""
        self.vector_width = sum(self.parts)
        """D, length of the vector."""
        statistics = self.vector_width - style_width + 2 * widths[3]
        self.linear = nn.Linear(statistics, style_width)
        self.mlp1 = nn.Linear(statistics, 2 * style_width)
        self.mlp2 = nn.Linear(2 * style_width, style_width)
        self.token = nn.Conv2d(widths[3], token_width, 1)

    def forward(self, style: Tensor) -> Condition:
        """style (B, 3, H, W) float in [0, 1], H and W >= 64, multiples of 16 or cropped to one -> Condition.

        The vector is float32 whatever the compute type.
        """
        style = style[..., : style.shape[2] // 16 * 16, : style.shape[3] // 16 * 16]
        x = standardise(style)
        fine, low, mid, high = self.trunk(x)
        deep = self.block(high)  # (B, high, H/16, W/16)
        measured = [*map(_looks, (fine, low, mid, high)), ColorTransfer.measure(x)]
        statistics = torch.cat((*measured, _looks(deep)), dim=1).to(self.linear.weight.dtype)
        learned = self.linear(statistics) + self.mlp2(activate(self.mlp1(statistics)))
        vector = torch.cat((learned.float(), *measured), dim=1)  # (B, D)
        sides = (self.token_grid, self.token_grid)
        pool = graph.pooled if graph.wanted() else F.adaptive_avg_pool2d
        grid = pool(self.token(deep), sides)  # (B, E, 8, 8)
        return Condition(vector, grid.flatten(2).transpose(1, 2).float())

    def fingerprint(self) -> str:
        """16 hexadecimal digits that name these weights, the same for float32 and float16 copies of them."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().to(torch.float16).contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


def _looks(features: Tensor) -> Tensor:
    """Channel means and deviations: (B, C, H, W) -> (B, 2C) float32."""
    mean, variance = moments(features)
    return torch.cat((mean, torch.sqrt(variance + 1e-5)), dim=1).flatten(1)
