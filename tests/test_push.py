"""What goes to the Hub (`hfstyle push`, `hfstyle push-style`), and how it comes back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hub_server import HubServer
from huggingface_hub import ModelCard, constants
from small_model import small_generator

from hfstyle import StyleCode, StyleTransferPipeline
from hfstyle.cli import main
from hfstyle.models.discriminator import StyleDiscriminator
from hfstyle.styles.code_file import StyleCodeError
from hfstyle.styles.listed import PACK_FILE
from hfstyle.styles.pack import packed, read_pack

REPO = "someone/brushes"
TOKEN = "hf_writer"


def waves(seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (70, 80, 3), np.uint8)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small model with a discriminator and three styles."""
    pipe = StyleTransferPipeline(small_generator())
    pipe.presets = {
        name: pipe.encode_style(waves(i), name=name, metadata={"artist": "Nobody"})
        for i, name in enumerate("abc")
    }
    pipe.save_pretrained(tmp_path / "model")
    width = pipe.generator.encoder.vector_width
    StyleDiscriminator(style_width=width).save_pretrained(tmp_path / "model" / "discriminator")
    (tmp_path / "model" / "log.jsonl").write_text("private")
    return tmp_path / "model"


@pytest.fixture
def writable(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    hub.writer = TOKEN
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return hub


def test_a_pushed_model_comes_back_in_a_dozen_requests(
    writable: HubServer, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = {
        "pairs": 4, "size": 512, "labels": {"lpips": "LPIPS"},
        "results": [{"strength": 1.0, "metrics": {"lpips": 0.51}}],
    }  # fmt: skip
    (tmp_path / "m.json").write_text(json.dumps(measured))
    arguments = [
        "push",
        str(model),
        "--repo-id",
        REPO,
        "--licence",
        "cc-by-4.0",
        "--dataset",
        "someone/art",
    ]
    assert main([*arguments, "--evaluation", str(tmp_path / "m.json"), "--yes"]) == 0
    out = capsys.readouterr().out
    assert "styles/ (3 styles)" in out
    assert "license: cc-by-4.0" in out
    assert out.endswith(f"{writable.url}/{REPO}\n")

    writable.requests.clear()
    pipe = StyleTransferPipeline.from_pretrained(REPO)
    assert len(writable.requests) <= 16
    assert not any("/styles/" in request for request in writable.requests)
    here = StyleTransferPipeline.from_pretrained(model)
    assert list(pipe.presets) == ["a", "b", "c"]
    assert (pipe.presets["b"].vector == here.presets["b"].vector).all()
    assert pipe.presets["b"].metadata["artist"] == "Nobody"
    assert list(StyleTransferPipeline.from_pretrained(REPO, local_files_only=True).presets) == ["a", "b", "c"]  # fmt: skip
    assert StyleCode.from_pretrained(REPO, "c").name == "c"

    card = ModelCard.load(REPO)
    assert card.data.license == "cc-by-4.0"
    assert card.data.library_name == "hfstyle"
    assert card.data.datasets == ["someone/art"]
    assert card.data.eval_results[0].metric_value == 0.51
    assert "How to cite" in card.text
    assert f'from_pretrained("{REPO}")' in card.text
    files = writable._repositories[REPO].commits[writable._repositories[REPO].names["main"]]
    assert "log.jsonl" not in files


def test_nothing_is_uploaded_before_it_was_seen(
    writable: HubServer, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", str(model), "--repo-id", REPO, "--dry-run"]) == 0
    assert "model.safetensors" in capsys.readouterr().out
    assert main(["push", str(model), "--repo-id", REPO]) == 2  # nobody at the terminal
    assert "--yes" in capsys.readouterr().err
    assert not writable.requests


def test_a_private_model_is_for_its_owner(
    writable: HubServer, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["push", str(model), "--repo-id", REPO, "--private", "--yes"]) == 0
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(OSError, match=REPO):
        StyleTransferPipeline.from_pretrained(REPO, token=False)
    StyleTransferPipeline.from_pretrained(REPO, token=TOKEN)


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("reader", "the token may not write there"),
        ("nobody", "there is no token; log in with `hf auth login`"),
        ("name", "no id like user/model"),
        ("offline", "HF_HUB_OFFLINE"),
        ("broken", "not a whole safetensors file"),
    ],
)
def test_what_is_wrong_with_an_upload_is_one_sentence(
    writable: HubServer,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    trouble: str,
    said: str,
) -> None:
    if trouble == "reader":
        monkeypatch.setenv("HF_TOKEN", "hf_reader")
    if trouble == "nobody":
        monkeypatch.delenv("HF_TOKEN")
    if trouble == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    if trouble == "closed":
        writable.close()
    if trouble == "broken":
        whole = (model / "model.safetensors").read_bytes()
        (model / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    repo = "a b/c" if trouble == "name" else REPO
    folder = "nowhere" if trouble == "absent" else str(model)
    assert main(["push", folder, "--repo-id", repo, "--yes"]) in (1, 2)
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1


def test_styles_are_shared_with_title_artist_and_licence(
    writable: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = StyleTransferPipeline(small_generator())
    about = {"title": "Waves", "artist": "Me", "licence": "cc0-1.0"}
    for number, name in enumerate(("sea", "hills")):
        code = pipe.encode_style(waves(number), name=name, metadata=about if number == 0 else {})
        code.save(tmp_path / f"{name}.style.safetensors")
    push = ["push-style", "--repo-id", "someone/styles", "--yes"]
    assert main([*push, str(tmp_path / "sea.style.safetensors")]) == 0
    assert main([*push, str(tmp_path / "hills.style.safetensors")]) == 0  # beside the first
    capsys.readouterr()
    assert main(["styles", "--repo", "someone/styles"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows == [["NAME", "TITLE", "ARTIST", "LICENCE"], ["hills"], ["sea", "Waves", "Me", "cc0-1.0"]]  # fmt: skip
    assert main(["styles", "--repo", str(tmp_path), "--json"]) == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)} == {"sea", "hills"}
    assert main(["styles", "--repo", "someone/nothing"]) == 1
    assert "someone/nothing" in capsys.readouterr().err
    assert main([*push, str(tmp_path / "absent.safetensors")]) == 1


def test_an_interrupted_download_goes_on_where_it_broke_off(
    writable: HubServer, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = (model / "model.safetensors").read_bytes()
    writable.add(REPO, model)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # bytes that are kept at once
    writable.cut("model.safetensors", 2500, times=1)
    StyleTransferPipeline.from_pretrained(REPO)
    assert writable.ranges == [2000]
    cached = next(Path(constants.HF_HUB_CACHE).rglob("model.safetensors"))
    assert cached.read_bytes() == weights


def test_a_pack_is_whole_or_told(tmp_path: Path) -> None:
    pipe = StyleTransferPipeline(small_generator())
    codes = {"a": pipe.encode_style(waves())}
    (tmp_path / PACK_FILE).write_bytes(packed(codes))
    assert (read_pack(tmp_path / PACK_FILE)["a"].tokens == codes["a"].tokens).all()
    whole = (tmp_path / PACK_FILE).read_bytes()
    (tmp_path / PACK_FILE).write_bytes(whole[:-9])
    with pytest.raises(StyleCodeError, match="damaged"):
        read_pack(tmp_path / PACK_FILE)
    with pytest.raises(StyleCodeError, match="0 styles"):
        packed({})


def test_what_is_nowhere_is_said_once(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By each command that reads a model, networks or data from the Hub, nobody being there."""
    from hfstyle.images.sources import open_source
    from training.data.sources import DataError, open_pictures

    hub.close()
    for name in ("content", "style"):
        (tmp_path / name).mkdir()
    networks = ["--contents", str(tmp_path), "--styles", str(tmp_path), "--outputs", str(tmp_path)]
    for arguments in (
        ["benchmark", "--model", "someone/absent", "--sizes", "64", "-q"],
        ["evaluate", *networks, "--networks", "someone/absent"],
    ):
        assert main(arguments) == 1
        captured = capsys.readouterr()
        assert not captured.out
        assert len(captured.err.splitlines()) == 1
        assert "could not be reached" in captured.err
    with pytest.raises(ValueError, match=r"someone/absent .*could not be reached"):
        open_source("someone/absent", split="train", image_column="image", revision=None)
    with pytest.raises(DataError, match="--content_data_dir"):
        open_pictures("nofolder/")


def test_styles_in_one_file_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from hfstyle.cli import main

    pipe = StyleTransferPipeline(small_generator())
    pipe.save_pretrained(tmp_path / "model")
    shutil.rmtree(tmp_path / "model" / "styles", ignore_errors=True)
    (tmp_path / "model" / PACK_FILE).write_bytes(packed({"a_wave": pipe.encode_style(waves())}))
    assert main(["styles", "--model", str(tmp_path / "model")]) == 0
    assert "a_wave" in capsys.readouterr().out
