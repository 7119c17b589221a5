"""The losses, one function per term, in the order of the sum that the generator minimises.

    L_G = w_content L_content + w_style L_style + w_texture L_texture + w_coarse L_coarse + w_local L_local
        + w_color L_color + w_halo L_halo + w_structure L_structure + w_identity L_identity
        + w_consistency L_consistency + w_contrast L_contrast + w_adversarial L_adversarial
    L_adversarial = L_painted + L_shown / 2
    L_D = L_real + (L_fake + w_mismatched L_mismatched) / (1 + w_mismatched) + L_shown + R1

L_coarse is w_style L_style + w_texture L_texture of what the coarser level of the generator paints.
Layers are scaled by the energy of their own features, so that a weight means the same with any perceptual network.
Everything is computed in float32.

B batch · C channels · h, w size of a feature map · D style width
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hfstyle.models.color import luminance
from hfstyle.models.statistics import moments

__all__ = [
    "GanLoss",
    "Statistics",
    "adversarial_loss",
    "color_loss",
    "consistency_loss",
    "content_loss",
    "contrast_loss",
    "discriminator_loss",
    "halo_loss",
    "identity_loss",
    "interpolate",
    "local_loss",
    "measure",
    "r1_penalty",
    "structure_loss",
    "style_loss",
    "texture_loss",
]

GanLoss = Literal["minimax", "nonsaturating", "hinge"]
Features = dict[str, Tensor]

_ROOT_EPS = 0.01  # keeps the root's slope finite at the target
_STRUCTURE_WINDOW = 7  # cells
_STRUCTURE_FLOOR = 0.04**2  # below this variance of lightness, a window of the photo is flat


class Statistics(NamedTuple):
    """What a layer's features are like, wherever they are: mean and deviation (B, C), correlation (B, C, C)."""

    mean: Tensor
    std: Tensor
    covariance: Tensor


def measure(features: Features) -> dict[str, Statistics]:
    """Statistics of each layer's features (B, C, h, w), float32."""
    statistics = {}
    for name, feature in features.items():
        rows = feature.permute(0, 2, 3, 1).flatten(1, 2)  # (B, hw, C)
        with torch.autocast(rows.device.type, enabled=False):
            mean, covariance = _Moments.apply(rows)
        std = torch.sqrt(torch.diagonal(covariance, dim1=1, dim2=2) + 1e-5)
        statistics[name] = Statistics(mean, std, covariance)
    return statistics


class _Moments(torch.autograd.Function):
    """Rows (B, n, C) -> mean (B, C) and covariance (B, C, C), float32, with a gradient in one product.

    Left to autograd, the gradient of a large map takes two products and three sums in float32; and a GPU is hardly at work
    on n x C by n x C of so few pictures, unless n is cut into parts.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> tuple[Tensor, Tensor]:
        batch, number, channels = rows.shape
        values = rows.float()
        mean = values.mean(1)
        centred = values - mean[:, None]
        parts = next(
            n for n in (32, 16, 8, 4, 2, 1) if n == 1 or (not number % n and number > 512 * n)
        )
        cut = centred.reshape(batch * parts, number // parts, channels)
        covariance = (cut.transpose(1, 2) @ cut).unflatten(0, (batch, parts)).sum(1) / number
        ctx.save_for_backward(rows, mean)
        return mean, covariance

    @staticmethod
    def backward(ctx: Any, of_mean: Tensor, of_covariance: Tensor) -> Tensor:  # type: ignore[override]
        rows, mean = ctx.saved_tensors
        number = rows.shape[1]
        # (rows - mean) @ both + of_mean / number
        both = (of_covariance + of_covariance.transpose(1, 2)) / number
        with torch.autocast(rows.device.type, enabled=False):
            shift = of_mean[:, None] / number - mean[:, None] @ both
            return torch.baddbmm(shift.to(rows.dtype), rows, both.to(rows.dtype))


def interpolate(
    content: dict[str, Statistics], style: dict[str, Statistics], strength: Tensor
) -> dict[str, Statistics]:
    """The style target at each pair's strength (B,): from the content's own statistics to the style's."""
    return {
        name: Statistics(
            *(
                torch.lerp(a, b, strength.view(-1, *[1] * (a.ndim - 1)))
                for a, b in zip(content[name], style[name], strict=True)
            )
        )
        for name in style
    }


def content_loss(output: Features, content: Features, layers: Sequence[str]) -> Tensor:
    """Distance of instance-normalised deep features: what is there, whatever its colours.

    L = mean_l || N(F_l(G)) - N(F_l(x)) ||^2  (AdaIN, eq. 12, with both sides normalised as in MicroAST's successors)
    """
    return torch.stack(
        [
            F.mse_loss(_normalised(output[name]), _normalised(content[name]), reduction="mean")
            for name in layers
        ]
    ).mean()


def _normalised(features: Tensor) -> Tensor:
    mean, variance = moments(features)
    energy = variance.mean(1, keepdim=True)
    return (features.float() - mean) * torch.rsqrt(variance + 0.05 * energy + 1e-6)


def style_loss(
    output: dict[str, Statistics],
    target: dict[str, Statistics],
    content: dict[str, Statistics],
    style: dict[str, Statistics],
    normalise: Literal["pair", "energy"] = "pair",
    weights: Mapping[str, float] | None = None,
) -> Tensor:
    """Distance of channel means and deviations over all depths (AdaIN, eq. 13).

    L = mean_l w_l (sqrt((|mu_G - mu_t|^2 + |sigma_G - sigma_t|^2) / n_l + eps) - sqrt(eps))

    With `normalise="pair"`, n_l is the same distance between content and style (plus a floor), as in IST: every pair
    starts near 1, so that strong styles do not drown weak ones. With "energy", n_l is the style's own energy. The root
    keeps the few pairs that are far off, or whose content and style are nearly alike, from ruling the gradient.

    Args:
        output, target, content, style: statistics by layer.
        normalise: what n_l is.
        weights: w_l by layer, 1 where it is not given.
    """
    terms = []
    for name, wanted in target.items():
        own, goal = content[name], style[name]
        distance = _squared(output[name].mean - wanted.mean) + _squared(
            output[name].std - wanted.std
        )
        scale = _squared(goal.mean) + _squared(goal.std)
        if normalise == "pair":
            between = _squared(own.mean - goal.mean) + _squared(own.std - goal.std)
            scale = between + 0.05 * scale
        root = _root(distance / (scale + 1e-8)).mean()
        terms.append(root * (1.0 if weights is None else weights.get(name, 1.0)))
    return torch.stack(terms).mean()


def texture_loss(
    output: dict[str, Statistics],
    target: dict[str, Statistics],
    content: dict[str, Statistics],
    style: dict[str, Statistics],
) -> Tensor:
    """Distance of channel covariances (centred Gram matrices, Gatys et al. 2016, eq. 4), normalised per pair.

    L = mean_l sqrt(|Sigma_G - Sigma_t|^2 / n_l + eps) - sqrt(eps)

    n_l and the root are as in `style_loss`. Means and deviations fix palette and contrast; which features occur together
    is what makes a brush stroke.
    """
    terms = []
    for name, wanted in target.items():
        distance = _squared(output[name].covariance - wanted.covariance)
        energy = _squared(style[name].covariance)
        between = _squared(content[name].covariance - style[name].covariance)
        terms.append(_root(distance / (between + 0.05 * energy + 1e-10)).mean())
    return torch.stack(terms).mean()


def color_loss(output: Tensor, content: Tensor, style: Tensor, strength: Tensor) -> Tensor:
    """Distance of the pixels' own mean, deviation and covariance: `style_loss` + `texture_loss` of the pictures.

    Args:
        output, content, style: (B, 3, S, S) in [0, 1]; the sides may differ.
        strength: (B,), as in `interpolate`.
    """
    seen, own, goal = (measure({"pixels": picture}) for picture in (output, content, style))
    target = interpolate(own, goal, strength)
    return style_loss(seen, target, own, goal) + texture_loss(seen, target, own, goal)


def halo_loss(output: Tensor, content: Tensor) -> Tensor:
    """Colour that changes where the photo does not: halos along edges, rainbows in skies.

    L = mean |grad chroma(G)| exp(-|grad x| / 0.04), both at 1/4 of the resolution: smoothness that stops at the photo's
    edges (Godard et al. 2017, eq. 3, there for depth), so that a whole sky may change its colour.

    Args:
        output, content: (B, 3, S, S) in [0, 1].
    """
    painted, photo = F.avg_pool2d(output.float(), 4), F.avg_pool2d(content.float(), 4)
    red, green, blue = painted.unbind(1)
    chroma = torch.stack(((red - blue) / 2**0.5, (red + blue - 2 * green) / 6**0.5), dim=1)
    terms = []
    for axis in (2, 3):
        change = chroma.diff(dim=axis).abs().mean(1)
        edge = photo.diff(dim=axis).abs().mean(1)
        terms.append((change * torch.exp(-edge / 0.04)).mean())
    return torch.stack(terms).mean()


def structure_loss(output: Tensor, content: Tensor) -> Tensor:
    """What is dark beside what is light stays so: eyes, noses, mouths, whatever the brush makes of them.

    L = 1 - mean (cov(G, x) + c) / (sigma_G sigma_x + c)

    The structure term of SSIM (Wang et al. 2004, eq. 10) of lightness, at 1/4 and 1/8 of the resolution, in windows of
    7 x 7 cells. Where the photo is flat, and about finer strokes, it says nothing.

    Args:
        output, content: (B, 3, S, S) in [0, 1], S >= 28; below 56, the second resolution is left out.
    """
    pair = torch.cat((luminance(output), luminance(content)), dim=1)  # (B, 2, S, S)
    terms: list[Tensor] = []
    for cell in (4, 8):
        cells = F.avg_pool2d(pair, cell)  # (B, 2, S / cell, S / cell)
        if terms and min(cells.shape[2:]) < _STRUCTURE_WINDOW:
            break
        x, y = cells.unbind(1)
        moments_of = torch.stack((x, y, x * x, y * y, x * y), dim=1)
        mean_x, mean_y, xx, yy, xy = F.avg_pool2d(moments_of, _STRUCTURE_WINDOW, stride=1).unbind(1)
        c = _STRUCTURE_FLOOR
        variance_x = (xx - mean_x * mean_x).clamp(min=0)
        variance_y = (yy - mean_y * mean_y).clamp(min=0)
        spread = torch.sqrt(variance_x * variance_y + 1e-12)
        terms.append(1 - ((xy - mean_x * mean_y + c) / (spread + c)).mean())
    return torch.stack(terms).mean()


def _root(ratio: Tensor) -> Tensor:
    return torch.sqrt(ratio + _ROOT_EPS) - _ROOT_EPS**0.5


def _squared(x: Tensor) -> Tensor:
    return x.float().square().flatten(1).mean(1)


def local_loss(
    output: Features, style: Features, layers: Sequence[str], weight: Tensor, samples: int = 384
) -> Tensor:
    """Relaxed earth mover's distance between local features (STROTSS, Kolkin et al. 2019, eq. 5).

    Every place of the output should look like some place of the style, and every place of the style should be used.
    L = max(mean_i min_j C_ij, mean_j min_i C_ij), C the cosine distance.

    Args:
        weight: (B,) per-pair weight, for instance 1 at full strength and 0 below.
        samples: places compared in each picture.
    """
    terms = []
    for name in layers:
        a, b = output[name].flatten(2), style[name].flatten(2)  # (B, C, hw)
        if a.shape[2] > samples:
            a = a[:, :, torch.randperm(a.shape[2], device=a.device)[:samples]]
        if b.shape[2] > samples:
            b = b[:, :, torch.randperm(b.shape[2], device=b.device)[:samples]]
        cost = 1 - F.normalize(a.float(), dim=1).transpose(1, 2) @ F.normalize(b.float(), dim=1)
        forward = cost.amin(2).mean(1)
        backward = cost.amin(1).mean(1)
        terms.append((torch.maximum(forward, backward) * weight).sum() / weight.sum().clamp(min=1))
    return torch.stack(terms).mean()


def identity_loss(output: Tensor, picture: Tensor) -> Tensor:
    """A picture styled by itself is itself (SANet, eq. 8): mean absolute difference of pixels."""
    return F.l1_loss(output.float(), picture.float())


def consistency_loss(output: Tensor, moved: Tensor, down: int, right: int) -> Tensor:
    """The picture painted anew after a small move and a little noise is the picture moved: no texture out of noise.

    L = || G(x) - move^-1 G(move(x) + n) ||_1 (as in Sanakoyeu et al. 2018 and ReCoNet, Gao et al. 2018, without a film).

    All that both show is compared, up to the border: what was left out there became stripes.

    Args:
        output: (B, 3, S, S) of x.
        moved: (B, 3, S, S) of x moved by `down` and `right` pixels, each in [0, S).
    """
    side = output.shape[2]
    still = output[..., : side - down, : side - right]
    return F.l1_loss(moved[..., down:, right:].float(), still.float())


def contrast_loss(output_code: Tensor, style_code: Tensor, temperature: float = 0.1) -> Tensor:
    """The output's own style is nearer to its style than to any other of the batch (InfoNCE, van den Oord et al. 2018).

    output_code, style_code: (B, D) vectors of the conditions.
    """
    centre = style_code.mean(0, keepdim=True).detach()
    a = F.normalize(output_code.float() - centre, dim=1)
    b = F.normalize(style_code.float() - centre, dim=1)
    labels = torch.arange(len(a), device=a.device)
    return F.cross_entropy(a @ b.T / temperature, labels)


def adversarial_loss(fake: Sequence[Tensor], kind: GanLoss) -> Tensor:
    """The generator's side of the game, mean over scales.

    minimax: log(1 - D(G)) (Goodfellow et al. 2014, eq. 1); nonsaturating: -log D(G); hinge: -D(G).
    """
    if kind == "minimax":
        terms = [-F.softplus(logits).mean() for logits in fake]
    elif kind == "nonsaturating":
        terms = [F.softplus(-logits).mean() for logits in fake]
    else:
        terms = [-logits.mean() for logits in fake]
    return torch.stack(terms).mean()


def discriminator_loss(logits: Sequence[Tensor], real: bool, kind: GanLoss) -> Tensor:
    """The discriminator's side for one group of candidates, mean over scales.

    hinge: relu(1 - D) for reals, relu(1 + D) for fakes (Miyato et al. 2018); else -log D and -log(1 - D).
    """
    sign = -1.0 if real else 1.0
    if kind == "hinge":
        terms = [F.relu(1 + sign * scale).mean() for scale in logits]
    else:
        terms = [F.softplus(sign * scale).mean() for scale in logits]
    return torch.stack(terms).mean()


def r1_penalty(logits: Sequence[Tensor], candidate: Tensor) -> Tensor:
    """Squared gradient of the real logits (Mescheder et al. 2018, eq. 9): E |dD/dx|^2, without gamma / 2."""
    total = sum(scale.mean(dim=(2, 3)).sum() for scale in logits)
    assert isinstance(total, Tensor)
    (gradient,) = torch.autograd.grad(total, candidate, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()
