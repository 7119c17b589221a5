"""`hfstyle video` and `StyleTransferPipeline.video`: a film in, a painted film out; broken off, killed and gone on with."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av")
pytest.importorskip("cv2")

import itertools

from film_clips import marked, panned, streams_of, texture, write_clip
from small_model import small_generator

from hfstyle import StyleTransferPipeline
from hfstyle.cli import main
from hfstyle.film import VideoError, film_facts, read_frames, stylize_video


@functools.cache
def pipe() -> StyleTransferPipeline:
    made = StyleTransferPipeline(small_generator())
    waves, hills = texture(80, 80), texture(80, 80, seed=1) // 4
    made.presets = {
        "waves": made.encode_style(waves, name="waves"),
        "hills": made.encode_style(hills + np.array((150, 0, 0), np.uint8), name="hills"),
    }
    return made


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    pipe().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of pan with sound, at uneven times."""
    ticks = [24 * i + (8 if i % 3 == 1 else 0) for i in range(25)]
    folder = tmp_path_factory.mktemp("clip")
    return write_clip(folder / "in.mp4", panned(25, 64, 96), ticks=ticks, sound="aac")


def frames_of(path: Path) -> list[np.ndarray]:
    return [frame.rgb for frame in read_frames(path)]


def test_sound_length_and_times_are_the_films(clip: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    out = tmp_path / "out.mp4"
    pipe().video(clip, "waves", 0.9).save(out, progress_callback=lambda *x: told.append(x))
    assert [f.time for f in read_frames(out)] == [f.time for f in read_frames(clip)]
    before, after = streams_of(clip), streams_of(out)
    assert before.keys() == after.keys()
    for name, span in before.items():
        assert after[name] == pytest.approx(span, abs=0.041)
    assert [done for done, _ in told] == list(range(1, 26))
    assert film_facts(out).size == (96, 64)


def test_frames_come_one_by_one_and_each_time_anew(clip: Path) -> None:
    film = pipe().video(clip, "waves", end=0.2)
    first = [frame.rgb for frame in film]
    assert len(first) == 5
    assert all(np.array_equal(a, b.rgb) for a, b in zip(first, film, strict=True))
    plain = next(iter(read_frames(clip))).rgb
    assert np.array_equal(next(iter(pipe().video(clip, "waves", 0.0))).rgb, plain)


def test_styles_change_along_the_way(clip: Path) -> None:
    changing = [
        f.rgb.astype(int) for f in pipe().video(clip, keyframes="0s:waves 0.5s:hills", end=0.7)
    ]
    hills = [f.rgb.astype(int) for f in pipe().video(clip, "hills", end=0.7)]
    waves = [f.rgb.astype(int) for f in pipe().video(clip, "waves", end=0.7)]
    assert np.array_equal(changing[0], waves[0])
    assert np.abs(changing[-1] - hills[-1]).mean() < np.abs(changing[-1] - waves[-1]).mean()
    steps = [np.abs(b - a).mean() for a, b in itertools.pairwise(changing)]
    assert max(steps) < 4 * np.median(steps)


def test_a_film_of_half_the_size(clip: Path, tmp_path: Path) -> None:
    film = pipe().video(clip, "waves", output_size=32, processing_resolution=64, end=0.1)
    film.save(tmp_path / "a.gif")
    assert film_facts(tmp_path / "a.gif").size == (48, 32)


def test_what_cannot_be_asked_for_is_said(clip: Path, tmp_path: Path) -> None:
    for options, words in (
        ({"strength": 2}, "strength is 2"),
        ({"color": -1}, "color is -1"),
        ({"faces": 1.5}, "faces is 1.5"),
        ({"processing_resolution": 8}, "processing_resolution is 8"),
        ({"output_size": 4}, "output_size is 4"),
        ({"start": 9}, "start is 9 s"),
        ({"keyframes": "now"}, "is not a keyframe"),
        ({"layers": "none"}, "layers is 'none'"),
    ):
        with pytest.raises(ValueError, match=words):
            stylize_video(pipe(), clip, "waves", **options)  # type: ignore[arg-type]
    with pytest.raises(VideoError, match="no style at 0 s"):
        pipe().video(clip)
    film = pipe().video(clip, "waves")
    with pytest.raises(VideoError, match="is the film itself"):
        film.save(clip)
    with pytest.raises(VideoError, match="quality is 'high'"):
        film.save(tmp_path / "a.mp4", quality="high")  # type: ignore[arg-type]
    with pytest.raises(VideoError, match="cannot be gone on with"):
        film.save(tmp_path / "a.gif", resume=True)


def test_broken_off_with_resume_it_ends_as_if_painted_at_once(tmp_path: Path) -> None:
    """Segments of 4 s, broken off twice; the film is that of one run, to the last bit of its frames."""
    long = write_clip(tmp_path / "in.mp4", panned(56, 64, 96, step=1), rate=5, sound="aac")
    whole, parts = tmp_path / "whole.mp4", tmp_path / "parts.mp4"
    pipe().video(long, "waves").save(whole)

    def stop_at(limit: int) -> object:
        def step(done: int, total: int | None) -> None:
            if done >= limit:
                raise KeyboardInterrupt

        return step

    with pytest.raises(KeyboardInterrupt):
        pipe().video(long, "hills").save(parts, resume=True, progress_callback=stop_at(3))  # type: ignore[arg-type]
    assert not (
        tmp_path / "parts.mp4.parts"
    ).exists()  # where nothing was kept, nothing is refused later
    mine = tmp_path / "parts.mp4.parts" / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("not of the film")
    for limit, left in ((30, 20), (50, 40)):
        with pytest.raises(KeyboardInterrupt):
            pipe().video(long, "waves").save(parts, resume=True, progress_callback=stop_at(limit))  # type: ignore[arg-type]
        assert len(frames_of(parts)) == left  # of the whole segments, playable
    with pytest.raises(VideoError, match=r"made otherwise.*styles"):
        pipe().video(long, "hills").save(parts, resume=True)
    told: list[int] = []
    pipe().video(long, "waves").save(
        parts, resume=True, progress_callback=lambda done, total: told.append(done)
    )
    assert told == [40, *range(41, 57)]
    assert list((tmp_path / "parts.mp4.parts").iterdir()) == [mine]
    assert [f.time for f in read_frames(parts)] == [f.time for f in read_frames(long)]
    assert streams_of(parts)["audio aac"] == pytest.approx(streams_of(long)["audio aac"], abs=0.041)
    apart = [
        np.abs(a.astype(int) - b).mean()
        for a, b in zip(frames_of(whole), frames_of(parts), strict=True)
    ]
    assert max(apart) < 3  # coded twice, painted alike


def test_two_runs_do_not_write_the_same_segments(clip: Path, tmp_path: Path) -> None:
    """The second is refused at once, the first goes on; after it, the name is free."""
    out = tmp_path / "out.mp4"
    refused: list[str] = []

    def meanwhile(done: int, total: int | None) -> None:
        if done == 2:
            with pytest.raises(VideoError) as error:
                pipe().video(clip, "waves").save(out, resume=True)
            refused.append(str(error.value))

    pipe().video(clip, "waves").save(out, resume=True, progress_callback=meanwhile)
    assert "out.mp4 is being painted by another run" in refused[0]
    assert len(frames_of(out)) == 25
    pipe().video(clip, "waves").save(out, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize(
    ("name", "codec"), [("a.webm", None), ("a.webm", "av1"), ("a.mkv", "vp9"), ("a.mov", None)]
)
def test_every_kind_of_film_can_be_gone_on_with(
    tmp_path: Path, name: str, codec: str | None
) -> None:
    """Of two segments, odd sizes and pixels that are not square; as the film that is written at once."""
    flat = {"sample_aspect_ratio": Fraction(4, 3)}
    film = write_clip(
        tmp_path / "in.mkv", [f[:62] for f in panned(30, 64, 96)], rate=5, sound="aac", tags=flat
    )
    options = {"start": 0.5, "keyframes": "0s:waves 4s:hills@0.5"}
    pipe().video(film, **options).save(tmp_path / f"once_{name}", codec=codec)  # type: ignore[arg-type]
    pipe().video(film, **options).save(tmp_path / name, codec=codec, resume=True)  # type: ignore[arg-type]
    once, parts = tmp_path / f"once_{name}", tmp_path / name
    assert film_facts(parts).size == film_facts(once).size
    assert film_facts(parts).pixel_aspect == film_facts(once).pixel_aspect
    width, height = film_facts(parts).size
    assert float(width * film_facts(parts).pixel_aspect) / height == pytest.approx(128 / 62, 0.02)
    times = [[float(f.time) for f in read_frames(path)] for path in (once, parts)]
    assert times[1] == pytest.approx(times[0], abs=0.002)
    apart = [
        np.abs(a.astype(int) - b).mean()
        for a, b in zip(frames_of(once), frames_of(parts), strict=True)
    ]
    assert max(apart) < 3
    assert streams_of(parts).keys() == streams_of(once).keys()


def test_the_command_paints_and_names_the_file(
    clip: Path, tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.webm"
    words = ["video", str(clip), "-s", "waves", "-o", str(out), "--end", "0.3", "--model", model]
    assert main([*words, "--strength", "0.7", "--without", "coarse"]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert streams_of(out).keys() == {"video vp9", "audio opus"}
    assert main([*words, "--no-sound", "--codec", "av1", "-q"]) == 0
    assert streams_of(out).keys() == {"video libdav1d"} or len(streams_of(out)) == 1
    assert main([*words, "--no-overwrite"]) == 1
    assert "exists already" in capsys.readouterr().err


def test_the_command_says_what_is_wrong(
    clip: Path, tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out.mp4")
    common = ["--model", model, "-s", "waves"]
    for words, code, said in (
        (["video", str(clip), "-o", out, "--model", model], 2, "give a style"),
        (["video", str(clip), "-o", "a.avi", *common], 1, "films are written as"),
        (["video", "none.mp4", "-o", out, *common], 1, "none.mp4: no such file"),
        (["video", str(clip), "-o", out, "--start", "soon", *common], 2, "is not a time"),
        (["video", str(clip), "-o", out, "--start", "7", *common], 1, "give an earlier one"),
        (
            ["video", str(clip), "-o", out, "--keyframes", "x", "--model", model],
            1,
            "'x' is not a keyframe",
        ),
    ):
        assert main(words) == code
        assert said in capsys.readouterr().err
        assert not Path(out).exists()


def test_a_broken_film_is_painted_as_far_as_it_goes_and_the_command_says_so(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_clip(tmp_path / "a.mkv", panned(40, 64, 96), g="10").read_bytes()
    (tmp_path / "half.mkv").write_bytes(data[: len(data) // 2])
    out = tmp_path / "out.mp4"
    assert (
        main(["video", str(tmp_path / "half.mkv"), "-s", "waves", "-o", str(out), "--model", model])
        == 1
    )
    assert "breaks off after" in capsys.readouterr().err
    assert 5 < len(frames_of(out)) < 35


PROGRAM = """
import signal, sys
from hfstyle.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore
sys.exit(main())
"""


def started(clip: Path, out: Path, model: str) -> subprocess.Popen[str]:
    """A process that paints a film of half a minute, when it has begun to write."""
    words = [sys.executable, "-c", PROGRAM, "video", str(clip), "-s", "waves", "-o", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*words, "--model", model], env=environment, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if any(p.name.endswith(".tmp") and p.stat().st_size > 2000 for p in out.parent.iterdir()):
            return process
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"nothing was written: {process.communicate()[1]}")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.slow
def test_ctrl_c_leaves_a_film_and_before_there_is_none(tmp_path: Path, model: str) -> None:
    long = write_clip(tmp_path / "in.mp4", panned(900, 64, 96, step=1), sound="aac")
    folder = tmp_path / "out"
    folder.mkdir()
    out = folder / "out.mp4"
    process = started(long, out, model)
    assert not out.exists()  # what a process that is killed would leave
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "out.mp4 ends after" in error
    count = len(frames_of(out))
    assert 1 < count < 900
    assert f"after {count} frames" in error
    assert streams_of(out)["audio aac"][1] == pytest.approx(count / 25, abs=0.1)
    assert [p.name for p in folder.iterdir()] == ["out.mp4"]


def test_marked_frames_keep_their_order(tmp_path: Path) -> None:
    """At strength 0 the film passes through as it is."""
    film = write_clip(tmp_path / "in.mp4", marked(20))
    pipe().video(film, "waves", 0.0).save(tmp_path / "out.mp4", quality=95)
    for before, after in zip(frames_of(film), frames_of(tmp_path / "out.mp4"), strict=True):
        assert np.abs(before.astype(int) - after).mean() < 3
