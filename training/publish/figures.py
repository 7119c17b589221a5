"""Every picture of README.md and model_card.md, from given weights.

    python training/publish/figures.py --model hfstyle/pretrained/base --out training/figures

- ``hero.jpg``: a photo, four bundled styles, and a row of strengths;
- ``presets.jpg``: two photos in twelve bundled styles;
- ``scale.jpg``: one photo at 512 px and, enlarged, at 2048 px with both sizes of strokes;
- ``architecture.svg``: the networks, with the numbers of these weights; ``--only architecture`` needs no styles.

Photos are those inside scikit-image's wheel, styles are the model's own style codes (``styles/*.safetensors``).
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from PIL import Image, ImageDraw, ImageFont, ImageOps

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hfstyle.examples import example_photo
from hfstyle.models.discriminator import StyleDiscriminator
from hfstyle.models.hub import default_model_path
from hfstyle.parser import Parser
from hfstyle.pipeline import StyleTransferPipeline
from hfstyle.styles.code import StyleCode
from training.publish.drawing import architecture

__all__ = ["Tile", "choose", "hero", "prepare", "presets_sheet", "save_jpeg", "sheet"]

logger = logging.getLogger(__name__)

HERO_PHOTO: Final = "astronaut"
HERO_STYLES: Final = (
    "starry_night_van_gogh",
    "great_wave_hokusai",
    "woman_with_hat_matisse",
    "composition_vii_kandinsky",
)
STRENGTH_PHOTO: Final = "coffee"
STRENGTH_STYLE: Final = "udnie_picabia"
STRENGTHS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
SCALE_PHOTO: Final = "astronaut"
SCALE_STYLE: Final = "starry_night_van_gogh"
PREVIEW, PRINT = 512, 2048  # px
SHEET_PHOTOS: Final = ("chelsea", "rocket")
SHEET_STYLES: Final = (
    "starry_night_van_gogh",
    "great_wave_hokusai",
    "gustav_klimt",
    "georges_seurat",
    "franz_marc",
    "shipwreck_turner",
    "aubrey_beardsley",
    "lyonel_feininger",
    "mikalojus_ciurlionis",
    "song_landscape",
    "ivan_bilibin",
    "roman_mosaic_griffin",
)

_LARGEST_FILE: Final = 330_000  # bytes
_INK, _GREY, _PAPER = "#1f2328", "#636c76", "#ffffff"


class Tile(NamedTuple):
    """A square of a sheet, with one or two lines below it."""

    picture: Image.Image
    title: str = ""
    detail: str = ""


# --- pictures


def hero(pipe: StyleTransferPipeline) -> Image.Image:
    """One photo in four styles, and another at five strengths.

    Raises:
        ValueError: the model has fewer than four styles.
    """
    photo = example_photo(HERO_PHOTO)
    first = [Tile(photo, "Photo", "the content")]
    for code in choose(pipe.presets, HERO_STYLES):
        first.append(Tile(pipe(photo, code).images[0], *_about(code)))
    (code,) = choose(pipe.presets, (STRENGTH_STYLE,))
    photo = example_photo(STRENGTH_PHOTO)
    painted = pipe([photo] * len(STRENGTHS), code, STRENGTHS).images
    second = [
        Tile(
            picture, f"Strength {strength:g}", ", ".join(_about(code)) if strength else "the photo"
        )
        for strength, picture in zip(STRENGTHS, painted, strict=True)
    ]
    return sheet([first, second], side=312)


def scale(pipe: StyleTransferPipeline) -> Image.Image:
    """A preview and a print of four times its side, whose strokes keep their size in pixels or in the picture."""
    photo = ImageOps.fit(example_photo(SCALE_PHOTO), (PREVIEW, PREVIEW))
    large = photo.resize((PRINT, PRINT), Image.Resampling.LANCZOS)
    (code,) = choose(pipe.presets, (SCALE_STYLE,))
    preview = pipe(photo, code).images[0]
    native = pipe(large, code, processing_resolution="full").images[0]
    scaled = pipe(large, code, processing_resolution=PREVIEW).images[0]
    whole = [
        Tile(photo, "Photo", f"{PREVIEW} px, for the print enlarged to {PRINT} px"),
        Tile(preview, "Preview", f"{PREVIEW} px"),
        Tile(native, f"Print, {PRINT} px", "strokes of the same size in pixels"),
        Tile(scaled, f"Print, processing_resolution={PREVIEW}", "strokes of the same share"),
    ]
    parts = []
    for tile in whole:
        side = tile.picture.width
        part = tile.picture.crop((side * 5 // 16, side // 16, side * 9 // 16, side * 5 // 16))
        parts.append(Tile(part))
    return sheet([parts, whole], side=380)


def presets_sheet(pipe: StyleTransferPipeline, columns: int = 6) -> Image.Image:
    """Two photos in each of twelve styles.

    Raises:
        ValueError: the model has fewer than twelve styles.
    """
    photos = [example_photo(name) for name in SHEET_PHOTOS]
    codes = choose(pipe.presets, SHEET_STYLES)
    rows: list[list[Tile]] = []
    for start in range(0, len(codes), columns):
        part = codes[start : start + columns]
        for photo in photos:
            last = photo is photos[-1]
            rows.append(
                [
                    Tile(pipe(photo, code).images[0], *(_about(code) if last else ()))
                    for code in part
                ]
            )
    return sheet(rows, side=256)


def sheet(rows: Sequence[Sequence[Tile]], side: int, gap: int = 10) -> Image.Image:
    """Rows of squares of `side` px cut from the middle of each picture, captions below, on white."""
    title_font, detail_font = (ImageFont.load_default(size) for size in (17, 14))
    heights = [side + (50 if any(tile.title for tile in row) else 0) + gap for row in rows]
    width = max(len(row) for row in rows) * (side + gap) + gap
    canvas = Image.new("RGB", (width, sum(heights) + gap), _PAPER)
    draw = ImageDraw.Draw(canvas)
    top = gap
    for row, height in zip(rows, heights, strict=True):
        for column, tile in enumerate(row):
            left = gap + column * (side + gap)
            square = ImageOps.fit(
                tile.picture.convert("RGB"), (side, side), Image.Resampling.LANCZOS
            )
            canvas.paste(square, (left, top))
            for text, font, colour, below in (
                (tile.title, title_font, _INK, 5),
                (tile.detail, detail_font, _GREY, 27),
            ):
                draw.text((left, top + side + below), _fitted(text, font, side), colour, font)
        top += height
    return canvas


def choose(presets: Mapping[str, StyleCode], wanted: Sequence[str]) -> list[StyleCode]:
    """The wanted style codes; in place of those that the model lacks, others that it has."""
    names = [name for name in wanted if name in presets]
    names += [name for name in presets if name not in wanted][: len(wanted) - len(names)]
    if len(names) < len(wanted):
        raise ValueError(
            f"the model has {len(presets)} styles, {len(wanted)} are needed: save some with "
            "`hfstyle encode painting.jpg -o MODEL/styles/NAME.safetensors`"
        )
    if missing := [name for name in wanted if name not in presets]:
        logger.warning(
            "the model lacks the styles %s; others take their places", ", ".join(missing)
        )
    return [presets[name] for name in names]


def _about(code: StyleCode) -> tuple[str, str]:
    """Title, and artist with year."""
    artist = code.metadata.get("artist", "")
    parts = (artist if artist != "unknown" else "", code.metadata.get("year", ""))
    return code.metadata.get("title") or code.name, ", ".join(filter(None, parts))


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """The text, shortened at a word until it fits."""
    words = text.split(" ")
    while font.getlength(text) > width and len(words) > 1:
        words.pop()
        text = " ".join(words).rstrip(",.-(") + " …"
    return text


def save_jpeg(picture: Image.Image, path: Path, limit: int = _LARGEST_FILE) -> None:
    """Write with the best quality that keeps the file below `limit` bytes, and without metadata."""
    for quality in range(92, 40, -4):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
        if buffer.tell() <= limit:
            break
    path.write_bytes(buffer.getvalue())


def prepare(
    description: str, kinds: Sequence[str], argv: Sequence[str] | None
) -> tuple[StyleTransferPipeline, Path, Sequence[str]]:
    """The command line of the scripts that make figures -> pipeline, folder, and the kinds asked for."""
    parser = Parser(description=description)
    parser.add_argument("--model", default=str(default_model_path()), help="folder or Hub id")
    parser.add_argument("--out", default=str(Path(__file__).parents[1] / "figures"), help="folder")
    parser.add_argument("--only", choices=kinds, nargs="+", default=kinds, help="default: all")
    args = parser.parse_args(argv)
    logging.basicConfig(format="%(levelname)s: %(message)s")
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    return StyleTransferPipeline.from_pretrained(args.model), folder, args.only


def main(argv: Sequence[str] | None = None) -> None:
    """Write the pictures asked for."""
    kinds = ("hero", "presets", "scale", "architecture")
    pipe, folder, wanted = prepare("Make the pictures of README.md.", kinds, argv)
    if "hero" in wanted:
        save_jpeg(hero(pipe), folder / "hero.jpg")
    if "presets" in wanted:
        save_jpeg(presets_sheet(pipe), folder / "presets.jpg")
    if "scale" in wanted:
        save_jpeg(scale(pipe), folder / "scale.jpg")
    if "architecture" in wanted:
        drawing = architecture(pipe.generator, StyleDiscriminator())
        (folder / "architecture.svg").write_text(drawing, encoding="utf-8")


if __name__ == "__main__":
    main()
