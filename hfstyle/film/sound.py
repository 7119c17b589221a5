"""The sound of a film, copied beside its painted frames as these are written: packet by packet, or coded anew where the
kind of file cannot hold its kind of sound.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from hfstyle.film.container import opened
from hfstyle.film.errors import load_av

__all__ = ["Sound", "SoundTracks"]

# Kinds of sound that a container holds as they are; None holds all.
_HOLDS: Final[dict[str, frozenset[str] | None]] = {
    "mp4": frozenset({"aac", "mp3", "ac3", "eac3", "alac", "flac", "opus"}),
    "mov": frozenset({"aac", "mp3", "ac3", "alac", "pcm_s16le", "pcm_s24le", "pcm_s16be"}),
    "webm": frozenset({"opus", "vorbis"}),
    "matroska": None,
}
_CODED_ANEW: Final = {"mp4": "aac", "mov": "aac", "webm": "libopus", "matroska": "aac"}
_OPUS_RATE: Final = 48_000


@dataclass(frozen=True)
class Sound:
    """Where the sound of a film comes from.

    path: the film.
    start, end: seconds of it; the end may be None.
    trailing: whether what is heard after the last picture is kept, if all pictures are.
    """

    path: Path
    start: float = 0.0
    end: float | None = None
    trailing: bool = True


class SoundTracks:
    """All tracks of a film's sound, on their way into a container.

    Args:
        sound: whence; its file is opened once more, so that pictures and sound are read each at its own pace.
        output: the container of PyAV into which they go, before its first packet.
    """

    def __init__(self, sound: Sound, output: Any) -> None:
        self._stack = ExitStack()
        container = self._stack.enter_context(opened(sound.path))
        self._output = output
        zero = Fraction(max(0, container.start_time or 0), 1_000_000)
        self._shift = zero + Fraction(sound.start).limit_denominator(90_000)
        begin, end = Fraction(sound.start), sound.end
        self._end = None if end is None else Fraction(end) - begin
        self._trailing = sound.trailing
        self._tracks: dict[int, _Copied | _Coded] = {}
        for stream in container.streams.audio:
            if stream.codec_context is None or not stream.codec_context.sample_rate:
                continue  # a kind that this build does not know
            self._tracks[stream.index] = _track(stream, output, self._shift)
        self._waiting: tuple[Fraction, Any] | None = None
        self._packets: Iterator[tuple[Fraction, Any]] = iter(())
        if self._tracks:
            if sound.start > 0:
                container.seek(int(self._shift * 1_000_000), backward=True)
            self._packets = self._timed(container)

    def write_until(self, time: Fraction | None) -> None:
        """Everything that is heard before this time, in seconds from `start`; None is all."""
        while True:
            if self._waiting is None:
                self._waiting = next(self._packets, None)
                if self._waiting is None:
                    return
            at, packet = self._waiting
            if (time is not None and at >= time) or (self._end is not None and at >= self._end):
                return
            self._waiting = None
            self._output.mux(self._tracks[packet.stream.index].made_of(packet))

    def finish(self, time: Fraction, *, whole: bool) -> None:
        """The rest, and what coders still hold.

        time: in seconds, when the last picture has been shown.
        whole: whether these are all pictures; else nothing is heard after them.
        """
        self.write_until(None if whole and self._trailing else time)
        for track in self._tracks.values():
            self._output.mux(track.rest())
        self.close()

    def close(self) -> None:
        self._stack.close()

    def _timed(self, container: Any) -> Iterator[tuple[Fraction, Any]]:
        """Packets and the times at which they are heard, from `start` on."""
        av = load_av()
        packets = container.demux([container.streams[index] for index in self._tracks])
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:  # the film breaks off
                return
            if packet is None:
                return
            if packet.pts is None or packet.dts is None:
                continue
            at = packet.pts * packet.time_base - self._shift
            if at + (packet.duration or 0) * packet.time_base > 0 or self._shift == 0:
                yield Fraction(at), packet


def _track(stream: Any, output: Any, shift: Fraction) -> _Copied | _Coded:
    container = output.format.name
    holds = _HOLDS[container]
    # What is copied is told by the kind of sound, not by its decoder, which for MP3 is called mp3float.
    if holds is None or stream.codec_context.codec.canonical_name in holds:
        with suppress(ValueError):  # a kind that FFmpeg cannot put into this container
            return _Copied(stream, output, shift)
    return _Coded(stream, output, shift, _CODED_ANEW[container])


def _tell_apart(stream: Any, written: Any) -> None:
    """A track keeps its language, and the one that players take first stays that."""
    if stream.metadata.get("language"):
        written.metadata["language"] = stream.metadata["language"]
    written.disposition = stream.disposition


class _Copied:
    """A track whose packets stay as they are."""

    def __init__(self, stream: Any, output: Any, shift: Fraction) -> None:
        self._stream = output.add_stream_from_template(stream)
        self._shift = int(shift / stream.time_base)
        _tell_apart(stream, self._stream)

    def made_of(self, packet: Any) -> list[Any]:
        packet.pts -= self._shift
        packet.dts -= self._shift
        packet.stream = self._stream
        return [packet]

    def rest(self) -> list[Any]:
        return []


class _Coded:
    """A track that is decoded and coded anew."""

    def __init__(self, stream: Any, output: Any, shift: Fraction, codec: str) -> None:
        av = load_av()
        self._source, self._shift = stream, shift
        rate = _OPUS_RATE if codec == "libopus" else stream.codec_context.sample_rate
        self._stream = output.add_stream(codec, rate=rate)
        _tell_apart(stream, self._stream)
        channels = stream.codec_context.layout.nb_channels
        self._stream.codec_context.layout = "mono" if channels == 1 else "stereo"
        self._stream.codec_context.open()
        context = self._stream.codec_context
        self._resampler = av.AudioResampler(
            context.format, context.layout, rate, frame_size=context.frame_size or None
        )
        self._rate, self._next = rate, 0

    def made_of(self, packet: Any) -> list[Any]:
        av = load_av()
        try:
            frames = packet.decode()
        except av.error.FFmpegError:  # a damaged place: silence is shorter than a stop
            return []
        made = []
        for frame in frames:
            if self._next == 0 and frame.pts is not None:
                heard = Fraction(frame.pts) * frame.time_base - self._shift
                self._next = max(0, round(heard * self._rate))
            frame.pts = None
            made += self._encoded(self._resampler.resample(frame))
        return made

    def rest(self) -> list[Any]:
        return [*self._encoded(self._resampler.resample(None)), *self._stream.encode(None)]

    def _encoded(self, frames: list[Any]) -> list[Any]:
        made = []
        for frame in frames:
            frame.pts, frame.time_base = self._next, Fraction(1, self._rate)
            self._next += frame.samples
            made += self._stream.encode(frame)
        return made
