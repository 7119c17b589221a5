"""How much a painted film flickers: `hfstyle evaluate --video`.

The warping error (Lai et al. 2018, section 4.1): a painted frame is compared with an earlier painted frame that has been
moved along as the film itself moved, wherever the film's motion is certain. Of two frames in a row it is what shimmers, of
two that lie further apart what drifts. Values are mean absolute differences of 255.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from hfstyle.evaluation import formulas
from hfstyle.evaluation.judge import Judge
from hfstyle.evaluation.network_files import load_networks
from hfstyle.film.errors import VideoError, load_cv2
from hfstyle.film.flow import certain_where, remapped
from hfstyle.film.read import Frame, read_frames
from hfstyle.film.steady import Layers, SteadyPainter
from hfstyle.images.geometry import resize
from hfstyle.images.load import list_images, load_image
from hfstyle.images.save import to_pil
from hfstyle.pipeline import StyleTransferPipeline
from hfstyle.styles.code import StyleCode

__all__ = [
    "FilmMeasures",
    "certain_motion",
    "film_of",
    "format_measures",
    "measure_films",
    "painting",
    "style_judge",
    "warping_error",
]

LAGS: Final = (1, 10)
_AGREE: Final = 0.5  # px², of the way there and back
_COMPARED: Final = 512  # px, short side at which style is judged
_STYLE_FRAMES: Final = 8  # frames of a film whose style is measured
_FILM: Final = "the film itself"

StyleDistance = Callable[[NDArray[np.uint8]], float]


@dataclass
class FilmMeasures:
    """Of one painted film.

    errors: warping error by lag in frames, of 255; None where the film is not long enough.
    style: distance of the frames from the style, where there is a judge of it.
    seconds: of the processor for a frame, where it was painted here, the first two frames left out.
    """

    errors: dict[int, float | None]
    style: float | None = None
    seconds: float | None = None


def film_of(source: str | os.PathLike[str], size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """The frames of a film, or the pictures of a folder in the order of their names, as (H, W, 3) uint8 of `size` (W, H)."""
    path = Path(source)
    frames: Iterable[NDArray[np.uint8]]
    if path.is_dir():
        files = sorted(list_images(path))
        if not files:
            raise VideoError(f"{path} holds no pictures; give a film, or a folder of its frames")
        frames = (np.asarray(to_pil(load_image(file).rgb)) for file in files)
    else:
        frames = (frame.rgb for frame in read_frames(path))
    for rgb in frames:
        if (rgb.shape[1], rgb.shape[0]) != size:
            rgb = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))
        yield rgb


def warping_error(
    motion: tuple[NDArray[Any], NDArray[np.bool_]],
    before: NDArray[np.uint8],
    now: NDArray[np.uint8],
) -> float | None:
    """Mean absolute difference of a frame and an earlier one moved along, of 255; None if the motion is certain nowhere.

    Args:
        motion: of the film between the two, as of `certain_motion`.
        before, now: (H, W, 3).
    """
    back, certain = motion
    if not certain.any():
        return None
    moved = remapped(before.astype(np.float32), back)
    return float(np.abs(moved - now)[certain].mean())


def certain_motion(
    before: NDArray[np.uint8], now: NDArray[np.uint8]
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """From where each place of a frame (H, W, 3) came, (H, W, 2) px, and whether the way there and back agree, (H, W)."""
    cv2 = load_cv2()
    first, second = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (before, now))
    finder = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    back = finder.calc(second, first, None)
    return back, certain_where(back, finder.calc(first, second, None), _AGREE) >= 1


@dataclass
class _Method:
    frames: Iterator[NDArray[np.uint8]]
    kept: deque[NDArray[np.uint8]]
    found: dict[int, list[float]] = field(default_factory=dict)
    styles: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def measure_films(
    film: Iterable[Frame],
    painted: Mapping[str, Callable[[Frame], NDArray[np.uint8]] | Iterator[NDArray[np.uint8]]],
    *,
    lags: Sequence[int] = LAGS,
    style_distance: StyleDistance | None = None,
    total: int | None = None,
    progress_callback: Callable[[int, int | None], None] | None = None,
) -> dict[str, FilmMeasures]:
    """Measure several paintings of one film, frame by frame; of each, the last frames are kept and no more.

    Args:
        film: its own frames.
        painted: by name, what paints a frame, or the painted frames in their order; of the film's size.
        lags: numbers of frames, from 1.
        style_distance: judges a frame; asked about eight of each film, if `total` is given, else every fourth.
        total: frames of the film, about.
        progress_callback: called as `progress_callback(done, total)` after each frame.

    Returns:
        of "the film itself" and of each painting.

    Raises:
        VideoError: a painting that is shorter than the film, or fewer than two frames.
    """
    longest = max(lags)
    methods = {_FILM: _Method(iter(()), deque(maxlen=longest + 1))}
    for name, source in painted.items():
        frames = source if isinstance(source, Iterator) else iter(())
        methods[name] = _Method(frames, deque(maxlen=longest + 1))
    step = 4 if total is None else max(1, total // _STYLE_FRAMES)
    count = 0
    for count, frame in enumerate(film, start=1):
        for name, method in methods.items():
            method.kept.append(_frame_of(name, method, painted.get(name), frame, count))
            if style_distance is not None and name != _FILM and (count - 1) % step == step // 2:
                method.styles.append(style_distance(method.kept[-1]))
        own = methods[_FILM].kept
        for lag in lags:
            if len(own) <= lag:
                continue
            motion = certain_motion(own[-1 - lag], own[-1])
            for method in methods.values():
                error = warping_error(motion, method.kept[-1 - lag], method.kept[-1])
                if error is not None:
                    method.found.setdefault(lag, []).append(error)
        if progress_callback is not None:
            progress_callback(count, total)
    if count < 2:
        raise VideoError(f"the film has {count} frames; at least 2 are compared")
    return {
        name: FilmMeasures(
            {lag: _mean(method.found.get(lag, [])) for lag in lags},
            _mean(method.styles),
            _mean(method.seconds[2:]),
        )
        for name, method in methods.items()
    }


def format_measures(
    measures: Mapping[str, FilmMeasures], unit: str | None = None
) -> list[list[str]]:
    """Rows for a table, the head first; `unit` names the painting that others are told as shares of."""
    lags = list(next(iter(measures.values())).errors)
    columns: dict[str, Callable[[FilmMeasures], float | None]] = {
        f"LAG {lag}": lambda found, lag=lag: found.errors[lag]  # type: ignore[misc]
        for lag in lags
    }
    columns["STYLE DISTANCE"] = lambda found: found.style
    columns["CPU SECONDS"] = lambda found: found.seconds
    kept = {
        head: value
        for head, value in columns.items()
        if head.startswith("LAG") or any(value(found) is not None for found in measures.values())
    }
    rows = [["PAINTED BY", *kept]]
    for name, found in measures.items():
        base = measures[unit] if unit is not None and name not in (unit, _FILM) else None
        cells = [
            _told(value(found), None if base is None else value(base)) for value in kept.values()
        ]
        rows.append([name, *cells])
    return rows


def painting(
    pipe: StyleTransferPipeline, code: StyleCode, strength: float, layers: Layers
) -> Callable[[Frame], NDArray[np.uint8]]:
    """What paints the frames of one film, for `measure_films`."""
    painter = SteadyPainter(pipe, layers=layers)
    return lambda frame: painter.paint(frame.rgb, float(frame.time), code, strength)


def style_judge(sources: Sequence[str], style: str) -> StyleDistance:
    """The style distance of `hfstyle evaluate` between a frame and a style picture, not divided by the film's own.

    Args:
        sources: of networks, as of `load_networks`, with Inception-v3.
        style: a picture's file.

    Raises:
        ValueError: no Inception-v3.
        ImageError: the style is no picture.
    """
    judge = Judge(load_networks(sources), "cpu", _COMPARED)
    if judge.networks.inception is None:
        raise ValueError(f"{', '.join(sources)}: the style distance needs Inception-v3")
    goal = judge.view(judge.read(Path(style)), as_style=True).statistics

    def distance(rgb: NDArray[np.uint8]) -> float:
        picture = torch.from_numpy(np.array(rgb)).permute(2, 0, 1)[None].float() / 255
        found = judge.view(resize(picture, _COMPARED)).statistics
        assert found is not None
        assert goal is not None
        return formulas.style_distance(found, goal)

    return distance


def _told(value: float | None, unit: float | None) -> str:
    if value is None:
        return "-"
    digits = 3 if value < 1 else 2
    share = f" ({value / unit:.0%})" if unit else ""
    return f"{value:.{digits}f}{share}"


def _frame_of(
    name: str,
    method: _Method,
    source: object,
    frame: Frame,
    count: int,
) -> NDArray[np.uint8]:
    if source is None:
        return frame.rgb
    made: NDArray[np.uint8] | None
    if callable(source):
        before = time.process_time()
        made = source(frame)
        method.seconds.append(time.process_time() - before)
    else:
        made = next(method.frames, None)
    if made is None:
        raise VideoError(
            f"{name} has {count - 1} frames, fewer than the film; give the whole of it, or --end"
        )
    if made.shape != frame.rgb.shape:
        raise VideoError(
            f"{name}: frames of {made.shape[1]} x {made.shape[0]} px; the film's have "
            f"{frame.rgb.shape[1]} x {frame.rgb.shape[0]}"
        )
    return made


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
