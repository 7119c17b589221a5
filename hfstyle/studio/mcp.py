"""Questions of the Model Context Protocol: pictures in them are held to the limits of uploads, and deleted like these.

Gradio's server of that protocol writes whatever stands in a `data:` URL into its folder, and leaves it there. (Newer versions of the
package `mcp` refuse questions of more than 4 MB.)
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import gradio.mcp
from gradio.route_utils import API_PREFIX

from hfstyle.studio.backend.results import new_file
from hfstyle.studio.backend.uploads import MAX_UPLOAD_BYTES

__all__ = ["limit_questions"]


def limit_questions() -> None:
    """Hold pictures in questions to apps that are launched from now on to these limits."""
    gradio.mcp.GradioMCPServer = _LimitedServer  # type: ignore[misc]


class _LimitedServer(gradio.mcp.GradioMCPServer):
    def convert_strings_to_filedata(
        self, value: Any, filedata_positions: list[list[str | int]]
    ) -> Any:
        positions = _in_lists(value, filedata_positions)
        return super().convert_strings_to_filedata(_stored(value, positions, []), positions)


def _in_lists(value: Any, positions: list[list[str | int]]) -> list[list[str | int]]:
    """Where files are in the arguments of a tool: for Gradio's "items", which it never finds, the index of each item."""
    found: list[list[str | int]] = []
    for position in positions:
        reached: list[tuple[list[str | int], Any]] = [([], value)]
        for step in position:
            reached = [
                ([*path, key], node[key]) for path, node in reached for key in _keys(node, step)
            ]
        found += [path for path, _ in reached]
    return found


def _keys(node: Any, step: str | int) -> Iterable[str | int]:
    if isinstance(node, list):
        return range(len(node)) if step == "items" else ()
    return [step] if isinstance(node, dict) and step in node else ()


def _stored(node: Any, positions: list[list[str | int]], path: list[str | int]) -> Any:
    """The arguments of a tool, with addresses of files of this server in place of `data:` URLs where files are meant."""
    if isinstance(node, dict):
        return {key: _stored(value, positions, [*path, key]) for key, value in node.items()}
    if isinstance(node, list):
        return [_stored(item, positions, [*path, index]) for index, item in enumerate(node)]
    if isinstance(node, str) and node.startswith("data:") and path in positions:
        return _address(node)
    return node


def _address(url: str) -> str:
    """Write what a `data:` URL holds into a file that is deleted with the results; its address here.

    Raises:
        ValueError: more bytes than an upload may have, which are not decoded; or not base64.
    """
    head, comma, body = url.partition(",")
    kind, *options = head.removeprefix("data:").split(";")
    if not comma or "base64" not in options:
        raise ValueError("A picture in a data: URL is given in base64: data:image/png;base64,...")
    size = len(body) * 3 // 4
    if size > MAX_UPLOAD_BYTES + 2:  # of padding
        raise ValueError(
            f"The picture in a data: URL has {size / 1e6:.1f} MB; the limit is {MAX_UPLOAD_BYTES / 1e6:.0f} MB."
        )
    try:
        data = base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise ValueError(f"A data: URL is damaged: {error}.") from None
    path = new_file(f"picture{mimetypes.guess_extension(kind) or ''}")
    path.write_bytes(data)
    return f"http://localhost{API_PREFIX}/file={quote(str(path))}"
