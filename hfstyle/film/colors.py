"""How the numbers of a film are meant: matrix, range, primaries and transfer, as H.273 counts them.

H, W size of a frame
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["ORDINARY", "Colors", "colors_of", "from_wide"]

_UNSPECIFIED: Final = 2
_RGB, _BT709, _BT601, _BT2020 = 0, 1, 6, 9  # matrices
_LIMITED, _FULL = 1, 2  # ranges
_PQ, _HLG = 16, 18  # transfers
_HD_HEIGHT: Final = 720  # px, from which on films that do not say are of BT.709

_PEAK: Final = 1000.0  # cd/m², of HLG, and of PQ the light from which all is white
_WHITE: Final = 203.0  # cd/m², of diffuse white in HDR (BT.2408)


class Colors(NamedTuple):
    """Codes of H.273 of a film; what the film does not say is filled in."""

    matrix: int
    range: int
    primaries: int
    transfer: int

    @property
    def wide(self) -> bool:
        """HDR, or primaries of BT.2020: frames are brought to those of ordinary films first (`from_wide`)."""
        return self.transfer in (_PQ, _HLG) or self.primaries == _BT2020

    def written(self) -> Colors:
        """Those of the painted film: the same, or ordinary ones instead of wide ones."""
        if self.wide:
            return Colors(_BT709, _LIMITED, _BT709, _BT709)
        return self


ORDINARY: Final = Colors(_BT601, _LIMITED, _UNSPECIFIED, _UNSPECIFIED)
"""Of films made of pictures."""


def colors_of(frame: Any, height: int) -> Colors:
    """Those of a frame of PyAV, of a film of that height."""
    own = _BT709 if height >= _HD_HEIGHT else _BT601
    matrix, span = int(frame.colorspace), int(frame.color_range)
    if matrix in (_UNSPECIFIED, _RGB):
        matrix = own
    if span not in (_LIMITED, _FULL):
        span = _FULL if frame.format.name.startswith("yuvj") else _LIMITED
    return Colors(matrix, span, int(frame.color_primaries), int(frame.color_trc))


def from_wide(rgb: NDArray[np.uint16], colors: Colors) -> NDArray[np.uint8]:
    """A frame in HDR or in primaries of BT.2020 as an ordinary one of BT.709: (H, W, 3) of 16 bits -> 8 bits.

    Light is taken out of its code (SMPTE ST 2084 eq. 4; BT.2100 table 5 with a display of 1000 cd/m²), rolled off above
    half of diffuse white (extended Reinhard of the largest of three, so that hues stay), and its primaries changed in
    linear light (BT.2087). Nothing is adapted to the film, so that frames of one film stay alike.
    """
    table = _linear(colors.transfer)  # (65536,), 1 is diffuse white
    linear = table[rgb]  # (H, W, 3)
    if colors.transfer == _HLG:
        light = linear @ np.array((0.2627, 0.6780, 0.0593), np.float32)
        linear *= (np.maximum(light, 1e-6) ** 0.2)[..., None] * np.float32(_PEAK / _WHITE)
    if colors.primaries == _BT2020:
        linear = linear @ _TO_709.T
    if colors.transfer in (_PQ, _HLG):
        most = linear.max(2, keepdims=True)
        peak = _PEAK / _WHITE
        above = np.maximum(most, 1e-6)
        rolled = above * (1 + above / peak**2) / (1 + above)
        # Reinhard's curve darkens everything; its slope at black is taken back, and 1 stays the most.
        linear *= np.minimum(rolled * 1.6, 1.0) / above
    coded = np.sqrt(np.sqrt(np.clip(linear, 0, 1)))  # a display of gamma 2.2, nearly
    return (np.rint(255 * np.power(coded, 4 / 2.2))).astype(np.uint8)


_TO_709 = np.array(
    ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),
    np.float32,
)


def _linear(transfer: int) -> NDArray[np.float32]:
    code = np.linspace(0, 1, 65536)
    if transfer == _PQ:
        root = code ** (32 / 2523)
        light = np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)
        return np.asarray(np.minimum(light ** (8192 / 1305) * 10000, _PEAK) / _WHITE, np.float32)
    if transfer == _HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        return np.asarray(
            np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12), np.float32
        )
    return np.asarray(code**2.2, np.float32)
