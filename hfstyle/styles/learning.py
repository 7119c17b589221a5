"""A style learned from some pictures: a code moved, through the frozen generator, until what it paints looks like them.

As textual inversion does for diffusion (Gal et al. 2022): no weight changes, so no other style can be harmed. The code begins as
the encoder's, and only photos that it was not learned on decide, by measures that it was not learned by, how much of it is kept.

H, W image size · D style width · T style tokens · E token width
"""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from hfstyle.examples import EXAMPLE_PHOTOS, example_photo
from hfstyle.images.decode import ImageError
from hfstyle.images.geometry import resize
from hfstyle.images.load import ImageInput, Picture, load_input
from hfstyle.images.save import to_pil
from hfstyle.images.sheet import contact_sheet
from hfstyle.limits import DEFAULT_FACES, OPTIONS, check_callback, item_name
from hfstyle.models.devices import own_precision
from hfstyle.models.faces import looked_at
from hfstyle.models.generator import StyleGenerator
from hfstyle.models.hub import check_usable
from hfstyle.models.style_encoder import Condition
from hfstyle.models.vgg import PerceptualNetwork, load_perceptual
from hfstyle.styles.code import StyleCode
from hfstyle.styles.collection import left_out_told, none_usable, pictures_of, usable
from hfstyle.styles.lesson import Lesson, Seen, descend
from hfstyle.styles.seen import (
    eye_of_encoder,
    eye_of_filters,
    eye_of_vgg,
    looks_of,
    mean_look,
    structure_distance,
    style_distance,
)

__all__ = ["LearnedStyle", "learn_code", "learn_style"]

_AMOUNTS: Final = (1.0, 0.7, 0.4)  # of the way from the encoder's code, tried at the end
_LOST: Final = 1.15  # times the content that the encoder's code loses, at most, of photos held out
_MOST: Final = 50  # pictures
_FEWEST: Final = 2  # photos
_SHOWN: Final = 320  # px, side of pictures on the sheet
_LETTERS: Final = 36  # px, of their titles: readable where a phone shows the sheet at a third

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LearnedStyle:
    """What was learned.

    code: the style, `before` itself if nothing better was found.
    before: the mean of the encoder's codes of the pictures.
    distance, distance_before: how far paintings of the photos held out are from the pictures, of an untouched photo about 1, by
        random filters, which take no part in learning.
    lost, lost_before: how much of these photos' light and dark is lost, 0 to 1 (see `structure_distance`).
    steps: how many were taken.
    interrupted: whether Ctrl-C ended it.
    left_out: why a picture or a photo could not be used, one sentence for each.
    sheet: for each photo held out: the photo, painted by the encoder's code, painted by the learned one. Faces are spared,
        as in a call of the pipeline; learning and its distances look at paintings in which they are not.
    """

    code: StyleCode
    before: StyleCode
    distance: float
    distance_before: float
    lost: float
    lost_before: float
    steps: int
    interrupted: bool
    sheet: Image.Image
    left_out: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """A sentence how much it helped, and how many pictures were left out."""
        if self.left_out:
            return f"{self._helped}; {left_out_told(len(self.left_out))}"
        return self._helped

    @property
    def _helped(self) -> str:
        how = f"after {self.steps} step{'s' * (self.steps != 1)}{', ended by Ctrl-C' if self.interrupted else ''}"
        if self.code is self.before:
            return f"nothing better than the encoder's own code was found {how}; that is kept"
        share = 1 - self.distance / self.distance_before
        more = self.lost / max(self.lost_before, 1e-6) - 1
        return (
            f"{how}, paintings of photos that were not learned from are {share:.0%} nearer to the pictures "
            f"(a distance of {self.distance_before:.3f} before and {self.distance:.3f} now, where an untouched photo has about 1), and lose "
            f"{abs(more):.0%} {'more' if more > 0 else 'less'} of the photos' light and dark"
        )


def learn_style(
    generator: Any,
    encode_style: Callable[..., StyleCode],
    pictures: Any,
    photos: Sequence[ImageInput | Picture] | None = None,
    *,
    steps: int = 90,
    size: int = 512,
    style_size: int | None = None,
    perceptual_model: str | os.PathLike[str] | None = None,
    name: str = "",
    metadata: Mapping[str, str] | None = None,
    progress_callback: Callable[[int, int], None] | None = None,
) -> LearnedStyle:
    """As `StyleTransferPipeline.learn_style`, which says what the arguments are and what is raised.

    Args:
        generator, encode_style: the pipeline's.
    """
    _check(steps, size)
    check_callback(progress_callback)
    if not isinstance(generator, StyleGenerator):
        raise ValueError(
            "a style is learned through torch's weights; load the model with from_pretrained"
        )
    if isinstance(pictures, (str, os.PathLike)):
        name = name or Path(pictures).resolve().stem
    one = isinstance(pictures, (str, os.PathLike)) and not Path(pictures).is_dir()
    given = [pictures] if one else list(pictures_of(pictures))
    if not 1 <= len(given) <= _MOST:
        raise ValueError(f"{len(given)} pictures to learn a style from; give 1 to {_MOST}")
    shown = [example_photo(photo) for photo in EXAMPLE_PHOTOS] if photos is None else list(photos)
    network = None
    if perceptual_model is not None:
        network = load_perceptual(
            os.fspath(perceptual_model), reflect=False, option="perceptual_model"
        ).to(next(generator.parameters()).device)
    codes, seen = [], []
    options = {} if style_size is None else {"style_size": style_size}
    left_out: list[str] = []
    for loaded in usable(given, _reader("picture", len(given)), left_out):
        codes.append(encode_style(loaded, **options))
        seen.append(_small(loaded.rgb, size))
    if not seen:
        raise none_usable(left_out)
    of_photos: list[str] = []
    loaded_photos = usable(shown, _reader("photo", len(shown)), of_photos)
    painted = [_small(photo.rgb, size) for photo in loaded_photos]
    if len(painted) < _FEWEST and of_photos:
        raise ImageError(
            f"{len(painted) or 'none'} of {len(shown)} photos can be used, and learning needs {_FEWEST}: {of_photos[0]}"
        )
    left_out += of_photos
    if left_out:
        logger.warning("%s:\n  %s", left_out_told(len(left_out)), "\n  ".join(left_out))
    start = replace(
        StyleCode.mix(codes),
        name=name or "learned",
        metadata={**(metadata or {}), "pictures": str(len(seen))},
    )
    learned = learn_code(
        generator,
        start,
        seen,
        painted,
        steps=steps,
        size=size,
        perceptual=network,
        progress_callback=progress_callback,
    )
    return replace(learned, left_out=tuple(left_out))


def _reader(kind: str, count: int) -> Callable[[ImageInput | Picture, int], Picture]:
    return lambda given, index: load_input(given, item_name(kind, index, count), keep_alpha=False)


@own_precision()
def learn_code(
    generator: StyleGenerator,
    start: StyleCode,
    pictures: Sequence[Tensor],
    photos: Sequence[Tensor],
    *,
    steps: int = 90,
    size: int = 512,
    perceptual: PerceptualNetwork | None = None,
    progress_callback: Callable[[int, int], None] | None = None,
) -> LearnedStyle:
    """Move a code until photos painted by it look like the pictures.

    What changes is the code's vector but its colours, which are measured and right, and its tokens.

    Args:
        generator: is left as it is.
        start: the encoder's code of the pictures.
        pictures: (3, h, w) each, float in [0, 1], from 64 px: what the style is learned from.
        photos: (3, H, W) each, float in [0, 1], from 64 px: what is painted meanwhile. One in four, at least one, is held out:
            they decide when to stop, and what is kept.
        steps: at most; each paints one photo.
        size: short side in pixels, from 128, to which pictures and larger photos are reduced.
        perceptual: a VGG that compares paintings; None takes the style encoder's own layers.
        progress_callback: called as `progress_callback(done, total)` after each step.

    Returns:
        Ctrl-C (KeyboardInterrupt) ends the learning, not the program: the best so far is returned.

    Raises:
        ValueError: no pictures, fewer than two photos, `steps` below 1, `size` below 128, or a code of another encoder.
    """
    if not pictures:
        raise ValueError("there are no pictures to learn from; give 1 to 50")
    if len(photos) < _FEWEST:
        raise ValueError(
            f"{len(photos) or 'no'} photo to learn on; give at least {_FEWEST}, of which one is held out to judge by"
        )
    _check(steps, size)
    check_callback(progress_callback)
    check_usable(generator)
    start.check_encoder(generator.encoder_fingerprint())
    device = next(generator.parameters()).device
    # A copy: others may be painting with the generator, and its weights may be learning elsewhere.
    with torch.inference_mode(False):
        generator = copy.deepcopy(generator).float().eval().requires_grad_(False)
    eye = eye_of_encoder(generator.encoder) if perceptual is None else eye_of_vgg(perceptual)
    judge = eye_of_filters()
    with torch.inference_mode(False), torch.no_grad():
        views = [_view(x, size, 16, enlarge=True).to(device) for x in pictures]
        goal = mean_look([looks_of(eye(view)) for view in views])
        judged_goal = mean_look([looks_of(judge(view)) for view in views])
        sides = [_view(x, size, generator.size_multiple).to(device) for x in photos]
        count = max(1, len(sides) // 4)
        held = {len(sides) * k // count for k in range(count)}
        seen = [Seen.of(side, eye) for side in sides]
        learned_on = [x for i, x in enumerate(seen) if i not in held]
        held_out = [seen[i] for i in sorted(held)]
    lesson = Lesson(generator, eye, goal)
    best, taken, interrupted = descend(
        lesson, start, learned_on, held_out, steps, progress_callback
    )

    def judged(code: StyleCode) -> tuple[float, float]:
        """Distance from the style, and content lost, on photos held out."""
        condition = code.to_condition(1, device)
        near, lost = 0.0, 0.0
        for one in held_out:
            painted = lesson.paint(one, condition)
            parts = style_distance(
                looks_of(judge(painted)), looks_of(judge(one.photo)), judged_goal
            )
            near += float(torch.stack(parts).mean()) / len(held_out)
            lost += float(structure_distance(painted, one.photo)) / len(held_out)
        return near, lost

    with torch.inference_mode():
        near_before, lost_before = judged(start)
        code, near, lost = start, near_before, lost_before
        for amount in _AMOUNTS if best is not start else ():
            tried = start.toward(best, amount, name=start.name)
            near_now, lost_now = judged(tried)
            if near_now < near and lost_now <= _LOST * lost_before:
                code, near, lost = tried, near_now, lost_now
        conditions = [x.to_condition(1, device) for x in (start, code)]
        rows: list[Tensor] = []
        for one in held_out:
            rows.append(one.photo)
            rows += [_as_painted(generator, one.photo, condition) for condition in conditions]
    titles = ["photo", "before learning", "after learning"]
    sheet = contact_sheet(
        [to_pil(x[0].cpu()) for x in rows],
        titles * len(held_out),
        columns=3,
        side=_SHOWN,
        letters=_LETTERS,
    )
    return LearnedStyle(
        code, start, near, near_before, lost, lost_before, taken, interrupted, sheet
    )


def _as_painted(generator: StyleGenerator, photo: Tensor, condition: Condition) -> Tensor:
    """(1, 3, H, W), as the pipeline paints it unless told otherwise: faces are spared."""
    found = DEFAULT_FACES * generator.faces(looked_at(photo))
    spared = F.interpolate(found, photo.shape[2:], mode="bilinear")
    return generator(photo, condition, photo.new_ones(1), spared=spared)


def _check(steps: int, size: int) -> None:
    least, most = OPTIONS["learning_size"].offered
    if steps < 1:
        raise ValueError(f"steps is {steps}; give at least 1")
    if not least <= size <= most:
        raise ValueError(f"size is {size}; give {least} to {most} px")


def _small(rgb: Tensor, size: int) -> Tensor:
    """Reduced to a short side of `size`, so that fifty photos of a camera fit into memory."""
    return resize(rgb, min(size, *rgb.shape[1:])).float().clamp(0, 1)


def _view(picture: Tensor, size: int, multiple: int, enlarge: bool = False) -> Tensor:
    """(3, H, W) -> (1, 3, S, S'): reduced to a short side of `size`, its middle, no longer than twice that, sides of a multiple."""
    short = min(picture.shape[1:])
    target = size if enlarge else max(64, min(size, short))
    resized = resize(picture.float(), target).clamp(0, 1)
    height, width = resized.shape[1:]
    # A photo's square middle paints in a third less time; of a picture, more is worth seeing.
    longest = target * (2 if enlarge else 1)
    h, w = (min(side, longest) // multiple * multiple for side in (height, width))
    top, left = (height - h) // 2, (width - w) // 2
    return resized[None, :, top : top + h, left : left + w].contiguous()
