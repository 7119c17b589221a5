"""Masks as programs write them: read as they are meant, or refused."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hfstyle.images import ImageError
from hfstyle.images.load import ImageInput
from hfstyle.regions import Region, region_weights

SIZE = (24, 32)
LEFT = np.zeros(SIZE, np.uint8)
LEFT[:, :16] = 1


def inside(mask: ImageInput) -> np.ndarray:
    return region_weights([Region(mask, None, feather=0)], SIZE)[1].numpy()


def rgba(color: tuple[int, int, int], under: tuple[int, int, int] = (0, 0, 0)) -> Image.Image:
    rgb = np.where(LEFT[..., None] > 0, color, under)
    return Image.fromarray(np.dstack([rgb, LEFT * 255]).astype(np.uint8))


def palette(*colors: tuple[int, int, int]) -> Image.Image:
    image = Image.frombytes("P", SIZE[::-1], LEFT.tobytes())
    image.putpalette([level for color in colors for level in color])
    return image


def cut_out() -> Image.Image:
    rgb = np.random.default_rng(0).integers(0, 256, (*SIZE, 3))
    return Image.fromarray(np.dstack([rgb, LEFT * 255]).astype(np.uint8))


MASKS: dict[str, Any] = {
    "uint8 of 0 and 1": LEFT,
    "uint8 of 0 and 255": LEFT * 255,
    "bool": LEFT > 0,
    "float": LEFT.astype(np.float32),
    "uint16 of 0 and 1": LEFT.astype(np.uint16),
    "uint16": LEFT.astype(np.uint16) * 65535,
    "three channels of 0 and 1": np.repeat(LEFT[..., None], 3, 2),
    "tensor of 0 and 1": torch.from_numpy(LEFT),
    "tensor of uint16": torch.from_numpy(LEFT.astype(np.uint16)),
    "tensor of bool": torch.from_numpy(LEFT > 0)[None],
    "L of 0 and 1": Image.fromarray(LEFT),
    "1": Image.fromarray(LEFT * 255).convert("1"),
    "I of 0 and 1": Image.fromarray(LEFT.astype(np.int32)),
    "I of 0 and 65535": Image.fromarray(LEFT.astype(np.int32) * 65535),
    "I;16 of 0 and 1": Image.fromarray(LEFT.astype(np.uint16)),
    "F": Image.fromarray(LEFT.astype(np.float32)),
    "CMYK": Image.merge("CMYK", [Image.new("L", SIZE[::-1])] * 3 + [Image.fromarray(255 - LEFT * 255)]),
    "RGB": Image.fromarray(LEFT * 255).convert("RGB"),
    "LA": Image.merge("LA", [Image.fromarray(LEFT * 255), Image.new("L", SIZE[::-1], 255)]),
    "LA, shape in alpha": Image.merge("LA", [Image.new("L", SIZE[::-1], 0), Image.fromarray(LEFT * 255)]),
    "black on transparent": rgba((0, 0, 0)),
    "white on transparent": rgba((255, 255, 255)),
    "white on transparent white": rgba((255, 255, 255), (255, 255, 255)),
    "red on transparent": rgba((255, 0, 0)),
    "alpha of 0 and 1": Image.fromarray(np.dstack([0 * LEFT] * 3 + [LEFT])),
    "opaque, of 0 and 1": np.dstack([LEFT] * 3 + [0 * LEFT + 255]),
    "uint16 of 12 bits": LEFT.astype(np.uint16) * 4095,
    "a cut-out": cut_out(),
    "palette of grey": palette((0, 0, 0), (255, 255, 255)),
    "palette of numbers": palette((0, 0, 0), (1, 1, 1)),
    "palette of a label": palette((0, 0, 0), (128, 0, 0)),
    "red on black": palette((0, 0, 0), (255, 0, 0)).convert("RGB"),
}  # fmt: skip


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_is_read_as_it_is_meant(name: str, tmp_path: Path) -> None:
    mask = MASKS[name]
    np.testing.assert_allclose(inside(mask), LEFT, atol=1e-3)
    if isinstance(mask, Image.Image):
        for suffix in (".png", ".tif"):
            if mask.mode in ("F", "CMYK") and suffix == ".png":
                continue
            mask.save(tmp_path / f"mask{suffix}")
            np.testing.assert_allclose(inside(tmp_path / f"mask{suffix}"), LEFT, atol=1e-3)


def test_a_file_of_16_bits_with_a_sign(tmp_path: Path) -> None:
    for white in (1, 255, 32767):
        values = LEFT.astype("<i2") * white
        stream = io.BytesIO()
        Image.fromarray(values.view(np.uint16)).save(stream, "TIFF", tiffinfo={339: 2})
        (tmp_path / "mask.tif").write_bytes(stream.getvalue())
        np.testing.assert_allclose(inside(tmp_path / "mask.tif"), LEFT, atol=1e-3)


def test_black_and_white_with_transparency_around_is_black_and_white() -> None:
    picture = np.zeros((*SIZE, 4), np.uint8)
    picture[:, :16] = 255
    picture[:, 16:24] = (0, 0, 0, 255)
    np.testing.assert_allclose(inside(Image.fromarray(picture)), LEFT, atol=1e-3)


def test_faint_masks_that_are_meant_so_stay_faint() -> None:
    np.testing.assert_allclose(inside(LEFT.astype(np.float32) * 0.03), LEFT * 0.03, atol=1e-4)
    np.testing.assert_allclose(inside(LEFT * np.uint8(64)), LEFT * 64 / 255, atol=1e-4)
    assert not inside(LEFT * np.uint8(0)).any()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_numbered_parts_are_no_mask(kind: Any, tmp_path: Path) -> None:
    numbers = (np.arange(SIZE[1]) // 8).astype(kind)[None].repeat(SIZE[0], 0)
    Image.fromarray(numbers).save(tmp_path / "parts.png")
    for mask in (numbers, tmp_path / "parts.png"):
        with pytest.raises(ImageError, match=r"mask of regions\[0\].*from 0 to 3.*numbers == 3"):
            inside(mask)
    with pytest.raises(ImageError, match="int32"):
        inside(numbers.astype(np.int32))
