"""What Python's functions take is what the table of options says."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_model import small_generator

from hfstyle import Region, StyleTransferOutput, StyleTransferPipeline, load_image
from hfstyle.batch import Stylizer, stylize_dataset
from hfstyle.film import Layers
from hfstyle.film.paint import PaintedFilm
from hfstyle.images import list_images, save_image
from hfstyle.limits import OPTIONS
from hfstyle.paths import save_animation, style_path
from hfstyle.upload import Upload


@pytest.mark.parametrize(
    "function",
    [
        StyleTransferPipeline.__call__,
        StyleTransferPipeline.paint_file,
        StyleTransferPipeline.learn_style,
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
    """Which the shell and the app read. A function may call an option otherwise; None is a default that it finds itself."""
    called = {"frames_per_second": "fps"}
    if function is PaintedFilm.save:
        called["quality"] = "film_quality"
    if function is StyleTransferPipeline.learn_style:
        called |= {"steps": "learning_steps", "size": "learning_size"}
    parameters = inspect.signature(function).parameters.values()
    told = {called.get(p.name, p.name): p.default for p in parameters}
    told = {n: given for n, given in told.items() if n in OPTIONS and given is not None}
    assert told
    assert told == {name: OPTIONS[name].default for name in told}


@pytest.fixture(scope="module")
def pipe() -> StyleTransferPipeline:
    return StyleTransferPipeline(small_generator(0))


@pytest.mark.parametrize("given", ["no", "", None, 2, 0.0])
def test_what_is_neither_true_nor_false_is_refused(
    pipe: StyleTransferPipeline, tmp_path: Path, given: Any
) -> None:
    """The word "no" would count as true."""
    photo = Image.new("RGB", (16, 16))
    photo.save(tmp_path / "photo.png")
    with pytest.raises(ValueError, match=r"keep_alpha is .*; give True or False"):
        pipe(photo, photo, keep_alpha=given)
    with pytest.raises(ValueError, match="keep_gps"):
        pipe.paint_file(tmp_path / "photo.png", tmp_path / "out.png", photo, keep_gps=given)
    with pytest.raises(ValueError, match="provenance"):
        stylize_dataset(pipe, str(tmp_path), [], tmp_path / "out", provenance=given)
    with pytest.raises(ValueError, match="overwrite"):
        save_image(photo, tmp_path / "photo.png", overwrite=given)
    with pytest.raises(ValueError, match="coarse"):
        Layers(coarse=given)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["photo.png"]


@pytest.mark.parametrize(
    "function",
    [
        StyleTransferPipeline.__call__,
        StyleTransferPipeline.from_pretrained,
        StyleTransferPipeline.paint_file,
        StyleTransferOutput.save,
        PaintedFilm.save,
        Stylizer,
        Upload.send,
        list_images,
        load_image,
        save_animation,
        save_image,
        style_path,
        stylize_dataset,
    ],
)
def test_no_function_takes_a_word_for_a_truth(function: Callable[..., Any]) -> None:
    parameters = inspect.signature(function).parameters.values()
    flags = [parameter.name for parameter in parameters if parameter.annotation == "bool"]
    assert flags
    for name in flags:
        with pytest.raises(ValueError, match=f"{name} is 'no'; give True or False"):
            function(**{name: "no"})


def test_truths_of_numpy_count(pipe: StyleTransferPipeline) -> None:
    clear = Image.new("RGBA", (16, 16))
    for kept, bands in ((np.True_, "RGBA"), (np.False_, "RGB"), (1, "RGBA")):
        assert pipe(clear, clear, keep_alpha=kept).images[0].mode == bands
