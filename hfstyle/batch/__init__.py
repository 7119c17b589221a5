"""Whole data sets, painted by one process or many: `stylize_dataset`, `Stylizer` for engines, and `python -m hfstyle.batch`."""

from typing import Any

from hfstyle.batch.dataset import BatchReport, stylize_dataset
from hfstyle.batch.stylizer import Stylizer

__all__ = ["BatchReport", "Stylizer", "stylize_dataset"]


def __getattr__(name: str) -> Any:
    if name != "main":
        raise AttributeError(f"module 'hfstyle.batch' has no attribute {name!r}")
    from hfstyle.batch.__main__ import main  # not before `python -m` runs it

    return main
