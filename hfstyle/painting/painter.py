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
import torch.nn.functional as F
from torch import Tensor

from hfstyle.images.arrays import as_float
from hfstyle.images.cutout import without_hidden
from hfstyle.images.decode import ImageError
from hfstyle.images.geometry import crop_back, pad_to_multiple, resize, resize_by_rows, short_side
from hfstyle.images.load import Picture
from hfstyle.images.pixel_file import Pixels
from hfstyle.limits import MINIMUM_SIDE, UNTILED_PIXELS, TileSize
from hfstyle.models.detail import ask
from hfstyle.models.devices import own_precision
from hfstyle.models.faces import LOOKED_AT, looked_at
from hfstyle.models.fast import channels_last
from hfstyle.models.network import Network, device_of, is_generator, type_of
from hfstyle.painting.detail import restore_detail
from hfstyle.painting.feature_layers import MOST_PIXELS, paint_layers
from hfstyle.painting.finite import check_finite, named
from hfstyle.painting.layers import Layer, compose, lay_over, recolor_layers, with_contents
from hfstyle.painting.run import Run
from hfstyle.painting.tiles import paint_in_tiles, tile_side
from hfstyle.styles.code import StyleCode

__all__ = ["Blend", "Painter", "check_sides", "seen_of", "share_of"]

Blend: TypeAlias = Literal["features", "pixels"]

_SEEN: Final = 0.02  # of what a place is spared, at least
_LEAST_RETRY: Final = 128  # side of tiles in px below which a GPU's memory is too small

_log = logging.getLogger(__name__)


def seen_of(spared: Tensor) -> Tensor | None:
    """How far places are spared, (1, 1, h, w) in [0, 1]; None if that would be seen nowhere."""
    return spared if bool((spared > _SEEN).any()) else None


def share_of(outlines: float, device: torch.device) -> Tensor | None:
    """The same number for a call of the generator, (1,); None for 0."""
    return torch.full((1,), outlines, device=device) if outlines > 0 else None


class Painter:
    """Paints pictures in codes that are ready.

    Args:
        generator: the networks; its own from now on.
    """

    def __init__(self, generator: Network) -> None:
        self.generator = generator

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return device_of(self.generator)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the generator's weights. The style encoder is always float32."""
        return type_of(self.generator)

    @torch.inference_mode()
    @own_precision()
    def paint(
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
        if picture.alpha is not None:
            rgb = without_hidden(rgb, picture.alpha)
        with named(picture.name):
            if weights is None:
                assert layers[0].code is not None
                painted = self._paint_in_one_style(
                    rgb[None], layers[0].code, layers[0].strength, resolution, run
                )
            else:
                exact = replace(run, dtype=torch.float32)
                painted = self._paint_layers(rgb, layers, weights, resolution, exact, blend)
        return recolor_layers(layers, weights, painted, rgb, picture.alpha)

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
        network = self.generator
        if (
            blend == "features"
            and is_generator(network)
            and self.tile_side(run.tile_size, height, width) is None
            and len(layers) * height * width <= MOST_PIXELS
        ):
            with suppress(torch.OutOfMemoryError):
                seen = as_float(reduced.to(self.device))
                spared = self.spared_padded(seen, run.faces)
                with self.autocast():
                    outlines = share_of(run.outlines, self.device)
                    painted = paint_layers(network, seen, layers, weights, spared, outlines)
                check_finite(painted, self.dtype)
                if not whole:
                    thickest = max(float(ask(x.strength).paint) for x in layers if x.paints)
                    bands = restore_detail(painted, seen, rgb[None], thickest)
                    rows = rgb.shape[1]
                    painted = _joined(run.progress.bands(bands, rows), rows)[None]
                return lay_over(layers, weights, rgb, painted[0].cpu())

        def paint(code: StyleCode, strength: float) -> Tensor:
            return self._paint_in_one_style(rgb[None], code, strength, resolution, run)

        return compose(layers, weights, rgb, paint)

    @torch.no_grad()
    def spared(self, content: Pixels, faces: float) -> Tensor | None:
        """How far each place of a picture is spared, since a face is there: the map, as small as it is found.

        Args:
            content: (1, 3, H, W) float32 in [0, 1], or uint8, on any device or in a file.
            faces: in [0, 1], how much of faces is kept.

        Returns:
            (1, 1, h, w) float32 in [0, 1], on the generator's device; None if no place is spared.
        """
        return None if faces == 0 else seen_of(faces * self.face_map(content))

    def face_map(self, content: Pixels) -> Tensor:
        """Where faces are, as small as they are looked for: (1, 1, h, w) float32 in [0, 1], on the generator's device.

        Args:
            content: as of `spared`.
        """
        size = min(LOOKED_AT, *content.shape[2:])
        small = (
            content.to(self.device)
            if isinstance(content, Tensor)
            else resize_by_rows(content, short_side(content.shape[2], content.shape[3], size)).to(
                self.device
            )
        )
        with self.autocast():
            found: Tensor = self.generator.faces(looked_at(small)).float()
        check_finite(found, self.dtype)
        return found

    def spared_padded(self, content: Pixels, faces: float) -> Tensor | None:
        """The same as a call of the generator takes it: (1, 1, H', W'), of the content as `pad_to_multiple` pads it."""
        spared = self.spared(content, faces)
        return None if spared is None else self.as_padded(spared, content.shape[2:])

    def as_padded(self, spared: Tensor, size: Sequence[int]) -> Tensor:
        """A small map (1, 1, h, w) brought to a content's size H, W, and padded as that."""
        whole = F.interpolate(spared, tuple(size), mode="bilinear")
        return pad_to_multiple(whole, self.generator.size_multiple, self.generator.minimum_size)[0]

    def _paint_in_one_style(
        self, content: Tensor, code: StyleCode, strength: float, resolution: int | None, run: Run
    ) -> Tensor:
        """content (1, 3, H, W) -> (3, H, W) on the CPU."""
        return _joined(self.bands(content, code, strength, resolution, run), content.shape[2])

    def bands(
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
        yield from run.progress.bands(
            restore_detail(
                painted[None].to(self.device),
                reduced,
                content,
                float(ask(strength).paint),
                run.dtype,
            ),
            height,
        )

    def _run(self, content: Pixels, code: StyleCode, strength: float, run: Run) -> Iterator[Tensor]:
        """content (1, 3, H, W) float32 or uint8 of any size -> (3, h, W), painted, in one pass or in tiles."""
        side = self.tile_side(run.tile_size, *content.shape[2:])
        told = 0  # rows that have left
        while True:
            try:
                bands = (
                    self._run_whole(content, code, strength, run)
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

    def _run_whole(
        self, content: Pixels, code: StyleCode, strength: float, run: Run
    ) -> Iterator[Tensor]:
        """content (1, 3, H, W) -> (3, H, W) float32, on the pipeline's device."""
        pixels = content if isinstance(content, Tensor) else content.whole()
        padded, size = pad_to_multiple(
            as_float(pixels.to(self.device)),
            self.generator.size_multiple,
            self.generator.minimum_size,
        )
        condition = code.to_condition(1, self.device, self.dtype)
        amount = torch.full((1,), strength, dtype=torch.float32, device=self.device)
        outlines = share_of(run.outlines, self.device)
        padded = channels_last(padded)
        spared = self.spared_padded(content, run.faces)
        with self.autocast():
            painted = self.generator(padded, condition, amount, spared=spared, outlines=outlines)
        check_finite(painted, self.dtype)
        yield crop_back(painted.float(), size)[0]

    def _run_tiles(
        self, content: Pixels, code: StyleCode, strength: float, side: int, run: Run
    ) -> Iterator[Tensor]:
        """content (1, 3, H, W) -> (3, h, W) on the CPU, a band for each row of tiles."""
        network = self.generator
        assert is_generator(network)  # see `tile_side`
        condition = code.to_condition(1, self.device, self.dtype)
        amount = torch.full((1,), strength, dtype=torch.float32, device=self.device)
        spared = self.spared(content, run.faces)
        bands = paint_in_tiles(
            network,
            content,
            condition,
            amount,
            side,
            run.dtype,
            run.progress.tiles(),
            spared,
            share_of(run.outlines, self.device),
        )
        while True:
            with self.autocast():  # not while the band is away
                band = next(bands, None)
            if band is None:
                return
            yield band

    def tile_side(self, tile_size: TileSize, height: int, width: int) -> int | None:
        """Side of the tiles in which a picture is painted; None for one pass.

        Raises ValueError for graphs, which have no tiles, where these would be needed.
        """
        side = tile_side(tile_size, height, width)
        if side is None or is_generator(self.generator):
            return side
        if tile_size == "auto":
            raise ValueError(
                f"{width} x {height} px are more than the {UNTILED_PIXELS:,} (2048 x 2048) that fit into one pass, and "
                "the graphs have no tiles; give a processing_resolution, or load the model itself with "
                "from_pretrained; tile_size=None takes one pass all the same, if there is the memory for it"
            )
        raise ValueError(
            f"tile_size is {tile_size}: the graphs have no tiles; give tile_size=None and a "
            "processing_resolution, or load the model itself with from_pretrained"
        )

    def autocast(self) -> AbstractContextManager[object]:
        """With cast weights, pictures still enter and leave as float32: bfloat16 has fewer levels than 8 bits."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)


def check_sides(name: str, height: int, width: int) -> None:
    """ImageError for a content picture that is too small."""
    if min(height, width) < MINIMUM_SIDE:
        raise ImageError(
            f"{name} is {width} x {height} px; height and width must be at least "
            f"{MINIMUM_SIDE} px, enlarge it first"
        )


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
