"""Words as vectors, by packages that are installed or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

__all__ = ["TextEncoder", "load_text_encoder"]

TextEncoder: TypeAlias = Callable[[Sequence[str]], Tensor]
"""Texts -> (n, d) float, compared by their cosine."""


def load_text_encoder(name: str = "auto") -> TextEncoder | None:
    """A text encoder by name.

    Args:
        name: "letters" compares words by their letters, with a small list of other names; "wordllama" by the word vectors
            inside the package of that name (`pip install 'hfstyle[words]'`, offline); "auto" is "wordllama" if it is
            installed, else "letters"; anything else is a folder or the Hub id of a CLIP model, whose text tower is run
            by the package transformers.

    Raises:
        ModuleNotFoundError: the package is not installed.
        OSError: no such CLIP model, or a model of another kind.
    """
    if name == "letters":
        return None
    if name in ("auto", "wordllama"):
        try:
            return _wordllama()
        except ModuleNotFoundError:
            if name == "auto":
                return None
            raise ModuleNotFoundError(
                "the text encoder 'wordllama' needs its package: pip install 'hfstyle[words]'"
            ) from None
    return _clip(name)


def _wordllama() -> TextEncoder:
    import wordllama

    # Its wheel holds weights and tokenizer; told where, it does not look for a download.
    model = wordllama.WordLlama.load(
        cache_dir=Path(wordllama.__file__).parent, disable_download=True
    )
    return lambda texts: torch.from_numpy(model.embed(list(texts))).float()


def _clip(name: str) -> TextEncoder:
    try:
        from transformers import AutoTokenizer, CLIPTextModelWithProjection
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"the text encoder {name!r} is taken for a CLIP model, which needs transformers: "
            "pip install 'hfstyle[clip]'"
        ) from None
    load: Any = CLIPTextModelWithProjection.from_pretrained  # its declared type has no loading info
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        model, told = load(name, output_loading_info=True)
        if told["missing_keys"]:  # of another kind of model, which transformers fills up by chance
            raise ValueError(f"it lacks {', '.join(sorted(told['missing_keys'])[:3])}, …")
    except (OSError, ValueError) as error:
        raise OSError(
            f"{name!r} cannot be used as a CLIP text encoder: {' '.join(str(error).split())}"
        ) from error
    model.eval()

    def encode(texts: Sequence[str]) -> Tensor:
        parts = []
        with torch.inference_mode():
            for start in range(0, len(texts), 256):
                batch = [f"a painting, {text}" for text in texts[start : start + 256]]
                tokens = tokenizer(batch, padding=True, truncation=True, return_tensors="pt")
                parts.append(model(**tokens).text_embeds.float())
        return torch.cat(parts)

    return encode
