"""The README's gallery: a picture for each control over the style, from given weights.

    python training/publish/control_figures.py --model hfstyle/pretrained/base --out training/figures

writes ``control-NAME.jpg`` for colour, path, regions, collection, random, words and explain. Photos are those inside
scikit-image's wheel, styles are the model's own, masks are drawn here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageOps

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hfstyle.examples import example_photo
from hfstyle.explain import explain
from hfstyle.paths import style_path
from hfstyle.pipeline import StyleTransferPipeline
from hfstyle.regions import Region
from hfstyle.styles.code import StyleCode
from hfstyle.styles.collection import cluster_codes
from training.publish.figures import Tile, choose, prepare, save_jpeg, sheet

__all__ = ["CONTROLS"]

SIDE: Final = 240  # px of a square
_PAINTED: Final = 384  # px, short side at which photos are painted

COLORS: Final = (1.0, 0.66, 0.33, 0.0)
COLOR_STYLES: Final = ("great_wave_hokusai", "woman_with_hat_matisse")
PATH_STYLES: Final = ("great_wave_hokusai", "franz_marc", "aubrey_beardsley")
REGION_STYLES: Final = ("starry_night_van_gogh", "roman_mosaic_griffin")
SEEDS: Final = range(12)
TEXTS: Final = (
    "misty chinese mountains in ink",
    "pointillist sunlight",
    "suprematist composition",
    "japanese woodblock print",
    "ancient roman mosaic",
    "tarot card",
)


def color(pipe: StyleTransferPipeline) -> list[list[Tile]]:
    """Two styles, from the style's palette to the photo's."""
    photo = _photo("coffee")
    rows = []
    for code in choose(pipe.presets, COLOR_STYLES):
        painted = pipe([photo] * len(COLORS), code, color=list(COLORS)).images
        tiles = [
            Tile(picture, f"color={share:g}")
            for share, picture in zip(COLORS, painted, strict=True)
        ]
        rows.append([Tile(photo, "Photo"), *tiles])
    return rows


def path(pipe: StyleTransferPipeline) -> list[list[Tile]]:
    """Steps from style to style to style."""
    codes = choose(pipe.presets, PATH_STYLES)
    steps = style_path(codes, 5 * (len(codes) - 1) + 1)
    photo = _photo("chelsea")
    tiles = [Tile(pipe(photo, code).images[0]) for code in steps]
    for index, code in enumerate(codes):
        tiles[5 * index] = tiles[5 * index]._replace(title=_title(code))
    return [tiles[:6], tiles[5:]]


def regions(pipe: StyleTransferPipeline) -> list[list[Tile]]:
    """A mask, one style and two, composed in features and in pixels, and a region with another photo."""
    photo = ImageOps.fit(_photo("astronaut"), (_PAINTED, _PAINTED))
    mask = Image.new("L", photo.size)
    ImageDraw.Draw(mask).ellipse((110, -40, 290, 200), fill=255)
    inner, outer = choose(pipe.presets, REGION_STYLES)
    region = [Region(mask, inner, feather=0.05)]
    other = [Region(ImageOps.invert(mask), inner, feather=0.05, content=example_photo("rocket"))]
    return [
        [
            Tile(photo, "Photo"),
            Tile(mask, "Mask"),
            Tile(pipe(photo, outer, regions=region).images[0], "Two styles", "in features"),
            Tile(
                pipe(photo, outer, regions=region, blend="pixels").images[0],
                "Two styles",
                'blend="pixels"',
            ),
            Tile(
                pipe(photo, None, regions=[Region(mask, inner, feather=0.05)]).images[0],
                "One style",
                "the rest stays the photo",
            ),
            Tile(pipe(photo, outer, regions=other).images[0], "Two styles, two photos"),
        ]
    ]


def collection(pipe: StyleTransferPipeline) -> list[list[Tile]]:
    """All bundled styles as four: what `hfstyle encode --clusters 4` shows of a folder."""
    photo = _photo("chelsea")
    groups = cluster_codes(list(pipe.presets.values()), 4)
    mean = StyleCode.mix(list(pipe.presets.values()))
    tiles = [Tile(pipe(photo, mean).images[0], "Mean", f"of {len(pipe.presets)} styles")]
    for number, (code, members) in enumerate(groups, start=1):
        tiles.append(
            Tile(
                pipe(photo, code).images[0],
                f"Cluster {number}",
                f"{len(members)} style{'s' if len(members) > 1 else ''}",
            )
        )
    return [tiles]


def random(pipe: StyleTransferPipeline) -> list[list[Tile]]:
    """The first twelve seeds, none left out."""
    photo = _photo("astronaut")
    tiles = [Tile(pipe(photo, pipe.sample_style(s)).images[0], f"random:{s}") for s in SEEDS]
    return [tiles[:6], tiles[6:]]


def words(pipe: StyleTransferPipeline) -> list[list[Tile]]:
    """Styles by six texts, and what was found for them."""
    photo = _photo("coffee")
    tiles = []
    for text in TEXTS:
        code = pipe.style_of_words(text, encoder="letters")
        tiles.append(Tile(pipe(photo, code).images[0], text, code.metadata["found"]))
    return [tiles]


def explanation(pipe: StyleTransferPipeline) -> Image.Image:
    """Where a photo looked in a style that is a picture: another photo, as the bundled styles have none."""
    found = explain(pipe, _photo("astronaut"), _photo("chelsea"))
    picture = found.picture.convert("RGB")
    picture.thumbnail((6 * SIDE, 6 * SIDE), Image.Resampling.LANCZOS)
    return picture


CONTROLS: Final[Mapping[str, Callable[[StyleTransferPipeline], list[list[Tile]]]]] = {
    "color": color,
    "path": path,
    "regions": regions,
    "collection": collection,
    "random": random,
    "words": words,
}


def _photo(name: str) -> Image.Image:
    photo = example_photo(name)
    photo.thumbnail((2 * _PAINTED, _PAINTED), Image.Resampling.LANCZOS)
    return photo


def _title(code: StyleCode) -> str:
    return code.metadata.get("title") or code.name


def main(argv: Sequence[str] | None = None) -> None:
    """Write the pictures asked for."""
    kinds = (*CONTROLS, "explain")
    pipe, folder, wanted = prepare("Make the pictures of the README's gallery.", kinds, argv)
    for kind in wanted:
        picture = explanation(pipe) if kind == "explain" else sheet(CONTROLS[kind](pipe), SIDE)
        save_jpeg(picture, folder / f"control-{kind}.jpg", 205_000)


if __name__ == "__main__":
    main()
