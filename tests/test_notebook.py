"""The notebook runs from its first cell to its last, as it stands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from toy_training import ROOT

pytest.importorskip("accelerate")
pytest.importorskip("skimage")


@pytest.mark.slow
def test_the_notebook_runs(toy: Path, tmp_path: Path) -> None:
    notebook = json.loads((ROOT / "training/tutorial.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    assert not any(c.get("outputs") for c in notebook["cells"])
    (tmp_path / "notebook.py").write_text("\n\n".join(cells), encoding="utf-8")
    environment = os.environ | {
        "HFSTYLE_QUICK": "1",
        "HFSTYLE_PERCEPTUAL": str(toy / "vgg.safetensors"),
        "ACCELERATE_USE_CPU": "true",
        "PYTHONPATH": str(ROOT),
    }
    process = subprocess.run(
        [sys.executable, "notebook.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    assert "own_art" in process.stdout
    assert "waves_5" in process.stdout
    written = {path.name for path in tmp_path.iterdir()}
    assert {
        "cat.png",
        "night_at_sea.style.safetensors",
        "my_waves.style.safetensors",
        "my-art",
    } <= written
