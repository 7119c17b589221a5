"""`hfstyle export-web`: a model as a page that paints in the visitor's browser."""

from __future__ import annotations

import argparse

from hfstyle.cli.options import Commands, Parser, add_command, add_model
from hfstyle.messages import UsageError

__all__ = ["add_export_web", "export_web"]

_EPILOG = """\
examples:
  hfstyle export-web site/
  python -m http.server --directory site/ 8000             then open http://localhost:8000
  hf upload USER/SPACE site/ . --repo-type space           as a static Space
"""


def export_web(args: argparse.Namespace) -> int:
    """Write the page of a model."""
    from hfstyle.cli.model import load_pipeline
    from hfstyle.cli.targets import check_output_folder, same_place
    from hfstyle.graphs.export_web import export_web as write
    from hfstyle.styles.presets import local_folder

    target = check_output_folder(args.output, option="OUT")
    for each in (local_folder(args.model), args.graphs, args.library):
        if each is not None and same_place(str(each), args.output):
            raise UsageError(f"{args.output} is one of the inputs; give another folder")
    files = write(load_pipeline(args), target, library=args.library, graphs=args.graphs)
    if not args.quiet:
        megabytes = sum(path.stat().st_size for path in files) / 1e6
        print(f"{args.output}: {len(files)} files, {megabytes:.0f} MB")
    return 0


def add_export_web(commands: Commands[Parser]) -> Parser:
    parser = add_command(
        commands,
        "export-web",
        "write a model as a web page that paints in the browser",
        "Write a folder of static files: a page that paints photos in the visitor's browser (WebGPU or\n"
        "WebAssembly), with the model's graphs and styles. No server computes, and nothing is uploaded.\n"
        "The folder is also a static Space. npm fetches the library that runs the graphs.\n",
        _EPILOG,
    )
    parser.add_argument("output", metavar="OUT", help="folder to write into; made if needed")
    parser.add_argument(
        "--library",
        metavar="PATH",
        help="onnxruntime-web where there is no network: the archive of `npm pack`, or a folder that "
        "npm installed it into",
    )
    parser.add_argument(
        "--graphs",
        metavar="DIR",
        help="what `hfstyle export-onnx` has written of this model (default: written anew)",
    )
    add_model(parser, runs=False)
    parser.add_argument("-q", "--quiet", action="store_true", help="do not tell what was written")
    return parser
