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
from torch.optim.adamw import adamw

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
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            if group["weight_decay"]:
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            update = self._muon if group["hidden"] else self._adam
            update(parameters, group)

    def _muon(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        gradients = _gradients(parameters)
        averages = self._kept(parameters, "momentum")
        torch._foreach_lerp_(averages, gradients, 1 - group["momentum"])
        ahead = torch._foreach_lerp(gradients, averages, group["momentum"])
        alike: dict[torch.Size, list[tuple[nn.Parameter, Tensor]]] = {}
        for parameter, direction in zip(parameters, ahead, strict=True):
            matrix = direction.flatten(1)
            alike.setdefault(matrix.shape, []).append((parameter, matrix))
        # Matrices of the same shape at once: a GPU waits for the starts of small kernels.
        for shape, members in alike.items():
            updates = orthogonalised(torch.stack([matrix for _, matrix in members]))
            rate = group["lr"] * 0.4 * max(shape) ** 0.5
            for (parameter, _), update in zip(members, updates, strict=True):
                parameter.sub_(update.reshape(parameter.shape), alpha=rate)

    def _adam(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        first, second = group["betas"]
        adamw(
            list(parameters),
            _gradients(parameters),
            self._kept(parameters, "mean"),
            self._kept(parameters, "square"),
            [],
            [self._step_of(parameter) for parameter in parameters],
            amsgrad=False,
            beta1=first,
            beta2=second,
            lr=group["lr"],
            weight_decay=0.0,  # done for all
            eps=1e-8,
            maximize=False,
        )

    def _step_of(self, parameter: nn.Parameter) -> Tensor:
        """Number of updates with a gradient; `adamw` counts it up."""
        state = self.state[parameter]
        state["step"] = torch.as_tensor(state.get("step", 0.0), dtype=torch.float32)
        return state["step"]

    def _kept(self, parameters: list[nn.Parameter], name: str) -> list[Tensor]:
        """This number of each parameter's state, zeros at first."""
        for parameter in parameters:
            if name not in self.state[parameter]:
                self.state[parameter][name] = torch.zeros_like(parameter)
        return [self.state[parameter][name] for parameter in parameters]


def _gradients(parameters: list[nn.Parameter]) -> list[Tensor]:
    return [p.grad for p in parameters if p.grad is not None]


def orthogonalised(matrix: Tensor) -> Tensor:
    """The nearest (semi-)orthogonal matrix, roughly: singular values between about 0.7 and 1.2.

    matrix: (m, n) or (B, m, n); five steps of the Newton-Schulz iteration, in bfloat16.
    """
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[-2] > matrix.shape[-1]
    x = matrix.mT if tall else matrix
    x = (x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)).bfloat16()
    add = torch.addmm if x.dim() == 2 else torch.baddbmm
    for _ in range(_STEPS):
        gram = x @ x.mT
        x = add(x, add(gram, gram, gram, beta=b, alpha=c), x, beta=a)  # a X + (b G + c G^2) X
    x = x.to(matrix.dtype)
    return x.mT if tall else x
