"""The parts of Gradio below its documented interface that the app relies on, checked once when it starts."""

from __future__ import annotations

import importlib
import inspect
from typing import Final

import gradio

__all__ = ["TESTED_GRADIO", "GradioChanged", "check_gradio"]

TESTED_GRADIO: Final = "6.31"
"""The series of versions with which the tests run; pyproject.toml asks for it."""

_USED: Final = (
    ("gradio.component_meta", "create_or_modify_pyi", ()),
    ("gradio.processing_utils", "async_move_files_to_cache", ("data", "block")),
    ("gradio.state_holder", "SessionState._update_config", ("key",)),
    ("gradio.state_holder", "SessionState._update_value_in_config", ("key", "value")),
    ("gradio.state_holder", "StateHolder.__getitem__", ("session_id",)),
    ("gradio.blocks", "Blocks.preprocess_data", ("block_fn", "inputs", "state", "explicit_call")),
    ("gradio.blocks", "Block.async_move_resource_to_block_cache", ("url_or_file_path",)),
    ("gradio.route_utils", "API_PREFIX", ()),
    ("gradio.route_utils", "delete_files_created_by_app", ("blocks", "age")),
    ("gradio.utils", "get_upload_folder", ()),
    ("gradio.utils", "is_in_or_equal", ()),
    ("gradio.components.image_editor", "EditorDataBlobs", ()),
    ("gradio.components.image_editor", "ImageEditor.accept_blobs", ("data",)),
    (
        "gradio.mcp",
        "GradioMCPServer.convert_strings_to_filedata",
        ("value", "filedata_positions"),
    ),
    ("gradio_client.utils", "is_http_url_like", ()),
    ("gradio_client.utils", "is_file_obj_with_meta", ()),
)
"""Module, name, and the parameters that are counted on."""


class GradioChanged(ImportError):
    """Gradio lacks something that the app relies on: it would run with less protection than promised, so it does not."""


def check_gradio() -> None:
    """Make sure that Gradio has what the app changes or calls inside it.

    Raises:
        GradioChanged: it has not; the message names what is missing, this version and the one to install.
    """
    for module, name, parameters in _USED:
        try:
            found = importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
            absent = [p for p in parameters if p not in inspect.signature(found).parameters]  # type: ignore[arg-type]
        except (ImportError, AttributeError):
            absent = [name]
        if absent:
            raise GradioChanged(
                f"hfstyle's app relies on {module}.{name}, which Gradio {gradio.__version__} does not have as expected "
                f"(missing: {', '.join(absent)}); the app is tested with Gradio {TESTED_GRADIO}: "
                f"pip install 'gradio~={TESTED_GRADIO}.0'"
            )
