"""What one step paints: pairs at strengths of their own, a few pictures in their own style, a few photos moved.

B pairs · F of them at full strength · E extra pictures of each kind · S side of a crop · L side for the style encoder
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from training.data.variation import vary_colors, vary_patterns
from training.game.views import channels_last, move, random_places, resized, to_float

__all__ = ["Batch", "BatchesAhead", "draw_batch"]


@dataclass(frozen=True)
class Batch:
    """The pictures of a step.

    Attributes:
        content: (B, 3, S, S), the photos, in [0, 1] as all pictures here.
        style: (B, 3, S, S), a crop of each painting, whose code is the condition.
        real: (B, 3, S, S), another crop of each painting.
        themselves: (E or 0, 3, S, S), pictures styled by themselves.
        full: F; the first F pairs are painted at strength 1.
        own, again: how many pictures are styled by themselves, and how many contents are painted once more, moved.
        down, right: pixels by which they are moved.
        all_content: (N, 3, S, S), contents, themselves, moved contents; N = B + own + again.
        all_style: (N, 3, L, L), their styles, as the style encoder sees them.
        strength: (N,).
        grain: (N, 2), places on the grain's pattern, negative without it.
    """

    content: Tensor
    style: Tensor
    real: Tensor
    themselves: Tensor
    full: int
    own: int
    again: int
    down: int
    right: int
    all_content: Tensor
    all_style: Tensor
    strength: Tensor
    grain: Tensor

    def split(self, painted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs (N, 3, S, S) for `all_content` -> those of the pairs, of themselves, of the moved contents."""
        output, identity, repeated = painted.split((len(self.content), self.own, self.again))
        return output, identity, repeated


def draw_batch(args: Any, loaders: dict[str, Any], step: int, device: torch.device) -> Batch:
    """Draw the pictures of a step, with strengths, moves and places of the grain."""
    size = args.train_batch_size
    content = to_float(loaders["content"].next_batch()[:, 0], device)
    crops = to_float(loaders["style"].next_batch().flatten(0, 1), device).unflatten(0, (size, 2))
    crops = vary_patterns(vary_colors(crops, args.color_jitter), args.pattern_share)
    style, real = channels_last(crops[:, 0]), channels_last(crops[:, 1])

    full = max(1, round(size * args.full_strength_share))
    extra = max(1, size // 8)
    own = extra if args.identity_weight > 0 else 0
    again = extra if args.consistency_weight > 0 else 0
    strength = torch.ones(size + own + again, device=device)
    strength[full:size] = torch.rand(size - full, device=device)
    themselves = content[:own] if step % 2 else style[:own]  # photos and paintings in turn
    moved, down, right = move(content[:again], args.move_multiple)
    grain = random_places(len(strength), args.grain_share, device)
    if again:  # the pattern cannot be moved by parts of a cell
        grain[:again] = grain[-again:] = -1
    all_style = resized(torch.cat((style, themselves, style[:again])), args.loss_resolution)
    return Batch(
        content=content,
        style=style,
        real=real,
        themselves=themselves,
        full=full,
        own=own,
        again=again,
        down=down,
        right=right,
        all_content=channels_last(torch.cat((content, themselves, moved))),
        all_style=channels_last(all_style),
        strength=strength,
        grain=grain,
    )


class BatchesAhead:
    """Batches of consecutive steps, drawn by a thread while the GPU is at work, on a CUDA stream of their own.

    Drawing is many small kernels, which a GPU would wait for. Which pictures a step sees is as without; which random numbers
    vary them is not, and a resumed run leaves out the batches that were drawn and not used. On other devices without a stream.

    Args:
        args, loaders, step, device: of `draw_batch`; `step` is the first.
        ahead: batches that wait at most.
    """

    def __init__(
        self, args: Any, loaders: dict[str, Any], step: int, device: torch.device, ahead: int = 2
    ) -> None:
        self._args, self._loaders, self._device = args, loaders, device
        self._step, self._number = step, ahead
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._pool = ThreadPoolExecutor(1, "batches ahead")
        self._ahead: deque[Future[tuple[Batch, Any]]] = deque()

    def next(self) -> Batch:
        """The next step's batch. Raises what drawing it raised."""
        while len(self._ahead) <= self._number:
            self._ahead.append(self._pool.submit(self._draw, self._step))
            self._step += 1
        batch, drawn = self._ahead.popleft().result()
        if drawn is not None:
            stream = torch.cuda.current_stream()
            stream.wait_event(drawn)
            for field in fields(batch):
                if isinstance(tensor := getattr(batch, field.name), Tensor):
                    tensor.record_stream(stream)
        return batch

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _draw(self, step: int) -> tuple[Batch, Any]:
        with torch.cuda.stream(self._stream):
            batch = draw_batch(self._args, self._loaders, step, self._device)
            return batch, self._stream and self._stream.record_event()
