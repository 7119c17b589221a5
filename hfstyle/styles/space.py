"""The space of styles: where the codes of the training art lie, fitted once and stored with the weights.

A code has thousands of numbers that vary together. The space keeps the mean of all codes and the R directions in which they
vary most (principal components, of the vector and of the tokens), and for each of N paintings its coordinates there with a
few words about it. From that come new styles (`StyleSpace.sample`, G(x, z)), the index of `hfstyle.styles.words`, and distances
between styles.

Deviations vary by factors: of them the logarithms are kept, so that no style between or beyond the paintings has a negative
one. For the root of the colours' covariance this is the log-Cholesky chart (Lin 2019). Each part of a vector counts alike,
colours more: what is seen of a style is half its colours, which are 9 numbers of a thousand.

N paintings · R directions · D style width · T style tokens · E token width
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from torch import Tensor

from hfstyle.models.devices import own_precision
from hfstyle.styles.code import StyleCode
from hfstyle.styles.code_file import StyleCodeError
from hfstyle.styles.space_file import read_space_file, write_space_file

__all__ = ["SPACE_FILE", "StyleSpace", "as_generator"]

SPACE_FILE: Final = "style_space.safetensors"
"""Name of the file beside model.safetensors."""

_TOKEN_SHARE: Final = 0.2  # of the variance; the vector has the rest
_COLOR_SHARE: Final = 2.0  # of the colours, where each other part of the vector has 1
_LEAST: Final = 1e-4  # deviation whose logarithm is taken
_RARE: Final = 0.01  # share of the paintings beyond which, on either side, no number of a draw lies
_PALE: Final = 0.05  # share of the paintings that have less contrast than any draw
_WIDTH: Final = 0.35  # of the kernel that smooths the paintings' coordinates, in their deviations
_CONTRAST: Final = -6  # where in a vector the deviation of lightness is
_HOTTEST: Final = 3.0
_SPARE: Final = 16  # directions that are iterated beside those that are kept
_ITERATIONS: Final = 6


@dataclass(frozen=True, eq=False)
class StyleSpace:
    """Principal directions of style codes, and the paintings they were found from.

    A point of the space is a vector, deviations as logarithms, and its tokens, each part divided by its scale.

    Args:
        mean: (D + T * E,) float32, the mean point.
        directions: (R, D + T * E) float32, orthonormal; first those of the vector, then those of the tokens.
        coordinates: (N, R) float32, of the paintings.
        limits: (2, D) float32, the least and the largest that a draw may have of each number of the point's vector.
        scales: of each part of the vector, and of the tokens: root of the summed variance over that of their share.
        parts: lengths of the vector's parts, as `StyleEncoder.parts`; (D,) if they are not known.
        shape: (D, T, E).
        encoder: fingerprint of the encoder whose codes these are.
        about: what is known of each painting (title, artist, movement, words), N entries.
    """

    mean: Tensor
    directions: Tensor
    coordinates: Tensor
    limits: Tensor
    scales: tuple[float, ...]
    parts: tuple[int, ...]
    shape: tuple[int, int, int]
    encoder: str
    about: Sequence[Mapping[str, str]]

    def __len__(self) -> int:
        return len(self.coordinates)

    @classmethod
    @own_precision()
    def fit(
        cls,
        codes: Sequence[StyleCode],
        about: Iterable[Mapping[str, str]] = (),
        rank: int = 96,
        token_rank: int = 24,
        *,
        parts: Sequence[int] = (),
    ) -> StyleSpace:
        """Find the directions in which codes vary.

        Args:
            codes: at least 2, of one encoder.
            about: what is known of each; by default its metadata.
            rank: number of directions of the vector; at most the number of codes less one.
            token_rank: that of the tokens.
            parts: lengths of the vector's parts, `StyleEncoder.parts`. Without them all numbers count alike, and none
                is known to be a deviation.

        Raises:
            ValueError: fewer than 2 codes, a rank below 1, or parts that do not add up to a vector.
            StyleCodeError: codes of different encoders.
        """
        if len(codes) < 2 or min(rank, token_rank) < 1:
            raise ValueError(
                f"{len(codes)} codes and ranks {rank} and {token_rank}; give at least 2 codes and ranks from 1"
            )
        for code in codes:
            code.check_encoder(codes[0].encoder)
        shape = (codes[0].vector.numel(), *codes[0].tokens.shape)
        parts = tuple(parts) or shape[:1]
        if sum(parts) != shape[0]:
            raise ValueError(
                f"the parts {parts} do not add up to vectors of {shape[0]} numbers; give those of the codes' encoder"
            )
        vectors = _charted(torch.stack([code.vector for code in codes]), parts)  # (N, D)
        tokens = torch.stack([code.tokens.flatten() for code in codes])  # (N, T * E)
        shares = [1.0] * (len(parts) - 1) + [_COLOR_SHARE]
        shares = [(1 - _TOKEN_SHARE) * share / sum(shares) for share in shares] + [_TOKEN_SHARE]
        scales = tuple(
            ((float(x.var(0).sum()) or 1.0) / share) ** 0.5
            for x, share in zip((*vectors.split(parts, dim=1), tokens), shares, strict=True)
        )
        points = torch.cat((vectors, tokens), dim=1) / _repeated(scales, (*parts, tokens.shape[1]))
        mean = points.mean(0)
        vectors, tokens = (points - mean).split((shape[0], tokens.shape[1]), dim=1)
        ranks = [
            min(r, len(codes) - 1, x.shape[1]) for r, x in ((rank, vectors), (token_rank, tokens))
        ]
        directions = torch.block_diag(_principal(vectors, ranks[0]), _principal(tokens, ranks[1]))
        vectors = points[:, : shape[0]]
        limits = torch.quantile(
            vectors, torch.tensor((_RARE, 1 - _RARE), dtype=vectors.dtype), dim=0
        )
        if len(parts) > 2:
            limits[0, _CONTRAST] = torch.quantile(vectors[:, _CONTRAST], _PALE)
        return cls(
            mean,
            directions,
            (points - mean) @ directions.T,
            limits,
            scales,
            parts,
            shape,
            codes[0].encoder,
            [*about] or [code.metadata for code in codes],
        )

    def without_paintings(self) -> StyleSpace:
        """The same directions, with no paintings."""
        return replace(self, coordinates=self.coordinates[:0], about=[])

    @own_precision()
    def coordinates_of(self, code: StyleCode) -> Tensor:
        """(R,) of any code of the encoder: its nearest point in the space.

        Raises StyleCodeError if another encoder made it.
        """
        code.check_encoder(self.encoder)
        point = torch.cat((_charted(code.vector, self.parts), code.tokens.flatten()))
        return self.directions @ (point / self._scale - self.mean)

    @own_precision()
    def code(self, coordinates: Tensor, name: str = "", **metadata: str) -> StyleCode:
        """The code at coordinates (R,)."""
        return self._code(self.mean + coordinates @ self.directions, name, metadata)

    def _code(self, point: Tensor, name: str, metadata: Mapping[str, str]) -> StyleCode:
        width, count, length = self.shape
        point = point * self._scale
        logarithms = _deviations(self.parts)
        vector = torch.where(logarithms, point[:width].exp(), point[:width])
        return StyleCode(
            vector, point[width:].reshape(count, length), self.encoder, name, dict(metadata)
        )

    @property
    def _tokens(self) -> int:
        return self.shape[1] * self.shape[2]

    @property
    def _scale(self) -> Tensor:
        """(D + T * E,), what each number of a point is divided by."""
        return _repeated(self.scales, (*self.parts, self._tokens))

    @own_precision()
    def sample(
        self, generator: torch.Generator | int | None = None, temperature: float = 1.0
    ) -> StyleCode:
        """A plausible new style: a draw from the smoothed distribution of the paintings' coordinates.

        A painting is drawn, and a normal deviate with the paintings' own covariance is added, then the sum is shrunk so
        that mean and covariance stay those of the paintings (the smoothed bootstrap, Silverman & Young 1987). No number
        leaves the range of the paintings' (all but the outermost hundredth on either side, for contrast all but the
        palest twentieth), so that no draw is paler, or more glaring, than they are.

        Args:
            generator: where chance comes from; a whole number seeds one, so that the same number gives the same style;
                None is torch's own.
            temperature: from 0, the mean of all paintings, over 1, styles as various as paintings, to 3.

        Raises:
            ValueError: `temperature` out of range, or a seed that is no whole number.
        """
        if not 0 <= temperature <= _HOTTEST:  # NaN as well
            raise ValueError(f"temperature is {temperature}; it must lie in [0, {_HOTTEST:g}]")
        chance, seed = as_generator(generator)
        index = int(torch.randint(len(self), (1,), generator=chance))
        deviate = torch.randn(len(self), generator=chance, dtype=torch.float32)
        spread = (
            deviate @ self.coordinates / len(self) ** 0.5
        )  # their covariance, without a root of it
        drawn = (self.coordinates[index] + _WIDTH * spread) / (1 + _WIDTH**2) ** 0.5
        point = self.mean + temperature * drawn @ self.directions
        point[: self.shape[0]].clamp_(self.limits[0], self.limits[1])
        return self._code(point, "random style" if seed is None else f"random style {seed}", {})

    def nearest(self, code: StyleCode, k: int = 5) -> list[tuple[int, float]]:
        """Index and distance of the k paintings whose codes are nearest, nearest first."""
        distances = (self.coordinates - self.coordinates_of(code)).norm(dim=1)
        found, order = distances.topk(min(k, len(self)), largest=False)
        return list(zip(order.tolist(), found.tolist(), strict=True))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file: mean and limits as float16, directions and coordinates in 255 steps for each row.

        The texts are packed by zlib. Of 3429 paintings in 96 + 24 directions, 0.85 MB.
        """
        write_space_file(Path(path), self)

    @classmethod
    def load(cls, path: str | os.PathLike[str], encoder: str | None = None) -> StyleSpace:
        """Read what `save` wrote.

        Raises:
            StyleCodeError: no such file, damaged, or of another encoder than the one named.
        """
        try:
            space = cls(**read_space_file(Path(path)))
        except (OSError, SafetensorError, KeyError, ValueError, IndexError, zlib.error) as error:
            raise StyleCodeError(f"{path} cannot be used as a style space: {error}") from error
        if encoder is not None and space.encoder != encoder:
            raise StyleCodeError(
                f"{path} belongs to encoder {space.encoder}, this model has encoder {encoder}; "
                "make it again with training/publish/style_space.py"
            )
        return space


def _deviations(parts: Sequence[int]) -> Tensor:
    """Which numbers of a vector are deviations: (D,) bool.

    Those of features are the second half of each part between the learned one and the colours; of the colours, the
    diagonal of the covariance's root (`ColorTransfer.measure`).
    """
    found = torch.zeros(sum(parts), dtype=torch.bool)
    if len(parts) > 2:
        *of_features, colors = found.split(list(parts))[1:]
        for part in of_features:
            part[len(part) // 2 :] = True
        colors[[3, 5, 8]] = True  # the first is that of lightness: _CONTRAST
    return found


def _charted(vectors: Tensor, parts: Sequence[int]) -> Tensor:
    """Vectors (..., D) with the logarithms of their deviations in place of these."""
    return torch.where(_deviations(parts), vectors.clamp(min=_LEAST).log(), vectors)


def _repeated(values: Sequence[float], counts: Sequence[int]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).repeat_interleave(torch.tensor(counts))


def _principal(points: Tensor, rank: int) -> Tensor:
    """Principal directions (R, C) of centred points (N, C), by subspace iteration (Halko et al. 2011, algorithm 4.4)."""
    width = min(rank + _SPARE, *points.shape)
    chance = torch.Generator().manual_seed(0)
    start = torch.randn(points.shape[1], width, generator=chance, dtype=points.dtype)
    basis = torch.linalg.qr(points @ start).Q  # (N, width)
    for _ in range(_ITERATIONS):
        basis = torch.linalg.qr(points @ torch.linalg.qr(points.T @ basis).Q).Q
    return torch.linalg.svd(basis.T @ points, full_matrices=False).Vh[:rank].contiguous()


def as_generator(
    generator: torch.Generator | int | None,
) -> tuple[torch.Generator | None, int | None]:
    """A generator from itself, a seed or None, and the seed if that was given.

    Raises ValueError for anything else.
    """
    if generator is None or isinstance(generator, torch.Generator):
        return generator, None
    if isinstance(generator, bool) or not isinstance(generator, int):
        raise ValueError(
            f"generator is {generator!r}; give a torch.Generator, a whole number as a seed, or None"
        )
    return torch.Generator().manual_seed(generator % 2**63), generator
