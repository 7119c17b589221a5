"""Collections as one style or a few, and contact sheets."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from small_model import small_generator

from hfstyle import ImageError, StyleCode, StyleTransferPipeline
from hfstyle.images.sheet import contact_sheet
from hfstyle.styles.collection import cluster_codes

PIPE = StyleTransferPipeline(small_generator())


def pictures() -> list[torch.Tensor]:
    """Five dark blue and three bright red, each with some noise."""
    random = torch.Generator().manual_seed(0)
    bases = [torch.tensor([0.1, 0.1, 0.5])] * 5 + [torch.tensor([0.9, 0.3, 0.2])] * 3
    return [
        (base[:, None, None] + 0.08 * torch.rand(3, 64, 64, generator=random)).clamp(0, 1)
        for base in bases
    ]


def test_one_cluster_is_the_mean() -> None:
    codes = [PIPE.encode_style(picture) for picture in pictures()]
    (mean,) = PIPE.encode_collection(pictures(), name="all")
    torch.testing.assert_close(mean.vector, StyleCode.mix(codes).vector)
    assert mean.name == "all"
    assert mean.metadata["pictures"] == "8"


def test_clusters_are_groups_of_alike_pictures_largest_first() -> None:
    codes = [PIPE.encode_style(picture) for picture in pictures()]
    groups = cluster_codes(codes, 2)
    assert [members for _, members in groups] == [[0, 1, 2, 3, 4], [5, 6, 7]]
    blue, red = PIPE.encode_collection(pictures(), clusters=2, name="c")
    torch.testing.assert_close(blue.vector, StyleCode.mix(codes[:5]).vector)
    torch.testing.assert_close(red.tokens, StyleCode.mix(codes[5:]).tokens)
    assert (blue.name, red.name) == ("c 1", "c 2")


def test_as_many_clusters_as_pictures_gives_them_back() -> None:
    codes = [PIPE.encode_style(picture) for picture in pictures()]
    groups = cluster_codes(codes, len(codes))
    assert sorted(i for _, members in groups for i in members) == list(range(8))
    assert len(groups) == 8


def test_a_picture_unlike_all_others_is_no_group_before_they_are_told_apart() -> None:
    noise = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(1)).round()
    codes = [PIPE.encode_style(picture) for picture in [*pictures(), noise]]
    groups = [set(members) - {8} for _, members in cluster_codes(codes, 2)]
    assert groups == [{0, 1, 2, 3, 4}, {5, 6, 7}]


def test_equal_pictures_make_one_group() -> None:
    codes = PIPE.encode_collection([pictures()[0]] * 4, clusters=3)
    assert len(codes) == 1
    assert codes[0].metadata["pictures"] == "4"


def test_a_folder_and_a_data_set_are_collections(tmp_path: Path) -> None:
    for index, picture in enumerate(pictures()):
        image = Image.fromarray((picture.permute(1, 2, 0).numpy() * 255).astype("uint8"))
        image.save(tmp_path / f"{index}.png")
    (of_folder,) = PIPE.encode_collection(tmp_path)
    rows = [{"image": Image.open(file), "label": 1} for file in sorted(tmp_path.iterdir())]
    (of_rows,) = PIPE.encode_collection(rows)
    torch.testing.assert_close(of_folder.vector, of_rows.vector)
    assert of_folder.name == tmp_path.name


def test_pictures_that_cannot_be_used_are_named_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, other = pictures()[0], pictures()[-1]
    (tmp_path / "notes.jpg").write_text("these are notes")
    (tmp_path / "damaged.safetensors").write_bytes(b"nothing")
    bad = [tmp_path / "notes.jpg", tmp_path / "damaged.safetensors", tmp_path / "absent.png"]
    (mean,) = PIPE.encode_collection([bad[0], good, *bad[1:], torch.zeros(5), other])
    (alone,) = PIPE.encode_collection([good, other])
    torch.testing.assert_close(mean.vector, alone.vector)
    assert mean.metadata["pictures"] == "2"
    assert "4 pictures that cannot be used are left out" in caplog.text
    for name in ("notes.jpg", "damaged.safetensors", "absent.png", "picture[4]"):
        assert name in caplog.text
    with pytest.raises(ImageError, match=r"none of the 3 pictures can be used.*notes\.jpg"):
        PIPE.encode_collection(bad)
    with pytest.raises(ImageError, match=r"^\S*absent\.png"):
        PIPE.encode_collection(bad[2:])
    with pytest.raises(ValueError, match="style_size"):
        PIPE.encode_collection(bad, style_size=1)


def test_bad_collections_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no pictures"):
        PIPE.encode_collection(tmp_path)
    with pytest.raises(ImageError, match="does not exist"):
        PIPE.encode_collection(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="clusters is 9"):
        PIPE.encode_collection(pictures(), clusters=9)
    with pytest.raises(ValueError, match="no 'image'"):
        PIPE.encode_collection([{"photo": pictures()[0]}])


def test_a_contact_sheet_has_a_cell_for_each_picture() -> None:
    tiles = [Image.new("RGB", (80, 40), colour) for colour in ("red", "lime", "blue")]
    sheet = contact_sheet(tiles, ["one", "two", "a title that is far too long"], columns=2, side=60)
    assert sheet.width == 2 * 70 + 10
    assert sheet.getpixel((40, 20)) == (255, 0, 0)
    assert sheet.getpixel((110, 20)) == (0, 255, 0)
    assert sheet.getpixel((40, 20 + 62)) == (0, 0, 255)
    with pytest.raises(ValueError, match="3 pictures and 1 titles"):
        contact_sheet(tiles, ["one"])
