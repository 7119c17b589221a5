"""The monitor of the game: warns in words, stops in time, and does not cry wolf."""

from __future__ import annotations

import math

import pytest

from training.game.monitor import GameDegenerated, GameMonitor

HEALTHY = {
    "d_accuracy_real": 0.8,
    "d_accuracy_fake": 0.8,
    "d_logit_size": 1.0,
    "d_condition": 0.3,
    "diversity": 0.7,
    "code_spread": 0.5,
    "loss_style": 1e6,
}


def run(monitor: GameMonitor, steps: int, **changes: float) -> list[str]:
    warnings = []
    for _ in range(steps):
        warnings += monitor.update(HEALTHY | changes)
    return warnings


def test_a_healthy_game_is_left_alone() -> None:
    assert run(GameMonitor(patience=20), 500) == []


@pytest.mark.parametrize(
    ("name", "value", "meaning"),
    [
        ("d_accuracy_fake", 1.0, "tells every fake; lower --discriminator_learning_rate"),
        ("d_accuracy_fake", 0.0, "calls everything real; raise --discriminator_learning_rate"),
        ("code_spread", 0.0, "all styles have nearly the same code"),
    ],
)
def test_a_degenerate_game_is_warned_of_and_then_stopped(
    name: str, value: float, meaning: str
) -> None:
    monitor = GameMonitor(patience=100, decay=0.9)
    warnings = run(monitor, 50)
    message = rf"stopped: {name} is .* for 100 steps.*{meaning}"
    with pytest.raises(GameDegenerated, match=message):  # noqa: PT012
        for _ in range(400):
            warnings += monitor.update(HEALTHY | {name: value})
    assert 5 <= len(warnings) <= 10
    assert all(meaning in text and "range" in text for text in warnings)


def test_a_discriminator_that_ignores_the_style_is_only_warned_of() -> None:
    warnings = run(GameMonitor(patience=50), 400, d_condition=-0.01)
    assert warnings
    assert all("wrong style" in text for text in warnings)


def test_a_game_that_recovers_goes_on() -> None:
    monitor = GameMonitor(patience=100, decay=0.9)
    run(monitor, 20)
    for _ in range(5):
        run(monitor, 80, d_accuracy_fake=1.0)
        run(monitor, 80)


def test_the_warmup_begins_with_a_numbers_first_measurement() -> None:
    """The discriminator enters late, and is bad at first."""
    monitor = GameMonitor(patience=50, warmup=100)
    for _ in range(1000):
        assert monitor.update({"diversity": 0.5}) == []
    warnings = []
    for _ in range(100):
        warnings += monitor.update({"diversity": 0.5, "d_accuracy_real": 0.0})
    assert warnings == []
    with pytest.raises(GameDegenerated):
        run(monitor, 51, d_accuracy_real=0.0)


def test_patience_is_counted_in_steps_also_for_what_is_measured_now_and_then() -> None:
    monitor = GameMonitor(patience=200, warmup=0)
    with pytest.raises(GameDegenerated, match="diversity"):  # noqa: PT012
        for step in range(1000):
            monitor.update({"diversity": 0.0} if step % 10 == 0 else {})
    assert 200 <= monitor.steps <= 220


def test_one_odd_number_does_not_poison_the_means() -> None:
    monitor = GameMonitor(patience=20, warmup=0)
    run(monitor, 10)
    assert run(monitor, 1, d_logit_size=math.nan, diversity=math.inf) == []
    assert run(monitor, 100) == []
    assert monitor.means["d_logit_size"] == pytest.approx(1)


def test_a_resumed_monitor_goes_on_counting() -> None:
    first = GameMonitor(patience=100, decay=0.5, warmup=0)
    run(first, 5)
    run(first, 60, d_accuracy_fake=1.0)
    second = GameMonitor(patience=100, decay=0.5, warmup=0)
    second.load_state_dict(first.state_dict())
    with pytest.raises(GameDegenerated):
        run(second, 50, d_accuracy_fake=1.0)
