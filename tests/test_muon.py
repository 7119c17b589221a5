"""The optimiser of hidden weights: updates of one size in all directions, and descent."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from training.run.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(8, 8), (6, 40)])
def test_singular_values_become_alike(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape) @ torch.diag(torch.logspace(0, -1, shape[1]))
    values = torch.linalg.svdvals(orthogonalised(matrix))
    assert values.max() < 1.35
    assert values.min() > 0.4


def test_a_huge_gradient_moves_no_farther_than_a_small_one() -> None:
    steps = []
    for scale in (1.0, 1e4):
        torch.manual_seed(0)
        weight = nn.Parameter(torch.zeros(6, 4, 3, 3))
        optimizer = Muon([weight], [], lr=0.1)
        weight.grad = scale * torch.randn(6, 4, 3, 3)
        optimizer.step()
        steps.append(weight.detach().norm())
    torch.testing.assert_close(*steps, rtol=0.02, atol=0)


def test_it_fits_a_line_and_resumes_from_its_state() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(64, 8)
    target = inputs @ torch.randn(8, 4)

    def loss(layer: nn.Linear) -> torch.Tensor:
        return (layer(inputs) - target).square().mean()

    def run(layer: nn.Linear, optimizer: Muon, steps: int) -> float:
        for _ in range(steps):
            optimizer.zero_grad()
            value = loss(layer)
            value.backward()
            optimizer.step()
        return float(loss(layer).detach())

    def fresh() -> tuple[nn.Linear, Muon]:
        torch.manual_seed(1)
        layer = nn.Linear(8, 4)
        return layer, Muon([layer.weight], [layer.bias], lr=0.02)

    layer, optimizer = fresh()
    before = float(loss(layer).detach())
    run(layer, optimizer, 20)
    other, resumed = fresh()
    other.load_state_dict(layer.state_dict())
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    after = run(layer, optimizer, 100)
    assert after < 0.2 * before
    assert run(other, resumed, 100) == pytest.approx(after, rel=1e-4)
