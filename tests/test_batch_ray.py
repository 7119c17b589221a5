"""`hfstyle.batch --engine ray`: a local cluster of two processes, one of which is killed while it paints."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_model import small_generator

from hfstyle.batch import main, ray_engine

ray = pytest.importorskip("ray")
pq = pytest.importorskip("pyarrow.parquet")

pytestmark = pytest.mark.slow
COUNT, BAD, FATAL = 11, 3, 6


class Mortal(ray_engine.Worker):
    """Its process is killed the first time that it is to paint picture 6, the others of its group being painted."""

    def one(self, index: int) -> str:
        died = Path("died").absolute()
        if index == FATAL and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().one(index)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two processes of Ray, in a folder with photos/ (one of them damaged), style.png and a model."""
    monkeypatch.chdir(tmp_path)
    # Ray's processes import this module.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *sys.path]))
    (tmp_path / "photos").mkdir()
    for number in range(COUNT):
        random = np.random.default_rng(number)
        picture = Image.fromarray(random.integers(0, 256, (33, 40, 3), np.uint8))
        picture.save(f"photos/{number:02}.png")
    Path(f"photos/{BAD:02}.png").write_bytes(b"no picture")
    picture.save("style.png")
    small_generator().save_pretrained("model")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # on the loopback interface
    monkeypatch.setattr(ray_engine, "Worker", Mortal)
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=100 << 20,
        log_to_driver=False,
        logging_level="error",
    )
    yield
    ray.shutdown()


def test_a_killed_process_loses_nothing_and_paints_nothing_twice(
    cluster: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """To files, gone on with by the launcher's engine; then to Parquet files."""
    common = ["--dataset", "photos", "--style", "style.png", "--model", "model", "--device", "cpu"]
    by_ray = ["--engine", "ray", "--workers", "2"]
    assert main([*common, "--output", "out", *by_ray]) == 1
    assert Path("died").exists()
    names = {f"{number:02}.png" for number in range(COUNT) if number != BAD}
    assert {path.name for path in Path("out").glob("*.png")} == names
    report = json.loads(Path("out/report.json").read_text())
    assert (report["painted"], report["earlier"]) == (COUNT - 1, 0)
    assert [item["index"] for item in report["failed"]] == [BAD]
    assert "03.png" in capsys.readouterr().err
    before = {path.name: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}
    assert main([*common, "--output", "out"]) == 1  # the launcher's processes go on with it
    assert json.loads(Path("out/report.json").read_text())["earlier"] == COUNT - 1
    assert {path.name: path.stat().st_mtime_ns for path in Path("out").glob("*.png")} == before

    Path("died").unlink()
    rows = ["--format", "parquet", "--rows-per-file", "4"]
    assert main([*common, "--output", "tables", *rows, *by_ray]) == 1
    assert Path("died").exists()
    tables = [pq.read_table(file) for file in Path("tables").glob("*.parquet")]
    indices = sorted(index for table in tables for index in table["index"].to_pylist())
    assert indices == [number for number in range(COUNT) if number != BAD]


def test_workers_are_rays(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = ["--dataset", str(tmp_path), "--style", "x", "--output", str(tmp_path / "out")]
    assert main([*options, "--workers", "2"]) == 2
    assert "--workers is for --engine ray" in capsys.readouterr().err
