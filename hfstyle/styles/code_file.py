"""Internal to `hfstyle.styles.code`: the files of style codes, here and on the Hub."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hfstyle.files import web_address, whole_file

__all__ = ["StyleCodeError", "find_style_file", "read_style_file", "write_style_file"]

_FORMAT: Final = "hfstyle.style_code"
_FORMAT_VERSION: Final = 1
_SUFFIXES: Final = (".safetensors", ".style.safetensors")


class StyleCodeError(ValueError):
    """A style code that cannot be used: not a style code file, damaged, or made by another encoder."""


def write_style_file(
    target: Path,
    vector: Tensor,
    tokens: Tensor,
    encoder: str,
    name: str,
    metadata: Mapping[str, str],
) -> None:
    """As `StyleCode.save`: under another name first, so that a file is whole or not there."""
    if target.suffix != ".safetensors":
        raise StyleCodeError(f"{target}: a style code file is named *.safetensors")
    header = {
        "format": _FORMAT,
        "format_version": str(_FORMAT_VERSION),
        "encoder": encoder,
        "name": name,
        "metadata": json.dumps(dict(metadata), ensure_ascii=False, sort_keys=True),
    }
    # A copy of its own memory each: codes made from one batch may be views, which safetensors refuses.
    data = save({"vector": vector.clone(), "tokens": tokens.clone()}, header)
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as file:
        file.write(data)


def read_style_file(source: Path) -> dict[str, Any]:
    """The arguments of a `StyleCode`: vector, tokens, encoder, name and metadata.

    Raises:
        StyleCodeError: no such file, not a style code, damaged, or of a newer format.
    """
    if address := web_address(source):
        raise StyleCodeError(f"{address} is a web address; download the file and give its path")
    if not source.is_file():
        raise StyleCodeError(
            f"{source}: {'not a file' if source.exists() else 'no such style code file'}"
        )
    try:
        with safe_open(source, framework="pt") as file:
            header: dict[str, str] = file.metadata() or {}
            if header.get("format") != _FORMAT:
                raise StyleCodeError(
                    f"{source} is a safetensors file but not a style code; "
                    "`hfstyle encode picture.jpg -o picture.style.safetensors` makes one"
                )
            version = int(header["format_version"])
            if version > _FORMAT_VERSION:
                raise StyleCodeError(
                    f"{source} has style code format {version}, this hfstyle reads up to "
                    f"{_FORMAT_VERSION}; upgrade hfstyle"
                )
            fields = {
                "vector": file.get_tensor("vector"),
                "tokens": file.get_tensor("tokens"),
                "encoder": header["encoder"],
                "name": header.get("name", ""),
                "metadata": json.loads(header.get("metadata", "{}")),
            }
        if not isinstance(fields["metadata"], dict):
            raise ValueError("its metadata are no pairs of texts")
    except StyleCodeError:
        raise
    except (SafetensorError, KeyError, ValueError) as error:
        raise StyleCodeError(f"{source} is damaged or not a style code file ({error})") from error
    return fields


def find_style_file(
    place: str | os.PathLike[str],
    name: str,
    *,
    revision: str | None,
    token: str | bool | None,
    local_files_only: bool,
    cache_dir: str | os.PathLike[str] | None,
) -> Path:
    """As `StyleCode.from_pretrained`: the file of that name, downloaded if it is on the Hub."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    from hfstyle.models.hub import absent_told

    if not name or name != os.path.basename(name) or name.startswith("."):
        raise StyleCodeError(f"{name!r} is no name of a style; give a file's name without suffix")
    tried = [f"{at}{name}{end}" for at in ("", "styles/") for end in _SUFFIXES]
    if Path(place).is_dir():
        for file in tried:
            if (Path(place) / file).is_file():
                return Path(place) / file
        known = sorted(_style_name(p) for p in Path(place).rglob("*.safetensors"))
        raise StyleCodeError(
            f"{place} holds no style {name!r}; it holds {', '.join(known[:20]) or 'none'}"
        )
    absent: LocalEntryNotFoundError | None = None
    for file in tried:
        try:
            with absent_told(place, local_files_only):
                path = hf_hub_download(
                    str(place),
                    file,
                    revision=revision,
                    token=token,
                    # Once the Hub was not reached, the cache is looked into: a name may be there.
                    local_files_only=local_files_only or absent is not None,
                    cache_dir=None if cache_dir is None else Path(cache_dir),
                )
        except LocalEntryNotFoundError as error:
            absent = absent or error
        except EntryNotFoundError:
            continue
        else:
            return Path(path)
    if absent is not None:
        raise absent
    raise StyleCodeError(f"{place} holds none of {', '.join(tried)}")


def _style_name(path: Path) -> str:
    return path.name.removesuffix(".safetensors").removesuffix(".style")
