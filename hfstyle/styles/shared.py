"""The style codes of a folder or of a repository of the Hub, whoever made them."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from huggingface_hub import snapshot_download

from hfstyle.models.hub import absent_told
from hfstyle.styles.code import StyleCode
from hfstyle.styles.code_file import StyleCodeError
from hfstyle.styles.listed import PACK_FILE
from hfstyle.styles.pack import read_pack
from hfstyle.styles.space import SPACE_FILE

__all__ = ["shared_styles"]

_log = logging.getLogger(__name__)
_PATTERNS: Final = ["*.safetensors", "styles/*.safetensors"]
_OTHERS: Final = ["model.safetensors", SPACE_FILE, "discriminator/*", "checkpoint-*/*"]


def shared_styles(
    place: str | os.PathLike[str],
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> dict[str, StyleCode]:
    """Style codes by name, in the folder or repository itself and in its folder `styles`.

    A file that cannot be used is left out, with a warning.

    Args:
        place: a folder, or a Hub id "user/my-styles".
        revision, token, cache_dir: of the Hub.

    Raises:
        FileNotFoundError, LocalEntryNotFoundError, RepositoryNotFoundError: it is nowhere, in one sentence.
    """
    folder = Path(place)
    if not folder.is_dir():
        with absent_told(place):
            folder = Path(
                snapshot_download(
                    str(place),
                    revision=revision,
                    token=token,
                    cache_dir=None if cache_dir is None else Path(cache_dir),
                    allow_patterns=_PATTERNS,
                    ignore_patterns=_OTHERS,
                )
            )
    codes: dict[str, StyleCode] = {}
    if (folder / PACK_FILE).is_file():
        codes |= read_pack(folder / PACK_FILE)
    skipped = {PACK_FILE, "model.safetensors", SPACE_FILE}
    for file in sorted([*folder.glob("*.safetensors"), *folder.glob("styles/*.safetensors")]):
        if file.name in skipped:
            continue
        try:
            code = StyleCode.load(file)
        except StyleCodeError as error:
            _log.warning("%s", error)
            continue
        codes[file.name.removesuffix(".safetensors").removesuffix(".style")] = code
    return codes
