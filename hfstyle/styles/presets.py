"""Internal to `hfstyle.pipeline`: where a model lies, and the style codes that come with it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # its HTTP client's

from hfstyle.models.generator import default_model_path
from hfstyle.sampling import SPACE_FILE, StyleSpace
from hfstyle.style import StyleCode

logger = logging.getLogger(__name__)

STYLES_FOLDER: Final = "styles"


class Presets(Mapping[str, StyleCode]):
    """The style codes in `folder`/styles, each read when it is first asked for."""

    def __init__(self, folder: Path | None, encoder: str) -> None:
        files = [] if folder is None else sorted((folder / STYLES_FOLDER).glob("*.safetensors"))
        self._files = {file.name.removesuffix(".safetensors"): file for file in files}
        self._folder, self._encoder = folder, encoder
        self._loaded: dict[str, StyleCode] = {}

    def __getitem__(self, name: str) -> StyleCode:
        if name not in self._loaded:
            self._loaded[name] = StyleCode.load(self._files[name], self._encoder)
        return self._loaded[name]

    def space(self) -> StyleSpace | None:
        """The style space that came with the model, if any."""
        if self._folder is None or not (self._folder / SPACE_FILE).is_file():
            return None
        return StyleSpace.load(self._folder / SPACE_FILE, self._encoder)

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __repr__(self) -> str:
        return f"<presets: {', '.join(self._files) or 'none'}>"


def local_folder(model: str | os.PathLike[str] | None) -> Path | None:
    """The folder that is meant, checked, or None for a Hub id."""
    folder = default_model_path() if model is None else Path(model)
    looks_like_id = isinstance(model, str) and model.count("/") <= 1 and model[:1] not in "./~\\"
    if not folder.is_dir() and looks_like_id:
        return None
    if model is not None and not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder, and not a Hub id like 'user/model'")
    missing = [f for f in ("config.json", "model.safetensors") if not (folder / f).is_file()]
    if missing:
        remedy = (
            "install hfstyle again, or name a model" if model is None else "name a model's folder"
        )
        raise FileNotFoundError(f"{folder} holds no {' and no '.join(missing)}; {remedy}")
    return folder


def download_styles(
    repo_id: str,
    revision: str | None,
    token: str | bool | None,
    local_files_only: bool,
    cache_dir: str | None,
) -> Path | None:
    """The snapshot with the presets of a Hub repository, or None: a model without its presets is still a model."""
    try:
        return Path(
            snapshot_download(
                repo_id,
                revision=revision,
                token=token,
                local_files_only=local_files_only,
                cache_dir=cache_dir,
                # config.json is there already; with it, a repository without presets has a match as well.
                allow_patterns=["config.json", SPACE_FILE, f"{STYLES_FOLDER}/*.safetensors"],
            )
        )
    except (OSError, HTTPError) as error:  # no network, no answer, half an answer, not in the cache
        logger.warning("The presets of %s are not available: %s", repo_id, error)
        return None
