"""`hfstyle push-style`: style codes on the Hub."""

from __future__ import annotations

import argparse
from pathlib import Path

from hfstyle.cli.options import Commands, Parser, add_command
from hfstyle.cli.push import add_destination, confirm_and_send

__all__ = ["add_push_style", "push_style"]


def push_style(args: argparse.Namespace) -> int:
    """Show what would be uploaded, ask, and upload style codes."""
    from hfstyle.upload import style_upload

    files = [Path(name) for name in args.styles]
    return confirm_and_send(style_upload(files, args.repo_id, args.licence), args)


def add_push_style(commands: Commands[Parser]) -> Parser:
    parser = add_command(
        commands,
        "push-style",
        "upload style codes to the Hub",
        "Upload style codes to a repository of the Hugging Face Hub, beside those that are there.\n"
        "Their title, artist and licence are those of `hfstyle learn` and `hfstyle encode`.\n",
        "examples:\n"
        "  hfstyle push-style mine.style.safetensors --repo-id user/my-styles\n"
        "  hfstyle styles --repo user/my-styles\n",
    )
    parser.add_argument("styles", nargs="+", metavar="FILE", help="style codes, *.safetensors")
    add_destination(parser)
    return parser
