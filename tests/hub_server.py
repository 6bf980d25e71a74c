"""A small hub on the loopback, for huggingface_hub's own client: metadata, files, redirects, ranges, failures."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from huggingface_hub import constants, file_download
from places import GOLDENS

try:
    from huggingface_hub import close_session
except ImportError:  # before version 1
    from huggingface_hub.utils import reset_sessions as close_session  # type: ignore[no-redef]

GOLDEN = GOLDENS / "hf-hybrid-small"
NAME = "somebody/hybrid"
FILES = {
    name: (GOLDEN / name).read_bytes() for name in ("config.json", "preprocessor_config.json", "model.safetensors")
}
COMMIT = "1" * 40
NEXT_COMMIT = "2" * 40


PULL_COMMIT = "3" * 40
BOT, TITLE = "SFconvertbot", "Adding `safetensors` variant of this model"


@dataclass(frozen=True)
class Pull:
    """A pull request, or a discussion, as the hub lists it."""

    number: int
    author: str | None = BOT
    title: str = TITLE
    status: str = "open"
    is_pull_request: bool = True


@dataclass
class Repository:
    """The files of a model at each of its revisions; ``files`` maps a commit to names and contents."""

    files: dict[str, dict[str, bytes]]
    refs: dict[str, str] = field(default_factory=lambda: {"main": COMMIT})
    refusal: tuple[int, str] | None = None
    """Status and X-Error-Code that each file is refused with, as for a gated model."""
    pulls: list[Pull] = field(default_factory=list)
    """The newest first, as the hub lists them."""
    parents: dict[str, str] = field(default_factory=dict)
    """Which commit lies below another."""
    no_discussions: tuple[int, str] | None = None
    """Status and X-Error-Code where pull requests are asked for, as of a mirror."""
    page: int = 10
    """How many pull requests are told at once."""

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """By branch, by commit, and by the first seven or more digits of one."""
        commit = self.refs.get(revision, revision)
        found = [known for known in self.files if known == commit or (len(commit) >= 7 and known.startswith(commit))]
        return (found[0], self.files[found[0]]) if found else None

    def open_pull(
        self, number: int, files: Mapping[str, bytes], *, commit: str = PULL_COMMIT, parent: str = COMMIT, **as_: Any
    ) -> None:
        """Add a pull request whose commit has these files and lies upon ``parent``; ``as_`` are `Pull`'s fields."""
        self.pulls.insert(0, Pull(number, **as_))
        self.refs[f"refs/pr/{number}"] = commit
        self.files[commit] = dict(files)
        self.parents[commit] = parent

    def history(self, revision: str) -> list[str] | None:
        found = self.at(revision)
        commits = [] if found is None else [found[0]]
        while commits and commits[-1] in self.parents:
            commits.append(self.parents[commits[-1]])
        return commits or None


@dataclass(frozen=True)
class Request:
    """What the server was asked."""

    method: str
    path: str
    range: str | None
    authorization: str | None


@dataclass
class Hub:
    """A running server: what it holds, what it was asked, and how it misbehaves."""

    endpoint: str
    cdn: str
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    broken: dict[str, bytes] = field(default_factory=dict)
    """Contents that are delivered in place of the file with this sha256."""
    drops: list[int] = field(default_factory=list)
    """One entry for each large-file answer to come: break the connection after so many bytes."""
    status: int | None = None
    """Answer everything with this status, as in an outage."""
    headers: dict[str, str] = field(default_factory=dict)
    """What goes with ``status``."""
    body: bytes = b"out of order"
    """What goes with ``status``."""
    raw: bytes | None = None
    """Answer everything with these bytes, which need not be HTTP, and close the connection."""
    silent: threading.Event | None = None
    """Answer nothing before this is set."""
    cas: str | None = None
    """Say of large files that they are in Xet storage at this address."""

    def add(self, repo_id: str, files: Mapping[str, bytes]) -> Repository:
        self.repositories[repo_id] = Repository({COMMIT: dict(files)})
        return self.repositories[repo_id]

    def asked(self, method: str, part: str) -> list[Request]:
        return [request for request in self.requests if request.method == method and part in request.path]


def is_large(name: str) -> bool:
    """Tell whether a hub keeps the file in its large-file storage, where a file's name is its sha256."""
    return name.endswith((".safetensors", ".bin"))


def etag(name: str, content: bytes) -> str:
    """Return the sha256 of a large file, the git blob id of a small one."""
    if is_large(name):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def running() -> Iterator[Hub]:
    """Serve on a free port of 127.0.0.1 until the block ends; the CDN is the same server by another name."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    port = server.server_address[1]
    hub = Hub(f"http://127.0.0.1:{port}", f"http://localhost:{port}")
    server.hub = hub  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def point_client_at(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have huggingface_hub's client in this process ask another hub."""
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)  # before version 1


@contextmanager
def client_pointed_at(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let huggingface_hub's client in this process know no other hub, cache or token; its cache is in ``folder``."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "token"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "cache"))
    point_client_at(hub.endpoint, monkeypatch)
    yield
    close_session()


class _Handler(BaseHTTPRequestHandler):
    """Answers like huggingface.co: https://huggingface.co/docs/hub/api, and the headers of its file answers."""

    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> Hub:
        return self.server.hub  # type: ignore[attr-defined, no-any-return]

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
        """Stay silent."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        headers = self.headers
        self.hub.requests.append(Request(self.command, self.path, headers["Range"], headers["Authorization"]))
        if self.hub.silent is not None:
            self.hub.silent.wait(60)
        if self.hub.raw is not None:
            self.close_connection = True
            self.wfile.write(self.hub.raw)
            return None
        if self.hub.status is not None:
            return self._send(self.hub.status, self.hub.body, self.hub.headers)
        if path.startswith("/xet-token") and self.hub.cas is not None:
            return self._send_xet_token(self.hub.cas)
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+?)(?:/revision/([^/]+))?", path):
            return self._send_info(match[1], unquote(match[2] or "main"))
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+?)/discussions", path):
            return self._send_discussions(match[1], parse_qs(urlsplit(self.path).query))
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+?)/commits/([^/]+)", path):
            return self._send_commits(match[1], unquote(match[2]))
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._send_file(match[1], unquote(match[2]), unquote(match[3]))
        if match := re.fullmatch(r"/cdn/([0-9a-f]{64})", path):
            return self._send_from_cdn(match[1])
        return self._refuse(404, "NotFound")

    def _send_info(self, repo_id: str, revision: str) -> None:
        repository = self.hub.repositories.get(repo_id)
        if repository is None:
            return self._refuse(401, "RepoNotFound")
        found = repository.at(revision)
        if found is None:
            return self._refuse(404, "RevisionNotFound")
        commit, files = found
        siblings = [_sibling(name, content) for name, content in files.items()]
        return self._send(200, json.dumps({"id": repo_id, "sha": commit, "siblings": siblings}).encode())

    def _send_discussions(self, repo_id: str, query: dict[str, list[str]]) -> None:
        """A page of them, as ``HfApi.get_repo_discussions`` reads it; type, status and author can be asked for."""
        repository = self.hub.repositories[repo_id]
        if repository.no_discussions is not None:
            return self._refuse(*repository.no_discussions)
        asked = {name: values[0] for name, values in query.items()}
        return self._send(200, discussions_answer(repo_id, repository, asked).encode())

    def _send_commits(self, repo_id: str, revision: str) -> None:
        """The newest first, as ``HfApi.list_repo_commits`` reads them."""
        history = self.hub.repositories[repo_id].history(revision)
        if history is None:
            return self._refuse(404, "RevisionNotFound")
        return self._send(200, json.dumps([_commit(commit) for commit in history]).encode())

    def _send_file(self, repo_id: str, revision: str, name: str) -> None:
        repository = self.hub.repositories.get(repo_id)
        if repository is None:
            return self._refuse(401, "RepoNotFound")
        if repository.refusal is not None:
            return self._refuse(*repository.refusal)
        found = repository.at(revision)
        if found is None:
            return self._refuse(404, "RevisionNotFound")
        commit, files = found
        if name not in files:
            return self._refuse(404, "EntryNotFound", {"X-Repo-Commit": commit})
        return self._deliver(commit, name, files[name])

    def _deliver(self, commit: str, name: str, content: bytes) -> None:
        """Send a small file; for a large one send to the CDN, a host of another name."""
        headers = {"X-Repo-Commit": commit, "ETag": f'"{etag(name, content)}"'}
        if not is_large(name):
            return self._send(200, content, headers)
        headers["X-Linked-Etag"] = headers["ETag"]
        headers["X-Linked-Size"] = str(len(content))
        headers["Location"] = f"{self.hub.cdn}/cdn/{etag(name, content)}"
        if self.hub.cas is not None:
            headers["X-Xet-Hash"] = etag(name, content)
            headers["Link"] = f'<{self.hub.endpoint}/xet-token>; rel="xet-auth"'
        return self._send(302, b"", headers)

    def _send_xet_token(self, cas: str) -> None:
        expires = "9999999999"
        headers = {"X-Xet-Cas-Url": cas, "X-Xet-Access-Token": "xet_secret", "X-Xet-Token-Expiration": expires}
        answer = {"casUrl": cas, "accessToken": "xet_secret", "exp": int(expires)}
        self._send(200, json.dumps(answer).encode(), headers)

    def _send_from_cdn(self, sha256: str) -> None:
        content = self.hub.broken.get(sha256) or self._stored(sha256)
        start = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1]) if self.headers["Range"] else 0  # type: ignore[index]
        headers = {"Accept-Ranges": "bytes", "ETag": f'"{sha256}"'}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        drop_after = self.hub.drops.pop(0) if self.command == "GET" and self.hub.drops else None
        self._send(206 if start else 200, content[start:], headers, drop_after)

    def _stored(self, sha256: str) -> bytes:
        return next(
            content
            for repository in self.hub.repositories.values()
            for files in repository.files.values()
            for name, content in files.items()
            if etag(name, content) == sha256
        )

    def _refuse(self, status: int, code: str, headers: Mapping[str, str] | None = None) -> None:
        self._send(status, b"", {"X-Error-Code": code, "X-Error-Message": code, **(headers or {})})

    def _send(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None, drop_after: int | None = None
    ) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(body[:drop_after])
        if drop_after is not None:
            self.wfile.flush()
            self.close_connection = True


def discussions_answer(repo_id: str, repository: Repository, asked: dict[str, str]) -> str:
    """The page that is asked for."""
    found = [pull for pull in repository.pulls if _is_asked_for(pull, asked)]
    start = int(asked.get("p", "0")) * repository.page
    page = [_discussion(repo_id, pull) for pull in found[start : start + repository.page]]
    return json.dumps({"discussions": page, "count": len(found), "start": start, "numClosedDiscussions": 0})


def _is_asked_for(pull: Pull, asked: dict[str, str]) -> bool:
    kinds = {"pull_request": (True,), "discussion": (False,)}.get(asked.get("type", ""), (True, False))
    statuses = {"open": ("open", "draft"), "closed": ("closed", "merged")}.get(asked.get("status", ""), (pull.status,))
    return pull.is_pull_request in kinds and pull.status in statuses and asked.get("author") in (None, pull.author)


def _discussion(repo_id: str, pull: Pull) -> dict[str, Any]:
    record = {
        "num": pull.number,
        "repo": {"name": repo_id, "type": "model"},
        "title": pull.title,
        "status": pull.status,
        "createdAt": "2023-07-01T12:00:00.000Z",
        "isPullRequest": pull.is_pull_request,
        "numComments": 1,
        "pinned": False,
    }
    # Of a user who is gone, the hub names none.
    return record if pull.author is None else record | {"author": {"name": pull.author, "type": "user"}}


def _commit(commit: str) -> dict[str, Any]:
    date = "2023-07-01T12:00:00.000Z"
    return {"id": commit, "title": "words", "message": "", "authors": [{"user": "somebody"}], "date": date}


def _sibling(name: str, content: bytes) -> dict[str, Any]:
    record: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": etag("", content)}
    if is_large(name):
        record["lfs"] = {"size": len(content), "sha256": etag(name, content), "pointerSize": 134}
    return record
