"""The conditional generator G(x, c, s): content picture, style condition, strength -> the content painted in that style.

B batch · C channels · H, W height and width of the content · D style width · T style tokens · E token width
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from hfstyle.models.layers import (
    ColorModulation,
    InstanceStatistics,
    ModulatedBlock,
    Modulation,
    TokenAttention,
    activate,
    conv3x3,
    double,
    standardise,
)
from hfstyle.models.loading import MODEL_CARD_TEMPLATE, load_strictly
from hfstyle.models.style_encoder import Condition, StyleEncoder

__all__ = ["StyleGenerator", "default_model_path"]


def default_model_path() -> Path:
    """The folder of the bundled weights: config.json, model.safetensors and styles/."""
    return Path(__file__).resolve().parent.parent / "pretrained" / "base"


class StyleGenerator(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="hfstyle",
    pipeline_tag="image-to-image",
    license="apache-2.0",
    repo_url="https://huggingface.co/hfstyle/base",
    tags=["style-transfer", "conditional-gan", "image-to-image", "arbitrary-style-transfer"],
    model_card_template=MODEL_CARD_TEMPLATE,
):
    """Paint a content picture in the style of a condition, in one forward pass.

    A U-shaped network that spends its arithmetic at 1/8 and 1/16 of the picture's resolution. Coarse features attend to
    the style's tokens, every block is modulated by the style's vector, and a light head at 1/2 resolution repaints the
    detail. The style encoder is a part of the model, since a condition means nothing to another generator.

    Args:
        widths: channels at 1/2 (head), 1/4, 1/8 and 1/16 resolution.
        blocks: modulated blocks at 1/8 and at 1/16 resolution.
        encoder_widths: channels of the style encoder at 1/4, 1/8 and 1/16 resolution.
        style_width: D, length of the condition's vector.
        token_width: E, length of a token; a multiple of `heads`.
        token_grid: side of the grid of tokens; T = token_grid ** 2.
        heads: attention heads.
        use_tokens: False leaves the attention out (an ablation; the condition keeps its tokens).
        use_color: False leaves out the style's map of colours (an ablation, and models older than it).
    """

    size_multiple: int = 16
    """Height and width of the content must be multiples of this; the pipeline pads and crops back."""
    minimum_size: int = 32
    """Least height and width of the content after padding."""

    def __init__(
        self,
        *,
        widths: Sequence[int] = (24, 48, 128, 192),
        blocks: Sequence[int] = (2, 2),
        encoder_widths: Sequence[int] = (64, 128, 192),
        style_width: int = 256,
        token_width: int = 128,
        token_grid: int = 8,
        heads: int = 4,
        use_tokens: bool = True,
        use_color: bool = True,
    ) -> None:
        super().__init__()
        head, low, mid, high = widths
        self.use_tokens = use_tokens
        self.encoder = StyleEncoder(
            (encoder_widths[0], encoder_widths[1], encoder_widths[2]),
            style_width,
            token_width,
            token_grid,
        )
        self.style1 = nn.Linear(style_width + 1, style_width)
        self.style2 = nn.Linear(style_width, style_width)

        self.color = ColorModulation(style_width) if use_color else None
        self.stem = conv3x3(48, low)
        self.down1 = conv3x3(low, mid, stride=2)
        self.down2 = conv3x3(mid, high, stride=2)
        self.attend_high = TokenAttention(high, token_width, heads)
        self.blocks_high = nn.ModuleList(
            ModulatedBlock(high, style_width) for _ in range(blocks[1])
        )
        self.up2 = nn.Conv2d(high, mid, 1)
        self.attend_mid = TokenAttention(mid, token_width, heads)
        self.blocks_mid = nn.ModuleList(ModulatedBlock(mid, style_width) for _ in range(blocks[0]))
        self.up1 = nn.Conv2d(mid, low, 1)
        self.block_low = ModulatedBlock(low, style_width, normalise=False)
        self.spread = conv3x3(low, 16)
        self.detail = conv3x3(16 + 12, head)
        self.modulate_detail = Modulation(head, style_width, normalise=False)
        self.refine = conv3x3(head, 8)
        self.paint = conv3x3(8 + 3, 3)
        with torch.no_grad():
            self.paint.weight.mul_(0.3)

    def encode(self, style: Tensor) -> Condition:
        """style (B, 3, h, w) in [0, 1], h and w >= 64, any size -> its condition."""
        return self.encoder(style)

    def encoder_fingerprint(self) -> str:
        """16 hexadecimal digits naming the encoder's weights; a `StyleCode` remembers which encoder made it."""
        return self.encoder.fingerprint()

    def forward(
        self,
        content: Tensor,
        condition: Condition,
        strength: Tensor,
        statistics: InstanceStatistics | None = None,
    ) -> Tensor:
        """Paint `content` in the style of `condition`.

        Args:
            content: (B, 3, H, W) float in [0, 1], H and W multiples of `size_multiple` and >= `minimum_size`.
            condition: vector (B, D) and tokens (B, T, E).
            strength: (B,) float in [0, 1]; 0 returns the content exactly, 1 is the full style.
            statistics: a fresh object is filled with the instance statistics of this pass; one built from those of an
                earlier pass replays them (tiles, video).

        Returns:
            (B, 3, H, W) float in [0, 1].

        Raises:
            ValueError: H or W is no multiple of `size_multiple` or below `minimum_size` (not checked in an export).
        """
        if not torch.compiler.is_compiling():
            self._check_size(*content.shape[2:])
        statistics = statistics or InstanceStatistics()
        style = torch.cat((condition.vector, strength[:, None].to(condition.vector.dtype)), dim=1)
        style = activate(self.style2(activate(self.style1(style))))  # (B, D)
        tokens = condition.tokens

        x = standardise(content)
        colors = 0 if self.color is None else self.color(x, style, statistics)  # (B, 3, H, W)
        low = activate(self.stem(F.pixel_unshuffle(x, 4)))  # (B, 48, H/4, W/4)
        mid = activate(self.down1(low))  # (B, 128, H/8, W/8)
        h = activate(self.down2(mid))  # (B, 192, H/16, W/16)
        if self.use_tokens:
            h = self.attend_high(h, tokens, statistics)
        for block in self.blocks_high:
            h = block(h, style, statistics)
        h = mid + double(self.up2(h))  # (B, 128, H/8, W/8)
        if self.use_tokens:
            h = self.attend_mid(h, tokens, statistics)
        for block in self.blocks_mid:
            h = block(h, style, statistics)
        h = low + double(self.up1(h))  # (B, 48, H/4, W/4)
        h = self.block_low(h, style, statistics)
        h = double(activate(self.spread(h)))  # (B, 16, H/2, W/2)
        h = self.detail(torch.cat((h, F.pixel_unshuffle(x, 2).to(h.dtype)), dim=1))
        h = self.refine(activate(self.modulate_detail(h, style, statistics)))  # (B, 8, H/2, W/2)
        h = self.paint(torch.cat((activate(double(h)), x.to(h.dtype)), dim=1))  # (B, 3, H, W)
        painted = 0.5 + 0.55 * torch.tanh(h.float() + colors)
        weight = strength[:, None, None, None].to(content.dtype)
        return (content + weight * (painted.to(content.dtype) - content)).clamp(0, 1)

    def _check_size(self, height: int, width: int) -> None:
        if (
            height % self.size_multiple
            or width % self.size_multiple
            or min(height, width) < self.minimum_size
        ):
            raise ValueError(
                f"content of {height} x {width} px: height and width must be multiples of {self.size_multiple} and at "
                f"least {self.minimum_size}; StyleTransferPipeline pads any size and crops back"
            )

    @classmethod
    def _from_pretrained(cls, **kwargs: Any) -> StyleGenerator:
        return load_strictly(cls, **kwargs)
