"""Internal to `hfstyle.pipeline`: one picture in styles that are ready, in one pass or in tiles, as bands of rows.

A picture leaves in bands from top to bottom, so that a large one can go into its file before the rest of it is painted.

B batch · H, W size of the picture · h rows of a band, or height at which the network runs
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from typing import Final, Literal, TypeAlias

import torch
from torch import Tensor

from hfstyle._arguments import check_sides
from hfstyle._arrays import as_float
from hfstyle._composition import Layer, compose, lay_over, recolor_layers, with_contents
from hfstyle._content_memory import ContentMemory
from hfstyle._detail import restore_detail
from hfstyle._feature_regions import MOST_PIXELS, paint_layers
from hfstyle._geometry import crop_back, pad_to_multiple, resize, resize_by_rows, short_side
from hfstyle._pixel_file import Pixels
from hfstyle._progress import Run
from hfstyle.images import Picture
from hfstyle.models.fast import channels_last
from hfstyle.models.generator import StyleGenerator, thickness
from hfstyle.style import StyleCode
from hfstyle.tiling import TileSize, paint_in_tiles, tile_side

__all__ = ["Blend", "Painter"]

Blend: TypeAlias = Literal["features", "pixels"]

_LEAST_RETRY: Final = 128  # side of tiles in px below which a GPU's memory is too small

_log = logging.getLogger(__name__)


class Painter:
    """What `StyleTransferPipeline` does with pictures and codes that are ready. Needs its `generator`."""

    generator: StyleGenerator
    _contents: ContentMemory

    def remember_photos(self, count: int) -> None:
        """Keep what the network's coarsest level sees of the last photos: in other styles they take a little less time.

        For programs in which someone moves a slider. It serves photos painted in one pass on a CPU by torch, 2 megapixels
        in all, in 24 bytes for each pixel. They are found again by their pixels.

        Args:
            count: photos kept at most; 0 keeps none, as pipelines do at first.

        Raises:
            ValueError: `count` is negative.
        """
        if count < 0:
            raise ValueError(f"count is {count}; give a number of photos, 0 for none")
        self._contents = ContentMemory(count)

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.generator.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the generator's weights. The style encoder is always float32."""
        return self.generator.spread.weight.dtype

    @torch.inference_mode()
    def _paint(
        self,
        picture: Picture,
        layers: Sequence[Layer],
        weights: Tensor | None,
        resolution: int | None,
        run: Run,
        blend: Blend,
    ) -> Tensor:
        """(3, H, W) on the CPU, of the picture's size: float32 in [0, 1], or uint8.

        layers: with their shares `weights` (L, H, W) of each pixel; one without weights.
        """
        check_sides(picture.name, *picture.size)
        rgb = picture.rgb if weights is None else with_contents(picture.rgb, layers, weights)
        seen = [True] * len(layers) if weights is None else (weights > 0).flatten(1).any(1).tolist()
        if not any(layer.paints and is_seen for layer, is_seen in zip(layers, seen, strict=True)):
            return rgb
        if weights is None:
            assert layers[0].code is not None
            painted = self._paint_in_one_style(
                rgb[None], layers[0].code, layers[0].strength, resolution, run
            )
        else:
            exact = replace(run, dtype=torch.float32)
            painted = self._paint_layers(rgb, layers, weights, resolution, exact, blend)
        return recolor_layers(layers, weights, painted, rgb)

    def _paint_layers(
        self,
        rgb: Tensor,
        layers: Sequence[Layer],
        weights: Tensor,
        resolution: int | None,
        run: Run,
        blend: Blend,
    ) -> Tensor:
        """rgb (3, H, W) in several styles with shares `weights` (L, H, W) -> (3, H, W) float32 on the CPU."""
        whole = resolution is None or resolution == min(rgb.shape[1:])
        reduced = rgb[None] if whole else resize(rgb[None], resolution or 0)  # (1, 3, h, w)
        height, width = reduced.shape[2:]
        possible = isinstance(self.generator, torch.nn.Module) and (
            self._tile_side(run.tile_size, height, width) is None
            and len(layers) * height * width <= MOST_PIXELS
        )
        if blend == "features" and possible:
            with suppress(torch.OutOfMemoryError), self._autocast():
                seen = as_float(reduced.to(self.device))
                painted = paint_layers(self.generator, seen, layers, weights, self._contents)
                if not whole:
                    painted = _joined(restore_detail(painted, seen, rgb[None], 1.0), rgb.shape[1])[
                        None
                    ]
                return lay_over(layers, weights, rgb, painted[0].cpu())

        def paint(code: StyleCode, strength: float) -> Tensor:
            return self._paint_in_one_style(rgb[None], code, strength, resolution, run)

        return compose(layers, weights, rgb, paint)

    def _paint_in_one_style(
        self, content: Tensor, code: StyleCode, strength: float, resolution: int | None, run: Run
    ) -> Tensor:
        """content (1, 3, H, W) -> (3, H, W) on the CPU."""
        return _joined(self._bands(content, code, strength, resolution, run), content.shape[2])

    def _bands(
        self, content: Pixels, code: StyleCode, strength: float, resolution: int | None, run: Run
    ) -> Iterator[Tensor]:
        """content (1, 3, H, W) -> (3, h, W) on the CPU from top to bottom, of `run`'s type, or float32 if there is but one."""
        height, width = content.shape[2:]
        if resolution is None or resolution == min(height, width):
            for band in self._run(content, code, strength, run):
                yield band.cpu()
            return
        reduced = (
            resize(content, resolution)
            if isinstance(content, Tensor)
            else resize_by_rows(content, short_side(height, width, resolution))
        ).to(self.device)  # (1, 3, h, w)
        low = replace(run, dtype=torch.float32)
        painted = _joined(self._run(reduced, code, strength, low), reduced.shape[2])
        yield from restore_detail(
            painted[None].to(self.device), reduced, content, thickness(strength), run.dtype
        )

    def _run(self, content: Pixels, code: StyleCode, strength: float, run: Run) -> Iterator[Tensor]:
        """content (1, 3, H, W) float32 or uint8 of any size -> (3, h, W), painted, in one pass or in tiles."""
        side = self._tile_side(run.tile_size, *content.shape[2:])
        told = 0  # rows that have left
        while True:
            try:
                bands = (
                    self._run_whole(content, code, strength)
                    if side is None
                    else self._run_tiles(content, code, strength, side, run)
                )
                bottom = 0
                for band in bands:
                    top, bottom = bottom, bottom + band.shape[1]
                    if bottom > told:
                        band, told = band[:, max(0, told - top) :], bottom
                        yield band
                return
            except torch.OutOfMemoryError:  # of a GPU
                smaller = (max(content.shape[2:]) if side is None else side) // 2
                if run.tile_size != "auto" or smaller < _LEAST_RETRY:
                    raise
                side = smaller
            torch.cuda.empty_cache()
            _log.warning("out of GPU memory: trying again with tiles of %d px", side)

    def _run_whole(self, content: Pixels, code: StyleCode, strength: float) -> Iterator[Tensor]:
        """content (1, 3, H, W) -> (3, H, W) float32, on the pipeline's device."""
        pixels = content if isinstance(content, Tensor) else content.whole()
        padded, size = pad_to_multiple(
            as_float(pixels.to(self.device)),
            self.generator.size_multiple,
            self.generator.minimum_size,
        )
        condition = code.to_condition(1, self.device, self.dtype)
        amount = torch.full((1,), strength, device=self.device)
        padded = channels_last(padded)
        with self._autocast():
            seen = self._contents.look(self.generator, padded)
            known = {} if seen is None else {"features": seen}
            painted = self.generator(padded, condition, amount, **known)
        yield crop_back(painted.float(), size)[0]

    def _run_tiles(
        self, content: Pixels, code: StyleCode, strength: float, side: int, run: Run
    ) -> Iterator[Tensor]:
        """content (1, 3, H, W) -> (3, h, W) on the CPU, a band for each row of tiles."""
        condition = code.to_condition(1, self.device, self.dtype)
        amount = torch.full((1,), strength, device=self.device)
        bands = paint_in_tiles(
            self.generator, content, condition, amount, side, run.dtype, run.progress.tiles()
        )
        while True:
            with self._autocast():  # not while the band is away
                band = next(bands, None)
            if band is None:
                return
            yield band

    def _tile_side(self, tile_size: TileSize, height: int, width: int) -> int | None:
        return tile_side(tile_size, height, width)

    def _autocast(self) -> AbstractContextManager[object]:
        """With cast weights, pictures still enter and leave as float32: bfloat16 has fewer levels than 8 bits."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)


def _joined(bands: Iterator[Tensor], height: int) -> Tensor:
    """(3, h, W) each -> (3, H, W), its channels side by side in memory if there are several."""
    whole: Tensor | None = None
    top = 0
    for band in bands:
        if band.shape[1] == height:
            return band
        if whole is None:
            shape = (height, band.shape[2], 3)
            whole = torch.empty(shape, dtype=band.dtype, device=band.device).permute(2, 0, 1)
        whole[:, top : top + band.shape[1]] = band
        top += band.shape[1]
    assert whole is not None
    return whole
