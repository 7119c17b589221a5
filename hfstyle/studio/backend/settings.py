"""What a visitor sets with the sliders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Final, TypeVar, cast

from hfstyle.limits import NUMBERS, OPTIONS, Numbers, Option
from hfstyle.studio.backend.endpoints import spread
from hfstyle.studio.backend.refusals import number, whole

__all__ = ["DEFAULTS", "DEFAULT_RESOLUTION", "SETTINGS", "Settings", "with_settings"]

_Handler = TypeVar("_Handler", bound=Callable[..., Any])

DEFAULT_RESOLUTION: Final[int] = OPTIONS["resolution"].default
"""Not "auto", as elsewhere: a preview comes within a second, and the full-size picture has the strokes of its preview."""


@dataclass(frozen=True)
class Settings:
    """How a photo is painted, whatever the style: by the names of `hfstyle.limits.OPTIONS`, in the order of the endpoints."""

    strength: float = OPTIONS["strength"].default
    color: float = OPTIONS["color"].default
    style_size: int = OPTIONS["style_size"].default
    resolution: int = DEFAULT_RESOLUTION
    faces: float = OPTIONS["faces"].default
    outlines: float = OPTIONS["outlines"].default

    def numbers(self) -> Numbers:
        """Those that a call of the pipeline takes as they are."""
        return cast(Numbers, {name: getattr(self, name) for name in NUMBERS})

    @classmethod
    def of(cls, *values: float | None, without: str = "") -> Settings:
        """From sliders, in the order of `SETTINGS`, but for one that a page has not; whole numbers may come as floats."""
        names = [name for name in SETTINGS if name != without]
        return cls(**{n: _read(n, value) for n, value in zip(names, values, strict=True)})


SETTINGS: Final = tuple(field.name for field in fields(Settings))
"""Names of the sliders, as of `hfstyle.limits.OPTIONS`."""
DEFAULTS: Final = Settings()


def _read(name: str, value: float | None) -> Any:
    """What a slider or a program gives, which may be none, NaN or out of range."""
    option, called = OPTIONS[name], name.replace("_", " ")
    assert option.least is not None
    assert option.most is not None
    if isinstance(option.default, int):
        return whole(value, called)
    return number(value, called, option.least, option.most)


def _about(option: Option) -> str:
    """A sentence with the range that the slider has."""
    (least, most), limits = option.offered, (option.least, option.most)
    return option.about.replace("{:g} to {:g}".format(*limits), f"{least:g} to {most:g}")


def with_settings(without: str = "") -> Callable[[_Handler], _Handler]:
    """A handler's `settings` are a parameter for each slider, but for one that its page has not."""
    names = [name for name in SETTINGS if name != without]
    return spread(
        "settings",
        {name: getattr(DEFAULTS, name) for name in names},
        {name: _about(OPTIONS[name]) for name in names},
        partial(Settings.of, without=without),
    )
