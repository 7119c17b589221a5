"""Small clips that tests draw, with sound, turned, of fields, damaged: what a film can be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from hfstyle.film import Frame

RATE = 25


def texture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """(height, width, 3): soft blobs of every size, in which motion can be seen."""
    random = np.random.default_rng(seed)
    sums = np.zeros((height, width, 3), np.float32)
    for cells in (4, 8, 16, 32):
        coarse = random.standard_normal((cells + 2, cells + 2, 3)).astype(np.float32)
        y, x = np.linspace(0, cells, height), np.linspace(0, cells, width)
        top, left = y.astype(int), x.astype(int)
        down, right = (y - top)[:, None, None], (x - left)[None, :, None]
        upper = coarse[top][:, left] * (1 - right) + coarse[top][:, left + 1] * right
        lower = coarse[top + 1][:, left] * (1 - right) + coarse[top + 1][:, left + 1] * right
        sums += (upper * (1 - down) + lower * down) / np.sqrt(cells)
    return np.clip(128 + 70 * sums, 0, 255).astype(np.uint8)


def panned(
    count: int, height: int = 96, width: int = 128, step: int = 2
) -> list[NDArray[np.uint8]]:
    """Frames of a camera that moves right by `step` px a frame: out(x) = before(x + step)."""
    wall = texture(height, width + step * count)
    return [np.ascontiguousarray(wall[:, step * i : step * i + width]) for i in range(count)]


def marked(count: int, height: int = 64, width: int = 96) -> list[NDArray[np.uint8]]:
    """Frames told apart by their grey, 8 i of the first 32; the upper left quarter is red, so that turning shows."""
    frames = [np.full((height, width, 3), 8 * (i % 32), np.uint8) for i in range(count)]
    for frame in frames:
        frame[: height // 2, : width // 2] = (200, 40, 40)
    return frames


def timed(frames: Iterable[NDArray[np.uint8]], rate: int = RATE) -> Iterator[Frame]:
    """Frames at a steady rate."""
    for index, rgb in enumerate(frames):
        yield Frame(rgb, Fraction(index, rate), Fraction(1, rate))


def write_clip(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    *,
    rate: int = RATE,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    ticks: Iterable[int] | None = None,
    turned: int = 0,
    sound: str | None = None,
    interlaced: bool = False,
    tags: dict[str, Any] | None = None,
    **options: str,
) -> Path:
    """A film of frames (H, W, 3) as PyAV alone writes it; `ticks` of 1/600 s are times of frames, `tags` of its codec."""
    frames = list(frames)
    with av.open(str(path), "w") as output:
        options = {"crf": "8", **options} if codec == "libx264" else options
        film: Any = output.add_stream(codec, rate=rate, options=options)
        film.height, film.width = frames[0].shape[:2]
        film.pix_fmt = pixels
        for name, value in (tags or {}).items():
            setattr(film.codec_context, name, value)
        if turned:
            film.set_display_rotation(turned)
        film.codec_context.time_base = Fraction(1, 600)
        music: Any = None if sound is None else output.add_stream(sound, rate=48_000)
        times = list(ticks) if ticks is not None else [600 * i // rate for i in range(len(frames))]
        for rgb, time in zip(frames, times, strict=True):
            kind = "rgb24" if rgb.shape[2] == 3 else "rgba"
            frame = av.VideoFrame.from_ndarray(rgb, kind).reformat(format=pixels)
            frame.pts, frame.time_base = time, Fraction(1, 600)
            if tags and "colorspace" in tags:
                frame.colorspace = tags["colorspace"]
            output.mux(film.encode(frame))
        output.mux(film.encode(None))
        if music is not None:
            seconds = (times[-1] + 600 // rate) / 600
            wave = np.sin(np.arange(int(48_000 * seconds)) * 2 * np.pi * 440 / 48_000)
            for begin in range(0, len(wave), 1024):
                part = (0.3 * wave[None, begin : begin + 1024]).astype(np.float32)
                tone = av.AudioFrame.from_ndarray(part, "fltp", "mono")
                tone.sample_rate, tone.pts = 48_000, begin
                output.mux(music.encode(tone))
            output.mux(music.encode(None))
    return path


def streams_of(path: Path) -> dict[str, tuple[float, float]]:
    """Begin and end in seconds of each stream, from its packets, by "video aac"-like names."""
    found = {}
    with av.open(str(path)) as film:
        spans: dict[int, list[float]] = {}
        for packet in film.demux():
            if packet.pts is not None and packet.dts is not None:
                begin = float(packet.pts * packet.time_base)
                spans.setdefault(packet.stream.index, []).extend(
                    (begin, begin + float((packet.duration or 0) * packet.time_base))
                )
        for index, span in spans.items():
            stream = film.streams[index]
            found[f"{stream.type} {stream.codec_context.name}"] = (min(span), max(span))
    return found
