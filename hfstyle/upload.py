"""A model or styles on the Hub: what would be uploaded, its card, and the upload; each thing that can be wrong in one sentence."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from huggingface_hub import EvalResult, HfApi, ModelCard, ModelCardData, constants, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
)

from hfstyle.limits import flags_checked
from hfstyle.models.discriminator import StyleDiscriminator
from hfstyle.models.generator import StyleGenerator
from hfstyle.models.hub import MODEL_CARD_TEMPLATE, transport_error
from hfstyle.styles.code import StyleCode
from hfstyle.styles.listed import PACK_FILE, STYLES_FOLDER
from hfstyle.styles.pack import packed
from hfstyle.styles.presets import Presets
from hfstyle.styles.space import SPACE_FILE

__all__ = ["Upload", "model_upload", "style_upload", "upload_told"]

_DISCRIMINATOR: Final = "discriminator"
_SHEET: Final = "before-and-after.jpg"
_CARD: Final = "README.md"
_TAGS: Final = ["style-transfer", "conditional-gan", "image-to-image", "arbitrary-style-transfer"]


@dataclass(frozen=True)
class Upload:
    """What would be uploaded: a repository's name, and files by their paths there, the card among them."""

    repo_id: str
    files: Mapping[str, bytes | Path]
    card: str

    @property
    def told(self) -> str:
        """The files with their sizes and the head of the card, as lines."""
        sizes = {
            name: len(x) if isinstance(x, bytes) else x.stat().st_size
            for name, x in self.files.items()
        }
        few = {
            name: size for name, size in sizes.items() if not name.startswith(f"{STYLES_FOLDER}/")
        }
        lines = [f"  {size / 1e3:10,.1f} kB  {name}" for name, size in few.items()]
        if count := len(sizes) - len(few):
            rest = sum(sizes.values()) - sum(few.values())
            lines.append(f"  {rest / 1e3:10,.1f} kB  {STYLES_FOLDER}/ ({count} styles)")
        head = self.card.split("---")[1].strip()
        total = sum(sizes.values()) / 1e6
        return "\n".join(
            [f"{self.repo_id}, {len(sizes)} files, {total:.1f} MB:", *lines, "card:"]
            + [f"  {line}" for line in head.splitlines()]
        )

    @flags_checked
    def send(
        self,
        *,
        private: bool = False,
        token: str | None = None,
        message: str = "Upload by hfstyle",
    ) -> str:
        """Make the repository if it is not there, and upload all in one commit; returns its address.

        Raises ValueError, which says what is wrong: no token, no rights, no valid name, no network.
        """
        with upload_told(self.repo_id, token=token), tempfile.TemporaryDirectory() as place:
            for name, content in self.files.items():
                target = Path(place) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, bytes):
                    target.write_bytes(content)
                else:
                    shutil.copyfile(content, target)
            api = HfApi(token=token)
            # `exist_ok` leaves a repository as public as it is.
            api.create_repo(self.repo_id, private=private, exist_ok=True)
            api.upload_folder(repo_id=self.repo_id, folder_path=place, commit_message=message)
        return f"{constants.ENDPOINT}/{self.repo_id}"


@contextmanager
def upload_told(
    repo_id: str, remedy: str = "mend it and try again", token: str | None = None
) -> Iterator[None]:
    """Whatever goes wrong with an upload to this repository meanwhile is told as a ValueError in one sentence.

    token: that was given for it; None is that of `hf auth login`, if there is one.
    """
    name = repo_id if repo_id.startswith("--") else f"the upload to {repo_id}"
    try:
        yield
    except HFValidationError as error:
        raise ValueError(f"{name}: this is no id like user/model ({error})") from None
    except LocalTokenNotFoundError:
        raise ValueError(f"{name}: there is no token; log in with `hf auth login`") from None
    except OfflineModeIsEnabled:
        raise ValueError(f"{name}: HF_HUB_OFFLINE forbids it; {remedy}") from None
    except HfHubHTTPError as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            known = token or get_token()
            why = "the token may not write there" if known else "there is no token"
            why += "; log in with `hf auth login`, with a token that may write"
        else:
            why = f"the Hub answers {status or error}; {remedy}"
        raise ValueError(f"{name}: {why}") from error
    except (OSError, transport_error) as error:
        raise ValueError(
            f"{name}: the Hub at {constants.ENDPOINT} cannot be reached ({error}); {remedy}"
        ) from error


def model_upload(
    folder: Path,
    repo_id: str,
    *,
    licence: str | None = None,
    datasets: Sequence[str] = (),
    measures: Path | None = None,
) -> Upload:
    """A model's folder as it would be uploaded: generator, discriminator, styles, style space, pictures, and the card.

    Args:
        folder: with config.json and model.safetensors; they are loaded, so that nothing broken is uploaded.
        licence: as the Hub names it; by default that of the folder's card, else "unknown".
        datasets: Hub ids of what it was trained on, for the card.
        measures: what `hfstyle evaluate --json` wrote.

    Raises:
        FileNotFoundError, ValueError: no such folder or file, weights or styles that cannot be used.
    """
    generator = StyleGenerator.from_pretrained(folder)
    files: dict[str, bytes | Path] = {}
    for name in ("config.json", "model.safetensors"):
        files[name] = folder / name
    if (folder / _DISCRIMINATOR).is_dir():
        StyleDiscriminator.from_pretrained(folder / _DISCRIMINATOR)
        files |= {f"{_DISCRIMINATOR}/{n}": folder / _DISCRIMINATOR / n for n in ("config.json", "model.safetensors")}  # fmt: skip
    presets = Presets(folder, generator.encoder_fingerprint())
    codes = {name: presets[name] for name in presets}
    if codes:
        files[PACK_FILE] = packed(codes)
        for path in sorted((folder / STYLES_FOLDER).glob("*.safetensors")):
            files[f"{STYLES_FOLDER}/{path.name}"] = path
    if presets.space() is not None:
        files[SPACE_FILE] = folder / SPACE_FILE
    if (folder / _SHEET).is_file():
        files[_SHEET] = folder / _SHEET
    card = _card(folder, repo_id, licence, datasets, measures, list(codes), _SHEET in files)
    files[_CARD] = card.encode()
    return Upload(repo_id, files, card)


def _card(
    folder: Path,
    repo_id: str,
    licence: str | None,
    datasets: Sequence[str],
    measures: Path | None,
    styles: Sequence[str],
    sheet: bool,
) -> str:
    """The folder's own card, or a new one, with all metadata that the Hub reads."""
    own = folder / _CARD
    data: dict[str, Any] = ModelCard.load(own).data.to_dict() if own.is_file() else {}
    data["license"] = licence or data.get("license") or "unknown"
    data |= {"library_name": "hfstyle", "pipeline_tag": "image-to-image"}
    data["tags"] = list(dict.fromkeys([*(data.get("tags") or []), *_TAGS]))
    if datasets:
        data["datasets"] = list(dict.fromkeys([*(data.get("datasets") or []), *datasets]))
    if sheet:
        data["widget"] = [{"src": _SHEET, "example_title": "Before and after"}]
    name = repo_id.split("/")[-1]
    if measures:
        data |= {"model_name": name, "eval_results": _results(measures)}
    if own.is_file():
        text = ModelCard.load(own).text.replace('"user/model"', f'"{repo_id}"')
    else:
        filled = ModelCard.from_template(
            ModelCardData(), template_str=MODEL_CARD_TEMPLATE, repo_id=repo_id
        )
        text = filled.text
    if sheet and _SHEET not in text:
        text += f"\n![Photos before and after]({_SHEET})\n"
    if styles and "## Styles" not in text:
        text += f"\n## Styles\n\n{', '.join(f'`{style}`' for style in styles)}\n"
    if "## How to cite" not in text:
        text += (
            f"\n## How to cite\n\n```bibtex\n@misc{{{name.replace('-', '_')},\n  title = {{{name}: a style transfer model "
            f"of hfstyle}},\n  howpublished = {{\\url{{https://huggingface.co/{repo_id}}}}}\n}}\n```\n"
        )
    return f"---\n{ModelCardData(**data).to_yaml()}\n---\n{text}"


def _results(measures: Path) -> list[EvalResult]:
    """For the card's model-index. ValueError if the file is not what `hfstyle evaluate --json` writes."""
    try:
        report = json.loads(measures.read_text(encoding="utf-8"))
        result = max(report["results"], key=lambda r: r["strength"] or 0)
        told = f"{report['pairs']} pairs at {report['size']} px"
        if result["strength"] is not None:
            told += f", strength {result['strength']:g}"
        return [
            EvalResult(
                task_type="image-to-image",
                dataset_type="hfstyle-evaluate",
                dataset_name=told,
                metric_type=name,
                metric_name=report["labels"][name],
                metric_value=round(float(value), 4),
            )
            for name, value in result["metrics"].items()
            if value is not None
        ]
    except (OSError, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{measures} is not what `hfstyle evaluate --json` writes ({error!r}); write it again"
        ) from error


def style_upload(paths: Iterable[Path], repo_id: str, licence: str | None = None) -> Upload:
    """Style codes as they would be uploaded, each as NAME.style.safetensors, and a card that lists them.

    Raises StyleCodeError for a file that is none, ValueError for none at all, or two of one name.
    """
    files: dict[str, bytes | Path] = {}
    rows = []
    for path in paths:
        code = StyleCode.load(path)
        name = path.name.removesuffix(".safetensors").removesuffix(".style")
        if f"{name}.style.safetensors" in files:
            raise ValueError(f"two style codes are named {name}; rename one")
        files[f"{name}.style.safetensors"] = path
        about = code.metadata
        rows.append([name, *(about.get(key, "") for key in ("title", "artist", "licence"))])
    if not files:
        raise ValueError("there are no style codes to upload; give files named *.safetensors")
    licences = {row[3] for row in rows}
    stated = licence or (licences.pop() if len(licences) == 1 else "") or "unknown"
    data = ModelCardData(license=stated, library_name="hfstyle", tags=["style-transfer", "hfstyle-styles"])  # fmt: skip
    lines = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    card = (
        f"---\n{data.to_yaml()}\n---\n\n# Styles for hfstyle\n\n| name | title | artist | licence |\n| --- | --- | --- | --- |\n"
        f"{lines}\n\n```python\nfrom hfstyle import StyleCode, StyleTransferPipeline\n\npipe = StyleTransferPipeline.from_pretrained()\n"
        f'style = StyleCode.from_pretrained("{repo_id}", "{rows[0][0]}")\npipe("photo.jpg", style).save("out.png")\n```\n'
    )
    files[_CARD] = card.encode()
    return Upload(repo_id, files, card)
