"""Large strokes stop at outlines and thin things, as far as one wishes, however a photo is painted."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from hfstyle import StyleTransferPipeline
from hfstyle.examples import example_photo
from hfstyle.film.steady import SteadyPainter
from hfstyle.models.detail import outlined
from hfstyle.regions import Region

STYLE = "starry_night_van_gogh"


@functools.cache
def pipe() -> StyleTransferPipeline:
    return StyleTransferPipeline.from_pretrained()


def masts(height: int = 192, width: int = 256) -> NDArray[np.uint8]:
    """Thin dark lines before a sky on the left, the sky alone on the right."""
    y, x = np.mgrid[:height, :width]
    sky = np.stack([150 + 0.2 * y, 180 + 0.15 * y, 225 - 0.1 * y], -1)
    thin = (x < width // 2) & (x % 24 < 3) & (y > 24)
    return np.where(thin[..., None], 30, sky).astype(np.uint8)


def painted(photo: Any, outlines: float, **options: Any) -> NDArray[np.float32]:
    options = {"processing_resolution": "full", "faces": 0.0} | options
    result = pipe()(photo, STYLE, outlines=outlines, output_type="np", **options)
    return np.asarray(result.images[0])


def test_thin_things_stay_whole_and_the_sky_is_painted_as_before() -> None:
    plain, kept = painted(masts(), 0.0), painted(masts(), 1.0)

    def broken(result: NDArray[np.float32]) -> float:
        """How much a line changes on its way down."""
        return float(result[64:-8, 8:120].std(0).mean())

    assert broken(kept) < 0.8 * broken(plain)
    changed = np.abs(kept - plain).mean(-1)
    assert changed[32:, 168:-8].mean() < 0.25 * changed[32:, 8:120].mean()


def test_more_keeps_more() -> None:
    photo = example_photo("rocket").resize((240, 160))
    plain = painted(photo, 0.0)
    half, whole = (np.abs(painted(photo, n) - plain).mean() for n in (0.5, 1.0))
    assert 0.002 < half < whole


def test_flat_places_have_no_outlines_and_lines_have() -> None:
    flat = torch.full((1, 3, 64, 96), 0.4)
    assert outlined(flat).max() < 1e-6
    lines = torch.from_numpy(masts(128, 128)).permute(2, 0, 1)[None] / 255
    left = outlined(lines)
    assert left.shape == (1, 1, 128, 128)
    assert left[..., 32:, 16:48].min() > 0.6 > 0.01 > left[..., 100:].max()
    assert left.max() <= 1


def test_tiles_paint_the_same() -> None:
    photo = np.tile(masts(), (2, 2, 1))
    whole, tiled = (painted(photo, 1.0, tile_size=side) for side in (None, 160))
    assert np.abs(whole - tiled).mean() * 255 <= 0.5


def test_frames_and_regions_paint_the_same() -> None:
    photo = masts()
    still = np.round(painted(photo, 0.7) * 255)
    frame = SteadyPainter(pipe()).paint(photo, 0, pipe().preset(STYLE), faces=0.0, outlines=0.7)
    assert np.abs(frame - still).max() <= 1
    with_area = painted(photo, 0.7, regions=[Region("left-half", STYLE)])
    assert np.abs(with_area * 255 - still).mean() <= 0.5


@pytest.mark.parametrize("outlines", [-0.1, 1.5, float("nan")])
def test_a_number_out_of_range_is_named(outlines: float) -> None:
    with pytest.raises(ValueError, match=r"outlines is (-0\.1|1\.5|nan)"):
        pipe()(Image.fromarray(masts()), STYLE, outlines=outlines)
