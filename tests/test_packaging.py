"""The package as others meet it: a light import, a small public surface, one-way dependencies, a complete wheel."""

from __future__ import annotations

import ast
import functools
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import hfstyle

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "hfstyle"
HEAVY = {
    "accelerate",
    "cv2",
    "datasets",
    "diffusers",
    "gradio",
    "matplotlib",
    "pandas",
    "pyarrow",
    "scipy",
    "skimage",
    "tensorboard",
    "torchvision",
    "transformers",
}
STUDIO = PACKAGE / "studio"
MODULES = sorted(PACKAGE.rglob("*.py"))


def _modules_after(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after `statement`."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(process.stdout.split())


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _imports(path: Path, *, at_import_time: bool = False) -> Iterator[str]:
    """Dotted names that a module imports; with `at_import_time`, without those in functions and for type checkers."""
    todo: list[ast.AST] = [_tree(path)]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # The package imports itself by absolute names only, see test_imports_are_absolute.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        if at_import_time and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if at_import_time and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            todo.extend(node.orelse)
            continue
        todo.extend(ast.iter_child_nodes(node))


def _within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _project() -> dict[str, object]:
    with open(ROOT / "pyproject.toml", "rb") as file:
        return tomllib.load(file)["project"]


# --- import


def test_a_list_of_styles_does_not_wait_for_torch() -> None:
    told = _modules_after("from hfstyle.cli import main; main(['styles'])")
    assert {"starry_night_van_gogh", "great_wave_hokusai"} <= told
    assert not told & (HEAVY | {"torch", "numpy", "PIL", "huggingface_hub"})


def test_import_hfstyle_loads_neither_torch_nor_anything_heavy() -> None:
    light = _modules_after("import hfstyle; hfstyle.__version__")
    assert not light & (HEAVY | {"torch", "numpy", "PIL", "huggingface_hub", "safetensors"})


def test_using_hfstyle_loads_only_what_a_runtime_install_has() -> None:
    assert not _modules_after("import hfstyle.cli, hfstyle.pipeline\nfrom hfstyle import *") & HEAVY


def test_modules_import_at_the_top_only_what_the_package_depends_on() -> None:
    names = [Requirement(line).name for line in _project()["dependencies"]]  # type: ignore[attr-defined]
    allowed = {{"pillow": "PIL"}.get(name, name) for name in names}
    allowed |= sys.stdlib_module_names | {"hfstyle"}
    for path in MODULES:
        if STUDIO in path.parents:
            allowed_here = allowed | {
                "gradio",
                "gradio_client",
                "spaces",
                "starlette",
            }  # under gradio
        else:
            allowed_here = allowed
        tops = {name.partition(".")[0] for name in _imports(path, at_import_time=True)}
        assert tops <= allowed_here, f"{path.relative_to(ROOT)} imports {tops - allowed_here}"


# --- public names


def test_the_public_surface_is_small_and_complete() -> None:
    assert len(hfstyle.__all__) <= 12
    assert len(set(hfstyle.__all__)) == len(hfstyle.__all__)
    for name in hfstyle.__all__:
        assert getattr(hfstyle, name) is not None
    assert set(hfstyle.__all__) <= set(dir(hfstyle))


# --- which way dependencies point


def test_imports_are_absolute() -> None:
    for path in MODULES:
        for node in ast.walk(_tree(path)):
            relative = isinstance(node, ast.ImportFrom) and node.level > 0
            assert not relative, f"{path.relative_to(ROOT)} imports relatively"


def test_only_the_studio_knows_gradio_and_nothing_knows_the_studio() -> None:
    for path in MODULES:
        if STUDIO not in path.parents:
            wrong = [n for n in _imports(path) if _within(n, "gradio", "hfstyle.studio")]
            assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_networks_know_nothing_of_pictures() -> None:
    for path in sorted((PACKAGE / "models").glob("*.py")):
        wrong = [name for name in _imports(path) if _within(name, "PIL", "numpy")]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


# --- what is installed


def test_requirements_pin_what_a_space_installs() -> None:
    project = _project()
    extras: dict[str, list[str]] = project["optional-dependencies"]  # type: ignore[assignment]
    wanted = [Requirement(line) for line in [*project["dependencies"], *extras["app"]]]  # type: ignore[misc]
    wanted += [
        Requirement(line)
        for name in ("examples", "heic", "regions", "tiff", "video")
        for line in extras[name]
    ]
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    pinned = {canonicalize_name(pin.name): str(pin.specifier) for pin in pins}
    for requirement in wanted:
        name = canonicalize_name(requirement.name)
        if name == "hfstyle":
            continue
        assert re.fullmatch(r"==[\d.]+", pinned[name]), f"{name} is not pinned"
        assert requirement.specifier.contains(pinned[name].removeprefix("=="))
    assert set(pinned) == {canonicalize_name(r.name) for r in wanted} - {"hfstyle"}


def _source_in(folder: Path) -> Path:
    """A copy of what a build needs, so that none leaves anything in the repository."""
    pytest.importorskip("setuptools", minversion="77")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(PACKAGE, source / "hfstyle", ignore=shutil.ignore_patterns("__pycache__"))
    return source


def test_the_wheel_holds_the_package_its_types_and_its_weights(tmp_path: Path) -> None:
    source = _source_in(tmp_path)
    for name in ("training", "tests"):
        (source / name).mkdir()
        (source / name / "__init__.py").touch()
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    command += ["--no-index", "-w", str(tmp_path), str(source)]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = next(name for name in names if name.endswith("entry_points.txt"))
        assert "hfstyle = hfstyle.cli:main" in archive.read(metadata).decode()
    assert wheel.name.startswith(f"hfstyle-{hfstyle.__version__}-py3-none-any")
    files = [*MODULES, PACKAGE / "py.typed", *(PACKAGE / "pretrained").rglob("*")]
    expected = {path.relative_to(ROOT).as_posix() for path in files if path.is_file()}
    assert expected <= names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert not [name for name in names if not re.match(r"hfstyle(-[^/]+\.dist-info)?/", name)]


def test_the_source_archive_holds_the_weights_and_no_test_data(tmp_path: Path) -> None:
    source = _source_in(tmp_path)
    for name in ("training/figures/a.jpg", "tests/golden/a.png", "tests/toy.parquet"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    build = f"import setuptools.build_meta as build; build.build_sdist({str(tmp_path)!r})"
    process = subprocess.run(
        [sys.executable, "-c", build], cwd=source, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    weights = [p for p in (PACKAGE / "pretrained").rglob("*") if p.is_file()]
    assert {path.relative_to(ROOT).as_posix() for path in weights} <= names
    assert "LICENSE" in names
    assert not [name for name in names if name.startswith(("tests/", "training/"))]


def test_changes_and_card_end_with_this_version() -> None:
    text = (PACKAGE / "guides" / "changelog.md").read_text(encoding="utf-8")
    heads = [head for head in re.findall(r"^## (.+)$", text, re.MULTILINE) if head != "Unreleased"]
    assert heads[0] == hfstyle.__version__
    card = (ROOT / "model_card.md").read_text(encoding="utf-8")
    assert re.findall(r"hfstyle (\d+\.\d+\.\d+)", card) == [hfstyle.__version__]


# --- what is in the repository


def _tracked() -> list[Path]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("needs the git repository")
    process = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in process.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_tells_where_it_was_made() -> None:
    """Absolute paths of somebody's machine: home folders and work folders at the root."""
    pattern = re.compile(rb"(?<![\w.~$}/-])/(?:work|root|home/\w+|Users/\w+)/\w")
    for path in _tracked():
        found = pattern.search(path.read_bytes())
        assert found is None, f"{path.relative_to(ROOT)} holds {found.group()!r}"


def test_no_file_of_the_repository_is_larger_than_the_default_weights_may_be() -> None:
    for path in _tracked():
        assert path.stat().st_size < 25_000_000, f"{path.relative_to(ROOT)} is too large"
