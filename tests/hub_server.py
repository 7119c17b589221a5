"""A Hugging Face Hub on the loopback interface: the routes that downloads and small uploads use, with files held in memory.

    with HubServer() as hub:
        hub.add("someone/model", {"config.json": b"{}"})
        # HF_ENDPOINT=hub.url in a new process, or the fixture `hub` of conftest.py in this one

It behaves as the real Hub does where a client can tell: revisions are branches, tags and 40-digit commits; large files
are a redirect to content-addressed storage; errors are told by the header X-Error-Code; ranges are served.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import unquote, urlsplit

__all__ = ["HubServer"]

_LARGE_SUFFIXES = (".safetensors", ".bin", ".parquet")
_DATASETS = "datasets"  # what their ids begin with here, and their addresses on the Hub


@dataclass
class _Repository:
    token: str | None
    licence: str | None = None
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # branch or tag -> commit

    def commit(self, revision: str) -> str | None:
        if revision in self.commits:
            return revision
        return self.names.get(revision)


class HubServer:
    """Serves repositories of models and data sets on 127.0.0.1 until closed.

    Attributes:
        url: the endpoint, without a closing slash.
        storage_url: where large files come from.
        requests: "METHOD /path" of every request so far, oldest first.
        ranges: from which byte on files were asked for, where it was not the first.
        writer: the token that may write; None lets nobody.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.ranges: list[int] = []
        self.writer: str | None = None
        self._repositories: dict[str, _Repository] = {}
        self._storage: dict[str, bytes] = {}
        self._cuts: dict[str, int] = {}
        self._cuts_left: dict[str, int | None] = {}

        class Handler(_Handler):
            hub = self

        # Large files come from another origin, where a client must not send its token: a second port.
        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
        self.url, self.storage_url = (
            f"http://127.0.0.1:{server.server_port}" for server in self._servers
        )
        self._threads = []
        for server in self._servers:
            server.daemon_threads = True
            server.block_on_close = False
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving; a client then finds nobody at the address."""
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()

    def add(
        self,
        repo_id: str,
        files: Mapping[str, bytes] | Path,
        *,
        revision: str = "main",
        token: str | None = None,
        kind: Literal["model", "dataset"] = "model",
        licence: str | None = None,
        gated: bool = False,
    ) -> str:
        """Commit `files` (path -> content, or a folder) to a branch or tag; returns the commit's 40 digits.

        With `token`, the repository is private: whoever does not send this token is told that it does not exist.
        `licence` is what its card states. A `gated` one is told of, but its files are for nobody.
        """
        if isinstance(files, Path):
            files = {
                path.relative_to(files).as_posix(): path.read_bytes()
                for path in sorted(files.rglob("*"))
                if path.is_file()
            }
        repo_id = repo_id if kind == "model" else f"{_DATASETS}/{repo_id}"
        repository = self._repositories.setdefault(repo_id, _Repository(token))
        repository.token, repository.licence, repository.gated = token, licence, gated
        digest = hashlib.sha1(f"{repo_id} {revision} {len(repository.commits)}".encode())
        commit = digest.hexdigest()
        repository.commits[commit] = dict(files)
        repository.names[revision] = commit
        for content in files.values():
            self._storage[_sha256(content)] = content
        return commit

    def cut(self, filename: str, length: int, times: int | None = None) -> None:
        """From now on the connection breaks after `length` bytes of every file of this name, whose size is still announced whole.

        times: how often; None is always.
        """
        self._cuts[filename], self._cuts_left[filename] = length, times

    def _end(self, filename: str, stop: int) -> int:
        """Up to which byte it is sent now."""
        left = self._cuts_left.get(filename)
        if filename not in self._cuts or left == 0:
            return stop
        if left is not None:
            self._cuts_left[filename] = left - 1
        return min(stop, self._cuts[filename])

    def mend(self) -> None:
        """Undo every `cut`."""
        self._cuts.clear()

    def downloads(self, filename: str) -> int:
        """How often a file of this name has been fetched (GET) so far."""
        marks = [filename] + [
            f"/storage/{_sha256(files[filename])}/"
            for repository in self._repositories.values()
            for files in repository.commits.values()
            if filename in files
        ]
        return sum(
            request.startswith("GET ") and any(mark in request for mark in marks)
            for request in self.requests
        )


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        self.hub.requests.append(f"POST {path}")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if parts[:2] == ["api", "validate-yaml"]:
            self._send_json({"errors": [], "warnings": []})
        elif self.headers.get("Authorization") != f"Bearer {self.hub.writer}":
            self._send_error("Forbidden", "You don't have the rights", HTTPStatus.FORBIDDEN)
        elif parts == ["api", "repos", "create"]:
            asked = json.loads(body)
            repo_id = (
                f"{asked['organization']}/{asked['name']}"
                if asked.get("organization")
                else asked["name"]
            )
            if repo_id not in self.hub._repositories:
                hidden = asked.get("private") or asked.get("visibility") == "private"
                self.hub.add(repo_id, {}, token=self.hub.writer if hidden else None)
            self._send_json({"url": f"{self.hub.url}/{repo_id}", "id": repo_id, "name": repo_id})
        elif parts[4:5] == ["preupload"]:
            names = [file["path"] for file in json.loads(body)["files"]]
            self._send_json(
                {
                    "files": [
                        {"path": name, "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                        for name in names
                    ]
                }
            )
        elif parts[4:5] == ["commit"]:
            self._commit(f"{parts[2]}/{parts[3]}", [json.loads(line) for line in body.splitlines()])
        else:
            self._send_error("NotImplemented", f"no such route: {path}")

    def _commit(self, repo_id: str, lines: list[dict[str, Any]]) -> None:
        """Files are written as they are sent, in base64, beside those that were there."""
        repository = self.hub._repositories[repo_id]
        files = dict(repository.commits[repository.names["main"]])
        for line in lines:
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        commit = self.hub.add(repo_id, files, token=repository.token)
        url = f"{self.hub.url}/{repo_id}/commit/{commit}"
        self._send_json({"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        self.hub.requests.append(f"{self.command} {path}")
        parts = [unquote(part) for part in path.strip("/").split("/")]
        match parts:
            case ["api", ("models" | "datasets") as kind, owner, name]:
                self._answer_info(_key(kind, owner, name), "main")
            case ["api", ("models" | "datasets") as kind, owner, name, "revision", revision]:
                self._answer_info(_key(kind, owner, name), revision)
            case ["api", ("models" | "datasets") as kind, owner, name, "tree", revision, *below]:
                self._answer_tree(_key(kind, owner, name), revision, "/".join(below))
            case ["storage", digest, filename]:
                self._send_file(self.hub._storage[digest], filename, {"ETag": f'"{digest}"'})
            case ["datasets", owner, name, "resolve", revision, *filename] if filename:
                self._answer_file(_key(_DATASETS, owner, name), revision, "/".join(filename))
            case [owner, name, "resolve", revision, *filename] if filename:
                self._answer_file(f"{owner}/{name}", revision, "/".join(filename))
            case _:
                self._send_error("NotImplemented", f"no such route: {path}")

    def _find(self, repo_id: str, revision: str) -> tuple[_Repository, str] | None:
        """The repository and the commit; None when an error has been sent instead."""
        repository = self.hub._repositories.get(repo_id)
        allowed = repository is not None and (
            repository.token is None
            or self.headers.get("Authorization") == f"Bearer {repository.token}"
        )
        if repository is None or not allowed:
            self._send_error("RepoNotFound", "Repository not found", HTTPStatus.UNAUTHORIZED)
            return None
        commit = repository.commit(revision)
        if commit is None:
            self._send_error("RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return repository, commit

    def _answer_info(self, repo_id: str, revision: str) -> None:
        if (found := self._find(repo_id, revision)) is None:
            return
        repository, commit = found
        siblings = [{"rfilename": name} for name in sorted(repository.commits[commit])]
        self._send_json(
            {
                "_id": commit[:24],
                "id": repo_id.removeprefix(f"{_DATASETS}/"),
                "modelId": repo_id,
                "author": repo_id.split("/")[-2],
                "sha": commit,
                "private": repository.token is not None,
                "gated": "manual" if repository.gated else False,
                "disabled": False,
                "tags": [],
                "downloads": 0,
                "likes": 0,
                "siblings": siblings,
                "cardData": {} if repository.licence is None else {"license": repository.licence},
            }
        )

    def _answer_tree(self, repo_id: str, revision: str, below: str) -> None:
        if (found := self._find(repo_id, revision)) is None:
            return
        repository, commit = found
        names = [n for n in repository.commits[commit] if not below or n.startswith(f"{below}/")]
        folders = {parent.as_posix() for name in names for parent in Path(name).parents} - {"."}
        entries = [_file_entry(name, repository.commits[commit][name]) for name in sorted(names)]
        self._send_json(entries + [_folder_entry(folder) for folder in sorted(folders)])

    def _answer_file(self, repo_id: str, revision: str, filename: str) -> None:
        if (found := self._find(repo_id, revision)) is None:
            return
        repository, commit = found
        if repository.gated:
            self._send_error(
                "GatedRepo", f"Access to model {repo_id} is restricted.", HTTPStatus.FORBIDDEN
            )
            return
        content = repository.commits[commit].get(filename)
        if content is None:
            self._send_error("EntryNotFound", "Entry not found", headers={"X-Repo-Commit": commit})
            return
        if not filename.endswith(_LARGE_SUFFIXES):
            headers = {"ETag": f'"{_git_oid(content)}"', "X-Repo-Commit": commit}
            self._send_file(content, filename, headers)
            return
        digest = _sha256(content)
        self.send_response(HTTPStatus.FOUND)
        self.send_header(
            "Location", f"{self.hub.storage_url}/storage/{digest}/{Path(filename).name}"
        )
        self.send_header("X-Repo-Commit", commit)
        self.send_header("X-Linked-Etag", f'"{digest}"')
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send_file(self, content: bytes, filename: str, headers: Mapping[str, str]) -> None:
        start, stop = 0, len(content)
        asked = self.headers.get("Range")
        if asked is not None:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start = int(first) if first else max(0, len(content) - int(last))
            stop = min(stop, int(last) + 1) if first and last else stop
            if start >= len(content):
                self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        self.send_response(HTTPStatus.OK if asked is None else HTTPStatus.PARTIAL_CONTENT)
        if asked is not None:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(stop - start))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if start and self.command == "GET":
            self.hub.ranges.append(start)
        end = self.hub._end(Path(filename).name, stop)
        self.wfile.write(content[start:end])
        if end < stop:
            self.close_connection = True

    def _send_json(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_error(
        self,
        code: str,
        message: str,
        status: HTTPStatus = HTTPStatus.NOT_FOUND,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        body = json.dumps({"error": message}).encode()
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _key(kind: str, owner: str, name: str) -> str:
    return f"{owner}/{name}" if kind == "models" else f"{_DATASETS}/{owner}/{name}"


def _file_entry(name: str, content: bytes) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "path": name, "size": len(content)}
    entry["oid"] = _git_oid(content)
    if name.endswith(_LARGE_SUFFIXES):
        entry["lfs"] = {"oid": _sha256(content), "size": len(content), "pointerSize": 134}
    return entry


def _folder_entry(name: str) -> dict[str, object]:
    return {"type": "directory", "path": name, "size": 0, "oid": _git_oid(name.encode())}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
