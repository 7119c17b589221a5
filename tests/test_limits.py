"""What Python's functions take is what the table of options says."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from hfstyle import Region, StyleTransferPipeline
from hfstyle.batch import stylize_dataset
from hfstyle.film.paint import PaintedFilm
from hfstyle.images import save_image
from hfstyle.limits import OPTIONS
from hfstyle.paths import save_animation, style_path


@pytest.mark.parametrize(
    "function",
    [
        StyleTransferPipeline.__call__,
        StyleTransferPipeline.paint_file,
        StyleTransferPipeline.sample_style,
        stylize_dataset,
        save_animation,
        save_image,
        style_path,
        Region,
        PaintedFilm.save,
    ],
)
def test_defaults_of_python_are_those_of_the_table(function: Callable[..., Any]) -> None:
    """Which the shell and the app read; a function may call an option otherwise, or paint a film."""
    called = {"frames_per_second": "fps"}
    if function is PaintedFilm.save:
        called["quality"] = "film_quality"
    parameters = inspect.signature(function).parameters.values()
    told = {called.get(p.name, p.name): p.default for p in parameters}
    told = {name: default for name, default in told.items() if name in OPTIONS}
    assert told
    assert told == {name: OPTIONS[name].default for name in told}
