"""How fast a run goes, and how long it has left."""

from __future__ import annotations

import math
import time

__all__ = ["Pace", "time_left"]


class Pace:
    """Counts from now on: what a run does before its first step says nothing of its steps.

    Args:
        step: the step at which the run starts.
        steps: at which it ends, if no time ends it before.
        deadline: of `time.monotonic()`, infinite if there is none.
    """

    def __init__(self, step: int, steps: int, deadline: float) -> None:
        self._step, self._steps, self._deadline = step, steps, deadline
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the first step began."""
        return time.monotonic() - self._started

    def told(self, step: int, with_steps: bool = False) -> str:
        """As "step 30, 4.1 min left"; with_steps: with how many there will be, and how long each takes."""
        seconds = self.seconds
        left = time_left(
            step - self._step, self._steps - self._step, seconds, self._deadline - self._started
        )
        if not with_steps:
            return f"step {step}, {left}"
        each = seconds / (step - self._step)
        in_time = self._step + (self._deadline - self._started) / each
        steps = f"{self._steps}" if in_time >= self._steps else f"about {_rounded(in_time)}"
        return f"step {step} of {steps}: {each:.2g} s a step, {left}"


def _rounded(number: float) -> int:
    """To two digits: more are not known after some steps."""
    unit = 10 ** max(0, int(math.log10(max(number, 1.0))) - 1)
    return max(1, round(number / unit)) * unit


def time_left(done: int, total: int, seconds: float, limit: float = math.inf) -> str:
    """How long a run goes on, as "12 min left".

    Args:
        done: steps since the start, from 1. total: steps from the start to the end.
        seconds: since the start.
        limit: seconds after which it ends in any case.
    """
    left = max(0.0, min(seconds / done * (total - done), limit - seconds))
    for unit, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if left >= 2 * unit:
            return f"{left / unit:.{1 if left < 10 * unit else 0}f} {name} left"
    return f"{left:.0f} s left"
