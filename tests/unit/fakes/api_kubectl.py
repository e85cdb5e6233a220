"""Stands in for kubectl where a test wants a whole supervisor: `kubectl proxy` in front of an API server of two lists.

Run as a program: `api_kubectl.py DIRECTORY proxy --unix-socket=NAME …`. The lists are files in DIRECTORY:
`services.json` and `endpointslices.json` hold the items, and what is added to `services.events` and
`endpointslices.events`, a JSON object a line, is sent to whoever watches.
"""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

LOOK_SECONDS = 0.01


class Handler(BaseHTTPRequestHandler):
    """Answers lists and watches; of anything else it says that there is none."""

    protocol_version = "HTTP/1.1"
    directory = Path()

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        plural = path.rpartition("/")[2]
        if not (self.directory / f"{plural}.json").exists():
            self._send(404, {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404})
        elif "watch=1" in query:
            self._watch(self.directory / f"{plural}.events", path)
        else:
            items = json.loads((self.directory / f"{plural}.json").read_text())
            items = [item for item in items if _is_in(item, path)]
            self._send(200, {"kind": "List", "metadata": {"resourceVersion": "1"}, "items": items})

    def _send(self, code: int, document: dict[str, Any]) -> None:
        text = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _watch(self, events: Path, path: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with events.open("rb") as file:
            while True:
                for line in file.readlines():
                    if not _is_in(json.loads(line)["object"], path):
                        continue
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
                self.wfile.flush()
                time.sleep(LOOK_SECONDS)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        pass


def _is_in(item: dict[str, Any], path: str) -> bool:
    """Whether an object is in the namespace that a path names, if it names one."""
    _, _, rest = path.partition("/namespaces/")
    return not rest or item["metadata"]["namespace"] == rest.partition("/")[0]


class Server(ThreadingMixIn, UnixStreamServer):
    """A thread for each connection; none keeps the program."""

    daemon_threads = True


def main(directory: str, verb: str, *flags: str) -> None:
    [name] = [flag.partition("=")[2] for flag in flags if flag.startswith("--unix-socket=")]
    Handler.directory = Path(directory)
    with Server(name, Handler) as server:
        print(f"Starting to serve on {name}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    directory, *arguments = sys.argv[1:]
    words = [word for word in arguments if not word.startswith("-")]
    main(directory, words[0], *arguments)
