"""Where weights come from: the bundled ones, and strict loading of safetensors for the Hub mixin, which by itself accepts a file that does not fit and says nothing."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import (
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from hfstyle.files import whole_file

__all__ = [
    "MODEL_CARD_TEMPLATE",
    "absent_told",
    "check_options",
    "check_usable",
    "default_model_path",
    "load_strictly",
    "read_config",
    "transport_error",
    "unusable",
    "write_weights",
]

transport_error: type[Exception] = HfHubHTTPError.__bases__[0]
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
pipe("photo.jpg", "painting.jpg", strength=0.8).save("out.png")
```

{{ description | default("", true) }}
"""


_NO_CONFIG = (
    "{} is not a JSON object of a model's arguments ({}); get it again, or name another model"
)


def read_config(file: Path) -> dict[str, Any]:
    """The object in a config.json. ValueError, which names the file, if there is none in it."""
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(_NO_CONFIG.format(file, error)) from error
    if not isinstance(config, dict):
        raise ValueError(_NO_CONFIG.format(file, f"it holds a {type(config).__name__}"))
    return config


def default_model_path() -> Path:
    """The folder of the bundled weights: config.json, model.safetensors and styles/."""
    return Path(__file__).resolve().parent.parent / "pretrained" / "base"


def check_options(config: Mapping[str, Any], model: str, cls: type[nn.Module]) -> None:
    """Raises ValueError if a config.json has a key that a class does not know.

    Names that begin with an underscore are notes of other programs.
    """
    known = inspect.signature(cls.__init__).parameters.keys() - {"self"}
    noted = [name for name in config if name.startswith("_")]
    if unknown := sorted(config.keys() - known - set(noted)):
        close = [get_close_matches(name, known, 1) for name in unknown]
        meant = f" (did you mean {', '.join(x[0] for x in close if x)}?)" if any(close) else ""
        raise ValueError(
            f"config.json of {model} has {', '.join(map(repr, unknown))}, which {cls.__name__} does not know{meant}: it "
            f"belongs to another library or another version of hfstyle; {cls.__name__} knows {', '.join(sorted(known))}"
        )


@contextmanager
def absent_told(model: str | os.PathLike[str], local_files_only: bool = False) -> Iterator[None]:
    """Says in one sentence what is wrong with the model that is loaded meanwhile: it is nowhere, or its config is none.

    Args:
        model: the folder or Hub id.
        local_files_only: whether the Hub is not to be asked.

    Raises:
        FileNotFoundError: no folder, and not like a Hub id.
        LocalEntryNotFoundError: no folder; the Hub, where it could be, was not reached or not to be asked.
        RepositoryNotFoundError: no folder, and not on the Hub.
        PermissionError: on the Hub, for those who accept its terms.
        ValueError: its config.json is not a JSON object.
    """
    config = Path(model) / constants.CONFIG_NAME
    if config.is_file():
        read_config(config)
    try:
        if not local_files_only and not Path(model).is_dir():
            _ask_once(str(model))
        yield
    except (UnicodeDecodeError, json.JSONDecodeError) as error:  # of the Hub
        raise ValueError(_NO_CONFIG.format(f"{constants.CONFIG_NAME} of {model}", error)) from error
    except AttributeError as error:  # what huggingface_hub makes of a list, a number, a text
        if error.name != "items":
            raise
        kind = type(error.obj).__name__
        raise ValueError(
            _NO_CONFIG.format(f"{constants.CONFIG_NAME} of {model}", f"it holds a {kind}")
        ) from error
    except HFValidationError:
        raise FileNotFoundError(
            f"{model} is not a folder, and not a Hub id like 'user/model'"
        ) from None
    except GatedRepoError:
        raise PermissionError(
            f"{model} is gated: accept its terms at {constants.ENDPOINT}/{model}, and log in with `hf auth login`"
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


def _ask_once(repo_id: str) -> None:
    """Raises LocalEntryNotFoundError if the Hub does not answer and the model is not in the cache.

    Left to itself, `hf_hub_download` asks six times for each file, half a minute, before it says so.
    """
    name = constants.CONFIG_NAME
    try:
        if constants.HF_HUB_OFFLINE or isinstance(try_to_load_from_cache(repo_id, name), str):
            return
        get_hf_file_metadata(hf_hub_url(repo_id, name), timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except (HfHubHTTPError, HFValidationError):
        return  # it answers; what is wrong, loading will say
    except (OSError, transport_error) as error:
        raise LocalEntryNotFoundError(f"{repo_id} cannot be reached") from error


def unusable(tensors: Mapping[str, Tensor]) -> str:
    """What is wrong with weights whatever their network: tensors that are no floating numbers, or have NaN or infinity.

    Returns:
        A text that names them, "" if all are as they should be.
    """
    others = [
        f"{name} is {tensor.dtype}"
        for name, tensor in sorted(tensors.items())
        if not tensor.is_floating_point()
    ]
    wild = [
        name
        for name, tensor in sorted(tensors.items())
        if tensor.is_floating_point() and not bool(_ordinary(tensor).isfinite().all())
    ]
    return _listed({"of another type than floating": others, "with NaN or infinity": wild})


def check_usable(model: nn.Module) -> None:
    """ValueError that names the tensors of a model, in memory, that are `unusable`."""
    if damage := unusable(model.state_dict()):
        raise ValueError(
            f"{type(model).__name__} holds no usable weights: tensors {damage}. Load it again, or "
            "take an earlier checkpoint"
        )


def _ordinary(tensor: Tensor) -> Tensor:
    """The types of 8 bits know no arithmetic."""
    return tensor.float() if tensor.element_size() == 1 else tensor


def _listed(problems: Mapping[str, list[str]]) -> str:
    return "; ".join(
        f"{what}: {', '.join(names[:8])}{' and more' if len(names) > 8 else ''}"
        for what, names in problems.items()
        if names
    )


def write_weights(model: nn.Module, folder: Path) -> None:
    """Write model.safetensors, whole or not there, with the rights of any new file: safetensors' own are its owner's alone.

    ValueError for weights that could not be loaded again: with NaN, infinity or numbers that are not floating.
    """
    check_usable(model)
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with whole_file(folder / constants.SAFETENSORS_SINGLE_FILE) as file:
        file.write(save(state, {"format": "pt"}))


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
        FileNotFoundError: the folder or repository holds no `model.safetensors`.
        ConnectionError: the download broke off, again and again; nothing of it is kept.
        ValueError: config.json has keys or values that do not suit the class; the file is truncated, or tensors are missing,
            unexpected, of another shape, not floating, or hold NaN or infinity; each is named.
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
        except LocalEntryNotFoundError:
            raise
        except EntryNotFoundError as error:
            raise FileNotFoundError(
                f"{model_id} holds no {constants.SAFETENSORS_SINGLE_FILE} on the Hub: it is no model of hfstyle; name another"
            ) from error
        except transport_error as error:
            if isinstance(error, OSError):  # one of the Hub's own errors, which says what is wrong
                raise
            raise ConnectionError(
                f"downloading {constants.SAFETENSORS_SINGLE_FILE} of {model_id} broke off ({error}); try again"
            ) from error
    if (config := path.with_name(constants.CONFIG_NAME)).is_file():
        check_options(read_config(config), model_id, cls)
    try:
        model = cls(**model_kwargs).float()  # whatever torch's default type is
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise ValueError(
            f"{constants.CONFIG_NAME} of {model_id} has values that are none of {cls.__name__} ({error}); get it "
            "again, or name another model"
        ) from error
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
    problems = _listed(
        {"missing": missing, "unexpected": unexpected, "of another shape": misshaped}
    )
    if problems:
        raise ValueError(
            f"{path} does not fit {cls.__name__}: tensors {problems}. "
            "The file belongs to another architecture or version of the model."
        )
    if damage := unusable(state):
        raise ValueError(
            f"{path} holds no usable weights: tensors {damage}. Download it again, or take an earlier checkpoint."
        )
    model.load_state_dict(state)
    return model.eval()
