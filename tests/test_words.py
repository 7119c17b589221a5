"""Styles by words: an index of labels and looks, and how queries are understood."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import pytest
import torch
from hub_server import HubServer
from PIL import Image
from small_model import small_generator
from torch import Tensor

from hfstyle import StyleTransferPipeline
from hfstyle.images import ImageError
from hfstyle.styles import words
from hfstyle.styles.lexicon import label_words, words_of
from hfstyle.styles.palette import picture_words
from hfstyle.styles.space import StyleSpace
from hfstyle.styles.text_encoders import load_text_encoder
from hfstyle.styles.words import WordIndex

PIPE = StyleTransferPipeline(small_generator())
MOVEMENTS = ("Cubism", "Ukiyo-e", "ArtNouveau(Modern)", "roman mosaic")


def _codes() -> tuple[list, list[dict[str, str]]]:  # type: ignore[type-arg]
    """Six pictures of a colour of its own for each movement."""
    made, about = [], []
    random = torch.Generator().manual_seed(0)
    for number, movement in enumerate(MOVEMENTS):
        base = torch.rand(3, 1, 1, generator=random)
        for copy in range(6):
            picture = (base + 0.1 * torch.rand(3, 64, 64, generator=random)).clamp(0, 1)
            made.append(PIPE.encode_style(picture, name=f"{number}_{copy}"))
            about.append(
                {
                    "movement": movement,
                    "artist": f"Painter{'abcd'[number]} Smith",
                    "title": "a quiet lake" if copy < 3 else "the old bridge",
                    "words": "blue dark" if copy % 2 else "red pale",
                }
            )
    return made, about


CODES, ABOUT = _codes()
SPACE = StyleSpace.fit(CODES, ABOUT)
INDEX = WordIndex(SPACE, {})


def movement(match: words.StyleMatch) -> str:
    return match.code.metadata["movement"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a cubist portrait", "Cubism"),
        ("cubizm", "Cubism"),
        ("japanese woodblock print", "Ukiyo-e"),
        ("roman tiles", "roman mosaic"),
        ("by painterd", "roman mosaic"),
    ],
)
def test_movements_are_found_by_their_names_and_what_goes_with_them(
    text: str, expected: str
) -> None:
    matches = INDEX.find(text, k=3)
    assert [movement(match) for match in matches] == [expected] * 3
    assert matches[0].score >= matches[1].score >= matches[2].score > 0
    assert matches[0].score <= 1


def test_palette_and_title_decide_among_the_pictures_of_a_movement() -> None:
    best = INDEX.find("a dark blue cubist lake", k=1)[0]
    assert movement(best) == "Cubism"
    assert dict(best.matched) == {
        "dark": "dark",
        "blue": "blue",
        "cubist": "cubist",
        "lake": "lake",
    }
    assert best.name == "a quiet lake (Paintera Smith)"


def test_a_colour_that_is_named_counts_though_many_have_it() -> None:
    about = [
        {**entry, "title": "ships in a storm" if index in (0, 2) else entry["title"]}
        for index, entry in enumerate(ABOUT)
    ]
    index = WordIndex(StyleSpace.fit(CODES, about), {})
    assert all("blue" in match.matched for match in index.find("ships in a storm, in blue", k=5))
    assert "storm" in index.find("a stormy day", k=1)[0].matched.values()


def test_what_a_word_was_taken_for_is_shown() -> None:
    matched = INDEX.find("gloomy navy cubizm", k=1)[0].matched
    assert matched["gloomy"] == "dark"
    assert matched["navy"] == "blue"
    assert matched["cubizm"].startswith("cubis")
    code = INDEX.blend("gloomy cubism")
    assert "gloomy = dark" in code.metadata["matched"]
    assert "Paintera" in code.metadata["found"]


def test_unknown_words_alone_are_an_error_that_names_known_ones() -> None:
    with pytest.raises(ValueError, match=r"none of the words of 'zzz qqq' is known.*as .*lake"):
        INDEX.find("zzz qqq")
    assert INDEX.find("zzz cubism", k=1)[0].matched.keys() == {"cubism"}
    for text in ("", "the of a", "  ", "12 34", "no, my yes"):
        with pytest.raises(ValueError, match="none of the words"):
            INDEX.find(text)
    with pytest.raises(ValueError, match="k is 0"):
        INDEX.find("cubism", k=0)


def test_an_encoder_finds_the_nearest_in_meaning() -> None:
    def encoder(texts: Sequence[str]) -> Tensor:
        """A car is near to a bridge; nothing else is near to anything."""
        vectors = torch.eye(64)[[crc32(text.encode()) % 60 for text in texts]]
        for row, text in enumerate(texts):
            if text in ("car", "bridge"):
                vectors[row] = torch.eye(64)[63]
        return vectors

    index = WordIndex(SPACE, {}, encoder)
    best = index.find("car", k=1)[0]
    assert dict(best.matched) == {"car": "bridge"}
    assert "bridge" in best.name


def test_presets_are_found_too_and_have_their_own_code() -> None:
    preset = PIPE.encode_style(
        torch.rand(3, 64, 64), name="p", metadata={"movement": "Fauvism", "artist": "Henri Matisse"}
    )
    index = WordIndex(SPACE, {"hat": preset})
    best = index.find("henri matisse", k=1)[0]
    assert best.name == "hat"
    assert best.code is preset


def test_a_blend_lies_among_its_movement() -> None:
    code = INDEX.blend("cubism")
    near = [SPACE.about[index]["movement"] for index, _ in SPACE.nearest(code, k=5)]
    assert near.count("Cubism") >= 4


def test_the_pipeline_takes_words_as_a_style() -> None:
    presets = {}
    for code, about in zip(CODES[::6], ABOUT[::6], strict=True):
        presets[about["movement"]] = PIPE.encode_style(
            torch.rand(3, 64, 64), name=code.name, metadata=about
        )
    pipe = StyleTransferPipeline(PIPE.generator, presets)
    photo = torch.rand(3, 32, 48)
    painted = pipe(photo, "words:a cubist portrait", output_type="pt").images[0]
    best = pipe.find_styles("a cubist portrait", k=1)[0]
    assert best.name == "Cubism"
    expected = pipe(photo, pipe.style_of_words("a cubist portrait"), output_type="pt").images[0]
    assert torch.equal(painted, expected)
    assert torch.equal(pipe(photo, "a cubist portrait", output_type="pt").images[0], expected)
    with pytest.raises(ValueError, match="none of the words"):
        pipe(photo, "words:zzz", output_type="pt")


def test_a_name_is_a_preset_before_a_file_and_a_file_before_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    about = {"movement": "Cubism"}
    presets = {
        name: PIPE.encode_style(torch.rand(3, 64, 64), name=name, metadata=about)
        for name in ("blue_cubes", "blue cubes")
    }
    pipe = StyleTransferPipeline(PIPE.generator, presets)
    photo = torch.rand(3, 32, 48)
    for name, code in presets.items():
        named, expected = (pipe(photo, x, output_type="pt").images[0] for x in (name, code))
        assert torch.equal(named, expected)
    with pytest.raises(ImageError, match=r"is not a file, and no preset .* did you mean: blue_c"):
        pipe(photo, "blue_cube", output_type="pt")
    for absent in ("blue_cube.png", "folder/blue cubes"):
        with pytest.raises(ImageError, match="no such file; check the path"):
            pipe(photo, absent, output_type="pt")
    for name in ("blue_cubes", "a cubist portrait"):
        Image.new("RGB", (64, 64), "red").save(name, "PNG")
    assert torch.equal(pipe.encode_style("blue_cubes").vector, presets["blue_cubes"].vector)
    red = pipe.encode_style(Image.new("RGB", (64, 64), "red"))
    assert torch.equal(pipe.encode_style("a cubist portrait").vector, red.vector)


@pytest.mark.parametrize("text", ["blue cubez", "Blue Cubes"])
def test_a_mistyped_preset_of_two_words_is_not_painted_as_words(text: str) -> None:
    code = PIPE.encode_style(torch.rand(3, 64, 64), metadata={"movement": "Cubism"})
    pipe = StyleTransferPipeline(PIPE.generator, {"blue_cubes": code, "other": code})
    with pytest.raises(ImageError, match=r"did you mean: blue_cubes\? A style by words is 'words:"):
        pipe(torch.rand(3, 32, 48), text)
    pipe.encode_style(f"words:{text}")


@pytest.mark.parametrize("text", ["starry nigth", "the great wav", "Gustave Klimt"])
def test_words_that_are_nearly_some_of_a_preset_are_not_painted_as_words(text: str) -> None:
    code = PIPE.encode_style(torch.rand(3, 64, 64), metadata={"movement": "Cubism"})
    names = ("starry_night_van_gogh", "great_wave_hokusai", "gustav_klimt")
    pipe = StyleTransferPipeline(PIPE.generator, dict.fromkeys(names, code))
    with pytest.raises(ImageError, match=r"did you mean: (starry_n|great_w|gustav_k)\w+\? A style"):
        pipe(torch.rand(3, 32, 48), text)
    for phrase in ("a starry cubist night", "starry night", "great cubism"):
        pipe.encode_style(phrase)  # no mistake, as far as one can know


# --- encoders


def test_letters_need_no_package() -> None:
    assert load_text_encoder("letters") is None


def test_wordllama_works_offline() -> None:
    pytest.importorskip("wordllama")
    encoder = load_text_encoder("wordllama")
    assert encoder is not None
    vectors = encoder(["cubist", "cubism", "waterfall"])
    assert vectors.shape[0] == 3
    near, far = (torch.cosine_similarity(vectors[0], vectors[i], dim=0) for i in (1, 2))
    assert near > far + 0.2


def test_a_clip_model_without_transformers_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'hfstyle\[clip\]'"):
        load_text_encoder("user/clip")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a CLIP text tower with random weights, and letters for tokens."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("clip")
    letters = [chr(code) for code in range(33, 127)]
    tokens = [
        *letters,
        *(f"{letter}</w>" for letter in letters),
        "<|startoftext|>",
        "<|endoftext|>",
    ]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=32
    )
    tokenizer.save_pretrained(folder)
    config = transformers.CLIPTextConfig(
        vocab_size=len(tokens),
        hidden_size=16,
        intermediate_size=32,
        projection_dim=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=32,
        bos_token_id=len(tokens) - 2,
        eos_token_id=len(tokens) - 1,
    )
    torch.manual_seed(0)
    transformers.CLIPTextModelWithProjection(config).save_pretrained(folder)
    return folder


def test_a_clip_text_tower_makes_vectors_of_texts(clip: Path) -> None:
    encoder = load_text_encoder(str(clip))
    assert encoder is not None
    vectors = encoder(["cubism", "a blue car", "a" * 300])
    assert vectors.shape == (3, 8)
    assert not vectors.requires_grad
    # Padding beside longer texts changes nothing.
    torch.testing.assert_close(encoder(["cubism"]), vectors[:1], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(vectors[0], vectors[1], atol=1e-3)


def test_the_pipeline_searches_by_a_clip_model(clip: Path) -> None:
    presets = {
        about["movement"]: PIPE.encode_style(torch.rand(3, 64, 64), metadata=about)
        for about in ABOUT[::6]
    }
    pipe = StyleTransferPipeline(PIPE.generator, presets)
    found = pipe.find_styles("zzzz", k=1, encoder=str(clip))[0]
    ((word, term),) = found.matched.items()
    assert word == "zzzz"
    assert term in WordIndex(pipe.style_space.without_paintings(), presets).vocabulary
    code = pipe.style_of_words("zzzz", encoder=str(clip))
    assert code.metadata["matched"] == f"zzzz = {term}"


@pytest.mark.slow
def test_a_clip_model_of_the_hub_works_offline_once_it_is_there(clip: Path, tmp_path: Path) -> None:
    """In processes of their own, since transformers looks at the environment when it is imported."""
    texts = ["cubism", "a blue car"]
    code = (
        "import json, sys\nfrom hfstyle.styles.text_encoders import load_text_encoder\n"
        f"print(json.dumps(load_text_encoder('someone/clip')({texts}).tolist()))"
    )
    environment = os.environ | {
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "0",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
    }

    def vectors() -> Tensor:
        run = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr
        return torch.tensor(json.loads(run.stdout))

    with HubServer() as server:
        server.add("someone/clip", clip)
        environment["HF_ENDPOINT"] = server.url
        online = vectors()
        assert server.downloads("model.safetensors") == 1
    environment["HF_HUB_OFFLINE"] = "1"
    offline = vectors()
    assert torch.equal(offline, online)
    encoder = load_text_encoder(str(clip))
    assert encoder is not None
    torch.testing.assert_close(online, encoder(texts), atol=1e-5, rtol=1e-4)


def test_what_is_no_clip_model_is_named(clip: Path, tmp_path: Path) -> None:
    import transformers

    with pytest.raises(OSError, match=r"nowhere' cannot be used as a CLIP text encoder"):
        load_text_encoder(str(tmp_path / "nowhere"))
    with pytest.raises(OSError, match="cannot be used as a CLIP text encoder"):
        load_text_encoder(str(tmp_path))
    # A text tower without its projection, as diffusion models have, would get a random one.
    config = transformers.CLIPTextConfig.from_pretrained(clip)
    for file in clip.iterdir():
        if "token" in file.name or file.suffix == ".txt":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    transformers.CLIPTextModel(config).save_pretrained(tmp_path)
    with pytest.raises(OSError, match=r"it lacks text_projection"):
        load_text_encoder(str(tmp_path))


# --- words


def test_words_of_labels() -> None:
    names, about = label_words("ArtNouveau(Modern)")
    assert {"art-nouveau", "nouveau"} <= set(names)
    assert "poster" in about
    assert "ukiyo-e" in label_words("Ukiyo-e")[0]
    assert "pointillism" in label_words("Divisionism")[1]
    assert words_of("The Fern-Harvesters of a Wood, 1899") == ["fern-harvesters", "wood"]


def flat(*rgb: float) -> Tensor:
    return torch.tensor(rgb)[:, None, None].expand(3, 200, 240).contiguous()


@pytest.mark.parametrize(
    ("picture", "expected", "absent"),
    [
        (flat(0.8, 0.05, 0.05), {"red", "vivid", "warm"}, {"cool", "pale"}),
        (flat(0.1, 0.15, 0.5), {"blue", "cool", "dark"}, {"warm"}),
        (flat(0.35, 0.2, 0.1), {"brown", "warm"}, {"gold"}),
    ],
    ids=["red", "blue", "brown"],
)
def test_words_of_pictures(picture: Tensor, expected: set[str], absent: set[str]) -> None:
    found = set(picture_words(picture))
    assert expected <= found
    assert not absent & found
