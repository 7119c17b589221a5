"""How near tiles come to one pass at the size at which both fit: `python -m tests.compare_tiles --out FOLDER`.

Paints a mosaic of scikit-image's photos both ways, writes both pictures and their difference (20 times enlarged in
value), and prints the numbers: mean and maximum of the difference, and its maximum beside the borders of tiles.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from hfstyle import StyleTransferPipeline
from hfstyle.examples import EXAMPLE_PHOTOS, example_photo
from hfstyle.images import save_image
from hfstyle.painting.tiles import tile_side

_GAIN = 20


def mosaic(size: int) -> Image.Image:
    """Four photos side by side, `size` square: every quarter has its own statistics."""
    whole = Image.new("RGB", (size, size))
    half = -(-size // 2)
    for number, name in enumerate(list(EXAMPLE_PHOTOS)[:4]):
        part = ImageOps.fit(example_photo(name), (half, half), Image.Resampling.LANCZOS)
        whole.paste(part, (number % 2 * half, number // 2 * half))
    return whole


def near_borders(height: int, width: int, tile: int) -> np.ndarray:
    """(H, W) bool: within 2 px of where one tile ends and another begins."""
    near = np.zeros((height, width), bool)
    for axis, length in enumerate((height, width)):
        count = -(-length // tile)
        step = -(-length // (32 * count)) * 32
        for border in range(step, length, step):
            near.swapaxes(0, axis)[border - 2 : border + 2] = True
    return near


def compare(
    pipe: StyleTransferPipeline, photo: Image.Image, style: str, tile: int
) -> tuple[dict[str, float], dict[str, Image.Image]]:
    """Numbers, in levels of 255, and the pictures."""
    code = pipe.preset(style)
    whole, tiled = (
        pipe(photo, code, processing_resolution="full", tile_size=side, output_type="np").images[0]
        for side in (None, tile)
    )
    difference = np.abs(whole - tiled).mean(-1) * 255  # (H, W)
    seams = near_borders(photo.height, photo.width, tile)
    numbers = {
        "mean": difference.mean(),
        "max": difference.max(),
        "mean_at_seams": difference[seams].mean(),
        "max_at_seams": difference[seams].max(),
        "max_elsewhere": difference[~seams].max(),
    }
    shown = {"whole": whole, "tiled": tiled, "difference": difference[..., None] * _GAIN / 255}
    levels = {
        name: Image.fromarray((np.broadcast_to(x, whole.shape).clip(0, 1) * 255).astype(np.uint8))
        for name, x in shown.items()
    }
    return {name: round(float(value), 3) for name, value in numbers.items()}, levels


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True, help="folder for the pictures")
    parser.add_argument("--size", type=int, default=2048, help="side of the photo in pixels")
    parser.add_argument("--tile-size", type=int, default=tile_side("auto", 1 << 20, 1 << 20))
    parser.add_argument("--style", nargs="+", default=["starry_night_van_gogh"])
    parser.add_argument("--model", help="folder or Hub id (default: the bundled weights)")
    args = parser.parse_args()
    pipe = StyleTransferPipeline.from_pretrained(args.model)
    photo = mosaic(args.size)
    good = True
    for style in args.style:
        numbers, pictures = compare(pipe, photo, style, args.tile_size)
        print(json.dumps({"style": style, "size": args.size, "tile": args.tile_size, **numbers}))
        good = good and numbers["mean"] <= 1
        good = good and numbers["max_at_seams"] <= numbers["max_elsewhere"]
        Path(args.out).mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            save_image(picture, Path(args.out, f"{style}__{name}.png"))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
