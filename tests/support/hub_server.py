"""A test hub: the paths of the Hugging Face hub that files are read by, on loopback, with repositories of a test's own.

Refusals carry the headers that the hub documents, and files come after a redirect to another path, as on the hub.
"""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""

REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class HubRepository:
    """A repository; `token` is needed where there is one, `gated` refuses those who have not accepted the licence."""

    files: dict[str, bytes] = field(default_factory=dict)
    token: str | None = None
    gated: bool = False
    revision: str = REVISION


@dataclass
class HubServer:
    """What it serves, and what it was asked for.

    Attributes:
        endpoint: its URL.
        repositories: by organisation and name.
        failing: the status with which it answers everything, or None.
        asked: paths, each with the Authorization header that came with it.
    """

    endpoint: str = ""
    repositories: dict[str, HubRepository] = field(default_factory=dict)
    failing: int | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def put(self, name: str, *, config: Any = None, **options: Any) -> HubRepository:
        """Add a repository with a config.json."""
        files = options.pop("files", {})
        if config is not None:
            files = {"config.json": json.dumps(config).encode(), **files}
        repository = self.repositories[name] = HubRepository(files=files, **options)
        return repository

    def answer(self, path: str, token: str | None) -> Answer:
        """Status, headers and body."""
        self.asked.append((path, token))
        if self.failing is not None:
            return self.failing, {}, b"down"
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "resolve-cache"]:
            return self._file("/".join(parts[2:4]), parts[4], parts[5], token, redirects=False)
        if len(parts) == 5 and parts[2] == "resolve":
            return self._file("/".join(parts[:2]), parts[3], parts[4], token, redirects=True)
        return 404, {}, b""

    def _file(self, name: str, revision: str, file: str, token: str | None, *, redirects: bool) -> Answer:
        repository = self.repositories.get(name)
        refusal = _refusal(repository, revision, token)
        if repository is None or refusal is not None:
            return refusal or (404, {}, b"")
        if file not in repository.files:
            return 404, {"X-Error-Code": "EntryNotFound"}, b""
        if redirects:
            return 307, {"Location": f"/api/resolve-cache/{name}/{revision}/{file}"}, b""
        return 200, {}, repository.files[file]


def _refusal(repository: HubRepository | None, revision: str, token: str | None) -> Answer | None:
    if repository is None or (repository.token is not None and token is None and not repository.gated):
        return (401 if token is None else 404), {"X-Error-Code": "RepoNotFound"}, b"Repository not found"
    if repository.gated:
        headers = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to it is restricted"}
        return (401 if token is None else 403), headers, b""
    if repository.token is not None and token != f"Bearer {repository.token}":
        return 401, {"X-Error-Message": "Invalid credentials in Authorization header"}, b""
    if revision != repository.revision:
        return 404, {"X-Error-Code": "RevisionNotFound"}, b""
    return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A reader that has had enough is no error."""


@contextlib.contextmanager
def hub_server() -> Iterator[HubServer]:
    """Serve while the context lasts."""
    hub = HubServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, headers, body = hub.answer(self.path, self.headers.get("Authorization"))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):  # the reader has had enough
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
