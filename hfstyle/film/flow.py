"""How a film moves from frame to frame: dense optical flow at low resolution, and where it can be trusted.

H, W size of a frame · h, w size of the small view in which motion is found
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hfstyle.film.errors import load_cv2

__all__ = [
    "EXACT",
    "QUICK",
    "Motion",
    "Search",
    "Tracker",
    "certain_where",
    "remapped",
    "small_view",
]

Pixels = NDArray[Any]

_AGREE: Final = 0.01  # of the squared lengths of both ways, and
_OUTSIDE: Final = 0.1  # px of the small view beyond its border, half of which is noise
_AGREE_LEAST: Final = 0.5  # px², by which there and back may differ (Sundaram et al. 2010, eq. 5)
_LIGHT: Final = (
    20.0  # of 255: from 0.6 of this on, another lightness is trusted less, from 1.6 not at all
)
_AGE: Final = 16  # frames after which a mark is set anew
_LEAST_SEEN: Final = 0.55  # share of a mark's places that must still be seen
_STRETCHED: Final = 0.15  # change of the way from px to px, from which on a picture is carried less, and twice that not
_NUDGE: Final = 0.3  # of the way from the motions added up to the motion found at once


@dataclass(frozen=True)
class Search:
    """How closely motion is looked for.

    short: short side of the small view, in px.
    preset: "MEDIUM" or "FAST", how densely OpenCV's DIS lays its patches.
    steps: of gradient descent for a patch.
    refinements: of the whole field at each size.
    to_mark: frames, of which one is compared with the mark at once.
    """

    short: int
    preset: str
    steps: int
    refinements: int
    to_mark: int


EXACT: Final = Search(192, "MEDIUM", 8, 3, 1)
"""Of films, which can wait."""
QUICK: Final = Search(160, "FAST", 6, 3, 2)
"""Of cameras: a little over a third of the time."""


@dataclass(frozen=True)
class Motion:
    """Where each place of a frame was before: in the frame before, and in an earlier one, the mark.

    back: (h, w, 2) float32, right and down, in px of the small view, to the frame before.
    certain: (h, w) float32 in [0, 1]; 0 where a place was hidden or outside.
    far, far_certain: the same to the mark.
    marks: whether this frame is the next mark.
    """

    back: Pixels
    certain: Pixels
    far: Pixels
    far_certain: Pixels
    marks: bool

    def whole(self) -> tuple[float, float]:
        """By how much most of the frame has moved since the one before: down and right, in shares of height and width."""
        there = self.certain > 0.5
        if not there.any():
            return 0.0, 0.0
        right, down = (np.median(self.back[..., axis][there]) for axis in (0, 1))
        return -float(down) / self.certain.shape[0], -float(right) / self.certain.shape[1]

    def scaled(self, width: int, height: int) -> Motion:
        """The same, in px of a frame of that size."""
        back, certain = _scaled(self.back, width, height), _scaled(self.certain, width, height)
        far, far_certain = (
            _scaled(self.far, width, height),
            _scaled(self.far_certain, width, height),
        )
        return Motion(back, certain, far, far_certain, self.marks)


class Tracker:
    """Follows a film from frame to frame.

    From the frame before, motion is found exactly, but over many frames its errors add up and a picture that is moved again
    and again gets soft. So an earlier frame is remembered as a mark: the way to it is the sum of all motions since, and a
    part of the motion found between the two at once.

    Args:
        view: (h, w) uint8, the small view of the first frame, the first mark.
        search: how closely motion is looked for.
    """

    def __init__(self, view: NDArray[np.uint8], search: Search = EXACT) -> None:
        # Of its own: a finder that has been told where to begin remembers it for the next search.
        self._back, self._forth, self._nearby = (_finder(search) for _ in range(3))
        self._to_mark = search.to_mark
        self.before = self.mark = view
        self.far = np.zeros((*view.shape, 2), np.float32)
        self.far_certain = np.ones(view.shape, np.float32)
        self.age = 0

    def follow(self, view: NDArray[np.uint8]) -> Motion:
        """The motion from the frames before to this one, whose small view this is; of the first's size."""
        back, forth = self._there_and_back(view)
        certain = certain_where(back, forth, _AGREE_LEAST)
        certain *= _same_light(self.before, view, back) * _unstretched(back)
        certain = _inner(certain)
        far = back + remapped(self.far, back)
        far_certain = np.minimum(remapped(self.far_certain, back), 1) * certain
        if self.age > 0:
            if self.age % self._to_mark == 0:
                at_once = self._nearby.calc(view, self.mark, far.copy())
                gap = _squared(at_once - far)
                far += (_NUDGE * np.clip(2 - gap, 0, 1))[..., None] * (at_once - far)
                far_certain *= np.clip(1.5 - gap / 8, 0, 1)
            far_certain *= _same_light(self.mark, view, far)
            far_certain *= _unstretched(far) * _inside(far)
        self.age += 1
        seen = float(far_certain.mean())
        marks = self.age >= _AGE or seen < _LEAST_SEEN * float(certain.mean())
        motion = Motion(back, certain, far, far_certain, marks)
        self.before = view
        self.far, self.far_certain = far, far_certain
        if marks:
            self.set_mark()
        return motion

    def _there_and_back(self, view: NDArray[np.uint8]) -> tuple[Pixels, Pixels]:
        """The way from the view to the one before, and from that to the view: looked for side by side."""
        forth: list[Pixels] = []
        beside = threading.Thread(
            target=lambda: forth.append(self._forth.calc(self.before, view, None))
        )
        beside.start()
        back = self._back.calc(view, self.before, None)
        beside.join()
        return back, forth[0]

    def set_mark(self) -> None:
        """The frame that was followed last is the mark from now on."""
        self.mark, self.age = self.before, 0
        self.far, self.far_certain = np.zeros_like(self.far), np.ones_like(self.far_certain)


def _finder(search: Search) -> Any:
    cv2 = load_cv2()
    finder = cv2.DISOpticalFlow_create(getattr(cv2, f"DISOPTICAL_FLOW_PRESET_{search.preset}"))
    finder.setFinestScale(0)  # the view is small already
    finder.setGradientDescentIterations(search.steps)
    finder.setVariationalRefinementIterations(search.refinements)
    return finder


def small_view(rgb: NDArray[np.uint8], search: Search = EXACT) -> NDArray[np.uint8]:
    """rgb (H, W, 3) -> its lightness (h, w) uint8, in which motion is found."""
    cv2 = load_cv2()
    height, width = rgb.shape[:2]
    scale = min(1.0, search.short / min(height, width))
    size = max(16, round(width * scale)), max(16, round(height * scale))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))


def certain_where(back: Pixels, forth: Pixels, least: float) -> Pixels:
    """(h, w) in [0, 1]: where the way back leads to where it came from (Sundaram et al. 2010, eq. 5), and is inside."""
    there = remapped(forth, back)
    error = _squared(back + there)
    length = _squared(back) + _squared(there)
    certain = np.clip(2 - error / (_AGREE * length + least), 0, 1) * _inside(back)
    return np.asarray(certain, np.float32)


def _inside(back: Pixels) -> Pixels:
    """(h, w) in [0, 1]: where a place comes from within the picture.

    A pan brings less than a pixel of new picture with each frame. If the old border were carried there, it would be drawn
    out over the new, a little further each time.
    """
    height, width = back.shape[:2]
    x = back[..., 0] + np.arange(width, dtype=np.float32)
    y = back[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    outside = np.maximum(np.maximum(-x, x - (width - 1)), np.maximum(-y, y - (height - 1)))
    return np.asarray(np.clip(1.5 - outside / _OUTSIDE, 0, 1), np.float32)


def remapped(pixels: Pixels, back: Pixels, *, sharp: bool = False) -> Pixels:
    """pixels (H, W, ...) taken from where each place was: out(p) = pixels(p + back(p)); `sharp` by cubics, else linearly."""
    cv2 = load_cv2()
    height, width = back.shape[:2]
    x = back[..., 0] + np.arange(width, dtype=np.float32)
    y = back[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    kind = cv2.INTER_CUBIC if sharp else cv2.INTER_LINEAR
    return np.asarray(cv2.remap(pixels, x, y, kind, borderMode=cv2.BORDER_REPLICATE))


def _same_light(before: NDArray[np.uint8], now: NDArray[np.uint8], back: Pixels) -> Pixels:
    """(h, w) in [0, 1]: where a place has kept its lightness."""
    cv2 = load_cv2()
    apart = cv2.blur(cv2.absdiff(remapped(before, back), now).astype(np.float32), (3, 3))
    return np.asarray(np.clip(1.6 - apart / _LIGHT, 0, 1))


def _unstretched(back: Pixels) -> Pixels:
    """(h, w) in [0, 1]: where a picture that is carried so keeps its shapes; not on a head that turns, or at its edge."""
    cv2 = load_cv2()
    smooth = cv2.blur(back, (3, 3))
    right, down = np.gradient(smooth, axis=1), np.gradient(smooth, axis=0)
    most = np.sqrt(np.maximum(_squared(right), _squared(down)))
    return np.asarray(np.clip(2 - most / _STRETCHED, 0, 1), np.float32)


def _inner(certain: Pixels) -> Pixels:
    """Certain where neighbours are, too: what is uncovered beside a moving thing is not smeared."""
    cv2 = load_cv2()
    return np.asarray(cv2.blur(cv2.erode(certain, np.ones((3, 3), np.uint8)), (3, 3)))


def _squared(way: Pixels) -> Pixels:
    """(h, w, 2) -> (h, w), the squared length; of two numbers, a sum over an axis takes three times as long."""
    return np.square(way[..., 0]) + np.square(way[..., 1])


def _scaled(field: Pixels, width: int, height: int) -> Pixels:
    """(h, w) as it is, (h, w, 2) as way in px, -> (H, W, ...)."""
    cv2 = load_cv2()
    h, w = field.shape[:2]
    if (w, h) == (width, height):
        return field
    out = cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(
        out * np.array((width / w, height / h), np.float32) if field.ndim == 3 else out
    )
