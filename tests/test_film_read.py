"""Films are read as they are shown: upright, in their colours, at their times; what is no film is named."""

from __future__ import annotations

import os
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av")
pytest.importorskip("cv2")

import av
from film_clips import marked, panned, write_clip

from hfstyle.film import VideoError, film_facts, read_frames, save_film
from hfstyle.film.write import Form


def greys(path: Path, **options: float) -> list[int]:
    """Numbers of the marked frames that are read."""
    return [round(float(f.rgb[-4:, -4:].mean()) / 8) for f in read_frames(path, **options)]  # type: ignore[arg-type]


def test_frames_come_in_their_order_with_their_times(tmp_path: Path) -> None:
    film = write_clip(tmp_path / "a.mp4", marked(12), sound="aac")
    facts = film_facts(film)
    assert facts.size == (96, 64)
    assert facts.rate == 25
    assert facts.sound == ("aac",)
    assert facts.frames == pytest.approx(12, abs=1)
    frames = list(read_frames(film))
    assert [f.time for f in frames] == [Fraction(i, 25) for i in range(12)]
    assert greys(film) == list(range(12))


def test_a_part_begins_and_ends_at_its_frames(tmp_path: Path) -> None:
    """Also between key frames, which are 250 frames apart here."""
    film = write_clip(tmp_path / "a.mp4", marked(24))
    assert greys(film, start=0.2, end=0.4) == [5, 6, 7, 8, 9]
    assert next(iter(read_frames(film, start=0.2))).time == 0
    with pytest.raises(VideoError, match=r"is 0\.96 s long; start is 3 s"):
        read_frames(film, start=3)
    with pytest.raises(VideoError, match="the end comes later"):
        read_frames(film, start=2, end=1)
    with pytest.raises(VideoError, match="start is -1"):
        read_frames(film, start=-1)


def test_what_is_on_at_the_start_is_shown_from_there_and_nothing_after_the_end(
    tmp_path: Path,
) -> None:
    film = write_clip(tmp_path / "a.mp4", marked(24))
    shown = list(read_frames(film, start=0.33, end=0.42))
    assert [int(f.rgb[-1, -1, 0]) for f in shown] == pytest.approx([64, 72, 80], abs=3)
    assert [float(f.time) for f in shown] == pytest.approx([0, 0.03, 0.07])
    slides = [Image.fromarray(rgb) for rgb in marked(4)]
    for name in ("slides.gif", "slides.webp"):
        path = tmp_path / name
        slides[0].save(path, save_all=True, append_images=slides[1:], duration=2000, lossless=True)
        for start, end, times in ((0.5, 1.5, [0]), (3, 5, [0, 1]), (6.5, 7.5, [0])):
            frames = list(read_frames(path, start=start, end=end))
            assert [float(f.time) for f in frames] == times, (name, start)
            assert frames[-1].duration is not None
            assert float(frames[-1].time + frames[-1].duration) == end - start
        first = next(iter(read_frames(path, start=3)))
        assert abs(int(first.rgb[-1, -1, 0]) - 8) < 9


@pytest.mark.parametrize("kind", ["ts", "h264", "avi", "mkv"])
def test_a_part_is_found_without_an_index(tmp_path: Path, kind: str) -> None:
    """Also where a search for the place ends behind the only key frame, or there is none to be made."""
    codec = "mpeg4" if kind == "avi" else "libx264"
    film = write_clip(tmp_path / f"a.{kind}", marked(30), codec=codec)
    assert greys(film, start=0.4, end=0.8) == list(range(10, 20))
    reader = read_frames(film, start=0.41, end=0.8)
    frames = list(reader)
    assert [float(f.time) for f in frames] == pytest.approx(
        [0, *(0.03 + i / 25 for i in range(9))], abs=0.001
    )
    assert reader.faults == []
    save_film(frames, tmp_path / "part.mp4", Form.like(reader.facts))
    times = [f.time for f in read_frames(tmp_path / "part.mp4")]
    assert [float(t) for t in times] == pytest.approx([float(f.time) for f in frames], abs=0.001)


def test_the_rate_of_uneven_films_is_their_average(tmp_path: Path) -> None:
    """So that about as many frames are told of as there are."""
    ticks = [24 * i + (8 if i % 3 == 1 else 0) + (600 if i > 10 else 0) for i in range(25)]
    frames = film_facts(write_clip(tmp_path / "a.mp4", marked(25), ticks=ticks)).frames
    assert frames is not None
    assert abs(frames - 25) <= 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"end": float("inf")}, "end is inf"),
        ({"start": "0:01"}, "start is '0:01'; give seconds"),
        ({"end": float("nan")}, "end is nan"),
        ({"size": 0}, "size is 0"),
        ({"size": 100_000}, "the most are 64 million pixels, give a smaller one"),
    ],
)
def test_what_cannot_be_read_so_is_said(tmp_path: Path, options: Any, words: str) -> None:
    film = write_clip(tmp_path / "a.mp4", marked(4))
    with pytest.raises(ValueError, match=words):
        read_frames(film, **options)


@pytest.mark.skipif(sys.platform == "win32", reason="no colons in names")
@pytest.mark.parametrize("name", ["12:30 at the sea.mp4", "file:a.mp4", "-a.mp4", "ü %03d|.mp4"])
def test_names_are_names_and_no_protocols(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_clip(tmp_path / "a.mp4", marked(4)).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(list(read_frames(name))) == 4


def test_uneven_times_are_kept(tmp_path: Path) -> None:
    ticks = [0, 20, 80, 100, 300, 310]
    film = write_clip(tmp_path / "a.mp4", marked(6), ticks=ticks)
    assert [f.time for f in read_frames(film)] == [Fraction(t, 600) for t in ticks]


@pytest.mark.parametrize("turned", [-90, 180])
def test_turned_films_stand_upright(tmp_path: Path, turned: int) -> None:
    film = write_clip(tmp_path / "a.mp4", marked(3), turned=turned)
    facts, frame = film_facts(film), next(iter(read_frames(film))).rgb
    upright = np.rot90(marked(1)[0], turned // 90)
    assert facts.size == (upright.shape[1], upright.shape[0])
    assert frame.shape == upright.shape
    assert np.abs(frame.astype(int) - upright).mean() < 4


@pytest.mark.parametrize(("matrix", "span"), [(1, 2), (6, 1)])
def test_colours_are_those_that_are_shown(tmp_path: Path, matrix: int, span: int) -> None:
    """The same picture whatever matrix and range the film is in."""
    from hfstyle.film.colors import Colors
    from hfstyle.film.write import Form, save_film

    rgb = np.zeros((64, 64, 3), np.uint8)
    rgb[:32], rgb[32:] = (220, 30, 60), (20, 200, 90)
    from film_clips import timed

    film = tmp_path / "a.mp4"
    save_film(timed([rgb] * 3), film, Form(colors=Colors(matrix, span, 2, 2), quality=100))
    facts, shown = film_facts(film), next(iter(read_frames(film))).rgb
    assert (facts.colors.matrix, facts.colors.range) == (matrix, span)
    for rows, wanted in ((slice(4, 28), (220, 30, 60)), (slice(36, 60), (20, 200, 90))):
        assert shown[rows, 8:-8].mean((0, 1)) == pytest.approx(wanted, abs=4)


def test_ten_bits_fields_and_alpha_are_brought_to_ordinary_frames(tmp_path: Path) -> None:
    deep = write_clip(tmp_path / "deep.mkv", marked(6), codec="libx265", pixels="yuv420p10le")
    assert greys(deep) == list(range(6))
    rgba = np.dstack([np.full((64, 64, 3), 100, np.uint8), np.zeros((64, 64), np.uint8)])
    rgba[:, :32, 3] = 255
    film = write_clip(tmp_path / "alpha.mov", [rgba] * 2, codec="png", pixels="rgba")
    shown = next(iter(read_frames(film))).rgb
    assert shown[:, :30].mean() == pytest.approx(100, abs=1)
    assert shown[:, 34:].mean() == pytest.approx(255, abs=1)  # transparent is white
    # Two moments in the odd and the even rows of each frame: combs along the edges of what moves.
    moments = panned(12, step=8)
    woven = [a.copy() for a in moments[::2]]
    for frame, later in zip(woven, moments[1::2], strict=True):
        frame[1::2] = later[1::2]
    fields = write_clip(tmp_path / "fields.mp4", woven, **{"x264-params": "interlaced=1:tff=1"})
    shown = [f.rgb.astype(int) for f in read_frames(fields)]
    assert len(shown) == 6

    def combs(rgb: np.ndarray) -> float:
        rgb = rgb.astype(int)
        return float(np.abs(2 * rgb[1:-1] - rgb[:-2] - rgb[2:]).mean())

    assert combs(shown[2]) < 0.5 * combs(woven[2])


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_brought_to_ordinary_light(tmp_path: Path, transfer: int) -> None:
    """Black stays black, grey steps stay in order, and half of the range is not lost to white."""
    ramp = np.repeat(np.linspace(0, 255, 128).astype(np.uint8)[None, :, None], 64, 0).repeat(3, 2)
    tags = {"color_trc": transfer, "color_primaries": 9, "colorspace": 9}
    film = write_clip(
        tmp_path / "hdr.mkv", [ramp] * 2, codec="libx264", pixels="yuv420p10le", tags=tags
    )
    facts = film_facts(film)
    assert facts.colors.wide
    assert facts.colors.written().transfer == 1
    row = next(iter(read_frames(film))).rgb[32].mean(1)
    assert row[0] < 8
    assert row[-1] > 240
    assert all(b >= a - 3 for a, b in pairwise(row))
    assert (row < 235).mean() > 0.5


def test_what_is_no_film_is_said(tmp_path: Path) -> None:
    bad = {
        "none.mp4": None,
        "empty.mp4": b"",
        "text.mp4": b"#EXTM3U\nhttp://127.0.0.1/a.ts\n" * 50,
        "noise.mp4": bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8)),
    }
    for name, data in bad.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
    Image.new("RGB", (64, 64)).save(tmp_path / "still.mp4", "PNG")
    with pytest.raises(FileNotFoundError, match=r"none\.mp4: no such file"):
        film_facts(tmp_path / "none.mp4")
    for name, words in (
        ("empty.mp4", "is empty"),
        ("text.mp4", "is not a film that can be read"),
        ("noise.mp4", "is not a film that can be read"),
        ("still.mp4", r"it is a picture \(PNG\).*hfstyle stylize"),
    ):
        with pytest.raises(VideoError, match=rf"{name}.*{words}"):
            film_facts(tmp_path / name)
    with pytest.raises(VideoError, match="is a folder"):
        film_facts(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_no_film(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(VideoError, match="is a pipe or a device"):
        film_facts(tmp_path / "a.mp4")


def test_an_animated_webp_is_read_with_its_times(tmp_path: Path) -> None:
    shown = [Image.fromarray(rgb) for rgb in marked(5)]
    shown[0].putalpha(Image.new("L", shown[0].size, 0))
    path, lasting = tmp_path / "a.webp", [40, 500, 20, 120, 80]
    rest = [image.convert("RGBA") for image in shown[1:]]
    shown[0].save(path, save_all=True, append_images=rest, duration=lasting, lossless=True)
    film = read_frames(path)
    frames = list(film)
    assert [float(f.time) for f in frames] == [0, 0.04, 0.54, 0.56, 0.68]
    assert [float(f.duration or 0) for f in frames] == [ms / 1000 for ms in lasting]
    assert (film.facts.size, film.facts.seconds, film.facts.sound) == ((96, 64), 0.76, ())
    assert frames[0].rgb.min() == 255  # transparent
    assert [int(f.rgb[-1, -1, 0]) for f in frames[1:]] == [8, 16, 24, 32]
    part = list(read_frames(path, start=0.5, end=0.6, size=32))
    assert [(float(f.time), f.rgb.shape) for f in part] == [
        (0.0, (32, 48, 3)),  # on already
        (0.04, (32, 48, 3)),
        (0.06, (32, 48, 3)),
    ]
    with pytest.raises(VideoError, match=r"is 0\.76 s long"):
        read_frames(path, start=1)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(VideoError, match="damaged WebP"):
        film_facts(path)
    shown[1].save(path)
    with pytest.raises(VideoError, match=r"it is a picture \(WEBP\)"):
        film_facts(path)


def test_a_web_address_is_called_by_its_name() -> None:
    for address in ("https://example.org/a.mp4", "rtsp://example.org/camera"):
        with pytest.raises(VideoError, match=f"^{address} is a web address; download the film"):
            film_facts(address)


def test_sound_alone_is_no_film(tmp_path: Path) -> None:
    song = tmp_path / "song.mp4"
    with av.open(str(song), "w") as output:
        music = output.add_stream("aac", rate=48_000)
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        tone.sample_rate = 48_000
        output.mux(music.encode(tone))
        output.mux(music.encode(None))
    with pytest.raises(VideoError, match="only sound"):
        film_facts(song)


def test_a_broken_film_is_read_as_far_as_it_goes_and_says_so(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "a.mkv", panned(60), g="10")
    data = whole.read_bytes()
    half = tmp_path / "half.mkv"
    half.write_bytes(data[: len(data) // 2])
    reader = read_frames(half)
    assert 10 < len(list(reader)) < 50
    assert any("breaks off after" in fault for fault in reader.faults)
    # Without its index an MP4 cannot be read at all.
    cut = tmp_path / "cut.mp4"
    data = write_clip(tmp_path / "b.mp4", panned(30)).read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    with pytest.raises(VideoError, match="its index is missing"):
        film_facts(cut)
    # Noise in the middle costs some frames.
    noisy = bytearray(whole.read_bytes())
    middle = len(noisy) // 2
    noisy[middle : middle + 2000] = (
        np.random.default_rng(1).integers(0, 256, 2000, np.uint8).tobytes()
    )
    (tmp_path / "noisy.mkv").write_bytes(noisy)
    reader = read_frames(tmp_path / "noisy.mkv")
    assert len(list(reader)) >= 20


def test_frames_are_scaled_where_asked(tmp_path: Path) -> None:
    film = write_clip(tmp_path / "a.mp4", marked(4))
    reader = read_frames(film, size=32)
    assert reader.facts.size == (48, 32)
    assert next(iter(reader)).rgb.shape == (32, 48, 3)


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = write_clip(tmp_path / "a.mp4", marked(2))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ModuleNotFoundError, match=r"hfstyle\[video\]"):
        film_facts(film)
