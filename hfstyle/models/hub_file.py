"""One file of the Hub, with one sentence at once where it cannot be had."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from hfstyle.models.hub import transport_error

__all__ = ["hub_file"]

_PATIENCE: Final = 10.0  # s, for the first answer


def hub_file(
    repo_id: str,
    filename: str,
    *,
    what: str,
    remedy: str,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Path:
    """A file of a repository of models: from the cache if it is there, else downloaded.

    `hf_hub_download` asks six times, half a minute, before it says that nobody answers; here the Hub is asked once before.

    Args:
        repo_id: "user/model".
        filename: inside it.
        what: what the file is for, for messages: "the perceptual network".
        remedy: what else can be done, for messages: "give --perceptual_model a file".
        revision: branch, tag or commit.
        token: of the Hub.
        cache_dir: where downloads are kept.

    Raises:
        FileNotFoundError: not a Hub id, no such repository, revision or file, a private or gated one, or the Hub cannot be
            reached and the file is not in the cache; the message names all of that.
    """
    named = f"{what} {repo_id}{'' if revision is None else f' at {revision}'}"
    cache = None if cache_dir is None else str(cache_dir)
    try:
        return Path(
            hf_hub_download(
                repo_id,
                filename,
                revision=revision,
                cache_dir=cache,
                local_files_only=True,
            )
        )
    except HFValidationError:
        raise FileNotFoundError(
            f"{named}: there is no such file, and it is no Hub id like 'user/model'; {remedy}"
        ) from None
    except LocalEntryNotFoundError:
        pass
    if constants.HF_HUB_OFFLINE:
        raise FileNotFoundError(
            f"{named} is not in the cache, and HF_HUB_OFFLINE forbids to download it; {remedy}"
        )
    try:
        url = hf_hub_url(repo_id, filename, revision=revision)
        get_hf_file_metadata(url, token=token, timeout=_PATIENCE)
        return Path(
            hf_hub_download(repo_id, filename, revision=revision, token=token, cache_dir=cache)
        )
    except GatedRepoError:
        why = "is gated: accept its terms on its page, and log in with `hf auth login`"
    except RepositoryNotFoundError:
        why = "is not on the Hub, or private: log in with `hf auth login`"
    except RevisionNotFoundError:
        why = "has no such revision"
    except EntryNotFoundError as error:
        if isinstance(error, LocalEntryNotFoundError):
            why = "could not be downloaded"
        else:
            why = f"has no file {filename}"
    except OfflineModeIsEnabled:
        why = "is not in the cache, and the Hub is switched off"
    except HfHubHTTPError as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        why = f"could not be downloaded: the Hub answers {status or error}"
    except (OSError, transport_error) as error:
        why = (
            f"could not be downloaded, the Hub at {constants.ENDPOINT} cannot be reached ({error})"
        )
    raise FileNotFoundError(f"{named} {why}; {remedy}")
