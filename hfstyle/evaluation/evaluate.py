"""How good are stylised pictures? `hfstyle evaluate`: published measures of a folder of outputs, or of a model's.

All pictures are compared in 512 px of the content's short side and in its shape. Networks that judge are given by their
files; a measure whose network is not given is absent, and the report says what it would need.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image
from torch import Tensor

from hfstyle import __version__
from hfstyle._arguments import as_strengths, check_device
from hfstyle._judge import Judge, Sets, StyleViews
from hfstyle._network_files import Networks, load_networks
from hfstyle._report import METRICS, format_report, write_html
from hfstyle.images import list_images, to_pil
from hfstyle.pipeline import DEFAULT_STYLE_SIZE, StyleTransferPipeline

__all__ = [
    "Evaluation",
    "Networks",
    "evaluate",
    "format_report",
    "load_networks",
    "read_pairs",
    "write_html",
]

COMPARED_SIZE: Final = 512
"""Short side in pixels at which pictures are compared."""
_THUMBNAIL: Final = 256


@dataclass
class Evaluation:
    """What `evaluate` returns.

    report: JSON-able; "results" has, for each strength, the mean "metrics" by key and the "pairs" with theirs; "labels"
        says what the keys are, "networks" what judged, "absent" which measures are not there and why, "missing" which
        outputs were not found. A value that does not exist, as the PSNR of equal pictures, is null.
    thumbnails: JPEG files by ("content", name), ("style", name) and ("output", content, style, strength).
    """

    report: dict[str, Any]
    thumbnails: dict[tuple[Any, ...], bytes] = field(default_factory=dict)


def evaluate(
    contents: str | os.PathLike[str],
    styles: str | os.PathLike[str],
    outputs: str | os.PathLike[str] | None = None,
    *,
    pipeline: StyleTransferPipeline | None = None,
    pairs: Iterable[tuple[str, str]] | None = None,
    strengths: Sequence[float] = (1.0,),
    style_size: int = DEFAULT_STYLE_SIZE,
    networks: Networks | None = None,
    device: torch.device | str = "cpu",
    size: int = COMPARED_SIZE,
    thumbnails: int = 0,
    progress_callback: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Measure pictures that were painted, or paint and measure them.

    Args:
        contents: folder of photos; a picture is named by its file's name without suffix.
        styles: folder of style pictures.
        outputs: folder with pictures CONTENT__STYLE.png (or of another suffix), as `hfstyle stylize` names them.
        pipeline: paints the outputs instead, from contents of `size`. They are rounded to 8 bits, as in files.
        pairs: (content, style) names; None for all combinations.
        strengths: each in [0, 1], at which the pipeline paints; a result for each.
        style_size: of the pipeline.
        networks: see `load_networks`; without any, SSIM, PSNR and palette are measured.
        device: where the networks run. Moves `networks`.
        size: short side in pixels, from 64, at which pictures are compared; published numbers are of 512.
        thumbnails: how many outputs at most to keep small pictures of, for `write_html`.
        progress_callback: called as `progress_callback(done, total)` after each output.

    Raises:
        ImageError: a folder or picture that cannot be used.
        ValueError: neither or both of outputs and pipeline, names that are not there or not unique, no output at all.
    """
    if (outputs is None) == (pipeline is None):
        raise ValueError("give either a folder of outputs or a pipeline that paints them")
    if size < 64:
        raise ValueError(f"size is {size}; it must be at least 64 px")
    check_device(device, torch.float32)
    content_files, style_files = _by_name(contents), _by_name(styles)
    todo = _check_pairs(pairs, content_files, style_files)
    levels: list[float | None] = [None]
    if pipeline is not None:
        levels = [*dict.fromkeys(as_strengths(list(strengths), len(strengths)))]
        if not levels:
            raise ValueError("strengths is empty; give at least one number in [0, 1]")
    output_files = {} if outputs is None else _by_name(outputs)
    names = {pair: f"{pair[0]}__{pair[1]}" for pair in todo}
    missing = [] if pipeline is not None else [n for n in names.values() if n not in output_files]
    groups: dict[
        str, list[str]
    ] = {}  # a content's features are large, so its styles come one after another
    for content_name, style_name in todo:
        if pipeline is not None or names[content_name, style_name] in output_files:
            groups.setdefault(content_name, []).append(style_name)
    if not groups:
        raise ValueError(
            f"{outputs} has none of the {len(missing)} outputs, the first being {missing[0]}.png; "
            "outputs are named CONTENT__STYLE.png"
        )

    judge = Judge((networks or Networks()).to(device), device, size)
    style_views = StyleViews(judge, style_files)
    sets = {level: Sets() for level in levels}
    shots: dict[tuple[Any, ...], bytes] = {}
    rows: dict[float | None, list[dict[str, Any]]] = {level: [] for level in levels}
    count = sum(map(len, groups.values()))
    done, total = 0, count * len(levels)
    for content_name, style_names in groups.items():
        content = judge.view(judge.read(content_files[content_name]))
        for style_name in style_names:
            style = style_views[style_name]
            for level in levels:
                if pipeline is None:
                    file = output_files[names[content_name, style_name]]
                    image = judge.read(file, content.image)
                else:
                    code = pipeline.encode_style(style_files[style_name], style_size=style_size)
                    image = _paint(pipeline, content.image, code, level).to(device)
                output = judge.view(image)
                measured = judge.compare(content, style, output)
                rows[level].append({"content": content_name, "style": style_name, **measured})
                sets[level].add(output)
                if done < thumbnails:
                    shots["output", content_name, style_name, level] = _thumbnail(image)
                    shots.setdefault(("content", content_name), _thumbnail(content.image))
                    shots.setdefault(("style", style_name), _thumbnail(style.image))
                done += 1
                if progress_callback is not None:
                    progress_callback(done, total)
        for level in levels:
            sets[level].add_content(content)

    absent = judge.absent()
    results: list[dict[str, Any]] = []
    for level in levels:
        metrics = _means(rows[level])
        metrics |= judge.set_metrics(sets[level], style_views, metrics.get("lpips"), absent)
        results.append(
            {
                "strength": level,
                "metrics": {key: metrics[key] for key in METRICS if key in metrics},
                "pairs": [{k: _finite(v) for k, v in row.items()} for row in rows[level]],
            }
        )
    labels = {key: METRICS[key].label for key in METRICS if key in results[0]["metrics"]}
    vgg = judge.networks.vgg
    if vgg is not None:
        labels["content_distance"] += f" ({vgg.kind} {vgg.deepest})"
        if not vgg.original:  # similarities depend on the size of features
            labels["cfsd"] += f" ({vgg.kind})"
    report = {
        "hfstyle": __version__,
        "size": size,
        "pairs": count,
        "networks": judge.networks.describe(),
        "labels": labels,
        "results": results,
        "absent": absent,
        "missing": missing,
    }
    return Evaluation(report, shots)


def read_pairs(path: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """The (content, style) names of a JSON file: a list of pairs, or an object whose member "pairs" is one.

    Raises ValueError for another form, FileNotFoundError for no file.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    pairs = value.get("pairs") if isinstance(value, dict) else value
    good = isinstance(pairs, list) and all(
        isinstance(p, list) and len(p) == 2 and all(isinstance(n, str) for n in p) for p in pairs
    )
    if not good or not pairs:
        raise ValueError(f'{path} holds no pairs; give [["CONTENT", "STYLE"], ...]')
    return [(content, style) for content, style in pairs]


def _by_name(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """The pictures of a folder by their names without suffix."""
    files: dict[str, Path] = {}
    for file in list_images(folder):
        if file.stem in files:
            raise ValueError(
                f"{files[file.stem]} and {file} have the same name; pictures are told apart by names "
                "without suffix, so rename one"
            )
        files[file.stem] = file
    if not files:
        raise ValueError(f"{folder} holds no pictures")
    return files


def _check_pairs(
    pairs: Iterable[tuple[str, str]] | None, contents: dict[str, Path], styles: dict[str, Path]
) -> list[tuple[str, str]]:
    if pairs is None:
        return [(content, style) for content in contents for style in styles]
    chosen = list(dict.fromkeys((content, style) for content, style in pairs))
    if not chosen:
        raise ValueError("pairs is empty; give at least one (content, style)")
    for place, kind, known in ((0, "contents", contents), (1, "styles", styles)):
        unknown = sorted({pair[place] for pair in chosen} - known.keys())
        if unknown:
            raise ValueError(
                f"the pairs name {', '.join(unknown)}, which the folder of {kind} does not hold; "
                "names are those of files without suffix"
            )
    return chosen


def _paint(pipe: StyleTransferPipeline, content: Tensor, code: Any, strength: Any) -> Tensor:
    painted: Tensor = pipe(content[0].cpu(), code, strength, output_type="pt").images
    return (painted * 255).round() / 255  # (1, 3, H, W)


def _means(rows: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Of each measure, over the pairs where it exists. An infinite one has no mean."""
    means: dict[str, float | None] = {}
    for key in rows[0]:
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
