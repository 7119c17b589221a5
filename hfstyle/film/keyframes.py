"""A style, strength and colour that change along a film: "0s:starry_night_van_gogh 4s:great_wave_hokusai@0.7"."""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from hfstyle.film.errors import VideoError
from hfstyle.limits import NUMBERS, Numbers, all_numbers, as_share, by_name
from hfstyle.styles.code import StyleCode

__all__ = ["Keyframe", "Score", "parse_keyframes", "seconds_of"]

_CLOCK: Final = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)s?")


@dataclass(frozen=True)
class Keyframe:
    """What holds at a time; between two of them, everything changes evenly.

    time: in seconds of the film, from 0.
    style: whatever may be the style of `StyleTransferPipeline`'s call; None is that of the keyframe before.
    strength, color: in [0, 1]; None is that of the film.
    more: others of `hfstyle.limits.NUMBERS`, by name.
    """

    time: float
    style: object = None
    strength: float | None = None
    color: float | None = None
    more: Mapping[str, float] = field(default_factory=dict)

    @property
    def numbers(self) -> dict[str, float]:
        """Those of `hfstyle.limits.NUMBERS` that it sets."""
        return {**({} if self.color is None else {"color": self.color}), **self.more}


def seconds_of(text: str) -> float:
    """Seconds of "12.5", "12.5s", "1:12.5" or "1:02:12.5". Raises VideoError for anything else."""
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        raise VideoError(f"{text!r} is not a time; write seconds, as 12.5, or 1:02:12.5")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def parse_keyframes(text: str) -> list[Keyframe]:
    """Keyframes of a line: TIME:STYLE, TIME:STYLE@STRENGTH, TIME:@STRENGTH or TIME:STYLE@STRENGTH@COLOR, spaces between.

    What follows is the next of `hfstyle.limits.NUMBERS`: TIME:STYLE@STRENGTH@COLOR@FACES.
    A style whose name has spaces is written in quotation marks: 4s:"soft watercolour of a misty lake".

    Raises VideoError, naming the part that cannot be read.
    """
    found = []
    for part in re.findall(r'(?:[^\s"]|"[^"]*")+', text):
        match = re.fullmatch(r"((?:\d+:){0,2}\d+(?:\.\d+)?s?):(.*)", part)
        if match is None:
            raise VideoError(
                f"{part!r} is not a keyframe; write TIME:STYLE or TIME:STYLE@STRENGTH, as 4s:great_wave_hokusai@0.8"
            )
        style, *numbers = match[2].replace('"', "").split("@")
        names = ("strength", *NUMBERS)
        if len(numbers) > len(names):
            raise VideoError(f"{part!r} has more than {', '.join(names)} after the style")
        shares = ((name, _share(n, part)) for name, n in zip(names, numbers, strict=False))
        given = {name: share for name, share in shares if share is not None}
        if not style and not given:
            raise VideoError(f"{part!r} names neither a style nor a strength")
        strength, color = given.pop("strength", None), given.pop("color", None)
        found.append(Keyframe(seconds_of(match[1]), style or None, strength, color, given))
    if not found:
        raise VideoError("there is no keyframe; write them as 0s:STYLE 4s:STYLE")
    return found


def _share(text: str, part: str) -> float | None:
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        raise VideoError(f"{part!r}: {text!r} is not a number from 0 to 1")
    return number


class Score:
    """What is asked for at each time of a film.

    Args:
        keyframes: in any order, at times of their own.
        encode: from a keyframe's style to its code.
        style: of keyframes without one, before the first that has one; may be None.
        strength, numbers: of keyframes without.
    """

    def __init__(
        self,
        keyframes: Sequence[Keyframe],
        encode: Callable[[object], StyleCode],
        style: object = None,
        strength: float = 1.0,
        numbers: Numbers | None = None,
    ) -> None:
        for keyframe in keyframes:
            if not 0 <= keyframe.time < math.inf:  # NaN as well
                raise VideoError(f"a keyframe is at {keyframe.time} s; times are from 0")
        ordered = sorted(keyframes, key=lambda k: k.time) or [Keyframe(0.0)]
        self.times: Final = [k.time for k in ordered]
        for first, second in zip(self.times, self.times[1:], strict=False):
            if first == second:
                raise VideoError(f"two keyframes are at {first:g} s; one moment has one style")
        self.rows: list[tuple[StyleCode, float, Numbers]] = []
        codes: dict[int | str, StyleCode] = {}
        current = style
        for keyframe in ordered:
            current = keyframe.style if keyframe.style is not None else current
            if current is None:
                raise VideoError(
                    f"there is no style at {keyframe.time:g} s; give one, or begin the keyframes with one"
                )
            key = current if isinstance(current, str) else id(current)
            if key not in codes:
                codes[key] = encode(current)
            self.rows.append(
                (
                    codes[key],
                    strength
                    if keyframe.strength is None
                    else as_share("strength", keyframe.strength),
                    all_numbers({**(numbers or {}), **keyframe.numbers}),
                )
            )

    def at(self, time: float) -> tuple[StyleCode, float, Numbers]:
        """Style, strength and the other numbers at a time in seconds."""
        after = bisect.bisect_right(self.times, time)
        if after == 0 or after == len(self.times):
            return self.rows[max(0, after - 1)]
        first, second = self.rows[after - 1], self.rows[after]
        begin, stop = self.times[after - 1 : after + 1]
        share = (time - begin) / (stop - begin)
        code = first[0] if first[0] is second[0] else first[0].toward(second[0], share)
        one, other = by_name(first[2]), by_name(second[2])
        between = {name: one[name] + share * (other[name] - one[name]) for name in NUMBERS}
        return code, first[1] + share * (second[1] - first[1]), cast(Numbers, between)
