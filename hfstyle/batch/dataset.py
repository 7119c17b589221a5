"""Paint a whole data set, split over processes, so that it can be stopped at any time and go on.

    accelerate launch -m hfstyle.batch --dataset photos/ --style painting.jpg --output painted/

What is done is what stands in the output, written whole or not at all. A run that was killed goes on with the same
command, with any number of processes; what could not be painted is tried again and listed in report.json.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, Unpack

from hfstyle.batch.results import FileResults, Results, TableResults
from hfstyle.batch.settings import FAILURES, begin, check_settings, model_digest, style_sketch
from hfstyle.files import short_digest, write_json
from hfstyle.images.encode import WRITE_FORMATS
from hfstyle.images.load import load_image
from hfstyle.images.sources import Source, is_below, open_source
from hfstyle.limits import (
    DEFAULT_STYLE_SIZE,
    Numbers,
    TileSize,
    all_numbers,
    check_callback,
    flags_checked,
)
from hfstyle.messages import UsageError, reason
from hfstyle.painting.large_file import better_by_rows
from hfstyle.pipeline import StyleTransferPipeline
from hfstyle.regions import Region, as_regions
from hfstyle.styles.code import StyleCode

__all__ = ["BatchReport", "stylize_dataset"]

_REPORT: Final = "report.json"


@dataclass
class BatchReport:
    """What a run left: numbers of pictures, and what is wrong with those that cannot be painted.

    painted: by this run, in all processes. earlier: by runs before it. failed: {"index", "name", "error"} of each.
    """

    painted: int
    earlier: int
    failed: list[dict[str, Any]] = field(default_factory=list)


@flags_checked
def stylize_dataset(
    pipe: StyleTransferPipeline,
    dataset: str,
    styles: Sequence[StyleCode],
    output: str | os.PathLike[str],
    *,
    strength: float = 1.0,
    regions: Sequence[Region] | None = None,
    size: int | str = "auto",
    tile_size: TileSize = "auto",
    style_size: int = DEFAULT_STYLE_SIZE,
    format: str = "png",
    quality: int = 95,
    keep_alpha: bool = False,
    keep_exif: bool = False,
    keep_gps: bool = False,
    provenance: bool = True,
    split: str = "train",
    image_column: str = "image",
    dataset_revision: str | None = None,
    rows_per_file: int = 256,
    engine: Literal["processes", "ray"] = "processes",
    workers: int | None = None,
    progress_callback: Callable[[int, int], None] | None = None,
    **numbers: Unpack[Numbers],
) -> BatchReport:
    """Paint all pictures of a data set; run by each process of a launcher, by one alone, or by one that Ray serves.

    Args:
        pipe: on the device of this process.
        dataset: folder of pictures, with its subfolders; folder, name or pattern of Parquet files; or a Hub id.
        styles: of this pipeline's encoder. Of several, picture number i gets number i modulo their count.
        output: folder. Pictures keep their names, or are numbered; PNG and TIFF files of large pictures in files are
            painted row by row (`StyleTransferPipeline.paint_file`); with `format` "parquet" it holds files of
            `rows_per_file` rows: `image` {bytes, path} (PNG), `index`, `style`, and the other columns of the data set.
        strength, regions, tile_size, numbers (color, faces, outlines): as in a call of the pipeline; the same for all pictures.
        size: short side in pixels, from 64, at which the network runs; "full" is the picture's; "auto" at most 1080, and 512, at most doubled, for smaller ones.
        style_size: at which `styles` were encoded, to be written down, and those of `regions` are.
        format: "png", "jpg", "webp", "tif", "avif" or "parquet".
        quality: 1 to 100, of JPEG, WebP and AVIF.
        keep_alpha: keep transparency instead of laying it over white.
        keep_exif: keep date, camera and author.
        keep_gps: keep these and the place.
        provenance: say in the files how they were made, as of the pipeline's call.
        split: of a data set of the Hub.
        image_column: of Parquet files and data sets of the Hub.
        dataset_revision: branch, tag or commit of a data set of the Hub.
        rows_per_file: rows that a Parquet file holds; what is painted is lost with a killed process until it is full.
        engine: "processes" are those of the launcher; "ray" spreads the work over Ray's, on this machine or on the
            cluster that RAY_ADDRESS names. All of them must see the data set and the output by the same names.
        workers: number of Ray's processes; None is one for each processor core, or each GPU if the pipeline is on one.
        progress_callback: called as `progress_callback(done, total)` with the pictures of this process.

    Returns:
        The report, the same in all processes; the main process also writes it to report.json in `output`.

    Raises:
        ValueError: no such data set, an empty list of styles, or an output that was begun with other settings.
        ModuleNotFoundError: accelerate, or Ray, is not installed.
    """
    if not styles:
        raise ValueError("styles is empty; give at least one")
    check_callback(progress_callback)
    if engine not in ("processes", "ray"):
        raise ValueError(f"engine is {engine!r}; give 'processes' or 'ray'")
    if engine == "processes":
        from accelerate import PartialState

        state = PartialState()
    else:
        state = _Alone()
    folder = Path(output).absolute()
    paint = _Painting(
        pipe, as_regions(regions), strength, all_numbers(numbers), size, tile_size, style_size,
        keep_alpha, keep_exif, keep_gps, provenance,
    )  # fmt: skip
    opened: dict[str, Any] = {
        "dataset": dataset,
        "split": split,
        "image_column": image_column,
        "revision": dataset_revision,
        "leave_out": folder,
    }
    with state.main_process_first():  # downloads once
        source = open_source(**opened)
    place: Callable[[Source], Results]
    if format == "parquet":
        place = partial(TableResults, folder, styles=styles, rows_per_file=rows_per_file)
    elif f".{format}" in WRITE_FORMATS:
        place = partial(FileResults, folder, suffix=f".{format}", quality=quality)
    else:
        raise ValueError(f"format is {format!r}; give 'parquet' or a format of pictures, like png")
    results = place(source)
    settings = {
        "dataset": dataset,
        "pictures": len(source),
        "styles": [style_sketch(code) for code in styles],
        "names": short_digest("\n".join(source.name(index) for index in range(len(source)))),
        "model": model_digest(pipe.generator),
        "format": format,
        "quality": quality,
        **paint.settings(),
    }
    check_settings(folder, settings)
    state.wait_for_everyone()  # all have looked before one writes
    if state.is_main_process:
        begin(folder, settings)
    state.wait_for_everyone()
    done = results.done()
    todo = [index for index in range(len(source)) if index not in done]
    state.wait_for_everyone()  # all have listed what is to do before one does it

    failed: list[dict[str, Any]] = []
    painted = 0
    if engine == "ray":
        from hfstyle.batch import ray_engine

        opened["dataset"] = _absolute(dataset)  # its processes may be in another folder
        for finished in ray_engine.paint_with_ray(
            ray_engine.Worker,
            (paint, styles, opened, place),
            todo,
            workers=workers,
            on_gpu=pipe.device.type == "cuda",
            rows_per_file=rows_per_file if format == "parquet" else None,
        ):
            failed += [item for item in finished if item["error"]]
            painted += sum(not item["error"] for item in finished)
            if progress_callback is not None:
                progress_callback(painted + len(failed), len(todo))
        return _gather(folder, state, painted, len(done), failed)
    with state.split_between_processes(todo) as own:
        try:
            for number, index in enumerate(own):
                try:
                    paint(source, index, styles[index % len(styles)], results)
                    painted += 1
                except Exception as error:  # one bad picture stops none of the others
                    message = reason(error, source.name(index))
                    failed.append({"index": index, "name": source.name(index), "error": message})
                if progress_callback is not None:
                    progress_callback(number + 1, len(own))
        finally:  # Ctrl-C as well
            results.close()
    return _gather(folder, state, painted, len(done), failed)


def _absolute(dataset: str) -> str:
    """A name or pattern of files with its whole path; an id of the Hub as it is."""
    return os.path.abspath(dataset) if glob.glob(dataset) else dataset


class _Alone:
    """The one process that reads and writes settings and report where Ray's paint."""

    is_main_process = True
    process_index, num_processes = 0, 1

    def wait_for_everyone(self) -> None:
        """There is nobody else."""

    def main_process_first(self) -> AbstractContextManager[None]:
        return nullcontext()


@dataclass(frozen=True)
class _Painting:
    """How all pictures of a run are painted."""

    pipe: StyleTransferPipeline
    regions: list[Region]
    strength: float
    numbers: Numbers
    size: int | str
    tile_size: TileSize
    style_size: int
    keep_alpha: bool
    keep_exif: bool
    keep_gps: bool
    provenance: bool

    def settings(self) -> dict[str, Any]:
        """What a run goes on with, or not at all; JSON-able."""
        own = {item.name: getattr(self, item.name) for item in fields(self)}
        del own["pipe"], own["tile_size"], own["provenance"]  # which change no pixel
        own |= own.pop("numbers")
        own["regions"] = [
            [str(r.mask), None if r.style is None else self._sketch(r.style), r.feather]
            for r in self.regions
        ]
        return own

    def _sketch(self, style: Any) -> list[float]:
        return style_sketch(self.pipe.encode_style(style, style_size=self.style_size))

    def __call__(self, source: Source, index: int, style: StyleCode, results: Results) -> None:
        """Paint picture number `index`; a large one from file to file, which gives the same pixels."""
        encoded, name, file = source.read(index), source.name(index), results.file(index)
        common: dict[str, Any] = {"tile_size": self.tile_size, "provenance": self.provenance}
        common |= self.numbers
        common |= {"processing_resolution": self.size, "keep_alpha": self.keep_alpha}
        large = isinstance(encoded, Path) and file is not None and not self.regions
        if large and better_by_rows(encoded, file, name):  # type: ignore[arg-type]
            assert file is not None
            assert isinstance(encoded, Path)
            file.parent.mkdir(parents=True, exist_ok=True)
            kept: dict[str, Any] = {"keep_exif": self.keep_exif, "keep_gps": self.keep_gps}
            self.pipe.paint_file(encoded, file, style, self.strength, **common, **kept)
            return
        picture = load_image(
            encoded, keep_alpha=self.keep_alpha, name=name, compact=True, keep_place=self.keep_gps
        )
        image = self.pipe(
            picture,
            style,
            self.strength,
            regions=self.regions or None,
            style_size=self.style_size,
            **common,
        ).images[0]
        keeps = self.keep_exif or self.keep_gps
        results.add(index, image, *((picture.exif, picture.xmp) if keeps else ()))


def _gather(
    folder: Path, state: Any, painted: int, earlier: int, failed: list[dict[str, Any]]
) -> BatchReport:
    """The report of all processes, by files: a folder is what they share in any case."""
    own = {"painted": painted, "failed": failed}
    write_json(folder / FAILURES.format(state.process_index), own)
    state.wait_for_everyone()
    files = [folder / FAILURES.format(rank) for rank in range(state.num_processes)]
    parts = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    bad = sorted((item for part in parts for item in part["failed"]), key=lambda f: f["index"])
    report = BatchReport(sum(part["painted"] for part in parts), earlier, bad)
    state.wait_for_everyone()
    if state.is_main_process:
        numbers = {"painted": report.painted, "earlier": earlier, "failed": bad}
        write_json(folder / _REPORT, numbers)
        for file in files:
            file.unlink()
    return report


def refuse_inputs_in(folder: Path, names: Sequence[str]) -> None:
    """UsageError if a style or a mask lies among the results, which it would count as, or be replaced by."""
    for name in names:
        if Path(name).is_file() and is_below(Path(name), folder):
            raise UsageError(
                f"{name} lies in the folder of the results; move it, or name another --output"
            )
