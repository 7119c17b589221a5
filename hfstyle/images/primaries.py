"""Internal to `hfstyle.images`: colours that a file describes by numbers instead of an ICC profile.

PNG has cICP, sRGB, gAMA and cHRM chunks (PNG, third edition, 11.3.2, in this order of precedence, with an ICC profile after
cICP); AVIF and HEIC have a box "colr" of type "nclx" (ISO 14496-12); both number primaries and transfer functions as ITU-T
H.273 does. TIFF has tags (revision 6.0, section 20). EXIF data name Adobe RGB by its interoperability index. All are brought to sRGB through linear light. Light
above the white of a picture of high dynamic range (PQ, HLG; 203 cd/m2, ITU-R BT.2408) is compressed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from PIL import ExifTags, Image

from hfstyle.images.chunks import ColorNumbers

__all__ = ["NumberedColors", "numbered_colors"]

_log = logging.getLogger(__name__)

_Point: TypeAlias = tuple[float, float]  # chromaticity x, y
_Primaries: TypeAlias = tuple[_Point, _Point, _Point, _Point]  # white, red, green, blue

_D65: Final = (0.3127, 0.3290)
_SRGB: Final[_Primaries] = (_D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
_ADOBE: Final[_Primaries] = (_D65, (0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
_NUMBERED: Final[dict[int, _Primaries]] = {  # H.273, table 2
    1: _SRGB,
    4: ((0.310, 0.316), (0.67, 0.33), (0.21, 0.71), (0.14, 0.08)),
    5: (_D65, (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    7: (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    9: (_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: ((0.314, 0.351), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    12: (_D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
_UNSAID: Final = 2
_LINEAR, _PQ, _HLG = 8, 16, 18
_LIKE_SRGB: Final = (1, 6, 13, 14, 15)  # video's curves are shown as sRGB's, as browsers do
_POWERS: Final = {4: 2.2, 5: 2.8}
_ADOBE_POWER: Final = 563 / 256
_SRGB_POWER: Final = 1 / 0.45455
_WHITE: Final = 203.0  # cd/m2
_NEAR: Final = 0.01
_TRANSFER, _WHITE_POINT, _PRIMARIES = 301, 318, 319  # a TIFF's tags
_BRADFORD: Final = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


@dataclass(frozen=True)
class NumberedColors:
    """From the colours of a file to sRGB.

    primaries: of the file. transfer: number of H.273, 13 for sRGB, or a power of the values.
    """

    primaries: _Primaries
    transfer: int | float

    def convert(self, values: np.ndarray) -> np.ndarray:
        """(..., 3) float in [0, 1] -> float32 in [0, 1], sRGB."""
        light = self._linear(values.astype(np.float32))
        light = light @ (np.linalg.inv(_to_xyz(_SRGB)) @ _to_xyz(self.primaries)).T.astype(
            np.float32
        )
        if self.transfer in (_PQ, _HLG):
            light = _compressed(light)
        return _encoded(light)

    def apply(self, image: Image.Image) -> Image.Image:
        """8 bits per channel without alpha, to mode RGB."""
        levels = np.asarray(image.convert("RGB")) / np.float32(255)
        return Image.fromarray(np.rint(255 * self.convert(levels)).astype(np.uint8))

    def apply_grey(self, grey: np.ndarray) -> np.ndarray:
        """(h, W) in [0, 1] to (h, W, 3)."""
        return self.convert(np.repeat(grey[..., None], 3, axis=-1))

    def _linear(self, values: np.ndarray) -> np.ndarray:
        """Light, 1 for white."""
        if isinstance(self.transfer, float):
            return values**self.transfer
        if self.transfer == _LINEAR:
            return values
        if self.transfer == _PQ:  # ITU-R BT.2100, table 4
            m1, m2 = 2610 / 16384, 2523 / 4096 * 128
            c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
            root = values ** (1 / m2)
            return (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1) * (10_000 / _WHITE)
        if self.transfer == _HLG:  # table 5, on a display of 1000 cd/m2
            a, b, c = 0.17883277, 0.28466892, 0.55991073
            scene = np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12)
            luminance = scene @ _to_xyz(self.primaries)[1].astype(np.float32)
            return scene * np.maximum(luminance, 1e-9)[..., None] ** 0.2 * (1000 / _WHITE)
        return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def numbered_colors(image: Image.Image, numbers: ColorNumbers, name: str) -> NumberedColors | None:
    """How the colours of a picture without an ICC profile become sRGB; None if they are sRGB, as far as is known.

    Args:
        image: decoded; its EXIF data are asked last.
        numbers: what the file says.
        name: for warnings in the log about what is not understood.
    """
    if numbers == ColorNumbers():
        numbers = _tiff_numbers(image)
    if numbers.coded is not None:
        return _coded(*numbers.coded, name)
    if numbers.says_srgb:
        return None
    if numbers.power is not None or numbers.primaries is not None:
        power = numbers.power or _SRGB_POWER
        primaries = numbers.primaries or _SRGB
        plain = abs(power / _SRGB_POWER - 1) < 0.05
        if plain and np.allclose(primaries, _SRGB, atol=_NEAR):
            return None
        if _degenerate(primaries):
            _log.warning("%s: its chromaticities describe no colours and are ignored", name)
            primaries = _SRGB
        return NumberedColors(primaries, 13 if plain else float(power))
    return _hinted(image, name)


def _tiff_numbers(image: Image.Image) -> ColorNumbers:
    """WhitePoint, PrimaryChromaticities and TransferFunction of a TIFF; of the last, the power that its middle shows."""
    tags = getattr(image, "tag_v2", None)
    if tags is None or not image.mode.startswith("RGB"):
        return ColorNumbers()
    power, points = None, None
    table = tags.get(_TRANSFER)
    if isinstance(table, tuple) and len(table) > 2:
        table = table[: len(table) // 3 if len(table) % 3 == 0 else len(table)]  # of red
        middle = len(table) // 2
        level, light = middle / (len(table) - 1), table[middle] / 65535
        power = float(np.log(light) / np.log(level)) if 0 < light < 1 else None
    colors = tags.get(_PRIMARIES)
    if isinstance(colors, tuple) and len(colors) == 6:
        white = tags.get(_WHITE_POINT)
        v = [float(x) for x in (white if isinstance(white, tuple) else _D65) + colors]
        if len(v) == 8:
            points = ((v[0], v[1]), (v[2], v[3]), (v[4], v[5]), (v[6], v[7]))
    return ColorNumbers(None, False, power, points)


def _coded(primaries: int, transfer: int, name: str) -> NumberedColors | None:
    colors = _NUMBERED.get(1 if primaries == _UNSAID else primaries)
    curve: int | float | None = (
        13 if transfer == _UNSAID or transfer in _LIKE_SRGB else _POWERS.get(transfer)
    )
    if curve is None and transfer in (_LINEAR, _PQ, _HLG):
        curve = transfer
    if colors is None or curve is None:
        _log.warning(
            "%s: its colours (primaries %d, transfer function %d of ITU-T H.273) are not known and taken as sRGB",
            name,
            primaries,
            transfer,
        )
        return None
    if colors in (_NUMBERED[1], _NUMBERED[5], _NUMBERED[6]) and curve == 13:
        return None  # standard video, which programs show as sRGB
    return NumberedColors(colors, curve)


def _hinted(image: Image.Image, name: str) -> NumberedColors | None:
    """What EXIF data say: 1 sRGB, 2 Adobe RGB, 65535 another, which the interoperability index may name."""
    try:
        exif = image.getexif()
        inner = exif.get_ifd(ExifTags.IFD.Exif)
        space = inner.get(ExifTags.Base.ColorSpace)
        named = space == 0xFFFF and ExifTags.IFD.Interop in inner
        index = exif.get_ifd(ExifTags.IFD.Interop).get(1) if named else None
    except Exception:  # broken metadata must not cost the picture
        return None
    if space == 2 or (space == 0xFFFF and str(index).startswith("R03")):
        return NumberedColors(_ADOBE, _ADOBE_POWER)
    if space == 0xFFFF and image.mode not in ("L", "LA", "CMYK", "LAB"):
        _log.warning(
            "%s: its EXIF data say that its colours are not sRGB, but no profile says what they are; taken as sRGB",
            name,
        )
    return None


def _to_xyz(primaries: _Primaries) -> np.ndarray:
    """(3, 3): linear RGB to XYZ, adapted to a white of D65."""
    white, *colors = [np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in primaries]
    matrix = np.stack(colors, axis=1)
    matrix = matrix * np.linalg.solve(matrix, white)
    x, y = _D65
    goal = np.array([x / y, 1.0, (1 - x - y) / y])
    adapt = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ goal) / (_BRADFORD @ white)) @ _BRADFORD
    return adapt @ matrix


def _degenerate(primaries: _Primaries) -> bool:
    if any(y <= 0 for _, y in primaries):
        return True
    with np.errstate(all="ignore"):
        try:
            matrix = _to_xyz(primaries)
        except np.linalg.LinAlgError:
            return True
    return not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-4


def _compressed(light: np.ndarray) -> np.ndarray:
    """Light up to some times white -> up to white: below 0.75 as it is, above along a curve that ends flat."""
    knee = 0.75
    peak = light.max(-1, keepdims=True)
    over = np.maximum(peak - knee, 0)
    mapped = np.where(peak > knee, knee + (1 - knee) * over / (over + 1 - knee), peak)
    return light * (mapped / np.maximum(peak, 1e-9))


def _encoded(light: np.ndarray) -> np.ndarray:
    light = np.clip(light, 0, 1)
    encoded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return encoded.astype(np.float32)
