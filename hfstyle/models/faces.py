"""Where faces are, of people and of animals: a map that says what a painting spares.

The network paints all places alike. Where someone looks at someone, the photo in the style's colours shows through what it
paints, and is drawn under it. The map is learned apart from the painting (`training/faces.py`), from boxes around faces.

B batch · H, W height and width of the photo · h, w those at which it is looked at
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hfstyle.models import graph
from hfstyle.models.color import standardise
from hfstyle.models.resample import in_own_type

__all__ = ["LOOKED_AT", "SPARED_COARSE", "SPARED_DRAWN", "SPARED_FINE", "FaceMap", "looked_at"]

LOOKED_AT: Final = 256
"""Short side in px at which a photo is looked at, whatever its size: faces have a size in pictures, not in pixels."""

# Where a place is spared wholly at strength 1: the share that the photo in the style's colours has of what the coarse and the
# fine level paint, and how much of its finest lightness is drawn, whatever the network says. Of the fine level less, so that
# a face is painted with the same brush as its surroundings. By portraits in twelve styles, looked at. As strength falls to
# 3/4 and the photo's detail returns, the coarse level's share rises to 1: the large strokes leave a face before other places.
SPARED_COARSE: Final = 0.86
SPARED_FINE: Final = 0.62
SPARED_DRAWN: Final = 1.35
_MULTIPLE = 32
# Below the first, nothing is spared, and from the second on all: doubt lies over whole pictures without a face.
_DOUBTFUL, _SURE = 0.3, 0.8


def looked_at(content: Tensor) -> Tensor:
    """A photo at the size at which faces are looked for: (B, 3, H, W) in [0, 1], or uint8 -> (B, 3, h, w), multiples of 32 px.

    On a CPU, uint8 is reduced as it is, an eighth of the time.
    """
    height, width = content.shape[2:]
    scale = min(1.0, LOOKED_AT / min(height, width))
    size = [max(_MULTIPLE, round(side * scale / _MULTIPLE) * _MULTIPLE) for side in (height, width)]
    if content.dtype == torch.uint8 and content.device.type == "cpu":
        return F.interpolate(content, size, mode="bilinear", antialias=True).float().div_(255)
    content = content.float().div_(255) if content.dtype == torch.uint8 else content.float()
    return in_own_type(F.interpolate, content, size, mode="bilinear", antialias=True)


class FaceMap(nn.Module):
    """Small pictures -> where faces are. A U of convolutions from 1/4 to 1/32 of the resolution, and the mean of all.

    Args:
        widths: channels at 1/4, 1/8, 1/16 and 1/32 resolution.
    """

    def __init__(self, widths: Sequence[int] = (24, 48, 80, 96)) -> None:
        super().__init__()
        a, b, c, d = widths
        self.stem = _conv(48, a)
        self.down1, self.block1 = _conv(a, b, 2), _Block(b)
        self.down2, self.block2 = _conv(b, c, 2), _Block(c)
        self.down3, self.block3, self.block4 = _conv(c, d, 2), _Block(d), _Block(d)
        self.whole = nn.Linear(d, d)
        self.up3, self.mix2 = nn.Conv2d(d, c, 1), _conv(c, c)
        self.up2, self.mix1 = nn.Conv2d(c, b, 1), _conv(b, _LAST[0])
        self.up1, self.mix0 = nn.Conv2d(_LAST[0], a, 1), _conv(a, _LAST[1])
        self.out = nn.Conv2d(_LAST[1], 1, 1)
        nn.init.zeros_(self.out.weight)  # nothing is spared before it has learned
        nn.init.constant_(self.out.bias, -8.0)  # type: ignore[arg-type]

    def forward(self, picture: Tensor) -> Tensor:
        """picture (B, 3, h, w) in [0, 1], sides multiples of 32 -> (B, 1, h/4, w/4) in [0, 1], smooth."""
        found = torch.sigmoid(self.logits(picture).float())
        found = F.avg_pool2d(F.pad(found, (1, 1, 1, 1), mode="replicate"), 3, 1)
        sure = ((found - _DOUBTFUL) / (_SURE - _DOUBTFUL)).clamp(0, 1)
        return sure * sure * (3 - 2 * sure)

    def logits(self, picture: Tensor) -> Tensor:
        """The same before its sigmoid, not smoothed."""
        x = standardise(picture)
        stem = (
            graph.convolve_unshuffled(x, self.stem.weight, self.stem.bias, 4, padding=4)
            if graph.wanted()
            else self.stem(F.pixel_unshuffle(x, 4))
        )
        quarter = _act(stem)  # (B, 24, h/4, w/4)
        eighth = self.block1(_act(self.down1(quarter)))
        sixteenth = self.block2(_act(self.down2(eighth)))
        deep = self.block4(self.block3(_act(self.down3(sixteenth))))  # (B, 96, h/32, w/32)
        deep = deep + self.whole(deep.mean((2, 3)))[:, :, None, None]
        y = _act(self.mix2(_act(sixteenth + _doubled(self.up3(deep)))))
        y = _act(self.mix1(_act(eighth + _doubled(self.up2(y)))))
        y = _act(self.mix0(_act(quarter + _doubled(self.up1(y)))))
        logits: Tensor = self.out(y)
        return logits


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = _conv(channels, channels), _conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return _act(x + self.conv2(_act(self.conv1(x))))


_LAST: Final = (32, 12)


def _conv(channels: int, out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 3, stride, 1)


def _act(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.1)


def _doubled(x: Tensor) -> Tensor:
    return in_own_type(F.interpolate, x, scale_factor=2.0, mode="bilinear")
