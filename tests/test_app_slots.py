"""Mixtures and animations that begin with the style of Stylize, whatever that is: a preset, a picture, a style file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_server import AT_REST, bring_photo, open_tab, opened, upload

gr = pytest.importorskip("gradio")

from hfstyle import StyleCode, StyleTransferPipeline  # noqa: E402
from hfstyle.studio.backend.engine import Studio  # noqa: E402
from hfstyle.studio.backend.origin import made_again, origin_of  # noqa: E402
from hfstyle.studio.pages.animate import AnimateHandlers  # noqa: E402
from hfstyle.studio.pages.chosen import AS_ON_STYLIZE, OnStylize  # noqa: E402
from hfstyle.studio.pages.mix import MixHandlers  # noqa: E402
from hfstyle.studio.pages.slots import as_it_was, slot_styles  # noqa: E402

FIRST = (AS_ON_STYLIZE, None, 1.0)
NONE = (None, None, 0.0)
NO_FILES = (None,) * 4


@pytest.fixture
def studio(
    app_pipe: StyleTransferPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Studio:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    return Studio(app_pipe)


def saved(studio: Studio, *values: Any) -> tuple[str, StyleCode]:
    """The file of a mixture, and its style."""
    *_, path = MixHandlers(studio).save_mixture(384, *values)
    code = studio.style(None, path, None, 384)
    assert code is not None
    return path, code


def test_a_mixture_has_the_style_of_stylize(studio: Studio, app_folder: Path) -> None:
    slots = (*FIRST, "night", None, 1.0, *NONE, *NONE)
    _, of_preset = saved(studio, *slots, *NO_FILES, "waves", None, None)
    assert of_preset.name == "50% Waves + 50% Night"
    picture = str(app_folder / "style.png")
    _, of_picture = saved(studio, *slots, *NO_FILES, None, picture, None)
    assert of_picture.name == "50% style + 50% Night"
    assert origin_of(of_picture) == ""
    with pytest.raises(gr.Error, match="Choose a style on Stylize"):
        saved(studio, *slots, *NO_FILES)


def test_a_mixture_of_a_mixture_goes_along_with_a_link(studio: Studio) -> None:
    slots = (*FIRST, "night", None, 1.0, *NONE, *NONE)
    file, _ = saved(studio, *slots, *NO_FILES, "waves", None, None)
    _, code = saved(studio, *FIRST, "squares", None, 0.5, *NONE, *NONE, *NO_FILES, None, None, file)
    assert code.name == "67% (50% Waves + 50% Night) + 33% Squares"
    again = made_again(studio.pipe, origin_of(code))
    assert again is not None
    np.testing.assert_allclose(again.vector, code.vector, atol=1e-4)
    # The same, its style file brought to Mix.
    brought = (None, None, 1.0, "squares", None, 0.5, *NONE, *NONE)
    _, other = saved(studio, *brought, file, None, None, None)
    assert (other.name, origin_of(other)) == (code.name, origin_of(code))


def test_what_is_mixed_stays_when_the_mixture_is_used(studio: Studio, app_folder: Path) -> None:
    slots = (*FIRST, AS_ON_STYLIZE, str(app_folder / "style.png"), 0.5, "night", None, 1.0, *NONE)
    file, _ = saved(studio, *slots, *NO_FILES, "waves", None, None)
    for chosen in (
        ("waves", None, None),
        (None, str(app_folder / "style.png"), None),
        (None, None, file),
    ):
        mixed = slot_styles(studio, 384, slots, NO_FILES, OnStylize(*chosen))
        kept = as_it_was(slots, NO_FILES, *chosen)
        assert AS_ON_STYLIZE not in kept[0][::3][:1]
        after = slot_styles(studio, 384, *kept, OnStylize("squares"))
        assert [code.name for code in after[0]] == [code.name for code in mixed[0]]
        for ours, theirs in zip(after[0], mixed[0], strict=True):
            np.testing.assert_array_equal(ours.vector, theirs.vector)


def test_an_animation_begins_with_the_style_of_stylize(studio: Studio, app_folder: Path) -> None:
    path = str(app_folder / "photo.png")
    handlers, settings = AnimateHandlers(studio), [0.8, 1.0, 384, 0.9, 0.0]
    slots = (*FIRST, "night", None, 1.0, *NONE, *NONE)
    asked = [path, *settings, 2, 128, *slots, *NO_FILES]
    *_, (shown, _) = handlers.path_here(
        *asked, "squares", None, None, progress=lambda *_, **__: None
    )
    assert Path(shown).name == "photo__squares_to_night.gif"
    with pytest.raises(gr.Error, match="Choose a style on Stylize"):
        list(handlers.path(*asked, progress=lambda *_, **__: None))


def test_programs_mix_style_files(app_client: Any, app_folder: Path) -> None:
    photo, style = (upload(app_folder / name) for name in ("photo.png", "style.png"))
    file = app_client.predict(style, name="mine", api_name="/encode")
    _, mixture = app_client.predict(
        photo, preset_2="night", file_1=upload(Path(file)), api_name="/mix"
    )
    assert StyleCode.load(mixture).name == "50% mine + 50% Night"


@pytest.mark.slow
def test_one_style_is_that_of_all_pages(browser: Any, running_app: Any, app_folder: Path) -> None:
    """What is chosen on Stylize is mixed and animated; using the mixture leaves the page Mix as it is, reload or not."""
    pytest.importorskip("skimage")
    from playwright.sync_api import expect

    with opened(browser, running_app, 1280) as page:
        bring_photo(page, app_folder)
        status = page.locator("#status")
        page.get_by_role("button", name="Night, A. Painter, 1900").first.click()
        expect(status).to_contain_text("Night")
        open_tab(page, "Mix")
        # Of Night with Night, the second style of the page, there is no mixture.
        expect(page.get_by_text("50% Night + 50% Waves")).to_be_visible()
        expect(page.get_by_text("On Stylize: Night").locator("visible=true")).to_be_visible()
        open_tab(page, "Stylize")
        page.get_by_role("button", name="Squares, A. Painter, 1900").first.click()
        expect(status).to_contain_text("Squares")
        open_tab(page, "Mix")
        mixed = page.get_by_text("50% Squares + 50% Waves", exact=True).locator("visible=true")
        expect(mixed).to_be_visible()
        page.wait_for_function(AT_REST)

        page.get_by_role("button", name="Use this style on Stylize").locator("visible=true").click()
        expect(status).to_contain_text("50% Squares + 50% Waves")
        expect(page).to_have_url(re.compile("origin=mix"))
        for come_again in (lambda: None, page.reload):
            come_again()
            expect(status).to_contain_text("50% Squares + 50% Waves")
            open_tab(page, "Mix")
            expect(page.get_by_label("Style 1", exact=True)).to_have_value(
                "Squares (A. Painter, 1900)"
            )
            expect(mixed).to_be_visible()
            page.wait_for_function(AT_REST)

        open_tab(page, "Animate")
        expect(page.get_by_text("On Stylize: 50% Squares").locator("visible=true")).to_be_visible()
        page.get_by_label("number input for Steps").fill("2")
        page.get_by_role("button", name="Make the animation").click()
        link = page.locator(".files a[download*='.gif']:visible")
        expect(link.first).to_have_attribute("download", "photo__50_squares_50_waves_to_waves.gif")
