"""All pictures of a source on a GPU, from which crops are cut there.

Letters: N pictures · M crops at once · S side of a crop · H, W picture size.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from training.data.decoded import LARGEST, DecodedPictures
from training.data.sources import DataError, PictureSource

__all__ = ["DevicePictures"]

_SAMPLES_AT_ONCE = 2**24  # bilinear samples that are gathered at once, 100 bytes each


class DevicePictures:
    """All pictures of a source, decoded and held on a device as one (pixels, 3) uint8 tensor.

    4,800 pictures of 320 px take about 2 GB. Unreadable ones are logged and counted in `unreadable`.
    Raises DataError if none is readable.
    """

    def __init__(
        self,
        source: PictureSource,
        device: torch.device | str = "cpu",
        *,
        resolution_limit: int | None = LARGEST,
        threads: int = 4,
    ) -> None:
        self.source, self.device = source, torch.device(device)
        store = DecodedPictures(source, resolution_limit, memory_limit=0)
        with ThreadPoolExecutor(max(1, threads)) as pool:
            parts = [
                picture
                for picture in pool.map(store.get, range(len(source)))
                if picture is not None
            ]
        self.unreadable = store.unreadable
        if not parts:
            raise DataError(f"none of the {len(source)} pictures of {source.name} can be decoded.")
        sizes = torch.tensor([part.shape[:2] for part in parts], dtype=torch.int64)
        ends = sizes.prod(dim=1).cumsum(0)
        self.sizes: list[tuple[int, int]] = [part.shape[:2] for part in parts]  # (H, W)
        self.heights, self.widths = sizes.unbind(1)  # (N,) on the CPU, where crops are drawn
        self.starts = ends - sizes.prod(dim=1)
        self.pixels = torch.empty(int(ends[-1]), 3, dtype=torch.uint8, device=self.device)
        for start, part in zip(self.starts.tolist(), parts, strict=True):
            flat = torch.from_numpy(part).reshape(-1, 3)
            self.pixels[start : start + len(flat)] = flat.to(self.device)

    def __len__(self) -> int:
        return len(self.starts)

    def cut(self, indices: Tensor, regions: Tensor, flips: Tensor, size: int) -> Tensor:
        """Square regions of pictures as float crops.

        Args:
            indices: (M,) int64 on the CPU, pictures.
            regions: (M, 3) float on the CPU: top, left, side in px.
            flips: (M,) bool on the CPU.
            size: S.

        Returns:
            (M, 3, S, S) float32 in [0, 255] on the device: bilinear, averaged over as many samples
            per pixel as shrinking needs.
        """
        samples = max(1, min(4, int(np.ceil(float(regions[:, 2].max()) / size - 1e-3))))
        chunk = max(1, _SAMPLES_AT_ONCE // (size * samples) ** 2)
        parts = zip(indices.split(chunk), regions.split(chunk), flips.split(chunk), strict=True)
        return torch.cat([self._sample(*part, size, samples) for part in parts])

    def _sample(
        self, indices: Tensor, regions: Tensor, flips: Tensor, size: int, samples: int
    ) -> Tensor:
        grid = (torch.arange(size * samples, device=self.device) + 0.5) / (size * samples)
        meta = torch.stack([self.starts[indices], self.heights[indices], self.widths[indices]], 1)
        start, height, width = meta.to(self.device)[:, :, None].unbind(1)  # (M, 1) each
        top, left, side = regions.to(self.device, torch.float32)[:, :, None].unbind(1)
        along = torch.where(flips.to(self.device)[:, None], 1 - grid, grid)
        y = (top + side * grid - 0.5).clamp_min(0).minimum(height - 1)  # (M, S·samples)
        x = (left + side * along - 0.5).clamp_min(0).minimum(width - 1)
        y0, x0 = y.floor().long(), x.floor().long()
        y1, x1 = (y0 + 1).minimum(height - 1), (x0 + 1).minimum(width - 1)
        fy, fx = (y - y0)[:, :, None, None], (x - x0)[:, None, :, None]

        def row(rows: Tensor) -> Tensor:
            base = (start + rows * width)[:, :, None]
            a, b = self.pixels[base + x0[:, None]], self.pixels[base + x1[:, None]]
            return torch.lerp(a.float(), b.float(), fx)

        crop = torch.lerp(row(y0), row(y1), fy).permute(0, 3, 1, 2)  # (M, 3, S·samples, S·samples)
        if samples > 1:
            crop = torch.nn.functional.avg_pool2d(crop, samples)
        return crop
