"""Strict loading of safetensors for the Hub mixin, which by itself accepts a file that does not fit and says nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

__all__ = ["MODEL_CARD_TEMPLATE", "absent_told", "load_strictly"]

_TransportError: type[Exception] = HfHubHTTPError.__bases__[0]
"""Base of all that huggingface_hub's HTTP client raises (httpx, httpx2 since 2.0); a broken connection is no OSError."""

Model = TypeVar("Model", bound=nn.Module)

MODEL_CARD_TEMPLATE = """\
---
{{ card_data }}
---

# A model for hfstyle

Arbitrary image style transfer by a conditional GAN.

```python
from hfstyle import StyleTransferPipeline

pipe = StyleTransferPipeline.from_pretrained("{{ repo_id | default("user/model", true) }}")
pipe("photo.jpg", "painting.jpg", strength=0.8).images[0].save("out.png")
```

{{ description | default("", true) }}
"""


@contextmanager
def absent_told(model: str | os.PathLike[str], local_files_only: bool = False) -> Iterator[None]:
    """Says in one sentence that what is loaded meanwhile is neither a folder here nor to be had from the Hub.

    Args:
        model: the folder or Hub id.
        local_files_only: whether the Hub is not to be asked.

    Raises:
        FileNotFoundError: no folder, and not like a Hub id.
        LocalEntryNotFoundError: no folder; the Hub, where it could be, was not reached or not to be asked.
        RepositoryNotFoundError: no folder, and not on the Hub.
    """
    try:
        yield
    except HFValidationError:
        raise FileNotFoundError(
            f"{model} is not a folder, and not a Hub id like 'user/model'"
        ) from None
    except RepositoryNotFoundError as error:
        error.append_to_message(f"\nNor is there a folder {model} here.")
        raise
    except LocalEntryNotFoundError as error:
        absent = f"there is no folder {model} here, and as a model of the Hub it"
        if local_files_only:
            why = "was not downloaded; check the path, or load it once without local_files_only"
        elif constants.HF_HUB_OFFLINE:
            why = "was not downloaded; check the path, or load it once without HF_HUB_OFFLINE"
        else:
            cause = f" ({error.__cause__})" if error.__cause__ else ""
            why = f"could not be reached{cause}; check the path, or the network"
        raise LocalEntryNotFoundError(f"{absent} {why}") from None


def load_strictly(
    cls: type[Model],
    *,
    model_id: str,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
    token: str | bool | None = None,
    map_location: str = "cpu",
    strict: bool = True,
    **model_kwargs: Any,
) -> Model:
    """Build `cls(**model_kwargs)` and fill it from `model.safetensors` of a folder or a Hub repository.

    Raises:
        FileNotFoundError: the folder holds no `model.safetensors`.
        ConnectionError: the download broke off, again and again; nothing of it is kept.
        ValueError: the file is truncated, or tensors are missing, unexpected or of another shape; each is named.
    """
    if Path(model_id).is_dir():
        path = Path(model_id) / constants.SAFETENSORS_SINGLE_FILE
        if not path.is_file():
            raise FileNotFoundError(f"{model_id} holds no {constants.SAFETENSORS_SINGLE_FILE}")
    else:
        try:
            path = Path(
                hf_hub_download(
                    repo_id=model_id,
                    filename=constants.SAFETENSORS_SINGLE_FILE,
                    revision=revision,
                    cache_dir=cache_dir,
                    force_download=force_download,
                    token=token,
                    local_files_only=local_files_only,
                )
            )
        except _TransportError as error:
            if isinstance(error, OSError):  # one of the Hub's own errors, which says what is wrong
                raise
            raise ConnectionError(
                f"downloading {constants.SAFETENSORS_SINGLE_FILE} of {model_id} broke off ({error}); try again"
            ) from error
    model = cls(**model_kwargs)
    try:
        state = load_file(path, device=map_location)
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a whole safetensors file ({error}); download it again"
        ) from error
    own = model.state_dict()
    missing = sorted(own.keys() - state.keys())
    unexpected = sorted(state.keys() - own.keys())
    misshaped = [
        f"{key} is {tuple(state[key].shape)} in the file, {tuple(own[key].shape)} in the model"
        for key in sorted(own.keys() & state.keys())
        if own[key].shape != state[key].shape
    ]
    problems = [
        f"{what}: {', '.join(names[:8])}{' and more' if len(names) > 8 else ''}"
        for what, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", misshaped),
        )
        if names
    ]
    if problems:
        raise ValueError(
            f"{path} does not fit {cls.__name__}: tensors {'; '.join(problems)}. "
            "The file belongs to another architecture or version of the model."
        )
    model.load_state_dict(state)
    return model.eval()
