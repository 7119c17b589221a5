"""The conditional discriminator D(x, y, candidate): is this a painting, in this style, and of this content?

B batch · C channels · S side of the candidate · K style conditions · V views · D style width
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from hfstyle.models.color import luminance
from hfstyle.models.hub import MODEL_CARD_TEMPLATE, absent_told, load_strictly, write_weights
from hfstyle.models.layers import activate

__all__ = ["Judgement", "StyleDiscriminator", "content_view", "standard_view"]

_MATCHED = 64  # channels in which candidate and content are compared


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
    return standard_view(F.avg_pool2d(luminance(image), factor))


def standard_view(view: Tensor) -> Tensor:
    """(B, 1, h, w) with zero mean and about unit deviation per picture."""
    variance, mean = torch.var_mean(view, dim=(2, 3), keepdim=True, correction=0)
    return (view - mean) * torch.rsqrt(variance + 1e-3)


class Judgement(NamedTuple):
    """Logits of a discriminator, float32; positive means yes.

    Attributes:
        fine, coarse: (B, K, S/8, S/8) and (B, K, S/16, S/16): is this a painting, in each of K styles? Nothing of the
            content takes part. A painting has the tones of its own view and an output has not those of its photo, so
            whoever sees both needs no brush stroke to tell them apart, and asks outputs for the photo's tones.
        shown: (B, V, S/8, S/8): does this show the content of each of V views?
    """

    fine: Tensor
    coarse: Tensor
    shown: Tensor


class StyleDiscriminator(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="hfstyle",
    license="apache-2.0",
    model_card_template=MODEL_CARD_TEMPLATE,
):
    """Patch logits at two scales with a projection on the style (Miyato & Koyama 2018, eq. 4), and of the content at one.

    There are no normalisation layers.

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
        self.fine = nn.Conv2d(third, third, 3, padding=1)
        self.conv4 = nn.Conv2d(third, fourth, 4, stride=2, padding=1)
        self.coarse = nn.Conv2d(fourth, fourth, 3, padding=1)
        self.logit_fine = nn.Conv2d(third, 1, 1)
        self.logit_coarse = nn.Conv2d(fourth, 1, 1)
        self.match1 = nn.Conv2d(third + 1, _MATCHED, 3, padding=1)
        self.match2 = nn.Conv2d(_MATCHED, _MATCHED, 3, padding=1)
        self.logit_shown = nn.Conv2d(_MATCHED, 1, 1)
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
            self.match1,
            self.match2,
            self.style,
        ):
            nn.init.kaiming_normal_(layer.weight, a=0.2, nonlinearity="leaky_relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, candidate: Tensor, views: Tensor, vectors: Tensor) -> Judgement:
        """Judge candidates.

        Args:
            candidate: (B, 3, S, S) float in [0, 1], S a multiple of 16.
            views: (B, V, S/8, S/8) float, `content_view` of V contents for each candidate.
            vectors: (B, K, D) float, vectors of K style conditions (detached).

        The convolutions that see the candidate run once for all K and V.
        """
        style = activate(self.style(self.style_norm(vectors)))  # (B, K, 256)
        h = activate(self.conv1(F.pixel_unshuffle(candidate * 2 - 1, 2)))  # (B, 48, S/2, S/2)
        h = activate(self.conv2(h))  # (B, 96, S/4, S/4)
        h = activate(self.conv3(h))  # (B, 160, S/8, S/8)
        shown = self._shown(h, views)
        h = activate(self.fine(h))  # (B, 160, S/8, S/8)
        fine = self.logit_fine(h) + _project(h, self.project_fine(style))
        h = activate(self.conv4(h))  # (B, 192, S/16, S/16)
        h = activate(self.coarse(h))
        coarse = self.logit_coarse(h) + _project(h, self.project_coarse(style))
        return Judgement(fine.float(), coarse.float(), shown.float())

    def _shown(self, h: Tensor, views: Tensor) -> Tensor:
        """h (B, C, S/8, S/8), views (B, V, S/8, S/8) -> logits (B, V, S/8, S/8)."""
        count = views.shape[1]
        seen = h[:, None].expand(-1, count, -1, -1, -1).flatten(0, 1)  # (BV, C, S/8, S/8)
        both = torch.cat((seen, views.flatten(0, 1)[:, None].to(h.dtype)), dim=1)
        logits = self.logit_shown(activate(self.match2(activate(self.match1(both)))))
        return logits.unflatten(0, (-1, count))[:, :, 0]

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
