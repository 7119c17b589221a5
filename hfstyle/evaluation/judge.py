"""Internal to `hfstyle.evaluate`: features of pictures, and the measures made of them.

C channels · H, W size of a picture · h, w of a feature map
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from hfstyle import _metrics
from hfstyle._network_files import Networks
from hfstyle._report import METRICS
from hfstyle.images import load_image, resize, to_pil

__all__ = ["Judge", "Sets", "StyleViews", "View"]

_INCEPTION_SIZE: Final = 299
_CACHED_STYLES: Final = 256
_KEPT_SIDE: Final = 256  # of the picture of a style, which is only shown
_FEWEST_PAIRS: Final = 20  # for `frechet_relative`: fewer would show directions of single pictures
_FEWEST_STYLES: Final = 10


@dataclass
class View:
    """A picture and its features, as far as there are networks for them."""

    image: Tensor  # (1, 3, H, W) on the device
    palette: Tensor
    lpips: list[Tensor] | None = None
    statistics: list[tuple[Tensor, Tensor]] | None = None
    crops: Tensor | None = None  # (4, C) of mixed_8
    pooled: Tensor | None = None  # (1, C) of pool3
    structure: Tensor | None = None
    deepest: Tensor | None = None


class Judge:
    """Networks, and what they make of pictures."""

    def __init__(self, networks: Networks, device: torch.device | str, size: int) -> None:
        self.networks, self.device, self.size = networks, device, size

    def read(self, path: Path, like: Tensor | None = None) -> Tensor:
        """(1, 3, H, W) in [0, 1]: the short side of `size`, or the shape of `like`. Resized by Lanczos' filter."""
        image = to_pil(load_image(path).rgb)
        scale = self.size / min(image.size)
        width, height = (round(side * scale) for side in image.size)
        if like is not None:
            height, width = like.shape[2:]
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.LANCZOS)
        return load_image(image).rgb[None].to(self.device)

    @torch.inference_mode()
    def view(self, image: Tensor, as_style: bool = False) -> View:
        """The features of a picture (1, 3, H, W) on the device; of a style, those that styles are compared by."""
        view = View(image, _metrics.palette(image))
        networks = self.networks
        if networks.squeezenet is not None and networks.heads is not None and not as_style:
            view.lpips = _metrics.unit_length(networks.squeezenet.features(image))
        if networks.inception is not None:
            scale = _INCEPTION_SIZE / min(image.shape[2:])
            small = F.interpolate(image, scale_factor=scale, mode="bilinear", antialias=True)
            taps, deep = networks.inception.style_features(small)
            view.statistics = _metrics.statistics(taps)
            corners = [deep[..., i::2, j::2].mean((2, 3)) for i in (0, 1) for j in (0, 1)]
            view.crops = torch.cat(corners).cpu()  # (4, C)
            if networks.inception.whole:
                square = _square(image, _INCEPTION_SIZE)
                view.pooled = networks.inception.pooled(square).cpu()
        if networks.vgg is not None and not as_style:
            view.structure, view.deepest = networks.vgg.features(_square(image, self.size))
        return view

    @torch.inference_mode()
    def compare(self, content: View, style: View, output: View) -> dict[str, float | None]:
        """The measures of one output, by key."""
        found: dict[str, float | None] = {
            "ssim": _metrics.ssim(content.image, output.image),
            "psnr": _metrics.psnr(content.image, output.image),
        }
        if content.lpips is not None and output.lpips is not None:
            assert self.networks.heads is not None
            found["lpips"] = _metrics.lpips(content.lpips, output.lpips, self.networks.heads)
        if content.deepest is not None and output.deepest is not None:
            assert content.structure is not None
            assert output.structure is not None
            found["content_distance"] = _metrics.relative_distance(output.deepest, content.deepest)
            found["cfsd"] = _metrics.cfsd(output.structure, content.structure)
        if style.statistics is not None:
            assert content.statistics is not None
            assert output.statistics is not None
            found["style_distance"] = _ratio(
                _metrics.style_distance(output.statistics, style.statistics),
                _metrics.style_distance(content.statistics, style.statistics),
            )
        found["palette"] = _ratio(
            _metrics.palette_distance(output.palette, style.palette),
            _metrics.palette_distance(content.palette, style.palette),
        )
        return found

    def absent(self) -> dict[str, str]:
        """What each measure lacks that cannot be made with these networks."""
        networks, lacks = self.networks, {}
        if networks.squeezenet is None or networks.heads is None:
            need = [] if networks.squeezenet is not None else ["SqueezeNet 1.1"]
            need += [] if networks.heads is not None else ["the LPIPS heads for SqueezeNet"]
            lacks["lpips"] = f"needs {' and '.join(need)}"
        if networks.vgg is None:
            lacks["content_distance"] = lacks["cfsd"] = "needs VGG-19"
        inception = networks.inception
        if inception is None:
            lacks |= dict.fromkeys(
                ("style_distance", "fid", "frechet_relative"), "needs Inception-v3"
            )
        elif not inception.whole:
            lacks["fid"] = "needs the whole Inception-v3 of FID; the one given ends at mixed_8"
        elif not inception.of_fid:
            lacks["fid"] = "needs the Inception-v3 of FID (1008 classes); the one given is another"
        reasons = [lacks[key] for key in ("lpips", "fid") if key in lacks]
        if reasons:
            lacks["artfid"] = "; ".join(reasons)
        return {key: lacks[key] for key in METRICS if key in lacks}

    def set_metrics(
        self, sets: Sets, styles: StyleViews, lpips: float | None, absent: dict[str, str]
    ) -> dict[str, float | None]:
        """The measures of all outputs together, by key; adds to `absent` what so few pictures cannot give."""
        inception = self.networks.inception
        if inception is None:
            return {}
        found: dict[str, float | None] = {}
        kind = "pool3" if inception.whole else "mixed_8"
        key = "fid" if inception.of_fid else f"frechet_{kind}"
        features = sets.pooled if inception.whole else sets.crops
        references = styles.pooled if inception.whole else styles.crops
        if min(len(features), len(references)) < 2:
            absent[key] = "needs at least 2 outputs and 2 styles"
        else:
            value = _metrics.frechet_distance(
                torch.cat(features), torch.cat(list(references.values()))
            )
            found[key] = value
            if lpips is not None:
                found["artfid" if key == "fid" else f"artfid_{kind}"] = _metrics.artfid(
                    lpips, value
                )
        if len(sets.crops) < _FEWEST_PAIRS or len(styles.crops) < _FEWEST_STYLES:
            absent["frechet_relative"] = (
                f"needs at least {_FEWEST_PAIRS} outputs and {_FEWEST_STYLES} styles"
            )
        else:
            target = torch.cat(list(styles.crops.values()))
            found["frechet_relative"] = _ratio(
                _metrics.leading_frechet_distance(torch.cat(sets.crops), target),
                _metrics.leading_frechet_distance(torch.cat(sets.contents), target),
            )
        return found


class StyleViews:
    """Views of styles, made when they are first asked for; the last 256 are kept, and the Inception features of all."""

    def __init__(self, judge: Judge, files: dict[str, Path]) -> None:
        self._judge, self._files = judge, files
        self._views: OrderedDict[str, View] = OrderedDict()
        self.crops: dict[str, Tensor] = {}
        self.pooled: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> View:
        if name not in self._views:
            view = self._judge.view(self._judge.read(self._files[name]), as_style=True)
            view.image = resize(view.image, _KEPT_SIDE)
            if view.crops is not None:
                self.crops[name] = view.crops
            if view.pooled is not None:
                self.pooled[name] = view.pooled
            self._views[name] = view
            if len(self._views) > _CACHED_STYLES:
                self._views.popitem(last=False)
        self._views.move_to_end(name)
        return self._views[name]


@dataclass
class Sets:
    """Inception features of all outputs and contents at one strength."""

    crops: list[Tensor] = field(default_factory=list)
    pooled: list[Tensor] = field(default_factory=list)
    contents: list[Tensor] = field(default_factory=list)

    def add(self, output: View) -> None:
        if output.crops is not None:
            self.crops.append(output.crops)
        if output.pooled is not None:
            self.pooled.append(output.pooled)

    def add_content(self, content: View) -> None:
        if content.crops is not None:
            self.contents.append(content.crops)


def _square(image: Tensor, side: int) -> Tensor:
    if image.shape[2:] == (side, side):
        return image
    return F.interpolate(image, size=(side, side), mode="bilinear", antialias=True)


def _ratio(value: float, unit: float) -> float | None:
    """None where there is no unit: the content is the style."""
    return value / unit if unit > 1e-6 else None
