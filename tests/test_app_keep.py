"""What a visitor takes along from the web demo: files in a format, a zip, an address, lines of code; and finds by groups."""

from __future__ import annotations

import json
import re
import shlex
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import pytest
from app_server import AT_REST, bring_photo, open_tab, opened, picture, refusal, upload
from PIL import Image

from hfstyle import StyleTransferPipeline
from hfstyle.images.exif import resolution_of

gr = pytest.importorskip("gradio")

from hfstyle.studio.backend import engine, groups, jobs, recipe  # noqa: E402
from hfstyle.studio.backend.origin import (  # noqa: E402
    carried_origin,
    is_of_ones_own,
    made_again,
    origin_of,
    own_line,
    with_origin,
)
from hfstyle.studio.backend.settings import Settings  # noqa: E402
from hfstyle.studio.backend.timing import Expected  # noqa: E402
from hfstyle.studio.pages.keep import (  # noqa: E402
    own_uploads,
    restored,
    restored_uploads,
    told_of_link,
)
from hfstyle.studio.pages.many import ManyHandlers  # noqa: E402
from hfstyle.studio.pages.mix import MixHandlers  # noqa: E402
from hfstyle.studio.pages.shared import FIRST  # noqa: E402
from hfstyle.studio.pages.wipe import WipeHandlers, wiped  # noqa: E402


@pytest.fixture
def studio(
    app_pipe: StyleTransferPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> engine.Studio:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    return engine.Studio(app_pipe)


class TestFormats:
    def test_a_file_comes_in_the_format_that_was_asked_for(
        self, app_client: Any, app_folder: Path
    ) -> None:
        ask = {"content": upload(app_folder / "photo.png"), "preset": "waves", "strength": 0.75}
        png = Image.open(app_client.predict(**ask, api_name="/stylize")).convert("RGB")
        sizes = {}
        for name, quality in (("jpeg", 95), ("webp", 95), ("jpeg", 20)):
            path = app_client.predict(**ask, format=name, quality=quality, api_name="/stylize")
            suffix = "jpg" if name == "jpeg" else name
            assert (
                Path(path).name
                == f"photo__waves_strength075_color100_faces090_brush384_res512.{suffix}"
            )
            sizes[name, quality] = Path(path).stat().st_size
            with Image.open(path) as painted:
                assert (painted.format, painted.size) == (name.upper(), (70, 50))
                if quality == 95:
                    away = np.abs(np.asarray(painted.convert("RGB"), int) - np.asarray(png, int))
                    assert away.mean() < 12
        assert sizes["jpeg", 20] < sizes["jpeg", 95]

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [({"format": "bmp"}, "bmp"), ({"format": "jpeg", "quality": 101}, "quality|100")],
    )
    def test_another_format_is_refused(
        self, app_client: Any, app_folder: Path, wrong: dict[str, Any], told: str
    ) -> None:
        photo = upload(app_folder / "photo.png")
        said = refusal(app_client, content=photo, preset="waves", **wrong)
        assert any(word in said for word in told.split("|"))

    def test_size_and_time_are_said_before(self, studio: engine.Studio, tmp_path: Path) -> None:
        turned = picture(70, 50)
        exif = turned.getexif()
        exif[0x0112] = 6
        turned.save(tmp_path / "turned.jpg", exif=exif)
        photo = str(tmp_path / "turned.jpg")
        at = Settings()
        assert ". At full size 50 × 70 px, in about" in studio.told_full_size(photo, (25, 35), at)
        told = studio.told_full_size(photo, (50, 70), at)
        assert told.startswith(", also at full size, which takes")
        (tmp_path / "notes.png").write_bytes(b"notes")
        assert studio.told_full_size(str(tmp_path / "notes.png"), (25, 35), at) == ""

    def test_the_expected_time_is_learned(self) -> None:
        expected = Expected(network=1.0, file=0.5)
        assert expected.seconds(network=2_000_000, file=2_000_000) == pytest.approx(3)
        for _ in range(20):
            expected.took("network", 10_000_000, 50.0)
        assert expected.seconds(network=20_000_000) == pytest.approx(100, rel=0.05)
        # What has not been done yet is as much slower.
        assert expected.seconds(file=2_000_000) == pytest.approx(5, rel=0.05)
        expected.took("file", 1_000_000, 3.0)
        assert expected.seconds(network=1_000_000, file=2_000_000) == pytest.approx(11, rel=0.05)

    def test_the_first_preview_tells_how_slow_the_machine_is(
        self, studio: engine.Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        picture(900, 600).save(tmp_path / "photo.png")
        photo, at = str(tmp_path / "photo.png"), Settings(resolution=128)
        before = studio.expected_seconds((6000, 4000), at)
        run = studio.pipe.generator.paint_level

        def slow(*arguments: Any, **options: Any) -> Any:
            time.sleep(0.5)
            return run(*arguments, **options)

        monkeypatch.setattr(studio.pipe.generator, "paint_level", slow, raising=False)
        studio.painted_preview(photo, studio.pipe.preset("waves"), "waves", at)
        assert studio.expected_seconds((6000, 4000), at) > 5 * before
        assert studio.expected_seconds((6000, 4000), at, "jpeg") < studio.expected_seconds(
            (6000, 4000), at
        )

    def test_how_far_it_is_and_how_long_it_takes_is_told(
        self, studio: engine.Studio, tmp_path: Path
    ) -> None:
        picture(1800, 1200).save(tmp_path / "photo.png")
        told: list[tuple[float, str]] = []
        work = partial(
            studio.full_size,
            str(tmp_path / "photo.png"),
            studio.pipe.preset("waves"),
            Settings(resolution=128),
        )
        steps = jobs.job(work, None, lambda share, desc: told.append((share, desc)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jobs, "_TICK", 0.001)
            list(steps)
        shares = [share for share, _ in told]
        assert shares == sorted(shares)
        assert 0 <= shares[0] < 0.5 < shares[-1] <= 1
        assert len(set(shares)) > 4
        assert any("Painting at full size" in doing for _, doing in told)


class TestManyPhotos:
    options: Final[list[Any]] = [
        "waves",
        None,
        None,
        0.8,
        1.0,
        384,
        512,
        0.9,
        0.0,
        "jpeg",
        90,
        "photo",
    ]

    def ask(self, studio: engine.Studio, photos: list[str]) -> Any:
        def quiet(*_: Any, **__: Any) -> None:
            pass

        progress: Any = quiet
        *_, last = ManyHandlers(studio).paint(photos, *self.options, progress=progress)
        return last

    def test_all_are_in_one_zip_and_one_that_fails_stops_none(
        self, studio: engine.Studio, tmp_path: Path
    ) -> None:
        photos = []
        for folder, seed in (("a", 1), ("b", 2)):
            (tmp_path / folder).mkdir()
            picture(seed=seed).save(tmp_path / folder / "photo.png")
            photos.append(str(tmp_path / folder / "photo.png"))
        (tmp_path / "notes.png").write_bytes(b"notes")
        shown, told, archive = self.ask(studio, [photos[0], str(tmp_path / "notes.png"), photos[1]])
        assert len(shown) == 2
        assert told.startswith("2 of 3 photos painted")
        assert "notes.png" in told
        assert Path(archive).name == "2_photos__waves.zip"
        with zipfile.ZipFile(archive) as packed:
            names = packed.namelist()
            assert len(set(names)) == 2
            for name in names:
                assert name.startswith("photo__waves_strength080")
                assert Image.open(packed.open(name)).size == (70, 50)

    def test_stop_keeps_what_is_painted(self, studio: engine.Studio, tmp_path: Path) -> None:
        picture().save(tmp_path / "photo.png")
        handlers, visitor = ManyHandlers(studio), SimpleNamespace(session_hash="somebody")

        def tell(done: tuple[int, int], desc: str) -> None:
            if done[0] == 2:
                handlers.stops.press(visitor)  # type: ignore[arg-type]

        photos = [str(tmp_path / "photo.png")] * 4
        *_, (shown, told, archive) = handlers.paint(
            photos, *self.options, request=visitor, progress=tell
        )  # type: ignore[arg-type]
        assert len(shown) == 2
        assert told == "2 of 4 photos painted\nStopped: this is what was painted"
        with zipfile.ZipFile(archive) as packed:
            assert len(packed.namelist()) == 2
        handlers.stops.asked(visitor)  # type: ignore[arg-type]
        handlers.stops.press(visitor)  # type: ignore[arg-type]
        with pytest.raises(gr.Error, match="before a photo was painted"):
            list(handlers.paint(photos, *self.options, request=visitor, progress=tell))  # type: ignore[arg-type]

    def test_none_are_refused(self, studio: engine.Studio, tmp_path: Path) -> None:
        with pytest.raises(gr.Error, match="photos first"):
            self.ask(studio, [])
        (tmp_path / "notes.png").write_bytes(b"notes")
        with pytest.raises(gr.Error, match=r"notes\.png is not a picture"):
            self.ask(studio, [str(tmp_path / "notes.png")])


class TestAddress:
    def test_it_restores_style_and_settings(self, studio: engine.Studio) -> None:
        found = restored(
            studio,
            "?preset=night&strength=0.35&color=0&brush=512&detail=256&faces=0.25&outlines=0.6&x=1",
        )
        assert found == ["night", None, 0.35, 0.0, 512.0, 256.0, 0.25, 0.6]

    @pytest.mark.parametrize(
        ("line", "name"),
        [
            ("mix:waves*1,night*0.25", "80% Waves + 20% Night"),
            ("mix:squares*0.5", "Squares"),
            ("seed:7*1.5", "random style 7"),
            ("words:1*painter night", ""),
        ],
    )
    def test_it_restores_what_was_made_of_what_all_have(
        self, studio: engine.Studio, line: str, name: str
    ) -> None:
        preset, file, *rest = restored(studio, f"?origin={line}&strength=0.35")
        assert (preset, rest[0]) == (None, 0.35)
        code = studio.style(None, file, None, 384)
        assert code is not None
        assert name.lower() in code.name.lower()
        assert origin_of(code) == line

    def test_a_mixture_made_again_is_the_mixture(self, studio: engine.Studio) -> None:
        slots = ("waves", None, 1.0, None, None, 1.0, "night", None, 0.3, "squares", None, 0.0)
        *_, path = MixHandlers(studio).save_mixture(384, *slots)
        code = studio.style(None, path, None, 384)
        assert code is not None
        again = made_again(studio.pipe, origin_of(code))
        assert again is not None
        assert again.name == code.name
        np.testing.assert_array_equal(again.vector, code.vector)

    @pytest.mark.parametrize(
        "line",
        [
            *("", "mix:", "mix:waves", "mix:waves*nan", "mix:waves*2", "mix:waves*0", "mix:who*1"),
            *("mix:" + ",".join(["waves*1"] * 9), "seed:1", "seed:-1*1", "seed:1*9", "seed:x*1"),
            *("words:", "words:9*night", "words:x*night", "words:0* "),
            *("mix:waves*1," * 999, "steal:/etc/passwd*1"),
        ],
    )
    def test_another_origin_is_none(self, studio: engine.Studio, line: str) -> None:
        assert made_again(studio.pipe, line) is None

    @pytest.mark.parametrize(
        "address",
        [
            "",
            None,
            "?preset=/etc/passwd&strength=nan&color=7&brush=x&detail=99999&faces=-1&outlines=2",
            "?&&=%ff" * 999,
        ],
    )
    def test_what_is_not_possible_is_as_at_first(
        self, studio: engine.Studio, address: str | None
    ) -> None:
        first = studio.first_styles(1)[0]
        assert restored(studio, address) == [
            first,
            None,
            FIRST["strength"],
            1.0,
            384.0,
            512.0,
            0.9,
            FIRST["outlines"],
        ]

    def test_what_was_uploaded_comes_back_as_long_as_it_is_there(
        self, studio: engine.Studio, tmp_path: Path
    ) -> None:
        photo = tmp_path / "uploads" / "ab" / "photo.png"
        photo.parent.mkdir(parents=True)
        picture().save(photo)
        outside = tmp_path / "photo.png"
        picture().save(outside)
        for noted, found in (
            ([photo, None, None], [str(photo), None, None]),
            ([outside, "/etc/passwd", 7], [None] * 3),
            ([photo], [None] * 3),
        ):
            assert restored_uploads(json.dumps(noted, default=str)) == found
        photo.unlink()
        assert restored_uploads(json.dumps([str(photo), None, None])) == [None] * 3
        for broken in ("", None, "{", "[" * 9000, "null"):
            assert restored_uploads(broken) == [None] * 3

    def test_who_opens_a_link_without_its_style_is_told(self, studio: engine.Studio) -> None:
        for had in ("", None, "?strength=0.5", "?preset=night", "?origin=mix:waves*1,night*1"):
            assert told_of_link(studio, had, "") == ""
        own = told_of_link(studio, "?origin=own:12345678&strength=0.5", "")
        assert (
            "was made from pictures, or is a mixture that no link can hold. You see “Waves (A. Painter, 1900)”"
            in own
        )
        for gone in ("?preset=<b>starry", "?origin=mix:starry*1", "?origin=seed:1*99"):
            told = told_of_link(studio, gone, "")
            assert "is not in this gallery" in told
            assert "<" not in told

    def test_a_tab_has_its_own_style_but_not_in_place_of_that_of_a_link(
        self, studio: engine.Studio, tmp_path: Path
    ) -> None:
        photo, style = (tmp_path / "uploads" / f"{name}.png" for name in ("photo", "style"))
        photo.parent.mkdir(parents=True)
        for path in (photo, style):
            picture().save(path)
        noted = json.dumps([str(photo), str(style), None])
        own = f"?origin={own_line(str(style))}"
        assert own_uploads(own, noted) == [str(photo), str(style), None]
        assert told_of_link(studio, own, noted) == ""
        for another in ("?preset=night", "?origin=own:12345678", "?origin=seed:1*1"):
            assert own_uploads(another, noted) == [str(photo), None, None]
        assert told_of_link(studio, "?origin=own:12345678", noted) != ""

    def test_a_file_that_says_it_is_a_style_of_the_gallery_is_not(
        self, studio: engine.Studio
    ) -> None:
        night = studio.pipe.preset("night")
        assert carried_origin(studio.pipe, with_origin(night, "mix:night*1"), "a") == "mix:night*1"
        assert is_of_ones_own(carried_origin(studio.pipe, with_origin(night, "mix:waves*1"), "a"))
        assert is_of_ones_own(carried_origin(studio.pipe, night, "a"))


class TestPrint:
    def test_a_file_keeps_the_resolution_of_its_photo(
        self, app_client: Any, tmp_path: Path
    ) -> None:
        picture().save(tmp_path / "photo.png", dpi=(240, 240))
        ask = {"content": upload(tmp_path / "photo.png"), "preset": "waves"}
        for name in ("png", "jpeg", "webp"):
            with Image.open(app_client.predict(**ask, format=name, api_name="/stylize")) as image:
                assert resolution_of(image) == pytest.approx((240, 240), abs=0.5)

    def test_it_may_fit_a_sheet(self, app_client: Any, app_folder: Path) -> None:
        ask = {"content": upload(app_folder / "photo.png"), "preset": "waves"}  # 70 x 50 px
        path = app_client.predict(**ask, print_size="10x15", api_name="/stylize")
        with Image.open(path) as image:
            across, down = image.info["dpi"]
        assert across == down == pytest.approx(50 / 4, abs=0.05)
        assert "A0" in refusal(app_client, **ask, print_size="A0")

    def test_its_size_is_told(self, studio: engine.Studio, tmp_path: Path) -> None:
        picture(1000, 1500).save(tmp_path / "photo.png")
        photo = str(tmp_path / "photo.png")
        assert studio.told_print(photo, "10x15") == "10.2 × 15.2 cm on 10x15, 250 pixels per inch"
        assert "looks sharp" in studio.told_print(photo, "A4")
        assert studio.told_print(photo, "photo") == studio.told_print(None, "A4") == ""


def test_before_and_after_make_a_gif_that_slides(studio: engine.Studio, tmp_path: Path) -> None:
    picture().save(tmp_path / "photo.png")
    photo, progress = str(tmp_path / "photo.png"), lambda *_, **__: None
    asked: list[Any] = [photo, "waves", None, None, 1.0, 1.0, 384, 512, 0.9, 0.0]
    *_, (shown, files) = WipeHandlers(studio).wipe(*asked, progress=progress)
    assert shown == files[0]
    assert Path(shown).name == "photo__waves_before_after.gif"
    with Image.open(shown) as film:
        assert film.size == (70, 50)
    with pytest.raises(gr.Error, match="photo and a style"):
        list(WipeHandlers(studio).wipe(photo, None, None, None, *asked[4:], progress=progress))


def test_the_painting_slides_over_the_photo(tmp_path: Path) -> None:
    red, blue = (200, 0, 0), (0, 0, 200)
    for name, color in (("before", red), ("after", blue)):
        Image.new("RGB", (1200, 800), color).save(tmp_path / f"{name}.png")
    frames = wiped(str(tmp_path / "before.png"), str(tmp_path / "after.png"))
    assert frames[0].width * frames[0].height <= 300_500
    assert {frame.size for frame in frames} == {frames[0].size}
    assert frames[0].getcolors() == [(frames[0].width * frames[0].height, red)]
    assert frames[-1].getcolors() == [(frames[0].width * frames[0].height, blue)]
    shares = [(np.asarray(frame) == blue).all(2).mean() for frame in frames]
    assert shares == sorted(shares)
    middle = frames[min(range(len(frames)), key=lambda i: abs(shares[i] - 0.5))]
    assert middle.getpixel((5, 5)) == blue
    assert middle.getpixel((middle.width - 5, 5)) == red


def test_many_photos_are_seen_as_they_come_on_a_phone(
    browser: Any, running_app: Any, app_folder: Path
) -> None:
    pytest.importorskip("skimage")
    from playwright.sync_api import expect

    with opened(browser, running_app, 390) as page:
        open_tab(page, "Many photos")
        chooser = page.locator("#page-many input[type=file][multiple]:not([webkitdirectory])")
        chooser.first.set_input_files([app_folder / name for name in ("photo.png", "style.png")])
        expect(page.locator("#page-many tr.file")).to_have_count(2)
        page.get_by_role("button", name="Paint them all").click()
        told = page.locator("#many-told")
        expect(told.locator("textarea")).to_have_value("2 of 2 photos painted")
        expect(told).to_be_in_viewport(ratio=1)
        expect(page.locator("#page-many .thumbnail-item").first).to_be_in_viewport(ratio=1)


@pytest.mark.slow
def test_a_mixture_goes_along_with_the_link_and_to_regions(
    browser: Any, running_app: Any, app_folder: Path
) -> None:
    pytest.importorskip("skimage")
    from playwright.sync_api import expect

    with opened(browser, running_app, 1280) as page:
        bring_photo(page, app_folder)
        open_tab(page, "Mix")
        expect(page.get_by_text("Style 1", exact=True).locator("visible=true")).to_have_count(1)
        expect(page.get_by_text("50% Waves + 50% Night")).to_be_visible()
        page.wait_for_function(AT_REST)
        page.get_by_role("button", name="Use this style on Stylize").locator("visible=true").click()
        status = page.locator("#status")
        expect(status).to_contain_text("50% Waves + 50% Night")
        expect(page.get_by_text("none of these is used, but 50% Waves + 50% Night")).to_be_visible()
        expect(page).to_have_url(re.compile("origin=mix"))
        address = page.url
        assert "preset=" not in address

        open_tab(page, "Regions")
        told = page.get_by_text("On Stylize: 50% Waves + 50% Night").locator("visible=true")
        expect(told).to_be_visible()
        expect(page.get_by_label("Style of the red region")).to_have_value("the style of Stylize")
        page.get_by_label("Where the red region is").fill("left")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Paint", exact=True).click()
        told = page.get_by_role("status").filter(has_text="elsewhere the photo itself")
        expect(told).to_contain_text("50% Waves + 50% Night")
        page.wait_for_function(AT_REST)
        page.evaluate("sessionStorage.clear()")
        page.goto(address)
        expect(status).to_contain_text("50% Waves + 50% Night")


@pytest.mark.slow
def test_a_link_says_that_it_carries_no_picture(
    browser: Any, running_app: Any, app_folder: Path
) -> None:
    """To who copies it, and to who opens it; in the tab itself the style comes back, and a link's style comes before it."""
    pytest.importorskip("skimage")
    from playwright.sync_api import expect

    with opened(browser, running_app, 1280) as page:
        status = page.locator("#status")
        bring_photo(page, app_folder)
        page.get_by_role("tab", name="My picture").click()
        page.locator(".styles input[type=file]").first.set_input_files(app_folder / "style.png")
        expect(status).to_contain_text("style: 70 × 50 px")
        page.get_by_role("button", name="Copy link").click()
        expect(page.get_by_text("whoever opens it sees “Waves (A. Painter, 1900)”")).to_be_visible()
        expect(page).to_have_url(re.compile("origin=own"))
        address = page.url
        told = page.get_by_text("The link that you opened does not carry its style")
        page.reload()
        expect(status).to_contain_text("style: 70 × 50 px")
        page.wait_for_function(AT_REST)
        expect(told).to_have_count(0)
        with opened(browser, SimpleNamespace(local_url=address), 390) as other:
            expect(
                other.get_by_text("The link that you opened does not carry its style").first
            ).to_be_visible()
            expect(other.locator("#status")).to_contain_text("Waves (A. Painter, 1900)")
        page.goto(f"{running_app.local_url}?preset=night")
        expect(status).to_contain_text("Night (A. Painter, 1900): 70 × 50 px")


@pytest.mark.slow
def test_the_history_shows_a_picture_once(browser: Any, running_app: Any) -> None:
    """The first example is painted when the page opens, and again when it is chosen."""
    pytest.importorskip("skimage")
    from playwright.sync_api import expect

    with opened(browser, running_app, 1280) as page:
        page.get_by_role("button", name="The last pictures of this visit").click()
        last = page.locator(".thumbnail-item", has_text="strength 0.8").filter(
            has_not_text="Painted,", visible=True
        )
        expect(last).to_have_count(1)
        page.locator("[aria-label^='Example photo']:visible").first.click()
        expect(page.locator("#status")).to_contain_text("also at full size")
        page.wait_for_function(AT_REST)
        page.get_by_role("button", name="Night, A. Painter, 1900").first.click()
        expect(last).to_have_count(2)  # the first example once, in each of two styles


class TestLines:
    @pytest.mark.parametrize("size", [(70, 50), (300, 200)])
    def test_they_make_the_same_picture(
        self,
        studio: engine.Studio,
        app_pipe: StyleTransferPipeline,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        size: tuple[int, int],
    ) -> None:
        from hfstyle.cli import main

        app_pipe.save_pretrained(tmp_path / "model")
        picture(*size, seed=3).save(tmp_path / "my photo.png")
        photo, settings = (
            str(tmp_path / "my photo.png"),
            Settings(0.65, 0.4, 384, 128, faces=0.2, outlines=0.8),
        )
        expected = np.asarray(
            Image.open(studio.full_size(photo, app_pipe.preset("night"), settings))
        )
        side = engine.painting_side(size[::-1], settings.resolution)
        told = photo, "night", settings, side, str(tmp_path / "model")
        monkeypatch.chdir(tmp_path)
        runs: list[Callable[[], Any]] = [
            lambda: exec(recipe.python_lines(*told), {}),
            lambda: main(shlex.split(recipe.shell_line(*told))[1:]),
        ]
        for run in runs:
            run()
            np.testing.assert_array_equal(np.asarray(Image.open("painted.png")), expected)
            Path("painted.png").unlink()

    def test_a_style_picture_is_named_with_the_size_of_its_brush(self) -> None:
        settings = Settings(1.0, 1.0, style_size=512)
        told = "/up/load/photo.jpg", "/up/load/a b.jpg", settings, None
        assert (
            "pipe('photo.jpg', 'a b.jpg', strength=1, color=1, faces=0.9, outlines=0, style_size=512)"
            in (recipe.python_lines(*told))
        )
        words = shlex.split(recipe.shell_line(*told))
        assert words[2:5] == ["photo.jpg", "--style", "a b.jpg"]
        assert words[words.index("--size") + 1] == "full"


class TestGroups:
    @pytest.fixture
    def styles(self) -> dict[str, Any]:
        return dict(StyleTransferPipeline.from_pretrained().presets)

    def test_every_bundled_style_is_in_a_group_and_no_group_is_empty(
        self, styles: dict[str, Any]
    ) -> None:
        found = {name: groups.groups_of(code) for name, code in styles.items()}
        assert [name for name, of in found.items() if not of] == []
        used = set().union(*found.values())
        assert used | {groups.ALL, groups.FAVOURITES} == set(groups.GROUPS)
        assert found["great_wave_hokusai"] == {"Prints"}
        assert found["composition_vii_kandinsky"] == {"Oil", "Abstract"}

    def test_the_search_finds_beginnings_of_words(self, styles: dict[str, Any]) -> None:
        def found(group: str, text: str, favourites: tuple[str, ...] = ()) -> list[str]:
            return groups.chosen_styles(styles, group, text, favourites)

        assert found(groups.ALL, "gogh star") == ["starry_night_van_gogh"]
        assert set(found("Mosaic and glass", "mosa")) == {
            "mosaic_of_ktisis",
            "roman_mosaic_griffin",
        }
        assert found("Oil", "hokusai") == []
        assert found(groups.FAVOURITES, "", ("duccio", "gone")) == ["duccio"]
        assert len(found(groups.ALL, "  ")) == len(styles)


def test_the_settings_in_a_png_are_those_of_the_file(studio: engine.Studio, tmp_path: Path) -> None:
    picture().save(tmp_path / "photo.png")
    path = studio.full_size(
        str(tmp_path / "photo.png"), studio.pipe.preset("waves"), Settings(0.5, 0.25)
    )
    told = json.loads(Image.open(path).info["hfstyle"])
    assert (told["strength"], told["color"], told["style"]) == (0.5, 0.25, "waves")


def test_a_style_is_shown_by_a_drawing_of_its_own(studio: engine.Studio) -> None:
    paths = {name: studio.drawing(studio.pipe.preset(name), name) for name in ("waves", "night")}
    cards = {name: np.asarray(Image.open(path).convert("RGB")) for name, path in paths.items()}
    assert {card.shape for card in cards.values()} == {(224, 256, 3)}
    assert np.abs(cards["waves"].astype(int) - cards["night"]).mean() > 2
    assert studio.drawing(studio.pipe.preset("waves"), "waves") == paths["waves"]
    strip = cards["night"][200:220, ::43].astype(float).mean(0) @ [0.299, 0.587, 0.114]
    assert list(strip) == sorted(strip)  # from dark to light
