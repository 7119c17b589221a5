"""Paintings that the data set lacks: other palettes, stronger contrasts, mosaics, posters, hatchings.

A few thousand paintings are seen many times over, and most are mild; people choose loud ones. What is changed is changed
alike in both crops of a painting, which stay two views of one style.

B paintings · K crops of one · S side of a crop
"""

from __future__ import annotations

import math
import random
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from hfstyle.models.color import luminance

__all__ = ["vary_colors", "vary_patterns"]


def vary_colors(crops: Tensor, share: float) -> Tensor:
    """Give a share of the paintings (B, K, 3, S, S) in [0, 1] another palette.

    A third have their channels in another order, a third take mean and deviation of another painting's colours, a third
    have hue, saturation, contrast and lightness changed at random.
    """
    given = crops.clone()
    for i in _chosen(len(crops), share):
        way = random.randrange(3)
        if way == 0:
            crops[i] = given[i][:, torch.randperm(3, device=crops.device)]
        elif way == 1:
            other = given[random.randrange(len(crops))]
            mean, std = _colors(given[i])
            mean_other, std_other = _colors(other)
            crops[i] = ((given[i] - mean) * (std_other / std) + mean_other).clamp(0, 1)
        else:
            crops[i] = _graded(given[i])
    return crops


def vary_patterns(crops: Tensor, share: float) -> Tensor:
    """Turn a share of the paintings (B, K, 3, S, S) in [0, 1] into mosaics, posters, hatchings and the like."""
    ways = random.choices(list(_PATTERNS), list(_PATTERNS.values()), k=len(crops))
    for i in _chosen(len(crops), share):
        crops[i] = ways[i](crops[i])
    return crops


def _chosen(count: int, share: float) -> list[int]:
    return [i for i in range(count) if random.random() < share]


def _colors(crops: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the channels over (K, 3, S, S), each (1, 3, 1, 1)."""
    return crops.mean((0, 2, 3), keepdim=True), crops.std((0, 2, 3), keepdim=True) + 0.02


def _graded(crops: Tensor) -> Tensor:
    light = luminance(crops)
    # A turn about the grey axis (Rodrigues), and a stretch away from it.
    angle, saturation = random.uniform(-math.pi, math.pi), math.exp(random.uniform(-0.5, 1.0))
    axis = 3**-0.5
    cos, sin = math.cos(angle), math.sin(angle)
    cross = crops.new_tensor([[0, -axis, axis], [axis, 0, -axis], [-axis, axis, 0]])
    turn = cos * torch.eye(3, device=crops.device) + sin * cross + (1 - cos) / 3
    chroma = saturation * torch.einsum("dc,kchw->kdhw", turn, crops - light)
    middle = light.mean()
    contrast, lift = math.exp(random.uniform(-0.2, 0.7)), random.uniform(-0.15, 0.15)
    return ((light - middle) * contrast + middle + lift + chroma).clamp(0, 1)


def _mosaic(crops: Tensor) -> Tensor:
    """Cells of one colour each (a Voronoi diagram of jittered squares), with joints between them, dark, light or none."""
    count, _, height, width = crops.shape
    device = crops.device
    cell = random.uniform(8, 28)  # px
    jitter = random.choice((0.15, 0.5, 0.9))
    joint = random.choice((0.0, random.uniform(1, 3)))  # px
    tint = random.choice((0.05, 0.1, 0.85))
    tall, wide = math.ceil(height / cell) + 2, math.ceil(width / cell) + 2
    seeds = torch.stack(
        torch.meshgrid(torch.arange(tall), torch.arange(wide), indexing="ij"), dim=-1
    ).float()
    seeds = (seeds - 0.5 + jitter * (torch.rand(tall, wide, 2) - 0.5)).to(device) * cell
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    nearest = torch.full((height, width), math.inf, device=device)
    second, owner = nearest.clone(), torch.zeros(height, width, dtype=torch.long, device=device)
    row_cell, column_cell = (rows / cell).long() + 1, (columns / cell).long() + 1
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            i = (row_cell + down).clamp(0, tall - 1)[:, None].expand(height, width)
            j = (column_cell + right).clamp(0, wide - 1)[None].expand(height, width)
            place = seeds[i, j]
            distance = torch.hypot(place[..., 0] - rows[:, None], place[..., 1] - columns)
            closer = distance < nearest
            second = torch.where(closer, nearest, torch.minimum(second, distance))
            nearest = torch.where(closer, distance, nearest)
            owner = torch.where(closer, i * wide + j, owner)
    flat = owner.flatten()
    size = torch.zeros(tall * wide, device=device).index_add_(
        0, flat, torch.ones_like(flat, dtype=torch.float)
    )
    colors = torch.zeros(count, 3, tall * wide, device=device)
    colors.index_add_(2, flat, crops.flatten(2))
    colors = colors / size.clamp(min=1)
    middle = crops.mean((2, 3))[:, :, None]
    colors = (middle + random.uniform(1, 2) * (colors - middle)).clamp(0, 1)  # means are pale
    colors = (colors + random.uniform(0, 0.15) * torch.randn_like(colors[:1, :1])).clamp(0, 1)
    laid = colors[:, :, flat].unflatten(2, (height, width))
    cover = ((second - nearest) / 2 - joint / 2 + 0.5).clamp(0, 1) if joint else 1.0
    return laid * cover + tint * (1 - cover)


def _poster(crops: Tensor) -> Tensor:
    """Few flat colours, those of places of the painting; with dark outlines or without."""
    places = crops.permute(0, 2, 3, 1).flatten(0, 2)  # (N, 3)
    picked = places[torch.randint(len(places), (random.randint(3, 9),), device=crops.device)]
    apart = torch.cdist(places, picked)
    owner = apart.argmin(1)
    drawn = picked[owner].unflatten(0, (len(crops), *crops.shape[2:])).permute(0, 3, 1, 2).clone()
    if random.random() < 0.5:
        own = owner.unflatten(0, (len(crops), *crops.shape[2:]))
        line = torch.zeros_like(own, dtype=torch.bool)
        line[:, 1:] |= own[:, 1:] != own[:, :-1]
        line[:, :, 1:] |= own[:, :, 1:] != own[:, :, :-1]
        drawn[line[:, None].expand_as(drawn)] = 0.05
    return drawn


def _hatching(crops: Tensor) -> Tensor:
    """Lines of one direction, thicker where it is dark, in two colours of the painting or in black on white."""
    light = luminance(crops)
    height, width = crops.shape[2:]
    angle, distance = random.uniform(0, math.pi), random.uniform(3, 8)
    rows = torch.arange(height, device=crops.device)[:, None]
    columns = torch.arange(width, device=crops.device)[None]
    phase = (math.cos(angle) * rows + math.sin(angle) * columns) * (2 * math.pi / distance)
    wave = 0.5 + 0.5 * torch.sin(phase)  # (S, S)
    low, high = light.quantile(0.05), light.quantile(0.95)
    tone = ((light - low) / (high - low + 0.05)).clamp(0, 1)
    ink = ((wave - tone) * 6 + 0.5).clamp(0, 1)  # (K, 1, S, S)
    if random.random() < 0.4:
        dark, paper = crops.new_full((3,), 0.05), crops.new_full((3,), 0.95)
    else:
        pixels = crops.permute(1, 0, 2, 3).flatten(1)  # (3, N)
        order = light.flatten().argsort()
        tenth = max(1, len(order) // 10)
        dark, paper = pixels[:, order[:tenth]].mean(1), pixels[:, order[-tenth:]].mean(1)
    return torch.lerp(paper.view(1, 3, 1, 1), dark.view(1, 3, 1, 1), ink)


def _busier(crops: Tensor) -> Tensor:
    """Half as large, four times, mirrored so that no seams show."""
    small = F.avg_pool2d(crops, 2)
    row = torch.cat((small, small.flip(3)), dim=3)
    return torch.cat((row, row.flip(2)), dim=2)


def _crisp(crops: Tensor) -> Tensor:
    """Local contrast raised (an unsharp mask)."""
    radius = random.choice((1, 2, 4))  # px
    blurred = F.avg_pool2d(
        F.pad(crops, [radius] * 4, mode="reflect"), kernel_size=2 * radius + 1, stride=1
    )
    return (crops + random.uniform(0.7, 2.5) * (crops - blurred)).clamp(0, 1)


_PATTERNS: Final = {_mosaic: 3, _poster: 2, _busier: 2, _crisp: 2, _hatching: 1}
