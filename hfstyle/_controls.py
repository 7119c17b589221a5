"""Internal to `hfstyle.pipeline`: the pipeline's ways to a style other than a picture: chance and words."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final

import torch

from hfstyle._presets import Presets
from hfstyle.sampling import StyleSpace
from hfstyle.style import StyleCode
from hfstyle.words import StyleMatch, TextEncoder, WordIndex, load_text_encoder

__all__ = ["StyleControls"]

_REMEDY: Final = (
    "this model came without a style space and with fewer than two presets; "
    "`python training/style_space.py --model MODEL --style_data_dir PICTURES` makes one"
)


class StyleControls:
    """What `StyleTransferPipeline` knows of the space of styles. Needs its `presets`."""

    presets: Mapping[str, StyleCode]

    def _start_controls(self) -> None:
        self._space: StyleSpace | None = None
        self._spanned: tuple[int, ...] = ()  # presets that the space was fitted to, if it was
        self._indices: dict[str | TextEncoder, WordIndex] = {}
        self._controls_lock = threading.Lock()

    @property
    def style_space(self) -> StyleSpace:
        """Where the codes of the training art lie; of a model that came without, where its presets lie.

        Raises:
            ValueError: there are neither.
            StyleCodeError: the file is damaged.
        """
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
                self._space, self._spanned = StyleSpace.fit([*presets.values()]), spanned
                self._indices.clear()
            return self._space, False

    def sample_style(
        self, generator: torch.Generator | int | None = None, temperature: float = 1.0
    ) -> StyleCode:
        """A plausible new style, drawn from the distribution of the training art's codes: G(x, z).

        Args:
            generator: where chance comes from; a whole number is a seed, and gives the same style each time; None is
                torch's own.
            temperature: 0 (the mean of the training art) over 1 (as various as it) to 3.

        Raises:
            ValueError: `temperature` out of range, or a model without style space and presets.
        """
        return StyleCode.sample(self.style_space, generator, temperature)

    def find_styles(
        self, text: str, k: int = 5, *, encoder: str | TextEncoder = "auto"
    ) -> list[StyleMatch]:
        """Styles by words, among the presets and the training art; best first.

        Args:
            text: such as "soft watercolour of a misty lake": movements, artists, techniques, colours, textures and
                words of titles. What is not known is taken for the nearest known word; `StyleMatch.matched` shows which.
            k: how many, from 1.
            encoder: how words are compared, see `hfstyle.words.load_text_encoder`: "auto", "letters", "wordllama", a
                CLIP model's folder or Hub id, or a function that makes vectors of texts.

        Raises:
            ValueError: no word of the text is understood, or k is below 1.
        """
        return self._index(encoder).find(text, k)

    def style_of_words(self, text: str, *, encoder: str | TextEncoder = "auto") -> StyleCode:
        """The style that `style="words:TEXT"` means: the best match, blended with those near it that match as well.

        Its metadata says which styles were found ("found") and how the words were understood ("matched").

        Raises ValueError as `find_styles`.
        """
        return self._index(encoder).blend(text)

    def _index(self, encoder: str | TextEncoder) -> WordIndex:
        space, others = self._space_and_entries()
        with self._controls_lock:
            if encoder not in self._indices:
                loaded = load_text_encoder(encoder) if isinstance(encoder, str) else encoder
                searched = space if others else space.without_paintings()
                self._indices[encoder] = WordIndex(searched, self.presets, loaded)
            return self._indices[encoder]
