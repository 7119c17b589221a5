"""Time and memory of the pipeline on this machine: `hfstyle benchmark`.

Each case runs in a process of its own (`python -m hfstyle.benchmark.run CASE`), so that its peak memory and its number of
threads are its own. Pictures are made, not read: pixels in to pixels out, without files.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image

from hfstyle import __version__
from hfstyle.benchmark.machine import machine, resident_peak
from hfstyle.benchmark.profile import format_profile, profile
from hfstyle.images.pixels import strip_bounds
from hfstyle.images.write_bands import row_writer
from hfstyle.limits import DEFAULT_STYLE_SIZE
from hfstyle.messages import table
from hfstyle.pipeline import StyleTransferPipeline

__all__ = ["format_results", "machine", "measure", "run_benchmark", "run_large_benchmark"]

_BLOCK: Final = 512  # rows of a made picture before its grain repeats


def run_benchmark(
    *,
    sizes: Sequence[int] = (512, 1024),
    threads: Sequence[int | None] = (None,),
    dtypes: Sequence[str] = ("float32",),
    backends: Sequence[str] = ("torch",),
    device: str = "cpu",
    repeats: int = 5,
    profiled: bool = False,
    model: str | os.PathLike[str] | None = None,
    revision: str | None = None,
    progress_callback: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Paint square pictures of each size, with each number of threads, dtype and backend, and encode a style.

    Args:
        sizes: sides in pixels, from 32.
        threads: numbers of CPU threads, from 1; None is torch's choice.
        dtypes: "float32", "bfloat16" or "float16" (CUDA only).
        backends: "torch"; "onnx", onnxruntime on the CPU in float32, whatever `device` and `dtypes` say.
        device: e.g. "cpu", "cuda".
        repeats: runs of each case, from 1, after one to warm up.
        profiled: also say where the time goes (`hfstyle.benchmark.profile.profile`), of each case that torch paints on a CPU,
            whose task is "profile" then.
        model: folder or Hub id; None is the bundled weights.
        revision: of the Hub repository.
        progress_callback: called with a description before each case.

    Returns:
        A JSON-able dictionary: "hfstyle" (version), "machine" (see `machine`) and "results", a list with, for each case,
        what it was ("task": "paint", "profile" or "encode", "size", "threads", "dtype", "device", "backend"), "seconds" (median of the
        repeats), "seconds_each", "pixels_per_second", "memory_bytes" (peak resident memory of the process, None where
        it cannot be told), "memory_loaded_bytes" (that before the first run) and "device_memory_bytes" (CUDA's peak,
        else None). A case that failed has "error" in place of the numbers.
    """
    common = {"repeats": repeats, "model": model and os.fspath(model), "revision": revision}
    results = []
    with tempfile.TemporaryDirectory() as folder:
        if "onnx" in backends:
            from hfstyle.graphs.export import export_onnx

            export_onnx(StyleTransferPipeline.from_pretrained(model, revision=revision), folder)
        for count in threads:
            for case in _cases(sizes, dtypes, backends, device):
                case |= {"threads": count, **common}
                if profiled and (case["task"], case["backend"], device) == (
                    "paint",
                    "torch",
                    "cpu",
                ):
                    case["task"] = "profile"
                if case["backend"] == "onnx":
                    case |= {"model": folder, "revision": None}
                if progress_callback is not None:
                    progress_callback(_title(case))
                results.append(_in_a_process(case))
    return {"hfstyle": __version__, "machine": machine(), "results": results}


def run_large_benchmark(
    *,
    megapixels: Sequence[float] = (1, 4, 16, 64),
    tile_size: int = 512,
    threads: Sequence[int | None] = (None,),
    dtypes: Sequence[str] = ("float32",),
    device: str = "cpu",
    repeats: int = 1,
    model: str | os.PathLike[str] | None = None,
    revision: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    progress_callback: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Paint square PNG files of several sizes into PNG files, by `paint_file`, and fit how time grows with pixels.

    All sizes are painted in tiles of the same side, so that the same work is done for each pixel: the default of the
    pipeline would take one pass for the smaller ones, in less than half the time.

    Args:
        megapixels: sizes in 1024 x 1024 pixels, two or more for a fit.
        tile_size: side of the tiles in pixels, from 64; all sizes should be larger.
        repeats: runs of each case, from 1, after a run of the smallest picture to warm up.
        folder: where pictures are made and painted, in a folder that is removed again; None is the system's for
            temporary files.
        threads, dtypes, device, model, revision, progress_callback: as for `run_benchmark`.

    Returns:
        As `run_benchmark`, with the task "file"; and "fits", a list of {"threads", "dtype", "exponent", "worst"}:
        seconds ~ pixels ** exponent, by least squares of the logarithms, and the greatest factor by which a measured
        time differs from that.
    """
    results = []
    sides = [round(1024 * number**0.5) for number in sorted(megapixels)]
    with tempfile.TemporaryDirectory(dir=folder) as place:
        sources = [Path(place, f"{side}.png") for side in sides]
        for side, source in zip(sides, sources, strict=True):
            _write_picture(source, side)
        for count, dtype in [(count, dtype) for count in threads for dtype in dtypes]:
            for side, source in zip(sides, sources, strict=True):
                case = {"task": "file", "size": side, "threads": count, "dtype": dtype}
                case |= {"device": device, "backend": "torch", "repeats": repeats}
                case |= {"model": model and os.fspath(model), "revision": revision}
                case |= {"source": str(source), "smallest": str(sources[0]), "tile": tile_size}
                if progress_callback is not None:
                    progress_callback(_title(case))
                results.append(_in_a_process(case))
    report = {"hfstyle": __version__, "machine": machine(), "results": results}
    return report | {"tile_size": tile_size, "fits": _fits(results)}


def _fits(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    fits = []
    groups: dict[tuple[Any, str], list[dict[str, Any]]] = {}
    for result in results:
        if "error" not in result:
            groups.setdefault((result["threads"], result["dtype"]), []).append(result)
    for (threads, dtype), group in groups.items():
        if len(group) < 2:
            continue
        pixels = np.log([result["size"] ** 2 for result in group])
        seconds = np.log([result["seconds"] for result in group])
        exponent, offset = np.polyfit(pixels, seconds, 1)
        worst = np.exp(np.abs(exponent * pixels + offset - seconds).max())
        fits.append({"threads": threads, "dtype": dtype})
        fits[-1] |= {"exponent": float(exponent), "worst": float(worst)}
    return fits


def _cases(
    sizes: Sequence[int], dtypes: Sequence[str], backends: Sequence[str], device: str
) -> Iterator[dict[str, Any]]:
    for backend in backends:
        usable = dtypes if backend == "torch" else ("float32",)
        where = device if backend == "torch" else "cpu"
        tasks = [("paint", size, dtype) for dtype in usable for size in sizes]
        for task, size, dtype in [*tasks, ("encode", DEFAULT_STYLE_SIZE, "float32")]:
            kind = {"task": task, "size": size, "dtype": dtype}
            yield {**kind, "device": where, "backend": backend}


def measure(
    *,
    task: str,
    size: int,
    threads: int | None = None,
    dtype: str = "float32",
    device: str = "cpu",
    backend: str = "torch",
    repeats: int = 5,
    model: str | None = None,
    revision: str | None = None,
    source: str = "",
    smallest: str = "",
    tile: int = 512,
) -> dict[str, Any]:
    """Run one case in this process; a member of `run_benchmark`'s results."""
    if threads is not None:
        torch.set_num_threads(threads)
    if backend == "onnx":
        assert model is not None  # the folder of the graphs
        pipe = StyleTransferPipeline.from_onnx(model)
    else:
        pipe = StyleTransferPipeline.from_pretrained(
            model, revision=revision, dtype=getattr(torch, dtype), device=device
        )
    code = pipe.encode_style(_picture(DEFAULT_STYLE_SIZE, seed=1))
    loaded = resident_peak()
    cuda = torch.device(device).type == "cuda"
    seconds = []
    for repeat in range(repeats + 1):  # the first one warms up
        # Another picture each time: codes are remembered.
        picture = None if task == "file" else _picture(size, seed=2 + repeat)
        if cuda:
            torch.cuda.synchronize(device)
        begun = time.perf_counter()
        if picture is None:
            photo = source if repeat else smallest
            target = f"{source}.out.png"
            pipe.paint_file(photo, target, code, processing_resolution="full", tile_size=tile)
        elif task == "encode":
            pipe.encode_style(picture)
        else:
            pipe(picture, code, processing_resolution="full")
        if cuda:
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - begun)
    median = statistics.median(seconds[1:])
    result = {
        "task": task,
        "size": size,
        "threads": torch.get_num_threads(),
        "dtype": dtype,
        "device": device,
        "backend": backend,
        "seconds": median,
        "seconds_each": seconds[1:],
        "pixels_per_second": size * size / median,
        "memory_bytes": resident_peak(),
        "memory_loaded_bytes": loaded,
        "device_memory_bytes": torch.cuda.max_memory_allocated(device) if cuda else None,
    }
    if task == "profile":
        result["profile"] = profile(pipe, _picture(size, seed=1), code, median)
    return result


def format_results(report: dict[str, Any]) -> str:
    """A report of `run_benchmark` as text: the machine, then a table."""
    host = report["machine"]
    onnx = any(result["backend"] == "onnx" for result in report["results"])
    graphs = f", onnxruntime {host['onnxruntime']}" if onnx else ""
    lines = [
        f"hfstyle {report['hfstyle']}, torch {host['torch']}{graphs}, {host['cpu']}, "
        f"{host['cores']} core{'' if host['cores'] == 1 else 's'}, {host['system']}",
        *host["gpu"],
        "",
    ]
    rows = [["TASK", "PIXELS", "BACKEND", "DEVICE", "THREADS", "DTYPE"]]
    rows[0] += ["SECONDS", "MPIXEL/S", "PEAK MEMORY"]
    on_device = any(result.get("device_memory_bytes") for result in report["results"])
    rows[0] += ["DEVICE MEMORY"] if on_device else []
    for result in report["results"]:
        row = [result["task"], f"{result['size']} x {result['size']}", result["backend"]]
        row += [result["device"], str(result["threads"] or "auto"), result["dtype"]]
        if "error" in result:
            row += ["failed", "", ""]
        else:
            row += [f"{result['seconds']:.3f}", f"{result['pixels_per_second'] / 1e6:.2f}"]
            row += [_megabytes(result["memory_bytes"])]
        row += [_megabytes(result.get("device_memory_bytes"))] if on_device else []
        rows.append(row)
    text = "\n".join(lines) + table(rows, right=(1, 4, 6, 7, 8, 9))
    for fit in report.get("fits", []):
        text += (
            f"\n\nPNG to PNG in tiles of {report['tile_size']} px, {fit['threads']} threads, {fit['dtype']}: "
            f"seconds ~ pixels ^ {fit['exponent']:.3f}, within a factor of {fit['worst']:.2f}"
        )
    profiles = [format_profile(result) for result in report["results"] if "profile" in result]
    return "\n\n".join([text, *profiles])


def _in_a_process(case: dict[str, Any]) -> dict[str, Any]:
    environment = dict(os.environ)
    if case["threads"] is not None:
        environment["OMP_NUM_THREADS"] = str(case["threads"])
    process = subprocess.run(
        [sys.executable, "-m", "hfstyle.benchmark.run", json.dumps(case)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    if process.returncode == 0:
        result: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
        return result
    if process.returncode < 0:
        why = f"killed by signal {-process.returncode}" + (
            ", perhaps for want of memory" if process.returncode == -9 else ""
        )
    else:
        last = [line for line in process.stderr.splitlines() if line.strip()]
        why = last[-1] if last else f"exit code {process.returncode}"
    kept = ("task", "size", "threads", "dtype", "device", "backend")
    return {key: case[key] for key in kept} | {"error": f"{_title(case)}: {why}"}


def _title(case: dict[str, Any]) -> str:
    threads = "" if case["threads"] is None else f", {case['threads']} threads"
    backend = ", onnx" if case["backend"] == "onnx" else ""
    return f"{case['task']} {case['size']} px, {case['dtype']}{threads}{backend}"


def _picture(size: int, seed: int) -> Image.Image:
    """Waves and grain, `size` square."""
    random = np.random.default_rng(seed)
    waves = np.sin(np.linspace(0, 9 + seed, size, dtype=np.float32))
    grey = 96 + 48 * (waves[:, None] + waves[None, :]) / 2  # (H, W)
    grain = random.integers(0, 64, (size, size, 3), dtype=np.uint8)
    return Image.fromarray(grey.astype(np.uint8)[:, :, None] + grain)


def _write_picture(path: Path, size: int) -> None:
    """The picture of `_picture`, row by row, its grain repeated."""
    block = np.asarray(_picture(_BLOCK, seed=1))  # (H, W, 3)
    columns = np.resize(np.arange(_BLOCK), size)
    with path.open("xb") as stream:
        writer = row_writer(stream, ".png", (size, size), 3, None)
        for top, bottom in strip_bounds(size, size):
            writer.add(block[np.arange(top, bottom) % _BLOCK][:, columns])
        writer.finish()


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:,.0f} MB"


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
