"""Internal to `hfstyle.pipeline`: where a model lies, and the style codes that come with it."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from huggingface_hub import (
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    snapshot_download,
    try_to_load_from_cache,
)
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

from hfstyle.models.hub import default_model_path, transport_error
from hfstyle.styles.code import StyleCode
from hfstyle.styles.listed import PACK_FILE, STYLES_FOLDER
from hfstyle.styles.pack import read_pack
from hfstyle.styles.space import SPACE_FILE, StyleSpace

logger = logging.getLogger(__name__)

_NEAR: Final = 0.8  # of letters alike, by difflib: "great sea" is no great_wave


class Presets(Mapping[str, StyleCode]):
    """The style codes in `folder`/styles, each read when it is first asked for; and those of the pack of a download."""

    def __init__(self, folder: Path | None, encoder: str) -> None:
        files = [] if folder is None else sorted((folder / STYLES_FOLDER).glob("*.safetensors"))
        self._files = {file.name.removesuffix(".safetensors"): file for file in files}
        self._folder, self._encoder = folder, encoder
        self._loaded: dict[str, StyleCode] = {}
        if folder is not None and not files and (folder / PACK_FILE).is_file():
            self._loaded = read_pack(folder / PACK_FILE)
            for code in self._loaded.values():
                code.check_encoder(encoder, f"{folder / PACK_FILE}: ")
            self._files = dict.fromkeys(sorted(self._loaded), folder / PACK_FILE)

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


def similar_names(name: str, names: Iterable[str], cutoff: float = 0.4) -> list[str]:
    """At most three of the names that a mistyped one may mean, the likeliest first."""
    folded = {known.casefold(): known for known in names}
    close = difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=cutoff)
    return [folded[found] for found in close]


def names_meant(text: str, names: Iterable[str]) -> list[str]:
    """At most three of the names that several words may mean: those that are nearly one, or nearly some of its words.

    "starry nigth" may mean starry_night_van_gogh; "starry night" are words of it, spelt as they are, and no mistake.
    """
    words = text.casefold().split()
    words = words[1:] if len(words) > 2 and words[0] in ("a", "an", "the") else words
    asked, found = "_".join(words), []
    for name in names:
        parts = name.casefold().split("_")
        runs = ["_".join(parts[i : i + len(words)]) for i in range(len(parts) - len(words) + 1)]
        if asked not in runs or asked == name.casefold():
            ratios = (difflib.SequenceMatcher(None, asked, run).ratio() for run in runs)
            found.append((max(ratios, default=0.0), name))
    near = sorted((pair for pair in found if pair[0] >= _NEAR), reverse=True)
    return [name for _, name in near[:3]] or similar_names(asked, names, _NEAR)


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
    """The snapshot with the presets of a Hub repository, or None: a model without its presets is still a model.

    In one file if there is a pack, which `hfstyle push` writes; else in as many as there are presets.
    """
    try:
        local_files_only = local_files_only or not _answers(repo_id, revision, token, cache_dir)
        for name in (PACK_FILE, SPACE_FILE):
            try:
                path = hf_hub_download(
                    repo_id,
                    name,
                    revision=revision,
                    token=token,
                    local_files_only=local_files_only,
                    cache_dir=cache_dir,
                )
            except EntryNotFoundError:
                if name == PACK_FILE:
                    break
        else:
            return Path(path).parent
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
    except (
        OSError,
        transport_error,
    ) as error:  # no network, no answer, half an answer, not in the cache
        logger.warning("The presets of %s are not available: %s", repo_id, error)
        return None


def _answers(
    repo_id: str, revision: str | None, token: str | bool | None, cache_dir: str | None
) -> bool:
    """Whether the Hub can be asked for styles. `hf_hub_download` by itself asks six times for a file that is not in the cache."""
    cached = try_to_load_from_cache(repo_id, PACK_FILE, cache_dir=cache_dir, revision=revision)
    if isinstance(cached, str):
        return True
    url = hf_hub_url(repo_id, PACK_FILE, revision=revision)
    try:
        get_hf_file_metadata(url, token=token, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except HfHubHTTPError:
        return True  # what is wrong, the download will say
    except (OSError, transport_error):
        return False
    return True
