"""The style encoder: a picture of any size -> the condition that paints in its look.

B batch · H, W height and width · D style width · T style tokens · E token width
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hfstyle.models.layers import ResidualBlock, activate, conv3x3, moments, standardise

__all__ = ["Condition", "StyleEncoder"]


class Condition(NamedTuple):
    """A batch of styles, as the generator and the discriminator take it.

    vector: (B, D) the global look. tokens: (B, T, E) the local look on a coarse grid.
    """

    vector: Tensor
    tokens: Tensor


class StyleEncoder(nn.Module):
    """Picture -> `Condition`: a vector by fully connected layers from multi-scale statistics, and a grid of tokens.

    No normalisation inside: contrast and colour are half of a style.

    Args:
        widths: channels at 1/4, 1/8 and 1/16 of the picture's resolution.
        style_width: D, length of the vector.
        token_width: E, length of a token.
        token_grid: side of the token grid; T = token_grid ** 2.
    """

    def __init__(
        self,
        widths: tuple[int, int, int] = (64, 128, 192),
        style_width: int = 256,
        token_width: int = 128,
        token_grid: int = 8,
    ) -> None:
        super().__init__()
        low, mid, high = widths
        self.token_grid = token_grid
        self.stem = conv3x3(48, low)
        self.down1 = conv3x3(low, mid, stride=2)
        self.block1 = ResidualBlock(mid)
        self.down2 = conv3x3(mid, high, stride=2)
        self.block2 = ResidualBlock(high)
        statistics = 9 + 2 * (low + mid + high)
        self.linear = nn.Linear(statistics, style_width)
        self.mlp1 = nn.Linear(statistics, 2 * style_width)
        self.mlp2 = nn.Linear(2 * style_width, style_width)
        self.token = nn.Conv2d(high, token_width, 1)

    def forward(self, style: Tensor) -> Condition:
        """style (B, 3, H, W) float in [0, 1], H and W >= 64, multiples of 16 or cropped to one -> Condition.

        The vector is float32 whatever the compute type.
        """
        style = style[..., : style.shape[2] // 16 * 16, : style.shape[3] // 16 * 16]
        x = standardise(style)
        low = activate(self.stem(F.pixel_unshuffle(x, 4)))  # (B, 64, H/4, W/4)
        mid = self.block1(activate(self.down1(low)))  # (B, 128, H/8, W/8)
        high = self.block2(activate(self.down2(mid)))  # (B, 192, H/16, W/16)
        colour = x.float().flatten(2)  # (B, 3, HW)
        centred = colour - colour.mean(2, keepdim=True)
        covariance = centred @ centred.transpose(1, 2) / centred.shape[2]  # (B, 3, 3)
        rows, columns = torch.triu_indices(3, 3, device=x.device)
        statistics = [colour.mean(2), covariance[:, rows, columns]]
        for features in (low, mid, high):
            mean, variance = moments(features)
            statistics += [mean.flatten(1), torch.sqrt(variance + 1e-5).flatten(1)]
        look = torch.cat(statistics, dim=1).to(self.linear.weight.dtype)  # (B, 9 + 2 * 384)
        vector = self.linear(look) + self.mlp2(activate(self.mlp1(look)))  # (B, D)
        grid = F.adaptive_avg_pool2d(self.token(high), self.token_grid)  # (B, E, 8, 8)
        return Condition(vector.float(), grid.flatten(2).transpose(1, 2).float())

    def fingerprint(self) -> str:
        """16 hexadecimal digits that name these weights, the same for float32 and float16 copies of them."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().to(torch.float16).contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]
