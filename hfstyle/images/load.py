"""Every way a picture enters or leaves. Inside, pictures are RGB float32 in [0, 1], sRGB.

B batch · C channels · H, W image size
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np
import torch
from PIL import Image, ImageFile
from torch import Tensor

from hfstyle._arrays import array_strips, channels_last, describe
from hfstyle._decode import (
    MAX_IMAGE_PIXELS,
    Decoded,
    ImageError,
    check_size,
    decode_file,
    decode_pil,
)
from hfstyle._encode import check_target, encoding_for, write_atomically
from hfstyle._geometry import crop_back, pad_to_multiple, resize
from hfstyle._metadata import as_stored, orientation_of, portable_exif
from hfstyle._pixels import Strip, flattened, has_8_bits, pil_strips, strip_bounds
from hfstyle._pixels import has_alpha as image_has_alpha

__all__ = [
    "MAX_IMAGE_PIXELS",
    "ImageError",
    "ImageInput",
    "Picture",
    "crop_back",
    "encode_image",
    "list_images",
    "load_image",
    "pad_to_multiple",
    "resize",
    "save_image",
    "to_numpy",
    "to_pil",
]

ImageInput: TypeAlias = (
    Image.Image | np.ndarray | Tensor | str | os.PathLike[str] | bytes | IO[bytes]
)

WHITE = (1.0, 1.0, 1.0)

_READ_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".avif", ".heic", ".heif"}
    | {".tif", ".tiff", ".gif", ".bmp", ".dib", ".ico", ".tga", ".jp2", ".j2k"}
    | {".ppm", ".pgm", ".pbm", ".pnm"}
)


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture, upright.

    rgb: (3, H, W) float32 in [0, 1], sRGB, on the CPU, sharing memory with nothing; of a compact picture
        of 8 bits (see `load_image`), uint8.
    alpha: (1, H, W) of the same type, 1 or 255 is opaque; None if there is none or it was flattened.
        With alpha, rgb is not multiplied by it.
    name: the path, or what the picture was given as.
    exif: what may be kept of its EXIF data in a copy (no orientation, thumbnail or, by default,
        place), or None.
    """

    rgb: Tensor
    alpha: Tensor | None
    name: str
    exif: bytes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.rgb.shape[-2], self.rgb.shape[-1]


def load_image(
    source: ImageInput,
    *,
    keep_alpha: bool = False,
    background: Sequence[float] = WHITE,
    max_pixels: int | None = MAX_IMAGE_PIXELS,
    name: str | None = None,
    compact: bool = False,
    keep_place: bool = False,
) -> Picture:
    """Any picture as upright RGB in [0, 1].

    source: one of
        a path, bytes or binary file of an encoded picture (its first frame, if it moves);
        a Pillow image of any mode (its current frame);
        a numpy array (H, W), (H, W, 1 | 2 | 3 | 4) or (1, H, W, C), uint8, uint16 or float in [0, 1];
        a torch tensor (1 | 2 | 3 | 4, H, W) or (1, C, H, W), uint8, uint16 or float in [0, 1].
        One channel is grey, two are grey and alpha, four are red, green, blue and alpha.
    keep_alpha: return alpha beside the colours instead of flattening it over `background`.
    background: red, green, blue in [0, 1].
    max_pixels: limit of H * W, checked before decoding; None for none.
    name: what to call the picture in errors and in `Picture.name`; default: its path or type.
    keep_place: leave the place where a photo was taken (GPS) in `Picture.exif`.
    compact: leave pictures of 8 bits as uint8, a quarter of the memory; flattening rounds to that.

    EXIF orientation is applied and ICC profiles, CMYK and Lab are converted to sRGB. Grey of 16 bits, floating point
    grey, and colours of 16 bits in PNG and TIFF files keep their precision, unless a profile or inks (CMYK) must be
    converted, which rounds them to 8 bits. Other colours of more than 8 bits (AVIF, HEIC, JPEG 2000, PPM, Pillow
    images, TIFFs with compressed channels that lie apart or with premultiplied alpha) are read as 8 bits.

    Raises ImageError for whatever is not a usable picture: missing, empty, truncated, of unknown
    format, type or shape, without pixels or with too many, with NaN or values out of range.
    """
    name = name if name is not None else describe(source)
    over = _check_background(background)
    if max_pixels is not None and max_pixels < 1:
        raise ImageError(f"max_pixels is {max_pixels}; give at least 1, or None for no limit")

    orientation, exif = 1, None
    strips: Iterator[Strip]
    if isinstance(source, (np.ndarray, Tensor)):
        pixels = channels_last(source, name)
        height, width, channels = pixels.shape
        check_size(name, width, height, max_pixels)
        strips, has_alpha = array_strips(pixels, name), channels in (2, 4)
        compact = compact and pixels.dtype == np.uint8
    else:
        if isinstance(source, Image.Image):
            decode_pil(source, name, max_pixels)
            decoded = Decoded(source)
        elif isinstance(source, (str, os.PathLike, bytes)) or hasattr(source, "read"):
            decoded = decode_file(source, name, max_pixels)
        else:
            raise ImageError(
                f"{name} is not a picture; give a path, bytes, a binary file, a Pillow image, "
                "a numpy array or a torch tensor"
            )
        image = decoded.image
        width, height = image.size
        orientation, exif = orientation_of(image), portable_exif(image, keep_place)
        strips, has_alpha = pil_strips(decoded, name), image_has_alpha(image)
        compact = compact and has_8_bits(decoded)

    size = (width, height) if orientation >= 5 else (height, width)
    try:
        rgb = _empty(3, size, compact)
        alpha = _empty(1, size, compact) if has_alpha and keep_alpha else None
    except MemoryError as error:
        raise ImageError(
            f"{name} is {width} x {height} px and needs {(3e-9 if compact else 12e-9) * width * height:.1f} GB of "
            "memory; make it smaller"
        ) from error
    rgb_rows = as_stored(rgb, orientation)
    alpha_rows = None if alpha is None else as_stored(alpha, orientation)
    for strip in strips:
        rows = slice(strip.top, strip.top + len(strip.color))
        color, opacity = flattened(strip, alpha_rows is not None, over, compact)
        rgb_rows[:, rows] = color.transpose(2, 0, 1)  # grey becomes three channels here
        if alpha_rows is not None and opacity is not None:
            alpha_rows[:, rows] = opacity.transpose(2, 0, 1)
    return Picture(
        rgb=torch.from_numpy(rgb),
        alpha=None if alpha is None else torch.from_numpy(alpha),
        name=name,
        exif=exif,
    )


def _empty(channels: int, size: tuple[int, int], compact: bool) -> np.ndarray:
    """(C, H, W): float32, or uint8 whose channels lie side by side in memory, as Pillow wants them."""
    if compact:
        return np.empty((*size, channels), dtype=np.uint8).transpose(2, 0, 1)
    return np.empty((channels, *size), dtype=np.float32)


def to_pil(rgb: Tensor, alpha: Tensor | None = None) -> Image.Image:
    """(3, H, W) float in [0, 1] to a Pillow image RGB; with alpha (1, H, W) in [0, 1], to RGBA.

    Values are rounded to the nearest of 256 levels; those outside [0, 1] are clipped.
    Raises ImageError for another shape or type, or NaN.
    """
    planes = [_plane_stack(rgb, 3, "rgb")]
    if alpha is not None:
        planes.append(_plane_stack(alpha, 1, "alpha"))
        if alpha.shape[-2:] != rgb.shape[-2:]:
            raise ImageError(
                f"alpha is {tuple(alpha.shape)} but rgb is {tuple(rgb.shape)}; "
                "give both the same height and width"
            )
    height, width = rgb.shape[-2:]
    levels = np.empty((height, width, 3 if alpha is None else 4), dtype=np.uint8)
    for top, bottom in strip_bounds(height, width):
        part = torch.cat([plane[:, top:bottom].float().cpu() for plane in planes])  # (C, h, W)
        if torch.isnan(part).any():
            raise ImageError("rgb or alpha contains NaN; the picture cannot be shown")
        part = part.clamp(0, 1).mul(255).round().to(torch.uint8)
        levels[top:bottom] = part.permute(1, 2, 0).numpy()  # (h, W, C)
    return Image.fromarray(levels)


def to_numpy(rgb: Tensor) -> np.ndarray:
    """(3, H, W) or (B, 3, H, W) float to (H, W, 3) or (B, H, W, 3) float32, values unchanged."""
    if rgb.dim() not in (3, 4) or rgb.shape[-3] != 3:
        raise ImageError(f"rgb has shape {tuple(rgb.shape)}, expected (3, H, W) or (B, 3, H, W)")
    pixels = rgb.detach().movedim(-3, -1).to("cpu", torch.float32)
    return np.array(pixels.numpy(), order="C")  # (..., H, W, 3)


def save_image(
    image: Image.Image,
    path: str | os.PathLike[str],
    *,
    quality: int = 95,
    overwrite: bool = True,
    exif: bytes | None = None,
    background: Sequence[float] = WHITE,
) -> None:
    """Writes a picture in the format of the suffix: .png .jpg .jpeg .webp .tif .tiff (.avif).

    A reader never sees half a picture: it is written beside the target and then takes its name.
    quality: 1 ... 100, of JPEG, WebP and AVIF. JPEG and AVIF have full colour resolution from 90 on.
    exif: metadata to embed, as in `Picture.exif`; None for none.
    background: what alpha is flattened over where the format has none (JPEG).
    Pictures that are not plain 8-bit grey, RGB or RGBA in sRGB are converted to that, upright.
    Raises ImageError for an unknown suffix, a size the format cannot hold, a target that exists
    (without `overwrite`) or cannot be written.
    """
    target = Path(path)
    encoding = encoding_for(str(target), target.suffix, image.size, quality, exif)
    check_size("the picture to save", *image.size, None)
    check_target(target, overwrite)
    ready = _savable(image, encoding.format_name, _check_background(background))
    write_atomically(ready, target, encoding, overwrite=overwrite)


def encode_image(
    image: Image.Image,
    suffix: str,
    *,
    quality: int = 95,
    exif: bytes | None = None,
    background: Sequence[float] = WHITE,
) -> bytes:
    """A picture in the format of a suffix, as `save_image` would write it. ImageError as there."""
    encoding = encoding_for("the picture", suffix, image.size, quality, exif)
    check_size("the picture to encode", *image.size, None)
    ready = _savable(image, encoding.format_name, _check_background(background))
    stream = io.BytesIO()
    try:
        encoding.write(ready, stream)
    except Exception as error:  # Pillow's encoders raise several kinds
        raise ImageError(f"the picture cannot be encoded as {suffix}: {error}") from error
    return stream.getvalue()


def list_images(folder: str | os.PathLike[str], recursive: bool = False) -> list[Path]:
    """The picture files in a folder, by suffix, sorted by path; hidden ones are left out.

    recursive: also those in its subfolders (links to folders are not followed).
    Raises ImageError if the folder does not exist, is a file or cannot be read.
    """
    root = Path(folder)
    if not os.path.isdir(root):
        what = "is a file" if os.path.exists(root) else "does not exist"
        raise ImageError(f"{root} {what}; give an existing folder")

    def fail(error: OSError) -> None:
        raise ImageError(f"{error.filename} cannot be read: {error.strerror}") from error

    found = []
    for parent, folders, files in os.walk(root, onerror=fail):
        folders[:] = [f for f in folders if recursive and not f.startswith(".")]
        for file in files:
            if Path(file).suffix.lower() in _READ_SUFFIXES and not file.startswith("."):
                found.append(Path(parent, file))
    return sorted(found)


def _check_background(background: Sequence[float]) -> np.ndarray:
    over = np.asarray(background, dtype=np.float32)
    if over.shape != (3,) or not ((over >= 0) & (over <= 1)).all():
        raise ImageError(f"background is {background}; give red, green and blue, each in [0, 1]")
    return over


def _plane_stack(x: Tensor, channels: int, argument: str) -> Tensor:
    if x.dim() != 3 or x.shape[0] != channels or 0 in x.shape or not x.is_floating_point():
        raise ImageError(
            f"{argument} is {x.dtype} of shape {tuple(x.shape)}, expected float ({channels}, H, W)"
        )
    return x.detach()


def _savable(image: Image.Image, format_name: str, over: np.ndarray) -> Image.Image:
    """`image` upright, in sRGB and a mode that the format can hold."""
    decode_pil(image, "the picture to save", None)
    if isinstance(image, ImageFile.ImageFile):
        image = image.copy()  # leaves the old file's tags behind, which Pillow's TIFF would copy
    plain = image.mode in ("L", "RGB", "RGBA") and orientation_of(image) == 1
    if not plain or "transparency" in image.info or "icc_profile" in image.info:
        picture = load_image(image, keep_alpha=True, max_pixels=None, name="the picture to save")
        image = to_pil(picture.rgb, picture.alpha)
    if format_name == "JPEG" and image.mode == "RGBA":
        flat = Image.new("RGB", image.size, tuple(round(255 * float(c)) for c in over))
        flat.paste(image, mask=image.getchannel("A"))
        return flat
    return image
