"""The same photo in the same style, with nothing else said, is the same picture everywhere, to the pixel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from front_ends import app_functions, read, run

from hfstyle import StyleTransferPipeline
from hfstyle.examples import example_photo

# Short and long side in px; the front ends differ in what they do with larger photos.
SIZES: Final = {"small": (90, 120), "medium": (540, 610), "large": (1100, 1104)}
PRESET: Final = "great_wave_hokusai"


def by_command(folder: Path, photo: Path, style: str) -> Any:
    target = folder / "command.png"
    run("hfstyle", "stylize", photo, "--style", style, "-o", target, "--quiet")
    return read(target)


def by_batch(folder: Path, photo: Path, style: str) -> Any:
    (folder / "in").mkdir()
    photo.rename(folder / "in" / "photo.png")
    command = ("--dataset", folder / "in", "--style", style, "--output", folder / "out", "--quiet")
    run("hfstyle.batch", *command)
    return read(folder / "out" / "photo.png")


def by_app(folder: Path, photo: Path, style: str) -> Any:
    """As a program asks it; what it shows on its pages is smaller, and says so."""
    pipe = StyleTransferPipeline.from_pretrained()
    named = {"preset": style} if style == PRESET else {"style": style}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "app"))
        *_, result = app_functions(pipe)["stylize"](str(photo), **named)
        return read(result)


_AT_512 = "it paints at a short side of 512 px, Python at the photo's own"
DIFFERS: Final = {
    ("app", "medium"): _AT_512,
    ("app", "large"): _AT_512,
}
FRONT_ENDS: Final[dict[str, Callable[[Path, Path, str], Any]]] = {
    "command": by_command,
    "batch": by_batch,
    "app": by_app,
}


@pytest.fixture(scope="module")
def pipe() -> StyleTransferPipeline:
    return StyleTransferPipeline.from_pretrained()


@pytest.mark.parametrize("kind", ["preset", "picture"])
@pytest.mark.parametrize(
    ("front_end", "size"),
    [
        pytest.param(
            name,
            size,
            marks=pytest.mark.xfail(raises=AssertionError, strict=True, reason=DIFFERS[name, size])
            if (name, size) in DIFFERS
            else (),
        )
        for name in FRONT_ENDS
        for size in SIZES
    ],
)
def test_the_picture_is_that_of_python(
    pipe: StyleTransferPipeline, tmp_path: Path, front_end: str, size: str, kind: str
) -> None:
    photo, style = tmp_path / "photo.png", tmp_path / "style.png"
    height, width = SIZES[size]
    example_photo("astronaut").resize((width, height)).save(photo)
    example_photo("coffee").save(style)
    chosen = PRESET if kind == "preset" else str(style)
    expected = np.asarray(pipe(photo, chosen).images[0])
    found = FRONT_ENDS[front_end](tmp_path, photo, chosen)
    off = np.abs(found.astype(int) - expected)
    assert off.max() == 0, f"{off.mean():.2f}/255 on average, {off.max()} at most"


def test_the_app_computes_in_the_type_of_python(request: pytest.FixtureRequest) -> None:
    pytest.importorskip("gradio")
    from hfstyle.studio import load_model

    if StyleTransferPipeline.from_pretrained(dtype="auto").dtype != torch.float32:
        reason = (
            'it loads with dtype="auto", which is bfloat16 on this CPU; elsewhere it is float32'
        )
        request.applymarker(pytest.mark.xfail(raises=AssertionError, strict=True, reason=reason))
    assert load_model()[0].dtype == StyleTransferPipeline.from_pretrained().dtype


@pytest.mark.parametrize("name", ["faces", "outlines"])
def test_what_is_kept_of_a_photo_is_that_of_python(
    pipe: StyleTransferPipeline, tmp_path: Path, name: str
) -> None:
    """As a program asks it, at a size at which the app paints the photo as it is."""
    photo = tmp_path / "photo.png"
    example_photo("astronaut").resize((200, 200)).save(photo)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "app"))
        ask = app_functions(pipe)["stylize"]
        found = [read([*ask(str(photo), preset=PRESET, **{name: n})][-1]) for n in (0.0, 1.0)]
    for pixels, number in zip(found, (0.0, 1.0), strict=True):
        painted: Any = pipe(photo, PRESET, **{name: number}).images[0]  # type: ignore[arg-type]
        np.testing.assert_array_equal(pixels, np.asarray(painted))
    assert np.abs(found[0].astype(int) - found[1]).max() > 20
