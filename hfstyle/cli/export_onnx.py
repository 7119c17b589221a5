"""`hfstyle export-onnx`: the graphs of a model."""

from __future__ import annotations

import argparse

from hfstyle.cli.options import Commands, Parser, add_command, add_model
from hfstyle.messages import UsageError

__all__ = ["add_export_onnx", "export_onnx"]


def export_onnx(args: argparse.Namespace) -> int:
    """Write the graphs of a model."""
    from hfstyle.cli.model import load_pipeline
    from hfstyle.cli.targets import check_output_folder
    from hfstyle.graphs.export import export_onnx as write
    from hfstyle.styles.presets import local_folder

    target = check_output_folder(args.output)
    folder = local_folder(args.model)
    if folder is not None and target.exists() and folder.samefile(target):
        raise UsageError(
            f"{args.output} is the folder of the model, whose files are never overwritten; give another -o"
        )
    files = write(load_pipeline(args), target)
    for file in [] if args.quiet else files:
        print(file)
    return 0


def add_export_onnx(commands: Commands[Parser]) -> Parser:
    parser = add_command(
        commands,
        "export-onnx",
        "write a model as ONNX graphs",
        "Write the style encoder and the generator as ONNX graphs of any height and width, with the\n"
        "model's styles, into a folder for `StyleTransferPipeline.from_onnx`.\n",
        "",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="folder to write into; made if needed"
    )
    add_model(parser, runs=False)
    parser.add_argument("-q", "--quiet", action="store_true", help="no list of files written")
    return parser
