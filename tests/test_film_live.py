"""A camera's pictures are painted as they come; late ones are left out; a window is asked for by name."""

from __future__ import annotations

import threading
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("cv2")

from film_clips import panned, texture
from small_model import small_generator

from hfstyle import StyleTransferPipeline
from hfstyle.cli import main
from hfstyle.film import VideoError
from hfstyle.film import window as film_window
from hfstyle.film.live import LivePainter
from hfstyle.film.window import show_camera

PIPE = StyleTransferPipeline(small_generator())
CODES = [PIPE.encode_style(texture(80, 80, seed), name=f"style {seed}") for seed in range(2)]


def test_pictures_are_painted_small_and_counted() -> None:
    live = LivePainter(PIPE, size=64)
    for index, rgb in enumerate(panned(4, 96, 144), start=1):
        frame = live.paint(rgb, CODES[0], 0.8, time=index / 10)
        assert frame is not None
        assert frame.rgb.shape == (64, 96, 3)
        assert (frame.painted, frame.dropped) == (index, 0)
    assert frame.rate > 0
    tiny = live.paint(panned(1, 32, 48)[0], CODES[1], time=9)
    assert tiny is not None
    assert tiny.rgb.shape == (32, 48, 3)


def test_what_waits_gives_way_to_what_is_newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """While one picture is painted, three come: the last of them is painted next, the others are not."""
    live = LivePainter(PIPE, size=64)
    inside, go_on = threading.Event(), threading.Event()
    seen: list[int] = []
    plain = live._painter.paint

    def slow(rgb: NDArray[np.uint8], *rest: Any, **numbers: Any) -> NDArray[np.uint8]:
        seen.append(int(rgb[0, 0, 0]))
        inside.set()
        assert go_on.wait(30)
        return plain(rgb, *rest, **numbers)

    monkeypatch.setattr(live._painter, "paint", slow)
    results: dict[int, object] = {}

    def come(number: int) -> None:
        results[number] = live.paint(np.full((32, 32, 3), number, np.uint8), CODES[0])

    threads = []
    for number in range(4):
        threads.append(threading.Thread(target=come, args=(number,)))
        threads[-1].start()
        if number == 0:
            assert inside.wait(30)
        else:
            while live._newest < number + 1:  # has taken its ticket
                threading.Event().wait(0.001)
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert seen == [0, 3]
    assert [results[n] is None for n in range(4)] == [False, True, True, False]
    last = live.paint(np.full((32, 32, 3), 9, np.uint8), CODES[0])
    assert last is not None
    assert last.dropped == 2


def test_what_is_no_picture_is_said() -> None:
    live = LivePainter(PIPE)
    for bad in (np.zeros((8, 8, 3), np.uint8), np.zeros((32, 32), np.uint8), np.zeros((32, 32, 3))):
        with pytest.raises(VideoError, match="a camera's picture"):
            live.paint(bad, CODES[0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="strength is 3"):
        live.paint(np.zeros((32, 32, 3), np.uint8), CODES[0], 3)
    with pytest.raises(ValueError, match="size is 8"):
        LivePainter(PIPE, size=8)
    with pytest.raises(ValueError, match="faces is -1"):
        live.paint(np.zeros((32, 32, 3), np.uint8), CODES[0], faces=-1)


class Camera:
    def __init__(self, count: int) -> None:
        self._pictures = panned(count, 64, 96)

    def newest(self) -> NDArray[np.uint8] | None:
        return self._pictures.pop(0) if self._pictures else None


class Screen:
    def __init__(self, keys: str) -> None:
        self._keys = list(keys)
        self.lines: list[str] = []

    def show(self, rgb: NDArray[np.uint8], line: str) -> None:
        assert rgb.shape == (64, 96, 3)
        self.lines.append(line)

    def key(self) -> str:
        return self._keys.pop(0).replace(" ", "")


def test_keys_change_style_and_strength_and_save(tmp_path: Path) -> None:
    screen = Screen("n-- sq")
    saved = show_camera(PIPE, CODES, Camera(9), screen, size=64, folder=tmp_path)
    assert [line.split("  ")[0] for line in screen.lines] == ["style 0"] + ["style 1"] * 5
    assert [line.split("  ")[1] for line in screen.lines] == [
        "1.0",
        "1.0",
        "0.9",
        "0.8",
        "0.8",
        "0.8",
    ]
    assert saved == list(tmp_path.glob("*.png"))
    with Image.open(saved[0]) as picture:
        assert "compositeWithTrainedAlgorithmicMedia" in picture.info["XML:com.adobe.xmp"]
    with pytest.raises(VideoError, match="no more pictures"):
        show_camera(PIPE, CODES, Camera(2), Screen("    "), size=64)


def test_without_windows_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    headless = types.SimpleNamespace(getBuildInformation=lambda: "  GUI:    NONE\n")
    monkeypatch.setattr(film_window, "load_cv2", lambda: headless)
    assert main(["live", "--style", "great_wave_hokusai"]) == 1
    assert "pip install opencv-python" in capsys.readouterr().err
    headless.getBuildInformation = lambda: "  GUI:    GTK3\n"
    monkeypatch.setattr(film_window.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert main(["live", "--style", "great_wave_hokusai"]) == 1
    assert "no screen" in capsys.readouterr().err
