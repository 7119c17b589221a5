"""Internal to `hfstyle.cli`: the commands about models: facts, speed, quality, graphs. Each returns its exit code."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import Any, Final

import torch
from huggingface_hub import try_to_load_from_cache

from hfstyle import __version__
from hfstyle._arguments import dtype_of
from hfstyle._presets import local_folder
from hfstyle._terminal import Progress, UsageError
from hfstyle.benchmark import format_results, machine, run_benchmark, run_large_benchmark
from hfstyle.evaluate import evaluate as run_evaluation
from hfstyle.evaluate import format_report, load_networks, read_pairs, write_html
from hfstyle.pipeline import StyleTransferPipeline
from hfstyle.style import StyleCode

__all__ = ["benchmark", "evaluate", "export_onnx", "info", "load_pipeline"]

_PICTURES_IN_HTML: Final = 400
_NAMES_IN_A_MESSAGE: Final = 10


def info(args: argparse.Namespace) -> int:
    """Facts about the installation and a model, or about a style code."""
    if args.file is not None:
        return _info_of_code(args)
    facts: dict[str, Any] = {"hfstyle": __version__, "python": platform.python_version()}
    facts |= machine()
    del facts["gpu"]  # told with the devices
    facts["devices"] = ["cpu"] + [
        f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())
    ]
    error = None
    try:
        facts["model"] = _model_facts(args)
    except Exception as caught:  # the rest is most wanted when something is broken
        error = caught
    if args.json:
        _print_json(facts)
    else:
        _print_facts(facts)
    if error is not None:
        raise error
    return 0


def benchmark(args: argparse.Namespace) -> int:
    """Measure, print a table, and write the numbers as JSON."""
    device = device_of(args.device)
    runs = [len(args.dtype) if backend == "torch" else 1 for backend in args.backend]
    count = len(args.threads) * sum(len(args.sizes) * types + 1 for types in runs)
    if args.large is not None:
        args.large = args.large or [1, 4, 16, 64]
        count = len(args.threads) * len(args.dtype) * len(args.large)
    progress = Progress(count, args.quiet)

    def show(doing: str) -> None:
        progress.show(doing)
        progress.step()

    common: dict[str, Any] = {"threads": args.threads, "dtypes": args.dtype, "device": device}
    common |= {"model": args.model, "revision": args.revision, "progress_callback": show}
    if args.large is not None:
        report = run_large_benchmark(
            megapixels=args.large, tile_size=args.tile_size, repeats=args.repeats or 1, **common
        )
    else:
        report = run_benchmark(
            sizes=args.sizes,
            backends=args.backend,
            repeats=args.repeats or 5,
            profiled=args.profile,
            **common,
        )
    progress.clear()
    if args.json == "-":
        _print_json(report)
    else:
        print(format_results(report))
    if args.json not in (None, "-"):
        Path(args.json).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    failed = [result["error"] for result in report["results"] if "error" in result]
    for message in failed:
        print(f"hfstyle: error: {message}", file=sys.stderr)
    return 1 if failed else 0


def evaluate(args: argparse.Namespace) -> int:
    """Measure, print a table, and write the numbers as JSON and the pictures as a page."""
    if args.outputs is not None and (args.model is not None or args.strength is not None):
        raise UsageError("--outputs are painted already; leave out --model and --strength")
    for file in (args.json, args.html):
        if file not in (None, "-") and not Path(file).resolve().parent.is_dir():
            raise UsageError(f"{file}: there is no folder {Path(file).parent}; create it")
    pairs = None if args.pairs is None else read_pairs(args.pairs)
    networks = load_networks(args.networks)
    progress: Progress | None = None

    def show(done: int, total: int) -> None:
        nonlocal progress
        progress = progress or Progress(total, args.quiet)
        progress.step()
        progress.show()

    try:
        evaluation = run_evaluation(
            args.contents,
            args.styles,
            args.outputs,
            pipeline=load_pipeline(args) if args.outputs is None else None,
            pairs=pairs,
            strengths=args.strength or (1.0,),
            style_size=args.style_size,
            networks=networks,
            device=device_of(args.device),
            thumbnails=0 if args.html is None else _PICTURES_IN_HTML,
            progress_callback=show,
        )
    finally:
        if progress is not None:
            progress.clear()
    report = evaluation.report
    if args.json == "-":
        _print_json(report)
    else:
        print(format_report(report))
    if args.json not in (None, "-"):
        text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
        Path(args.json).write_text(text + "\n", encoding="utf-8")
    if args.html is not None:
        Path(args.html).write_text(write_html(evaluation), encoding="utf-8")
    for name in networks.unknown:
        print(f"hfstyle: warning: {name} is no known feature network", file=sys.stderr)
    missing = report["missing"]
    if missing:
        more = len(missing) - _NAMES_IN_A_MESSAGE
        names = ", ".join(missing[:_NAMES_IN_A_MESSAGE]) + (f" and {more} more" if more > 0 else "")
        print(
            f"hfstyle: error: {args.outputs}: no output for {names}; --pairs says which are meant",
            file=sys.stderr,
        )
    return 1 if missing else 0


def export_onnx(args: argparse.Namespace) -> int:
    """Write the graphs of a model."""
    from hfstyle.onnx_export import export_onnx as write

    files = write(load_pipeline(args), args.output)
    for file in [] if args.quiet else files:
        print(file)
    return 0


def load_pipeline(args: argparse.Namespace) -> StyleTransferPipeline:
    try:
        return StyleTransferPipeline.from_pretrained(
            args.model,
            revision=args.revision,
            dtype=dtype_of(getattr(args, "dtype", "float32")),
            device=device_of(getattr(args, "device", "cpu")),
        )
    except OSError as error:
        if args.model is None or Path(args.model).name in str(error):
            raise
        raise OSError(f"model {args.model}: {error}") from error  # the Hub's do not always name it


def device_of(name: str) -> str:
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def _model_facts(args: argparse.Namespace) -> dict[str, Any]:
    pipe = load_pipeline(args)
    folder = local_folder(args.model)
    if folder is None:
        cached = try_to_load_from_cache(args.model, "config.json", revision=args.revision)
        folder = Path(cached).parent if isinstance(cached, str) else None
    files = [] if folder is None else sorted(p for p in folder.iterdir() if p.is_file())
    return {
        "name": args.model or "bundled",
        "folder": None if folder is None else str(folder),
        "files": {file.name: file.stat().st_size for file in files},
        "parameters": sum(p.numel() for p in pipe.generator.parameters()),
        "encoder_parameters": sum(p.numel() for p in pipe.generator.encoder.parameters()),
        "encoder": pipe.generator.encoder_fingerprint(),
        "styles": len(pipe.presets),
    }


def _info_of_code(args: argparse.Namespace) -> int:
    code = StyleCode.load(args.file)
    facts: dict[str, Any] = {
        "file": args.file,
        "bytes": Path(args.file).stat().st_size,
        "name": code.name,
        "vector": list(code.vector.shape),
        "tokens": list(code.tokens.shape),
        "encoder": code.encoder,
        "metadata": dict(code.metadata),
    }
    try:
        facts["fits_model"] = code.encoder == load_pipeline(args).generator.encoder_fingerprint()
    except (OSError, ValueError):
        if args.model is not None:
            raise
        facts["fits_model"] = None  # no bundled weights to compare with
    if args.json:
        _print_json(facts)
    else:
        _print_facts(facts)
    return 0


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _print_facts(facts: dict[str, Any], prefix: str = "") -> None:
    """Nested facts as lines "name: value"; sizes of files in readable units."""
    for key, value in facts.items():
        name = f"{prefix}{key.replace('_', ' ')}"
        if isinstance(value, dict):
            if key == "files":
                value = {file: f"{size / 1e6:.2f} MB" for file, size in value.items()}
                print(f"{name}: {', '.join(f'{k} {v}' for k, v in value.items())}")
            else:
                _print_facts(value, f"{prefix}{key} " if key == "model" else prefix)
        elif isinstance(value, bool):
            print(f"{name}: {'yes' if value else 'no'}")
        elif isinstance(value, int):
            print(f"{name}: {value:,}")
        elif isinstance(value, list):
            print(f"{name}: {', '.join(map(str, value))}")
        elif value is not None:
            print(f"{name}: {value}")
