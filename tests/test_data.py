"""Training data: sources, decoding, streams of crops, and batches that resume exactly."""

from __future__ import annotations

import errno
import io
import itertools
import json
import logging
import os
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hub_server import HubServer
from PIL import Image, ImageCms, features

from hfstyle.images.load import load_image
from training.data.crops import draw_regions
from training.data.device_pictures import DevicePictures
from training.data.loaders import BatchLoader, DeviceLoader, skipped_pictures
from training.data.sources import DataError, FolderSource, RawPicture, decode_picture, open_pictures
from training.data.streams import EpochOrder, PictureStream, StreamedPictures, make_stream


def encode(image: Image.Image, fmt: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, fmt, **options)
    return file.getvalue()


def picture(number: int, width: int = 40, height: int = 32) -> Image.Image:
    """A picture whose red channel is `number` everywhere, with noise in the others."""
    array = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
    array[:, :, 0] = number
    return Image.fromarray(array)


def write_parquet(file: Path, cells: list[Any], column: str = "image") -> Path:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.table({column: cells, "title": ["?"] * len(cells)}), file, row_group_size=3)
    return file


def bytes_cells(numbers: range, **size: int) -> list[dict[str, Any]]:
    return [{"bytes": encode(picture(n, **size)), "path": f"{n}.png"} for n in numbers]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten pictures, red = 0 ... 9, in a folder and a folder within it."""
    (tmp_path / "pictures" / "more").mkdir(parents=True)
    for number in range(10):
        place = tmp_path / "pictures" / ("more" if number % 2 else "")
        picture(number).save(place / f"{number}.png")
    return tmp_path / "pictures"


def stream_of(folder: Path, **options: Any) -> PictureStream:
    source = open_pictures(data_dir=folder)
    return PictureStream(source, **options)  # type: ignore[arg-type]


def reds(batch: torch.Tensor) -> list[int]:
    """The number of each picture of a (B, K, 3, S, S) batch."""
    return [int(value) for value in batch[:, 0, 0].flatten(1).double().mean(1).round()]


# --- sources


def test_a_folder_is_searched_recursively_and_hidden_or_other_files_are_left_out(
    folder: Path,
) -> None:
    (folder / "notes.txt").write_text("no picture")
    (folder / "._1.png").write_bytes(b"what macOS leaves behind")
    source = open_pictures(data_dir=folder)
    assert len(source) == 10  # type: ignore[arg-type]


def test_a_local_path_may_be_given_as_the_dataset_name(folder: Path) -> None:
    assert len(open_pictures(str(folder))) == 10  # type: ignore[arg-type]


def test_parquet_by_file_folder_and_glob(tmp_path: Path) -> None:
    write_parquet(tmp_path / "content-train-0.parquet", bytes_cells(range(7)))
    write_parquet(tmp_path / "style-train-0.parquet", bytes_cells(range(7, 11)))
    write_parquet(tmp_path / "style-train-1.parquet", bytes_cells(range(11, 12)))

    def numbers(place: Path) -> list[int]:
        source: Any = open_pictures(data_dir=place)
        return [int(decode_picture(source[i])[0, 0, 0]) for i in range(len(source))]

    assert numbers(tmp_path) == list(range(12))
    assert numbers(tmp_path / "content-train-0.parquet") == list(range(7))
    assert numbers(tmp_path / "style-train-*.parquet") == list(range(7, 12))


def test_parquet_cells_may_be_bytes_or_paths_beside_the_file(tmp_path: Path) -> None:
    picture(5).save(tmp_path / "5.png")
    write_parquet(tmp_path / "a.parquet", [encode(picture(4))], column="picture")
    write_parquet(tmp_path / "b.parquet", ["5.png"], column="picture")
    write_parquet(tmp_path / "c.parquet", [{"bytes": None, "path": "5.png"}], column="picture")
    source: Any = open_pictures(data_dir=tmp_path, image_column="picture")
    assert [int(decode_picture(source[i])[0, 0, 0]) for i in range(3)] == [4, 5, 5]


def test_local_pictures_need_no_datasets_package(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)  # importing it now raises ImportError
    write_parquet(tmp_path / "a.parquet", bytes_cells(range(3)))
    for place in (folder, tmp_path / "a.parquet"):
        loader = BatchLoader(stream_of(place), batch_size=2, size=16, threads=0)
        assert loader.next_batch().shape == (2, 1, 3, 16, 16)
    with pytest.raises(DataError, match="pip install datasets"):
        open_pictures("someone/paintings")


@pytest.mark.parametrize("arguments", [{}, {"dataset_name": "a/b", "data_dir": "c"}])
def test_exactly_one_place_must_be_given(arguments: dict[str, str]) -> None:
    with pytest.raises(DataError, match="one place"):
        open_pictures(**arguments)  # type: ignore[arg-type]


def test_messages_say_what_is_wrong_with_local_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no files at"):
        open_pictures(data_dir=tmp_path / "absent")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match="is Parquet or a picture"):
        open_pictures(data_dir=tmp_path)
    write_parquet(tmp_path / "a.parquet", bytes_cells(range(1)), column="photo")
    with pytest.raises(DataError, match=r"no column 'image'.*photo, title"):
        open_pictures(data_dir=tmp_path)
    (tmp_path / "a.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(DataError, match=r"a\.parquet cannot be read as Parquet"):
        open_pictures(data_dir=tmp_path)
    write_parquet(tmp_path / "a.parquet", [])
    with pytest.raises(DataError, match="hold no rows"):
        open_pictures(data_dir=tmp_path)


# --- decoding


def raw(image: Image.Image, fmt: str = "PNG", **options: Any) -> RawPicture:
    return RawPicture("a picture", encode(image, fmt, **options))


def test_pictures_are_read_as_the_package_reads_them(tmp_path: Path) -> None:
    """Profiles, inks, 16 bits, modern formats: the network is trained on the colours that it is shown later."""
    photo = picture(1, 40, 32)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"....").replace(b"gXYZ", b"rXYZ").replace(b"....", b"gXYZ")
    Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257).save(tmp_path / "a.png")
    photo.save(tmp_path / "b.jpg", icc_profile=swapped)
    photo.convert("CMYK").save(tmp_path / "c.jpg")
    photo.convert("RGBA").save(tmp_path / "d.webp", lossless=True)
    if features.check("avif"):
        photo.save(tmp_path / "e.avif")
    else:
        photo.save(tmp_path / "e.png")
    pytest.importorskip("pillow_heif").from_pillow(photo).save(tmp_path / "f.heic")
    source = open_pictures(data_dir=tmp_path)
    assert isinstance(source, FolderSource)
    assert [file.stem for file in source.files] == ["a", "b", "c", "d", "e", "f"]
    for index in range(len(source)):
        expected = load_image(source[index].data).rgb.mul(255).round().permute(1, 2, 0).numpy()
        assert np.array_equal(decode_picture(source[index]), expected), source[index].name


@pytest.mark.parametrize("fmt", ["PNG", "JPEG"])
def test_the_short_side_is_limited_and_small_pictures_stay(fmt: str) -> None:
    assert decode_picture(raw(picture(1, 400, 200), fmt), 50).shape == (50, 100, 3)
    assert decode_picture(raw(picture(1, 40, 30), fmt), 50).shape == (30, 40, 3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"plain text, no picture", "not a picture"),
        (encode(picture(1))[:-2000], "truncated"),
        (encode(picture(1, 15, 200)), "15 x 200 px, under 16 px"),
    ],
)
def test_unusable_pictures_are_named_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=f"row 7.*{reason}"):
        decode_picture(RawPicture("row 7", data))


# --- crops


@pytest.mark.parametrize("zoom", [(0.5, 1.5), (1.0, 1.0)])
def test_regions_lie_inside_the_picture_and_keep_to_the_zoom(zoom: Any) -> None:
    rng = np.random.default_rng(0)
    sides = []
    for height, width in [(32, 32), (100, 32), (90, 300), (20, 500)]:
        for top, left, side in draw_regions(height, width, 32, zoom, 50, rng):
            assert 0 <= top <= height - side
            assert 0 <= left <= width - side
            assert min(height, width, 32 * zoom[0]) - 1 <= side <= height
            sides.append(side)
    if zoom == (1.0, 1.0):
        assert set(sides) == {32, 20}


def test_two_crops_of_a_large_picture_hardly_overlap() -> None:
    rng = np.random.default_rng(0)
    distances = []
    for _ in range(200):
        (top_a, left_a, _), (top_b, left_b, _) = draw_regions(320, 400, 128, (1.0, 1.0), 2, rng)
        distances.append(max(abs(top_a - top_b), abs(left_a - left_b)))
    assert np.mean(np.array(distances) >= 128) > 0.7


def test_crops_show_the_picture(tmp_path: Path) -> None:
    image = picture(9, 64, 64)
    image.save(tmp_path / "a.png")
    stream = stream_of(tmp_path)
    whole = np.asarray(image).transpose(2, 0, 1)
    seen = {stream.crops(k, 64)[0].tobytes() for k in range(20)}
    assert seen == {whole.tobytes(), whole[:, :, ::-1].tobytes()}  # as it is, and mirrored
    crop = stream.crops(0, 16, zoom=(1.0, 1.0))[0]  # zoom 1 copies pixels
    tops, lefts = range(49), range(49)
    assert any(
        (crop == view[:, t : t + 16, s : s + 16]).all()
        for view in (whole, whole[:, :, ::-1])
        for t in tops
        for s in lefts
    )


def test_a_picture_smaller_than_the_crop_is_enlarged(folder: Path) -> None:
    crops = stream_of(folder).crops(0, 96, crops=2)
    assert crops.shape == (2, 3, 96, 96)
    assert crops.dtype == np.uint8


# --- order


@pytest.mark.parametrize(("count", "world_size"), [(11, 2), (23, 4)])
def test_processes_share_an_epoch_without_overlap(count: int, world_size: int) -> None:
    for epoch in range(3):
        parts = [EpochOrder(count, 5, rank, world_size).epoch(epoch) for rank in range(world_size)]
        assert {len(part) for part in parts} == {count // world_size}
        together = np.concatenate(parts)
        assert len(set(together.tolist())) == len(together)


def test_each_epoch_shows_every_picture_once_in_another_order(folder: Path) -> None:
    loader = BatchLoader(stream_of(folder, seed=3), batch_size=10, size=16, threads=0)
    epochs = [reds(loader.next_batch()) for _ in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_more_processes_than_pictures_still_get_pictures(tmp_path: Path) -> None:
    picture(1).save(tmp_path / "a.png")
    for rank in range(3):
        assert stream_of(tmp_path, rank=rank, world_size=3).crops(4, 16).shape == (1, 3, 16, 16)
    with pytest.raises(DataError, match="rank 3"):
        stream_of(tmp_path, rank=3, world_size=3)


def test_the_stream_depends_on_the_seed_alone(folder: Path) -> None:
    def first(seed: int, rank: int = 0) -> torch.Tensor:
        stream = stream_of(folder, seed=seed, size=24, rank=rank, world_size=2)
        return torch.stack(list(itertools.islice(stream, 12)))

    assert torch.equal(first(1), first(1))
    assert not torch.equal(first(1), first(2))
    assert not torch.equal(first(1), first(1, rank=1))


def test_a_stream_resumes_where_it_stood(folder: Path) -> None:
    stream = stream_of(folder, seed=1, size=24)
    list(itertools.islice(stream, 13))
    state = stream.state_dict()
    expected = list(itertools.islice(stream, 5))
    resumed = stream_of(folder, seed=1, size=24)
    resumed.load_state_dict(state)
    for a, b in zip(itertools.islice(resumed, 5), expected, strict=True):
        assert torch.equal(a, b)


def test_a_twin_shares_the_decoded_pictures_in_another_order(folder: Path) -> None:
    stream = stream_of(folder, seed=1)
    stream.preload()
    twin = stream.with_seed(2)
    assert any(twin.picture(k) is not stream.picture(k) for k in range(10))
    held = {id(stream.picture(k)) for k in range(10)}
    assert {id(twin.picture(k)) for k in range(10)} == held


def test_the_memory_limit_changes_nothing_but_memory(folder: Path) -> None:
    tight = stream_of(folder, seed=1, memory_limit=40 * 32 * 3 * 2)
    roomy = stream_of(folder, seed=1)
    tight.preload(threads=2)
    assert np.array_equal(
        np.stack([tight.crops(k, 16) for k in range(25)]),
        np.stack([roomy.crops(k, 16) for k in range(25)]),
    )
    assert tight._store.bytes_held <= 40 * 32 * 3 * 2 < roomy._store.bytes_held


# --- corrupt pictures


def test_corrupt_pictures_are_skipped_counted_once_and_named(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "broken.png").write_bytes(encode(picture(99))[:900])
    (folder / "empty.jpg").touch()
    stream = stream_of(folder)
    loader = BatchLoader(stream, batch_size=12, size=16, threads=2)
    with caplog.at_level(logging.WARNING):
        seen = [set(reds(loader.next_batch())) for _ in range(3)]
    assert all(numbers == set(range(10)) for numbers in seen)
    assert len(stream.unreadable) == loader.skipped == 2
    named = " ".join(record.getMessage() for record in caplog.records)
    assert "broken.png" in named
    assert "empty.jpg" in named
    loader.close()


def test_what_replaces_a_corrupt_picture_does_not_depend_on_the_past(tmp_path: Path) -> None:
    cells = bytes_cells(range(8))
    cells[3] = {"bytes": b"broken", "path": "3.png"}
    cells[5] = {"bytes": None, "path": None}
    write_parquet(tmp_path / "a.parquet", cells)
    straight, late = stream_of(tmp_path, seed=2), stream_of(tmp_path, seed=2)
    items = [straight.crops(k, 16) for k in range(30)]
    assert all(np.array_equal(late.crops(k, 16), items[k]) for k in reversed(range(30)))


def test_nothing_but_corrupt_pictures_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no")
    for threads in (0, 1):
        with pytest.raises(DataError, match="none of the 1 pictures"):
            BatchLoader(stream_of(tmp_path), 1, 16, threads=threads).next_batch()
    with pytest.raises(DataError, match="none of the 1 pictures"):
        DevicePictures(open_pictures(data_dir=tmp_path))  # type: ignore[arg-type]


# --- batches


@pytest.mark.parametrize("threads", [0, 3])
def test_batches_resume_exactly_whatever_was_made_ahead(folder: Path, threads: int) -> None:
    def loader() -> BatchLoader:
        mix = [(stream_of(folder, seed=1), 3.0), (stream_of(folder, seed=2), 1.0)]
        return BatchLoader(mix, 4, 20, crops=2, seed=7, threads=threads, prefetch=5)

    straight = loader()
    batches = [straight.next_batch() for _ in range(12)]
    stopped = loader()
    for _ in range(7):
        stopped.next_batch()
    state = stopped.state_dict()
    assert state["batches"] == 7
    resumed = loader()
    resumed.next_batch()  # work made ahead of the load is thrown away
    resumed.load_state_dict(state)
    for expected in batches[7:]:
        assert torch.equal(resumed.next_batch(), expected)
    for each in (straight, stopped, resumed):
        each.close()


def test_batches_do_not_depend_on_the_number_of_threads(folder: Path) -> None:
    results = []
    for threads in (0, 3):
        loader = BatchLoader(stream_of(folder, seed=4), 5, 24, threads=threads)
        results.append(torch.stack([loader.next_batch() for _ in range(8)]))
        loader.close()
    assert torch.equal(*results)
    assert results[0].dtype == torch.uint8
    assert results[0].shape == (8, 5, 1, 3, 24, 24)


def test_the_mix_draws_by_weight(tmp_path: Path) -> None:
    photos, paintings = tmp_path / "photos", tmp_path / "paintings"
    for place, number in ((photos, 0), (paintings, 200)):
        place.mkdir()
        picture(number).save(place / "a.png")
    loader = BatchLoader([(stream_of(photos), 3), (stream_of(paintings), 1)], 400, 16, threads=0)
    share = np.mean(np.array(reds(loader.next_batch())) == 200)
    assert 0.18 < share < 0.32


@pytest.mark.parametrize("on_device", [False, True])
def test_one_saved_state_serves_all_processes(folder: Path, on_device: bool) -> None:
    def loader(rank: int) -> BatchLoader | DeviceLoader:
        if on_device:
            store = DevicePictures(open_pictures(data_dir=folder))  # type: ignore[arg-type]
            mix = [(store, 3.0), (store, 1.0)]
            return DeviceLoader(mix, 4, 16, seed=5, rank=rank, world_size=2)
        streams = [(stream_of(folder, seed=s, rank=rank, world_size=2), 1.0) for s in (1, 2)]
        return BatchLoader(streams, 4, 16, seed=5, rank=rank, threads=1)

    first, second = loader(0), loader(1)
    for _ in range(5):
        assert not torch.equal(first.next_batch(), second.next_batch())
    assert first.state_dict() == second.state_dict()
    resumed = loader(1)
    resumed.load_state_dict(first.state_dict())
    assert torch.equal(resumed.next_batch(), second.next_batch())
    for each in (first, second, resumed):
        each.close()


def test_the_size_can_change_between_batches_without_losing_any(folder: Path) -> None:
    loader = BatchLoader(stream_of(folder, seed=4), 5, 16, threads=2, prefetch=6)
    first = reds(loader.next_batch())
    loader.set_size(32)
    second = loader.next_batch()
    assert second.shape[-2:] == (32, 32)
    assert sorted(first + reds(second)) == list(range(10))
    loader.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"batch_size": 0}, "batch size 0"), ({"zoom": (3.0, 2.0)}, r"zoom \(3.0, 2.0\)")],
)
def test_impossible_batches_are_refused(folder: Path, options: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        BatchLoader(
            stream_of(folder), **({"batch_size": 1, "size": 16, "threads": 0} | options)
        ).next_batch()


@pytest.mark.parametrize("weights", [[0.0, 0.0], [float("nan"), 1.0]])
def test_impossible_weights_are_refused(folder: Path, weights: list[float]) -> None:
    with pytest.raises(DataError, match="mix weights"):
        BatchLoader([(stream_of(folder), weight) for weight in weights], 1, 16)


def test_a_state_of_other_data_sets_is_refused(folder: Path) -> None:
    loader = BatchLoader(stream_of(folder), 1, 16)
    with pytest.raises(DataError, match="2 streams"):
        loader.load_state_dict({"batches": 1, "positions": [1, 1]})


# --- pictures held on a device


def test_device_crops_agree_with_the_picture(tmp_path: Path) -> None:
    small, large = picture(3, 30, 20), picture(7, 50, 70)
    small.save(tmp_path / "a.png")
    large.save(tmp_path / "b.png")
    store = DevicePictures(open_pictures(data_dir=tmp_path))  # type: ignore[arg-type]
    regions = torch.tensor([[2.0, 5.0, 16.0], [40.0, 3.0, 16.0]])
    flips = torch.tensor([False, True])
    crops = store.cut(torch.tensor([0, 1]), regions, flips, 16)
    plain = np.asarray(small)[2:18, 5:21].transpose(2, 0, 1)
    mirrored = np.asarray(large)[40:56, 3:19][:, ::-1].transpose(2, 0, 1)
    np.testing.assert_allclose(crops[0].numpy(), plain, atol=0.05)
    np.testing.assert_allclose(crops[1].numpy(), mirrored, atol=0.05)
    half = store.cut(torch.tensor([1]), torch.tensor([[10.0, 8.0, 32.0]]), flips[:1], 16)[0]
    block = torch.from_numpy(np.asarray(large)[10:42, 8:40].transpose(2, 0, 1).copy()).float()
    torch.testing.assert_close(half, torch.nn.functional.avg_pool2d(block, 2), atol=0.05, rtol=0)


def test_device_crops_do_not_depend_on_chunking(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DevicePictures(open_pictures(data_dir=folder))  # type: ignore[arg-type]
    whole = DeviceLoader(store, 6, 16, crops=2, seed=1).next_batch()
    monkeypatch.setattr("training.data.device_pictures._SAMPLES_AT_ONCE", 16 * 16 * 4 * 5)
    assert torch.equal(DeviceLoader(store, 6, 16, crops=2, seed=1).next_batch(), whole)


def test_device_batches_have_the_interface_of_batches_and_resume(folder: Path) -> None:
    (folder / "broken.png").write_bytes(b"no")
    store = DevicePictures(open_pictures(data_dir=folder))  # type: ignore[arg-type]
    assert len(store) == 10
    assert len(store.unreadable) == 1
    mix = [(store, 1.0), (store, 1.0)]
    loader = DeviceLoader(mix, 5, 16, crops=2, seed=9)
    batches = [loader.next_batch() for _ in range(6)]
    assert batches[0].shape == (5, 2, 3, 16, 16)
    assert batches[0].dtype == torch.uint8
    resumed = DeviceLoader(mix, 5, 16, crops=2, seed=9)
    for _ in range(2):
        resumed.next_batch()
    state = resumed.state_dict()
    again = DeviceLoader(mix, 5, 16, crops=2, seed=9)
    again.load_state_dict(state)
    for expected in batches[2:]:
        assert torch.equal(again.next_batch(), expected)
    epoch = DeviceLoader(store, 10, 16)
    assert sorted(reds(epoch.next_batch())) == list(range(10))


# --- data sets of the Hub, played by local ones


@pytest.fixture
def paintings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`load_dataset` finds "someone/paintings": ten pictures and one that is corrupt."""
    datasets = pytest.importorskip("datasets")
    cells = bytes_cells(range(10))
    cells.insert(4, {"bytes": b"corrupt", "path": "x.png"})
    for part, rows in enumerate((cells[:6], cells[6:])):
        write_parquet(tmp_path / f"{part}.parquet", rows)
    load = datasets.load_dataset

    def local(name: str, config: str | None = None, *, split: str, **options: Any) -> Any:
        if name != "someone/paintings":
            raise FileNotFoundError(f"{name} does not exist on the Hub")
        files = [str(tmp_path / f"{part}.parquet") for part in range(2)]
        options["cache_dir"] = str(tmp_path / "cache")
        dataset = load("parquet", data_files={split: files}, split=split, **options)
        return dataset.cast_column("image", datasets.Image())

    monkeypatch.setattr(datasets, "load_dataset", local)
    # After each pass over several shards `datasets` sleeps, 5 s by default.
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0.02, raising=False)
    return tmp_path


def test_a_hub_dataset_is_a_source_in_which_corrupt_pictures_are_skipped(paintings: Path) -> None:
    stream = make_stream(open_pictures("someone/paintings"), seed=1)
    assert isinstance(stream, PictureStream)
    loader = BatchLoader(stream, 11, 16, threads=0)
    assert set(reds(loader.next_batch())) == set(range(10))
    assert loader.skipped == 1


def test_of_several_columns_of_pictures_the_others_may_be_corrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    whole = bytes_cells(range(6))
    columns = {"photo": whole, "painting": [*whole[:2], {"bytes": b"corrupt", "path": "x.png"}, *whole[3:]]}  # fmt: skip
    dataset = datasets.Dataset.from_dict(columns)
    for name in columns:
        dataset = dataset.cast_column(name, datasets.Image())
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: dataset)
    loader = BatchLoader(make_stream(open_pictures("a/b", image_column="photo")), 6, 16, threads=0)
    assert sorted(reds(loader.next_batch())) == list(range(6))
    assert loader.skipped == 0


def test_a_streamed_hub_dataset_goes_on_for_ever(paintings: Path) -> None:
    stream = make_stream(open_pictures("someone/paintings", streaming=True), seed=1)
    assert isinstance(stream, StreamedPictures)
    loader = BatchLoader(stream, 10, 16, crops=2, threads=1)
    batches = [loader.next_batch() for _ in range(4)]
    assert batches[0].shape == (10, 2, 3, 16, 16)
    assert {number for batch in batches for number in reds(batch)} == set(range(10))
    twin = BatchLoader(stream.with_seed(1), 10, 16, crops=2, threads=0)
    assert torch.equal(twin.next_batch(), batches[0])
    # Counted once, though several passes of both met it.
    assert loader.skipped == twin.skipped == skipped_pictures([loader, twin]) == 1
    state = loader.state_dict()
    loader.load_state_dict(state)
    assert loader.next_batch().shape == (10, 2, 3, 16, 16)
    loader.close()


def test_processes_stream_other_pictures(paintings: Path) -> None:
    source: Any = open_pictures("someone/paintings", streaming=True)
    parts = [{raw.name.split("(")[-1] for raw in source.iterate(0, 0, r, 2)} for r in range(2)]
    assert len(parts[0] | parts[1]) == 11
    assert not parts[0] & parts[1]


def test_a_reservoir_of_one_shows_each_picture_of_a_pass_once(paintings: Path) -> None:
    source: Any = open_pictures("someone/paintings", streaming=True)
    stream = StreamedPictures(source, buffer_size=1)
    assert sorted(int(stream.crops(k, 16)[0, 0].mean()) for k in range(10)) == list(range(10))


def test_streamed_picture_files_come_by_address(paintings: Path) -> None:
    pytest.importorskip("fsspec")
    from training.data.sources import HubStream

    picture(6).save(paintings / "6.png")
    place = f"file://{paintings}/"
    good = HubStream("d", None, "image")._read(place + "6.png", "row 0")
    assert decode_picture(good)[0, 0, 0] == 6
    absent = HubStream("d", None, "image")._read(place + "7.png", "row 1")
    with pytest.raises(DataError, match="row 1, FileNotFoundError"):
        decode_picture(absent)


def test_messages_say_what_is_wrong_with_a_hub_dataset(paintings: Path) -> None:
    with pytest.raises(DataError, match=r"'someone/absent'.*cannot be loaded.*does not exist"):
        open_pictures("someone/absent")
    for streaming in (False, True):
        with pytest.raises(DataError, match=r"no column 'img'.*image, title"):
            open_pictures("someone/paintings", image_column="img", streaming=streaming)


_STREAM = """
import json, sys
from training.data.loaders import BatchLoader, make_stream, open_pictures
source = open_pictures("someone/pictures", streaming=True)
seen = [sorted(raw.name.split("/")[-1] for raw in source.iterate(0, e, r, 2)) for e in (0, 1) for r in (0, 1)]
loader = BatchLoader(make_stream(source, seed=1), 8, 16, threads=2)
reds = [int(red) for red in loader.next_batch()[:, 0, 0].float().mean((1, 2))]
loader.close()
print(json.dumps({"seen": seen, "reds": reds, "skipped": loader.skipped}))
"""


def test_parquet_is_read_group_by_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    from training.data import sources

    write_parquet(tmp_path / "all.parquet", bytes_cells(range(12)))
    pq.write_table(
        pq.read_table(tmp_path / "all.parquet"), tmp_path / "a.parquet", row_group_size=5
    )
    monkeypatch.setattr(sources, "_KEPT_BYTES", 1)
    source: Any = open_pictures(data_dir=tmp_path / "a.parquet")
    assert not source._held  # nothing is read before it is asked for
    for k in (11, 0, 7, 4, 5, 11):
        assert decode_picture(source[k])[0, 0, 0] == k
        assert source[k].name.startswith(f"a.parquet row {k}")
        assert len(source._held) == 1
    assert len(source) == 12
    again = pickle.loads(pickle.dumps(source))
    assert decode_picture(again[3])[0, 0, 0] == 3


def numbers_of(source: Any) -> list[int]:
    return [int(decode_picture(source[k])[0, 0, 0]) for k in range(len(source))]


@pytest.fixture
def one_group(tmp_path: Path) -> Path:
    """A file of twelve pictures in one group of rows."""
    pq = pytest.importorskip("pyarrow.parquet")
    write_parquet(tmp_path / "parts.parquet", bytes_cells(range(12)))
    pq.write_table(pq.read_table(tmp_path / "parts.parquet"), tmp_path / "one.parquet")
    (tmp_path / "parts.parquet").unlink()
    return tmp_path / "one.parquet"


def test_a_large_group_is_laid_aside(one_group: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from training.data import sources

    monkeypatch.setattr(sources, "_LARGE_GROUP", 1)
    source: Any = open_pictures(data_dir=one_group)
    assert not source._aside  # nothing is read before it is asked for
    with ThreadPoolExecutor(4) as pool:
        for index, raw in zip(range(12), pool.map(source.__getitem__, range(12)), strict=True):
            assert decode_picture(raw)[0, 0, 0] == index
            assert raw.name == f"one.parquet row {index} ({index}.png)"
    assert not source._held
    again = pickle.loads(pickle.dumps(source))
    assert decode_picture(again[3])[0, 0, 0] == 3


def test_a_file_of_one_group_takes_little_memory(tmp_path: Path) -> None:
    """Of 140 MB in one group, neither training, in any order, nor a batch holds them all."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    noise = np.random.default_rng(0)
    rows = [{"bytes": noise.bytes(100_000), "path": None} for _ in range(1400)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    file = tmp_path / "one.parquet"
    # Pages end, at the earliest, where such a part of the rows was written: by default after 1024 of them.
    pq.write_table(pa.table({"image": pa.array(rows, kind)}), file, write_batch_size=64)
    assert pq.read_metadata(file).num_row_groups == 1
    script = """
import resource, sys
from hfstyle.images.sources import open_source
from training.data.sources import open_pictures
def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
open_pictures(data_dir=sys.argv[2])[0]
before = most()
if sys.argv[1] == "training":
    source = open_pictures(data_dir=sys.argv[3])
    assert all(len(source[k * 997 % 1400].data) == 100_000 for k in range(1400))
else:
    source = open_source(sys.argv[3], split="train", image_column="image", revision=None)
    assert all(len(source.read(k)) == 100_000 and source.columns(k).num_rows == 1 for k in range(0, 1400, 3))
print(most() - before)
"""
    write_parquet(tmp_path / "small.parquet", bytes_cells(range(2)))
    for reader in ("training", "batch"):
        command = [sys.executable, "-c", script, reader, str(tmp_path / "small.parquet"), str(file)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert int(done.stdout) < 100e6, reader


def test_groups_too_large_to_be_laid_aside_are_told(
    one_group: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The command that the warning gives writes them anew."""
    import pyarrow.parquet as pq

    from training.data import sources

    monkeypatch.setattr(sources, "_LARGE_GROUP", 1)
    monkeypatch.setattr(sources, "_ASIDE_BYTES", 1)
    source: Any = open_pictures(data_dir=one_group)
    assert decode_picture(source[5])[0, 0, 0] == 5
    command = caplog.text[caplog.text.index("python -c") :].replace(
        "iter_batches(100)", "iter_batches(5)"
    )
    command = command.replace("python", f'"{sys.executable}"', 1)
    subprocess.run(command, shell=True, check=True, cwd=one_group.parent)
    rewritten = one_group.parent / "new.parquet"
    assert pq.read_metadata(rewritten).num_row_groups == 3
    assert numbers_of(open_pictures(data_dir=rewritten)) == list(range(12))


def test_a_full_disk_is_told(
    one_group: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The pictures are then held in memory."""
    from training.data import sources

    def full(cells: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sources, "_LARGE_GROUP", 1)
    monkeypatch.setattr(sources, "CellsAside", full)
    source: Any = open_pictures(data_dir=one_group)
    assert numbers_of(source) == list(range(12))
    told = [record.message for record in caplog.records if "laid aside" in record.message]
    assert len(told) == 1
    assert f"{one_group} cannot be laid aside in" in told[0]
    assert "(No space left on device)" in told[0]


def test_rows_behind_a_damaged_page_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    from hfstyle.images.sources import open_source
    from training.data import sources

    file = tmp_path / "a.parquet"
    cells = [
        bytes([number]) * 4000 + np.random.default_rng(number).bytes(4000) for number in range(200)
    ]
    table = pa.table({"image": pa.array(cells, pa.binary())})
    pq.write_table(table, file, write_batch_size=8, data_page_size=1, use_dictionary=False)
    data = bytearray(file.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 9000] = b"\xff" * 9000
    file.write_bytes(data)
    source = open_source(str(file), split="train", image_column="image", revision=None)
    assert source.read(3) == cells[3]
    for _ in range(2):
        for index in (150, 199):
            with pytest.raises(OSError, match=r"\w"):
                source.read(index)
    assert source.read(5) == cells[5]
    # Training, too, has those before it, and reads the group once.
    monkeypatch.setattr(sources, "_LARGE_GROUP", 1)
    pictures: Any = open_pictures(data_dir=file)
    for index in (150, 3, 199, 5):
        if index < 100:
            assert pictures[index].data == cells[index]
        else:
            with pytest.raises(OSError, match=r"\w"):
                pictures[index]
    assert len(pictures._aside) == 1
    assert "held in memory" not in caplog.text


def test_rows_of_a_group_may_be_asked_for_in_any_order(one_group: Path) -> None:
    """A batch asks for them from the first to the last; whoever does not waits longer."""
    from hfstyle.images.sources import open_source

    source = open_source(str(one_group), split="train", image_column="image", revision=None)
    for index in (0, 0, 5, 11, 2, 2, 10):
        data = source.read(index)
        assert isinstance(data, bytes)
        assert np.asarray(Image.open(io.BytesIO(data)))[0, 0, 0] == index
        assert source.columns(index).column_names == ["title"]


def test_decoded_pictures_take_a_quarter_of_a_small_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from training.data.decoded import memory_for_pictures

    def memory(gib: int, processes: str) -> float:
        pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": gib * 2**30 // 4096}
        monkeypatch.setattr(os, "sysconf", pages.__getitem__)
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
        return memory_for_pictures() / 2**30

    assert memory(256, "1") == 8
    assert memory(16, "1") == 2
    assert memory(256, "8") == 4


def test_each_set_of_a_run_has_its_own_part_of_the_hub(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.data import open as loaders
    from training.run.arguments import parse_args

    asked: list[tuple[str | None, dict[str, Any]]] = []

    def opened(name: str | None, place: str | None, **options: Any) -> Any:
        asked.append((name, options))
        return FolderSource("few", [tmp_path / "a.png"] * 4)

    monkeypatch.setattr(loaders, "open_pictures", opened)
    line = (
        "--content_dataset_name a/b --content_split val --content_revision v2 --style_dataset_name c/d "
        "--style_image_column painting --image_column photo --hub_token hf_x"
    )
    for loader in loaders.open_loaders(
        parse_args(line.split()), torch.device("cpu"), 0, 1
    ).values():
        loader.close()
    (content, photos), (style, paintings) = asked
    assert (content, style) == ("a/b", "c/d")
    assert (photos["split"], photos["revision"], photos["image_column"]) == ("val", "v2", "photo")
    assert (paintings["split"], paintings["revision"]) == ("train", None)
    assert paintings["image_column"] == "painting"
    assert photos["token"] == paintings["token"] == "hf_x"


def test_a_private_data_set_is_told_with_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")

    def absent(*_: Any, **__: Any) -> Any:
        raise datasets.exceptions.DatasetNotFoundError("Dataset 'a/b' doesn't exist")

    monkeypatch.setattr(datasets, "load_dataset", absent)
    with pytest.raises(
        DataError, match=r"without a token: log in with `hf auth login`.*--hub_token"
    ):
        open_pictures("a/b")
    with pytest.raises(DataError, match=r"with this --hub_token"):
        open_pictures("a/b", token="hf_x")


def test_a_hub_that_does_not_answer_is_told_at_once(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hub.url)
    hub.close()
    began = time.monotonic()
    with pytest.raises(DataError, match=r"'a/b'.*not in the cache.*cannot be reached.*data_dir"):
        open_pictures("a/b")
    assert time.monotonic() - began < 10  # `datasets` alone takes half a minute
    assert not datasets.config.HF_HUB_OFFLINE


def test_a_revision_that_does_not_exist_is_told_without_a_word_of_tokens(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hub.url)
    hub.add("someone/pictures", {"a.png": encode(picture(1))}, kind="dataset")
    with pytest.raises(DataError, match=r"revision 'v9'.*\. Check --content_rev") as told:
        open_pictures("someone/pictures", revision="v9")
    assert "token" not in str(told.value)
    assert ".." not in str(told.value)


@pytest.mark.slow
def test_a_repository_of_picture_files_is_streamed(tmp_path: Path) -> None:
    """By the real `datasets`, from a Hub on this machine; one file is cut off, one is text."""
    pytest.importorskip("datasets")
    files = {}
    for k in range(8):
        data = io.BytesIO()
        picture(k * 20).save(data, "PNG")
        files[f"train/{k}.png"] = data.getvalue()
    files["train/3.png"] = files["train/3.png"][:50]
    files["train/5.png"] = b"no picture"
    with HubServer() as hub:
        hub.add("someone/pictures", files, kind="dataset")
        run = subprocess.run(
            [sys.executable, "-c", _STREAM],
            env=os.environ
            | {
                "HF_ENDPOINT": hub.url,
                "HF_HOME": str(tmp_path),
                "HF_HUB_OFFLINE": "0",
                "NO_PROXY": "127.0.0.1",
            },
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout.splitlines()[-1])
    for epoch in (told["seen"][:2], told["seen"][2:]):  # both processes together: each once
        assert len(epoch[0] + epoch[1]) == 8
        assert {name.split(".png")[0] for part in epoch for name in part} == set("01234567")
    assert set(told["reds"]) <= {0, 20, 40, 80, 120, 140}
    assert len(set(told["reds"])) > 2
    assert told["skipped"] >= 1
