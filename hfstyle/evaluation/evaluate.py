"""How good are stylised pictures? `hfstyle evaluate`: published measures of a model's outputs and of folders of outputs.

All pictures are compared in 512 px of the content's short side and in its shape. Networks that judge are given by their
files; a measure whose network is not given is absent, and the report says what it would need.
"""

from __future__ import annotations

import io
import math
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hfstyle import __version__
from hfstyle.evaluation import formulas
from hfstyle.evaluation.judge import Judge, Sets, StyleViews
from hfstyle.evaluation.measures import METRICS
from hfstyle.evaluation.methods import (
    MOVE,
    FinishedPictures,
    Method,
    Model,
    Photo,
    moved,
    prepare,
)
from hfstyle.evaluation.network_files import Networks, load_networks
from hfstyle.evaluation.pairs import by_name, check_pairs, read_pairs
from hfstyle.evaluation.report import format_report, write_html
from hfstyle.images.save import to_pil
from hfstyle.limits import DEFAULT_STYLE_SIZE, as_strengths, check_callback
from hfstyle.models.devices import check_device, own_precision
from hfstyle.pipeline import StyleTransferPipeline

__all__ = [
    "ALSO",
    "Evaluation",
    "Networks",
    "evaluate",
    "format_report",
    "load_networks",
    "read_pairs",
    "write_html",
    "write_photos",
]

COMPARED_SIZE: Final = 512
"""Short side in pixels at which pictures are compared."""
ALSO: Final = ("identity", "stability")
"""Measures that need more pictures than a pair's output."""
_THUMBNAIL: Final = 256


@dataclass
class Evaluation:
    """What `evaluate` returns.

    report: JSON-able; "results" has, for each method, the mean "metrics" by key and the "pairs" with theirs; "labels"
        says what the keys are, "networks" what judged, "absent" which measures are not there and why, "missing" which
        outputs were not found. A value that does not exist, as the PSNR of equal pictures, is null.
    thumbnails: JPEG files by ("content", name), ("style", name) and ("output", content, style, method).
    """

    report: dict[str, Any]
    thumbnails: dict[tuple[Any, ...], bytes] = field(default_factory=dict)


@own_precision()
def evaluate(
    contents: str | os.PathLike[str],
    styles: str | os.PathLike[str],
    outputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    *,
    pipeline: StyleTransferPipeline | None = None,
    pairs: Iterable[tuple[str, str]] | None = None,
    strengths: Sequence[float] = (1.0,),
    style_size: int = DEFAULT_STYLE_SIZE,
    also: Collection[str] = (),
    networks: Networks | None = None,
    device: torch.device | str = "cpu",
    size: int = COMPARED_SIZE,
    thumbnails: int = 0,
    progress_callback: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Measure pictures that were painted, or paint and measure them; several methods are compared side by side.

    Args:
        contents: folder of photos; a picture is named by its file's name without suffix, or with it where several have
            one stem.
        styles: folder of style pictures, named by their files' names without suffix.
        outputs: folder with pictures CONTENT__STYLE.png (or of another suffix), as `hfstyle stylize` names them; or one
            such folder for each method.
        pipeline: paints outputs, from contents of `size`. They are rounded to 8 bits, as in files.
        pairs: (content, style) names; None for all combinations.
        strengths: each in [0, 1], at which the pipeline paints; a result for each.
        style_size: of the pipeline.
        also: any of `ALSO`: "identity", which paints each content in its own style (CONTENT__CONTENT.png in a folder), and
            "stability", which paints each pair twice more (CONTENT.still__STYLE.png and CONTENT.moved__STYLE.png, of the
            photos that `prepare` writes).
        networks: see `load_networks`; without any, SSIM, PSNR and palette are measured.
        device: where the networks run. Moves `networks`.
        size: short side in pixels, from 64, at which pictures are compared; published numbers are of 512.
        thumbnails: how many outputs at most to keep small pictures of, for `write_html`.
        progress_callback: called as `progress_callback(done, total)` after each output.

    Raises:
        ImageError: a folder or picture that cannot be used.
        ValueError: neither outputs nor pipeline, names that are not there or not unique, no output at all.
    """
    check_callback(progress_callback)
    folders = [outputs] if isinstance(outputs, str | os.PathLike) else list(outputs)
    if not folders and pipeline is None:
        raise ValueError("give a folder of outputs, or a pipeline that paints them")
    if size < 64:
        raise ValueError(f"size is {size}; it must be at least 64 px")
    if unknown := set(also) - set(ALSO):
        raise ValueError(f"also is {', '.join(sorted(unknown))}; it may hold {' and '.join(ALSO)}")
    check_device(device, torch.float32)
    content_files, style_files = by_name(contents, several=True), by_name(styles)
    todo = check_pairs(pairs, content_files, style_files)
    judge = Judge((networks or Networks()).to(device), device, size)
    finished = [FinishedPictures(folder, judge.read) for folder in folders]
    models: list[Model] = []
    if pipeline is not None:
        levels = [*dict.fromkeys(as_strengths(list(strengths), len(strengths)))]
        if not levels:
            raise ValueError("strengths is empty; give at least one number in [0, 1]")
        models = [Model(pipeline, level, style_size) for level in levels]
    _name_apart(finished)
    methods: list[Method] = [*models, *finished]
    missing = [
        f"{folder.name + '/' if len(methods) > 1 else ''}{content}__{style}"
        for folder in finished
        for content, style in todo
        if folder.file_of(content, content_files[content], style) is None
    ]
    if not models and len(missing) == len(todo) * len(finished):
        raise ValueError(
            f"{folders[0]} has none of the {len(todo)} outputs, the first being {'__'.join(todo[0])}.png; "
            "outputs are named CONTENT__STYLE.png"
        )

    style_views = StyleViews(judge, style_files)
    found = [_Found(judge.new_sets()) for _ in methods]
    shots: dict[tuple[Any, ...], bytes] = {}
    total = len(todo) * len(methods) - len(missing)
    done = 0
    # A content's features are large, so its styles come one after another.
    for content_name, style_names in _grouped(todo).items():
        file = content_files[content_name]
        content = judge.view(judge.read(file))
        photo = Photo(content_name, file, content.image)
        for style_name in style_names:
            style, style_file = style_views[style_name], style_files[style_name]
            for method, of_method in zip(methods, found, strict=True):
                image = method.paint(photo, style_name, style_file)
                if image is None:
                    continue
                output = judge.view(image)
                row = {"content": content_name, "style": style_name}
                of_method.rows.append(row | judge.compare(content, style, output))
                of_method.sets.add(output)
                if "stability" in also:
                    pictures = [method.paint(p, style_name, style_file) for p in moved(photo)]
                    if pictures[0] is not None and pictures[1] is not None:
                        of_method.changes.append(formulas.change(pictures[0], pictures[1], MOVE))
                if done < thumbnails:
                    shots["output", content_name, style_name, method.name] = _thumbnail(image)
                    shots.setdefault(("content", content_name), _thumbnail(content.image))
                    shots.setdefault(("style", style_name), _thumbnail(style.image))
                done += 1
                if progress_callback is not None:
                    progress_callback(done, total)
        for method, of_method in zip(methods, found, strict=True):
            of_method.sets.add_content(content)
            if "identity" in also:
                image = method.paint(photo, content_name, file)
                if image is not None:
                    of_method.own.append(formulas.ssim(content.image, image))

    absent = judge.absent()
    results: list[dict[str, Any]] = []
    for method, of_method in zip(methods, found, strict=True):
        metrics = _means(of_method.rows)
        metrics |= judge.set_metrics(of_method.sets, style_views, metrics.get("lpips"), absent)
        metrics |= of_method.also(method.name, also, absent)
        results.append(
            {
                "method": method.name,
                "strength": method.strength,
                "metrics": {key: metrics[key] for key in METRICS if key in metrics},
                "pairs": [{k: _finite(v) for k, v in row.items()} for row in of_method.rows],
            }
        )
    _compare_at_equal_content(results)
    given = {key for result in results for key in result["metrics"]}
    labels = {key: METRICS[key].label for key in METRICS if key in given}
    vgg = judge.networks.vgg
    if vgg is not None:
        labels["content_distance"] += f" ({vgg.kind} {vgg.deepest})"
        if not vgg.original:  # similarities depend on the size of features
            labels["cfsd"] += f" ({vgg.kind})"
    report = {
        "hfstyle": __version__,
        "size": size,
        "pairs": max(len(of_method.rows) for of_method in found),
        "networks": judge.networks.describe(),
        "labels": labels,
        "results": results,
        "absent": absent,
        "missing": missing,
    }
    return Evaluation(report, shots)


def write_photos(
    contents: str | os.PathLike[str], folder: str | os.PathLike[str], size: int = COMPARED_SIZE
) -> list[Path]:
    """Write the photos that another program paints for `evaluate`, as `prepare` does, from the folder `contents`.

    size: as of `evaluate`. Returns the files. Raises ImageError and ValueError as `evaluate` and `prepare` do.
    """
    if size < 64:
        raise ValueError(f"size is {size}; it must be at least 64 px")
    judge = Judge(Networks(), "cpu", size)
    return [
        written
        for name, file in by_name(contents, several=True).items()
        for written in prepare(Photo(name, file, judge.read(file)), folder)
    ]


@dataclass
class _Found:
    """What one method's outputs gave.

    rows: a pair's names and its measures; changes: of stability, one for each pair; own: of identity, for each content.
    """

    sets: Sets
    rows: list[dict[str, Any]] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)

    def also(
        self, method: str, asked: Collection[str], absent: dict[str, str]
    ) -> dict[str, float | None]:
        """Means of what was asked for besides; adds to `absent` what the method has no pictures of."""
        of = {"identity": (self.own, 1.0), "stability": (self.changes, 1000.0)}
        files = {"identity": "CONTENT__CONTENT.png", "stability": "CONTENT.moved__STYLE.png"}
        means: dict[str, float | None] = {}
        for key in asked:
            values, scale = of[key]
            if values:
                means[key] = scale * sum(values) / len(values)
            else:
                absent[key] = f"{method} has no {files[key]}; see --prepare"
        return means


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The styles of each content."""
    groups: dict[str, list[str]] = {}
    for content, style in pairs:
        groups.setdefault(content, []).append(style)
    return groups


def _name_apart(finished: Sequence[FinishedPictures]) -> None:
    """Folders of one name are numbered."""
    counts = Counter(folder.name for folder in finished)
    for name in [name for name, count in counts.items() if count > 1]:
        for number, folder in enumerate([f for f in finished if f.name == name], 1):
            folder.name = f"{name} ({number})"


def _compare_at_equal_content(results: Sequence[dict[str, Any]]) -> None:
    """Adds `style_ratio` to the methods that are compared with a model: linear between its strengths, level beyond."""
    curve = sorted(
        (r["metrics"]["lpips"], r["metrics"]["style_distance"])
        for r in results
        if r["strength"] is not None and {"lpips", "style_distance"} <= r["metrics"].keys()
    )
    for result in results if curve else ():
        metrics = result["metrics"]
        if result["strength"] is None and metrics.get("style_distance"):
            content, style = zip(*curve, strict=True)
            at_equal_content = float(np.interp(metrics["lpips"], content, style))
            metrics["style_ratio"] = at_equal_content / metrics["style_distance"]


def _means(rows: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Of each measure, over the pairs where it exists. An infinite one has no mean."""
    means: dict[str, float | None] = {}
    for key in rows[0] if rows else ():
        if key not in ("content", "style"):
            values = [row[key] for row in rows if row[key] is not None]
            means[key] = _finite(sum(values) / len(values)) if values else None
    return means


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _thumbnail(image: Tensor) -> bytes:
    picture = to_pil(image[0])
    picture.thumbnail((_THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=80)
    return stream.getvalue()
