"""Attention of the content's features to the style's tokens.

B batch · C channels · H, W height and width · T style tokens · E token width
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hfstyle.models import fast
from hfstyle.models.layers import InstanceStatistics, add, scale_and_shift

__all__ = ["TokenAttention"]


class TokenAttention(nn.Module):
    """Every position of the content asks the style tokens which of them it should look like; cost linear in pixels.

    Multi-head cross-attention (Vaswani et al. 2017, eq. 1; for style transfer: SANet, Park & Lee 2019). Queries come
    from instance-normalised content features, so that the match is by structure and not by colour.
    """

    def __init__(self, channels: int, token_width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Conv2d(channels, token_width, 1)
        self.key = nn.Linear(token_width, token_width)
        self.value = nn.Linear(token_width, token_width)
        self.out = nn.Conv2d(token_width, channels, 1)

    def weights(self, x: Tensor, tokens: Tensor, statistics: InstanceStatistics) -> Tensor:
        """Attention weights (B, heads, H * W, T), rows summing to 1."""
        q, k = self._queries(x, statistics), self._split(self.key(tokens))
        return torch.softmax(q @ k.transpose(2, 3).to(q.dtype) * q.shape[-1] ** -0.5, dim=-1)

    def forward(self, x: Tensor, tokens: Tensor, statistics: InstanceStatistics) -> Tensor:
        """x (B, C, H, W), tokens (B, T, E) -> (B, C, H, W)."""
        v = self._split(self.value(tokens))
        if fast.possible(x):  # without the weights in memory
            q, k = self._queries(x, statistics), self._split(self.key(tokens))
            h = F.scaled_dot_product_attention(q, k, v)  # (B, heads, HW, E/heads)
        else:
            weights = self.weights(x, tokens, statistics)
            h = weights @ v.to(weights.dtype)
        h = h.transpose(2, 3).flatten(1, 2)  # (B, E, HW)
        return add(x, self.out(h.unflatten(2, x.shape[2:])))

    def _queries(self, x: Tensor, statistics: InstanceStatistics) -> Tensor:
        """(B, C, H, W) -> (B, heads, HW, E/heads)."""
        mean, rstd = statistics.of(x)
        q = self.query(scale_and_shift(x, rstd, -mean * rstd)).flatten(2)  # (B, E, HW)
        return q.unflatten(1, (self.heads, -1)).transpose(2, 3)

    def _split(self, tokens: Tensor) -> Tensor:
        """(B, T, E) -> (B, heads, T, E/heads)."""
        return tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)
