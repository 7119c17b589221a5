"""A training run small enough for a test: toy pictures, a random perceptual network, a generator of a few thousand weights."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]


def toy_pictures(kind: str, count: int, side: int = 80) -> list[Image.Image]:
    """`content`: dull, smooth shapes. `style`: bright stripes, each picture in colours and a direction of its own."""
    rng = np.random.default_rng(0 if kind == "content" else 1)
    y, x = np.mgrid[:side, :side] / side
    pictures = []
    for _ in range(count):
        if kind == "content":
            cx, cy, r = rng.uniform(0.2, 0.8, 3)
            shape = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (0.05 + 0.1 * r))
            pixels = 0.3 + 0.3 * shape[..., None] * rng.uniform(0.8, 1, 3)
        else:
            a, b = rng.uniform(-60, 60, 2)
            stripes = (np.sin(a * x + b * y) > 0)[..., None]
            pixels = np.where(stripes, rng.uniform(0, 1, 3), rng.uniform(0, 1, 3))
            pixels = pixels + rng.normal(0, 0.05, pixels.shape)
        pictures.append(Image.fromarray((pixels.clip(0, 1) * 255).astype(np.uint8)))
    return pictures


def write_parquet(path: Path, pictures: list[Image.Image], corrupt: int = 0) -> None:
    """In the `datasets` Image format; the first `corrupt` pictures are cut in the middle."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = []
    for i, picture in enumerate(pictures):
        data = io.BytesIO()
        picture.save(data, "PNG")
        raw = data.getvalue()
        rows.append({"bytes": raw[: len(raw) // 2] if i < corrupt else raw, "path": f"{i}.png"})
    pq.write_table(pa.table({"image": rows}), path)


def write_perceptual(path: Path) -> None:
    """The compact VGG-19's tensors with random numbers."""
    generator = torch.Generator().manual_seed(0)
    state = {"conv0.weight": 4 * torch.eye(3).view(3, 3, 1, 1), "conv0.bias": -2 * torch.ones(3)}
    channels = 3
    stages = zip((16, 32, 64, 128, 128), (2, 2, 4, 4, 1), strict=True)
    for stage, (width, depth) in enumerate(stages, 1):
        for j in range(1, depth + 1):
            noise = torch.randn(width, channels, 3, 3, generator=generator)
            state[f"conv{stage}{j}.weight"] = noise * (2 / (9 * channels)) ** 0.5
            state[f"conv{stage}{j}.bias"] = torch.zeros(width)
            channels = width
    save_file(state, path)


def make_toy(folder: Path) -> Path:
    """Files of a toy training run: content.parquet, style.parquet and vgg.safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    write_parquet(folder / "content.parquet", toy_pictures("content", 12))
    write_parquet(folder / "style.parquet", toy_pictures("style", 12))
    write_perceptual(folder / "vgg.safetensors")
    return folder


def toy_arguments(toy: Path, output_dir: Path, **changes: object) -> list[str]:
    """The trainer's command line for a run on the toy files; None removes an argument, True gives a flag."""
    arguments: dict[str, object] = {
        "content_data_dir": toy / "content.parquet",
        "style_data_dir": toy / "style.parquet",
        "perceptual_model": toy / "vgg.safetensors",
        "generator_config": "tiny",
        "output_dir": output_dir,
        "resolution": 64,
        "train_batch_size": 4,
        "max_train_steps": 4,
        "adversarial_start": 1,
        "adversarial_ramp": 2,
        "contrast_weight": 0.1,
        "lr_scheduler": "constant",
        "logging_steps": 1,
        "validation_steps": 0,
        "seed": 3,
    } | changes
    line = []
    for name, value in arguments.items():
        if value is True:
            line.append(f"--{name}")
        elif value is not None:
            line += [f"--{name}", *(map(str, value) if isinstance(value, tuple) else [str(value)])]
    return line


def train_here(arguments: list[str]) -> None:
    """Run the trainer in this process, on one thread as in `environment`: sums over threads differ in the last bits,
    which Adam's first steps turn into differences that a test would see.
    """
    import signal

    import torch
    from accelerate.state import AcceleratorState, GradientState

    from training.run.arguments import parse_args
    from training.train import main

    handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        main(parse_args(arguments))
    finally:
        torch.set_num_threads(threads)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()


def environment(**changes: str) -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"} | changes


def launch(arguments: list[str], script: str = "training/train.py") -> list[str]:
    """The command that starts the trainer as a user would."""
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1"]
    return [*launcher, "--num_cpu_threads_per_process", "1", script, *arguments]


def launch_two(arguments: list[str], script: str = "training/train.py") -> list[str]:
    """Two processes on one CPU, which `accelerate launch` cannot start without MPI."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
    return [*launcher, "2", script, *arguments]


@contextmanager
def started(command: list[str], **changes: str) -> Iterator[subprocess.Popen[str]]:
    """A run in the background, in a process group of its own, which is ended with the block."""
    import signal

    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(**changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()


def finish(command: list[str], timeout: float = 300, **changes: str) -> str:
    """Run to the end; returns what it wrote, also in the assertion if it failed."""
    with started(command, **changes) as process:
        output, _ = process.communicate(timeout=timeout)
    assert process.returncode == 0, output
    return output


def read_log(output_dir: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (output_dir / "log.jsonl").read_text().splitlines()]


def toy_crops(toy: Path, kind: str, side: int, zoom: tuple[float, float]) -> Tensor:
    """(4, 3, side, side) in [0, 1], of other places than training sees."""
    from training.data.sources import open_pictures
    from training.data.streams import make_stream

    stream = make_stream(open_pictures(data_dir=toy / f"{kind}.parquet"), seed=9)
    crops = [stream.crops(i, side, zoom=zoom) for i in range(4)]
    return torch.from_numpy(np.concatenate(crops)).float() / 255
