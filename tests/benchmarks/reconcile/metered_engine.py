"""A simulated engine whose load is whatever a file says: for measuring how fast the operator reacts.

It answers /health, /metrics and what the startup probe asks like vLLM; the file holds running, waiting and KV-cache
usage as JSON. Of all engines that share a file the first reports it and the others report nothing to do, so that a new
replica does not multiply the load. Started by the local node in place of `vllm serve`, as `metered_engine.py LOAD_FILE
serve MODEL --host H ...`.
"""

import argparse
import fcntl
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

_PAGE = """\
vllm:num_requests_running{{engine="0",model_name="metered"}} {running}
vllm:num_requests_waiting{{engine="0",model_name="metered"}} {waiting}
vllm:kv_cache_usage_perc{{engine="0",model_name="metered"}} {kv_cache_usage}
"""
_IDLE = {"running": 0, "waiting": 0, "kv_cache_usage": 0.0}
IDLE_PAGE = _PAGE.format(**_IDLE)


class Handler(BaseHTTPRequestHandler):
    """Has one page for each path."""

    load_file: Path
    first: bool
    names: list[str]

    def do_GET(self) -> None:
        """Answer; health is an empty page."""
        load = json.loads(self.load_file.read_text()) if self.first else _IDLE
        models = json.dumps({"data": [{"id": name} for name in self.names]})
        self._answer({"/metrics": _PAGE.format(**load), "/v1/models": models}.get(self.path, ""))

    def do_POST(self) -> None:
        """Complete whatever it is with a token."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(json.dumps({"choices": [{"text": "a"}]}))

    def _answer(self, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: there is a probe every few seconds."""


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("load_file", type=Path)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--served-model-name", nargs="+", required=True)
    arguments, _ = parser.parse_known_args()
    with arguments.load_file.with_suffix(".lock").open("w") as lock:
        Handler.load_file = arguments.load_file
        Handler.first = _is_first(lock)
        Handler.names = arguments.served_model_name
        ThreadingHTTPServer((arguments.host, arguments.port), Handler).serve_forever()


def _is_first(lock: IO[str]) -> bool:
    """Whether no other process holds the lock; it is held until this one ends."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
