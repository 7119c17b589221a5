"""The web demo without its pages: what it remembers, how it stops, which model it serves."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hfstyle import StyleCode, StyleCodeError, StyleTransferPipeline

gr = pytest.importorskip("gradio")

from hfstyle import studio as app  # noqa: E402
from hfstyle.studio.backend import engine, refusals  # noqa: E402
from hfstyle.studio.backend.gallery import Thumbnails  # noqa: E402
from hfstyle.studio.backend.memory import Memory  # noqa: E402
from hfstyle.studio.backend.settings import Settings  # noqa: E402
from hfstyle.studio.pages.chosen import own_name  # noqa: E402
from hfstyle.studio.pages.discover import DiscoverHandlers  # noqa: E402


class TestStudio:
    @pytest.fixture
    def studio(
        self, app_pipe: StyleTransferPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> engine.Studio:
        monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
        return engine.Studio(app_pipe)

    def test_decodes_and_encodes_once(
        self, studio: engine.Studio, app_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened: list[str] = []
        original = engine.open_picture
        monkeypatch.setattr(
            engine,
            "open_picture",
            lambda path, what: (opened.append(what), original(path, what))[1],
        )
        photo, style = str(app_folder / "photo.png"), str(app_folder / "style.png")
        for strength in (0.2, 0.6, 1.0):
            code = studio.style(style, None, None, 256)
            assert code is not None
            studio.painted_preview(photo, code, style, Settings(strength, resolution=32))
        assert opened == ["style picture", "photo"]

    def test_a_style_file_is_read_once_and_anew_when_it_is_another(
        self, studio: engine.Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read: list[str] = []
        load = StyleCode.load
        monkeypatch.setattr(
            StyleCode, "load", lambda path, encoder: (read.append(path), load(path, encoder))[1]
        )
        file = str(tmp_path / "mine.style.safetensors")
        studio.pipe.preset("waves").save(file)
        for _ in range(2):
            assert own_name(studio, None, file) == "Waves (A. Painter, 1900)"
            assert studio.style(None, file, None, 384) is not None
        assert read == [file]
        studio.pipe.preset("night").save(file)
        assert own_name(studio, None, file) == "Night (A. Painter, 1900)"
        Path(file).unlink()
        with pytest.raises(StyleCodeError):
            own_name(studio, None, file)

    def test_found_styles_are_shown_at_the_settings_of_the_page(
        self, studio: engine.Studio, app_folder: Path
    ) -> None:
        photo = str(app_folder / "photo.png")

        def changed(strength: float) -> float:
            asked = photo, 0, 1.0, strength, 1.0, 512, 0.0, 0.0
            *_, (shown, _, _) = DiscoverHandlers(studio).offer_random(*asked)  # type: ignore[call-arg]
            paths = shown[3][0], studio.original_preview(photo, 512)
            tile, plain = (np.asarray(Image.open(p).convert("RGB")).astype(int) for p in paths)
            return float(np.abs(tile - plain).mean())

        assert changed(0.0) < 2 < changed(0.5) < changed(1.0)

    def test_the_same_settings_get_the_same_file_until_it_is_deleted(
        self, studio: engine.Studio, app_folder: Path
    ) -> None:
        code = studio.pipe.preset("waves")
        ask = functools.partial(
            studio.painted_preview,
            str(app_folder / "photo.png"),
            code,
            "waves",
            Settings(resolution=32),
        )
        first = ask()
        assert ask() == first
        Path(first).unlink()
        assert Path(ask()).is_file()

    def test_another_colour_repeats_only_the_last_step(
        self, studio: engine.Studio, app_folder: Path
    ) -> None:
        passes: list[int] = []
        generator, photo = studio.pipe.generator, str(app_folder / "photo.png")
        hook = generator.register_forward_hook(lambda *_: passes.append(1))
        for strength in (0.0, 0.6):
            code, before = studio.pipe.preset("waves"), len(passes)
            for color in (1.0, 0.0, 0.35):
                settings = Settings(strength, color, resolution=64)
                assert not studio.remembers(photo, "waves", settings)
                path = studio.painted_preview(photo, code, "waves", settings, lossless=True)
                assert studio.remembers(photo, "waves", settings)
                made, expected = (
                    len(passes),
                    studio.pipe(
                        studio.preview(photo, 64),
                        code,
                        strength,
                        color=color,
                        processing_resolution=64,
                    ),
                )
                del passes[made:]
                shown = np.asarray(Image.open(path)).astype(int)
                # The pipeline brings a painting to 256 levels before it gets other colours, where it was enlarged.
                assert np.abs(shown - np.asarray(expected.images[0])).max() <= 1
            assert len(passes) - before == (1 if strength else 0)
        hook.remove()

    def test_thumbnails_come_in_the_order_of_the_presets(self, studio: engine.Studio) -> None:
        pytest.importorskip("skimage")
        thumbnails = Thumbnails(studio)
        thumbnails.render()
        assert [label for _, label in thumbnails.shown()] == list(studio.captions.values())
        assert list(thumbnails.growing()) == [thumbnails.shown()]

    def test_styles_of_ones_own_come_first_and_their_mean_before_them(
        self, app_pipe: StyleTransferPipeline
    ) -> None:
        work = app_pipe.preset("night")
        named = {name: dataclasses.replace(work, name=name) for name in ("aa", "gustav_klimt")}
        own = {n: dataclasses.replace(work, name=n, metadata={}) for n in ("cat", "own_art")}
        pipe = StyleTransferPipeline(app_pipe.generator)
        pipe.presets = {**named, **own}
        assert list(engine.Studio(pipe).labels) == ["own_art", "cat", "gustav_klimt", "aa"]

    def test_a_panorama_is_painted_within_the_limit(self) -> None:
        side = engine.painting_side((200, 20_000), 512)
        assert side is not None
        assert 64 <= side < 200
        assert engine.painting_side((600, 900), 600) is None
        assert engine.painting_side((200, 300), 512) == 400  # small photos are enlarged
        assert engine.painting_side((200, 300), 256) == 256
        assert engine.painting_side((3000, 4000), 512) == 512
        assert engine.painting_side((16, 20_000), 512) is None
        assert engine.painting_side((20, 30), 512) == 64


def test_memory_forgets_the_oldest_beyond_its_size() -> None:
    memory = Memory(most_bytes=10)
    memory.put("a", 1, 4)
    memory.put("b", 2, 4)
    assert memory.get("a") == 1  # used, so younger than b
    memory.put("c", 3, 4)
    assert (memory.get("a"), memory.get("b"), memory.get("c")) == (1, None, 3)


def test_unexpected_errors_say_nothing_about_the_server() -> None:
    def broken() -> None:
        raise RuntimeError("/home/secret")

    with pytest.raises(gr.Error) as caught:
        refusals.friendly(broken)()
    assert "secret" not in caught.value.message


def test_a_model_without_presets_is_served(app_pipe: StyleTransferPipeline) -> None:
    bare = StyleTransferPipeline(app_pipe.generator)
    assert isinstance(app.create_app(bare), gr.Blocks)


def test_the_model_comes_from_the_environment(
    app_pipe: StyleTransferPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_pipe.save_pretrained(tmp_path / "mine")
    monkeypatch.setenv("HFSTYLE_MODEL", str(tmp_path / "mine"))
    loaded, name = app.load_model()
    assert name == "mine"
    assert list(loaded.presets) == ["night", "squares", "waves"]


def test_gradio_leaves_no_files_beside_the_sources() -> None:
    assert not list(Path(engine.__file__).parent.glob("*.pyi"))


@pytest.mark.parametrize("value", [None, float("nan")])
def test_numbers_that_are_none_are_refused_by_name(value: float | None) -> None:
    with pytest.raises(gr.Error, match=f"The brush is {value}; give a whole number"):
        refusals.whole(value, "brush")
    with pytest.raises(gr.Error, match="style size"):
        Settings.of(1, 1, value, 512)  # type: ignore[arg-type]
    assert refusals.whole(3.0, "brush") == 3
