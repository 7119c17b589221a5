"""A smoke test that needs nothing but hfstyle: `.ci/run` runs it with the lowest versions that pyproject.toml allows."""

from __future__ import annotations

import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from hfstyle import StyleCode, StyleTransferPipeline
from hfstyle.cli import main
from hfstyle.images import load_image


def check() -> None:
    """Pictures of every format in and out, painted by the bundled weights, in Python and on the command line."""
    small = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    photo = Image.fromarray(small).resize((96, 72), Image.Resampling.BICUBIC)
    pipe = StyleTransferPipeline.from_pretrained()
    code = pipe.preset(next(iter(pipe.presets)))
    painted = pipe(photo, code).images[0]
    assert painted.size == photo.size
    assert np.abs(np.asarray(painted).astype(float) - np.asarray(photo)).mean() > 5
    assert np.array_equal(np.asarray(pipe(photo, code, 0.0).images[0]), np.asarray(photo))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for suffix in ("png", "jpg", "webp", "tif", "gif", "bmp"):
            file = folder / f"photo.{suffix}"
            photo.save(file)
            assert load_image(file).size == (72, 96)
            out = folder / f"{suffix}.{suffix if suffix in ('jpg', 'webp', 'tif') else 'png'}"
            words = [str(file), "-s", "random:7", "-o", str(out), "-q"]
            assert main(["stylize", *words]) == 0
            assert load_image(out).size == (72, 96)
        Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16) * 257).save(
            folder / "16.png"
        )
        assert torch.allclose(load_image(folder / "16.png").rgb[0, -1, -1], torch.ones(()))
        pipe.paint_file(folder / "photo.png", folder / "rows.png", code, tile_size=64)
        file = folder / "a.style.safetensors"
        pipe.encode_style(photo).save(file)
        assert StyleCode.load(file).encoder == code.encoder
    print(
        *(f"{name} {version(name)}" for name in ("torch", "numpy", "pillow", "safetensors")), "work"
    )


if __name__ == "__main__":
    sys.exit(check())
