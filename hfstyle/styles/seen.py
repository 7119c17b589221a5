"""What two pictures have in common, as frozen networks see it: statistics of features, and distances between them.

B batch · C channels · H, W image size · h, w size of a feature map
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from hfstyle.models.color import luminance, standardise
from hfstyle.models.statistics import moments
from hfstyle.models.style_encoder import StyleEncoder
from hfstyle.models.vgg import PerceptualNetwork

__all__ = [
    "Eye",
    "Look",
    "content_distance",
    "eye_of_encoder",
    "eye_of_filters",
    "eye_of_vgg",
    "looks_of",
    "mean_look",
    "structure_distance",
    "style_distance",
]

Eye: TypeAlias = Callable[[Tensor], dict[str, Tensor]]
"""Pictures (B, 3, H, W) in [0, 1] -> features (B, C, h, w) by layer, the deepest last."""

_ROOT_EPS: Final = 0.01  # keeps the root's slope finite where two looks are alike
_WINDOW: Final = 7  # cells
_FLAT: Final = 0.04**2  # variance of lightness below which a window is flat
_FILTERS: Final = 48
_FILTER_SIDE: Final = 7  # px
_OCTAVES: Final = 4


class Look(NamedTuple):
    """What a layer's features are like, wherever they are: mean and deviation (C,), covariance (C, C)."""

    mean: Tensor
    std: Tensor
    covariance: Tensor


def eye_of_encoder(encoder: StyleEncoder) -> Eye:
    """The style encoder's own trunk, at 1/2 to 1/16 of the resolution: it is there wherever the generator is."""

    def see(pictures: Tensor) -> dict[str, Tensor]:
        features = encoder.trunk(standardise(pictures))
        return {f"1/{2 ** (i + 1)}": feature for i, feature in enumerate(features)}

    return see


def eye_of_vgg(network: PerceptualNetwork) -> Eye:
    """A VGG, after the first layer of each of its stages."""
    layers = frozenset(name for name in network.layers if name.endswith("_1"))
    return lambda pictures: network(pictures, layers)


def eye_of_filters() -> Eye:
    """Random filters over four octaves, rectified: textures are told apart without any training (Ustyuzhaninov et al. 2016)."""
    chance = torch.Generator().manual_seed(0)
    shape = (_FILTERS, 3, _FILTER_SIDE, _FILTER_SIDE)
    drawn = torch.randn(shape, generator=chance, dtype=torch.float32)
    drawn -= drawn.mean((2, 3), keepdim=True)
    drawn /= drawn.flatten(1).norm(dim=1)[:, None, None, None]

    def see(pictures: Tensor) -> dict[str, Tensor]:
        features = {}
        for octave in range(_OCTAVES):
            if min(pictures.shape[2:]) < 2 * _FILTER_SIDE:
                break
            features[f"octave {octave}"] = F.relu(F.conv2d(pictures, drawn.to(pictures)))
            pictures = F.avg_pool2d(pictures, 2)
        return features

    return see


def looks_of(features: Mapping[str, Tensor]) -> dict[str, Look]:
    """The look of one picture, by layer; features (1, C, h, w)."""
    looks = {}
    for name, feature in features.items():
        rows = feature[0].flatten(1).float()  # (C, hw)
        mean = rows.mean(1)
        centred = rows - mean[:, None]
        covariance = centred @ centred.T / rows.shape[1]
        looks[name] = Look(mean, (covariance.diagonal() + 1e-5).sqrt(), covariance)
    return looks


def mean_look(looks: Sequence[Mapping[str, Look]]) -> dict[str, Look]:
    """What several pictures are like on average."""
    return {
        name: Look(
            *(torch.stack(parts).mean(0) for parts in zip(*(x[name] for x in looks), strict=True))
        )
        for name in looks[0]
    }


def style_distance(
    painted: Mapping[str, Look], photo: Mapping[str, Look], style: Mapping[str, Look]
) -> tuple[Tensor, Tensor]:
    """How far a painting is from a style, beside how far its photo was: by means and deviations, and by covariances.

    mean_l sqrt(|s_G - s_y|^2 / n_l + eps) - sqrt(eps),  n_l = |s_x - s_y|^2 + |s_y|^2 / 20

    s are the statistics of layer l of painting G, photo x and style y (AdaIN, eq. 13; Gatys et al. 2016, eq. 4): about 1 of
    the untouched photo, 0 of a painting like the style. Octaves that only the style is large enough for do not count.
    """
    ways, textures = [], []
    for name in (layer for layer in style if layer in photo):
        goal, own, now = style[name], photo[name], painted[name]
        apart = _square(now.mean - goal.mean) + _square(now.std - goal.std)
        before = _square(own.mean - goal.mean) + _square(own.std - goal.std)
        energy = _square(goal.mean) + _square(goal.std)
        ways.append(_root(apart / (before + 0.05 * energy + 1e-8)))
        apart = _square(now.covariance - goal.covariance)
        before = _square(own.covariance - goal.covariance)
        textures.append(_root(apart / (before + 0.05 * _square(goal.covariance) + 1e-10)))
    return torch.stack(ways).mean(), torch.stack(textures).mean()


def content_distance(painted: Tensor, photo: Tensor) -> Tensor:
    """Mean square difference of features (1, C, h, w), each channel in its deviations: what is there, whatever its colours."""
    return F.mse_loss(_normalised(painted), _normalised(photo))


def structure_distance(painted: Tensor, photo: Tensor) -> Tensor:
    """1 less the correlation of lightness in windows of 7 x 7 cells of 4 and 8 px (SSIM's structure, Wang et al. 2004, eq. 10).

    painted, photo: (1, 3, H, W) in [0, 1], from 32 px.
    """
    pair = torch.cat((luminance(painted), luminance(photo)), dim=1)  # (1, 2, H, W)
    terms: list[Tensor] = []
    for cell in (4, 8):
        cells = F.avg_pool2d(pair, cell)
        if terms and min(cells.shape[2:]) < _WINDOW:
            break
        x, y = cells.unbind(1)
        parts = torch.stack((x, y, x * x, y * y, x * y), dim=1)
        mean_x, mean_y, xx, yy, xy = F.avg_pool2d(parts, _WINDOW, stride=1).unbind(1)
        spread_x, spread_y = (xx - mean_x**2).clamp(min=0), (yy - mean_y**2).clamp(min=0)
        spread = torch.sqrt(spread_x * spread_y + 1e-12)
        terms.append(1 - ((xy - mean_x * mean_y + _FLAT) / (spread + _FLAT)).mean())
    return torch.stack(terms).mean()


def _normalised(features: Tensor) -> Tensor:
    mean, variance = moments(features)
    energy = variance.mean(1, keepdim=True)
    return (features.float() - mean) * torch.rsqrt(variance + 0.05 * energy + 1e-6)


def _root(ratio: Tensor) -> Tensor:
    return torch.sqrt(ratio + _ROOT_EPS) - _ROOT_EPS**0.5


def _square(x: Tensor) -> Tensor:
    return x.square().mean()
