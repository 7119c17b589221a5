"""StyleCode: save, load, mix, move."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from hfstyle import StyleCode, StyleCodeError

ENCODER = "0123456789abcdef"


def make(seed: int = 0, encoder: str = ENCODER, name: str = "wave", **metadata: str) -> StyleCode:
    generator = torch.Generator().manual_seed(seed)
    return StyleCode(
        torch.randn(8, generator=generator),
        torch.randn(4, 6, generator=generator),
        encoder,
        name,
        metadata,
    )


def assert_same(a: StyleCode, b: StyleCode) -> None:
    assert torch.equal(a.vector, b.vector)
    assert torch.equal(a.tokens, b.tokens)
    assert a.encoder == b.encoder


def test_tensors_are_kept_as_float32_on_the_cpu_without_a_gradient() -> None:
    weight = torch.ones(3, dtype=torch.float64, requires_grad=True)
    code = StyleCode(weight * 2, torch.ones(2, 2, dtype=torch.bfloat16), ENCODER)
    assert code.vector.dtype == code.tokens.dtype == torch.float32
    assert not code.vector.requires_grad


@pytest.mark.parametrize(
    ("vector", "tokens", "names"),
    [
        (torch.ones(1, 8), torch.ones(4, 6), r"vector .*\(D,\).*\(1, 8\)"),
        (torch.ones(8), torch.ones(1, 4, 6), r"tokens .*\(T, E\).*\(1, 4, 6\)"),
        (torch.ones(8, dtype=torch.int64), torch.ones(4, 6), "int64"),
    ],
)
def test_tensors_that_are_no_condition_are_refused(
    vector: torch.Tensor, tokens: torch.Tensor, names: str
) -> None:
    with pytest.raises(StyleCodeError, match=names):
        StyleCode(vector, tokens, ENCODER)


def test_a_code_must_say_which_encoder_made_it() -> None:
    with pytest.raises(StyleCodeError, match="encoder"):
        StyleCode(torch.ones(2), torch.ones(2, 2), "")


def test_the_caller_s_metadata_can_change_without_changing_the_code() -> None:
    metadata = {"artist": "Hokusai"}
    code = StyleCode(torch.ones(2), torch.ones(2, 2), ENCODER, "wave", metadata)
    metadata["artist"] = "nobody"
    assert code.metadata == {"artist": "Hokusai"}


def test_what_is_saved_is_loaded_again_to_the_last_bit(tmp_path: Path) -> None:
    code = make(name="Große Welle · 波", artist="葛飾北斎", year="1831", encoder="f" * 16)
    path = tmp_path / "new" / "folder" / "wave.style.safetensors"
    code.save(path)
    loaded = StyleCode.load(path, "f" * 16)
    assert_same(code, loaded)
    assert loaded.name == code.name
    assert loaded.metadata == code.metadata


def test_saving_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    make(0).save(path)
    make(1).save(path)
    assert_same(StyleCode.load(path), make(1))
    assert list(tmp_path.iterdir()) == [path]


def test_codes_that_are_views_of_one_batch_can_be_saved(tmp_path: Path) -> None:
    memory = torch.arange(48.0)
    StyleCode(memory[:8], memory.view(8, 6), ENCODER).save(tmp_path / "a.safetensors")
    assert StyleCode.load(tmp_path / "a.safetensors").tokens.shape == (8, 6)


def test_a_code_file_must_be_named_safetensors(tmp_path: Path) -> None:
    with pytest.raises(StyleCodeError, match=r"wave\.png.*safetensors"):
        make().save(tmp_path / "wave.png")
    assert not list(tmp_path.iterdir())


def test_a_code_of_another_encoder_says_which_one_made_it_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "wave.safetensors"
    make(encoder="a" * 16).save(path)
    with pytest.raises(StyleCodeError, match=r"wave.*a{16}.*b{16}.*encode its picture again"):
        StyleCode.load(path, "b" * 16)
    assert StyleCode.load(path).encoder == "a" * 16


def test_files_that_are_no_style_code_are_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.safetensors"
    model = tmp_path / "model.safetensors"
    save_file({"weight": torch.ones(2)}, model)
    text = tmp_path / "text.safetensors"
    text.write_text("not a style")
    empty = tmp_path / "empty.safetensors"
    empty.touch()
    for path, says in [
        (missing, "no such"),
        (tmp_path, "not a file"),
        (model, "not a style code.*hfstyle encode"),
        (text, "damaged"),
        (empty, "damaged"),
    ]:
        with pytest.raises(StyleCodeError, match=f"{path}.*{says}"):
            StyleCode.load(path)


@pytest.mark.parametrize("cut", [1, 300])
def test_a_truncated_file_is_an_error_that_names_it(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "wave.safetensors"
    make().save(path)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(StyleCodeError, match=r"wave\.safetensors is damaged"):
        StyleCode.load(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format_version": "2"}, "format 2.*upgrade"),
        ({"metadata": "[1]"}, "damaged"),
        ({"encoder": None}, "damaged.*encoder"),
    ],
)
def test_a_wrong_header_is_an_error_that_names_the_file(
    tmp_path: Path, change: dict[str, str | None], says: str
) -> None:
    header: dict[str, str | None] = {
        "format": "hfstyle.style_code",
        "format_version": "1",
        "encoder": ENCODER,
        "metadata": json.dumps({}),
    }
    header |= change
    path = tmp_path / "a.safetensors"
    tensors = {"vector": torch.ones(2), "tokens": torch.ones(2, 2)}
    save_file(tensors, path, {k: v for k, v in header.items() if v is not None})
    with pytest.raises(StyleCodeError, match=rf"a\.safetensors.*{says}"):
        StyleCode.load(path)


def test_a_file_without_tokens_or_with_nan_is_an_error_that_names_it(tmp_path: Path) -> None:
    header = {"format": "hfstyle.style_code", "format_version": "1", "encoder": ENCODER}
    path = tmp_path / "a.safetensors"
    save_file({"vector": torch.ones(2)}, path, header)
    with pytest.raises(StyleCodeError, match=r"a\.safetensors.*tokens"):
        StyleCode.load(path)
    nan = torch.full((2, 2), float("nan"))
    save_file({"vector": torch.ones(2), "tokens": nan}, path, header)
    with pytest.raises(StyleCodeError, match=r"a\.safetensors.*not finite"):
        StyleCode.load(path)


def test_a_mixture_is_the_weighted_mean() -> None:
    a, b = make(0), make(1)
    mixture = StyleCode.mix([a, b], [1, 3])
    torch.testing.assert_close(mixture.vector, 0.25 * a.vector + 0.75 * b.vector)
    torch.testing.assert_close(mixture.tokens, 0.25 * a.tokens + 0.75 * b.tokens)
    assert mixture.encoder == ENCODER


@given(
    weights=st.lists(st.just(0.0) | st.floats(1e-30, 1e30), min_size=1, max_size=5).filter(
        lambda w: max(w) > 0
    ),
    factor=st.floats(1e-6, 1e6),
)
def test_only_the_proportions_of_weights_matter(weights: list[float], factor: float) -> None:
    codes = [make(seed) for seed in range(len(weights))]
    first = StyleCode.mix(codes, weights)
    second = StyleCode.mix(codes, [weight * factor for weight in weights])
    torch.testing.assert_close(first.vector, second.vector)
    low = torch.stack([code.vector for code in codes]).amin(0)
    high = torch.stack([code.vector for code in codes]).amax(0)
    assert ((first.vector >= low - 1e-6) & (first.vector <= high + 1e-6)).all()


def test_without_weights_all_styles_count_alike() -> None:
    codes = [make(seed) for seed in range(3)]
    mean = torch.stack([code.vector for code in codes]).mean(0)
    torch.testing.assert_close(StyleCode.mix(codes).vector, mean)


@pytest.mark.parametrize("weights", [[1e-3, 0], [0.3, 0.7]])
def test_a_mixture_of_one_style_alone_is_that_style(weights: list[float]) -> None:
    a = make(0)
    other = make(1) if weights[1] == 0 else make(0)
    assert_same(StyleCode.mix([a, other], weights), a)


def test_a_mixture_is_named_after_its_parts_unless_told() -> None:
    codes = [make(0, name="wave"), make(1, name="cafe"), make(2, name="unused")]
    assert StyleCode.mix(codes, [3, 1, 0]).name == "75% wave + 25% cafe"
    assert StyleCode.mix(codes, [3, 1, 0], name="mine").name == "mine"
    assert StyleCode.mix(codes[:1]).name == "wave"


def test_a_mixture_keeps_the_metadata_that_its_parts_agree_on() -> None:
    codes = [
        make(0, artist="Hokusai", licence="public domain"),
        make(1, artist="Van Gogh", licence="public domain"),
        make(2, licence="CC-BY"),
    ]
    assert StyleCode.mix(codes[:2]).metadata == {"licence": "public domain"}
    assert StyleCode.mix(codes).metadata == {}
    assert StyleCode.mix(codes, [1, 1, 0]).metadata == {"licence": "public domain"}


@pytest.mark.parametrize(
    ("weights", "says"),
    [([1.0, -0.5], "weight 1 is -0.5"), ([0.0, 0.0], "all zero")],
)
def test_weights_that_are_no_proportions_are_refused(weights: list[float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        StyleCode.mix([make(0), make(1)], weights)


def test_styles_of_different_encoders_cannot_be_mixed() -> None:
    with pytest.raises(StyleCodeError, match=r"wave.*cafe.*different encoders"):
        StyleCode.mix([make(0), make(1, encoder="b" * 16, name="cafe")])
    larger = StyleCode(torch.ones(9), torch.ones(4, 6), ENCODER, "large")
    with pytest.raises(StyleCodeError, match=r"large.*shape.*\(8,\).*\(9,\)"):
        StyleCode.mix([make(0), larger])
    with pytest.raises(StyleCodeError, match="empty"):
        StyleCode.mix([])


def test_a_step_goes_straight_from_one_style_to_the_other() -> None:
    a, b = make(0, name="wave"), make(1, name="cafe")
    assert_same(a.toward(b, 0), a)
    assert_same(a.toward(b, 1), b)
    torch.testing.assert_close(a.toward(b, 0.25).tokens, 0.75 * a.tokens + 0.25 * b.tokens)
    torch.testing.assert_close(a.toward(b, 2).vector, 2 * b.vector - a.vector)
    assert a.toward(b, 0.25).name == "wave +25% toward cafe"
    assert a.toward(b, 0.25, name="x").name == "x"


def test_a_step_that_is_not_finite_or_to_another_encoder_is_refused() -> None:
    with pytest.raises(ValueError, match="nan"):
        make(0).toward(make(1), float("nan"))
    with pytest.raises(StyleCodeError, match="different encoders"):
        make(0).toward(make(1, encoder="b" * 16), 0.5)


def test_a_condition_repeats_the_style_for_each_picture_of_a_batch() -> None:
    code = make()
    condition = code.to_condition(3, "cpu", torch.bfloat16)
    assert condition.vector.shape == (3, 8)
    assert condition.tokens.shape == (3, 4, 6)
    assert condition.tokens.dtype == torch.bfloat16
    assert torch.equal(code.to_condition(2).tokens[1], code.tokens)


def test_a_web_address_of_a_style_code_is_called_by_its_name() -> None:
    address = "https://example.org/a.style.safetensors"
    for source in (address, Path(address)):
        with pytest.raises(StyleCodeError, match=f"^{address} is a web address; download"):
            StyleCode.load(source)
