"""The space of styles: where the codes of the training art lie, fitted once and stored with the weights.

A code has thousands of numbers that vary together. The space keeps the mean of all codes and the R directions in which they
vary most (principal components; vector and tokens each scaled to an equal share of the variance), and for each of N
paintings its coordinates there with a few words about it. From that come new styles (`StyleSpace.sample`, G(x, z)), the
index of `hfstyle.words`, and distances between styles.

N paintings · R directions · D style width · T style tokens · E token width
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hfstyle.style import StyleCode, StyleCodeError

__all__ = ["SPACE_FILE", "StyleSpace", "as_generator"]

SPACE_FILE: Final = "style_space.safetensors"
"""Name of the file beside model.safetensors."""

_FORMAT: Final = "hfstyle.style_space"
_VECTOR_SHARE: Final = 0.5  # of the variance; vector and tokens count alike
_WIDTH: Final = 0.35  # of the kernel that smooths the paintings' coordinates, in their deviations
_HOTTEST: Final = 3.0
_SPARE: Final = 16  # directions that are iterated beside those that are kept
_ITERATIONS: Final = 6


@dataclass(frozen=True, eq=False)
class StyleSpace:
    """Principal directions of style codes, and the paintings they were found from.

    Args:
        mean: (D + T * E,) float32, vector and tokens of the mean code, each divided by its scale.
        directions: (R, D + T * E) float32, orthonormal.
        coordinates: (N, R) float32, of the paintings.
        scales: of vector and tokens: root of the summed variance, times the share that they count.
        shape: (D, T, E).
        encoder: fingerprint of the encoder whose codes these are.
        about: what is known of each painting (title, artist, movement, words), N entries.
    """

    mean: Tensor
    directions: Tensor
    coordinates: Tensor
    scales: tuple[float, float]
    shape: tuple[int, int, int]
    encoder: str
    about: Sequence[Mapping[str, str]]

    def __len__(self) -> int:
        return len(self.coordinates)

    @classmethod
    def fit(
        cls, codes: Sequence[StyleCode], about: Iterable[Mapping[str, str]] = (), rank: int = 64
    ) -> StyleSpace:
        """Find the directions in which codes vary.

        Args:
            codes: at least 2, of one encoder.
            about: what is known of each; by default its metadata.
            rank: R at most; also at most the number of codes less one.

        Raises:
            ValueError: fewer than 2 codes, or a rank below 1.
            StyleCodeError: codes of different encoders.
        """
        if len(codes) < 2 or rank < 1:
            raise ValueError(
                f"{len(codes)} codes and rank {rank}; give at least 2 codes and a rank from 1"
            )
        for code in codes:
            code.check_encoder(codes[0].encoder)
        shape = (codes[0].vector.numel(), *codes[0].tokens.shape)
        vectors = torch.stack([code.vector for code in codes])  # (N, D)
        tokens = torch.stack([code.tokens.flatten() for code in codes])  # (N, T * E)
        shares = (_VECTOR_SHARE, 1 - _VECTOR_SHARE)
        scales = [
            (float(x.var(0).sum()) or 1.0) ** 0.5 / share**0.5
            for x, share in zip((vectors, tokens), shares, strict=True)
        ]
        points = torch.cat((vectors / scales[0], tokens / scales[1]), dim=1)  # (N, D + T * E)
        mean = points.mean(0)
        points -= mean
        rank = min(rank, len(codes) - 1, points.shape[1])
        directions = _principal(points, rank)  # (R, D + T * E)
        return cls(
            mean,
            directions,
            points @ directions.T,
            (scales[0], scales[1]),
            shape,
            codes[0].encoder,
            [*about] or [code.metadata for code in codes],
        )

    def without_paintings(self) -> StyleSpace:
        """The same directions, with no paintings."""
        return replace(self, coordinates=self.coordinates[:0], about=[])

    def coordinates_of(self, code: StyleCode) -> Tensor:
        """(R,) of any code of the encoder: its nearest point in the space.

        Raises StyleCodeError if another encoder made it.
        """
        code.check_encoder(self.encoder)
        point = torch.cat((code.vector / self.scales[0], code.tokens.flatten() / self.scales[1]))
        return self.directions @ (point - self.mean)

    def code(self, coordinates: Tensor, name: str = "", **metadata: str) -> StyleCode:
        """The code at coordinates (R,)."""
        width, count, length = self.shape
        point = self.mean + coordinates @ self.directions
        return StyleCode(
            point[:width] * self.scales[0],
            point[width:].reshape(count, length) * self.scales[1],
            self.encoder,
            name,
            metadata,
        )

    def sample(
        self, generator: torch.Generator | int | None = None, temperature: float = 1.0
    ) -> StyleCode:
        """A plausible new style: a draw from the smoothed distribution of the paintings' coordinates.

        A painting is drawn, and a normal deviate with the paintings' own covariance is added, then the sum is shrunk so
        that mean and covariance stay those of the paintings (the smoothed bootstrap, Silverman & Young 1987).

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
        deviate = torch.randn(len(self), generator=chance)
        spread = (
            deviate @ self.coordinates / len(self) ** 0.5
        )  # their covariance, without a root of it
        point = (self.coordinates[index] + _WIDTH * spread) / (1 + _WIDTH**2) ** 0.5
        name = "random style" if seed is None else f"random style {seed}"
        return self.code(temperature * point, name)

    def nearest(self, code: StyleCode, k: int = 5) -> list[tuple[int, float]]:
        """Index and distance of the k paintings whose codes are nearest, nearest first."""
        distances = (self.coordinates - self.coordinates_of(code)).norm(dim=1)
        found, order = distances.topk(min(k, len(self)), largest=False)
        return list(zip(order.tolist(), found.tolist(), strict=True))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file: the mean as float16, directions and coordinates in 255 steps for each row.

        The texts are packed by zlib. Of 3431 paintings in 64 directions, 0.9 MB.
        """
        tensors = {"mean": self.mean.half()}
        for name in ("directions", "coordinates"):
            rows: Tensor = getattr(self, name)
            steps = rows.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
            tensors[name] = (rows / steps).round().to(torch.int8)
            tensors[f"{name}.steps"] = steps
        header = {
            "format": _FORMAT,
            "encoder": self.encoder,
            "scales": json.dumps(self.scales),
            "shape": json.dumps(self.shape),
        }
        text = json.dumps(_columns(self.about), ensure_ascii=False, separators=(",", ":"))
        packed = zlib.compress(text.encode(), 9)
        tensors["about"] = torch.frombuffer(bytearray(packed), dtype=torch.uint8)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, path, header)

    @classmethod
    def load(cls, path: str | os.PathLike[str], encoder: str | None = None) -> StyleSpace:
        """Read what `save` wrote.

        Raises:
            StyleCodeError: no such file, damaged, or of another encoder than the one named.
        """
        try:
            with safe_open(path, framework="pt") as file:
                header: dict[str, str] = file.metadata() or {}
                if header.get("format") != _FORMAT:
                    raise ValueError("it is another kind of safetensors file")
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            rows = {
                name: tensors[name].float() * tensors[f"{name}.steps"]
                for name in ("directions", "coordinates")
            }
            scales, shape = json.loads(header["scales"]), json.loads(header["shape"])
            space = cls(
                tensors["mean"].float(),
                rows["directions"],
                rows["coordinates"],
                (scales[0], scales[1]),
                (shape[0], shape[1], shape[2]),
                header["encoder"],
                _rows(
                    json.loads(zlib.decompress(tensors["about"].numpy().tobytes())),
                    len(tensors["coordinates"]),
                ),
            )
        except (OSError, SafetensorError, KeyError, ValueError, IndexError, zlib.error) as error:
            raise StyleCodeError(f"{path} cannot be used as a style space: {error}") from error
        if encoder is not None and space.encoder != encoder:
            raise StyleCodeError(
                f"{path} belongs to encoder {space.encoder}, this model has encoder {encoder}; "
                "make it again with training/style_space.py"
            )
        return space


def _principal(points: Tensor, rank: int) -> Tensor:
    """Principal directions (R, C) of centred points (N, C), by subspace iteration (Halko et al. 2011, algorithm 4.4)."""
    width = min(rank + _SPARE, *points.shape)
    start = torch.randn(points.shape[1], width, generator=torch.Generator().manual_seed(0))
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


def _columns(about: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    keys = sorted({key for entry in about for key in entry})
    return {key: [entry.get(key, "") for entry in about] for key in keys}


def _rows(columns: Mapping[str, Sequence[str]], count: int) -> list[dict[str, str]]:
    return [{key: values[i] for key, values in columns.items() if values[i]} for i in range(count)]
