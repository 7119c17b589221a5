"""Frames into a film's file, one after the other: MP4, MOV, MKV, WebM, animated WebP and GIF; the file is whole or not there.

H, W size of a frame
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hfstyle.film.colors import ORDINARY, Colors
from hfstyle.film.errors import VideoError, load_av
from hfstyle.film.gif import GifWriter
from hfstyle.film.read import FilmFacts, Frame
from hfstyle.film.sound import Sound, SoundTracks
from hfstyle.film.webp import SHORTEST, mark_webp
from hfstyle.images.encode import whole_or_nothing
from hfstyle.images.provenance import Mark
from hfstyle.limits import check_callback, flags_checked, is_number

__all__ = [
    "CODECS",
    "SUFFIXES",
    "CodedWriter",
    "Form",
    "FrameWriter",
    "check_form",
    "codec_of",
    "save_film",
    "shown_in",
]

SUFFIXES: Final = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".webp": "webp",
    ".gif": "gif",
}
CODECS: Final = ("h264", "vp9", "av1")
_MOST_TICKS: Final = 90_000  # in a second


@dataclass(frozen=True)
class _Coder:
    """A coder of FFmpeg, its name there, its scale of quality and how it is told to be quick enough."""

    name: str
    crf: float  # at quality 0
    options: dict[str, str]


_CODERS: Final = {
    "h264": _Coder("libx264", 51, {"preset": "medium"}),
    "vp9": _Coder(
        "libvpx-vp9",
        63,
        {"b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1", "lag-in-frames": "16"},
    ),
    "av1": _Coder("libsvtav1", 63, {"preset": "8"}),
}
_HOLDS: Final = {
    "mp4": ("h264", "vp9", "av1"),
    "mov": ("h264",),
    "matroska": ("h264", "vp9", "av1"),
    "webm": ("vp9", "av1"),
    "webp": (),
    "gif": (),
}


@dataclass(frozen=True)
class Form:
    """How a film is written.

    Args:
        codec: "h264", "vp9" or "av1"; None is the usual one of the file's kind.
        quality: 1 to 100; 75 is rarely told from the frames themselves. Not of GIF.
        rate: frames per second on average, as the file's head says; each frame has its own time all the same.
        time_base: seconds that frames' times are whole numbers of.
        pixel_aspect: width of a pixel by its height.
        colors: matrix and range of the numbers in the file.
        sound: whence sound comes; None for none. GIF and WebP have none.
        mark: what painted the frames, said in the file's comment, of a WebP in its XMP.
    """

    codec: str | None = None
    quality: int = 75
    rate: Fraction = Fraction(25)
    time_base: Fraction = Fraction(1, _MOST_TICKS)
    pixel_aspect: Fraction = Fraction(1)
    colors: Colors = field(default=ORDINARY)
    sound: Sound | None = None
    mark: Mark | None = None

    @classmethod
    def like(cls, facts: FilmFacts) -> Form:
        """With the times, the pixels and the colours of a film."""
        return cls(
            rate=facts.rate,
            time_base=facts.time_base,
            pixel_aspect=facts.pixel_aspect,
            colors=facts.colors.written(),
        )


class FrameWriter(Protocol):
    """What writes frames."""

    def add(
        self, rgb: NDArray[np.uint8], time: Fraction, duration: Fraction | None = None
    ) -> None: ...

    def close(self, end: Fraction, *, whole: bool = True) -> None: ...


@flags_checked
def save_film(
    frames: Iterable[Frame],
    path: str | os.PathLike[str],
    form: Form | None = None,
    *,
    overwrite: bool = True,
    keep_interrupted: bool = True,
    progress_callback: Callable[[Fraction], None] | None = None,
) -> Fraction:
    """Write frames as a film, as they come; nothing of it stays in memory.

    The file has its name when it is whole. A KeyboardInterrupt (Ctrl-C) ends it where it is, playable, and goes on up;
    any other error, or the end of the process, leaves nothing under that name.

    Args:
        frames: of one size, from 16 px; times that grow.
        path: .mp4, .m4v, .mov, .mkv, .webm, .webp or .gif. Of odd sizes, .mp4, .mov and .mkv lose a row or a column.
        form: how; None is MP4 of H.264, or the usual of another suffix.
        overwrite: replace a file that is there.
        keep_interrupted: False takes a KeyboardInterrupt as any other error.
        progress_callback: called with each frame's time when that is written.

    Returns:
        how long the film is, in seconds.

    Raises:
        VideoError: no frames, an unknown suffix or codec, one that this build of FFmpeg lacks.
        ImageError: the file cannot be written.
        ModuleNotFoundError: the package av is absent and the suffix is not .gif.
    """
    target = Path(path)
    form = form or Form()
    check_callback(progress_callback)
    check_form(target, form)
    container = SUFFIXES[target.suffix.lower()]
    frames, form = shown_in(container, frames, form)
    interrupted: KeyboardInterrupt | None = None
    writer: FrameWriter | None = None
    end = Fraction(0)
    with whole_or_nothing(target, overwrite=overwrite) as stream:
        try:
            for frame in frames:
                rgb = frame.rgb
                if writer is None:
                    size = rgb.shape[1], rgb.shape[0]
                    writer = (
                        GifWriter(stream, size, form.mark and form.mark.comment)
                        if container == "gif"
                        else CodedWriter(stream.name, container, size, form)
                    )
                lasts = frame.duration or 1 / form.rate
                writer.add(rgb, frame.time, lasts)
                end = frame.time + lasts
                if progress_callback is not None:
                    progress_callback(frame.time)
        except KeyboardInterrupt as error:
            if writer is None or not keep_interrupted:
                _give_up(writer)
                raise
            interrupted = error
        except BaseException:
            _give_up(writer)
            raise
        if writer is None:
            raise VideoError(f"there are no frames for {target}")
        try:
            writer.close(end, whole=interrupted is None)
        except BaseException:
            _give_up(writer)
            raise
    if interrupted is not None:
        raise interrupted
    return end


def shown_in(container: str, frames: Iterable[Frame], form: Form) -> tuple[Iterable[Frame], Form]:
    """Frames for a kind of file, as wide as they are shown where it cannot say that pixels are not square."""
    aspect = form.pixel_aspect
    if aspect == 1 or _holds_aspect(container, form.codec):
        return frames, form
    wide = (replace(frame, rgb=_squared(frame.rgb, aspect)) for frame in frames)
    return wide, replace(form, pixel_aspect=Fraction(1))


def codec_of(container: str, codec: str | None) -> str:
    """The codec that was asked for, or the usual one of that kind of file; not of GIF and WebP, which have none."""
    return codec or _HOLDS[container][0]


def _holds_aspect(container: str, codec: str | None) -> bool:
    """Whether a file says of pixels that are not square; here, WebM's and Matroska's heads do not."""
    return container in ("mp4", "mov") or (container == "matroska" and codec in (None, "h264"))


def _squared(rgb: NDArray[np.uint8], aspect: Fraction) -> NDArray[np.uint8]:
    """As wide as it is shown: (H, W, 3) -> (H, W aspect, 3)."""
    width = max(1, round(rgb.shape[1] * aspect))
    wide = Image.fromarray(rgb).resize((width, rgb.shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(wide)


def _give_up(writer: FrameWriter | None) -> None:
    if isinstance(writer, CodedWriter):
        writer.give_up()


def check_form(target: Path, form: Form | None = None) -> None:
    """VideoError if a film cannot be written so, before any of it is painted; ModuleNotFoundError as `save_film`."""
    form = form or Form()
    container = SUFFIXES.get(target.suffix.lower())
    if container is None:
        raise VideoError(
            f"{target} has the suffix {target.suffix!r}; films are written as {', '.join(SUFFIXES)}"
        )
    if not target.resolve().parent.is_dir():
        raise VideoError(f"{target}: there is no folder {target.parent}; create it")
    if target.is_dir():
        raise VideoError(f"{target} is a folder; give the name of a file")
    if not is_number(form.quality) or not 1 <= form.quality <= 100:
        raise VideoError(f"quality is {form.quality!r}; give 1 to 100")
    if container == "gif":
        if form.codec is not None:
            raise VideoError(
                f"{target} takes no codec; name it .mp4, .mkv or .webm for {form.codec}"
            )
        return
    _coder(container, form.codec, str(target))


def _coder(container: str, codec: str | None, name: str) -> _Coder:
    av = load_av()
    held = _HOLDS[container]
    if codec is not None and codec not in held:
        can = f"one of {', '.join(held)}" if held else "no codec"
        raise VideoError(f"codec is {codec!r}; {name} takes {can}")
    coder = _Coder("libwebp_anim", 0, {}) if not held else _CODERS[codec or held[0]]
    try:
        av.codec.Codec(coder.name, "w")
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(
            f"{name}: this build of FFmpeg cannot write {codec or held[0] if held else 'WebP'} ({coder.name}); "
            "choose another suffix or codec"
        ) from error
    return coder


class CodedWriter:
    """Frames -> a file, by a coder of FFmpeg, with sound.

    Args:
        path: the file, which is replaced.
        container: FFmpeg's name of its kind.
        size: (W, H) of the frames.
        form: how.
    """

    def __init__(self, path: str, container: str, size: tuple[int, int], form: Form) -> None:
        av = load_av()
        coder = _coder(container, form.codec, path)
        width, height = size
        webp = container == "webp"
        if coder.name in ("libx264", "libsvtav1"):  # planes of colour of half the size
            width, height = width // 2 * 2, height // 2 * 2
        if min(width, height) < (1 if webp else 2):
            raise VideoError(f"frames of {size[0]} x {size[1]} px are too small for a film")
        self._size, self._colors, self._path = (width, height), form.colors, path
        options = {"movflags": "+faststart"} if container in ("mp4", "mov") else {}
        if webp:
            options = {"loop": "0"}
        self._output = av.open(path, "w", format=container, container_options=options)
        self._mark = form.mark if webp else None
        if form.mark is not None:
            self._output.metadata["comment"] = form.mark.comment
        own = dict(coder.options)
        if webp:
            own |= {"quality": str(form.quality), "compression_level": "4"}
        else:
            own["crf"] = str(max(0, round(coder.crf - 0.44 * form.quality)))
        os.environ.setdefault("SVT_LOG", "1")  # of libsvtav1: errors alone, not its settings
        self._stream = self._output.add_stream(coder.name, rate=form.rate, options=own)
        context = self._stream.codec_context
        context.width, context.height = width, height
        context.pix_fmt = "yuv420p" if not webp else "bgra"
        self._kind = context.pix_fmt
        base = Fraction(1, 1000) if webp else _usable(form.time_base)
        context.time_base = self._base = base
        context.sample_aspect_ratio = form.pixel_aspect
        if not webp:
            context.colorspace, context.color_range = form.colors.matrix, form.colors.range
            context.color_primaries = form.colors.primaries
            context.color_trc = form.colors.transfer
        context.thread_count = 0
        self._sound: SoundTracks | None = None
        if form.sound is not None and not webp:
            self._sound = SoundTracks(form.sound, self._output)
        self._last = -1
        self._lasting: dict[int, int] = {}  # of frames that the coder holds, by time

    def add(self, rgb: NDArray[np.uint8], time: Fraction, duration: Fraction | None = None) -> None:
        """rgb (H, W, 3) is shown from `time` in seconds, until the next or for `duration`."""
        av = load_av()
        if (
            self._kind == "bgra"
            and self._last >= 0
            and round(time / self._base) - self._last < SHORTEST
        ):
            return  # too soon to be shown in its time
        width, height = self._size
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb[:height, :width]), "rgb24")
        if self._kind != "bgra":
            frame = frame.reformat(
                format=self._kind,
                src_color_range=2,
                dst_colorspace=self._colors.matrix,
                dst_color_range=self._colors.range,
            )
            frame.colorspace, frame.color_range = self._colors.matrix, self._colors.range
        else:
            frame = frame.reformat(format=self._kind)
        # Rounded in the file's own steps, each from the exact time: errors do not add up.
        self._last = frame.pts = max(self._last + 1, round(time / self._base))
        frame.time_base = self._base
        if duration is not None:
            lasts = max(1, round((time + duration) / self._base) - frame.pts)
            frame.duration = self._lasting[frame.pts] = lasts
        for packet in self._stream.encode(frame):
            self._put(packet)

    def close(self, end: Fraction, *, whole: bool = True) -> None:
        """What the coder still holds, the rest of the sound, and the end of the file.

        end: in seconds, of the last frame.
        whole: whether these are all frames; else nothing is heard after them.
        """
        for packet in self._stream.encode(None):
            self._put(packet)
        if self._sound is not None:
            self._sound.finish(end, whole=whole)
        self._output.close()
        if self._mark is not None:
            mark_webp(self._path, self._size, self._mark)

    def give_up(self) -> None:
        """Let go of the file, which stays as it is."""
        if self._sound is not None:
            self._sound.close()
        with suppress(load_av().error.FFmpegError, ValueError):  # what went wrong first is told
            self._output.close()

    def _put(self, packet: Any) -> None:
        if packet.pts in self._lasting:  # coders forget how long the last frame is shown
            packet.duration = self._lasting.pop(packet.pts)
        if self._sound is not None and packet.dts is not None:
            self._sound.write_until(packet.dts * packet.time_base)
        self._output.mux(packet)


def _usable(time_base: Fraction) -> Fraction:
    """A unit of time that is as fine, at most 1/90000 s; encoders take no unit whose numbers are huge."""
    if time_base.denominator <= _MOST_TICKS and time_base.numerator == 1:
        return time_base
    if time_base.denominator <= _MOST_TICKS:
        return Fraction(1, time_base.denominator)
    return Fraction(1, _MOST_TICKS)
