"""What is measured, side by side: the finished pictures of any program in a folder, and a model that paints.

Both answer one question, `paint`: this photo in that style, please. A folder has files for it, named as `hfstyle stylize`
names them; `prepare` writes the photos that such a program has to paint.

H, W size of a picture
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import torch
from torch import Tensor

from hfstyle.evaluation.pairs import by_name
from hfstyle.files import INPUT_REFUSED, InputFiles, result_stem, safe_name
from hfstyle.images.save import save_image, to_pil
from hfstyle.pipeline import StyleTransferPipeline

__all__ = ["MOVE", "FinishedPictures", "Method", "Model", "Photo", "moved", "prepare"]

MOVE: Final = 4
"""px by which `moved` moves a photo, down and to the right."""
_NOISE: Final = 0.01  # standard deviation, of values from 0 to 1
_STILL, _MOVED = "still", "moved"


class Photo(NamedTuple):
    """A photo as it is painted: the name by which its output is found, its file, and its pixels (1, 3, H, W) in [0, 1]."""

    name: str
    file: Path
    image: Tensor


class Method(Protocol):
    """One column of a report."""

    @property
    def name(self) -> str:
        """The column's heading."""
        ...

    @property
    def strength(self) -> float | None:
        """In [0, 1]; None for pictures that were finished elsewhere."""
        ...

    def paint(self, photo: Photo, style: str, style_file: Path) -> Tensor | None:
        """The photo in the style, (1, 3, H, W) in [0, 1] of the photo's size; None where there is no such output."""
        ...


class FinishedPictures:
    """A folder with pictures CONTENT__STYLE.png (or of another suffix), as `hfstyle stylize` names them.

    Args:
        folder: it; its name heads the column.
        read: (file, like) -> (1, 3, H, W) in the shape of `like`.
    """

    strength = None

    def __init__(
        self, folder: str | os.PathLike[str], read: Callable[[Path, Tensor], Tensor]
    ) -> None:
        self.name = Path(folder).resolve().name
        self._files, self._read = by_name(folder), read

    def file_of(self, content: str, content_file: Path, style: str) -> Path | None:
        """The file in which a content is painted in a style, if it is there."""
        for name in (result_stem(content_file), content, f"{content}.png"):
            stem = safe_name(name, unique=True) + f"__{safe_name(style)}"
            for known in (stem, f"{name}__{style}"):
                if known in self._files:
                    return self._files[known]
        return None

    def paint(self, photo: Photo, style: str, style_file: Path) -> Tensor | None:
        file = self.file_of(photo.name, photo.file, style)
        return None if file is None else self._read(file, photo.image)


class Model:
    """A pipeline that paints at one strength. What it paints is rounded to 8 bits, as in files."""

    def __init__(self, pipeline: StyleTransferPipeline, strength: float, style_size: int) -> None:
        self.name, self.strength = f"strength {strength:g}", strength
        self._pipeline, self._style_size = pipeline, style_size

    def paint(self, photo: Photo, style: str, style_file: Path) -> Tensor | None:
        code = self._pipeline.encode_style(style_file, style_size=self._style_size)
        picture: Any = photo.image[0].cpu()
        painted: Tensor = self._pipeline(picture, code, self.strength, output_type="pt").images
        return ((painted * 255).round() / 255).to(photo.image.device)


def moved(photo: Photo) -> tuple[Photo, Photo]:
    """The photo, and the photo after the camera moved by `MOVE` px and took 1 % of noise; both lose a strip of `MOVE` px."""
    still = photo.image[..., :-MOVE, :-MOVE].contiguous()
    noise = torch.randn(still.shape, generator=torch.Generator().manual_seed(0)) * _NOISE
    after = photo.image[..., MOVE:, MOVE:] + noise.to(still.device)
    after = after.clamp(0, 1).mul(255).round() / 255  # as in a file
    return _derived(photo, _STILL, still), _derived(photo, _MOVED, after)


def _derived(photo: Photo, kind: str, image: Tensor) -> Photo:
    name = f"{photo.name}.{kind}"
    return Photo(name, photo.file.with_name(f"{name}.png"), image)


def prepare(photo: Photo, folder: str | os.PathLike[str]) -> list[Path]:
    """Write a photo as another program has to paint it for `evaluate`: as it is compared, and twice for stability.

    Args:
        photo: as it is compared.
        folder: made if it is not there. NAME.png, NAME.still.png and NAME.moved.png are written into it.

    Raises:
        ValueError: a file would replace the photo's own.
        ImageError: a file cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for each in (photo, *moved(photo)):
        file = folder / f"{safe_name(each.name, unique=True)}.png"
        if InputFiles([photo.file]).has(file):
            raise ValueError(f"{file} {INPUT_REFUSED}; give another folder")
        save_image(to_pil(each.image[0].cpu()), file)
        written.append(file)
    return written
