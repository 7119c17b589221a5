"""Internal to `hfstyle.evaluation.evaluate`: the formulas, free of files and networks.

B batch · C channels · H, W size of a picture · h, w of a feature map · N, M numbers of pictures
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from hfstyle.models.color import LUMA

__all__ = [
    "artfid",
    "cfsd",
    "change",
    "frechet_distance",
    "leading_frechet_distance",
    "lpips",
    "palette",
    "palette_distance",
    "psnr",
    "relative_distance",
    "ssim",
    "statistics",
    "style_distance",
    "unit_length",
]

_LEADING_DIRECTIONS = 64


def ssim(a: Tensor, b: Tensor) -> float:
    """Structural similarity of the luminance (Wang et al., 2004), Gaussian window of 11 px and deviation 1.5.

    a, b: (B, 3, H, W) float in [0, 1], from 11 px. 1 for equal pictures, about 0 for unrelated ones.
    """
    red_green_blue = a.new_tensor(LUMA).view(3, 1, 1)
    x, y = ((p * red_green_blue).sum(1, keepdim=True) for p in (a, b))  # (B, 1, H, W)
    window = torch.exp(
        -((torch.arange(-5.0, 6.0, dtype=torch.float32, device=a.device) / 1.5) ** 2) / 2
    )
    window = window / window.sum()

    def local_mean(p: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(p, window.view(1, 1, 1, 11)), window.view(1, 1, 11, 1))

    mean_x, mean_y = local_mean(x), local_mean(y)
    spread = local_mean(x * x) + local_mean(y * y) - mean_x**2 - mean_y**2
    shared = local_mean(x * y) - mean_x * mean_y
    light = (2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4)
    structure = (2 * shared + 9e-4) / (spread + 9e-4)
    return float((light * structure).mean())


def change(still: Tensor, moved: Tensor, shift: int, border: int = 16) -> float:
    """Mean absolute difference of a picture and the same one moved `shift` px down and to the right, after moving back.

    still, moved: (B, 3, H, W) float in [0, 1]: moved(y, x) is still(y + shift, x + shift). `border` px at each side do
    not count, where a painting depends on the frame.
    """
    height, width = still.shape[2] - shift, still.shape[3] - shift
    a = still[
        ..., shift + border : shift + height - border, shift + border : shift + width - border
    ]
    b = moved[..., border : height - border, border : width - border]
    return float((a - b).abs().mean())


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pictures in [0, 1]: -10 log10 of the mean square; inf for equal ones."""
    mean_square = float(((a - b) ** 2).mean())
    return -10 * math.log10(mean_square) if mean_square > 0 else math.inf


def unit_length(features: Sequence[Tensor]) -> list[Tensor]:
    """Features (B, C, h, w) with the vector at each place scaled to length 1."""
    return [F.normalize(f, dim=1, eps=1e-10) for f in features]


def lpips(a: Sequence[Tensor], b: Sequence[Tensor], heads: Sequence[Tensor]) -> float:
    """Learned perceptual distance (Zhang et al., 2018, eq. 1) of features made `unit_length`.

    sum over layers l of mean over places of sum over channels of head_l (a_l - b_l)^2.
    """
    total = 0.0
    for x, y, head in zip(a, b, heads, strict=True):
        total += float((((x - y) ** 2) * head.view(-1, 1, 1)).sum(1).mean())
    return total


def statistics(features: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Mean and standard deviation over the places of each layer (1, C, h, w): pairs of (1, C)."""
    return [(f.mean((2, 3)), f.std((2, 3))) for f in features]


def style_distance(a: Sequence[tuple[Tensor, Tensor]], b: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Distance of `statistics` (as Huang and Belongie's style loss, 2017), each relative to b's own size.

    sqrt of the mean over layers of |mean_a - mean_b|^2 / |mean_b|^2 + |std_a - std_b|^2 / |std_b|^2.
    """
    layers = [
        float(((p - q) ** 2).sum() / (q**2).sum())
        for of_a, of_b in zip(a, b, strict=True)
        for p, q in zip(of_a, of_b, strict=True)
    ]
    return math.sqrt(sum(layers) / len(a))


def palette(image: Tensor) -> Tensor:
    """Colours (1, 3, H, W) in [0, 1], of 96 x 96 places, along 24 fixed directions, each sorted: (24, 9216)."""
    generator = torch.Generator().manual_seed(0)  # the same directions on all machines
    directions = F.normalize(
        torch.randn(24, 3, generator=generator, dtype=torch.float32), dim=1
    ).to(image.device)
    colours = F.interpolate(image, size=(96, 96), mode="area")[0].flatten(1)  # (3, 9216)
    return (directions @ colours).sort(dim=1).values


def palette_distance(a: Tensor, b: Tensor) -> float:
    """Sliced Wasserstein distance (Rabin et al., 2011) of two `palette`s: 0 for the same colours in any order."""
    return float((a - b).abs().mean())


def relative_distance(a: Tensor, b: Tensor) -> float:
    """Root mean square of a - b in that of b."""
    return float(((a - b) ** 2).mean().sqrt() / (b**2).mean().sqrt())


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Frechet distance of the normal distributions of two sets of features (Heusel et al., 2017).

    a, b: (N, C) and (M, C), N and M from 2. |mean_a - mean_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)), in float64.
    The last trace is the sum of the singular values of X_a X_b^T with S = X^T X, which is exact with fewer pictures
    than channels as well, where (S_a S_b)^(1/2) itself is singular.
    """
    a, b = a.double(), b.double()
    if min(len(a), len(b)) < 2:
        raise ValueError(f"{len(a)} and {len(b)} features; a covariance needs at least 2")
    roots = []
    for x in (a, b):
        root = (x - x.mean(0)) / math.sqrt(len(x) - 1)
        if len(root) > root.shape[1]:
            root = torch.linalg.qr(root, mode="r").R  # (C, C), the same S
        roots.append(root)
    overlap = torch.linalg.svdvals(roots[0] @ roots[1].T).sum()
    spread = (roots[0] ** 2).sum() + (roots[1] ** 2).sum()
    distance = ((a.mean(0) - b.mean(0)) ** 2).sum() + spread - 2 * overlap
    return max(0.0, float(distance))


def leading_frechet_distance(a: Tensor, b: Tensor) -> float:
    """`frechet_distance` along the 64 directions in which both sets together vary most: few pictures span no more."""
    a, b = a.double(), b.double()
    both = torch.cat((a, b))
    centre = both.mean(0)
    count = min(_LEADING_DIRECTIONS, len(a) - 1, len(b) - 1)
    axes = torch.linalg.svd(both - centre, full_matrices=False).Vh[:count].T  # (C, count)
    return frechet_distance((a - centre) @ axes, (b - centre) @ axes)


def artfid(lpips_distance: float, frechet: float) -> float:
    """(1 + LPIPS)(1 + FID), Wright and Ommer, 2022."""
    return (1 + lpips_distance) * (1 + frechet)


def cfsd(output: Tensor, content: Tensor, rows: int = 1024) -> float:
    """Content feature structural distance (Chung et al., "Style Injection in Diffusion", CVPR 2024).

    Each place of a feature map is described by the softmax of its similarities to all places, features divided by C
    before. The sum over places of KL(content || output), as the authors' program does it; 0 for equal features. The
    similarities are made `rows` places at a time, as all of them would take gigabytes.

    output, content: (1, C, h, w), of the same shape.
    """
    x, y = (f[0].flatten(1).T / f.shape[1] for f in (output, content))  # (h w, C)
    total = 0.0
    for start in range(0, len(x), rows):
        of_output = F.log_softmax(x[start : start + rows] @ x.T, dim=1)  # (rows, h w)
        of_content = F.log_softmax(y[start : start + rows] @ y.T, dim=1)
        divergence = (of_content.exp() * (of_content - of_output)).sum(1)
        total += float(divergence.sum(dtype=torch.float64))
    return max(0.0, total)
