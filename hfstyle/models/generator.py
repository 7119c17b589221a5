"""The conditional generator G(x, c, s): content picture, style condition, strength -> the content painted in that style.

B batch · C channels · H, W height and width of the content · D style width · T style tokens · E token width
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from hfstyle.models import fast
from hfstyle.models.attention import TokenAttention
from hfstyle.models.grid import Origin, moved_back, moved_by
from hfstyle.models.layers import (
    ColorSpread,
    ColorTransfer,
    FeatureTransfer,
    Grain,
    InstanceStatistics,
    ModulatedBlock,
    Modulation,
    activate,
    activate_styled,
    add,
    conv3x3,
    double,
    folded,
    halve,
    luminance,
    reflected,
    standardise,
    unstandardise,
)
from hfstyle.models.loading import MODEL_CARD_TEMPLATE, absent_told, load_strictly
from hfstyle.models.style_encoder import Condition, StyleEncoder

__all__ = [
    "ContentFeatures",
    "StyleGenerator",
    "default_model_path",
    "laid_over",
    "reduced",
    "thickness",
]

# Distance of a content's statistics from the style's, of which about two thirds of the painting are seen.
_ALIKE = 0.01
# Cells of 4 px after which the pattern of the grain repeats.
_PERIOD = 128
_HALF_CELL = 2  # px, of the cells of features at 1/4 resolution
# Deviation of a photo's fine lightness, of values in [0, 1], at which half of its underdrawing shows.
_VISIBLE = 0.02
# Deviation of a photo's colours around a place, of values in [0, 1], of which the coarsest level sees half.
_FAINT = 0.03
# All of the photo's finest lightness shows at strengths up to 1 - 1 / this.
_DETAIL_RETURNS = 4
# By this share, more than the most that the network was taught is asked for at strength 1: strokes flicker less.
_BEYOND = 0.12


def default_model_path() -> Path:
    """The folder of the bundled weights: config.json, model.safetensors and styles/."""
    return Path(__file__).resolve().parent.parent / "pretrained" / "base"


_Number = TypeVar("_Number", float, Tensor)

ContentFeatures = list[Tensor]
"""What the coarsest level sees of a content whatever the style: features at 1/2, 1/4, 1/8 and 1/16 of its resolution.

Where that is painted twice, also those of the content moved by half a cell (see `StyleGenerator.paint_coarse_level`).
"""


class StyleGenerator(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="hfstyle",
    pipeline_tag="image-to-image",
    license="apache-2.0",
    repo_url="https://huggingface.co/hfstyle/base",
    tags=["style-transfer", "conditional-gan", "image-to-image", "arbitrary-style-transfer"],
    model_card_template=MODEL_CARD_TEMPLATE,
):
    """Paint a content picture in the style of a condition, in one forward pass.

    Painted from coarse to fine, as by a painter who blocks in a picture with a large brush first: the network paints the
    picture at half its resolution, and then that, with the photo's detail laid over it, at full resolution. The same
    weights do both; strokes of both sizes come of it for a quarter more time.

    A U-shaped network that spends its arithmetic at 1/8 and 1/16 of the picture's resolution. Coarse features attend to
    the style's tokens, every block is modulated by the style's vector, and a light head at 1/2 resolution repaints the
    detail: nothing of the photo reaches the painting but features in the style's statistics and colours averaged over
    4 px, so that every stroke, edge and grain is painted; with an underdrawing, the photo's finest lightness, too. The
    style encoder is a part of the model, since a condition means nothing to another generator.

    At full resolution only lightness is painted; what is added of colour comes from 1/4. Thin lines in colours are the
    cheapest way to a painting's variance of colours, and drew red and cyan rims along the edges of photos. Whatever has
    been painted is brought to the mean and covariance of the style's colours at the end.

    Args:
        widths: channels at 1/2 (head), 1/4, 1/8 and 1/16 resolution.
        fine_width: channels of the features of content and style at 1/2 resolution.
        blocks: modulated blocks at 1/4, 1/8 and 1/16 resolution.
        style_width: length of the learned part of the condition's vector.
        token_width: E, length of a token; a multiple of `heads`.
        token_grid: side of the grid of tokens; T = token_grid ** 2.
        heads: attention heads.
        use_tokens: False leaves the attention out (an ablation; the condition keeps its tokens).
        levels: resolutions at which the picture is painted one after the other, each twice the one before; from 1.
        grain: channels of the pattern that strokes in flat areas begin with in training; 0 leaves it out.
        steady: True filters features by binomials where their resolution is halved, and paints the coarser levels twice,
            half a cell apart (see `paint_coarse_level`): strokes change less as the photo moves.
        underdrawing: True lets the photo's finest lightness show through the paint, as much as the network says for each
            place (see `drawn_under`).
        later_stages: resolutions of the levels after the first: 3 down to 1/8 of the level's, or 2 to 1/4, which the level
            before saw at 1/8; a sixth faster.
    """

    pattern: Tensor

    size_multiple: int
    """Height and width of the content must be multiples of this; the pipeline pads and crops back."""
    minimum_size: int
    """Least height and width of the content after padding."""
    on_photo: bool = True
    """Whether the grid of the coarser levels lies on the photo, so that strokes stay when that moves (see `origin`)."""
    goes_beyond: bool = True
    """Whether the network is asked for a little more than it was taught, near strength 1; not while it is taught."""
    in_bands: bool = True
    """Whether the head may run in bands of rows, which it does on a CPU without gradients."""

    def __init__(
        self,
        *,
        widths: Sequence[int] = (32, 48, 128, 192),
        fine_width: int = 24,
        blocks: Sequence[int] = (2, 1, 1),
        style_width: int = 256,
        token_width: int = 128,
        token_grid: int = 8,
        heads: int = 4,
        use_tokens: bool = True,
        levels: int = 2,
        grain: int = 4,
        steady: bool = False,
        underdrawing: bool = False,
        later_stages: int = 3,
    ) -> None:
        super().__init__()
        if later_stages not in (2, 3):
            raise ValueError(f"later_stages is {later_stages}: it must be 2 or 3")
        fast.keep_freed_memory()
        head, low, mid, high = widths
        self.levels = levels
        self.later_stages = later_stages
        self.size_multiple, self.minimum_size = 8 * 2**levels, 16 * 2**levels
        self.use_tokens = use_tokens
        self.steady = steady
        self.encoder = StyleEncoder(
            (fine_width, low, mid, high), style_width, token_width, token_grid, steady
        )
        # Beside the style, what is asked for: the strength and, of several levels, which.
        asked = 1 if levels == 1 else 2
        self.style1 = nn.Linear(self.encoder.vector_width + asked, style_width)
        self.style2 = nn.Linear(style_width, style_width)

        self.use_grain = grain > 0
        if self.use_grain:
            drawn = torch.randn(_PERIOD, _PERIOD, grain, generator=torch.Generator().manual_seed(0))
            self.register_buffer("pattern", drawn)
            self.grain_high = Grain(grain, high, style_width)
            self.grain_mid = Grain(grain, mid, style_width)
            self.grain_low = Grain(grain, low, style_width)
        self.recolor = ColorTransfer()
        self.transfer = FeatureTransfer()
        self.color = ColorSpread()
        self.attend_high = TokenAttention(high, token_width, heads)
        self.blocks_high = _blocks(blocks[2], high, style_width)
        self.up2 = nn.Conv2d(high, mid, 1)
        self.attend_mid = TokenAttention(mid, token_width, heads)
        self.blocks_mid = _blocks(blocks[1], mid, style_width)
        self.up1 = nn.Conv2d(mid, low, 1)
        self.blocks_low = _blocks(blocks[0], low, style_width)
        self.spread = conv3x3(low, 16)
        self.detail = conv3x3(16 + 3 + fine_width, head)
        self.modulate_detail = Modulation(head, style_width, normalise=False)
        self.refine = conv3x3(head, 12)
        self.paint = conv3x3(12, 1)
        self.tint = conv3x3(low, 2)
        self.underdrawing = conv3x3(low, 1) if underdrawing else None
        with torch.no_grad():
            self.paint.weight.mul_(0.1)
            self.tint.weight.mul_(0.1)
            if self.underdrawing is not None:
                self.underdrawing.weight.mul_(0.02)

    def encode(self, style: Tensor) -> Condition:
        """style (B, 3, h, w) in [0, 1], h and w >= 64, any size -> its condition."""
        return self.encoder(style)

    def look_at(self, content: Tensor) -> ContentFeatures:
        """content (B, 3, H, W) as in a call -> features of its coarsest level, for several styles and strengths."""
        seen = self.seen_first(self._pictures(content)[0][-1])
        features = self.encoder.trunk(standardise(seen))
        if self.steady and self.levels > 1:
            features += self.encoder.trunk(standardise(_moved(seen)))
        return features

    def seen_first(self, picture: Tensor) -> Tensor:
        """What the coarsest level sees of the photo at its resolution: of several levels, without what is faint."""
        return picture if self.levels == 1 else without_faint(picture)

    def _pictures(self, content: Tensor) -> tuple[list[Tensor], Tensor | None]:
        """The content at the resolution of each level, the finest first, all others moved by the origin; and that."""
        origin = self.origin(content)
        pictures = [content if origin is None else moved_by(content, origin)]
        for _ in range(1, self.levels):
            pictures.append(reduced(pictures[-1]))
        return [content, *pictures[1:]], origin

    def origin(self, content: Tensor) -> Tensor | None:
        """Where the grid of the coarser levels begins on each content (B, 3, H, W): (B, 2) px, or None for at 0.

        See `hfstyle.models.grid`. The trainer leaves it there: crops begin anywhere.
        """
        if not self.moves_grid:
            return None
        origin = Origin(content.shape[2:], self.period)
        origin.add(content)
        return origin.offsets()

    @property
    def moves_grid(self) -> bool:
        """Whether the grid of the coarser levels begins elsewhere than at 0."""
        return self.on_photo and self.levels > 1

    @property
    def period(self) -> int:
        """Side of the coarsest level's cells, of features at 1/4 of its resolution, in px of the content."""
        return 4 << (self.levels - 1)

    def stages(self, level: int) -> int:
        """At how many resolutions a level has features: 2 to 4 of 1/2, 1/4, 1/8 and 1/16 of its own; 0 is the finest level.

        What a level sees at 1/16, the level before it saw at 1/8: only the first has that stage, and 1/8 may go as well.
        """
        return 4 if level == self.levels - 1 else self.later_stages

    def encoder_fingerprint(self) -> str:
        """16 hexadecimal digits naming the encoder's weights; a `StyleCode` remembers which encoder made it."""
        return self.encoder.fingerprint()

    def forward(
        self,
        content: Tensor,
        condition: Condition,
        strength: Tensor,
        statistics: InstanceStatistics | None = None,
        grain: Tensor | None = None,
        features: ContentFeatures | None = None,
        coarser: list[Tensor] | None = None,
    ) -> Tensor:
        """Paint `content` in the style of `condition`.

        Args:
            content: (B, 3, H, W) float in [0, 1], H and W multiples of `size_multiple` and >= `minimum_size`.
            condition: vector (B, D) and tokens (B, T, E).
            strength: (B,) float in [0, 1]; 0 returns the content exactly, 1 is the full style. From 1 to 3/4, most of what
                changes is the finest detail, which becomes the photo's; below, paint gets thinner (`thickness`).
            statistics: a fresh object is filled with the instance statistics of this pass; one built from those of an
                earlier pass replays them (tiles, video).
            grain: (B, 2) int64, the place (y, x) in px, a multiple of 4, at which each picture lies on the pattern of the
                grain; a negative place or None paints without it, as the pipeline does (see `Grain`).
            features: `look_at(content)`; None looks now.
            coarser: a list to which the paintings of the coarser levels are added, smallest first, (B, 3, H/2, W/2) last.

        Returns:
            (B, 3, H, W) float in [0, 1].

        Raises:
            ValueError: H or W is no multiple of `size_multiple` or below `minimum_size` (not checked in an export).
        """
        if not torch.compiler.is_compiling():
            self._check_size(*content.shape[2:])
        statistics = statistics or InstanceStatistics()
        pictures, origin = self._pictures(content)
        seen = self.seen_first(pictures[-1])
        for level in reversed(range(1, self.levels)):
            painted = self.paint_coarse_level(
                seen, condition, strength, statistics, grain, features, level=level
            )
            if coarser is not None:
                coarser.append(painted)
            seen = laid_over(
                pictures[level - 1], pictures[level], painted, origin if level == 1 else None
            )
            features = None
        return self.paint_level(
            seen, condition, strength, statistics, grain, features, over=content
        )

    def paint_coarse_level(
        self,
        seen: Tensor,
        condition: Condition,
        strength: Tensor,
        statistics: InstanceStatistics,
        grain: Tensor | None = None,
        features: ContentFeatures | None = None,
        *,
        level: int,
    ) -> Tensor:
        """A level that others follow. A steady one is the mean of two paintings, of what is seen and of that moved by half a cell.

        How a stroke of two or three cells of 1/4 resolution turns out depends on where the photo lies on their grid; half
        a cell further down and right it turns out the other way. Of both, the statistics are the first's.

        Args:
            seen, condition, strength, statistics, grain, features: as in a call.
            level: how often the resolution is still to be doubled, from 1.

        Returns:
            (B, 3, H, W), painted, about within [0, 1].
        """
        begin = len(statistics.taken)
        here, there = (features[:4], features[4:]) if features else (None, None)
        first = self.paint_level(seen, condition, strength, statistics, grain, here, level=level)
        if not self.steady:
            return first
        same = InstanceStatistics(statistics.taken[begin:])
        second = self.paint_level(
            _moved(seen), condition, strength, same, grain, there, level=level
        )
        apart = second[..., _HALF_CELL:, _HALF_CELL:] - first[..., :-_HALF_CELL, :-_HALF_CELL]
        return first + F.pad(0.5 * apart, (0, _HALF_CELL) * 2)

    def paint_level(
        self,
        seen: Tensor,
        condition: Condition,
        strength: Tensor,
        statistics: InstanceStatistics,
        grain: Tensor | None = None,
        features: ContentFeatures | None = None,
        *,
        level: int = 0,
        over: Tensor | None = None,
    ) -> Tensor:
        """One level, once: what is seen (B, 3, H, W) -> painted (B, 3, H, W), about within [0, 1].

        Args:
            seen, condition, strength, statistics, grain, features: as in a call.
            level: how often the resolution is still to be doubled.
            over: (B, 3, H, W), the content that the painting is laid over, as thickly as the strength says; None returns
                the bare painting.
        """
        drawn = (_DETAIL_RETURNS * (1 - strength.float())).clamp(max=1)[:, None, None, None]
        strength = thickness(strength)
        _, look_fine, look_low, look_mid, look_high, colors = condition.vector.split(
            self.encoder.parts, dim=1
        )
        beyond = _BEYOND if self.goes_beyond else 0.0
        asked = [(strength * (1 + beyond * (1 - drawn.flatten())))[:, None]]
        if self.levels > 1:
            asked.append(torch.full_like(strength, level)[:, None])
        style = torch.cat((condition.vector, *(x.to(condition.vector.dtype) for x in asked)), dim=1)
        style = activate(self.style2(activate(self.style1(style))))  # (B, style_width)
        tokens = condition.tokens

        x = standardise(seen)
        seen_colors = ColorTransfer.look(x, statistics)
        quarter = halve(halve(x))  # (B, 3, H/4, W/4)
        plain = self.recolor(quarter, colors, InstanceStatistics([seen_colors]))
        fine, low, *coarse = features or self.encoder.trunk(x, self.stages(level))
        patterns = None if grain is None or not self.use_grain else self._patterns(x, grain, level)
        apart = []
        h = None
        if len(coarse) > 1:
            h, distance = self.transfer(coarse[1], look_high, strength, statistics)
            apart.append(distance)
            if patterns:
                h = self.grain_high(h, patterns[2], style)
            if self.use_tokens:
                h = self.attend_high(h, tokens, statistics)
            for block in self.blocks_high:
                h = block(h, style, statistics)
            h = double(self.up2(h))  # (B, 192, H/16, W/16) -> (B, 128, H/8, W/8)
        if coarse:
            mid, distance = self.transfer(coarse[0], look_mid, strength, statistics)
            apart.append(distance)
            h = mid if h is None else add(mid, h)  # (B, 128, H/8, W/8)
            if patterns:
                h = self.grain_mid(h, patterns[1], style)
            if self.use_tokens:
                h = self.attend_mid(h, tokens, statistics)
            for block in self.blocks_mid:
                h = block(h, style, statistics)
            h = double(self.up1(h))  # (B, 128, H/8, W/8) -> (B, 48, H/4, W/4)
        low, distance = self.transfer(low, look_low, strength, statistics)
        apart.append(distance)
        h = low if h is None else add(low, h)  # (B, 48, H/4, W/4)
        if patterns:
            h = self.grain_low(h, patterns[0], style)
        for block in self.blocks_low:
            h = block(h, style, statistics)
        h = reflected(h)
        tinted = plain + self.color(self.tint.of_padded(h), colors)  # (B, 3, H/4, W/4)
        shown = None
        if self.underdrawing is not None and over is not None:
            shown = torch.sigmoid(self.underdrawing.of_padded(h).float())  # (B, 1, H/4, W/4)
        h = activate(self.spread.of_padded(h))  # (B, 16, H/4, W/4)
        statistics.of(fine)  # of the whole map, whatever rows of it are seen at a time
        repaint = partial(
            self._repaint,
            style=style,
            look_fine=look_fine,
            colors=colors,
            strength=strength,
            seen_colors=seen_colors,
            measured=statistics.taken[-1],
            apart=apart,
        )
        painted = self._by_bands(repaint, (x, plain, tinted, fine, h), margin=2)
        if over is None:
            return unstandardise(painted)
        # Strokes have added to the contrast: the style's colours once more, now of all that is painted.
        painted = unstandardise(self.recolor(painted, colors, statistics))
        if shown is not None:
            painted = drawn_under(painted, over, torch.lerp(shown, shown.new_ones(()), drawn))
        painted = painted.to(over.dtype)
        if not fast.possible(painted) or bool((strength < 1).any()):
            painted = torch.lerp(over, painted, strength[:, None, None, None].to(over.dtype))
        return painted.clamp_(0, 1)

    def _repaint(
        self,
        x: Tensor,
        plain: Tensor,
        tinted: Tensor,
        fine: Tensor,
        h: Tensor,
        *,
        style: Tensor,
        look_fine: Tensor,
        colors: Tensor,
        strength: Tensor,
        seen_colors: Tensor,
        measured: Tensor,
        apart: Sequence[Tensor],
    ) -> Tensor:
        """The light head: features and colours -> the painting, (B, 3, H, W) standardised. No place depends on others beyond 8 px.

        Args:
            x: (B, 3, H, W), standardised.
            plain, tinted: (B, 3, H/4, W/4), colours averaged, without and with what is painted of colour.
            fine: (B, fine_width, H/2, W/2).
            h: (B, 16, H/4, W/4).
            style: (B, style_width).
            look_fine: (B, 2 * fine_width), the style's part of the condition.
            colors: (B, 9), the style's.
            strength: (B,).
            seen_colors: (2, B, 3, 1, 1), those of the whole of x.
            measured: (2, B, fine_width, 1, 1), statistics of the whole fine map.
            apart: (B,) each, the coarser maps' distances from the style.
        """
        given = InstanceStatistics([measured])
        fine, apart_fine = self.transfer(fine, look_fine, strength, given)
        seen = (double(h), double(plain).to(h.dtype), fine)
        channels = sum(part.shape[1] for part in seen)
        own = folded(self.modulate_detail, self.detail, style)
        detail = self.detail.of(
            lambda out: torch.cat(seen, dim=1, out=out), (len(h), channels, *fine.shape[2:]), h, own
        )
        refined = self.refine.of(
            lambda out: activate_styled(detail, own, self.modulate_detail, style, given, out),
            detail.shape,
            detail,
        )  # (B, 12, H/2, W/2)
        h = self.paint.of(
            lambda out: activate(double(refined, out)),
            (*refined.shape[:2], *x.shape[2:]),
            refined,
        )
        h = self.color(h, colors)  # (B, 3, H, W)
        # A picture whose statistics are the style's already needs no painting.
        distance = torch.stack((*apart, apart_fine)).mean(0)  # (B,)
        need = (1 - torch.exp(-distance / _ALIKE))[:, None, None, None]
        painted = _into_range(double(double(tinted)) + h)
        if not fast.possible(h) or bool((need < 1).any()):
            colored = self.recolor(x, colors, InstanceStatistics([seen_colors]))
            painted = torch.lerp(colored, painted, need)
        return painted

    def _by_bands(
        self, function: Callable[..., Tensor], maps: Sequence[Tensor], margin: int
    ) -> Tensor:
        """`function(*maps)`, in bands of rows where that is faster."""
        if not self.in_bands or not fast.possible(maps[0]):
            return function(*maps)
        return fast.by_bands(function, maps, margin)

    def _patterns(self, x: Tensor, grain: Tensor, level: int) -> tuple[Tensor, Tensor, Tensor]:
        """The grain at 1/4, 1/8 and 1/16 of the resolution of x, each (B, K, h, w) of unit deviation, or 0."""
        height, width = x.shape[2] // 4, x.shape[3] // 4
        places = grain // (4 * 2**level)
        down = places[:, :1] + torch.arange(height, device=x.device)  # (B, h)
        right = places[:, 1:] + torch.arange(width, device=x.device)
        cells = self.pattern[(down % _PERIOD)[:, :, None], (right % _PERIOD)[:, None, :]]
        low = cells.permute(0, 3, 1, 2) * (grain[:, :1, None, None] >= 0)
        mid = 2 * halve(low)
        return low, mid, 2 * halve(mid)

    def _check_size(self, height: int, width: int) -> None:
        if (
            height % self.size_multiple
            or width % self.size_multiple
            or min(height, width) < self.minimum_size
        ):
            raise ValueError(
                f"content of {height} x {width} px: height and width must be multiples of {self.size_multiple} and at "
                f"least {self.minimum_size}; StyleTransferPipeline pads any size and crops back"
            )

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | Path, **options: Any
    ) -> StyleGenerator:
        """Load from a folder or a Hub id; the options are those of `PyTorchModelHubMixin`. Errors as of `absent_told`."""
        model = pretrained_model_name_or_path
        with absent_told(model, options.get("local_files_only", False)):
            return super().from_pretrained(model, **options)

    @classmethod
    def _from_pretrained(cls, **kwargs: Any) -> StyleGenerator:
        return load_strictly(cls, **kwargs)


def _blocks(count: int, channels: int, style_width: int) -> nn.ModuleList:
    """Modulated blocks; the last of several does not normalise, which would make droplets (Karras et al. 2020)."""
    return nn.ModuleList(
        ModulatedBlock(channels, style_width, normalise=count == 1 or i + 1 < count)
        for i in range(count)
    )


def thickness(strength: _Number) -> _Number:
    """How thickly the paint lies on the photo at a strength s: s (2 - s), in [0, 1] as s is.

    Before a painting is made thinner, its finest detail gives way to the photo's, which keeps more of the photo at less
    loss of style; so paint is thin at low strengths only.
    """
    return strength * (2 - strength)


def reduced(picture: Tensor) -> Tensor:
    """Half the resolution, each pixel the mean of 4 x 4: without aliases, which a move of the photo would make flicker."""
    if fast.possible(picture):
        return fast.reduced(picture)
    return F.avg_pool2d(picture, 4, stride=2, padding=1, count_include_pad=False)


def without_faint(picture: Tensor) -> Tensor:
    """Flat areas without their noise, everything else as it is, (B, 3, H, W) in [0, 1]: no strokes out of noise.

    m + (x - m) v / (v + 0.03^2), m and v the mean and the variance around a place: what a guided filter (He et al. 2013,
    section 3.2) makes of a picture guided by itself, at a quarter of the resolution as in its fast form.
    """
    both = reduced(reduced(torch.cat((picture, picture.square()), dim=1)))
    mean, square = both.chunk(2, dim=1)
    variance = (square - mean.square()).clamp(min=0).mean(1, keepdim=True)
    kept = variance / (variance + _FAINT**2)
    mean, kept = double(double(torch.cat((mean, kept), dim=1))).split((3, 1), dim=1)
    return torch.lerp(mean, picture, kept)


def _moved(picture: Tensor) -> Tensor:
    """Half a cell of 1/4 resolution further down and right, mirrored where nothing is left."""
    return F.pad(picture[..., :-_HALF_CELL, :-_HALF_CELL], (_HALF_CELL, 0) * 2, mode="reflect")


def laid_over(
    picture: Tensor, smaller: Tensor, painted: Tensor, origin: Tensor | None = None
) -> Tensor:
    """What a level sees: the painting of the level before, doubled, with the detail of the photo that it lacks.

    Args:
        picture: (B, 3, H, W), the photo.
        smaller: (B, 3, H/2, W/2), `reduced(picture)`; with an origin, of the picture moved by it.
        painted: (B, 3, H/2, W/2), that painted.
        origin: as of `StyleGenerator.origin`.
    """
    change = double(painted - smaller)
    if origin is not None:
        change = moved_back(change, origin)
    return (picture + change).to(picture.dtype)


def drawn_under(painted: Tensor, photo: Tensor, shown: Tensor) -> Tensor:
    """The painting with a part of its finest lightness replaced by the photo's, where the photo has any.

    G + a v (f(L(x)) - f(L(G))),  f(L) = L less itself at half the resolution,  v = e / (e + 0.02^2),

    e the mean square of f(L(x)) around a place: eyes and windows are drawn as in the photo, strokes in skies stay.

    Args:
        painted, photo: (B, 3, H, W) in [0, 1], G and x.
        shown: (B, 1, H/4, W/4) in [0, 1], a, the part.
    """
    own = luminance(photo)
    energy = reduced(reduced(_finest(own).square()))
    shown = shown * energy / (energy + _VISIBLE**2)
    return painted + double(double(shown)) * _finest(own - luminance(painted))


def _finest(lightness: Tensor) -> Tensor:
    return lightness - double(reduced(lightness))


def _into_range(x: Tensor) -> Tensor:
    """Bend what leaves the range of pictures softly back, standardised: to [-0.2, 1.2] as values of pixels."""
    x = (x - 0.2) / 2.8
    if fast.possible(x):
        return x.tanh_().mul_(2.8).add_(0.2)
    return 0.2 + 2.8 * torch.tanh(x)
