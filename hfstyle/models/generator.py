"""The conditional generator G(x, c, s): content picture, style condition, strength -> the content painted in that style.

B batch · H, W height and width of the content, or of a level of it · D style width · T style tokens · E token width
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from hfstyle.models import graph
from hfstyle.models.color import (
    ColorSpread,
    ColorTransfer,
    contrast_of,
    faded,
    opponent_sums,
    opponent_sums_of_half,
    standardise,
    toward,
    unstandardise,
)
from hfstyle.models.detail import ask, change_of, drawn_under, outlined, without_faint
from hfstyle.models.faces import SPARED_COARSE, SPARED_DRAWN, SPARED_FINE, FaceMap
from hfstyle.models.grid import Origin, fine_origin, moved_back
from hfstyle.models.head import Head, Wanted
from hfstyle.models.hub import MODEL_CARD_TEMPLATE, absent_told, load_strictly, write_weights
from hfstyle.models.lattice import without_lattice
from hfstyle.models.layers import ModulatedBlock, TokenAttention, activate, add, conv3x3
from hfstyle.models.levels import BlockedIn, Instructions, Painting, at_origin
from hfstyle.models.resample import double, halve, placed, reduced, reflected
from hfstyle.models.sizes import check_counts
from hfstyle.models.statistics import FeatureTransfer, InstanceStatistics
from hfstyle.models.style_encoder import Condition, StyleEncoder

__all__ = ["StyleGenerator"]


class StyleGenerator(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="hfstyle",
    pipeline_tag="image-to-image",
    license="apache-2.0",
    tags=["style-transfer", "conditional-gan", "image-to-image", "arbitrary-style-transfer"],
    model_card_template=MODEL_CARD_TEMPLATE,
):
    """Paint a content picture in the style of a condition, in one forward pass.

    Painted from coarse to fine, as by a painter who blocks in a picture with a large brush first: the network paints the
    picture at half its resolution, and then that, with the photo's detail laid over it, at full resolution. The same
    weights do both; strokes of both sizes come of it for a quarter more time.

    A U-shaped network that spends its arithmetic at 1/8 and 1/16 of the coarse level's resolution; the fine level leaves
    these out, which the coarse one saw. Coarse features attend to the style's tokens, every block is modulated by the
    style's vector, and a light head repaints the detail, so that every stroke, edge and grain is painted; only the photo's
    finest lightness shows through, as much as the network says for each place. The style encoder is a part of the model,
    since a condition means nothing to another generator. Whatever has been painted is brought to the mean and covariance
    of the style's colours at the end.

    Args:
        widths: channels at 1/2 (head), 1/4, 1/8 and 1/16 resolution.
        fine_width: channels of the features of content and style at 1/2 resolution.
        blocks: modulated blocks at 1/4, 1/8 and 1/16 resolution.
        style_width: length of the learned part of the condition's vector.
        token_width: E, length of a token; a multiple of `heads`.
        token_grid: side of the grid of tokens; T = token_grid ** 2.
        heads: attention heads.
        face_widths: channels of the map of faces, at 1/4, 1/8, 1/16 and 1/32 of the resolution at which it looks.

    Raises:
        ValueError: a number below 1, or a token_width that is no multiple of `heads`.
    """

    size_multiple: Final = 32
    """Height and width of the content must be multiples of this; the pipeline pads and crops back."""
    minimum_size: Final = 64
    """Least height and width of the content after padding."""
    period: Final = 8
    """Side of the coarse level's cells, of features at 1/4 of its resolution, in px of the content."""

    def __init__(
        self,
        *,
        widths: Sequence[int] = (32, 48, 128, 192),
        fine_width: int = 24,
        blocks: Sequence[int] = (2, 1, 2),
        style_width: int = 256,
        token_width: int = 128,
        token_grid: int = 8,
        heads: int = 4,
        face_widths: Sequence[int] = (24, 48, 80, 96),
    ) -> None:
        super().__init__()
        check_counts(
            widths=widths,
            fine_width=fine_width,
            blocks=blocks,
            style_width=style_width,
            token_width=token_width,
            token_grid=token_grid,
            heads=heads,
            face_widths=face_widths,
        )
        if token_width % heads:
            raise ValueError(f"token_width is {token_width}; give a multiple of heads, {heads}")
        head, low, mid, high = widths
        self.encoder = StyleEncoder(
            (fine_width, low, mid, high), style_width, token_width, token_grid
        )
        # Beside the style, what is asked for: the strength, and which level.
        self.style1 = nn.Linear(self.encoder.vector_width + 2, style_width)
        self.style2 = nn.Linear(style_width, style_width)
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
        self.spread = conv3x3(low, Head.SPREAD)
        self.tint = conv3x3(low, 2)
        self.underdrawing = conv3x3(low, 1)
        self.head = Head(fine_width, head, style_width)
        self.faces = FaceMap(face_widths).requires_grad_(False)  # learned apart: training/faces.py
        with torch.no_grad():
            self.tint.weight.mul_(0.1)
            self.underdrawing.weight.mul_(0.02)

    def encode(self, style: Tensor) -> Condition:
        """style (B, 3, h, w) in [0, 1], h and w >= 64, any size -> its condition."""
        return self.encoder(style)

    def encoder_fingerprint(self) -> str:
        """16 hexadecimal digits naming the encoder's weights; a `StyleCode` remembers which encoder made it."""
        return self.encoder.fingerprint()

    def forward(
        self,
        content: Tensor,
        condition: Condition,
        strength: Tensor,
        statistics: InstanceStatistics | None = None,
        where: Tensor | None = None,
        spared: Tensor | None = None,
        outlines: Tensor | None = None,
    ) -> Tensor:
        """Paint `content` in the style of `condition`.

        Args:
            content: (B, 3, H, W) float in [0, 1], H and W multiples of `size_multiple` and >= `minimum_size`.
            condition, strength, where, spared, outlines: as of `Instructions`. Strength 0 returns the content exactly.
            statistics: a fresh object is filled with the instance statistics of this pass; one built from those of an
                earlier pass replays them (tiles, films).

        Returns:
            (B, 3, H, W) float in [0, 1].

        Raises:
            ValueError: H or W is no multiple of `size_multiple` or below `minimum_size` (not checked in an export).
        """
        if not torch.compiler.is_compiling():
            self._check_size(*content.shape[2:])
        statistics = statistics or InstanceStatistics()
        how = Instructions(condition, strength, where, spared, outlines)
        origin = None if self.training else self.origin(content)
        change = self.paint_coarse(content, how, statistics, origin).change
        return self.paint_fine(content, change, how, statistics, origin)

    def paint_coarse(
        self,
        content: Tensor,
        how: Instructions,
        statistics: InstanceStatistics | None = None,
        origin: Tensor | None = None,
    ) -> BlockedIn:
        """Block in: paint the content at half its resolution.

        Args:
            content, statistics: as of a call.
            origin: (B, 2), where the grid of the coarse cells begins; None is `origin(content)`, in training at 0: crops
                begin anywhere.
        """
        if origin is None and not self.training:
            origin = self.origin(content)
        smaller = reduced(at_origin(content, origin))  # (B, 3, H/2, W/2)
        how = how.moved(content, origin)
        painted = self.paint_level(without_faint(smaller), how, statistics, coarse=True).picture
        picture = unstandardise(painted)
        return BlockedIn(picture, change_of(smaller, picture, origin))

    def paint_fine(
        self,
        content: Tensor,
        change: Tensor,
        how: Instructions,
        statistics: InstanceStatistics | None = None,
        origin: Tensor | None = None,
    ) -> Tensor:
        """Paint over what was blocked in, and lay that over the content as thickly as the strength says: (B, 3, H, W) in [0, 1].

        Args:
            content, statistics, origin: as of `paint_coarse`.
            change: (B, 3, H, W), that of `paint_coarse`.
        """
        paint = how.asked(content, self.training).paint
        if graph.wanted() and origin is not None:
            added = self._added(content, change, how, statistics, origin)
            return graph.clipped(content + paint * added)
        painted = self.paint_over(content, change, how, statistics, origin)
        return toward(lambda: content, painted, paint).clamp_(0, 1)

    def paint_over(
        self,
        content: Tensor,
        change: Tensor,
        how: Instructions,
        statistics: InstanceStatistics | None = None,
        origin: Tensor | None = None,
    ) -> Tensor:
        """As `paint_fine`, at full thickness: (B, 3, H, W) about in [0, 1], of the content's type."""
        if origin is None and not self.training:
            origin = self.origin(content)
        if origin is None:
            seen = (content + change).to(content.dtype)
            return self.paint_moved(content, seen, how, statistics)
        return add(content, self._added(content, change, how, statistics, origin))

    def _added(
        self,
        content: Tensor,
        change: Tensor,
        how: Instructions,
        statistics: InstanceStatistics | None,
        origin: Tensor,
    ) -> Tensor:
        """What `paint_over` adds to the content."""
        origin = fine_origin(origin)
        moved = at_origin(content, origin)
        seen = (moved + at_origin(change, origin)).to(content.dtype)
        painted = self.paint_moved(moved, seen, how.moved(content, origin), statistics)
        return moved_back(painted - moved, origin)

    def paint_moved(
        self,
        content: Tensor,
        seen: Tensor,
        how: Instructions,
        statistics: InstanceStatistics | None = None,
    ) -> Tensor:
        """As `paint_over`, of a content whose grid begins at 0; seen: (B, 3, H, W), that with what was blocked in."""
        statistics = statistics or InstanceStatistics()
        painted, shown = self.paint_level(seen, how, statistics, coarse=False)
        # Strokes have added to the contrast: the style's colours once more, now of all that is painted.
        colors = how.condition.vector.split(self.encoder.parts, dim=1)[-1]
        measured = statistics.of("fine.painted", opponent_sums(painted))
        painted = unstandardise(statistics.blend(self.recolor(painted, measured, colors)))
        detail = placed(how.asked(content, self.training).detail, shown)
        if how.spared is not None:
            kept = (1 - SPARED_DRAWN * placed(how.spared, shown)).clamp(min=0)
            detail = 1 - (1 - detail) * kept
        shown = statistics.blend(shown + (1 - shown) * detail)
        return drawn_under(painted, content, shown).to(content.dtype)

    def paint_level(
        self,
        seen: Tensor,
        how: Instructions,
        statistics: InstanceStatistics | None = None,
        *,
        coarse: bool,
    ) -> Painting:
        """One level: what is seen of the picture, (B, 3, H, W) in [0, 1] -> painted."""
        level = "coarse" if coarse else "fine"
        statistics = (statistics or InstanceStatistics()).below(level)
        blend, (vector, tokens) = statistics.blend, how.condition
        _, look_fine, look_low, look_mid, look_high, colors = vector.split(
            self.encoder.parts, dim=1
        )
        style = self._style(how, coarse)  # (B, D)
        asked = how.asked(seen, self.training)
        amount = asked.paint  # (B, 1, 1, 1) or (B, 1, H, W)

        x = standardise(seen)
        small = halve(x.float())  # (B, 3, H/2, W/2)
        seen_colors = statistics.of("colors", opponent_sums_of_half(small))
        contrast = blend(contrast_of(seen_colors))
        x, small = (faded(each, seen_colors, contrast) for each in (x, small))
        plain = blend(self.recolor(halve(small), seen_colors, colors))  # (B, 3, H/4, W/4)
        fine, low, *deeper = self.encoder.trunk(x, 4 if coarse else 2)

        apart = []

        def transferred(name: str, features: Tensor, look: Tensor) -> Tensor:
            moved, distance = self.transfer(features, statistics.of(name, features), look, amount)
            apart.append(blend(distance))
            return blend(moved)

        h = None
        if coarse:
            mid, high = deeper
            h = transferred("high", high, look_high)  # (B, 192, H/16, W/16)
            h = self.attend_high(h, tokens, statistics.below("high"))
            h = _through(self.blocks_high, h, style, statistics.below("high"))
            h = double(self.up2(h))  # (B, 128, H/8, W/8)
            h = add(transferred("mid", mid, look_mid), h)
            h = self.attend_mid(h, tokens, statistics.below("mid"))
            h = _through(self.blocks_mid, h, style, statistics.below("mid"))
            h = double(self.up1(h))  # (B, 48, H/4, W/4)
        low = transferred("low", low, look_low)
        h = low if h is None else add(low, h)
        h = _through(self.blocks_low, h, style, statistics.below("low"))
        if coarse:
            h = without_lattice(h, seen)
        h = reflected(h)  # (B, 48, H/4 + 2, W/4 + 2)
        layers = (self.tint, self.underdrawing)
        tint, underdrawing = (
            graph.convolve_beside(h, layers)
            if graph.wanted()
            else (layer.of_padded(h) for layer in layers)
        )
        tinted = plain + blend(self.color(tint, colors))  # (B, 3, H/4, W/4)
        shown = torch.sigmoid(underdrawing.float())  # (B, 1, H/4, W/4)
        h = activate(self.spread.of_padded(h))  # (B, 16, H/4, W/4)
        measured = statistics.of("fine", fine)
        wanted = Wanted(style, look_fine, colors, amount, seen_colors, measured, apart, contrast)
        spared = how.spared
        if spared is not None:
            returned = blend(asked.detail)
            share = SPARED_COARSE + (1 - SPARED_COARSE) * returned if coarse else SPARED_FINE
            spared = share * placed(spared, x)  # (B, 1, H, W)
        if coarse and how.outlines is not None:
            left = how.outlines[:, None, None, None] * outlined(seen)
            spared = left if spared is None else torch.maximum(spared, left)
        return Painting(self.head(x, plain, tinted, fine, h, wanted, statistics, spared), shown)

    def origin(self, content: Tensor) -> Tensor:
        """Where the grid of the coarse level begins on each content (B, 3, H, W): (B, 2) px.

        See `hfstyle.models.grid`: it lies on the photo, so that strokes stay when that moves.
        """
        origin = Origin(content.shape[2:], self.period)
        origin.add(content)
        return origin.offsets()

    def _style(self, how: Instructions, coarse: bool) -> Tensor:
        """What modulates a level: (B, D)."""
        vector = how.condition.vector
        said = ask(how.strength, taught=self.training).said
        level = torch.full_like(said, 1.0 if coarse else 0.0)
        asked = torch.stack((said, level), dim=1).to(vector.dtype)
        style = torch.cat((vector, asked), dim=1)
        return activate(self.style2(activate(self.style1(style))))

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

    def _save_pretrained(self, save_directory: Path) -> None:
        write_weights(self, save_directory)


def _blocks(count: int, channels: int, style_width: int) -> nn.ModuleList:
    """Modulated blocks; the last of several does not normalise, which would make droplets (Karras et al. 2020)."""
    return nn.ModuleList(
        ModulatedBlock(channels, style_width, normalise=count == 1 or i + 1 < count)
        for i in range(count)
    )


def _through(
    blocks: nn.ModuleList, h: Tensor, style: Tensor, statistics: InstanceStatistics
) -> Tensor:
    for number, block in enumerate(blocks):
        h = block(h, style, statistics.below(str(number)))
    return h
