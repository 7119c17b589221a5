"""Many style codes in one file, `styles.safetensors`: a model with sixty styles is downloaded in a dozen requests instead of 131.

D style width · T style tokens · E token width
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from hfstyle.styles.code import StyleCode
from hfstyle.styles.code_file import StyleCodeError
from hfstyle.styles.listed import PACK_FILE

__all__ = ["PACK_FILE", "packed", "read_pack"]

_FORMAT: Final = "hfstyle.style_codes"
_VERSION: Final = 1


def packed(codes: Mapping[str, StyleCode]) -> bytes:
    """The file of codes of one encoder by their names. StyleCodeError for none, or several encoders."""
    encoders = {code.encoder for code in codes.values()}
    if len(encoders) != 1:
        raise StyleCodeError(
            f"{PACK_FILE}: {len(codes)} styles of {len(encoders)} encoders; give styles of one"
        )
    tensors = {}
    for name, code in codes.items():
        tensors[f"{name}/vector"], tensors[f"{name}/tokens"] = code.vector, code.tokens
    about = {name: {"name": c.name, "metadata": dict(c.metadata)} for name, c in codes.items()}
    header = {
        "format": _FORMAT,
        "format_version": str(_VERSION),
        "encoder": encoders.pop(),
        "styles": json.dumps(about, ensure_ascii=False),
    }
    return save(tensors, header)


def read_pack(path: Path) -> dict[str, StyleCode]:
    """What `packed` made. StyleCodeError if it is no such file, of a newer format, or damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            header: dict[str, str] = file.metadata() or {}
            if header.get("format") != _FORMAT:
                raise StyleCodeError(f"{path} is no file of style codes; get it again")
            if int(header["format_version"]) > _VERSION:
                raise StyleCodeError(
                    f"{path} has format {header['format_version']}, this hfstyle reads up to {_VERSION}; upgrade hfstyle"
                )
            return {
                name: StyleCode(
                    file.get_tensor(f"{name}/vector"),
                    file.get_tensor(f"{name}/tokens"),
                    header["encoder"],
                    entry["name"],
                    entry["metadata"],
                )
                for name, entry in json.loads(header["styles"]).items()
            }
    except StyleCodeError:
        raise
    except (SafetensorError, KeyError, TypeError, AttributeError, ValueError, OSError) as error:
        raise StyleCodeError(f"{path} is damaged ({error}); get it again") from error
