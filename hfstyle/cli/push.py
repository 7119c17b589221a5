"""`hfstyle push`: a model on the Hub."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hfstyle.cli.options import Commands, Parser, add_command
from hfstyle.messages import UsageError

if TYPE_CHECKING:
    from hfstyle.upload import Upload

__all__ = ["add_destination", "add_push", "confirm_and_send", "push"]


def push(args: argparse.Namespace) -> int:
    """Show what would be uploaded, ask, and upload a model's folder."""
    from hfstyle.upload import model_upload

    folder = Path(args.model)
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; give that of a model")
    measures = None if args.evaluation is None else Path(args.evaluation)
    return confirm_and_send(
        model_upload(
            folder, args.repo_id, licence=args.licence, datasets=args.dataset, measures=measures
        ),
        args,
    )


def confirm_and_send(upload: Upload, args: argparse.Namespace) -> int:
    print(upload.told)
    if args.dry_run:
        return 0
    if not args.yes:
        if not sys.stdin.isatty():
            raise UsageError(
                "nobody is there to confirm it; give --yes, or --dry-run to see it only"
            )
        kind = "private" if args.private else "public"
        answer = input(f"Upload this to {upload.repo_id} ({kind} if it is new)? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            print("nothing was uploaded")
            return 1
    print(upload.send(private=args.private))
    return 0


def add_destination(parser: Parser) -> None:
    """What both commands take."""
    add = parser.add_argument
    add("--repo-id", required=True, metavar="USER/NAME", help="repository on the Hub")
    add("--private", action="store_true", help="make it private, if it is new")
    add("--licence", help="as the Hub names it, such as cc-by-4.0 (default: what the files say)")
    add("--yes", action="store_true", help="upload without asking")
    add("--dry-run", action="store_true", help="show what would be uploaded, and end")


def add_push(commands: Commands[Parser]) -> Parser:
    parser = add_command(
        commands,
        "push",
        "upload a model to the Hub",
        "Upload a model's folder to the Hugging Face Hub: generator, discriminator, styles, style space\n"
        "and card. What would be uploaded is shown first. Log in before with `hf auth login`.\n",
        "examples:\n"
        "  hfstyle push my-art --repo-id user/my-art --licence cc-by-4.0\n"
        "  hfstyle push my-art --repo-id user/my-art --evaluation measures.json --private --yes\n",
    )
    parser.add_argument("model", metavar="FOLDER", help="folder of a model")
    parser.add_argument(
        "--dataset", action="append", default=[], metavar="ID", help="Hub id of a data set it was trained on, for the card; may be repeated"
    )  # fmt: skip
    parser.add_argument(
        "--evaluation", metavar="FILE", help="what `hfstyle evaluate --json` wrote, for the card"
    )
    add_destination(parser)
    return parser
