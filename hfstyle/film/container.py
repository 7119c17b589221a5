"""The file of a film, opened; what is no film is named, and what it is instead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from hfstyle.files import web_address
from hfstyle.film.errors import VideoError, load_av

__all__ = ["address_of", "exact", "opened", "pictures_of", "seek", "zero_of"]

# Containers that are read. Not lists of other files (HLS, concat), and nothing that takes any text for a film.
_FORMATS: Final = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,gif,apng,ogg,mxf,ivf,h264,hevc,obu,av1,"
    "yuv4mpegpipe,nut,wtv,mp3,wav,flac,aac"
)
_OPTIONS: Final = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The film as an open container of PyAV. Raises VideoError for what is none, saying what it seems to be."""
    av = load_av()
    if address := web_address(path):
        raise VideoError(f"{address} is a web address; download the film and give the file's path")
    if path.is_dir():
        raise VideoError(f"{path} is a folder; give the file of a film")
    if path.exists() and not path.is_file():
        raise VideoError(f"{path} is a pipe or a device; save the film as a file first")
    if path.exists() and path.stat().st_size == 0:
        raise VideoError(f"{path} is empty")
    try:
        container = av.open(address_of(path), options=dict(_OPTIONS))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except PermissionError:
        raise VideoError(f"{path} may not be read; check its rights") from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{path} is not a film that can be read{_seems(path)}") from error
    with container:
        yield container


def address_of(path: Path) -> str:
    """The file for FFmpeg, which takes what stands before a colon for a protocol, as in "12:30 at the sea.mp4"."""
    return f"file:{path}"


def _seems(path: Path) -> str:
    """What a file that is no film is instead."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            kind = picture.format
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        head = path.read_bytes()[:64] if path.stat().st_size < 1 << 40 else b""
        if b"ftyp" in head:
            return ": its index is missing, as of a recording that was broken off"
        return ""
    return f": it is a picture ({kind}); paint it by `hfstyle stylize`"


def pictures_of(container: Any, path: Path) -> Any:
    """The stream of pictures that is no cover of a song."""
    av = load_av()
    cover = av.stream.Disposition.attached_pic
    streams = [s for s in container.streams.video if not s.disposition & cover]
    if not streams:
        only = "only sound" if container.streams.audio else "neither pictures nor sound"
        raise VideoError(f"{path} has {only}; give a film with pictures")
    stream = streams[0]
    if stream.codec_context is None:
        raise VideoError(f"{path} is of a kind that this build of FFmpeg cannot decode")
    return stream


def exact(seconds: float) -> Fraction:
    """0.4 s as 2/5, as a film's times are counted."""
    return Fraction(seconds).limit_denominator(90_000)


def zero_of(container: Any) -> Fraction:
    """The time in seconds at which the film begins; some kinds of files begin at any."""
    start = container.start_time
    return Fraction(max(0, start or 0), 1_000_000)


def seek(container: Any, stream: Any, seconds: Fraction) -> bool:
    """Go to a place; False where the file knows of no places, and has to be opened anew to be read from its beginning."""
    av = load_av()
    try:
        container.seek(int(seconds / stream.time_base), stream=stream, backward=True)
    except av.error.FFmpegError:
        return False
    return True
