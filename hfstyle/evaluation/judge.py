"""Internal to `hfstyle.evaluation.evaluate`: features of pictures, and the measures made of them.

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

from hfstyle.evaluation import formulas
from hfstyle.evaluation.measures import METRICS
from hfstyle.evaluation.network_files import Networks
from hfstyle.images.geometry import resize
from hfstyle.images.load import load_image
from hfstyle.images.save import to_pil

__all__ = ["Diversity", "Judge", "Sets", "StyleViews", "View"]

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
        view = View(image, formulas.palette(image))
        networks = self.networks
        if networks.squeezenet is not None and networks.heads is not None and not as_style:
            view.lpips = formulas.unit_length(networks.squeezenet.features(image))
        if networks.inception is not None:
            scale = _INCEPTION_SIZE / min(image.shape[2:])
            small = F.interpolate(image, scale_factor=scale, mode="bilinear", antialias=True)
            taps, deep = networks.inception.style_features(small)
            view.statistics = formulas.statistics(taps)
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
            "ssim": formulas.ssim(content.image, output.image),
            "psnr": formulas.psnr(content.image, output.image),
        }
        if content.lpips is not None and output.lpips is not None:
            assert self.networks.heads is not None
            found["lpips"] = formulas.lpips(content.lpips, output.lpips, self.networks.heads)
        if content.deepest is not None and output.deepest is not None:
            assert content.structure is not None
            assert output.structure is not None
            found["content_distance"] = formulas.relative_distance(output.deepest, content.deepest)
            found["cfsd"] = formulas.cfsd(output.structure, content.structure)
        if style.statistics is not None:
            assert content.statistics is not None
            assert output.statistics is not None
            found["style_distance"] = _ratio(
                formulas.style_distance(output.statistics, style.statistics),
                formulas.style_distance(content.statistics, style.statistics),
            )
        found["palette"] = _ratio(
            formulas.palette_distance(output.palette, style.palette),
            formulas.palette_distance(content.palette, style.palette),
        )
        return found

    def new_sets(self) -> Sets:
        """For the outputs of one method."""
        networks = self.networks
        possible = networks.squeezenet is not None and networks.heads is not None
        return Sets(Diversity(networks.heads) if possible and networks.heads is not None else None)

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
        if "lpips" in lacks:
            lacks["diversity"] = lacks["lpips"]
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
        found: dict[str, float | None] = {}
        if sets.diversity is not None:
            if (value := sets.diversity.result()) is None:
                absent["diversity"] = "needs a content with outputs in at least 2 styles"
            else:
                found["diversity"] = value
        if inception is None:
            return found
        kind = "pool3" if inception.whole else "mixed_8"
        key = "fid" if inception.of_fid else f"frechet_{kind}"
        features = sets.pooled if inception.whole else sets.crops
        references = styles.pooled if inception.whole else styles.crops
        if min(len(features), len(references)) < 2:
            absent[key] = "needs at least 2 outputs and 2 styles"
        else:
            value = formulas.frechet_distance(
                torch.cat(features), torch.cat(list(references.values()))
            )
            found[key] = value
            if lpips is not None:
                found["artfid" if key == "fid" else f"artfid_{kind}"] = formulas.artfid(
                    lpips, value
                )
        if len(sets.crops) < _FEWEST_PAIRS or len(styles.crops) < _FEWEST_STYLES:
            absent["frechet_relative"] = (
                f"needs at least {_FEWEST_PAIRS} outputs and {_FEWEST_STYLES} styles"
            )
        else:
            target = torch.cat(list(styles.crops.values()))
            found["frechet_relative"] = _ratio(
                formulas.leading_frechet_distance(torch.cat(sets.crops), target),
                formulas.leading_frechet_distance(torch.cat(sets.contents), target),
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


class Diversity:
    """Mean LPIPS over all pairs of outputs of one content, without keeping the outputs.

    Of n outputs with features a_i, the squares of all differences add up to n sum a_i^2 - (sum a_i)^2, so two sums are
    enough. They are taken of differences from the first output, for precision.

    Args:
        heads: of LPIPS, a tensor (C,) for each layer.
    """

    def __init__(self, heads: list[Tensor]) -> None:
        self._heads = heads
        self._total, self._pairs = 0.0, 0
        self._begin()

    def _begin(self) -> None:
        self._count = 0
        self._first: list[Tensor] = []
        self._sums: list[Tensor] = []
        self._squares: list[Tensor] = []

    def add(self, features: list[Tensor]) -> None:
        """An output's features made `unit_length`, (1, C, h, w) each."""
        self._count += 1
        if self._count == 1:
            self._first = features
            self._sums = [torch.zeros_like(f) for f in features]
            self._squares = [torch.zeros_like(f) for f in features]
            return
        for f, first, total, square in zip(
            features, self._first, self._sums, self._squares, strict=True
        ):
            difference = f - first
            total += difference
            square += difference**2

    def next_content(self) -> None:
        """The outputs that follow are of another content."""
        for total, square, head in zip(self._sums, self._squares, self._heads, strict=False):
            of_pairs = self._count * square - total**2  # (1, C, h, w)
            self._total += float((of_pairs * head.view(-1, 1, 1)).sum(1).mean())
        self._pairs += self._count * (self._count - 1) // 2
        self._begin()

    def result(self) -> float | None:
        """None where no content had two outputs."""
        return self._total / self._pairs if self._pairs else None


@dataclass
class Sets:
    """Inception features of all outputs and contents of one method, and how various its outputs are."""

    diversity: Diversity | None = None
    crops: list[Tensor] = field(default_factory=list)
    pooled: list[Tensor] = field(default_factory=list)
    contents: list[Tensor] = field(default_factory=list)

    def add(self, output: View) -> None:
        if self.diversity is not None and output.lpips is not None:
            self.diversity.add(output.lpips)
        if output.crops is not None:
            self.crops.append(output.crops)
        if output.pooled is not None:
            self.pooled.append(output.pooled)

    def add_content(self, content: View) -> None:
        """All its outputs have been added."""
        if self.diversity is not None:
            self.diversity.next_content()
        if content.crops is not None:
            self.contents.append(content.crops)


def _square(image: Tensor, side: int) -> Tensor:
    if image.shape[2:] == (side, side):
        return image
    return F.interpolate(image, size=(side, side), mode="bilinear", antialias=True)


def _ratio(value: float, unit: float) -> float | None:
    """None where there is no unit: the content is the style."""
    return value / unit if unit > 1e-6 else None
