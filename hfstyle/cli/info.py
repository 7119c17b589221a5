"""`hfstyle info`: versions, model and devices, or what a style code holds."""

from __future__ import annotations

import argparse
import platform
from pathlib import Path
from typing import Any

from hfstyle import __version__
from hfstyle.cli.options import Commands, Parser, add_command, add_model
from hfstyle.cli.terminal import print_facts, print_json

__all__ = ["add_info", "info"]


def info(args: argparse.Namespace) -> int:
    """Facts about the installation and a model, or about a style code."""
    import torch

    from hfstyle.benchmark.machine import machine

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
        print_json(facts)
    else:
        print_facts(facts)
    if error is not None:
        raise error
    return 0


def _model_facts(args: argparse.Namespace) -> dict[str, Any]:
    from huggingface_hub import try_to_load_from_cache

    from hfstyle.cli.model import load_pipeline
    from hfstyle.styles.presets import local_folder

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
    from hfstyle.cli.model import load_pipeline
    from hfstyle.styles.code import StyleCode

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
        print_json(facts)
    else:
        print_facts(facts)
    return 0


def add_info(commands: Commands[Parser]) -> Parser:
    parser = add_command(
        commands,
        "info",
        "versions, model and devices; or what a style code holds",
        "Without FILE: versions of hfstyle, Python and torch, devices, threads, and the model's\n"
        "size, files and encoder fingerprint. With FILE: what that style code holds, and whether\n"
        "it belongs to the model.\n",
        "",
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="a style code, *.safetensors")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_model(parser, runs=False)
    return parser
