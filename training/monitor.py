"""Watching the game: is the discriminator still in it, are the outputs still different from each other?

Adversarial training is known to run away (the discriminator wins every point and its gradient says nothing) or to
collapse (every style gives the same picture). The monitor keeps running means of a few numbers and says so clearly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

__all__ = ["GameDegenerated", "GameMonitor"]


class GameDegenerated(RuntimeError):
    """The adversarial game left its range for too long; the message names the number, the limit and the remedy."""


@dataclass
class GameMonitor:
    """Running means of the trainer's measurements, with limits.

    Args:
        patience: steps for which a number may stay outside its range before `update` raises; warnings come earlier.
        decay: of the running means.
        warmup: adversarial steps before anything is judged.
    """

    patience: int = 2000
    decay: float = 0.98
    warmup: int = 200
    means: dict[str, float] = field(default_factory=dict)
    outside: dict[str, int] = field(default_factory=dict)
    steps: int = 0

    # name: (lowest, highest, what it means, what to do)
    limits: ClassVar[dict[str, tuple[float, float, str, str]]] = {
        "d_accuracy_fake": (
            0.02,
            0.995,
            "the discriminator tells every fake",
            "lower --discriminator_learning_rate, raise --r1_gamma or augmentation",
        ),
        "d_accuracy_real": (
            0.05,
            1.01,
            "the discriminator rejects every real",
            "lower --discriminator_learning_rate",
        ),
        "d_logit_size": (
            0.0,
            30.0,
            "the discriminator's logits run away",
            "lower --discriminator_learning_rate, raise --r1_gamma",
        ),
        "diversity": (
            0.15,
            1e9,
            "outputs under different styles look alike",
            "lower --adversarial_weight, raise --style_weight or --contrast_weight",
        ),
        "code_spread": (
            0.01,
            1e9,
            "all styles have nearly the same code",
            "raise --contrast_weight or lower the learning rate",
        ),
    }

    def update(self, measured: Mapping[str, float]) -> list[str]:
        """Take in one step's numbers.

        Returns:
            Warnings, worded for a person; each is given when its number has been outside for a tenth of the patience,
            and again every further tenth.

        Raises:
            GameDegenerated: a number has been outside its range for `patience` steps.
        """
        self.steps += 1
        for name, value in measured.items():
            old = self.means.get(name, value)
            self.means[name] = self.decay * old + (1 - self.decay) * value
        if self.steps <= self.warmup:
            return []
        warnings = []
        for name, (low, high, meaning, remedy) in self.limits.items():
            if name not in measured:
                continue
            value = self.means[name]
            if low <= value <= high:
                self.outside[name] = 0
                continue
            self.outside[name] = count = self.outside.get(name, 0) + 1
            text = f"{name} is {value:.3g} (range {low:g} to {high:g}) for {count} steps: {meaning}; {remedy}"
            if count >= self.patience:
                raise GameDegenerated(f"stopped: {text}")
            if count % max(1, self.patience // 10) == 0:
                warnings.append(text)
        return warnings

    def state_dict(self) -> dict[str, object]:
        return {"means": dict(self.means), "outside": dict(self.outside), "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        self.means = dict(state["means"])  # type: ignore[call-overload]
        self.outside = dict(state["outside"])  # type: ignore[call-overload]
        self.steps = int(state["steps"])  # type: ignore[call-overload]
