"""Which part of the style each region of the content attended to, and which known styles a code is like.

T = g * g tokens of the style, a grid over its picture · h, w size of the content's features, 1/16 of the picture's
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from PIL import Image
from torch import Tensor

from hfstyle.images.geometry import pad_to_multiple, resize
from hfstyle.images.load import ImageInput, Picture, load_image
from hfstyle.images.save import to_pil
from hfstyle.images.sheet import contact_sheet
from hfstyle.limits import DEFAULT_STYLE_SIZE
from hfstyle.models.devices import own_precision
from hfstyle.models.generator import StyleGenerator
from hfstyle.models.levels import Instructions
from hfstyle.models.statistics import InstanceStatistics
from hfstyle.styles.code import StyleCode

if TYPE_CHECKING:
    from hfstyle.pipeline import StyleTransferPipeline
    from hfstyle.styles.code import StyleInput

__all__ = ["Explanation", "explain", "nearest_styles"]

_SIZE: Final = 512  # px, short side at which the content is looked at
_STYLE_SHOWN: Final = 256


@dataclass(frozen=True, eq=False)
class Explanation:
    """What `explain` found.

    attention: (T, h, w) float32; for each place of the content, how much it took from each token of the style, summing
        to 1. Token t is that of row t // g and column t % g of a grid over the style's picture.
    picture: content, painting, the style with a colour on each part, and the content in the colours of the parts that it
        attended to; bright where attention was narrow, grey where it was spread over the whole style.
    nearest: names and distances of the presets whose styles are nearest, nearest first.
    """

    attention: Tensor
    picture: Image.Image
    nearest: list[tuple[str, float]]


@own_precision()
def explain(
    pipe: StyleTransferPipeline,
    image: ImageInput | Picture,
    style: StyleInput,
    k: int = 5,
    *,
    style_size: int = DEFAULT_STYLE_SIZE,
) -> Explanation:
    """Explain how a picture is painted in a style.

    Args:
        pipe: a pipeline whose generator is a torch module (not one of `from_onnx`).
        image: as for the pipeline; looked at with a short side of at most 512 px.
        style: as for the pipeline. If it is a picture, it is shown.
        k: number of nearest presets.
        style_size: short side in pixels, 64 to 4096, at which the style's picture is looked at.

    Raises:
        ImageError, StyleCodeError: as the pipeline.
        ValueError: a pipeline of `from_onnx`.
    """
    if not isinstance(pipe.generator, StyleGenerator):
        raise ValueError("graphs do not show their attention; load the model with from_pretrained")
    content = load_image(image)
    rgb = resize(content.rgb, min(_SIZE, min(content.size))).float()
    code = pipe.encode_style(style, style_size=style_size)
    attention = attention_of(pipe, rgb, code)
    grid = round(attention.shape[0] ** 0.5)
    key = _key(grid)  # (T, 3)
    painted: Image.Image = pipe(rgb, code).images[0]
    size = (painted.height, painted.width)
    shown = [to_pil(rgb), painted, _style_key(style, key, grid), _map(attention, key, rgb, size)]
    titles = ["content", "painting", "style: a colour for each part", "what each place attended to"]
    return Explanation(
        attention, contact_sheet(shown, titles, columns=2, side=384), nearest_styles(pipe, code, k)
    )


@own_precision()
def nearest_styles(
    pipe: StyleTransferPipeline, style: StyleInput, k: int = 5
) -> list[tuple[str, float]]:
    """Names of the presets whose codes are nearest to a style's, and their distances in `pipe.style_space`.

    Raises:
        ValueError: k below 1, or a model without style space and presets.
        StyleCodeError: a code of another encoder.
    """
    if k < 1:
        raise ValueError(f"k is {k}; give at least 1")
    space = pipe.style_space
    point = space.coordinates_of(pipe.encode_style(style))
    distances = {
        name: float((space.coordinates_of(code) - point).norm())
        for name, code in pipe.presets.items()
    }
    return sorted(distances.items(), key=lambda item: item[1])[:k]


@torch.inference_mode()
@own_precision()
def attention_of(pipe: StyleTransferPipeline, rgb: Tensor, code: StyleCode) -> Tensor:
    """Weights of the coarse level's finer attention, mean over its heads: (3, H, W) -> (T, h, w) float32."""
    generator = pipe.generator
    padded, (height, width) = pad_to_multiple(
        rgb[None].to(pipe.device), generator.size_multiple, generator.minimum_size
    )
    condition = code.to_condition(1, pipe.device, pipe.dtype)
    strength = torch.ones(1, dtype=torch.float32, device=pipe.device)
    watched = _Watched()
    with pipe.painter.autocast():
        generator.paint_coarse(padded, Instructions(condition, strength), watched)
        features = watched.features
        weights = generator.attend_mid.weights(
            features, condition.tokens, InstanceStatistics()
        )  # (1, heads, hw, T)
    maps = weights.float().mean(1)[0].T.unflatten(1, features.shape[2:])  # (T, h, w)
    cell = padded.shape[2] // features.shape[2]  # px
    return maps[:, : -(-height // cell), : -(-width // cell)].cpu()


class _Watched(InstanceStatistics):
    """Keeps the features that attend to the tokens at 1/8 resolution."""

    features: Tensor

    def of(self, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
        if name == "coarse.mid.attend":
            self.features = x
        return super().of(name, x)


def _key(grid: int) -> Tensor:
    """A colour for each token, neighbours alike: hue by the angle around the middle, (T, 3) in [0, 1]."""
    steps = (torch.arange(grid, dtype=torch.float32) + 0.5) / grid * 2 - 1
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    hue = torch.atan2(y, x)
    far = (x.square() + y.square()).sqrt().clamp(max=1)
    angles = torch.tensor(
        [0.0, 2.0944, 4.1888], dtype=torch.float32
    )  # red, green, blue a third of a turn apart
    colour = 0.5 + 0.5 * far[..., None] * torch.cos(hue[..., None] - angles)
    return colour.flatten(0, 1).clamp(0, 1)


def _style_key(style: Any, key: Tensor, grid: int) -> Image.Image:
    """The style's picture under the colours of its parts, or the colours alone."""
    patches = key.T.reshape(3, grid, grid).repeat_interleave(32, 1).repeat_interleave(32, 2)
    try:
        shown = load_image(style).rgb
    except ValueError:  # a code: its picture is not known
        return to_pil(patches)
    shown = resize(shown, _STYLE_SHOWN).float()
    colours = torch.nn.functional.interpolate(patches[None], shown.shape[1:], mode="nearest")[0]
    grey = shown.mean(0, keepdim=True)
    return to_pil((0.55 * colours + 0.6 * (grey - 0.3)).clamp(0, 1))


def _map(attention: Tensor, key: Tensor, rgb: Tensor, size: tuple[int, int]) -> Image.Image:
    """The content's shapes in the colours of what it attended to."""
    colours = torch.einsum("thw,tc->chw", attention, key)  # (3, h, w)
    middle = key.mean(0)[:, None, None]
    spread = (colours - middle).abs().amax().clamp(min=1e-6)
    colours = middle + (colours - middle) * min(4.0, float(0.5 / spread))
    wide = resize(colours.clamp(0, 1), size, mode="bilinear")
    grey = resize(rgb, size).mean(0, keepdim=True)
    return to_pil((0.65 * wide + 0.5 * (grey - 0.3)).clamp(0, 1))
