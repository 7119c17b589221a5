"""Internal to `hfstyle.pipeline`: ways to a style other than a picture: chance and words."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Final

import torch

from hfstyle.styles.code import StyleCode
from hfstyle.styles.presets import Presets
from hfstyle.styles.space import StyleSpace
from hfstyle.styles.text_encoders import TextEncoder, load_text_encoder
from hfstyle.styles.words import WORDS_PREFIX, StyleMatch, WordIndex

__all__ = ["RANDOM_PREFIX", "StyleSearch"]

RANDOM_PREFIX: Final = "random:"
"""What a style begins with that is the seed of a random one."""

_REMEDY: Final = (
    "this model came without a style space and with fewer than two presets; "
    "`python training/publish/style_space.py --model MODEL --style_data_dir PICTURES` makes one"
)


class StyleSearch:
    """The space of styles around a model's presets: chance and words.

    Args:
        presets: by name; read when they are first needed.
        parts: lengths of what a code's vector is made of, if known (`StyleEncoder.parts`).
    """

    def __init__(self, presets: Mapping[str, StyleCode], parts: Sequence[int] = ()) -> None:
        self.presets = presets
        self._parts = parts
        self._space: StyleSpace | None = None
        self._spanned: tuple[int, ...] = ()  # presets that the space was fitted to, if it was
        self._indices: dict[str | TextEncoder, WordIndex] = {}
        self._controls_lock = threading.Lock()

    @property
    def space(self) -> StyleSpace:
        """As `StyleTransferPipeline.style_space`."""
        return self._space_and_entries()[0]

    def _space_and_entries(self) -> tuple[StyleSpace, bool]:
        """The space, and whether its paintings are others than the presets."""
        presets = self.presets
        with self._controls_lock:
            if self._space is None and isinstance(presets, Presets):
                self._space = presets.space()
            if self._space is not None and not self._spanned:
                return self._space, True
            spanned = tuple(id(code) for code in presets.values())
            if self._space is None or spanned != self._spanned:
                if len(spanned) < 2:
                    raise ValueError(_REMEDY)
                self._space = StyleSpace.fit([*presets.values()], parts=self._parts)
                self._spanned = spanned
                self._indices.clear()
            return self._space, False

    def sample(
        self, generator: torch.Generator | int | None = None, temperature: float = 1.0
    ) -> StyleCode:
        """As `StyleTransferPipeline.sample_style`."""
        return self.space.sample(generator, temperature)

    def find(
        self, text: str, k: int = 5, *, encoder: str | TextEncoder = "auto"
    ) -> list[StyleMatch]:
        """As `StyleTransferPipeline.find_styles`."""
        return self._index(encoder).find(text, k)

    def style_of_words(self, text: str, *, encoder: str | TextEncoder = "auto") -> StyleCode:
        """As `StyleTransferPipeline.style_of_words`."""
        return self._index(encoder).blend(text)

    def by_prefix(self, style: str) -> StyleCode | None:
        """The style that "words:TEXT" or "random:SEED" means; None for other texts.

        Raises ValueError for a seed that is no number, and as `style_of_words`.
        """
        if style.startswith(WORDS_PREFIX):
            return self.style_of_words(style.removeprefix(WORDS_PREFIX).strip())
        if style.startswith(RANDOM_PREFIX):
            seed = style.removeprefix(RANDOM_PREFIX)
            if not seed.strip().isdecimal():
                raise ValueError(f"{style!r} has no seed; give a whole number, as 'random:7'")
            return self.sample(int(seed))
        return None

    def _index(self, encoder: str | TextEncoder) -> WordIndex:
        space, others = self._space_and_entries()
        with self._controls_lock:
            if encoder not in self._indices:
                loaded = load_text_encoder(encoder) if isinstance(encoder, str) else encoder
                searched = space if others else space.without_paintings()
                self._indices[encoder] = WordIndex(searched, self.presets, loaded)
            return self._indices[encoder]
