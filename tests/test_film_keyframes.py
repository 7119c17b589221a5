"""Styles, strengths and colours along a film."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hfstyle import StyleCode
from hfstyle.film import Keyframe, VideoError, parse_keyframes
from hfstyle.film.keyframes import Score, seconds_of


def code(value: float) -> StyleCode:
    return StyleCode(torch.full((4,), value), torch.full((2, 3), value), "0" * 16, str(value))


CODES = {"a": code(0.0), "b": code(1.0)}


def score(text: str, style: object = None, strength: float = 1.0) -> Score:
    return Score(parse_keyframes(text), lambda name: CODES[str(name)], style, strength)


def test_a_line_of_keyframes_is_read() -> None:
    assert parse_keyframes('0s:monet 1:30:words:fresco@0.5 2:"red, wet paint"@@0.2 3:@0.7') == [
        Keyframe(0, "monet"),
        Keyframe(90, "words:fresco", 0.5),
        Keyframe(2, "red, wet paint", None, 0.2),
        Keyframe(3, None, 0.7),
    ]
    assert parse_keyframes("0:a@@@0.2") == [Keyframe(0, "a", more={"faces": 0.2})]
    assert parse_keyframes("4s:random:5") == [Keyframe(4, "random:5")]
    assert [seconds_of(t) for t in ("7", "1.5s", "1:02", "1:00:00.5")] == [7, 1.5, 62, 3600.5]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("monet", "'monet' is not a keyframe"),
        ("0s:a@2", "'2' is not a number from 0 to 1"),
        ("0s:a 0s:b", "two keyframes are at 0 s"),
    ],
)
def test_what_is_wrong_with_a_line_is_named(line: str, words: str) -> None:
    with pytest.raises(VideoError, match=words):
        score(line)


def test_everything_changes_evenly_between_keyframes() -> None:
    way = score("1s:a@0.2 3s:b@1@0.5")
    for time, style, strength, color in (
        (0, 0, 0.2, 1),
        (1, 0, 0.2, 1),
        (2, 0.5, 0.6, 0.75),
        (3, 1, 1, 0.5),
        (9, 1, 1, 0.5),
    ):
        found, amount, palette = way.at(time)
        assert found.vector == pytest.approx(style)
        assert found.tokens.flatten().tolist() == pytest.approx([style] * 6)
        assert (amount, palette["color"]) == pytest.approx((strength, color))


def test_a_keyframe_without_a_style_keeps_it() -> None:
    way = score("0s:@0 2s:@1", style="b")
    assert way.at(1)[1] == 0.5
    assert way.at(1)[0] is CODES["b"]


def test_times_may_not_be_below_zero(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="times are from 0"):
        Score([Keyframe(-1.0, "a")], lambda name: CODES[str(name)])
    with pytest.raises(VideoError, match="at nan s; times are from 0"):
        Score([Keyframe(float("nan"), "a")], lambda name: CODES[str(name)])
    with pytest.raises(VideoError, match="is not a time"):
        seconds_of("soon")


def test_numbers_of_keyframes_are_shares() -> None:
    for numbers, words in (
        ({"strength": 5}, "strength is 5"),
        ({"strength": "half"}, "strength is 'half'"),
        ({"color": -1}, "color is -1"),
    ):
        with pytest.raises(ValueError, match=words):
            Score([Keyframe(0, "a", **numbers)], lambda name: CODES[str(name)])  # type: ignore[arg-type]
