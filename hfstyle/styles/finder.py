"""Internal to `hfstyle.pipeline`: from whatever names a style to its code.

H, W size of the picture · h, w size at which it is looked at
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from hfstyle.images.decode import ImageError
from hfstyle.images.geometry import resize
from hfstyle.images.load import load_input
from hfstyle.limits import DEFAULT_STYLE_SIZE, as_list, check_style_size, item_name
from hfstyle.models.devices import own_precision
from hfstyle.models.fast import channels_last
from hfstyle.models.network import Network, device_of
from hfstyle.styles.code import StyleCode, StyleInput, normalise_weights
from hfstyle.styles.collection import (
    cluster_codes,
    left_out_told,
    none_usable,
    pictures_of,
    usable,
)
from hfstyle.styles.controls import StyleSearch
from hfstyle.styles.presets import names_meant, similar_names
from hfstyle.styles.words import WORDS_PREFIX

__all__ = ["StyleFinder"]

_LONGEST_STYLE: Final = 4  # long side in short sides; of a hand scroll the middle is looked at
_CACHED_STYLES: Final = 64

logger = logging.getLogger(__name__)


class StyleFinder:
    """Finds the code of whatever names a style.

    Args:
        generator: whose encoder looks at pictures.
        presets: codes by name.
    """

    def __init__(self, generator: Network, presets: Mapping[str, StyleCode]) -> None:
        self.generator = generator
        self.search = StyleSearch(presets, generator.encoder.parts)
        self._encoder = generator.encoder_fingerprint()
        self._codes: OrderedDict[bytes, StyleCode] = OrderedDict()
        self._lock = threading.Lock()

    def preset(self, name: str) -> StyleCode:
        """As `StyleTransferPipeline.preset`."""
        presets = self.search.presets
        if name not in presets:
            close = similar_names(name, presets)
            known = close or list(presets)
            hint = f"{'did you mean' if close else 'there are'}: {', '.join(known)}"
            raise ValueError(
                f"no preset {name!r}; {hint if known else 'this model came without presets'}"
            )
        return presets[name]

    def encode_style(
        self,
        style: StyleInput,
        *,
        style_size: int = DEFAULT_STYLE_SIZE,
        name: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> StyleCode:
        """As `StyleTransferPipeline.encode_style`."""
        code = self._code_of(style, check_style_size(style_size), "style")
        return replace(
            code,
            name=code.name if name is None else name,
            metadata=code.metadata if metadata is None else metadata,
        )

    def encode_collection(
        self, pictures: Any, *, clusters: int = 1, style_size: int | None = None, name: str = ""
    ) -> list[StyleCode]:
        """As `StyleTransferPipeline.encode_collection`."""
        size = check_style_size(DEFAULT_STYLE_SIZE if style_size is None else style_size)
        left_out: list[str] = []

        def read(picture: StyleInput, index: int) -> StyleCode:
            return self._code_of(picture, size, f"picture[{index}]")

        codes = list(usable(pictures_of(pictures), read, left_out))
        if not codes and left_out:
            raise none_usable(left_out)
        if not codes:
            raise ValueError("the collection holds no pictures; give at least one")
        if left_out:
            logger.warning("%s:\n  %s", left_out_told(len(left_out)), "\n  ".join(left_out))
        if not name and isinstance(pictures, (str, os.PathLike)):
            name = Path(pictures).resolve().name
        groups = cluster_codes(codes, clusters)
        return [
            replace(
                code,
                name=f"{name or 'collection'}{f' {number}' if len(groups) > 1 else ''}",
                metadata={**code.metadata, "pictures": str(len(members))},
            )
            for number, (code, members) in enumerate(groups, start=1)
        ]

    def encode_mixture(
        self, style: StyleInput | Sequence[StyleInput], weights: Sequence[float] | None, size: int
    ) -> StyleCode:
        """The code of one style, or of several with a weight for each."""
        styles = as_list(style, "style")
        if weights is None and len(styles) != 1:
            raise ValueError(
                f"{len(styles)} styles for one picture; give one, or style_weights for a mixture"
            )
        shares = None if weights is None else normalise_weights(weights, len(styles))
        codes = self.encode_all(styles, size)
        return codes[0] if shares is None else StyleCode.mix(codes, shares)

    def encode_all(self, styles: Sequence[StyleInput], style_size: int) -> list[StyleCode]:
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

    def _code_of(self, style: StyleInput, style_size: int, where: str) -> StyleCode:
        """The code of a picture, or a ready one, checked; `where` names the argument in errors."""
        code = self._unchecked(style, style_size, where)
        parts, tokens = self.generator.encoder.parts, self.generator.encoder.tokens_shape
        if parts:
            code.check_shapes(sum(parts), tokens, f"{where}: ")
        return code

    def _unchecked(self, style: StyleInput, style_size: int, where: str) -> StyleCode:
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

        Raises ImageError for one word that is neither a preset nor a file, and for several that are nearly a preset.
        """
        if style in self.search.presets:
            return self.search.presets[style]
        if (code := self.search.by_prefix(style)) is not None:
            return code
        if os.path.exists(style) or os.path.basename(style) != style or os.path.splitext(style)[1]:
            return None
        if len(style.split()) > 1:
            if meant := names_meant(style, self.search.presets):
                raise ImageError(
                    f"{style!r} is not the name of a preset; did you mean: {', '.join(meant)}? A style by words is "
                    f"'{WORDS_PREFIX}{style}'"
                )
            return self.search.style_of_words(style)
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
        batch = channels_last(view[None].to(device_of(self.generator)))
        with torch.inference_mode(), own_precision():
            condition = self.generator.encode(batch)
        # Clones are ordinary tensors, which their owner may change or differentiate.
        code = StyleCode(condition.vector[0].clone(), condition.tokens[0].clone(), self._encoder)
        with self._lock:
            self._codes[key] = code
            while len(self._codes) > _CACHED_STYLES:
                self._codes.popitem(last=False)
        return code


def _style_view(rgb: Tensor, size: int) -> Tensor:
    """rgb (3, H, W) -> (3, h, w) whose short side is `size`: the middle of a picture that is very long."""
    height, width = rgb.shape[1:]
    longest = _LONGEST_STYLE * min(height, width)
    top, left = max(0, height - longest) // 2, max(0, width - longest) // 2
    middle = rgb[:, top : top + min(height, longest), left : left + min(width, longest)]
    return resize(middle, size).contiguous()
