"""Internal to `hfstyle.batch`: the work of a batch, spread by Ray over the processes of a machine or of a cluster.

Ray hands out groups of pictures, starts a dead process anew and gives its group to another. What is painted stands in the
output, whole or not at all, under a name that depends on the picture alone: a group that is done twice is there once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from hfstyle.batch.results import Results
from hfstyle.images.sources import Source, open_source
from hfstyle.messages import reason
from hfstyle.styles.code import StyleCode

__all__ = ["Worker", "paint_with_ray"]

_FILES_AT_ONCE: Final = 8  # pictures of a group that become files; a Parquet file's are a group
_MOST_BLOCKS: Final = 10_000


class Worker:
    """Paints groups of pictures in a process of Ray's.

    Args:
        paint: called with source, index, style and results.
        styles: each picture gets one, by turns.
        opened: arguments of `open_source`.
        results: makes the place where painted pictures go.
    """

    def __init__(
        self,
        paint: Callable[[Source, int, StyleCode, Results], None],
        styles: Sequence[StyleCode],
        opened: dict[str, Any],
        results: Callable[[Source], Results],
    ) -> None:
        self.paint, self.styles = paint, styles
        self.source = open_source(**opened)
        self.results = results(self.source)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """{"group": one row of indices} -> {"index", "name", "error"} of each picture; error "" if it is painted."""
        indices = [int(index) for group in batch["group"] for index in group]
        errors = [self.one(index) for index in indices]
        self.results.close()
        names = [self.source.name(index) for index in indices]
        return {"index": np.array(indices), "name": np.array(names), "error": np.array(errors)}

    def one(self, index: int) -> str:
        file = self.results.file(index)
        if file is not None and file.exists():  # by a process that died before it said so
            return ""
        try:
            self.paint(self.source, index, self.styles[index % len(self.styles)], self.results)
        except Exception as error:  # one bad picture stops none of the others
            return reason(error, self.source.name(index))
        return ""


def paint_with_ray(
    worker: type[Worker],
    arguments: tuple[Any, ...],
    todo: Sequence[int],
    *,
    workers: int | None,
    on_gpu: bool,
    rows_per_file: int | None,
) -> Iterator[list[dict[str, Any]]]:
    """Paint pictures; yields {"index", "name", "error"} of those that are done, group by group.

    Args:
        worker, arguments: what each process makes of what.
        todo: indices of the pictures.
        workers: number of processes; None is one for each processor core of the cluster, or each GPU.
        on_gpu: each process gets a GPU.
        rows_per_file: of Parquet files; None for files.

    Raises:
        ModuleNotFoundError: Ray is not installed.
    """
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "--engine ray needs the package ray: pip install 'hfstyle[ray]'"
        ) from error
    if not todo:
        return
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")  # there is one already
    began = not ray.is_initialized()
    if began:  # a cluster that RAY_ADDRESS names, or this machine
        ray.init(logging_level="error", include_dashboard=False)
    try:
        size = rows_per_file or _FILES_AT_ONCE
        groups = [
            {"group": list(todo[first : first + size])} for first in range(0, len(todo), size)
        ]
        there = ray.cluster_resources().get("GPU" if on_gpu else "CPU", 1)
        count = min(workers or max(1, int(there)), len(groups))
        rows = ray.data.from_items(groups, override_num_blocks=min(len(groups), _MOST_BLOCKS))
        painted = rows.map_batches(
            worker,
            fn_constructor_args=arguments,
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=count),
            num_cpus=None if on_gpu else 1,
            num_gpus=1 if on_gpu else None,
        )
        for part in painted.iter_batches(batch_size=None):
            yield [
                {"index": int(index), "name": str(name), "error": str(error)}
                for index, name, error in zip(
                    part["index"], part["name"], part["error"], strict=True
                )
            ]
    finally:
        if began:
            ray.shutdown()
