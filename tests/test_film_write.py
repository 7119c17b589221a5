"""Films are written whole or not at all, with sound, in the times, sizes and colours of their frames."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av")

import av
from film_clips import marked, panned, streams_of, timed, write_clip

from hfstyle import ImageError
from hfstyle.film import Frame, VideoError, film_facts, read_frames, save_film
from hfstyle.film.sound import Sound
from hfstyle.film.write import Form


def greys(path: Path) -> list[int]:
    return [round(float(f.rgb[-4:, -4:].mean()) / 8) for f in read_frames(path)]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", None),
        ("a.mp4", "av1"),
        ("a.mov", None),
        ("a.mkv", "vp9"),
        ("a.webm", None),
        ("a.gif", None),
    ],
)
def test_every_kind_has_its_frames_at_their_times(
    tmp_path: Path, name: str, codec: str | None
) -> None:
    film = tmp_path / name
    save_film(timed(marked(10)), film, Form(codec=codec, quality=90))
    facts = film_facts(film)
    assert facts.size == (96, 64)
    assert facts.rate == pytest.approx(25, rel=0.01)
    frames = list(read_frames(film))
    assert greys(film) == list(range(10))
    assert [float(f.time) for f in frames] == pytest.approx([i / 25 for i in range(10)], abs=0.006)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_webp_moves_in_time(tmp_path: Path) -> None:
    save_film(timed(panned(6)), tmp_path / "a.webp")
    with Image.open(tmp_path / "a.webp") as moving:
        assert moving.n_frames == 6  # type: ignore[attr-defined]
        assert moving.size == (128, 96)
        assert moving.info["loop"] == 0
        moving.seek(5)
        moving.load()
        shown = np.asarray(moving.convert("RGB"), int)
    assert np.abs(shown - panned(6)[5]).mean() < 8
    times = [float(frame.time) for frame in read_frames(tmp_path / "a.webp")]
    assert times == pytest.approx([i / 25 for i in range(6)])


def test_uneven_times_and_the_last_frame_last(tmp_path: Path) -> None:
    lengths = [Fraction(1, 30), Fraction(5, 30), Fraction(2, 30), Fraction(9, 30)]
    times = [sum(lengths[:i], Fraction(0)) for i in range(4)]
    frames = [Frame(rgb, t, d) for rgb, t, d in zip(marked(4), times, lengths, strict=True)]
    for name in ("a.mp4", "a.webm", "a.gif"):
        end = save_film(frames, tmp_path / name, Form(time_base=Fraction(1, 30)))
        assert end == Fraction(17, 30)
        read = [float(f.time) for f in read_frames(tmp_path / name)]
        assert read == pytest.approx([float(t) for t in times], abs=0.006)
        assert film_facts(tmp_path / name).seconds == pytest.approx(17 / 30, abs=0.04)


def test_pixels_that_are_not_square_are_shown_as_wide(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv", "a.webm", "a.gif"):
        save_film(timed(marked(3)), tmp_path / name, Form(pixel_aspect=Fraction(4, 3)))
        facts = film_facts(tmp_path / name)
        assert facts.size[0] * facts.pixel_aspect / facts.size[1] == 2  # 96 x 4/3 : 64


@pytest.mark.parametrize(
    ("source", "name", "coded"),
    [("aac", "a.mp4", "aac"), ("aac", "a.webm", "opus"), ("libopus", "a.mov", "aac")],
)
def test_sound_is_as_long_as_the_film(tmp_path: Path, source: str, name: str, coded: str) -> None:
    film = write_clip(tmp_path / "in.mkv", marked(50), sound=source)
    frames = read_frames(film, start=0.4, end=1.4)
    form = Form(sound=Sound(film, 0.4, 1.4), time_base=frames.facts.time_base)
    save_film(frames, tmp_path / name, form)
    found = streams_of(tmp_path / name)
    sound = next(span for kind, span in found.items() if kind == f"audio {coded}")
    pictures = next(span for kind, span in found.items() if kind.startswith("video"))
    assert pictures == pytest.approx((0, 1.0), abs=0.041)
    assert sound == pytest.approx((0, 1.0), abs=0.041)


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_what_is_heard_after_the_last_picture_is_kept(tmp_path: Path, name: str) -> None:
    """Except of a film that Ctrl-C ended, or a part that ends before."""
    pictures = write_clip(tmp_path / "pictures.mkv", marked(25))
    sound = write_clip(tmp_path / "sound.mkv", marked(75), sound="aac")

    def heard(end: float | None = None, stop: bool = False) -> float:
        def frames() -> Iterator[Frame]:
            yield from read_frames(pictures)
            if stop:
                raise KeyboardInterrupt

        try:
            save_film(frames(), tmp_path / name, Form(sound=Sound(sound, 0, end)))
        except KeyboardInterrupt:
            assert stop
        spans = streams_of(tmp_path / name)
        return next(span[1] for kind, span in spans.items() if kind.startswith("audio"))

    assert heard() == pytest.approx(3, abs=0.05)
    assert heard(end=2) == pytest.approx(2, abs=0.05)
    assert heard(stop=True) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_sound_is_copied_where_the_file_can_hold_it(tmp_path: Path, name: str) -> None:
    film = write_clip(tmp_path / "in.mkv", marked(25), sound="libmp3lame")
    save_film(timed(marked(25)), tmp_path / name, Form(sound=Sound(film)))
    assert "audio mp3float" in streams_of(tmp_path / name)


def test_the_track_that_is_played_first_and_its_language_stay(tmp_path: Path) -> None:
    film = tmp_path / "in.mkv"
    with av.open(str(film), "w") as output:
        tracks = [output.add_stream("aac", rate=48_000) for _ in range(2)]
        for track, language in zip(tracks, ("fra", "deu"), strict=True):
            track.metadata["language"] = language
        tracks[0].disposition = av.stream.Disposition(0)
        tracks[1].disposition = av.stream.Disposition.default
        for track in tracks:
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.float32), "fltp", "mono")
            tone.sample_rate = 48_000
            output.mux([*track.encode(tone), *track.encode(None)])
    for name in ("a.mkv", "a.mp4", "a.webm"):
        save_film(timed(marked(25)), tmp_path / name, Form(sound=Sound(film)))
        with av.open(str(tmp_path / name)) as written:
            told = [
                (t.metadata["language"], bool(t.disposition & av.stream.Disposition.default))
                for t in written.streams.audio
            ]
        assert told == [("fra", False), ("deu", True)], name


@pytest.mark.parametrize("rate", [60, 100, 120])
@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_fast_films_keep_their_speed_where_frames_cannot_be_as_short(
    tmp_path: Path, name: str, rate: int
) -> None:
    save_film(timed(panned(rate, 32, 48, step=1), rate), tmp_path / name, Form(rate=Fraction(rate)))
    frames = list(read_frames(tmp_path / name))
    assert float(frames[-1].time + (frames[-1].duration or 0)) == pytest.approx(1, abs=0.021)
    assert len(frames) > 35


def test_odd_sizes_are_whole_where_the_file_can_hold_them(tmp_path: Path) -> None:
    odd = [np.ascontiguousarray(rgb[:63, :95]) for rgb in marked(3)]
    for name, size in (("a.webm", (95, 63)), ("a.gif", (95, 63)), ("a.mp4", (94, 62))):
        save_film(timed(odd), tmp_path / name)
        assert film_facts(tmp_path / name).size == size


def test_a_gif_stays_small_and_true_where_colours_change(tmp_path: Path) -> None:
    """What stays is written once; a new scene gets a palette of its own."""
    still = panned(1)[0]
    save_film(timed([still] * 30), tmp_path / "still.gif")
    save_film(timed([still]), tmp_path / "one.gif")
    assert (tmp_path / "still.gif").stat().st_size < 1.1 * (tmp_path / "one.gif").stat().st_size
    scenes = [np.full((64, 64, 3), (10, 40 + i, 90), np.uint8) for i in range(12)]
    scenes += [np.full((64, 64, 3), (220, 40 + i, 30), np.uint8) for i in range(12)]
    save_film(timed(scenes), tmp_path / "scenes.gif")
    for frame, wanted in zip(read_frames(tmp_path / "scenes.gif"), scenes, strict=False):
        assert frame.rgb.mean((0, 1)) == pytest.approx(wanted[0, 0], abs=6)


def test_ctrl_c_leaves_a_film_of_what_is_done(tmp_path: Path) -> None:
    def frames() -> Iterator[Frame]:
        yield from list(timed(marked(9)))[:7]
        raise KeyboardInterrupt

    film = write_clip(tmp_path / "in.mkv", marked(50), sound="aac")
    for name in ("a.mp4", "a.webm", "a.gif"):
        with pytest.raises(KeyboardInterrupt):
            save_film(frames(), tmp_path / name, Form(sound=Sound(film)))
        assert greys(tmp_path / name) == list(range(7))
    spans = streams_of(tmp_path / "a.mp4")
    assert spans["audio aac"][1] == pytest.approx(7 / 25, abs=0.041)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no list of open files")
@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.webp", "a.gif"])
def test_a_full_disk_is_told_and_no_file_stays_open(tmp_path: Path, name: str) -> None:
    """Of a file that stays open, the space is not free again, even when its name is gone."""
    resource = pytest.importorskip("resource")
    noise = np.random.default_rng(0)
    frames = [noise.integers(0, 256, (64, 96, 3), np.uint8) for _ in range(30)]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(
        signal.SIGXFSZ, signal.SIG_IGN
    )  # a limit to files, as good as a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, before[1]))
    try:
        with pytest.raises(
            ImageError, match=rf"{name} cannot be written: .*check rights and space"
        ) as error:
            save_film(timed(frames), tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert error.tb is not None  # as a notebook keeps it
    assert list(tmp_path.iterdir()) == []
    links = (entry for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink())
    assert not [link for link in links if str(tmp_path) in os.readlink(link)]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def frames() -> Iterator[Frame]:
        yield from timed(marked(3))
        raise ImageError("the painter fell asleep")

    (tmp_path / "a.mp4").write_bytes(b"what was there")
    for name in ("a.mp4", "b.gif"):
        with pytest.raises(ImageError, match="asleep"):
            save_film(frames(), tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"what was there"


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    for name, form, words in (
        ("a.avi", Form(), r"suffix '\.avi'.*\.mp4"),
        ("nowhere/a.mp4", Form(), "no folder"),
        ("a.mp4", Form(quality=0), "quality is 0"),
        ("a.webm", Form(codec="h264"), "takes one of vp9, av1"),
        ("a.gif", Form(codec="h264"), "takes no codec"),
    ):
        with pytest.raises(VideoError, match=words):
            save_film(timed(marked(2)), tmp_path / name, form)
    with pytest.raises(VideoError, match="no frames"):
        save_film([], tmp_path / "a.mp4")
    save_film(timed(marked(2)), tmp_path / "a.mp4")
    with pytest.raises(ImageError, match="exists already"):
        save_film(timed(marked(2)), tmp_path / "a.mp4", overwrite=False)
