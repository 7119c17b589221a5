"""What a painter of films remembers of the frames before, also as tensors for a file.

h, w size at which the network runs
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hfstyle.film.flow import Tracker

__all__ = ["Floats", "Memory"]

Floats = NDArray[np.float32]

_STATISTICS: Final = "statistics."
_PICTURES: Final = ("faces", "change", "paint", "mark")


@dataclass
class Memory:
    """What is remembered.

    size: (H, W) of the frames.
    asked: the style's vector, strength and the other numbers.
    origin: px down and right, where the grid of the coarse level began.
    settling: how much of the time is left for which less is kept since something else was asked for, from 1 to 0.
    faces: (h', w'), where faces are, smaller than the frame.
    faces_age: frames since they were looked for.
    coarse_age, coarse_since: frames and seconds since the coarse painting was made anew.
    change: (h, w, 3), what the coarse painting changed of the frame before.
    paint, mark: (h, w, 3), the frame before and the tracker's mark as painted at full thickness.
    """

    time: float
    tracker: Tracker
    palette: NDArray[Any]
    size: tuple[int, ...]
    asked: Tensor | None = None
    statistics: dict[str, Tensor] = field(default_factory=dict)
    origin: tuple[float, ...] | None = None
    settling: float = 0.0
    faces: Floats | None = None
    faces_age: int = 0
    coarse_age: int = 0
    coarse_since: float = 0.0
    change: Floats | None = None
    paint: Floats | None = None
    mark: Floats | None = None

    def forget_paintings(self) -> None:
        """Of a frame that is not painted, nothing but its motion is remembered."""
        self.faces = self.change = self.paint = self.mark = None

    def tensors(self, cuts: int) -> dict[str, Tensor]:
        """All of it, and the number of cuts, on the CPU."""
        kept = {f"{_STATISTICS}{name}": x.cpu() for name, x in self.statistics.items()}
        arrays: dict[str, NDArray[Any] | None] = {
            "palette": self.palette,
            "asked": None if self.asked is None else self.asked.numpy(),
            "before": self.tracker.before,
            "view_of_mark": self.tracker.mark,
            "far": self.tracker.far,
            "far_certain": self.tracker.far_certain,
            "origin": None if self.origin is None else np.array(self.origin),
            **{name: getattr(self, name) for name in _PICTURES},
        }
        kept |= {k: torch.from_numpy(x.copy()) for k, x in arrays.items() if x is not None}
        numbers = [self.time, self.tracker.age, cuts, self.settling, *self.size]
        kept["time"] = torch.tensor(numbers, dtype=torch.float64)
        return {name: x.contiguous() for name, x in kept.items()}

    @classmethod
    def of(cls, kept: dict[str, Tensor], device: torch.device) -> tuple[Memory, int]:
        """What `tensors` returned, and the number of cuts; statistics go to the device."""
        arrays = {name: x.numpy() for name, x in kept.items() if not name.startswith(_STATISTICS)}
        time, age, cuts, settling, *size = kept["time"].tolist()
        tracker = Tracker(arrays["before"])
        tracker.mark, tracker.age = arrays["view_of_mark"], int(age)
        tracker.far, tracker.far_certain = arrays["far"], arrays["far_certain"]
        height, width = map(int, size)
        memory = cls(time, tracker, arrays["palette"], (height, width), kept.get("asked"))
        memory.settling = settling
        memory.statistics = {
            name.removeprefix(_STATISTICS): x.to(device)
            for name, x in kept.items()
            if name.startswith(_STATISTICS)
        }
        if "origin" in arrays:
            memory.origin = tuple(arrays["origin"].tolist())
        for name in _PICTURES:
            setattr(memory, name, arrays.get(name))
        return memory, int(cuts)
