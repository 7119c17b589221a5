"""`Studio`: what the pages do, without the pages."""

from __future__ import annotations

import logging
import math
import os
import textwrap
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from PIL import Image
from torch import Tensor

from hfstyle import Region, StyleCode, StyleTransferPipeline, __version__
from hfstyle._arrays import as_float
from hfstyle._recolor import recolor
from hfstyle.examples import EXAMPLE_PHOTOS, example_photo_path
from hfstyle.explain import Explanation, explain
from hfstyle.images import Picture, resize, to_pil
from hfstyle.studio.gpu import on_gpu
from hfstyle.studio.jobs import mark
from hfstyle.studio.memory import Memory
from hfstyle.studio.refusals import display_name, refusal
from hfstyle.studio.results import full_name, new_file, result_name, slug, write_png
from hfstyle.studio.settings import Settings
from hfstyle.studio.uploads import open_picture

_log = logging.getLogger(__name__)

_FIRST_PHOTO: Final = "astronaut"  # painted until the visitor has chosen one
_FIRST_STYLES: Final = (
    *("starry_night_van_gogh", "great_wave_hokusai", "composition_vii_kandinsky"),
    *("shipwreck_turner", "woman_with_hat_matisse", "song_landscape", "gustav_klimt"),
)
"""Presets of works that many know; they lead the gallery."""
_PAINTED_PIXELS: Final = 2_500_000  # at which the network runs at most: panoramas have a long side
_ROUNDED: Final = 1.05  # a side of whole pixels may give a few more than asked for
_PHOTOS_KEPT: Final = 4  # of which the network need not look again
_LONGEST_TITLE: Final = 32  # letters, below a thumbnail
SWATCH: Final = 256
"""Short side in pixels of thumbnails and of style pictures beside a result."""


class Studio:
    """What the pages do, without the pages: every method takes paths of uploads and plain values.

    Args:
        pipe: the model.
        model_name: what to call it in the metadata of pictures.
    """

    def __init__(self, pipe: StyleTransferPipeline, model_name: str = "hfstyle base") -> None:
        self.pipe = pipe
        self.model_name = model_name
        known = [name for name in _FIRST_STYLES if name in pipe.presets]
        order = [*known, *(name for name in pipe.presets if name not in known)]
        self.labels = {name: preset_label(name, pipe.preset(name)) for name in order}
        """Title, artist and year of the presets, by name."""
        self.captions = {name: preset_caption(name, pipe.preset(name)) for name in order}
        """The same in two short lines, for below a thumbnail."""
        self.first_photo = example_paths().get(_FIRST_PHOTO)
        """What the pages show until the visitor has chosen a photo; None without example photos."""
        self._memory = Memory()
        pipe.remember_photos(_PHOTOS_KEPT)  # while visitors move sliders
        self._alone = threading.Lock()

        def encode(picture: Picture, style_size: int) -> StyleCode:
            return pipe.encode_style(picture, style_size=style_size)

        def paint(
            picture: Picture,
            code: StyleCode | None,
            settings: Settings,
            resolution: int | None,
            regions: Sequence[Region] | None = None,
            output_type: Literal["pil", "pt"] = "pil",
        ) -> Any:
            return pipe(
                picture,
                code,
                settings.strength,
                color=settings.color,
                regions=regions,
                processing_resolution=resolution,
                output_type=output_type,
                progress_callback=lambda done, total: mark(),
            ).images[0]

        self.encode: Callable[..., StyleCode] = self._one_at_a_time(on_gpu(encode, pipe))
        """Picture, style size -> code."""
        self.paint: Callable[..., Any] = self._one_at_a_time(on_gpu(paint, pipe))
        """Picture, code, settings, resolution (None: the picture's), regions, output type -> painted picture."""
        self.paint_at_home: Callable[..., Any] = self._one_at_a_time(paint)
        """The same without a lent GPU: for what no visitor asked for."""
        self.explain: Callable[..., Explanation] = self._one_at_a_time(partial(explain, pipe))
        """Picture, style -> explanation; without a lent GPU, as it is short and reads the styles from files."""

    def _one_at_a_time(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Whatever asks: what was stopped ends in the background."""

        def waiting(*arguments: Any) -> Any:
            with self._alone:
                mark()
                return function(*arguments)

        return waiting

    def first_styles(self, count: int) -> list[str]:
        """Presets with which the pages begin."""
        return list(self.labels)[:count]

    # Inputs

    def style(
        self,
        style: str | None,
        style_file: str | None,
        preset: str | None,
        style_size: int,
    ) -> StyleCode | None:
        """The code of a style picture, else of a style file, else of a preset, else None."""
        if style:
            key = ("code", style, style_size)
            code: StyleCode | None = self._memory.get(key)
            if code is None:
                name = display_name(Path(style).stem)
                code = self.encode(open_picture(style, "style picture"), style_size)
                code = StyleCode(code.vector, code.tokens, code.encoder, name)
                self._memory.put(key, code, 4 * (code.vector.numel() + code.tokens.numel()))
            return code
        if style_file:
            if not style_file.endswith(".safetensors"):
                raise refusal("A style file is named *.safetensors; this page can save one.")
            return StyleCode.load(style_file, self.pipe.generator.encoder_fingerprint())
        return self.pipe.preset(preset) if preset else None

    def preview(self, content: str, resolution: int, most_pixels: int = _PAINTED_PIXELS) -> Picture:
        """The photo as it is painted for the screen: reduced to the resolution, never enlarged."""
        key = ("content", content, resolution, most_pixels)
        picture: Picture | None = self._memory.get(key)
        if picture is None:
            full = open_picture(content, "photo")
            side = painting_side(full.size, resolution, most_pixels)
            rgb = as_float(full.rgb) if side is None else resize(full.rgb, side).clamp(0, 1)
            picture = Picture(rgb, None, full.name)
            self._memory.put(key, picture, 4 * rgb.numel())
        return picture

    def small_preview(self, content: str, resolution: int, most_pixels: int) -> Picture:
        """The same of few pixels, for what takes much of each.

        Raises:
            gr.Error: so long and narrow a photo that it has more of them at the least side.
        """
        picture = self.preview(content, resolution, most_pixels)
        if math.prod(picture.size) > _ROUNDED * most_pixels:
            height, width = picture.size
            raise refusal(
                f"The photo {display_name(content)} is too long and narrow for this; its sides are as "
                f"1 to {max(height, width) / min(height, width):.0f}. Please crop it."
            )
        return picture

    # Results, each the path of a PNG

    def painted_preview(
        self,
        content: str,
        code: StyleCode | None,
        style_key: Hashable,
        settings: Settings,
        regions: Sequence[Region] | None = None,
    ) -> str:
        """The reduced photo, painted; the same question again gets the same file.

        Colour is the last step after the network, so another colour repeats only that step.

        Args:
            content: path of the photo.
            code: its style, or that of the background; None leaves the background as it is.
            style_key: what tells this style, and these regions, from others.
            settings: strength, colour, resolution.
            regions: parts with styles of their own.
        """

        def make() -> Image.Image:
            picture = self.preview(content, settings.resolution)
            if regions is not None or code is None or settings.strength == 0:
                painted: Image.Image = self.paint(picture, code, settings, None, regions)
                return painted
            rgb = self._painted(content, code, style_key, settings)
            return to_pil(recolor(rgb, picture.rgb, settings.color))

        key = ("painted", content, style_key, settings)
        return self._file(key, make, result_name(content, code, settings))

    def remembers(self, content: str, style_key: Hashable, settings: Settings) -> bool:
        """Whether `painted_preview` has the answer already."""
        path = self._memory.get(("painted", content, style_key, settings))
        return path is not None and os.path.isfile(path)

    def _painted(
        self, content: str, code: StyleCode, style_key: Hashable, settings: Settings
    ) -> Tensor:
        """(3, H, W) float32 in [0, 1]: the reduced photo in the style's own colours."""
        settings = replace(settings, color=1.0)
        key = ("pixels", content, style_key, settings)
        rgb: Tensor | None = self._memory.get(key)
        if rgb is None:
            picture = self.preview(content, settings.resolution)
            rgb = self.paint(picture, code, settings, None, None, "pt")
            self._memory.put(key, rgb, 4 * rgb.numel())
        return rgb

    def original_preview(self, content: str, resolution: int) -> str:
        """The reduced photo."""
        key = ("original", content, resolution)
        return self._file(key, lambda: to_pil(self.preview(content, resolution).rgb), "photo")

    def swatch(self, style: str) -> str:
        """A small copy of a style picture, in a format that browsers show."""

        def reduce() -> Image.Image:
            rgb = open_picture(style, "style picture").rgb
            side = min(SWATCH, *rgb.shape[1:])
            return to_pil(resize(rgb, side).clamp(0, 1))

        return self._file(("swatch", style), reduce, "style")

    def full_size(
        self,
        content: str,
        code: StyleCode | None,
        settings: Settings,
        regions: Sequence[Region] | None = None,
    ) -> str:
        """The photo painted at its own size, with the settings in the file's name and metadata."""
        mark(0.1, "Reading the photo")
        picture = open_picture(content, "photo")
        side = painting_side(picture.size, settings.resolution)
        mark(0.3, "Painting at full size")
        painted = self.paint(picture, code, settings, side, regions)
        mark(0.6, "Writing the file")
        told: dict[str, Any] = {
            **asdict(settings),
            "style": code.name if code else None,
            "model": self.model_name,
            "hfstyle": __version__,
        }
        if code is not None:
            told |= {f"style_{key}": value for key, value in code.metadata.items()}
        if regions:
            told["regions"] = [
                {
                    "style": getattr(region.style, "name", None),
                    "strength": region.strength,
                    "color": region.color,
                }
                for region in regions
            ]
        return write_png(painted, full_name(content, code, settings), told)

    def save_style(self, code: StyleCode) -> str:
        """A style file."""
        path = new_file(f"{slug(code.name)}.style.safetensors")
        code.save(path)
        return str(path)

    def _file(self, key: Hashable, make: Callable[[], Image.Image], name: str) -> str:
        path: str | None = self._memory.get(key)
        if path is not None:
            try:
                os.utime(path)  # Gradio deletes old files
                return path
            except FileNotFoundError:
                pass
        path = write_png(make(), name, {}, fast=True)
        self._memory.put(key, path, 1000)
        return path


def example_paths() -> dict[str, str]:
    """The example photos that are installed, by name."""
    try:
        return {name: str(example_photo_path(name)) for name in EXAMPLE_PHOTOS}
    except (ModuleNotFoundError, FileNotFoundError) as error:
        _log.warning("no example photos: %s", error)
        return {}


def painting_side(
    size: tuple[int, int], resolution: int, most_pixels: int = _PAINTED_PIXELS
) -> int | None:
    """Short side at which the network runs, None for the picture's own."""
    short, long = sorted(size)
    side = min(resolution, short, int(math.sqrt(most_pixels * short / long)))
    side = max(side, min(64, short))
    return None if side == short else side


def preset_label(name: str, code: StyleCode) -> str:
    title, by = _title_and_artist(name, code)
    return f"{title} ({by})" if by else title


def preset_caption(name: str, code: StyleCode) -> str:
    title, by = _title_and_artist(name, code)
    return f"{textwrap.shorten(title, _LONGEST_TITLE, placeholder=' …')}\n{by}".strip()


def _title_and_artist(name: str, code: StyleCode) -> tuple[str, str]:
    title = code.metadata.get("title") or code.name or name.replace("_", " ")
    return title, ", ".join(filter(None, (code.metadata.get("artist"), code.metadata.get("year"))))
