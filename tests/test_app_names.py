"""Names that come from outside are shown as they are, at a length that a page has room for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from app_server import AT_REST, open_tab, opened, refusal, upload

from hfstyle import StyleCode, StyleTransferPipeline

pytest.importorskip("gradio")

from hfstyle.studio.backend.refusals import LONGEST_NAME, in_hint, one_line, plain
from hfstyle.studio.backend.style_names import facts_of, shown_name

HOSTILE = "# ![cat](http://127.0.0.1:9/cat.png) <img src=http://127.0.0.1:9/dog.png> www.example.com\n\n| a |"


@pytest.fixture
def hostile_style(app_pipe: StyleTransferPipeline, tmp_path: Path) -> Path:
    code = app_pipe.preset("waves")
    metadata = {"title": HOSTILE + "y" * 100_000, "artist": HOSTILE}
    name = HOSTILE + "x" * 200_000
    StyleCode(code.vector, code.tokens, code.encoder, name, metadata).save(
        tmp_path / "hostile.style.safetensors"
    )
    return tmp_path / "hostile.style.safetensors"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("  Waves\n by\tHokusai ", "Waves by Hokusai"),
        ("a\u202egnp.exe", "a gnp.exe"),
        ("x" * 200_000, "x" * (LONGEST_NAME - 1) + "…"),
    ],
)
def test_a_name_becomes_one_line(text: str, line: str) -> None:
    assert one_line(text) == line


def test_nothing_of_markdown_is_left_in_plain_text() -> None:
    assert plain("a_b") == r"a\_b"
    assert plain("![x](y) <b>") == r"\!\[x\]\(y\) \<b\>"
    assert plain("Größe 北斎 7") == "Größe 北斎 7"
    assert "](" not in in_hint("[x](http://example.com)")
    assert in_hint("Größe 北斎 [7] a_b") == "Größe 北斎 [7] a_b"


@pytest.mark.slow
def test_a_style_files_name_is_text_on_the_page(
    browser: Any, running_app: Any, hostile_style: Path
) -> None:
    pytest.importorskip("skimage")
    from playwright.sync_api import expect

    with opened(browser, running_app, 1280) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        height = page.evaluate("document.documentElement.scrollHeight")
        page.get_by_role("tab", name="Style file").click()
        page.locator("input[type=file][accept*=safetensors]").first.set_input_files(hostile_style)
        status = page.locator("#status")
        expect(status).to_contain_text("![cat](http://127.0.0.1:9/cat.png) <img")
        assert status.locator("img, a, h1, table").count() == 0
        assert page.evaluate("document.documentElement.scrollHeight") < height + 400
        page.get_by_role(
            "tab", name="Gallery"
        ).click()  # its list of names says what is used instead
        expect(page.get_by_text("none of these is used, but # ![cat]")).to_be_visible()
        for tab in ("Regions", "Compare", "Mix", "Animate", "Video"):
            open_tab(page, tab)
            page.wait_for_function(AT_REST)
            if tab != "Video":
                expect(
                    page.get_by_text("On Stylize: # ![cat]").locator("visible=true")
                ).to_be_visible()
        open_tab(page, "Mix")
        expect(page.get_by_text("50% # ![cat]").locator("visible=true")).to_be_visible()
        page.get_by_role("button", name="or a picture or style file").locator(
            "visible=true"
        ).first.click()
        page.locator("#page-mix input[type=file][accept*=safetensors]").first.set_input_files(
            hostile_style
        )
        page.get_by_role("button", name="Use this style on Stylize").locator("visible=true").click()
        expect(status).to_contain_text("![cat]")
        page.get_by_role("button", name="Copy link").click()
        expect(page.get_by_text("whoever opens it sees")).to_be_visible()
        for made in (
            "img[src*='127.0.0.1:9']",
            "a[href*='127.0.0.1:9/']",
            "a[href*='example.com']",
        ):
            assert page.locator(made).count() == 0
        assert not [url for url in asked if "127.0.0.1:9/" in url or "example.com" in url]


def test_a_refusal_is_of_bounded_length(app_client: Any, app_folder: Path, tmp_path: Path) -> None:
    photo = upload(app_folder / "photo.png")
    said = refusal(app_client, content=photo, preset="x" * 100_000)
    assert len(said) < 600


def test_long_names_are_cut_in_results(
    app_client: Any, app_folder: Path, hostile_style: Path
) -> None:
    photo = upload(app_folder / "photo.png")
    path = app_client.predict(photo, style_file=upload(hostile_style), api_name="/stylize")
    assert len(Path(path).name) < 150
    assert Path(path).stat().st_size < 40_000


@pytest.mark.parametrize(
    ("name", "about", "shown"),
    [
        ("random style 7", {}, "random style 7"),
        ("an_artist", {"title": "The Drinker", "artist": "A. B.", "year": "1914"}, "The Drinker (A. B., 1914)"),
        ("x", {"title": "waves 1835 2", "artist": "ohara koson"}, "Waves (Ohara Koson, 1835)"),
        ("x", {"title": "the artist s cat", "artist": "leonardo da vinci"}, "The artist’s cat (Leonardo da Vinci)"),
        ("x", {"title": "Near the Lake", "artist": "Pierre-Auguste Renoir (French, 1841"}, "Near the Lake (Pierre-Auguste Renoir)"),
        ("x", {"title": "Virgin and Child with the Young Saint John the Baptist, Sain"}, "Virgin and Child with the Young Saint John the …"),
        ("x", {"title": "y" * 100}, "Y" + "y" * 53 + " …"),
        ("cat11_00838301", {"title": "cat11_00838301", "movement": "roman mosaic"}, "Roman mosaic"),
        ("x", {"movement": "chinese ink landscape (Song)"}, "Chinese ink landscape (Song)"),
    ],
)  # fmt: skip
def test_a_style_is_called_by_its_title_not_by_a_file(
    app_pipe: StyleTransferPipeline, name: str, about: dict[str, str], shown: str
) -> None:
    code = app_pipe.preset("waves")
    assert shown_name(StyleCode(code.vector, code.tokens, code.encoder, name, about)) == shown


def test_programs_are_told_the_same_in_parts(app_pipe: StyleTransferPipeline) -> None:
    code = app_pipe.preset("waves")

    def told(about: dict[str, str]) -> dict[str, str]:
        return facts_of(StyleCode(code.vector, code.tokens, code.encoder, "cat11_00838301", about))

    assert told({"title": "waves 1835 2", "artist": "ohara koson"}) == {
        "title": "Waves",
        "artist": "Ohara Koson",
        "year": "1835",
    }
    assert told({"title": "cat11_00838301", "movement": "roman mosaic"}) == {
        "title": "Roman mosaic"
    }
