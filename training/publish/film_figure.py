"""The moving picture of hfstyle/guides/video.md, from given weights.

    python training/publish/film_figure.py --out training/figures

writes ``film.webp``: a slow zoom and pan over a photo, painted frame by frame and with what keeps frames alike. The photo is
inside scikit-image's wheel. Needs the extra `video`.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hfstyle.examples import example_photo
from hfstyle.film import Layers, SteadyPainter
from hfstyle.parser import Parser
from hfstyle.pipeline import StyleTransferPipeline

__all__ = ["main", "views"]

logger = logging.getLogger(__name__)

PHOTO: Final = "coffee"
STYLE: Final = "starry_night_van_gogh"
SIZE: Final = (540, 360)  # px, at which frames are painted
SHOWN: Final = (180, 120)  # px, of a painted frame in the picture
RATE: Final = 25  # frames/s
_GAP: Final = 8  # px
_LARGEST_FILE: Final = 100_000  # bytes


def views(count: int) -> list[Image.Image]:
    """The frames of the guide's film."""
    photo = example_photo(PHOTO)
    frames = []
    for i in range(count):
        left, top, width = 10 + 2.4 * i, 8 + 1.2 * i, SIZE[0] - 3 * i
        box = (left, top, left + width, top + width * 2 / 3)
        frames.append(photo.resize(SIZE, box=box))
    return frames


def painted(
    pipe: StyleTransferPipeline, frames: Sequence[Image.Image], layers: Layers
) -> list[NDArray[np.uint8]]:
    painter = SteadyPainter(pipe, layers=layers)
    code = pipe.encode_style(STYLE)
    return [
        painter.paint(np.array(frame), float(Fraction(i, RATE)), code)
        for i, frame in enumerate(frames)
    ]


def animated(columns: Sequence[Sequence[NDArray[np.uint8]]], limit: int = _LARGEST_FILE) -> bytes:
    """Frames side by side, forth and back, as the best WebP that fits.

    Raises ValueError if none does.
    """
    width, height = SHOWN
    rows = []
    for frames in zip(*columns, strict=True):
        row = Image.new("RGB", (len(frames) * (width + _GAP) - _GAP, height), "white")
        for i, rgb in enumerate(frames):
            shown = Image.fromarray(rgb).resize(SHOWN, Image.Resampling.LANCZOS)
            row.paste(shown, (i * (width + _GAP), 0))
        rows.append(row)
    rows += rows[-2:0:-1]
    for quality in range(80, 9, -5):
        stream = io.BytesIO()
        rows[0].save(
            stream,
            "WEBP",
            save_all=True,
            append_images=rows[1:],
            duration=1000 // RATE,
            loop=0,
            quality=quality,
            method=6,
        )
        if stream.tell() <= limit:
            logger.info("quality %d", quality)
            return stream.getvalue()
    raise ValueError(f"no picture of at most {limit} bytes; show fewer frames")


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", help="folder or Hub id; default: the bundled weights")
    parser.add_argument(
        "--out", type=Path, default=Path("training/figures"), help="folder of the pictures"
    )
    parser.add_argument("--frames", type=int, default=8, help="of the film (default: 8)")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    pipe = StyleTransferPipeline.from_pretrained(args.model)
    frames = views(args.frames)
    columns = [painted(pipe, frames, layers) for layers in (Layers(False, False, False), Layers())]
    target = args.out / "film.webp"
    target.write_bytes(animated(columns))
    logger.info("%s: %d bytes", target, target.stat().st_size)


if __name__ == "__main__":
    main()
