"""Golden pictures of the weights that come with hfstyle: what is painted, and how a painting is compared with it.

    python tests/golden_pictures.py          # how far today's pictures are from the golden ones
    python tests/golden_pictures.py --make   # make them anew, after new weights or a change that is meant

The files in tests/golden/ are pictures of one pass in float32 on a CPU. `test_golden.py` compares every path with them.
Photos are pieces of scikit-image's, reduced by averages of whole blocks, so that no version of a library moves them.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from hfstyle import Region, StyleTransferPipeline
from hfstyle.examples import example_photo

GOLDEN: Final = Path(__file__).resolve().parent / "golden"
_BLOCK: Final = 16  # px, side of the part of a picture that a failure names
_SHOWN: Final = 8  # times, by which a picture of differences enlarges them

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
"""(H, W, 3), a picture of 256 levels."""


@dataclass(frozen=True)
class Piece:
    """A part of an example photo: `height` x `width` px from `top`, `left` on, of the photo reduced by a whole number."""

    name: str
    reduced: int
    top: int
    left: int
    height: int
    width: int
    turned: bool = False  # rows for columns: the photos are broad

    def pixels(self) -> Pixels:
        whole = np.asarray(example_photo(self.name), np.float64)
        if self.turned:
            whole = whole.transpose(1, 0, 2)
        n = self.reduced
        rows, columns = whole.shape[0] // n, whole.shape[1] // n
        blocks = whole[: rows * n, : columns * n].reshape(rows, n, columns, n, 3)
        small = np.floor(blocks.mean((1, 3)) + 0.5).astype(np.uint8)
        piece = small[self.top :, self.left :][: self.height, : self.width]
        assert piece.shape == (self.height, self.width, 3)
        return piece


@dataclass(frozen=True)
class Case:
    """One golden picture.

    style: name of a preset, "random:SEED", several presets with `weights`, or a picture.
    style_size: short side in px at which a style picture is looked at.
    resolution: short side in px at which the network runs; None is the picture's.
    halves: the style of the left half, over the other styles; blended as this says.
    """

    name: str
    photo: Piece
    style: str | tuple[str, ...] | Piece
    strength: float = 1.0
    color: float = 1.0
    weights: tuple[float, ...] | None = None
    style_size: int = 384
    resolution: int | None = None
    left_half: str | None = None
    blend: str = "features"

    @property
    def is_plain(self) -> bool:
        """Whether this is one style over the whole picture, at its own resolution."""
        return self.left_half is None and self.resolution is None

    def python_style(self) -> Any:
        """As a call of the pipeline takes it."""
        if isinstance(self.style, Piece):
            return self.style.pixels()
        return list(self.style) if isinstance(self.style, tuple) else self.style

    def golden(self) -> Pixels:
        """The picture that is right; at strength 0 the photo itself."""
        if self.strength == 0:
            return self.photo.pixels()
        with Image.open(self.file) as image:
            return np.asarray(image.convert("RGB"))

    @property
    def file(self) -> Path:
        return GOLDEN / f"{self.name}.png"


CASES: Final = (
    # Sides that need padding, or none; below the least of the network; more rows than one band of the head.
    Case("portrait", Piece("astronaut", 4, 0, 12, 120, 104), "great_wave_hokusai"),
    Case("aligned", Piece("coffee", 4, 2, 30, 96, 64), "starry_night_van_gogh"),
    Case("small", Piece("astronaut", 8, 2, 4, 41, 57), "roman_mosaic_griffin"),
    Case("tall", Piece("coffee", 1, 40, 170, 522, 37, turned=True), "hiroshi_yoshida"),
    # Strengths: unchanged, thin paint, the photo's detail coming back.
    Case("unchanged", Piece("chelsea", 4, 3, 8, 70, 77), "franz_marc", strength=0.0),
    Case("thin", Piece("chelsea", 3, 6, 15, 86, 123), "starry_night_van_gogh", strength=0.3),
    Case("detail", Piece("astronaut", 5, 0, 10, 99, 83), "gustav_klimt", strength=0.8),
    # Colours: between, and the photo's own.
    Case("tinted", Piece("coffee", 4, 1, 5, 97, 131), "franz_marc", strength=0.8, color=0.4),
    Case("own_colors", Piece("chelsea", 4, 4, 20, 66, 75), "composition_vii_kandinsky", color=0.0),
    # Styles: a picture, the photo itself, a mixture, a draw.
    Case("as_picture", Piece("astronaut", 6, 5, 6, 72, 66), Piece("coffee", 1, 0, 0, 400, 500)),
    Case(
        "in_itself",
        Piece("chelsea", 3, 5, 40, 80, 90),
        Piece("chelsea", 3, 5, 40, 80, 90),
        style_size=80,
    ),
    Case(
        "mixture",
        Piece("coffee", 5, 0, 20, 70, 67),
        ("egon_schiele", "hiroshi_yoshida"),
        weights=(0.3, 0.7),
    ),
    Case("drawn", Piece("astronaut", 7, 0, 0, 68, 65), "random:7"),
    # A smaller resolution, and two styles.
    Case("reduced", Piece("chelsea", 3, 0, 25, 97, 110), "gustav_klimt", resolution=64),
    Case(
        "halves",
        Piece("astronaut", 5, 0, 4, 88, 93),
        "gustav_klimt",
        left_half="great_wave_hokusai",
    ),
    Case(
        "halves_by_pixels",
        Piece("astronaut", 5, 0, 4, 88, 93),
        "gustav_klimt",
        left_half="great_wave_hokusai",
        blend="pixels",
    ),
)


def paint(pipe: StyleTransferPipeline, case: Case, **options: Any) -> Pixels:
    """The case by a call of a pipeline; options as of the call."""
    if case.left_half is not None:
        region = Region("left-half", case.left_half, case.strength, case.color)
        options = {"regions": [region], "blend": case.blend, **options}
    image = pipe(
        case.photo.pixels(),
        case.python_style(),
        case.strength,
        color=case.color,
        style_weights=case.weights,
        style_size=case.style_size,
        processing_resolution=case.resolution,
        **options,
    ).images[0]
    return np.asarray(image)


@dataclass(frozen=True)
class Tolerance:
    """What a path may be off, in levels of 256: mean of the picture, and of its worst block of 16 x 16 px."""

    mean: float
    block: float


@dataclass(frozen=True)
class Distance:
    """How far a picture is from the golden one, in levels of 256.

    mean: of all values. block: mean of the worst block, which begins at row `top`, column `left`. most: the largest.
    """

    mean: float
    block: float
    top: int
    left: int
    most: int

    @classmethod
    def between(cls, found: Pixels, golden: Pixels) -> Distance:
        """Both (H, W, 3). The last blocks end with the picture."""
        off = np.abs(found.astype(np.int16) - golden)
        rows, columns = (
            sorted({*range(0, side - _BLOCK, _BLOCK), side - _BLOCK}) for side in off.shape[:2]
        )
        block, top, left = max(
            (float(off[y : y + _BLOCK, x : x + _BLOCK].mean()), y, x) for y in rows for x in columns
        )
        return cls(float(off.mean()), block, top, left, int(off.max()))

    def __str__(self) -> str:
        return (
            f"mean difference {self.mean:.3f}/255, largest {self.most}/255, worst block rows {self.top} to "
            f"{self.top + _BLOCK}, columns {self.left} to {self.left + _BLOCK}: {self.block:.3f}/255"
        )


def difference(path: str, case: Case, found: Pixels, allowed: Tolerance, folder: Path) -> str:
    """What is wrong with a picture, and where, in a few lines; empty if it is within the tolerance.

    Args:
        path: what painted it.
        folder: where a picture of golden, found and difference side by side is written if it is wrong.
    """
    golden = case.golden()
    if found.shape != golden.shape:
        return f"{path}, {case.name}: the picture has shape {found.shape}, not {golden.shape}"
    distance = Distance.between(found, golden)
    if distance.mean <= allowed.mean and distance.block <= allowed.block:
        return ""
    signed = found.astype(np.float64) - golden
    enlarged = (128 + _SHOWN * signed).clip(0, 255).astype(np.uint8)
    sheet = folder / f"{case.name}.png"
    Image.fromarray(np.concatenate((golden, found, enlarged), 1)).save(sheet)
    shift = ", ".join(f"{value:+.2f}" for value in signed.mean((0, 1)))
    return (
        f"{path}, {case.name}: {distance}\n"
        f"allowed are {allowed.mean}/255, and {allowed.block}/255 in a block; red, green and blue moved by {shift}\n"
        f"golden, found, {_SHOWN} times the difference: {sheet}\n"
        "If the pictures are meant to change, as with new weights: python tests/golden_pictures.py --make"
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--make", action="store_true", help="write tests/golden/ anew")
    make = parser.parse_args().make
    pipe = StyleTransferPipeline.from_pretrained()
    GOLDEN.mkdir(exist_ok=True)
    for case in CASES:
        if case.strength == 0:
            continue
        found = paint(pipe, case)
        told = "new"
        if case.file.is_file() and (golden := case.golden()).shape == found.shape:
            told = str(Distance.between(found, golden))
        print(f"{case.name}: {told}")
        if make:
            Image.fromarray(found).save(case.file, optimize=True)
    if make:
        for file in GOLDEN.glob("*.png"):
            if file not in {case.file for case in CASES if case.strength > 0}:
                file.unlink()


if __name__ == "__main__":
    main()
