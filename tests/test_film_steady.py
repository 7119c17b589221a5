"""Frames stay alike: on clips with known motion, across cuts, on stills; each layer alone."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("cv2")

import itertools

from film_clips import panned, texture

from hfstyle import StyleTransferPipeline, limits
from hfstyle.examples import example_photo
from hfstyle.film import Layers, SteadyPainter
from hfstyle.film.cuts import is_cut, palette_of
from hfstyle.film.flow import EXACT, QUICK, Search, Tracker, small_view
from hfstyle.painting.finite import NotFiniteError

Rgb = NDArray[np.uint8]
NONE, ALL = Layers(False, False, False), Layers()


@functools.cache
def pipe() -> StyleTransferPipeline:
    return StyleTransferPipeline.from_pretrained()


def painted(frames: Sequence[Rgb], layers: Layers, **options: float) -> list[Rgb]:
    painter = SteadyPainter(pipe(), layers=layers)
    code = pipe().preset("starry_night_van_gogh")
    return [painter.paint(f, i / 25, code, **options) for i, f in enumerate(frames)]


def shimmer(frames: Sequence[Rgb], step: int, lag: int = 1) -> float:
    """Mean difference of frames after a pan by `step` px a frame, moved back, of 255; without the borders."""
    far = step * lag
    pairs = zip(frames[:-lag], frames[lag:], strict=True)
    inner = slice(12, -12)
    return float(
        np.mean(
            [
                np.abs(a[inner, far + 12 : -12].astype(int) - b[inner, 12 : -far - 12]).mean()
                for a, b in pairs
            ]
        )
    )


def noisy(frames: Sequence[Rgb]) -> list[Rgb]:
    random = np.random.default_rng(5)
    return [np.clip(f + random.normal(0, 4, f.shape), 0, 255).astype(np.uint8) for f in frames]


@pytest.fixture(scope="module")
def pan() -> list[Rgb]:
    return noisy(panned(9, 144, 192, step=2))


def test_without_layers_frames_are_those_of_the_pipeline(pan: list[Rgb]) -> None:
    code = pipe().preset("starry_night_van_gogh")
    frame = torch.from_numpy(pan[3]).permute(2, 0, 1)
    plain = np.asarray(pipe()(frame, code, processing_resolution="full").images[0])
    assert np.abs(painted(pan[:4], NONE)[3].astype(int) - plain).max() <= 1
    assert np.array_equal(painted(pan[:1], ALL)[0], painted(pan[:1], NONE)[0])


def test_a_pan_shimmers_half_as_much_at_both_lags(pan: list[Rgb]) -> None:
    plain, steady = painted(pan, NONE), painted(pan, ALL)
    for lag in (1, 6):
        assert shimmer(steady, 2, lag) < 0.5 * shimmer(plain, 2, lag)
    # What is painted anew at the border is not what was carried: the last columns are those of a new painting.
    assert np.abs(steady[-1][:, -4:].astype(int) - plain[-1][:, -4:]).mean() < 40


def test_layers_of_coarse_and_finished_painting_help_alone(pan: list[Rgb]) -> None:
    plain = shimmer(painted(pan, NONE), 2)
    assert shimmer(painted(pan, Layers(False, True, False)), 2) < 0.9 * plain
    assert shimmer(painted(pan, Layers(False, False, True)), 2) < 0.5 * plain


def test_statistics_and_grid_follow_slowly() -> None:
    """Noise moves the grid of the coarse level on a still; followed, it stays."""
    frames = noisy([texture(128, 160)] * 8)

    def change(layers: Layers) -> float:
        shown = painted(frames, layers)
        return float(
            np.mean([np.abs(a.astype(int) - b).mean() for a, b in itertools.pairwise(shown)])
        )

    assert change(Layers(True, False, False)) < change(NONE)


def test_a_still_stays_still() -> None:
    """Noise of a camera that stands flickers less than half as much, and the painting is no softer for it."""
    frames = noisy([texture(128, 160)] * 8)
    plain, steady = painted(frames, NONE), painted(frames, ALL)
    apart = [np.abs(a.astype(int) - b).mean() for a, b in itertools.pairwise(steady)]
    before = [np.abs(a.astype(int) - b).mean() for a, b in itertools.pairwise(plain)]
    assert np.mean(apart) < 0.45 * np.mean(before)

    def edges(rgb: Rgb) -> float:
        return float(np.abs(np.diff(rgb.astype(int), axis=1)).mean())

    assert edges(steady[-1]) > 0.8 * edges(plain[-1])


def test_nothing_is_left_behind_a_moving_thing() -> None:
    """Where a square was, the painting is soon that of a film in which it never was."""
    wall = texture(128, 192, seed=2)
    random = np.random.default_rng(1)
    square = random.integers(0, 256, (40, 40, 3), np.uint8)
    square = square // 4 + np.array((180, 20, 20), np.uint8)
    frames = []
    for i in range(8):
        frame = wall.copy()
        frame[40:80, 10 + 18 * i : 50 + 18 * i] = square
        frames.append(frame)
    with_square, plain = painted(frames, ALL), painted(frames, NONE)
    place = (slice(44, 76), slice(14, 60))  # left by frame 4
    apart = np.abs(with_square[7][place].astype(int) - plain[7][place]).mean()
    between = np.abs(plain[0][place].astype(int) - plain[7][place]).mean()
    assert apart < 0.45 * between


def test_nothing_of_one_scene_is_in_the_next() -> None:
    first, second = panned(4, 128, 160), [255 - f for f in panned(4, 128, 160)]
    painter = SteadyPainter(pipe())
    code = pipe().preset("great_wave_hokusai")
    shown = [painter.paint(f, i / 25, code) for i, f in enumerate([*first, *second])]
    assert painter.cuts == 1
    assert np.array_equal(shown[4], SteadyPainter(pipe()).paint(second[0], 0, code))


@pytest.mark.parametrize("quick", [False, True])
def test_nothing_of_another_style_is_left_after_a_moment(pan: list[Rgb], quick: bool) -> None:
    """A new style, all at once, on a frame that does not move: the painting is that of who had it all along."""
    before, after = (pipe().preset(name) for name in ("starry_night_van_gogh", "franz_marc"))
    changed, all_along = (SteadyPainter(pipe(), quick=quick) for _ in range(2))
    left = []
    for i in range(22):
        new = changed.paint(pan[0], i / 25, before if i < 3 else after)
        right = all_along.paint(pan[0], i / 25, after)
        left.append(float(np.abs(new.astype(int) - right).mean()))
    assert left[2] > 20
    assert left[3] < 0.6 * left[2]
    assert max(left[20:]) < 0.06 * left[2]


@pytest.mark.parametrize("size", [(98, 130), (96, 160), (128, 128)])
def test_frames_of_another_size_are_painted_anew(pan: list[Rgb], size: tuple[int, int]) -> None:
    code = pipe().preset("starry_night_van_gogh")
    painter = SteadyPainter(pipe(), quick=True)
    for i in range(3):
        painter.paint(np.ascontiguousarray(pan[i][:96, :128]), i / 25, code)
    other = np.ascontiguousarray(pan[3][: size[0], : size[1]])
    alone = SteadyPainter(pipe(), quick=True).paint(other, 0, code)
    assert np.array_equal(painter.paint(other, 3 / 25, code), alone)


def test_a_frame_that_failed_leaves_nothing(
    pan: list[Rgb], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = pipe().preset("starry_night_van_gogh")
    painter = SteadyPainter(pipe())
    painter.paint(pan[0], 0, code)
    with monkeypatch.context() as patch:
        broken = pipe().generator.paint_coarse

        def overflow(*args: Any, **named: Any) -> Any:
            found = broken(*args, **named)
            return found._replace(change=found.change * torch.nan)

        patch.setattr(pipe().generator, "paint_coarse", overflow)
        with pytest.raises(NotFiniteError):
            painter.paint(pan[1], 0.04, code)
    alone = SteadyPainter(pipe()).paint(pan[2], 0, code)
    assert np.array_equal(painter.paint(pan[2], 0.08, code), alone)


def test_what_only_the_pipeline_paints_is_painted_at_the_size_asked_for(
    pan: list[Rgb], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX graphs, and frames in tiles: a small frame was enlarged, and a large one reduced."""
    code = pipe().preset("starry_night_van_gogh")
    expected = SteadyPainter(pipe()).paint(pan[0], 0, code).astype(int)
    monkeypatch.setattr("hfstyle.film.steady.is_generator", lambda network: False)
    assert np.abs(SteadyPainter(pipe()).paint(pan[0], 0, code) - expected).max() <= 1


def test_cuts_are_told_from_motion_flashes_and_fades() -> None:
    def cut(before: Rgb, now: Rgb) -> bool:
        tracker = Tracker(small_view(before))
        return is_cut(tracker.follow(small_view(now)), palette_of(before), palette_of(now))

    pan = panned(30, 144, 192, step=12)
    assert not any(cut(a, b) for a, b in itertools.pairwise(pan))
    faded = [np.asarray(pan[0] * (1 - 0.06 * i), np.uint8) for i in range(14)]
    assert not any(cut(a, b) for a, b in itertools.pairwise(faded))
    others = [texture(144, 192, seed) for seed in range(4)]
    others[1] = 255 - others[1] // 3
    others[3] = others[3] // 3
    assert all(cut(a, b) for a, b in itertools.pairwise(others))


@pytest.mark.parametrize("search", [EXACT, QUICK])
def test_motion_is_found_where_it_is_known(search: Search) -> None:
    """A pan by 3 px, over many frames: right to a fifth of a pixel there and to the mark; of a film and of a camera."""
    frames = panned(12, 192, 256, step=3)
    tracker = Tracker(small_view(frames[0], search), search)
    for index, frame in enumerate(frames[1:], start=1):
        motion = tracker.follow(small_view(frame, search)).scaled(256, 192)
        inner = (slice(20, -20), slice(20, -60))
        assert np.abs(motion.back[inner] - (3, 0)).mean() < 0.2
        assert motion.certain[inner].mean() > 0.9
        if index < 10:
            assert np.abs(motion.far[inner] - (3 * index, 0)).mean() < 0.4
    assert motion.certain[:, -2:].mean() < 0.3  # has come in from outside


@pytest.mark.parametrize("search", [EXACT, QUICK])
def test_a_slow_pan_does_not_draw_its_border_out(search: Search) -> None:
    """Of what comes in by less than a pixel a frame, nothing is carried; the rest, and a still, is carried everywhere."""
    wall = Image.fromarray(texture(300, 300))

    def view(index: int, step: float) -> Rgb:
        down = 20 + step * index
        box = (20, down, 20 + 128, down + 96)
        return np.asarray(wall.resize((256, 192), Image.Resampling.BICUBIC, box=box))

    for step, low in ((0.2, True), (0.0, False)):
        tracker = Tracker(small_view(view(0, step), search), search)
        for index in range(1, 12):
            motion = tracker.follow(small_view(view(index, step), search))
            for certain in (motion.certain, motion.far_certain):
                inner = certain[8:-8, 8:-8].mean()
                assert inner > 0.8, (step, index)
                assert (certain[-1].mean() < 0.25) == low, (step, index, certain[-1].mean())
                assert certain[0, 8:-8].mean() > 0.7
        if low:
            assert motion.far_certain[-2:].mean() < 0.25


def test_strength_zero_is_the_film_itself_and_thin_paint_leaves_no_trail(pan: list[Rgb]) -> None:
    assert all(
        np.array_equal(a, b) for a, b in zip(painted(pan, ALL, strength=0.0), pan, strict=True)
    )
    thin, plain = painted(pan, ALL, strength=0.3), painted(pan, NONE, strength=0.3)
    assert shimmer(thin, 2) < shimmer(plain, 2)
    # The photo's own share is this frame's, not a trail of those before.
    photo = np.stack(pan[-1:]).astype(int)

    def likeness(frame: Rgb) -> float:
        return float(np.corrcoef(frame.ravel(), photo.ravel())[0, 1])

    assert likeness(thin[-1]) > likeness(plain[-1]) - 0.02


def test_a_painter_goes_on_where_another_stopped(pan: list[Rgb]) -> None:
    code = pipe().preset("franz_marc")
    one = SteadyPainter(pipe())
    shown = [one.paint(f, i / 25, code) for i, f in enumerate(pan)]
    first, second = SteadyPainter(pipe()), SteadyPainter(pipe())
    for i, f in enumerate(pan[:5]):
        first.paint(f, i / 25, code)
    second.recall(first.memory())
    for i, f in enumerate(pan[5:], start=5):
        assert np.array_equal(second.paint(f, i / 25, code), shown[i])


def test_a_gap_in_time_is_forgotten(pan: list[Rgb]) -> None:
    code = pipe().preset("franz_marc")
    painter = SteadyPainter(pipe())
    painter.paint(pan[0], 0, code)
    assert np.array_equal(
        painter.paint(pan[1], 5, code), SteadyPainter(pipe()).paint(pan[1], 0, code)
    )


def test_smaller_painting_and_the_films_own_palette(pan: list[Rgb]) -> None:
    painter = SteadyPainter(pipe(), processing_resolution=72)
    code = pipe().preset("starry_night_van_gogh")
    shown = [painter.paint(f, i / 25, code, 1.0, color=0.0) for i, f in enumerate(pan)]
    assert shown[-1].shape == pan[-1].shape
    assert shown[-1].mean((0, 1)) == pytest.approx(pan[-1].mean((0, 1)), abs=4)


@functools.cache
def portrait() -> Rgb:
    """A woman's face, of a photo inside scikit-image."""
    return np.array(example_photo("astronaut").crop((100, 0, 356, 192)).resize((192, 144)))


@pytest.mark.parametrize("faces", [0.0, 0.9])
def test_of_faces_as_much_is_kept_as_of_a_still_picture(faces: float) -> None:
    code = pipe().preset("starry_night_van_gogh")
    options: Any = {"faces": faces, "processing_resolution": "full"}
    still = np.asarray(pipe()(Image.fromarray(portrait()), code, **options).images[0])
    frame = SteadyPainter(pipe()).paint(portrait(), 0, code, faces=faces).astype(int)
    assert (
        np.abs(frame - still).max() <= 1
    )  # the network that looks for faces sees 256 levels of a still


def test_a_cameras_faces_are_looked_for_in_one_of_three_pictures_and_carried_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is spared moves with the picture in between; a film's are looked for in every frame."""
    looked: list[int] = []
    look = pipe().generator.faces.forward
    monkeypatch.setattr(pipe().generator.faces, "forward", lambda x: (looked.append(1), look(x))[1])
    wide = np.pad(portrait(), ((0, 0), (0, 40), (0, 0)), mode="reflect")
    frames = [np.ascontiguousarray(wide[:, 4 * i : 4 * i + 192]) for i in range(7)]
    code = pipe().preset("starry_night_van_gogh")
    shown = {}
    for quick, times in ((False, 7), (True, 3)):
        looked.clear()
        painter = SteadyPainter(pipe(), quick=quick)
        shown[quick] = [painter.paint(f, i / 10, code).astype(int) for i, f in enumerate(frames)]
        assert len(looked) == times
    for exact, quick in zip(shown[False], shown[True], strict=True):
        assert np.abs(exact - quick).mean() < 3


def test_a_cameras_coarse_painting_is_made_in_one_of_three_pictures_and_after_a_change_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In between it is carried along; a film's is made in every frame, and a camera's whenever much of it is new."""
    made: list[int] = []
    paint = pipe().generator.paint_coarse
    monkeypatch.setattr(
        pipe().generator,
        "paint_coarse",
        lambda *args, **named: (made.append(now), paint(*args, **named))[1],
    )
    code, other = (pipe().preset(name) for name in ("starry_night_van_gogh", "franz_marc"))
    frames = [*panned(7), *([np.ascontiguousarray(panned(1)[0][:, ::-1])] * 3)]
    painted: dict[bool, list[Any]] = {}
    for quick, expected in ((False, list(range(10))), (True, [0, 3, 6, 7, 9])):
        made.clear()
        painter = SteadyPainter(pipe(), quick=quick)
        painted[quick] = []
        for now, frame in enumerate(frames):
            style = code if now < 9 else other
            painted[quick].append(painter.paint(frame, now / 10, style).astype(int))
        assert made == expected
    for exact, quick in zip(painted[False][:7], painted[True][:7], strict=True):
        assert np.abs(exact - quick).mean() < 2


def test_a_face_that_is_found_in_every_other_frame_does_not_flicker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = itertools.cycle((1.0, 0.0))
    monkeypatch.setattr(
        pipe().generator.faces,
        "forward",
        lambda x: torch.full((1, 1, x.shape[2] // 4, x.shape[3] // 4), next(found)),
    )
    code = pipe().preset("starry_night_van_gogh")

    def flicker(layers: Layers) -> float:
        painter = SteadyPainter(pipe(), layers=layers)
        shown = [painter.paint(portrait(), i / 25, code).astype(int) for i in range(6)]
        return float(np.mean([np.abs(a - b).mean() for a, b in itertools.pairwise(shown)]))

    assert flicker(Layers(True, False, False)) < 0.4 * flicker(NONE)


def test_a_number_that_only_the_pipeline_knows_holds_in_films_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that is added to the table of options and done by the pipeline's call."""
    monkeypatch.setitem(limits.OPTIONS, "glow", limits.Option(0.0, 0, 1, "light that is added"))
    monkeypatch.setattr(limits, "NUMBERS", (*limits.NUMBERS, "glow"))
    call = StyleTransferPipeline.__call__

    def glowing(pipeline: StyleTransferPipeline, *given: Any, glow: float, **more: Any) -> Any:
        result = call(pipeline, *given, **more)
        return replace(result, images=(result.images + glow).clamp(0, 1))

    monkeypatch.setattr(StyleTransferPipeline, "__call__", glowing)
    plain, light = (painted([portrait()] * 2, ALL, glow=glow) for glow in (0.0, 0.3))
    assert all(b.mean() > a.mean() + 30 for a, b in zip(plain, light, strict=True))
    with pytest.raises(TypeError, match="'shine'"):
        painted([portrait()], ALL, shine=1)
