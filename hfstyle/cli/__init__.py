"""The command `hfstyle`: one file for each of its commands, with its options and what it does."""

from hfstyle.cli.program import main

__all__ = ["main"]
