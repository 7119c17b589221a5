"""Internal to `hfstyle.pipeline`: the pipeline's ways to a style other than a picture: chance and words."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch

from hfstyle._presets import Presets
from hfstyle.collection import cluster_codes, pictures_of
from hfstyle.models.generator import StyleGenerator
from hfstyle.sampling import StyleSpace
from hfstyle.style import StyleCode
from hfstyle.words import WORDS_PREFIX, StyleMatch, TextEncoder, WordIndex, load_text_encoder

__all__ = ["RANDOM_PREFIX", "StyleControls"]

RANDOM_PREFIX: Final = "random:"
"""What a style begins with that is the seed of a random one."""

_REMEDY: Final = (
    "this model came without a style space and with fewer than two presets; "
    "`python training/style_space.py --model MODEL --style_data_dir PICTURES` makes one"
)


class StyleControls:
    """What `StyleTransferPipeline` knows of the space of styles. Needs its `presets` and `generator`."""

    generator: StyleGenerator
    presets: Mapping[str, StyleCode]
    preset: Callable[[str], StyleCode]
    encode_style: Callable[..., StyleCode]

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
                # Graphs of ONNX do not say what their codes are made of.
                parts = getattr(getattr(self.generator, "encoder", None), "parts", ())
                self._space = StyleSpace.fit([*presets.values()], parts=parts)
                self._spanned = spanned
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

    def encode_collection(
        self, pictures: Any, *, clusters: int = 1, style_size: int | None = None, name: str = ""
    ) -> list[StyleCode]:
        """The style of many pictures: their mean, or k means of groups of alike ones, largest group first.

        Args:
            pictures: a list of pictures, codes or files of either; the path of a folder; or a data set with a column
                "image".
            clusters: k, from 1 to the number of pictures. Groups that end up empty are left out.
            style_size: as of `encode_style`.
            name: of the codes; of several, with a number. By default that of a folder.

        Returns:
            Codes whose metadata has the number of their "pictures" and what these have in common.

        Raises:
            ImageError, StyleCodeError: the first picture that cannot be used.
            ValueError: no pictures, or `clusters` out of range.
        """
        options = {} if style_size is None else {"style_size": style_size}
        codes = [self.encode_style(picture, **options) for picture in pictures_of(pictures)]
        if not codes:
            raise ValueError("the collection holds no pictures; give at least one")
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

    def _style_by_prefix(self, style: str) -> StyleCode | None:
        """The style that "words:TEXT" or "random:SEED" means; None for other texts.

        Raises ValueError for a seed that is no number, and as `style_of_words`.
        """
        if style.startswith(WORDS_PREFIX):
            return self.style_of_words(style.removeprefix(WORDS_PREFIX).strip())
        if style.startswith(RANDOM_PREFIX):
            seed = style.removeprefix(RANDOM_PREFIX)
            if not seed.strip().isdecimal():
                raise ValueError(f"{style!r} has no seed; give a whole number, as 'random:7'")
            return self.sample_style(int(seed))
        return None

    def _index(self, encoder: str | TextEncoder) -> WordIndex:
        space, others = self._space_and_entries()
        with self._controls_lock:
            if encoder not in self._indices:
                loaded = load_text_encoder(encoder) if isinstance(encoder, str) else encoder
                searched = space if others else space.without_paintings()
                self._indices[encoder] = WordIndex(searched, self.presets, loaded)
            return self._indices[encoder]
