"""`StyleCode`: the style of a picture as a value that can be saved, loaded, mixed and moved.

B batch · D style width · T style tokens · E token width
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import torch
from torch import Tensor

from hfstyle.images.load import ImageInput, Picture
from hfstyle.limits import flags_checked
from hfstyle.models.style_encoder import Condition
from hfstyle.styles.code_file import (
    StyleCodeError,
    find_style_file,
    read_style_file,
    write_style_file,
)

__all__ = ["StyleCode", "StyleInput", "normalise_weights"]

_LARGEST: Final = 1e4
"""Of a code's numbers, which are below 10 in all bundled styles; half precision ends at 65504."""


@dataclass(frozen=True, eq=False)
class StyleCode:
    """The condition that paints in one style. It only means something to the encoder that made it.

    Codes are points of a vector space: a mixture of styles is a weighted mean (`mix`), and a step from one style to
    another is a straight line (`toward`).

    Args:
        vector: (D,) floating, the global look. Kept as float32 on the CPU.
        tokens: (T, E) floating, the local look. Kept as float32 on the CPU.
        encoder: fingerprint of the encoder that made it (`StyleGenerator.encoder_fingerprint`).
        name: what to call it, free text.
        metadata: about its source: title, artist, year, licence ...; text by text.

    Raises:
        StyleCodeError: wrong number of dimensions, an empty tensor, values that are not finite or far beyond those of any
            style, or no fingerprint.
    """

    vector: Tensor
    tokens: Tensor
    encoder: str
    name: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what, dims, letters in (("vector", 1, "(D,)"), ("tokens", 2, "(T, E)")):
            tensor: Tensor = getattr(self, what)
            if tensor.ndim != dims or tensor.numel() == 0 or not tensor.is_floating_point():
                raise StyleCodeError(
                    f"{what} of a style code must be a floating tensor {letters}, "
                    f"got {tensor.dtype} of shape {tuple(tensor.shape)}"
                )
            tensor = tensor.detach().to("cpu", torch.float32).contiguous()
            if not bool(tensor.isfinite().all()):
                raise StyleCodeError(
                    f"{what} of style code {self.name!r} has values that are not finite"
                )
            if tensor.numel() and (most := float(tensor.abs().max())) > _LARGEST:
                raise StyleCodeError(
                    f"{what} of style code {self.name!r} has values up to {most:.2g}; a style's lie within "
                    f"{_LARGEST:g}: the file is damaged, or was made by something else"
                )
            object.__setattr__(self, what, tensor)
        if not self.encoder:
            raise StyleCodeError(
                f"style code {self.name!r} does not say which encoder made it; "
                "give `encoder=generator.encoder_fingerprint()`"
            )
        object.__setattr__(self, "metadata", {str(k): str(v) for k, v in self.metadata.items()})

    def __repr__(self) -> str:
        return (
            f"StyleCode(name={self.name!r}, vector={tuple(self.vector.shape)}, "
            f"tokens={tuple(self.tokens.shape)}, encoder={self.encoder!r}, metadata={self.metadata!r})"
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file with both tensors, name, encoder and metadata; folders are made, the file is replaced.

        Raises:
            StyleCodeError: the name does not end in `.safetensors`.
            OSError: the file cannot be written.
        """
        write_style_file(
            Path(path), self.vector, self.tokens, self.encoder, self.name, self.metadata
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str], encoder: str | None = None) -> StyleCode:
        """Read what `save` wrote.

        Args:
            path: the safetensors file.
            encoder: fingerprint of the encoder that must have made it; None accepts any.

        Raises:
            StyleCodeError: no such file, not a style code, damaged, of a newer format, or made by another encoder.
        """
        source = Path(path)
        fields = read_style_file(source)
        try:
            code = cls(**fields)
        except StyleCodeError as error:
            raise StyleCodeError(f"{source}: {error}") from error
        if encoder is not None:
            code.check_encoder(encoder, f"{source}: ")
        return code

    @classmethod
    @flags_checked
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        name: str,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        cache_dir: str | os.PathLike[str] | None = None,
        encoder: str | None = None,
    ) -> StyleCode:
        """Load a style code by its name from a folder or a Hub repository.

        Looks for NAME.safetensors, NAME.style.safetensors, and the same below styles/.

        Args:
            pretrained_model_name_or_path: a folder, or a Hub id "user/my-styles".
            name: of the file, without suffix.
            revision, token, local_files_only, cache_dir: of the Hub, as in `StyleTransferPipeline.from_pretrained`.
            encoder: as in `load`.

        Raises:
            StyleCodeError: no style of that name, or as `load`.
            huggingface_hub.errors.RepositoryNotFoundError, LocalEntryNotFoundError: no such repository, no network.
        """
        file = find_style_file(
            pretrained_model_name_or_path,
            name,
            revision=revision,
            token=token,
            local_files_only=local_files_only,
            cache_dir=cache_dir,
        )
        return cls.load(file, encoder)

    def check_shapes(self, width: int, tokens: tuple[int, int] | None, where: str = "") -> None:
        """Raise StyleCodeError, prefixed by `where`, unless the vector has that width and the tokens that shape, if it is known."""
        wanted = ((width,), tokens or tuple(self.tokens.shape))
        found = (tuple(self.vector.shape), tuple(self.tokens.shape))
        if found != wanted:
            raise StyleCodeError(
                f"{where}style code {self.name!r} has a vector of shape {found[0]} and tokens of {found[1]}, this model "
                f"takes {wanted[0]} and {wanted[1]}; the file was changed: encode its picture again"
            )

    def check_encoder(self, encoder: str, where: str = "") -> None:
        """Raise StyleCodeError, prefixed by `where`, unless the encoder with this fingerprint made the code."""
        if self.encoder != encoder:
            raise StyleCodeError(
                f"{where}style code {self.name!r} was made by encoder {self.encoder}, this model has encoder "
                f"{encoder}; encode its picture again with this model, or load the model that made it"
            )

    @staticmethod
    def mix(
        codes: Sequence[StyleCode], weights: Sequence[float] | None = None, name: str | None = None
    ) -> StyleCode:
        """Weighted mean of styles.

        Args:
            codes: one or more, all made by one encoder.
            weights: one for each code, >= 0, not all zero; they are divided by their sum. None means equal.
            name: of the mixture; by default the parts with their shares.

        Returns:
            A code whose metadata keeps the entries that all parts with a share agree on (licence, artist ...).

        Raises:
            StyleCodeError: no codes, or codes of different encoders or shapes.
            ValueError: weights of another number, negative, not finite, or all zero.
        """
        codes = list(codes)
        if not codes:
            raise StyleCodeError("cannot mix an empty list of style codes; give at least one")
        shares = normalise_weights([1.0] * len(codes) if weights is None else weights, len(codes))
        for code in codes[1:]:
            _check_alike(codes[0], code)
        parts = [(code, share) for code, share in zip(codes, shares, strict=True) if share > 0]
        if name is None:
            named = (f"{share:.0%} {code.name or 'unnamed'}" for code, share in parts)
            name = parts[0][0].name if len(parts) == 1 else " + ".join(named)
        first = parts[0][0]
        common = {
            key: value
            for key, value in first.metadata.items()
            if all(code.metadata.get(key) == value for code, _ in parts)
        }
        # In float64, so that the mean of equal codes is that code to the last bit.
        vector = sum((code.vector.double() * share for code, share in parts), torch.zeros(()))
        tokens = sum((code.tokens.double() * share for code, share in parts), torch.zeros(()))
        return StyleCode(vector, tokens, first.encoder, name, common)

    def toward(self, other: StyleCode, amount: float, name: str | None = None) -> StyleCode:
        """A straight step from this style toward another.

        Args:
            other: a code of the same encoder.
            amount: 0 is this style, 1 is `other`; beyond [0, 1] it goes past them (finite).
            name: of the result; by default one that says where it lies.

        Raises:
            StyleCodeError: codes of different encoders or shapes.
            ValueError: `amount` is not finite.
        """
        if not math.isfinite(amount):
            raise ValueError(f"amount must be a finite number, got {amount}")
        _check_alike(self, other)
        if name is None:
            name = f"{self.name or 'unnamed'} {amount:+.0%} toward {other.name or 'unnamed'}"
        common = {k: v for k, v in self.metadata.items() if other.metadata.get(k) == v}
        return StyleCode(
            torch.lerp(self.vector, other.vector, amount),
            torch.lerp(self.tokens, other.tokens, amount),
            self.encoder,
            name,
            common,
        )

    def to_condition(
        self,
        batch_size: int = 1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> Condition:
        """The same style for each picture of a batch: vector (B, D) and tokens (B, T, E), expanded, not copied."""
        vector, tokens = (t.to(device=device, dtype=dtype) for t in (self.vector, self.tokens))
        return Condition(vector.expand(batch_size, -1), tokens.expand(batch_size, -1, -1))


StyleInput: TypeAlias = ImageInput | Picture | StyleCode


def normalise_weights(weights: Sequence[float], count: int) -> list[float]:
    """Divide `count` mixing weights by their sum.

    Raises:
        ValueError: no list of numbers, another number of weights, a negative one, one that is not finite, or all zero.
    """
    try:
        values = [float(weight) for weight in weights]
    except (TypeError, ValueError):
        raise ValueError(
            f"weights are {weights!r}; give a list of numbers, one for each style, as [0.7, 0.3]"
        ) from None
    if len(values) != count:
        raise ValueError(f"{count} styles need {count} weights, got {len(values)}: {values}")
    for index, value in enumerate(values):
        if not math.isfinite(value) or value < 0:
            raise ValueError(f"weight {index} is {value}; weights must be finite and >= 0")
    largest = max(values, default=0.0)
    if largest == 0:
        raise ValueError(f"weights are all zero ({values}); at least one must be > 0")
    values = [value / largest for value in values]  # so that the sum cannot overflow
    return [value / sum(values) for value in values]


def _check_alike(first: StyleCode, other: StyleCode) -> None:
    if first.encoder != other.encoder:
        raise StyleCodeError(
            f"style codes {first.name!r} and {other.name!r} were made by different encoders "
            f"({first.encoder} and {other.encoder}); encode both pictures with one model"
        )
    for what in ("vector", "tokens"):
        mine, theirs = tuple(getattr(first, what).shape), tuple(getattr(other, what).shape)
        if mine != theirs:
            raise StyleCodeError(
                f"{what} of style codes {first.name!r} and {other.name!r} differ in shape: {mine} and {theirs}"
            )
