"""A server with the command line of `vllm serve` that is healthy at once, and answers prompts only once a file exists.

Run as a program. The variable MUTE_ENGINE_MAY_ANSWER names the file.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MAY_ANSWER = "MUTE_ENGINE_MAY_ANSWER"


class Handler(BaseHTTPRequestHandler):
    """The endpoints that the operator and its pods ask."""

    names: tuple[str, ...] = ()

    def do_GET(self) -> None:
        """Health, models and metrics."""
        if self.path == "/metrics":
            gauges = ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc")
            self._answer("".join(f'vllm:{gauge}{{model_name="m"}} 0\n' for gauge in gauges))
        else:
            self._answer(json.dumps({"data": [{"id": name} for name in self.names]}))

    def do_POST(self) -> None:
        """A completion, or silence until the client is gone."""
        self.rfile.read(int(self.headers["Content-Length"]))
        if Path(os.environ[MAY_ANSWER]).exists():
            self._answer(json.dumps({"choices": [{"text": "a"}]}))
        else:
            self.rfile.read(1)
            self.close_connection = True

    def _answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--served-model-name", nargs="+")
    given, _ = parser.parse_known_args()
    # As the first process of a container it would not hear the signal otherwise.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    Handler.names = tuple(given.served_model_name)
    ThreadingHTTPServer((os.environ["POD_IP"], given.port), Handler).serve_forever()
