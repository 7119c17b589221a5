"""Load COUNT malformed pictures, valid ones mutated, and print what came of them (see test_formats.py).

    python tests/malformed.py FIRST COUNT

File number i is the same in every run. In a process of its own, so that a crash, a hang or want of memory is seen.
"""

from __future__ import annotations

import io
import json
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, features

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hfstyle.images import ImageError, load_image

MAX_PIXELS = 2_000_000


def valid_files() -> list[bytes]:
    """Small pictures in all formats, modes and compressions that Pillow writes here."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:23, :31]
    smooth = np.stack([8 * x, 11 * y, 4 * (x + y)], -1).astype(np.uint8)
    color = Image.fromarray(smooth)
    alpha = color.copy()
    alpha.putalpha(Image.fromarray(random.integers(0, 256, (23, 31), np.uint8)))
    grey, deep = color.convert("L"), Image.fromarray(smooth[..., 0].astype(np.uint16) * 257)
    palette, cmyk, bits = color.convert("P"), color.convert("CMYK"), color.convert("1")
    frames = [Image.fromarray(np.roll(smooth, 5 * k, 1)) for k in range(3)]
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 6, "Berthe"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rich = {"exif": exif, "icc_profile": profile}
    kinds: list[tuple[Image.Image, str, dict[str, object]]] = [
        *((image, "PNG", {}) for image in (color, alpha, grey, deep, palette, bits)),
        (color, "PNG", rich),
        *((image, "JPEG", {}) for image in (color, grey, cmyk)),
        (color, "JPEG", {"progressive": True, "subsampling": 0, **rich}),
        *((image, "TIFF", {}) for image in (color, alpha, grey, deep, bits, cmyk)),
        *(
            (color, "TIFF", {"compression": name})
            for name in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
        ),
        (color, "WEBP", {"quality": 80}),
        (alpha, "WEBP", {"lossless": True, **rich}),
        (frames[0], "WEBP", {"save_all": True, "append_images": frames[1:]}),
        (frames[0], "GIF", {"save_all": True, "append_images": frames[1:]}),
        (frames[0], "PNG", {"save_all": True, "append_images": frames[1:]}),
        *((image, "BMP", {}) for image in (color, grey, palette)),
        *((color, name, {}) for name in ("TGA", "PPM", "ICO")),
    ]
    kinds += [(alpha, "AVIF", rich)] if features.check("avif") else []
    kinds += [(color, "JPEG2000", {})] if features.check("jpg_2000") else []
    files = []
    for image, format_name, options in kinds:
        stream = io.BytesIO()
        image.save(stream, format_name, **options)
        files.append(stream.getvalue())
    try:
        import pillow_heif
    except ModuleNotFoundError:
        return files
    stream = io.BytesIO()
    pillow_heif.from_pillow(color).save(stream)
    return [*files, stream.getvalue()]


def mutated(files: list[bytes], number: int) -> bytes:
    """File `number` of the corpus: a valid one with a few faults of several kinds."""
    random = np.random.default_rng((1, number))
    data = bytearray(files[number % len(files)])
    for _ in range(int(random.integers(1, 4))):
        if not data:
            break
        kind = random.integers(7)
        # Headers are short and matter most.
        place = int(random.integers(min(len(data), 80) if random.random() < 0.6 else len(data)))
        length = int(random.integers(1, 40))
        if kind == 0:
            data[place] = int(random.integers(256))
        elif kind == 1:
            data[place] ^= 1 << int(random.integers(8))
        elif kind == 2:  # numbers at the ends of their range
            end = [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xff\xff"]
            some = end[int(random.integers(4))]
            data[place : place + len(some)] = some
        elif kind == 3:
            del data[place : place + length]
        elif kind == 4:
            data[place:place] = random.bytes(length)
        elif kind == 5:
            data[place:place] = data[place : place + length]
        else:
            del data[max(place, 2) :]
    return bytes(data)


def main(first: int, count: int) -> None:
    warnings.simplefilter("ignore")
    files = valid_files()
    for number, data in enumerate(files):
        load_image(data, name=f"valid file {number}")
    ends: Counter[str] = Counter()
    for number in range(first, first + count):
        data = mutated(files, number)
        try:
            picture = load_image(data, keep_alpha=number % 2 == 0, max_pixels=MAX_PIXELS)
        except ImageError as error:
            ends["error"] += 1
            if len(str(error)) < 20:
                raise RuntimeError(f"file {number}: an error that says nothing") from error
        else:
            ends["picture"] += 1
            assert picture.size[0] * picture.size[1] <= MAX_PIXELS, number
            assert picture.rgb.min() >= 0, number
            assert picture.rgb.max() <= 1, number
    status = Path("/proc/self/status")
    peak = None
    if status.exists():
        lines = status.read_text().splitlines()
        peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    print(json.dumps({**ends, "formats": len(files), "peak": peak}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
