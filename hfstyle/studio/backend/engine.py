"""`Studio`: what the pages do, without the pages."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from PIL import Image
from torch import Tensor

from hfstyle import Region, StyleCode, StyleTransferPipeline, __version__
from hfstyle.explain import Explanation, explain
from hfstyle.images import Picture, load_image, resize, to_pil
from hfstyle.images.arrays import as_float
from hfstyle.images.provenance import put_mark
from hfstyle.painting.recolor import recolor
from hfstyle.studio.backend.drawing import canvas, with_palette
from hfstyle.studio.backend.gpu import is_lent, on_gpu
from hfstyle.studio.backend.jobs import UNKNOWN, mark, mark_layers, marked_from, taken
from hfstyle.studio.backend.memory import Memory
from hfstyle.studio.backend.photos import (
    PAINTED_PIXELS,
    enlarged_side,
    example_paths,
    painting_side,
    size_of,
    with_long_side,
)
from hfstyle.studio.backend.refusals import display_name, one_line, refusal
from hfstyle.studio.backend.results import (
    LOOK_QUALITY,
    PNG,
    SHEETS,
    FileFormat,
    full_name,
    new_file,
    print_resolution,
    result_name,
    slug,
    write_png,
    write_result,
    write_webp,
)
from hfstyle.studio.backend.settings import Settings
from hfstyle.studio.backend.style_names import caption_of, shown_name
from hfstyle.studio.backend.timing import Expected
from hfstyle.studio.backend.uploads import open_picture

_FIRST_PHOTO: Final = "astronaut"  # painted until the visitor has chosen one
_FIRST_STYLES: Final = (
    *("starry_night_van_gogh", "great_wave_hokusai", "composition_vii_kandinsky"),
    *("shipwreck_turner", "woman_with_hat_matisse", "song_landscape", "gustav_klimt"),
)
"""Presets of works that many know; they lead the gallery, after those of the visitor's own."""
_ROUNDED: Final = 1.05  # a side of whole pixels may give a few more than asked for
_MOST_METADATA: Final = 16  # entries of a style file's
_LONGEST_METADATA: Final = 200  # letters of each
_SMALL_QUALITY: Final = 78  # of WebP, for pictures of a few centimetres
_SECONDS: Final = {
    "network": 1.2,
    "read": 0.03,
    "detail": 0.12,
    "png": 0.18,
    "jpeg": 0.02,
    "webp": 0.12,
}
"""For a megapixel of each part of a full-size picture on one core, until this machine has shown its own."""
_PAINTED: Final = ("network", "detail")  # parts that a lent GPU does, where there is one
SWATCH: Final = 256
"""Short side in pixels of thumbnails and of style pictures beside a result."""


def _order(pipe: StyleTransferPipeline) -> list[str]:
    """The presets as the gallery shows them: one's own, which state no work, their mean first; known works; all others."""
    known = [name for name in _FIRST_STYLES if name in pipe.presets]
    own = [n for n in pipe.presets if n not in known and not pipe.preset(n).metadata]
    own.sort(key=lambda name: name != "own_art")
    return [*own, *known, *(name for name in pipe.presets if name not in {*own, *known})]


class Studio:
    """What the pages do, without the pages: every method takes paths of uploads and plain values.

    Args:
        pipe: the model.
        model_name: what to call it in the metadata of pictures.
    """

    def __init__(self, pipe: StyleTransferPipeline, model_name: str = "hfstyle base") -> None:
        self.pipe = pipe
        self.model_name = model_name
        order = _order(pipe)
        self.labels = {name: shown_name(pipe.preset(name), name) for name in order}
        """Title, artist and year of the presets, by name."""
        self.captions = {name: caption_of(pipe.preset(name), name) for name in order}
        """The same in two short lines, for below a thumbnail."""
        self.first_photo = example_paths().get(_FIRST_PHOTO)
        """What the pages show until the visitor has chosen a photo; None without example photos."""
        self.expected = Expected(_PAINTED if is_lent() else (), **_SECONDS)
        """How long full-size pictures take."""
        self._memory = Memory()
        self._alone = threading.Lock()
        mark_layers(pipe.generator)

        def encode(picture: Picture, style_size: int) -> StyleCode:
            return pipe.encode_style(picture, style_size=style_size)

        def paint(
            picture: Picture,
            code: StyleCode | None,
            settings: Settings,
            resolution: int | None,
            regions: Sequence[Region] | None = None,
            output_type: Literal["pil", "pt"] = "pil",
            told: Callable[[int, int], None] = _marked,
        ) -> Any:
            return pipe(
                picture,
                code,
                settings.strength,
                **settings.numbers(),
                regions=regions,
                processing_resolution=resolution,
                output_type=output_type,
                progress_callback=told,
            ).images[0]

        self.encode: Callable[..., StyleCode] = self._one_at_a_time(on_gpu(encode, pipe))
        """Picture, style size -> code."""
        self.paint: Callable[..., Any] = self._one_at_a_time(self._timed(on_gpu(paint, pipe)))
        """Picture, code, settings, resolution (None: the picture's), regions, output type, callback -> painted picture."""
        self.paint_at_home: Callable[..., Any] = self._one_at_a_time(paint)
        """The same without a lent GPU: for what no visitor asked for."""
        self.explain: Callable[..., Explanation] = self._one_at_a_time(partial(explain, pipe))
        """Picture, style -> explanation; without a lent GPU, as it is short and reads the styles from files."""

    def _one_at_a_time(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Whatever asks: what was stopped ends in the background."""

        def waiting(*arguments: Any) -> Any:
            with taken(self._alone):
                return function(*arguments)

        return waiting

    def _timed(self, paint: Callable[..., Any]) -> Callable[..., Any]:
        """`paint`, from whose time is learned how long it takes."""

        def timed(
            picture: Picture,
            code: Any,
            settings: Any,
            side: int | None,
            regions: Any = None,
            *rest: Any,
        ) -> Any:
            started = time.perf_counter()
            painted = paint(picture, code, settings, side, regions, *rest)
            seconds = time.perf_counter() - started
            if regions is not None or settings.strength == 0:
                return painted  # regions take a time of their own
            pixels, network = math.prod(picture.size), _painted_pixels(picture.size, side)
            if pixels <= network:
                self.expected.took("network", network, seconds)
            else:
                seconds -= self.expected.seconds(network=network)
                self.expected.took("detail", pixels, seconds)
            return painted

        return timed

    def turn(self) -> AbstractContextManager[None]:
        """The network, for a frame of a film or of a camera; between two of them, others get their turn."""
        return taken(self._alone)

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
            return self._of_file(style_file)
        return self.pipe.preset(preset) if preset else None

    def _of_file(self, path: str) -> StyleCode:
        """The code of a style file, which is read once, whatever asks for its style, its name and how it was made."""
        key = ("style file", path, _version(path))
        code: StyleCode | None = self._memory.get(key)
        if code is None:
            code = _within_bounds(StyleCode.load(path, self.pipe.generator.encoder_fingerprint()))
            self._memory.put(key, code, 4 * (code.vector.numel() + code.tokens.numel()))
        return code

    def preview(self, content: str, resolution: int, most_pixels: int = PAINTED_PIXELS) -> Picture:
        """The photo as it is shown when it is painted for the screen: reduced to the resolution, never enlarged."""
        key = ("content", content, resolution, most_pixels)
        picture: Picture | None = self._memory.get(key)
        if picture is None:
            full = open_picture(content, "photo")
            side = painting_side(full.size, resolution, most_pixels)
            if side is None or side > min(full.size):
                rgb = as_float(full.rgb)
            else:
                rgb = resize(full.rgb, side).clamp(0, 1)
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

    # Results, each the path of a file

    def painted_preview(
        self,
        content: str,
        code: StyleCode | None,
        style_key: Hashable,
        settings: Settings,
        regions: Sequence[Region] | None = None,
        *,
        lossless: bool = False,
    ) -> str:
        """The reduced photo, painted; the same question again gets the same file.

        Colour is the last step after the network, so another colour repeats only that step.

        Args:
            content: path of the photo.
            code: its style, or that of the background; None leaves the background as it is.
            style_key: what tells this style, and these regions, from others.
            settings: strength, colour, resolution.
            regions: parts with styles of their own.
            lossless: whether as PNG, for a result, instead of WebP, for a look.
        """

        def make() -> Image.Image:
            picture = self.preview(content, settings.resolution)
            if regions is not None or code is None or settings.strength == 0:
                side = enlarged_side(picture.size, settings.resolution)
                painted: Image.Image = self.paint(picture, code, settings, side, regions)
                return painted
            rgb = self._painted(content, code, style_key, settings)
            return self._marked(recolor(rgb, picture.rgb, settings.color), settings)

        key = ("painted", content, style_key, settings, lossless)
        return self._file(key, make, result_name(content, code, settings), lossless=lossless)

    def small_painted_preview(
        self, content: str, code: StyleCode, style_key: Hashable, settings: Settings
    ) -> str:
        """The same, reduced: one of many that are seen side by side."""

        def make() -> Image.Image:
            rgb = self._painted(content, code, style_key, settings)
            rgb = recolor(rgb, self.preview(content, settings.resolution).rgb, settings.color)
            small = resize(rgb, min(SWATCH, *rgb.shape[1:])).clamp(0, 1)
            return self._marked(small, settings)

        key = ("small", content, style_key, settings)
        return self._file(key, make, result_name(content, code, settings), quality=_SMALL_QUALITY)

    def _marked(self, rgb: Tensor, settings: Settings) -> Image.Image:
        """A picture whose file says how it was made, if it was painted at all."""
        image = to_pil(rgb)
        if settings.strength > 0:
            put_mark(image, self.pipe.mark)
        return image

    def remembers(self, content: str, style_key: Hashable, settings: Settings) -> bool:
        """Whether `painted_preview` has the answer already."""
        paths = (
            self._memory.get(("painted", content, style_key, settings, lossless))
            for lossless in (False, True)
        )
        return any(path is not None and os.path.isfile(path) for path in paths)

    def _painted(
        self, content: str, code: StyleCode, style_key: Hashable, settings: Settings
    ) -> Tensor:
        """(3, H, W) float32 in [0, 1]: the reduced photo in the style's own colours."""
        settings = replace(settings, color=1.0)
        key = ("pixels", content, style_key, settings)
        rgb: Tensor | None = self._memory.get(key)
        if rgb is None:
            picture = self.preview(content, settings.resolution)
            side = enlarged_side(picture.size, settings.resolution)
            rgb = self.paint(picture, code, settings, side, None, "pt")
            self._memory.put(key, rgb, 4 * rgb.numel())
        return rgb

    def original_preview(self, content: str, resolution: int) -> str:
        """The reduced photo."""
        key = ("original", content, resolution)
        return self._file(key, lambda: to_pil(self.preview(content, resolution).rgb), "photo")

    def reduced(self, content: str, longest: int) -> str:
        """The photo with a long side of so many pixels at most."""

        def make() -> Image.Image:
            return with_long_side(open_picture(content, "photo").rgb, longest, 16)

        return self._file(("reduced", content, longest), make, "photo")

    def swatch(self, style: str) -> str:
        """A small copy of a style picture, in a format that browsers show."""

        def reduce() -> Image.Image:
            rgb = open_picture(style, "style picture").rgb
            side = min(SWATCH, *rgb.shape[1:])
            return to_pil(resize(rgb, side).clamp(0, 1))

        return self._file(("swatch", style), reduce, "style")

    def drawing(self, code: StyleCode, style_key: Hashable) -> str:
        """Palette and strokes of a style: our own drawing, painted from its code."""

        def make() -> Image.Image:
            painted = self.paint(Picture(canvas(), None, "drawing"), code, Settings(faces=0), None)
            return with_palette(painted)

        key = ("drawing", style_key)
        return self._file(key, make, f"style_{slug(code.name)}", quality=_SMALL_QUALITY)

    def full_size(
        self,
        content: str,
        code: StyleCode | None,
        settings: Settings,
        regions: Sequence[Region] | None = None,
        *,
        ending: FileFormat = PNG,
    ) -> str:
        """The photo painted at its own size, with the settings in the file's name and, as PNG, in its metadata."""
        parts = self._expected_parts(size_of(content) or (0, 0), settings, ending.name, regions)
        read, paint, write = (self.expected.seconds(**part) for part in parts)
        whole = max(0.1, read + paint + write)
        mark(0.0, "Reading the photo", whole)
        started = time.perf_counter()
        picture = open_picture(content, "photo")
        pixels = math.prod(picture.size)
        self.expected.took("read", pixels, time.perf_counter() - started)
        side = painting_side(picture.size, settings.resolution)
        if is_lent():  # in a process of its own, from which nothing is heard until it is done
            mark(UNKNOWN, "painting on a lent GPU", paint + write)
        else:
            mark(read / whole, "Painting at full size", paint + write)
        told = marked_from(read / whole, (read + paint) / whole)
        painted = self.paint(picture, code, settings, side, regions, "pil", told)
        mark((read + paint) / whole, "Writing the file", write)
        started = time.perf_counter()
        told_of_file = marked_from((read + paint) / whole, 1.0)
        settings_told: dict[str, Any] = {
            **asdict(settings),
            "style": code.name if code else None,
            "model": self.model_name,
            "hfstyle": __version__,
        }
        if code is not None:
            settings_told |= {f"style_{key}": value for key, value in code.metadata.items()}
        if regions:
            settings_told["regions"] = [
                {
                    "style": getattr(region.style, "name", None),
                    "strength": region.strength,
                    "color": region.color,
                }
                for region in regions
            ]
        name = full_name(content, code, settings)
        path = write_result(painted, name, settings_told, ending, told_of_file)
        self.expected.took(ending.name, pixels, time.perf_counter() - started)
        return path

    def _expected_parts(
        self,
        size: tuple[int, int],
        settings: Settings,
        format: str,
        regions: Sequence[Region] | None = None,
    ) -> list[dict[str, int]]:
        """Pixels of what a full-size picture takes time for: its reading, its painting, its writing."""
        pixels = math.prod(size)
        layers = 1 + len(regions or ())
        network = _painted_pixels(
            size, painting_side(size, settings.resolution) if pixels else None
        )
        detail = pixels if pixels > network else 0
        return [{"read": pixels}, {"network": layers * network, "detail": detail}, {format: pixels}]

    def expected_seconds(
        self, size: tuple[int, int], settings: Settings, format: str = "png"
    ) -> float:
        """How long a full-size picture of a photo (width, height) takes."""
        parts = self._expected_parts(size, settings, format)
        return sum(self.expected.seconds(**part) for part in parts)

    def look(self, path: str) -> str:
        """A small copy of a result."""
        rgb = load_image(path, max_pixels=None, compact=True).rgb
        small = resize(rgb, min(SWATCH, *rgb.shape[1:])).clamp(0, 1)
        return write_webp(to_pil(small), Path(path).stem)

    def told_full_size(self, content: str, shown: tuple[int, int], settings: Settings) -> str:
        """How large the full-size picture will be, and about how long it takes: for the visitor, before it is asked for.

        Goes on after the size of the picture that is shown, (width, height).
        """
        size = size_of(content)
        if size is None:
            return ""
        width, height = size
        seconds = self.expected_seconds(size, settings)
        about = f"about {max(1, round(seconds))} s"
        if size == shown:
            return f", also at full size, which takes {about}"
        return f". At full size {width} × {height} px, in {about}"

    def told_print(self, content: str | None, sheet: str) -> str:
        """How large the full-size picture prints on a sheet, and how finely."""
        size = size_of(content) if content else None
        if size is None or sheet not in SHEETS:
            return ""
        per_inch = print_resolution(size, sheet)
        width, height = (side / per_inch * 2.54 for side in size)
        coarse = "; from 150 on it looks sharp" if per_inch < 150 else ""
        return f"{width:.1f} × {height:.1f} cm on {sheet}, {per_inch:.0f} pixels per inch{coarse}"

    def save_style(self, code: StyleCode) -> str:
        """A style file."""
        path = new_file(f"{slug(code.name)}.style.safetensors")
        code.save(path)
        return str(path)

    def _file(
        self,
        key: Hashable,
        make: Callable[[], Image.Image],
        name: str,
        *,
        lossless: bool = False,
        quality: int = LOOK_QUALITY,
    ) -> str:
        path: str | None = self._memory.get(key)
        if path is not None:
            try:
                os.utime(path)  # Gradio deletes old files
                return path
            except FileNotFoundError:
                pass
        image = make()
        path = (
            write_png(image, name, {}, fast=True)
            if lossless
            else write_webp(image, name, quality=quality)
        )
        self._memory.put(key, path, 1000)
        return path


def _marked(done: int, total: int) -> None:
    """For a painting that tells nobody how far it is."""
    mark()


def _painted_pixels(size: tuple[int, int], side: int | None) -> int:
    """How many the network paints of a picture; as many as it has where `side` is None."""
    return math.prod(size) if side is None else round(side * side * max(size) / max(1, min(size)))


def _version(path: str) -> tuple[int, int] | None:
    """What changes with the contents of a file; None if there is none."""
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size


def _within_bounds(code: StyleCode) -> StyleCode:
    """The code of a style file with its texts cut to a length that a page has room for."""
    told = list(code.metadata.items())[:_MOST_METADATA]
    metadata = {one_line(key): one_line(value, _LONGEST_METADATA) for key, value in told}
    return replace(code, name=one_line(code.name), metadata=metadata)
