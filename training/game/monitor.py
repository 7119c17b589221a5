"""Watching the game: is the discriminator still in it, are the outputs still different from each other?

Adversarial training is known to run away (the discriminator wins every point and its gradient says nothing) or to
collapse (every style gives the same picture). The monitor keeps running means of a few numbers and says so clearly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

__all__ = ["GameDegenerated", "GameMonitor", "Range"]


class GameDegenerated(RuntimeError):
    """The adversarial game left its range for too long; the message names the number, the limit and the remedy."""


class Range(NamedTuple):
    """Where the running mean of a number should stay; what it means below and above; whether leaving it ends the run."""

    low: float
    high: float
    below: str = ""
    above: str = ""
    stops: bool = True


@dataclass
class GameMonitor:
    """Running means of the trainer's measurements, with limits.

    Args:
        patience: steps for which a number may stay outside its range before `update` raises; warnings come earlier.
        decay: of the running means, per step.
        warmup: steps after a number's first measurement during which it is not judged; by default a tenth of the
            patience.
    """

    patience: int = 2000
    decay: float = 0.98
    warmup: int | None = None
    means: dict[str, float] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)  # step of the first measurement
    latest: dict[str, int] = field(default_factory=dict)  # step of the latest one
    inside: dict[str, int] = field(default_factory=dict)  # last step within the range
    steps: int = 0

    limits: ClassVar[dict[str, Range]] = {
        "d_accuracy_real": Range(
            0.05,
            math.inf,
            below="the discriminator calls everything fake; lower --discriminator_learning_rate",
        ),
        "d_accuracy_fake": Range(
            0.02,
            0.995,
            below="the discriminator calls everything real; raise --discriminator_learning_rate",
            above="the discriminator tells every fake; lower --discriminator_learning_rate, raise --r1_gamma",
        ),
        "d_logit_size": Range(
            0.0,
            30.0,
            above="the discriminator's logits run away; lower --discriminator_learning_rate, raise --r1_gamma",
        ),
        "d_condition": Range(
            0.0,
            math.inf,
            below="the discriminator likes a wrong style as much as the right one; raise --mismatched_weight",
            stops=False,
        ),
        "diversity": Range(
            0.15,
            math.inf,
            below="one content looks alike under different styles; lower --adversarial_weight, raise --style_weight or "
            "--contrast_weight",
        ),
        "code_spread": Range(
            0.01,
            math.inf,
            below="all styles have nearly the same code; raise --contrast_weight or lower --learning_rate",
        ),
    }

    def update(self, measured: Mapping[str, float]) -> list[str]:
        """Take in one step's numbers; those that are not finite are left out.

        Returns:
            Warnings, worded for a person; each is given when its number has been outside for a tenth of the patience,
            and again every further tenth.

        Raises:
            GameDegenerated: a number has been outside its range for `patience` steps.
        """
        self.steps += 1
        warnings = []
        for name, value in measured.items():
            if not math.isfinite(value):
                continue
            gap = self.steps - self.latest.get(name, self.steps)  # 0 at the first measurement
            keep = self.decay**gap  # what is measured every tenth step moves as fast as the rest
            self.means[name] = keep * self.means.get(name, value) + (1 - keep) * value
            self.latest[name] = self.steps
            self.first.setdefault(name, self.steps)
            if name in self.limits and (text := self._judge(name, gap)):
                warnings.append(text)
        return warnings

    def _judge(self, name: str, gap: int) -> str | None:
        """A warning if one is due for the running mean of `name`, measured `gap` steps after the last time."""
        limit, mean = self.limits[name], self.means[name]
        warmup = self.patience // 10 if self.warmup is None else self.warmup
        if self.steps - self.first[name] < warmup or limit.low <= mean <= limit.high:
            self.inside[name] = self.steps
            return None
        count = self.steps - self.inside.setdefault(name, self.steps)
        meaning = limit.below if mean < limit.low else limit.above
        text = f"{name} is {mean:.3g} (range {limit.low:g} to {limit.high:g}) for {count} steps: {meaning}"
        if count >= self.patience and limit.stops:
            raise GameDegenerated(f"stopped: {text}")
        every = max(1, self.patience // 10)
        return text if count // every > (count - gap) // every else None

    def state_dict(self) -> dict[str, Any]:
        names = ("means", "first", "latest", "inside")
        return {"steps": self.steps, **{name: dict(getattr(self, name)) for name in names}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.steps = int(state["steps"])
        for name in ("means", "first", "latest", "inside"):
            setattr(self, name, dict(state.get(name, {})))
