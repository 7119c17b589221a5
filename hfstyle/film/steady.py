"""A painter of films, who remembers the frames before: what has not changed is painted as it was, and moves as it moves.

Three layers, each of which can be switched off. (1) What is measured of a frame as a whole follows the film slowly: the
instance statistics of all feature maps, where the grid of the coarse level lies on what is shown, and where faces are. So a
bird that flies in does not change how the sky is painted. (2) The coarse painting, over which the fine one is made, is the one before where the film only moved, carried along by its motion: large strokes stay on what they lie on.
(3) So is the finished frame. Where the motion is uncertain, all is painted anew; after a cut, everything.

Kin: Ruder et al. 2016 (warped frame and a mask of what is certain), Gao et al. 2020 (ReReVST), Jamriška et al. 2019 (marks).

H, W size of a frame · h, w size at which the network runs · B = 1
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hfstyle.film.cuts import is_cut, palette_of
from hfstyle.film.flow import EXACT, QUICK, Motion, Tracker, remapped, small_view
from hfstyle.film.memory import Floats, Memory
from hfstyle.film.statistics import FollowingStatistics
from hfstyle.images.arrays import as_float
from hfstyle.images.geometry import pad_to_multiple, resize
from hfstyle.limits import OPTIONS, Numbers, all_numbers, by_name, check_flag
from hfstyle.models.detail import ask
from hfstyle.models.devices import own_precision
from hfstyle.models.fast import channels_last
from hfstyle.models.generator import StyleGenerator
from hfstyle.models.levels import Instructions
from hfstyle.models.network import is_generator
from hfstyle.painting.detail import restore_detail
from hfstyle.painting.finite import check_finite
from hfstyle.painting.painter import seen_of, share_of
from hfstyle.painting.recolor import recolor
from hfstyle.painting.tiles import tile_side
from hfstyle.styles.code import StyleCode

if TYPE_CHECKING:
    from hfstyle.pipeline import StyleTransferPipeline

__all__ = ["Layers", "SteadyPainter"]

# Of the numbers; for others, the pipeline paints frame by frame.
_DONE_HERE: Final = ("color", "faces", "outlines")
_FOLLOW: Final = 0.15  # s after which statistics have followed by 1 - 1/e
_COARSE_KEPT: Final = 0.9  # of the coarse painting, where motion is certain
_FINISHED_KEPT: Final = (
    0.92  # of the finished frame; what is left of a mistake after a second at 25/s is an eighth
)
_KEPT_IN_CHANGE: Final = 0.5  # of both, while style, strength or colour change,
_SETTLES: Final = 6  # and for so many frames more, at least,
_FOLLOWED: Final = 4 * _FOLLOW  # and s, in which statistics have followed
_FACES_FOLLOW: Final = 0.3  # s, the same for the map of faces, which is carried along as well
_QUICK_EVERY: Final = 3  # frames of a camera, of which one is looked at for faces and has its coarse painting made anew,
_WELL_KNOWN: Final = 0.8  # the latter if motion is certain in that share of the frame, else each
_LONGEST_STEP: Final = 1.0  # s between two frames, after which nothing is remembered


@dataclass(frozen=True)
class Layers:
    """Which layers of consistency are on: of statistics, of the coarse painting, of the finished frame."""

    statistics: bool = True
    coarse: bool = True
    finished: bool = True

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            check_flag(name, value)


class SteadyPainter:
    """Paints the frames of one film, or of a camera, in their order.

    Args:
        pipe: whose network paints. Of `from_onnx`, and of frames so large that they are painted in tiles, the first two
            layers are left out.
        layers: what keeps frames alike.
        processing_resolution: short side in px at which the network runs; None is that of the frames.
        quick: for a camera, which does not wait: motion is found less closely, and in two of three frames the coarse painting
            and the map of faces are carried along.
    """

    def __init__(
        self,
        pipe: StyleTransferPipeline,
        *,
        layers: Layers | None = None,
        processing_resolution: int | None = None,
        quick: bool = False,
    ) -> None:
        self._pipe, self._resolution = pipe, processing_resolution
        self._quick, self._search = quick, QUICK if quick else EXACT
        self.layers = layers or Layers()
        self.cuts = 0
        """How often nothing of the frame before belonged to the next."""
        self._memory: Memory | None = None
        self._since = 0.0
        self._changing = False

    def forget(self) -> None:
        """The next frame is painted as if it were the first."""
        self._memory = None

    @torch.inference_mode()
    @own_precision()
    def paint(
        self,
        rgb: NDArray[np.uint8],
        time: float,
        code: StyleCode,
        strength: float = 1.0,
        **numbers: Unpack[Numbers],
    ) -> NDArray[np.uint8]:
        """The next frame, painted.

        Args:
            rgb: (H, W, 3).
            time: in seconds; if it does not lie within a second after the last, nothing is remembered.
            code: of the pipeline's encoder.
            strength, numbers (color, faces, outlines): in [0, 1].

        Returns:
            (H, W, 3).
        """
        try:
            return self._paint(rgb, time, code, strength, all_numbers(numbers))
        except Exception:  # what is half done is not carried along
            self.forget()
            raise

    def _paint(
        self,
        rgb: NDArray[np.uint8],
        time: float,
        code: StyleCode,
        strength: float,
        full: Numbers,
    ) -> NDArray[np.uint8]:
        motion = None if self.layers == Layers(False, False, False) else self._follow(rgb, time)
        if strength == 0:
            if self._memory is not None:
                self._memory.forget_paintings()
            return rgb
        writable = np.require(rgb, requirements="W")  # torch warns of others, such as those of PIL
        whole = as_float(torch.from_numpy(writable).permute(2, 0, 1)[None])
        small = self._resolution is not None and self._resolution < min(rgb.shape[:2])
        content = resize(whole, self._resolution or 0) if small else whole  # (1, 3, h, w)
        scaled = None if motion is None else motion.scaled(content.shape[3], content.shape[2])
        color = full["color"]
        self._changing = self._asks_anew(code, strength, *by_name(full).values())
        painted = self._network(content, code, strength, full, motion, scaled)
        thick = float(ask(strength).paint)
        if color < 1:
            painted = recolor(painted[0], content[0], color)[None]
        if self.layers.finished:
            painted = self._blended(painted, content, thick, scaled)
        if small:
            strips = restore_detail(painted, content, whole, thick)
            painted = torch.cat(list(strips), dim=1)[None]
        out = painted[0].clamp(0, 1).mul(255).round_().to(torch.uint8)
        return out.permute(1, 2, 0).contiguous().numpy()

    def _asks_anew(self, code: StyleCode, *numbers: float) -> bool:
        """Whether something else is asked for than for the frames just before."""
        memory = self._memory
        asked = torch.cat((code.vector.float().cpu(), torch.tensor(numbers)))
        if memory is None:
            return False
        before, memory.asked = memory.asked, asked
        if before is not None and not torch.equal(before, asked):
            memory.settling = 1.0
        elif memory.settling > 0:
            memory.settling -= min(1 / _SETTLES, self._since / _FOLLOWED)
        return memory.settling > 0

    def _follow(self, rgb: NDArray[np.uint8], time: float) -> Motion | None:
        """Motion since the frame before; None, and an empty memory, if there is none that belongs to this one."""
        view, palette = small_view(rgb, self._search), palette_of(rgb)
        memory = self._memory
        if memory is not None and memory.size == rgb.shape[:2]:
            since = time - memory.time
            if 0 < since <= _LONGEST_STEP:
                motion = memory.tracker.follow(view)
                if not is_cut(motion, memory.palette, palette):
                    memory.time, memory.palette, self._since = time, palette, since
                    return motion
                self.cuts += 1
        self._memory = Memory(time, Tracker(view, self._search), palette, rgb.shape[:2])
        return None

    def _network(
        self,
        content: Tensor,
        code: StyleCode,
        strength: float,
        numbers: Numbers,
        seen: Motion | None,
        motion: Motion | None,
    ) -> Tensor:
        """content (1, 3, h, w) -> painted, (1, 3, h, w) float32 on the CPU; `seen` is the motion in the small view."""
        pipe, generator = self._pipe, self._pipe.generator
        height, width = content.shape[2:]
        others = {name: n for name, n in by_name(numbers).items() if name not in _DONE_HERE}
        by_itself = any(value != OPTIONS[name].default for name, value in others.items())
        tiled = tile_side("auto", height, width) is not None
        if by_itself or tiled or not is_generator(generator):
            as_painted: Numbers = {**numbers, "color": 1.0}
            plain: Tensor = pipe(
                content[0],
                code,
                strength,
                processing_resolution="full",
                output_type="pt",
                **as_painted,
            ).images
            return plain
        padded, _ = pad_to_multiple(
            content.to(pipe.device), generator.size_multiple, generator.minimum_size
        )
        padded = channels_last(padded)
        condition = code.to_condition(1, pipe.device, pipe.dtype)
        amount = torch.full((1,), strength, dtype=torch.float32, device=pipe.device)
        with pipe.painter.autocast():
            origin = self._origin(generator, padded, motion)
            spared = self._spared(content, numbers["faces"], seen)
            outlines = share_of(numbers["outlines"], pipe.device)
            how = Instructions(condition, amount, spared=spared, outlines=outlines)
            change = self._coarse(generator, padded, how, motion, origin)
            statistics = self._following(motion, self._since)
            painted = generator.paint_fine(padded, change, how, statistics, origin)
        check_finite(painted, pipe.dtype)
        if self._memory is not None:
            self._memory.statistics |= statistics.taken
        return painted[..., :height, :width].float().cpu()

    def _following(self, motion: Motion | None, since: float) -> FollowingStatistics:
        """Statistics that follow the film, after so many seconds."""
        memory = self._memory
        if motion is None or memory is None or not self.layers.statistics:
            return FollowingStatistics({}, 1.0)
        return FollowingStatistics(memory.statistics, 1 - math.exp(-since / _FOLLOW))

    def _coarse(
        self,
        generator: StyleGenerator,
        padded: Tensor,
        how: Instructions,
        motion: Motion | None,
        origin: Tensor,
    ) -> Tensor:
        """What the coarse painting changes of the frame, (1, 3, H', W') padded: made anew, carried along, or both."""
        memory = self._memory
        if memory is not None:
            memory.coarse_age += 1
            memory.coarse_since += self._since
            carried = self._carried(motion, memory)
            if carried is not None:
                return carried.to(padded)
        since = self._since if memory is None else memory.coarse_since
        statistics = self._following(motion, since)
        change = generator.paint_coarse(padded, how, statistics, origin).change
        if memory is None:
            return change
        memory.statistics |= statistics.taken
        if self.layers.coarse:
            change = self._mixed(change, motion, memory)
        memory.coarse_age, memory.coarse_since = 0, 0.0
        return change

    def _origin(self, generator: StyleGenerator, padded: Tensor, motion: Motion | None) -> Tensor:
        """Where the grid of the coarse level begins: where it lay on the frame before, moved as most of the frame has."""
        memory = self._memory
        if motion is None or memory is None or memory.origin is None or not self.layers.statistics:
            found = generator.origin(padded)
        else:
            down, right = motion.whole()
            height, width = motion.certain.shape
            moved = memory.origin[0] + down * height, memory.origin[1] + right * width
            memory.origin = moved
            half, period = generator.period // 2, generator.period
            places = [(round(x) + half) % period - half for x in moved]
            return torch.tensor([places], device=padded.device)
        if memory is not None:
            memory.origin = tuple(map(float, found[0].tolist()))
        return found

    def _spared(self, content: Tensor, faces: float, motion: Motion | None) -> Tensor | None:
        """How far places of content (1, 3, h, w) are spared: (1, 1, h, w), padded; None where nothing is.

        Where faces were on the frame before is carried along, so that one which is found in doubt does not flicker.
        """
        memory = self._memory
        if faces == 0:
            if memory is not None:
                memory.faces = None
            return None
        painter = self._pipe.painter
        if memory is None or not self.layers.statistics:
            found = painter.face_map(content)  # (1, 1, h', w')
        else:
            own = self._faces(content, motion, memory)
            found = torch.from_numpy(own)[None, None].to(self._pipe.device)
        spared = seen_of(faces * found)
        return None if spared is None else painter.as_padded(spared, content.shape[2:])

    def _faces(self, content: Tensor, motion: Motion | None, memory: Memory) -> Floats:
        """(h', w'): where faces are, from what was known of the frame before and what is seen of this one."""
        every = _QUICK_EVERY if self._quick else 1
        known, memory.faces_age = memory.faces, memory.faces_age + 1
        if motion is None or known is None:
            own = self._look_for_faces(content, memory)
        else:
            way = motion.scaled(known.shape[1], known.shape[0])
            own = remapped(known, way.back)
            if memory.faces_age >= every:
                seen = self._look_for_faces(content, memory)
                kept = math.exp(-self._since * every / _FACES_FOLLOW) * way.certain
                own = seen + kept * (own - seen)
        memory.faces = own
        return own

    def _look_for_faces(self, content: Tensor, memory: Memory) -> Floats:
        memory.faces_age = 0
        found: Floats = self._pipe.painter.face_map(content)[0, 0].cpu().numpy()
        return found

    def _carried(self, motion: Motion | None, memory: Memory) -> Tensor | None:
        """The coarse painting's change of the frame before, moved as the film has; None if it does not do for this frame."""
        if (
            not self._quick
            or not self.layers.coarse
            or self._changing
            or memory.change is None
            or memory.coarse_age >= _QUICK_EVERY
            or motion is None
            or float(motion.certain.mean()) < _WELL_KNOWN
        ):
            return None
        own = memory.change.copy()
        height, width = motion.certain.shape
        own[:height, :width] = _moved(memory.change, motion)
        memory.change = own
        return _picture(own)

    def _mixed(self, change: Tensor, motion: Motion | None, memory: Memory) -> Tensor:
        """The coarse painting's change (1, 3, H', W'), padded, with that of the frame before where it is certain."""
        own = _rows(change)
        if motion is not None and memory.change is not None:
            height, width = motion.certain.shape
            inside = own[:height, :width]
            carried = _moved(memory.change, motion)
            kept = _KEPT_IN_CHANGE if self._changing else _COARSE_KEPT**memory.coarse_age
            inside += (kept * motion.certain)[..., None] * (carried - inside)
        memory.change = own
        return _picture(own).to(change)

    def _blended(
        self, painted: Tensor, content: Tensor, thick: float, motion: Motion | None
    ) -> Tensor:
        """The frame with what was painted of it before, where that is certain; of thin paint, the paint alone."""
        memory = self._memory
        assert memory is not None
        photo = _rows(content)
        paint = _rows(painted)  # (h, w, 3)
        if thick < 1:
            paint = photo + (paint - photo) / thick
        if motion is not None and memory.paint is not None and memory.mark is not None:
            carried = remapped(memory.paint, motion.back, sharp=True)
            kept = _KEPT_IN_CHANGE
            if not self._changing:
                kept = _FINISHED_KEPT
                far = remapped(memory.mark, motion.far, sharp=True)
                carried += motion.far_certain[..., None] * (far - carried)
            carried -= paint
            carried *= (kept * motion.certain)[..., None]
            paint = paint + carried
        memory.paint = paint
        if motion is None or motion.marks or memory.mark is None or self._changing:
            memory.mark = paint
            memory.tracker.set_mark()
        mixed = photo + thick * (paint - photo) if thick < 1 else paint
        return torch.from_numpy(mixed).permute(2, 0, 1)[None]

    def memory(self) -> dict[str, Tensor]:
        """All that is remembered, to go on in another process."""
        return {} if self._memory is None else self._memory.tensors(self.cuts)

    def recall(self, kept: dict[str, Tensor]) -> None:
        """Take up what another painter's `memory` returned."""
        if not kept:
            self._memory = None
            return
        self._memory, self.cuts = Memory.of(kept, self._pipe.device)


def _moved(change: Floats, motion: Motion) -> Floats:
    """What a coarse painting changed, (H', W', 3) padded, moved as the film has: (h, w, 3)."""
    height, width = motion.certain.shape
    return remapped(change[:height, :width], motion.back)


def _picture(rows: Floats) -> Tensor:
    """(h, w, 3) -> (1, 3, h, w)."""
    return channels_last(torch.from_numpy(rows).permute(2, 0, 1)[None])


def _rows(picture: Tensor) -> Floats:
    """(1, 3, h, w) -> (h, w, 3)."""
    return np.ascontiguousarray(picture[0].permute(1, 2, 0).float().cpu().numpy())
