"""Write a model as a web page that paints in the visitor's browser: `hfstyle export-web`. The page's own files lie in `page/`."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import IO, Any, Final, Protocol, cast

from PIL import Image, ImageOps

from hfstyle.examples import example_photo
from hfstyle.files import write_json
from hfstyle.graphs.export import export_onnx
from hfstyle.graphs.files import CONFIG_FILE, ENCODER_FILE, FACES_FILE, GENERATOR_FILE
from hfstyle.images.provenance import Mark, packet
from hfstyle.limits import DEFAULT_STYLE_SIZE
from hfstyle.styles.code import StyleCode

__all__ = ["LIBRARY", "LIBRARY_VERSION", "export_web"]

LIBRARY: Final = "onnxruntime-web"
"""The package of npm that runs the graphs in browsers."""
LIBRARY_VERSION: Final = "1.30.0"
"""The one version of it that the page is tested with."""

_INTEGRITY: Final = (  # of the package's archive, as npm states it
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
_LIBRARY_FILES: Final = (
    *("ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify.mjs"),
    "ort-wasm-simd-threaded.asyncify.wasm",
    *("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"),
)
_NOTICES: Final = ("LICENSE", "ThirdPartyNotices.txt")  # of the same sources, in Python's package
_GRAPHS: Final = (ENCODER_FILE, GENERATOR_FILE, FACES_FILE, CONFIG_FILE)
_PAGE: Final = Path(__file__).with_name("page")
_OWN: Final = (
    *("index.html", "page.css", "icon.svg", "app.js", "worker.js"),
    *("camera.js", "codes.js", "pixels.js", "color.js", "mark.js", "photos.js", "offline.js"),
)
_THUMBNAIL: Final = 128  # px
_THUMBNAIL_PHOTO, _EXAMPLE_PHOTO = "chelsea", "astronaut"


class Paintable(Protocol):
    """A `StyleTransferPipeline`: its networks, its presets by name, what it calls itself, and a call."""

    generator: Any

    @property
    def mark(self) -> Mark: ...

    @property
    def presets(self) -> Mapping[str, StyleCode]: ...

    def __call__(self, *args: Any, **options: Any) -> Any: ...


def export_web(
    pipe: Paintable,
    folder: str | os.PathLike[str],
    *,
    library: str | os.PathLike[str] | None = None,
    graphs: str | os.PathLike[str] | None = None,
) -> list[Path]:
    """Write a folder of static files: a page that paints without a server, and works offline once it was used.

    Args:
        pipe: the model.
        folder: made if it is not there; files of the same names in it are replaced.
        library: onnxruntime-web: its archive (`npm pack onnxruntime-web@1.30.0`) or a folder that npm installed it into;
            None fetches it with npm.
        graphs: what `export_onnx` has written of the same model; None writes them, which takes a minute.

    Returns:
        The files written.

    Raises:
        ModuleNotFoundError: packages of hfstyle[web] are not installed.
        FileNotFoundError: no npm, or a file is missing.
        ValueError: another version of the library, a damaged archive, or graphs of another model.
        OSError: npm fails, or the folder cannot be written.
    """
    target = Path(folder)
    photo = example_photo(_THUMBNAIL_PHOTO)  # what may be missing, before what takes long
    target.mkdir(parents=True, exist_ok=True)
    _write_library(target / "ort", None if library is None else Path(library))
    _write_graphs(pipe, target / "graphs", None if graphs is None else Path(graphs))
    _write_styles(pipe, target, photo)
    example = target / "photo.jpg"
    example_photo(_EXAMPLE_PHOTO).save(example, quality=92)
    for name in _OWN:
        shutil.copyfile(_PAGE / name, target / name)
    (target / "LICENSE").write_text(_own_licence(), encoding="utf-8")
    card = (_PAGE / "SPACE.md").read_text("utf-8").replace("{version}", LIBRARY_VERSION)
    (target / "README.md").write_text(card, encoding="utf-8")
    files = sorted(path for path in target.rglob("*") if path.is_file())
    _write_offline(target, files)
    return files


def _write_library(target: Path, source: Path | None) -> None:
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        source = _fetched(place) if source is None else source
        if source.is_file():
            package = _unpacked(source, place)
        else:
            inner = source / "node_modules" / LIBRARY
            package = inner if inner.is_dir() else source
        _check_version(package)
        for name in _LIBRARY_FILES:
            shutil.copyfile(package / "dist" / name, target / name)
    files = {file.name: file for file in distribution("onnxruntime").files or []}
    for name in _NOTICES:
        shutil.copyfile(str(files[name].locate()), target / name)


def _fetched(place: Path) -> Path:
    """The archive of the library, by npm, which keeps a copy: a second time needs no network."""
    name = f"{LIBRARY}@{LIBRARY_VERSION}"
    remedy = f"where there is a network, run `npm pack {name}`, and give the file: --library FILE"
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError(f"the page needs {name}, and there is no npm to fetch it; {remedy}")
    command = [npm, "pack", name, "--prefer-offline", "--silent", "--pack-destination", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = sorted(place.glob("*.tgz"))
    if done.returncode != 0 or not found:
        told = " ".join((done.stderr or done.stdout).split())[-300:]
        raise OSError(f"npm did not fetch {name} ({told or 'no reason given'}); {remedy}")
    return found[0]


def _unpacked(archive: Path, place: Path) -> Path:
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != _INTEGRITY:
        raise ValueError(
            f"{archive} is not the archive of {LIBRARY} {LIBRARY_VERSION}, or is damaged; "
            f"`npm pack {LIBRARY}@{LIBRARY_VERSION}` fetches that"
        )
    with tarfile.open(archive) as tar:
        names = [f"package/dist/{name}" for name in _LIBRARY_FILES]
        for name in ("package/package.json", *names):
            target = place / name
            target.parent.mkdir(parents=True, exist_ok=True)
            # Not `extract`, whose `filter` is newer than Python 3.11.0; the archive is known by its digest.
            with cast(IO[bytes], tar.extractfile(name)) as packed, target.open("wb") as file:
                shutil.copyfileobj(packed, file)
    return place / "package"


def _check_version(package: Path) -> None:
    try:
        facts = json.loads((package / "package.json").read_text("utf-8"))
    except OSError as error:
        raise FileNotFoundError(
            f"{package} holds no {LIBRARY}; give the folder that npm installed it into, or its archive"
        ) from error
    if (facts.get("name"), facts.get("version")) != (LIBRARY, LIBRARY_VERSION):
        raise ValueError(
            f"{package} holds {facts.get('name')} {facts.get('version')}; give {LIBRARY} {LIBRARY_VERSION}"
        )


def _write_graphs(pipe: Paintable, target: Path, source: Path | None) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        if source is None:
            source = Path(temporary)
            export_onnx(pipe, source)
        if not (source / CONFIG_FILE).is_file():
            raise FileNotFoundError(
                f"{source} holds no {CONFIG_FILE}; `hfstyle export-onnx -o {source}` writes it"
            )
        facts = json.loads((source / CONFIG_FILE).read_text("utf-8"))
        if facts.get("encoder") != pipe.generator.encoder_fingerprint():
            raise ValueError(f"{source} holds the graphs of another model; export them again")
        target.mkdir(exist_ok=True)
        for name in _GRAPHS:
            shutil.copyfile(source / name, target / name)


def _write_styles(pipe: Paintable, target: Path, photo: Image.Image) -> None:
    styles = target / "styles"
    shutil.rmtree(styles, ignore_errors=True)
    styles.mkdir()
    square = ImageOps.fit(photo, (_THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS)
    listed = []
    for name, code in pipe.presets.items():
        code.save(styles / f"{name}.safetensors")
        painted = pipe(square, code, faces=0.0).images[0]
        painted.save(styles / f"{name}.jpg", quality=82)
        listed.append(
            {
                "name": name,
                "title": code.metadata.get("title") or name.replace("_", " ").capitalize(),
                "artist": code.metadata.get("artist", ""),
                "thumbnail": f"styles/{name}.jpg",
            }
        )
    xmp = packet(pipe.mark).decode("utf-8")
    facts = {"style_size": DEFAULT_STYLE_SIZE, "xmp": xmp, "styles": listed}
    write_json(target / "styles.json", facts)


def _write_offline(target: Path, files: list[Path]) -> None:
    """What the service worker keeps at once: all but the library and the graphs, of which a browser uses a part."""
    names = [path.relative_to(target).as_posix() for path in files]
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    at_once = [name for name in names if not name.startswith(("ort/", "graphs/"))]
    offline = target / "offline.js"
    text = offline.read_text("utf-8").replace("VERSION", digest.hexdigest()[:12])
    text = text.replace("FILES;", f"{json.dumps(['./', *at_once])};")
    offline.write_text(text, encoding="utf-8")


def _own_licence() -> str:
    """The text of hfstyle's licence: of the installed package, or of the clone that an editable installation points at."""
    installed = distribution("hfstyle")
    for name in ("licenses/LICENSE", "LICENSE"):  # by the version of setuptools
        if text := installed.read_text(name):
            return text
    clone = Path(__file__).resolve().parents[2] / "LICENSE"
    return clone.read_text(encoding="utf-8") if clone.exists() else "Apache-2.0\n"
