"""Muon: momentum whose matrices are orthogonalised, for hidden weights; AdamW for everything else.

After K. Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks". An update has the same size in
all directions of a matrix, so that the few pairs with huge gradients cannot throw a short run off its course, and
rarely used directions learn as fast as the others. torch.optim.Muon takes matrices only; here a convolution is the
matrix (out, in * kh * kw).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Muon", "orthogonalised"]

_STEPS = 5
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration, Jordan et al. 2024


class Muon(torch.optim.Optimizer):
    """One optimiser for all parameters of a module.

    Args:
        hidden: weights of at least two dimensions, updated by Muon.
        others: biases, input and output layers, updated by AdamW.
        lr: learning rate of both; Muon's updates have twice the root mean square that Liu et al. 2025, eq. 4, give them
            to match AdamW's.
        momentum: of Muon, with Nesterov's correction.
        betas, weight_decay: of AdamW; the decay is that of both.
    """

    def __init__(
        self,
        hidden: Iterable[nn.Parameter],
        others: Iterable[nn.Parameter],
        lr: float = 5e-4,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        shared = {"lr": lr, "weight_decay": weight_decay}
        groups: list[dict[str, Any]] = [
            {"params": list(hidden), "momentum": momentum, "hidden": True, **shared},
            {"params": list(others), "betas": betas, "hidden": False, **shared},
        ]
        super().__init__([group for group in groups if group["params"]], {})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of all parameters that have a gradient."""
        for group in self.param_groups:
            rate, decay = group["lr"], group["weight_decay"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                parameter.mul_(1 - rate * decay)
                update = self._muon if group["hidden"] else self._adam
                parameter.sub_(rate * update(parameter, group))

    def _muon(self, parameter: Tensor, group: dict[str, Any]) -> Tensor:
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        average = state["momentum"]
        average.lerp_(gradient, 1 - group["momentum"])
        update = orthogonalised(gradient.lerp(average, group["momentum"]).flatten(1))
        scale = 0.4 * max(update.shape) ** 0.5
        return scale * update.reshape(parameter.shape)

    def _adam(self, parameter: Tensor, group: dict[str, Any]) -> Tensor:
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        first, second = group["betas"]
        if not state:
            state |= {
                "step": 0,
                "mean": torch.zeros_like(parameter),
                "square": torch.zeros_like(parameter),
            }
        state["step"] += 1
        mean = state["mean"].lerp_(gradient, 1 - first)
        square = state["square"].lerp_(gradient.square(), 1 - second)
        mean = mean / (1 - first ** state["step"])
        return mean / (torch.sqrt(square / (1 - second ** state["step"])) + 1e-8)


def orthogonalised(matrix: Tensor) -> Tensor:
    """The nearest (semi-)orthogonal matrix, roughly: singular values between about 0.7 and 1.2.

    matrix: (m, n); five steps of the Newton-Schulz iteration, in bfloat16.
    """
    a, b, c = _COEFFICIENTS
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = (x / (x.norm() + 1e-7)).bfloat16()
    for _ in range(_STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    x = x.to(matrix.dtype)
    return x.T if matrix.shape[0] > matrix.shape[1] else x
