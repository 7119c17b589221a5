"""Internal to `hfstyle.pipeline`: from whatever names a style to its code.

H, W size of the picture · h, w size at which it is looked at
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

import torch
from torch import Tensor

from hfstyle._arguments import item_name
from hfstyle._arrays import as_float
from hfstyle._composition import Layer
from hfstyle._controls import StyleControls
from hfstyle._painting import Painter
from hfstyle.images import WHITE, ImageError, ImageInput, Picture, load_image, resize
from hfstyle.models.fast import channels_last
from hfstyle.regions import Region
from hfstyle.style import StyleCode

__all__ = ["StyleCodes", "StyleInput", "load_input"]

StyleInput: TypeAlias = ImageInput | Picture | StyleCode

_LONGEST_STYLE: Final = 4  # long side in short sides; of a hand scroll the middle is looked at
_CACHED_STYLES: Final = 64


class StyleCodes(StyleControls, Painter):
    """What `StyleTransferPipeline` does with styles."""

    def _start_codes(self) -> None:
        self._encoder = self.generator.encoder_fingerprint()
        self._codes: OrderedDict[bytes, StyleCode] = OrderedDict()
        self._lock = threading.Lock()

    def _encode_all(self, styles: Sequence[StyleInput], style_size: int) -> list[StyleCode]:
        """One code for each style; a style that occurs twice is decoded once."""
        known: dict[str | int, StyleCode] = {}
        codes = []
        for index, style in enumerate(styles):
            key = os.fspath(style) if isinstance(style, (str, os.PathLike)) else id(style)
            if key not in known:
                known[key] = self._code_of(
                    style, style_size, item_name("style", index, len(styles))
                )
            codes.append(known[key])
        return codes

    def _layers(self, regions: Sequence[Region], style_size: int) -> list[Layer]:
        """Regions with the codes of their styles."""
        styles = [region.style for region in regions if region.style is not None]
        codes = iter(self._encode_all(styles, style_size))
        return [
            Layer(
                None if region.style is None else next(codes),
                region.strength,
                region.color,
                None
                if region.content is None
                else load_input(
                    region.content, f"content of regions[{index}]", keep_alpha=False
                ).rgb,
            )
            for index, region in enumerate(regions)
        ]

    def _code_of(self, style: StyleInput, style_size: int, where: str) -> StyleCode:
        """The code of a picture, or a ready one, checked; `where` names the argument in errors."""
        if isinstance(style, (str, os.PathLike)) and os.fspath(style).endswith(".safetensors"):
            return StyleCode.load(style, self._encoder)
        if isinstance(style, str) and (code := self._style_by_name(style)) is not None:
            return code
        if isinstance(style, StyleCode):
            style.check_encoder(self._encoder, f"{where}: ")
            return style
        picture = load_input(style, where, keep_alpha=False)
        code = self._encode(_style_view(picture.rgb, style_size))
        name = Path(style).stem if isinstance(style, (str, os.PathLike)) else ""
        return replace(code, name=name)

    def _style_by_name(self, style: str) -> StyleCode | None:
        """The style that a text means which is no file: a preset, "words:TEXT", "random:SEED", several words.

        Raises ImageError for one word that is neither a preset nor a file.
        """
        if style in self.presets:
            return self.presets[style]
        if (code := self._style_by_prefix(style)) is not None:
            return code
        if os.path.exists(style) or os.path.basename(style) != style or os.path.splitext(style)[1]:
            return None
        if len(style.split()) > 1:
            return self.style_of_words(style)
        try:
            return self.preset(style)
        except ValueError as error:
            raise ImageError(f"{style!r} is not a file, and {error}") from None

    def _encode(self, view: Tensor) -> StyleCode:
        """view (3, h, w) float32 in [0, 1] -> its code, without a name, from memory if it was seen lately."""
        key = hashlib.blake2b(view.numpy().tobytes(), person=b"%dx%d" % view.shape[1:]).digest()
        with self._lock:
            if key in self._codes:
                self._codes.move_to_end(key)
                return self._codes[key]
        batch = channels_last(view[None].to(self.device))
        with torch.inference_mode():
            condition = self.generator.encode(batch)
        # Clones are ordinary tensors, which their owner may change or differentiate.
        code = StyleCode(condition.vector[0].clone(), condition.tokens[0].clone(), self._encoder)
        with self._lock:
            self._codes[key] = code
            while len(self._codes) > _CACHED_STYLES:
                self._codes.popitem(last=False)
        return code


def load_input(source: ImageInput | Picture, name: str, keep_alpha: bool) -> Picture:
    if not isinstance(source, Picture):
        path = isinstance(source, (str, os.PathLike))
        named = path or bool(getattr(source, "filename", "") or getattr(source, "name", ""))
        return load_image(source, keep_alpha=keep_alpha, name=None if named else name, compact=True)
    if source.alpha is None or keep_alpha:
        return source
    white = torch.tensor(WHITE)[:, None, None]
    flat = torch.lerp(white, as_float(source.rgb), as_float(source.alpha))
    return replace(source, rgb=flat, alpha=None)


def _style_view(rgb: Tensor, size: int) -> Tensor:
    """rgb (3, H, W) -> (3, h, w) whose short side is `size`: the middle of a picture that is very long."""
    height, width = rgb.shape[1:]
    longest = _LONGEST_STYLE * min(height, width)
    top, left = max(0, height - longest) // 2, max(0, width - longest) // 2
    middle = rgb[:, top : top + min(height, longest), left : left + min(width, longest)]
    return resize(middle, size).contiguous()
