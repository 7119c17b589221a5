"""Time and memory of the pipeline on this machine: `hfstyle benchmark`.

Each case runs in a process of its own (`python -m hfstyle.benchmark CASE`), so that its peak memory and its number of
threads are its own. Pictures are made, not read: pixels in to pixels out, without files.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from hfstyle import __version__
from hfstyle._terminal import table
from hfstyle.pipeline import DEFAULT_STYLE_SIZE, StyleTransferPipeline

__all__ = ["format_results", "machine", "measure", "run_benchmark"]


def run_benchmark(
    *,
    sizes: Sequence[int] = (512, 1024),
    threads: Sequence[int | None] = (None,),
    dtypes: Sequence[str] = ("float32",),
    backends: Sequence[str] = ("torch",),
    device: str = "cpu",
    repeats: int = 5,
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
        model: folder or Hub id; None is the bundled weights.
        revision: of the Hub repository.
        progress_callback: called with a description before each case.

    Returns:
        A JSON-able dictionary: "hfstyle" (version), "machine" (see `machine`) and "results", a list with, for each case,
        what it was ("task": "paint" or "encode", "size", "threads", "dtype", "device", "backend"), "seconds" (median of the
        repeats), "seconds_each", "pixels_per_second", "memory_bytes" (peak resident memory of the process, None where
        it cannot be told), "memory_loaded_bytes" (that before the first run) and "device_memory_bytes" (CUDA's peak,
        else None). A case that failed has "error" in place of the numbers.
    """
    common = {"repeats": repeats, "model": model and os.fspath(model), "revision": revision}
    results = []
    with tempfile.TemporaryDirectory() as folder:
        if "onnx" in backends:
            from hfstyle.onnx_export import export_onnx

            export_onnx(StyleTransferPipeline.from_pretrained(model, revision=revision), folder)
        for count in threads:
            for case in _cases(sizes, dtypes, backends, device):
                case |= {"threads": count, **common}
                if case["backend"] == "onnx":
                    case |= {"model": folder, "revision": None}
                if progress_callback is not None:
                    progress_callback(_title(case))
                results.append(_in_a_process(case))
    return {"hfstyle": __version__, "machine": machine(), "results": results}


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
    loaded = _resident_peak()
    cuda = torch.device(device).type == "cuda"
    seconds = []
    for repeat in range(repeats + 1):  # the first one warms up
        picture = _picture(size, seed=2 + repeat)  # another one each time: codes are remembered
        if cuda:
            torch.cuda.synchronize(device)
        begun = time.perf_counter()
        if task == "encode":
            pipe.encode_style(picture)
        else:
            pipe(picture, code)
        if cuda:
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - begun)
    median = statistics.median(seconds[1:])
    return {
        "task": task,
        "size": size,
        "threads": torch.get_num_threads(),
        "dtype": dtype,
        "device": device,
        "backend": backend,
        "seconds": median,
        "seconds_each": seconds[1:],
        "pixels_per_second": size * size / median,
        "memory_bytes": _resident_peak(),
        "memory_loaded_bytes": loaded,
        "device_memory_bytes": torch.cuda.max_memory_allocated(device) if cuda else None,
    }


def machine() -> dict[str, Any]:
    """What the numbers depend on: "system", "cpu", "cores" (that this process may use), "threads" (torch's choice),
    "torch" and "onnxruntime" (versions, None where it is not installed) and "gpu" (names)."""
    usable = getattr(os, "sched_getaffinity", None)
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cores": len(usable(0)) if usable is not None else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "onnxruntime": _version("onnxruntime"),
        "gpu": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


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
    return "\n".join(lines) + table(rows, right=(1, 4, 6, 7, 8, 9))


def _in_a_process(case: dict[str, Any]) -> dict[str, Any]:
    environment = dict(os.environ)
    if case["threads"] is not None:
        environment["OMP_NUM_THREADS"] = str(case["threads"])
    process = subprocess.run(
        [sys.executable, "-m", "hfstyle.benchmark", json.dumps(case)],
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


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _picture(size: int, seed: int) -> Image.Image:
    """Waves and grain, `size` square."""
    random = np.random.default_rng(seed)
    waves = np.sin(np.linspace(0, 9 + seed, size, dtype=np.float32))
    grey = 96 + 48 * (waves[:, None] + waves[None, :]) / 2  # (H, W)
    grain = random.integers(0, 64, (size, size, 3), dtype=np.uint8)
    return Image.fromarray(grey.astype(np.uint8)[:, :, None] + grain)


def _resident_peak() -> int | None:
    """Most memory in bytes that this process ever held, None where the system does not tell."""
    # Not getrusage on Linux: its peak begins with that of the process that started this one.
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        found = subprocess.run(command, capture_output=True, text=True)
        if found.stdout.strip():
            return found.stdout.strip()
    return platform.processor() or platform.machine() or "unknown CPU"


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:,.0f} MB"


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
