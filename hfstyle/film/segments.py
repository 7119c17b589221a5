"""A long film in segments: what is painted stays when the program ends, and a later run goes on after it.

Beside OUT there is a folder OUT.parts with the segments, numbered, each whole; with each, what the painter remembered
at its end; and settings.json, so that segments of two films, or of one in two styles, are never joined.
"""

from __future__ import annotations

import errno
import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hfstyle.files import is_unfinished
from hfstyle.film.container import address_of
from hfstyle.film.errors import VideoError, load_av
from hfstyle.film.sound import Sound, SoundTracks
from hfstyle.images.encode import whole_or_nothing

__all__ = ["Memory", "Segments"]

_SETTINGS: Final = "settings.json"
_LOCK: Final = "lock"
_NUMBERED: Final = re.compile(r"(\d{6})\.mp4")


@dataclass(frozen=True)
class Memory:
    """What is known at the end of a segment.

    tensors: of the painter.
    begin, last, end: in seconds, when the segment's first and last frames are shown, and until when.
    frames: painted so far, in all.
    """

    tensors: dict[str, Tensor]
    begin: Fraction
    last: Fraction
    end: Fraction
    frames: int


class _Lock:
    """Held by one process at a time; that of a process which ends, however it does, is free.

    Raises VideoError where another holds it.
    """

    def __init__(self, path: Path, target: Path) -> None:
        self._file = open(path, "ab")  # noqa: SIM115
        try:
            _hold(self._file)
        except OSError as error:
            self._file.close()
            if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                return  # a file system without locks
            raise VideoError(
                f"{target} is being painted by another run; wait for its end, or give another name"
            ) from None

    def release(self) -> None:
        self._file.close()


def _hold(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Segments:
    """The segments of one film.

    Args:
        target: the film to be.
        settings: JSON-able, all that decides what the frames look like.

    Raises:
        VideoError: there are segments of other settings, or another run is making them.
    """

    def __init__(self, target: Path, settings: dict[str, Any]) -> None:
        self.target = target
        self.folder = target.with_name(f"{target.name}.parts")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = _Lock(self.folder / _LOCK, target)
        try:
            self._begin(settings)
        except BaseException:
            self.close()
            raise

    def _begin(self, settings: dict[str, Any]) -> None:
        known = self.folder / _SETTINGS
        if known.exists() and self.done():
            try:
                found = json.loads(known.read_text(encoding="utf-8"))
            except ValueError:
                found = {}
            if found != json.loads(json.dumps(settings)):
                differ = sorted(
                    k for k in settings if found.get(k) != json.loads(json.dumps(settings[k]))
                )
                raise VideoError(
                    f"{self.folder} holds segments made otherwise ({', '.join(differ) or 'another version'} differ); "
                    "give the same options, or delete the folder"
                )
            return
        with whole_or_nothing(known, overwrite=True) as stream:
            stream.write(json.dumps(settings, indent=2).encode())

    def done(self) -> list[Path]:
        """Whole segments, from the first on without a gap."""
        numbered = {
            int(match[1]): file
            for file in self.folder.iterdir()
            if (match := _NUMBERED.fullmatch(file.name)) and self._memory(int(match[1])).exists()
        }
        whole: list[Path] = []
        while len(whole) in numbered:
            whole.append(numbered[len(whole)])
        return whole

    def path(self, number: int) -> Path:
        """Of a segment, from 0."""
        return self.folder / f"{number:06d}.mp4"

    def _memory(self, number: int) -> Path:
        return self.folder / f"{number:06d}.safetensors"

    def remember(self, number: int, memory: Memory) -> None:
        """Segment `number` is whole; of the one before, the painter's memory is needed no more."""
        self._write(number, memory)
        if number:
            before = self.recall(number - 1)
            self._write(number - 1, replace(before, tensors={}))

    def recall(self, number: int) -> Memory:
        """What `remember` was given of that segment.

        Raises VideoError for a damaged file.
        """
        path = self._memory(number)
        try:
            with safe_open(path, framework="pt") as file:
                told = json.loads(file.metadata()["memory"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            begin, last, end = (Fraction(text) for text in told["times"])
            return Memory(tensors, begin, last, end, told["frames"])
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise VideoError(
                f"{path} is damaged; delete it, and its segment is painted anew"
            ) from error

    def _write(self, number: int, memory: Memory) -> None:
        times = [str(memory.begin), str(memory.last), str(memory.end)]
        told = json.dumps({"times": times, "frames": memory.frames})
        with whole_or_nothing(self._memory(number), overwrite=True) as stream:
            stream.write(save(memory.tensors, {"memory": told}))

    def join(
        self,
        container: str,
        sound: Sound | None,
        end: Fraction,
        comment: str | None = None,
        *,
        whole: bool = True,
    ) -> None:
        """Write the target from the whole segments, packet by packet, with its sound.

        end: in seconds, of the pictures.
        whole: whether these are all pictures; else nothing is heard after them.
        """
        av = load_av()
        files = self.done()
        if not files:
            raise VideoError(f"there are no segments in {self.folder}")
        options = {"movflags": "+faststart"} if container in ("mp4", "mov") else {}
        with whole_or_nothing(self.target, overwrite=True) as stream:
            output = av.open(stream.name, "w", format=container, container_options=options)
            if comment is not None:
                output.metadata["comment"] = comment
            try:
                with av.open(address_of(files[0])) as first:
                    film = output.add_stream_from_template(first.streams.video[0], opaque=True)
                    tracks = None if sound is None else SoundTracks(sound, output)
                    for packet in _in_order(
                        files, [self.recall(n).begin for n in range(len(files))]
                    ):
                        if tracks is not None:
                            tracks.write_until(packet.dts * packet.time_base)
                        packet.stream = film
                        output.mux(packet)
                    if tracks is not None:
                        tracks.finish(end, whole=whole)
            finally:
                output.close()

    def close(self) -> None:
        """Another run may go on; a folder without whole segments goes."""
        if self.folder.is_dir() and not self.done():
            self.remove()
        self._lock.release()

    def remove(self) -> None:
        """The film is whole; its segments are needed no more."""
        self._lock.release()
        own = (_SETTINGS, _LOCK)
        with suppress(OSError):  # of a folder that holds something else, that stays
            for file in self.folder.iterdir():
                numbered = re.fullmatch(r"\d{6}\.(mp4|safetensors)", file.name)
                if numbered or file.name in own or is_unfinished(file):
                    file.unlink(missing_ok=True)
            self.folder.rmdir()


def _in_order(files: Sequence[Path], begins: Sequence[Fraction]) -> Iterator[Any]:
    """The packets of several segments, which begin at those times in seconds, as those of one film."""
    av = load_av()
    last = None
    for file, begin in zip(files, begins, strict=True):
        with av.open(address_of(file)) as part:
            stream = part.streams.video[0]
            shift = round(begin / stream.time_base)
            for packet in part.demux(stream):
                if packet.dts is None:
                    continue
                packet.pts += shift
                packet.dts += shift
                if last is not None and packet.dts <= last:  # times of decoding must grow
                    packet.dts = last + 1
                last = packet.dts
                yield packet
