"""The web demo of hfstyle: a Hugging Face Space runs this file as it is, `python app.py` runs it here.

Environment variables:
    HFSTYLE_MODEL       folder with config.json and model.safetensors, or Hub id "user/model"; default: the weights that
                        come with hfstyle.
    GRADIO_MCP_SERVER   "true" also serves the endpoints as tools of the Model Context Protocol (needs `gradio[mcp]`).
    GRADIO_SERVER_NAME, GRADIO_SERVER_PORT, GRADIO_ROOT_PATH ... as Gradio documents them.

A visitor's pictures come by upload only: paths and web addresses are refused, sizes are checked before decoding, and
what is kept between two moves of a slider is kept by the upload's own random or content-derived path, in a memory of
bounded size, so that thousands of visitors need no more than one.
"""

from __future__ import annotations

import functools
import json
import logging
import math
import os
import re
import secrets
import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

try:  # ZeroGPU patches torch, so it comes first; elsewhere the package is absent
    import spaces
except ImportError:
    spaces = None

import gradio as gr
import torch
from gradio.utils import get_upload_folder, is_in_or_equal
from gradio_client.utils import is_http_url_like
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hfstyle import ImageError, StyleCode, StyleCodeError, StyleTransferPipeline, __version__
from hfstyle.examples import EXAMPLE_PHOTOS, example_photo, example_photo_path
from hfstyle.images import Picture, load_image, resize, to_pil
from hfstyle.pipeline import DEFAULT_STYLE_SIZE

_log = logging.getLogger("hfstyle.app")

MAX_UPLOAD_BYTES: Final = 25_000_000
"""Of one file, checked while it arrives and again before it is opened."""
MAX_UPLOAD_PIXELS: Final = 40_000_000
"""Of one picture, checked from its header; a full-size painting of that many needs about 3 GB."""
MAX_STYLE_FILE_BYTES: Final = 1_000_000
MAX_QUEUE: Final = 32
"""Requests that may wait; the next ones are asked to come back later."""

STYLE_SLOTS: Final = 4
STRIP: Final = (0.0, 0.25, 0.5, 0.75, 1.0)

_DEFAULT_RESOLUTION: Final = 512
_FIRST_PHOTO: Final = "astronaut"  # painted until the visitor has chosen one
_FIRST_STYLES: Final = ("starry_night_van_gogh", "great_wave_hokusai")
_PAINTED_PIXELS: Final = 2_500_000  # at which the network runs at most: panoramas have a long side
_MEMORY_BYTES: Final = 256_000_000
_SWATCH: Final = 256  # short side in pixels of thumbnails and of style pictures beside a result
_COMPARED_STYLES: Final = 8
_COMPARED_STRENGTHS: Final = (0.25, 0.5, 0.75, 1.0)
_COMPARED_RESOLUTIONS: Final = (256, 512)
_FILES_LIVE: Final = 3600  # seconds

_CSS: Final = """
.gradio-container { width: 100%; min-width: 0; max-width: 1280px !important; margin: 0 auto !important; }
.presets .caption-label, .results .caption-label { font-size: .75rem; }
.results .grid-wrap { height: auto; min-height: 0; max-height: none; }
.results .grid-container, .presets .grid-container { padding-top: 0; }
.dark button[role="tab"][aria-selected="true"] { color: var(--primary-400); }
.strip .grid-container { grid-template-columns: repeat(5, minmax(0, 1fr)) !important; }
.files .empty { min-height: 3.5rem !important; height: 3.5rem !important; }
@media (max-width: 640px) {
  .gradio-container > .main { padding: .5rem !important; }
  .strip .grid-container { gap: .25rem; }
}
"""

# Gradio's example pictures are buttons without a name for screen readers.
_NAME_EXAMPLES: Final = """() => setTimeout(() => {
  const names = NAMES;
  document.querySelectorAll(".gallery-item").forEach((button) => {
    const index = [...button.parentElement.children].indexOf(button);
    button.setAttribute("aria-label", "Example photo: " + names[index]);
  });
}, 500)""".replace("NAMES", json.dumps([text.split(",")[0] for text in EXAMPLE_PHOTOS.values()]))

_INTRO: Final = """
# hfstyle · paint a photo in the style of any picture
Choose a photo and a style; then drag **Strength**. One pass of a conditional GAN, trained by this project.
"""

_ABOUT: Final = """
## What this is
A *conditional generative adversarial network*: a generator receives your photo and a small numeric description of the
style picture (its *style code*), and paints the photo in that style in one pass. It was trained against a
discriminator that sees the picture, a reduced view of the photo and the style code, and has to tell the generator's
paintings from real ones. The style may be any picture; the painters' names in the gallery are examples.

**Model:** `{model}`, {parameters:.1f} million parameters, hfstyle {version}.

## What it was trained on
Photos and paintings that are in the public domain or under free licences (CC0, CC-BY, MIT). The model card names them.

## Licence
The code is under the Apache License 2.0; the licence of the weights is in the model card. Your pictures remain yours.

## Your pictures
They are used to compute what you see and deleted after about an hour. Nobody else gets to see them, and nothing is
trained on them.

## Limits
It transfers colours, strokes and textures, not the objects of the style picture. Faces and small text suffer at full
strength. It works best with photos that have clear shapes. Pictures up to {megapixels} megapixels and {megabytes} MB.

## For programs
"Use via API" at the foot of the page shows the endpoints `/stylize`, `/mix`, `/encode` and `/compare`.
"""


# --- What comes in ---------------------------------------------------------------------------------------------------


class _FromUpload:
    """Makes a component accept files that were uploaded to this app, and nothing else.

    Gradio would fetch web addresses for a client, and opens pictures before the handler can refuse them. Here the
    handler gets the path of the uploaded file, unopened.
    """

    most_bytes = MAX_UPLOAD_BYTES

    async def async_move_resource_to_block_cache(
        self, url_or_file_path: str | Path | None
    ) -> str | None:
        if url_or_file_path is not None and is_http_url_like(str(url_or_file_path)):
            raise _refusal("Web addresses are not read here; save the file and upload it.")
        moved: str | None = await super().async_move_resource_to_block_cache(  # type: ignore[misc]
            url_or_file_path
        )
        return moved

    def preprocess(self, payload: Any) -> str | None:
        if payload is None:
            return None
        path = getattr(payload, "path", None)
        if not path or not is_in_or_equal(path, get_upload_folder()):
            raise _refusal("That file was not uploaded here; upload it first.")
        if not os.path.isfile(path):
            raise _refusal("The uploaded file has been deleted since; please upload it again.")
        size = os.path.getsize(path)
        if size > self.most_bytes:
            raise _refusal(
                f"{_display_name(path)} has {size / 1e6:.1f} MB; the limit is {self.most_bytes / 1e6:.0f} MB."
            )
        return str(path)

    def api_info(self) -> dict[str, Any]:
        info: dict[str, Any] = super().api_info()  # type: ignore[misc]
        return {
            **info,
            "description": "an uploaded file; gradio_client's handle_file(path) uploads",
        }


class PhotoUpload(_FromUpload, gr.Image):
    """`gr.Image` whose handler gets a path."""

    def get_block_name(self) -> str:
        return "image"

    get_block_class = get_block_name


class StyleUpload(_FromUpload, gr.File):
    """`gr.File` for style codes."""

    most_bytes = MAX_STYLE_FILE_BYTES

    def get_block_name(self) -> str:
        return "file"

    get_block_class = get_block_name


def _refusal(sentence: str) -> gr.Error:
    """A sentence for the visitor (Gradio shows it as HTML); nothing for the log."""
    plain = sentence.replace("&", "&amp;").replace("<", "&lt;")
    return gr.Error(plain, title="That did not work", print_exception=False)


def _friendly(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Turns what a visitor can cause into a sentence, and anything else into an apology and a line in the log."""

    @functools.wraps(handler)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return handler(*args, **kwargs)
        except gr.Error:
            raise
        except (ImageError, StyleCodeError, ValueError) as error:
            raise _refusal(_sentence(error)) from error
        except Exception as error:
            _log.exception("%s failed", handler.__name__)
            raise _refusal("Something went wrong on our side; please try again.") from error

    return wrapped


def _friendly_steps(handler: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """The same for a handler that yields."""

    @functools.wraps(handler)
    def wrapped(*args: Any, **kwargs: Any) -> Iterator[Any]:
        steps = handler(*args, **kwargs)
        advance = _friendly(lambda: next(steps, steps))
        while (step := advance()) is not steps:
            yield step

    return wrapped


def _sentence(error: Exception) -> str:
    text = str(error).replace(get_upload_folder(), "")
    text = re.sub(r"/[0-9a-f]{32,64}/", "", text)  # the upload's folder
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _display_name(path: str) -> str:
    return re.sub(r"[^\w .()+-]", "_", Path(path).name)[:80] or "picture"


def _slug(text: str, longest: int = 40) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:longest].strip("_") or "style"


def open_picture(path: str, what: str) -> Picture:
    """An uploaded picture, decoded, if its header announces a size that may be decoded.

    Raises:
        gr.Error: more than `MAX_UPLOAD_PIXELS`.
        ImageError: not a usable picture.
    """
    name = f"{what} {_display_name(path)}"
    size: tuple[int, int] | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path) as header:
                size = header.size
        except Image.DecompressionBombError:
            raise _refusal(f"The {name} is far too large to be opened.") from None
        except Exception:  # `load_image` says what is wrong with it
            size = None
    if size is not None and math.prod(size) > MAX_UPLOAD_PIXELS:
        raise _refusal(
            f"The {name} is {size[0]} x {size[1]} px ({math.prod(size) / 1e6:.0f} megapixels); the limit is "
            f"{MAX_UPLOAD_PIXELS / 1e6:.0f} megapixels. Please make it smaller."
        )
    return load_image(path, max_pixels=MAX_UPLOAD_PIXELS, name=f"the {name}")


# --- What is computed ------------------------------------------------------------------------------------------------


class _Memory:
    """The values used last, up to a number of bytes. Keys of visitors' things contain the path of their upload."""

    def __init__(self, most_bytes: int = _MEMORY_BYTES) -> None:
        self._most, self._bytes = most_bytes, 0
        self._items: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Any:
        with self._lock:
            if key not in self._items:
                return None
            self._items.move_to_end(key)
            return self._items[key][0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        with self._lock:
            self._bytes += size - self._items.pop(key, (None, 0))[1]
            self._items[key] = (value, size)
            while self._bytes > self._most and len(self._items) > 1:
                self._bytes -= self._items.popitem(last=False)[1][1]


class Studio:
    """What the pages do, without the pages: every method takes paths of uploads and plain values.

    Args:
        pipe: the model.
        model_name: what to call it in the metadata of pictures.
    """

    def __init__(self, pipe: StyleTransferPipeline, model_name: str = "hfstyle base") -> None:
        self.pipe = pipe
        self.model_name = model_name
        self.labels = {name: _preset_label(name, code) for name, code in pipe.presets.items()}
        """Title, artist and year of the presets, by name."""
        self.first_photo = _example_paths().get(_FIRST_PHOTO)
        """What the pages show until the visitor has chosen a photo; None without example photos."""
        self._memory = _Memory()
        self.kept: set[str] = set()
        """Files that are shown to everybody and not deleted with those of the visitors."""
        self._thumbnails: list[str] = []
        self._thumbnails_done = threading.Event()

        def encode(picture: Picture, style_size: int) -> StyleCode:
            return pipe.encode_style(picture, style_size=style_size)

        def paint(
            picture: Picture, code: StyleCode, strength: float, resolution: int | None
        ) -> Image.Image:
            result: Image.Image = pipe(
                picture, code, strength, processing_resolution=resolution
            ).images[0]
            return result

        self._encode: Callable[..., StyleCode] = _on_gpu(encode)
        self._paint: Callable[..., Image.Image] = _on_gpu(paint)

    def first_styles(self, count: int) -> list[str]:
        """Presets with which the pages begin."""
        known = [name for name in _FIRST_STYLES if name in self.labels]
        return [*known, *(name for name in self.labels if name not in known)][:count]

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
                name = _display_name(Path(style).stem)
                code = self._encode(open_picture(style, "style picture"), style_size)
                code = StyleCode(code.vector, code.tokens, code.encoder, name)
                self._memory.put(key, code, 4 * (code.vector.numel() + code.tokens.numel()))
            return code
        if style_file:
            if not style_file.endswith(".safetensors"):
                raise _refusal("A style file is named *.safetensors; this page can save one.")
            return StyleCode.load(style_file, self.pipe.generator.encoder_fingerprint())
        return self.pipe.preset(preset) if preset else None

    def preview(self, content: str, resolution: int) -> Picture:
        """The photo as it is painted for the screen: reduced to the resolution, never enlarged."""
        key = ("content", content, resolution)
        picture: Picture | None = self._memory.get(key)
        if picture is None:
            full = open_picture(content, "photo")
            side = _painting_side(full.size, resolution)
            rgb = full.rgb if side is None else resize(full.rgb, side).clamp(0, 1)
            picture = Picture(rgb, None, full.name)
            self._memory.put(key, picture, 4 * rgb.numel())
        return picture

    # Results, each the path of a PNG

    def painted_preview(
        self, content: str, code: StyleCode, style_key: Hashable, strength: float, resolution: int
    ) -> str:
        """The reduced photo, painted; the same question again gets the same file."""
        key = ("painted", content, style_key, strength, resolution)
        return self._file(
            key,
            lambda: self._paint(self.preview(content, resolution), code, strength, None),
            _result_name(content, code, strength),
        )

    def original_preview(self, content: str, resolution: int) -> str:
        """The reduced photo."""
        key = ("original", content, resolution)
        return self._file(key, lambda: to_pil(self.preview(content, resolution).rgb), "photo")

    def swatch(self, style: str) -> str:
        """A small copy of a style picture, in a format that browsers show."""

        def reduce() -> Image.Image:
            rgb = open_picture(style, "style picture").rgb
            side = min(_SWATCH, *rgb.shape[1:])
            return to_pil(resize(rgb, side).clamp(0, 1))

        return self._file(("swatch", style), reduce, "style")

    def full_size(
        self,
        content: str,
        code: StyleCode,
        strength: float,
        style_size: int,
        resolution: int,
    ) -> str:
        """The photo painted at its own size, with the settings in the file's name and metadata."""
        picture = open_picture(content, "photo")
        side = _painting_side(picture.size, resolution)
        painted = self._paint(picture, code, strength, side)
        settings = {
            "strength": strength,
            "style": code.name,
            "style_size": style_size,
            "resolution": resolution,
            "model": self.model_name,
            "hfstyle": __version__,
            **{f"style_{key}": value for key, value in code.metadata.items()},
        }
        name = f"{_result_name(content, code, strength)}_brush{style_size}_res{resolution}"
        return _write_png(painted, name, settings)

    def save_style(self, code: StyleCode) -> str:
        """A style file."""
        path = _new_file(f"{_slug(code.name)}.style.safetensors")
        code.save(path)
        return str(path)

    # Gallery of presets

    def render_thumbnails(self) -> None:
        """One photo in each preset style, in the order of the presets."""
        try:
            photo = load_image(example_photo("chelsea"))
            cat = Picture(resize(photo.rgb, _SWATCH).clamp(0, 1), None, "chelsea")
            for name in self.labels:
                painted = self._paint(cat, self.pipe.preset(name), 1.0, None)
                path = _write_png(painted, _slug(name), {})
                self.kept.add(path)
                self._thumbnails.append(path)
        except Exception as error:  # the list of names does without
            _log.warning("no thumbnails of the presets: %s", error)
        finally:
            self._thumbnails_done.set()

    def thumbnails(self) -> list[tuple[str, str]]:
        """(path, label) of the presets rendered so far."""
        return list(zip(list(self._thumbnails), self.labels.values(), strict=False))

    def growing_thumbnails(self) -> Iterator[list[tuple[str, str]]]:
        """`thumbnails`, again and again until all are there."""
        while True:
            done = self._thumbnails_done.wait(2.0)
            yield self.thumbnails()
            if done:
                return

    def thumbnail(self, preset: str) -> str | None:
        """Path of the thumbnail of a preset, if it is there."""
        index = list(self.labels).index(preset)
        return self._thumbnails[index] if index < len(self._thumbnails) else None

    def _file(self, key: Hashable, make: Callable[[], Image.Image], name: str) -> str:
        path: str | None = self._memory.get(key)
        if path is not None:
            try:
                os.utime(path)  # Gradio deletes old files
                return path
            except FileNotFoundError:
                pass
        path = _write_png(make(), name, {}, fast=True)
        self._memory.put(key, path, 1000)
        return path


def _example_paths() -> dict[str, str]:
    """The example photos that are installed, by name."""
    try:
        return {name: str(example_photo_path(name)) for name in EXAMPLE_PHOTOS}
    except (ModuleNotFoundError, FileNotFoundError) as error:
        _log.warning("no example photos: %s", error)
        return {}


def _on_gpu(function: Callable[..., Any]) -> Callable[..., Any]:
    return function if spaces is None else spaces.GPU(function, duration=30)


def _painting_side(size: tuple[int, int], resolution: int) -> int | None:
    """Short side at which the network runs, None for the picture's own."""
    short, long = sorted(size)
    side = min(resolution, short, int(math.sqrt(_PAINTED_PIXELS * short / long)))
    side = max(side, min(64, short))
    return None if side == short else side


def _preset_label(name: str, code: StyleCode) -> str:
    title = code.metadata.get("title") or code.name or name.replace("_", " ")
    by = ", ".join(filter(None, (code.metadata.get("artist"), code.metadata.get("year"))))
    return f"{title} ({by})" if by else title


def _result_name(content: str, code: StyleCode, strength: float) -> str:
    return f"{_slug(Path(content).stem)}__{_slug(code.name)}_strength{round(100 * strength):03d}"


def _new_file(name: str) -> Path:
    """A path in a folder of its own that cannot be guessed, where Gradio serves and later deletes it."""
    folder = Path(os.path.abspath(get_upload_folder()), secrets.token_hex(32))
    folder.mkdir(parents=True)
    return folder / name


def _write_png(
    image: Image.Image, name: str, settings: dict[str, Any], *, fast: bool = False
) -> str:
    info = PngInfo()
    if settings:
        info.add_text("Software", f"hfstyle {__version__}")
        info.add_itxt("hfstyle", json.dumps(settings, ensure_ascii=False))
    path = _new_file(f"{name}.png")
    image.save(path, pnginfo=info, compress_level=1 if fast else 6)
    return str(path)


# --- The pages -------------------------------------------------------------------------------------------------------


class _Handlers:
    """What the components call. The docstrings of the public ones are the API's documentation."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def render(
        self,
        content: str | None,
        preset: str | None,
        style: str | None,
        style_file: str | None,
        strength: float,
        style_size: float,
        resolution: float,
    ) -> Iterator[tuple[Any, Any, Any, str]]:
        """Before and after, side by side, strip, status."""
        started, studio = time.perf_counter(), self.studio
        size, side = int(style_size), int(resolution)
        code = studio.style(style, style_file, preset, size)
        shown = content or studio.first_photo
        if shown is None:
            yield None, None, None, "Choose a photo to begin."
            return
        original = studio.original_preview(shown, side)
        if code is None:
            yield (original, original), None, None, "Choose a style."
            return
        key = (style, size) if style else (style_file or preset)
        painted = studio.painted_preview(shown, code, key, strength, side)
        label = studio.labels.get(preset or "", code.name) if not style else code.name
        swatch = studio.swatch(style) if style else studio.thumbnail(preset) if preset else None
        swatches = (
            [(swatch, f"Style: {label}")] if swatch and not (style_file and not style) else []
        )
        beside = [(original, "Photo"), *swatches, (painted, f"Painted, strength {strength:g}")]
        height, width = studio.preview(shown, side).size
        seconds = time.perf_counter() - started
        status = f"{label}: {width} × {height} px in {seconds:.1f} s"
        if not content:
            status += " (an example: choose your own photo)"
        yield (original, painted), beside, gr.skip(), status
        strip = [
            (studio.painted_preview(shown, code, key, amount, side), f"{amount:g}")
            for amount in STRIP
        ]
        yield gr.skip(), gr.skip(), strip, status

    def stylize(
        self,
        content: str | None,
        preset: str | None = None,
        style: str | None = None,
        style_file: str | None = None,
        strength: float = 1.0,
        style_size: float = DEFAULT_STYLE_SIZE,
        resolution: float = _DEFAULT_RESOLUTION,
    ) -> str:
        """Paint a photo in a style, at the photo's full size.

        Args:
            content: the photo.
            preset: name of a style of the gallery; used if there is no style picture and no style file.
            style: a picture whose style is taken.
            style_file: a style file that /encode or /mix made; used if there is no style picture.
            strength: from 0, the photo itself, to 1, the full style.
            style_size: short side in pixels at which the style picture is looked at; larger makes broader strokes.
            resolution: short side in pixels at which the photo is painted; the result has the photo's own size.

        Returns:
            The painted photo, a PNG file with the settings in its name and metadata.
        """
        studio = self.studio
        photo = _needed(content, "photo")
        code = studio.style(style, style_file, preset, int(style_size))
        if code is None:
            raise _refusal("Choose a style first: a preset, a style picture or a style file.")
        return studio.full_size(photo, code, strength, int(style_size), int(resolution))

    def _mixture(self, style_size: int, slots: Sequence[Any]) -> StyleCode | None:
        codes, weights = [], []
        for index in range(STYLE_SLOTS):
            preset, style, weight = slots[3 * index : 3 * index + 3]
            code = self.studio.style(style, None, preset, style_size)
            if code is not None and weight > 0:
                if not style:
                    code = replace(code, name=code.metadata.get("title", code.name))
                codes.append(code)
                weights.append(weight)
        return StyleCode.mix(codes, weights) if codes else None

    def render_mix(
        self,
        content: str | None,
        strength: float,
        style_size: float,
        resolution: float,
        *slots: Any,
    ) -> tuple[Any, str]:
        """Before and after, status."""
        shown = content or self.studio.first_photo
        if shown is None:
            return None, "Choose a photo to begin."
        original = self.studio.original_preview(shown, int(resolution))
        code = self._mixture(int(style_size), slots)
        if code is None:
            return (original, original), "Choose styles and give them weights."
        key = (slots, int(style_size))
        painted = self.studio.painted_preview(shown, code, key, strength, int(resolution))
        return (original, painted), code.name

    def mix(
        self,
        content: str | None,
        strength: float = 1.0,
        style_size: float = DEFAULT_STYLE_SIZE,
        resolution: float = _DEFAULT_RESOLUTION,
        preset_1: str | None = None,
        style_1: str | None = None,
        weight_1: float = 1.0,
        preset_2: str | None = None,
        style_2: str | None = None,
        weight_2: float = 1.0,
        preset_3: str | None = None,
        style_3: str | None = None,
        weight_3: float = 0.0,
        preset_4: str | None = None,
        style_4: str | None = None,
        weight_4: float = 0.0,
    ) -> tuple[str, str]:
        """Paint a photo in a mixture of up to four styles, and save the mixture as a style file.

        Args:
            content: the photo.
            strength: from 0, the photo itself, to 1, the full style.
            style_size: short side in pixels at which style pictures are looked at; larger makes broader strokes.
            resolution: short side in pixels at which the photo is painted; the result has the photo's own size.
            preset_1: name of the first style; used if there is no picture for it. Likewise 2 to 4.
            style_1: picture of the first style. Likewise 2 to 4.
            weight_1: share of the first style, from 0 to 1; shares are divided by their sum. Likewise 2 to 4.

        Returns:
            The painted photo, a PNG file; and the style file, which /stylize takes.
        """
        photo = _needed(content, "photo")
        first = [preset_1, style_1, weight_1, preset_2, style_2, weight_2]
        rest = [preset_3, style_3, weight_3, preset_4, style_4, weight_4]
        code = self._mixture(int(style_size), first + rest)
        if code is None:
            raise _refusal("Choose at least one style and give it a weight above 0.")
        picture = self.studio.full_size(photo, code, strength, int(style_size), int(resolution))
        return picture, self.studio.save_style(code)

    def encode(
        self, style: str | None, style_size: float = DEFAULT_STYLE_SIZE, name: str = ""
    ) -> str:
        """Save the style of a picture as a small file, which /stylize takes in place of the picture.

        Args:
            style: the picture.
            style_size: short side in pixels at which the picture is looked at; larger makes broader strokes.
            name: what to call the style, at most 80 characters; by default the file's name.

        Returns:
            The style file, *.safetensors.
        """
        code = self.studio.style(_needed(style, "style picture"), None, None, int(style_size))
        assert code is not None
        name = name.strip()[:80] or code.name
        return self.studio.save_style(StyleCode(code.vector, code.tokens, code.encoder, name))

    def compare(
        self,
        content: str | None,
        presets: list[str] | None = None,
        style: str | None = None,
        across: str = "styles",
        strength: float = 1.0,
        resolution: float = _DEFAULT_RESOLUTION,
    ) -> Iterator[list[tuple[str, str]]]:
        """One photo in many styles, or in one style at many settings. Results arrive one by one.

        Args:
            content: the photo.
            presets: names of styles, at most 8.
            style: a picture whose style is compared as well.
            across: "styles" paints in each style; "settings" paints in the first style at several strengths and
                resolutions.
            strength: from 0 to 1, when comparing styles.
            resolution: short side in pixels at which the photo is painted, when comparing styles.

        Returns:
            Pictures (PNG files) with captions.
        """
        studio, photo = self.studio, _needed(content, "photo")
        chosen: list[tuple[str, Hashable, StyleCode]] = []
        if style:
            code = studio.style(style, None, None, DEFAULT_STYLE_SIZE)
            assert code is not None
            chosen.append((code.name, (style, DEFAULT_STYLE_SIZE), code))
        for name in (presets or [])[:_COMPARED_STYLES]:
            chosen.append((studio.labels[name], name, studio.pipe.preset(name)))
        if not chosen:
            raise _refusal("Choose at least one style to compare.")
        if across == "styles":
            jobs = [(label, key, code, strength, int(resolution)) for label, key, code in chosen]
        else:
            label, key, code = chosen[0]
            jobs = [
                (f"strength {amount:g}, {side} px", key, code, amount, side)
                for side in _COMPARED_RESOLUTIONS
                for amount in _COMPARED_STRENGTHS
            ]
        shown: list[tuple[str, str]] = []
        for label, key, code, amount, side in jobs:
            shown.append((studio.painted_preview(photo, code, key, amount, side), label))
            yield list(shown)


def _needed(path: str | None, what: str) -> str:
    if not path:
        raise _refusal(f"Choose a {what} first.")
    return path


def create_app(pipe: StyleTransferPipeline, model_name: str = "hfstyle base") -> gr.Blocks:
    """The demo for a model, ready for `launch`; it makes the gallery's thumbnails in the background.

    Args:
        pipe: the model; its presets fill the gallery.
        model_name: shown in About and kept in the pictures' metadata.
    """
    studio = Studio(pipe, model_name)
    handlers = _Handlers(studio)
    compute: dict[str, Any] = {"concurrency_id": "paint", "concurrency_limit": 1}
    private: dict[str, Any] = {"api_visibility": "private", **compute}

    with gr.Blocks(
        title="hfstyle: paint a photo in any style",
        analytics_enabled=False,
        delete_cache=(_FILES_LIVE // 6, _FILES_LIVE),
    ) as demo:
        gr.Markdown(_INTRO)
        with gr.Tabs() as tabs:
            with gr.Tab("Stylise", id="stylise"):
                _stylise_tab(handlers, compute, private, demo)
            with gr.Tab("Mix", id="mix"):
                _mix_tab(handlers, compute, private, demo)
            with gr.Tab("Compare", id="compare"):
                _compare_tab(handlers, compute, demo)
            with gr.Tab("About", id="about"):
                parameters = sum(p.numel() for p in pipe.generator.parameters())
                gr.Markdown(
                    _ABOUT.format(
                        model=model_name,
                        parameters=parameters / 1e6,
                        version=__version__,
                        megapixels=MAX_UPLOAD_PIXELS // 1_000_000,
                        megabytes=MAX_UPLOAD_BYTES // 1_000_000,
                    )
                )
        for event in (demo.load, tabs.select):
            event(None, js=_NAME_EXAMPLES, api_visibility="private")
    demo.queue(max_size=MAX_QUEUE, default_concurrency_limit=4)
    if studio.labels:
        threading.Thread(target=studio.render_thumbnails, name="thumbnails", daemon=True).start()
    return demo


def _stylise_tab(
    handlers: _Handlers, compute: dict[str, Any], private: dict[str, Any], demo: gr.Blocks
) -> None:
    studio = handlers.studio
    names = list(studio.labels)
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            content = _photo("Your photo")
            gr.Markdown("**Style**: pick a painting, or bring your own")
            with gr.Tabs():
                with gr.Tab("Gallery"):
                    gallery = gr.Gallery(
                        label="Paintings, each shown by the same cat in its style",
                        show_label=False,
                        columns=3,
                        height=300,
                        object_fit="cover",
                        allow_preview=False,
                        interactive=False,
                        buttons=[],
                        visible=bool(names),
                        elem_classes="presets",
                    )
                    gallery.keep_in_cache = studio.kept
                    preset = _presets(studio, "Painting")
                with gr.Tab("My picture"):
                    style = PhotoUpload(label="Style picture", height=260, format="png")
                with gr.Tab("Style file"):
                    style_file = StyleUpload(
                        label="Style file (.safetensors) saved in Mix or by the API",
                        file_types=[".safetensors"],
                    )
            strength = gr.Slider(
                0, 1, value=1, step=0.05, label="Strength", info="0 is the photo, 1 the full style"
            )
            with gr.Accordion("Brush and detail", open=False):
                style_size, resolution = _fine_sliders()
        with gr.Column(scale=3, min_width=320):
            before_after = gr.ImageSlider(
                label="Before and after", format="png", max_height=620, interactive=False
            )
            status = gr.Markdown("Choose a photo to begin.", elem_id="status")
            beside = gr.Gallery(
                label="Side by side",
                show_label=False,
                columns=3,
                format="png",
                object_fit="contain",
                elem_classes="results",
                interactive=False,
            )
            gr.Markdown("**Strength from 0 to 1**: choose one to set the slider")
            strip = gr.Gallery(
                label="Strength from 0 to 1",
                show_label=False,
                columns=len(STRIP),
                format="png",
                object_fit="contain",
                elem_classes=["results", "strip"],
                allow_preview=False,
                interactive=False,
            )
            download = gr.Button("Full-size picture", variant="primary")
            file = gr.File(label="Full-size PNG", elem_classes="files")

    inputs: list[Any] = [content, preset, style, style_file, strength, style_size, resolution]
    gr.on(
        [component.change for component in inputs],
        _friendly_steps(handlers.render),
        inputs,
        [before_after, beside, strip, status],
        trigger_mode="always_last",
        show_progress="minimal",
        **private,
    )
    download.click(_friendly(handlers.stylize), inputs, file, api_name="stylize", **compute)

    # One style at a time: choosing one way empties the others.
    own: dict[str, Any] = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}

    def pick(event: gr.SelectData) -> tuple[Any, None, None]:
        return names[int(event.index)], None, None

    gallery.select(pick, None, [preset, style, style_file], **own)
    preset.input(lambda: (None, None), None, [style, style_file], **own)
    style.input(lambda: (None, None), None, [preset, style_file], **own)
    style_file.upload(lambda: (None, None), None, [preset, style], **own)

    def strength_of(event: gr.SelectData) -> float:
        return STRIP[int(event.index)]

    strip.select(strength_of, None, strength, **own)
    if names:
        demo.load(lambda: studio.first_styles(1)[0], None, preset, **own)
        demo.load(
            studio.growing_thumbnails,
            None,
            gallery,
            api_visibility="private",
            concurrency_limit=None,
            show_progress="hidden",
        )


def _mix_tab(
    handlers: _Handlers, compute: dict[str, Any], private: dict[str, Any], demo: gr.Blocks
) -> None:
    studio = handlers.studio
    names = list(studio.labels)
    slots: list[Any] = []
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            content = _photo("Your photo")
            for index in range(STYLE_SLOTS):
                with gr.Accordion(f"Style {index + 1}", open=index < 2):
                    slots += [
                        _presets(studio, f"Painting {index + 1}"),
                        PhotoUpload(
                            label=f"or your own picture {index + 1}", height=180, format="png"
                        ),
                        gr.Slider(
                            0, 1, value=float(index < 2), step=0.05, label=f"Weight {index + 1}"
                        ),
                    ]
        with gr.Column(scale=3, min_width=320):
            before_after = gr.ImageSlider(
                label="Before and after", format="png", max_height=620, interactive=False
            )
            status = gr.Markdown("Choose a photo to begin.")
            strength = gr.Slider(0, 1, value=1, step=0.05, label="Strength")
            with gr.Accordion("Brush and detail", open=False):
                style_size, resolution = _fine_sliders()
            save = gr.Button("Full-size picture and style file", variant="primary")
            file = gr.File(label="Full-size PNG", elem_classes="files")
            style_file = gr.File(label="Style file", elem_classes="files")
    inputs = [content, strength, style_size, resolution, *slots]
    gr.on(
        [component.change for component in inputs],
        _friendly(handlers.render_mix),
        inputs,
        [before_after, status],
        trigger_mode="always_last",
        show_progress="minimal",
        **private,
    )
    save.click(_friendly(handlers.mix), inputs, [file, style_file], api_name="mix", **compute)
    if len(names) > 1:
        demo.load(
            lambda: tuple(studio.first_styles(2)),
            None,
            [slots[0], slots[3]],
            api_visibility="private",
            queue=False,
        )

    with gr.Accordion("Save the style of one picture", open=False), gr.Row():
        picture = PhotoUpload(label="Style picture to save", height=220, format="png")
        with gr.Column():
            size = _style_size_slider()
            name = gr.Textbox("", label="Name of the style", max_length=80)
            encode = gr.Button("Save its style")
            encoded = gr.File(label="Style file", elem_classes="files")
    encode.click(
        _friendly(handlers.encode), [picture, size, name], encoded, api_name="encode", **compute
    )


def _compare_tab(handlers: _Handlers, compute: dict[str, Any], demo: gr.Blocks) -> None:
    studio = handlers.studio
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            content = _photo("Your photo")
            presets = gr.Dropdown(
                [(label, name) for name, label in studio.labels.items()],
                value=[],
                multiselect=True,
                max_choices=_COMPARED_STYLES,
                label=f"Paintings, up to {_COMPARED_STYLES}",
            )
            style = PhotoUpload(label="and your own style picture", height=200, format="png")
            across = gr.Radio(
                [("many styles", "styles"), ("one style, many settings", "settings")],
                value="styles",
                label="Compare",
            )
            strength = gr.Slider(0, 1, value=1, step=0.05, label="Strength")
            resolution = _resolution_slider()
            with gr.Row():
                go = gr.Button("Compare", variant="primary")
                stop = gr.Button("Stop")
        with gr.Column(scale=3, min_width=320):
            shown = gr.Gallery(
                label="Results",
                show_label=False,
                columns=3,
                format="png",
                object_fit="contain",
                elem_classes="results",
                interactive=False,
            )
    run = go.click(
        _friendly_steps(handlers.compare),
        [content, presets, style, across, strength, resolution],
        shown,
        api_name="compare",
        show_progress="minimal",
        **compute,
    )
    stop.click(None, cancels=[run])
    if studio.labels:
        demo.load(
            lambda: studio.first_styles(4), None, presets, api_visibility="private", queue=False
        )


def _photo(label: str) -> PhotoUpload:
    """A place for the visitor's photo, with examples below it."""
    photo = PhotoUpload(label=label, height=300, format="png", alt_text="the photo to be painted")
    files = [[path] for path in _example_paths().values()]
    if files:
        gr.Examples(
            files,
            photo,
            label="or one of these",
            api_visibility="private",
            cache_examples=False,
        )
    return photo


def _presets(studio: Studio, label: str) -> gr.Dropdown:
    """A list of the presets, none chosen: what a page chooses for a visitor is no default of the endpoints."""
    choices = [(text, name) for name, text in studio.labels.items()]
    return gr.Dropdown(choices, value=None, label=label, visible=bool(choices))


def _fine_sliders() -> tuple[gr.Slider, gr.Slider]:
    return _style_size_slider(), _resolution_slider()


def _style_size_slider() -> gr.Slider:
    return gr.Slider(
        128,
        768,
        value=DEFAULT_STYLE_SIZE,
        step=64,
        label="Size of the brush",
        info="higher paints broader strokes; for your own style picture",
    )


def _resolution_slider() -> gr.Slider:
    return gr.Slider(
        128,
        1024,
        value=_DEFAULT_RESOLUTION,
        step=64,
        label="Resolution in pixels",
        info="short side at which the photo is painted; higher is finer and slower",
    )


def load_model() -> tuple[StyleTransferPipeline, str]:
    """The pipeline that HFSTYLE_MODEL names, on the best device, and what to call it."""
    model = os.environ.get("HFSTYLE_MODEL") or None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    pipe = StyleTransferPipeline.from_pretrained(model, device=device)
    if model is None:
        return pipe, "hfstyle base"
    return pipe, Path(model).name if Path(model).is_dir() else model


def _theme() -> gr.themes.Base:
    """Fonts of the visitor's own system, and colours of a contrast of at least 4.5 to 1."""
    theme = gr.themes.Soft(
        primary_hue="indigo",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    return theme.set(
        body_background_fill="*neutral_50",
        color_accent="*primary_600",
        checkbox_label_background_fill_selected="*primary_600",
        block_label_text_color="*primary_800",
        block_title_text_color="*primary_800",
        block_info_text_color="*neutral_600",
        body_text_color_subdued="*neutral_600",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
    )


def launch_options() -> dict[str, Any]:
    """How the demo is launched: looks and limits."""
    return {
        "theme": _theme(),
        "css": _CSS,
        "max_file_size": MAX_UPLOAD_BYTES,
        "ssr_mode": False,
        "footer_links": ["api", "gradio", "settings"],
    }


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    create_app(*load_model()).launch(**launch_options())
