"""The conditional discriminator D(x, y, candidate): is this a painting, of this content, in this style?

B batch · C channels · S side of the candidate · D style width
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from hfstyle.models.color import luminance
from hfstyle.models.hub import MODEL_CARD_TEMPLATE, absent_told, load_strictly, write_weights
from hfstyle.models.layers import activate

__all__ = ["StyleDiscriminator", "content_view"]


def content_view(image: Tensor, factor: int = 8) -> Tensor:
    """What the discriminator may know of the content: its luminance, reduced, without its own contrast.

    Sharp content edges must not become the proof of a fake, so the view is coarse; and since a style may darken or
    lighten a picture as a whole, mean and deviation are taken out.

    Args:
        image: (B, 3, H, W) float in [0, 1].
        factor: reduction of the side.

    Returns:
        (B, 1, H / factor, W / factor) float32, zero mean and about unit deviation per picture.
    """
    view = F.avg_pool2d(luminance(image), factor)
    variance, mean = torch.var_mean(view, dim=(2, 3), keepdim=True, correction=0)
    return (view - mean) * torch.rsqrt(variance + 1e-3)


class StyleDiscriminator(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="hfstyle",
    license="apache-2.0",
    model_card_template=MODEL_CARD_TEMPLATE,
):
    """Patch logits at two scales with a projection on the style (Miyato & Koyama 2018, eq. 4). No normalisation layers.

    Contrast and colour are half of a style, so nothing in here removes them; there are no buffers, so that ranks and
    EMA copies cannot drift apart.

    Args:
        widths: channels at 1/2, 1/4, 1/8 and 1/16 of the candidate's resolution.
        style_width: D, length of the condition's vector; by default that of the default generator.
    """

    def __init__(
        self, *, widths: tuple[int, ...] = (48, 96, 160, 192), style_width: int = 1049
    ) -> None:
        super().__init__()
        first, second, third, fourth = widths
        self.conv1 = nn.Conv2d(12, first, 3, padding=1)
        self.conv2 = nn.Conv2d(first, second, 4, stride=2, padding=1)
        self.conv3 = nn.Conv2d(second, third, 4, stride=2, padding=1)
        self.fine = nn.Conv2d(third + 1, third, 3, padding=1)
        self.conv4 = nn.Conv2d(third, fourth, 4, stride=2, padding=1)
        self.coarse = nn.Conv2d(fourth, fourth, 3, padding=1)
        self.logit_fine = nn.Conv2d(third, 1, 1)
        self.logit_coarse = nn.Conv2d(fourth, 1, 1)
        self.style_norm = nn.LayerNorm(style_width)
        self.style = nn.Linear(style_width, 256)
        self.project_fine = nn.Linear(256, third)
        self.project_coarse = nn.Linear(256, fourth)
        for layer in (
            self.conv1,
            self.conv2,
            self.conv3,
            self.fine,
            self.conv4,
            self.coarse,
            self.style,
        ):
            nn.init.kaiming_normal_(layer.weight, a=0.2, nonlinearity="leaky_relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, candidate: Tensor, view: Tensor, vector: Tensor) -> list[Tensor]:
        """Judge candidates.

        Args:
            candidate: (B, 3, S, S) float in [0, 1], S a multiple of 16.
            view: (B, 1, S/8, S/8) float, `content_view` of the content.
            vector: (B, K, D) float, vectors of K style conditions to judge each candidate by (detached); the
                convolutions run once for all K.

        Returns:
            Logits (B, K, S/8, S/8) and (B, K, S/16, S/16), float32; positive means real.
        """
        style = activate(self.style(self.style_norm(vector)))  # (B, K, 256)
        h = activate(self.conv1(F.pixel_unshuffle(candidate * 2 - 1, 2)))  # (B, 48, S/2, S/2)
        h = activate(self.conv2(h))  # (B, 96, S/4, S/4)
        h = activate(self.conv3(h))  # (B, 160, S/8, S/8)
        h = activate(self.fine(torch.cat((h, view.to(h.dtype)), dim=1)))  # (B, 160, S/8, S/8)
        fine = self.logit_fine(h) + _project(h, self.project_fine(style))
        h = activate(self.conv4(h))  # (B, 192, S/16, S/16)
        h = activate(self.coarse(h))
        coarse = self.logit_coarse(h) + _project(h, self.project_coarse(style))
        return [fine.float(), coarse.float()]

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | Path, **options: Any
    ) -> StyleDiscriminator:
        """Load from a folder or a Hub id; the options are those of `PyTorchModelHubMixin`. Errors as of `absent_told`."""
        model = pretrained_model_name_or_path
        with absent_told(model, options.get("local_files_only", False)):
            return super().from_pretrained(model, **options)

    @classmethod
    def _from_pretrained(cls, **kwargs: Any) -> StyleDiscriminator:
        return load_strictly(cls, **kwargs)

    def _save_pretrained(self, save_directory: Path) -> None:
        write_weights(self, save_directory)


def _project(features: Tensor, style: Tensor) -> Tensor:
    """Inner products of features (B, C, H, W) and embedded styles (B, K, C) at every position: (B, K, H, W)."""
    scaled = style.to(features.dtype) * features.shape[1] ** -0.5
    return (scaled @ features.flatten(2)).unflatten(2, features.shape[2:])
