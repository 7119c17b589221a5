"""The documents say what is so: their commands parse, their Python runs, their links lead somewhere."""

from __future__ import annotations

import inspect
import re
import shlex
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from PIL import Image

from hfstyle import StyleDiscriminator, StyleGenerator, StyleTransferPipeline
from hfstyle.batch.__main__ import _parser as batch_parser
from hfstyle.cli.program import _parser
from hfstyle.models.hub import default_model_path
from training.game.weights import WEIGHTS
from training.publish import control_figures, figures
from training.publish.drawing import architecture
from training.run.arguments import parse_args

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CARD = (ROOT / "model_card.md").read_text(encoding="utf-8")
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (
        ROOT / "README.md",
        ROOT / "model_card.md",
        *sorted((ROOT / "hfstyle" / "guides").glob("*.md")),
        ROOT / "training" / "README.md",
        ROOT / "training" / "LOG.md",
    )
}
TEXT = "\n".join(PAGES.values())
FIGURES = ROOT / "training" / "figures"
HAS_WEIGHTS = (default_model_path() / "model.safetensors").is_file()
PRESETS = sorted(set(re.findall(r"\b(?:starry_night|great_wave)_\w+", TEXT)))


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def _commands() -> Iterator[list[str]]:
    """Words of every command in shell blocks, without the environment in front of them."""
    for block in _blocks(TEXT, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.partition("#")[0].split("&&"):
                words = shlex.split(part)
                while words and re.match(r"[A-Z][A-Z0-9_]*=", words[0]):
                    words.pop(0)
                if words:
                    yield words


COMMANDS = list(_commands())


def _starting(*words: str) -> list[list[str]]:
    found = [command for command in COMMANDS if command[: len(words)] == list(words)]
    assert found, f"no page has the command {' '.join(words)}"
    return found


# --- set-up commands


@pytest.mark.parametrize("last", ["hfstyle demo", "pytest -n 3 --dist loadfile"])
def test_there_is_one_line_that_installs_and_runs(last: str) -> None:
    lines = re.findall(rf"^python3 -m venv \.venv && .* && {last}$", README, re.MULTILINE)
    assert len(lines) == 1
    assert "pip install -c requirements.txt -e" in lines[0]


def test_the_front_pages_are_short() -> None:
    assert len(README.encode()) <= 10_000
    assert len(CARD.encode()) <= 14_000


# --- commands


def test_the_command_line_understands_the_commands() -> None:
    for words in _starting("hfstyle"):
        assert _parser().parse_args(words[1:]).command == words[1]


def test_the_launched_programs_understand_their_commands() -> None:
    for words in _starting("accelerate", "launch"):
        if "hfstyle.batch" in words:
            batch_parser().parse_args(words[words.index("hfstyle.batch") + 1 :])
        else:
            parse_args(words[words.index("training/train.py") + 1 :])


def test_the_flags_that_the_text_names_exist() -> None:
    commands = next(action for action in _parser()._actions if action.dest == "command").choices
    assert isinstance(commands, dict)
    known = {flag for parser in commands.values() for flag in parser._option_string_actions}
    known |= set(batch_parser()._option_string_actions)
    known |= {"--num_processes", "--num_cpu_threads_per_process", "--cpu"}  # of accelerate launch
    known |= {"--config_file", "--machine_rank", "--main_process_ip"}  # the same
    known |= {"--nproc_per_node", "--dist"}  # of torchrun, of pytest
    known |= {"--directory", "--repo-type"}  # of http.server, of hf
    known |= {f"--{name}_weight" for name in WEIGHTS}  # of train.py
    folders = (ROOT / "training", ROOT / "tests")
    files = [path for folder in folders for path in folder.rglob("*.py") if path != Path(__file__)]
    scripts = "".join(path.read_text(encoding="utf-8") for path in files)
    for flag in set(re.findall(r"(?<![\w-])--[a-z][\w-]*", TEXT)) - known:
        generic = re.sub(r"^--(content|style)_", "--{kind}_", flag)
        assert f'"{flag}"' in scripts or f'"{generic}"' in scripts, f"{flag} is nobody's argument"


def test_the_scripts_that_the_text_runs_exist() -> None:
    for script in set(re.findall(r"\b(?:python|launch) (?:--\S+ (?:\d+ )?)*(\S+\.py)", TEXT)):
        assert (ROOT / script).is_file(), script


# --- Python


@pytest.mark.parametrize(
    ("page", "block"),
    [(page, block) for page, text in PAGES.items() for block in _blocks(text, "python")],
)
def test_the_python_runs(
    page: str, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("skimage")
    torch.manual_seed(0)
    small: dict[str, Any] = {"widths": (8, 8, 16, 16), "blocks": (1, 1, 1)}
    pipe = StyleTransferPipeline(StyleGenerator(**small))
    monkeypatch.chdir(tmp_path)
    for index, name in enumerate(("photo.jpg", "painting.jpg")):
        Image.effect_noise((96 + 16 * index, 80), 60).convert("RGB").save(name)
    pipe.presets = {name: pipe.encode_style("painting.jpg", name=name) for name in PRESETS}
    signature = inspect.signature(StyleTransferPipeline.from_pretrained)

    def from_pretrained(*args: Any, **kwargs: Any) -> StyleTransferPipeline:
        signature.bind(*args, **kwargs)
        return pipe

    monkeypatch.setattr(StyleTransferPipeline, "from_pretrained", from_pretrained)
    before = set(tmp_path.iterdir())
    exec(compile(block, page, "exec"), {})
    assert set(tmp_path.iterdir()) > before


# --- links and pictures


def test_relative_links_lead_to_files() -> None:
    for name in (*PAGES, "training/ATTRIBUTION.md"):
        page = ROOT / name
        text = page.read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)", text):
            if "://" in link:
                continue
            target = (page.parent / link).resolve()
            if target.suffix == ".jpg" and not HAS_WEIGHTS:
                continue  # made by the weights
            assert target.exists(), f"{name} links to {link}, which does not exist"


def test_pictures_are_small() -> None:
    sizes = [file.stat().st_size for file in FIGURES.iterdir() if file.is_file()]
    assert max(sizes) < 400_000
    assert sum(sizes) < 3_000_000


def test_each_control_has_its_picture_on_the_page() -> None:
    page = PAGES["hfstyle/guides/control.md"]
    for control in (*control_figures.CONTROLS, "explain"):
        assert f"(../../training/figures/control-{control}.jpg)" in page


def test_the_drawing_of_the_networks_is_up_to_date() -> None:
    """Else: python training/publish/figures.py --only architecture."""
    config = default_model_path()
    generator = StyleGenerator.from_pretrained(config) if HAS_WEIGHTS else StyleGenerator()
    drawing = architecture(generator, StyleDiscriminator())
    ElementTree.fromstring(drawing)
    assert (FIGURES / "architecture.svg").read_text(encoding="utf-8") == drawing


@pytest.mark.parametrize("count", [5, 20])
def test_figures_take_other_styles_where_the_wanted_ones_are_missing(count: int) -> None:
    torch.manual_seed(0)
    pipe = StyleTransferPipeline(StyleGenerator(widths=(8, 8, 16, 16), blocks=(1, 1, 1)))
    code = pipe.encode_style(torch.rand(3, 64, 64))
    presets = {f"style_{index}": code for index in range(count)}
    wanted = ("style_3", "nobody_has_it")
    assert len(figures.choose(presets, wanted)) == 2
    with pytest.raises(ValueError, match=f"{count} styles, {count + 1} are needed"):
        figures.choose(presets, [f"other_{index}" for index in range(count + 1)])


# --- model card


def test_the_front_matter_is_what_the_hub_reads() -> None:
    data = ModelCard(CARD).data
    assert data.license == "apache-2.0"
    assert data.library_name == "hfstyle"
    assert data.pipeline_tag == "image-to-image"
    assert "style-transfer" in (data.tags or [])


def test_the_numbers_of_the_card_are_those_of_the_networks() -> None:
    generator = (
        StyleGenerator.from_pretrained(default_model_path()) if HAS_WEIGHTS else StyleGenerator()
    )
    encoder = sum(p.numel() for p in generator.encoder.parameters()) / 1e6
    faces = sum(p.numel() for p in generator.faces.parameters()) / 1e6
    total = sum(p.numel() for p in generator.parameters()) / 1e6
    for page in (README, CARD):
        for number in (total, encoder, faces, total - encoder - faces):
            assert f"{number:.2f} M" in page


def test_the_counts_of_training_pictures_add_up() -> None:
    rows = re.findall(r"^\| (content|style) \| .* \| ([\d,]+) \| ", CARD, re.MULTILINE)
    counts = {"content": 0, "style": 0}
    for role, count in rows:
        counts[role] += int(count.replace(",", ""))
    assert f"{counts['content']:,} photos, {counts['style']:,} paintings" in CARD
    assert f"{sum(counts.values()):,} pictures" in CARD


@pytest.mark.skipif(not HAS_WEIGHTS, reason="the default weights are not there yet")
def test_shipped_weights_have_the_styles_and_the_numbers_that_the_pages_promise() -> None:
    styles = {file.name for file in (default_model_path() / "styles").glob("*.safetensors")}
    assert {f"{name}.safetensors" for name in PRESETS} <= styles
    for name, page in PAGES.items():
        assert "TODO" not in page, f"{name} has numbers to be filled in"
