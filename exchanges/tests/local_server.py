"""What every small HTTP server of the tests has in common: on the loopback, quiet, and not upset by a lost client."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class LocalServer(ThreadingHTTPServer):
    daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def begin(self) -> None:
        """Serve beside the test, until `shutdown`."""
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none of our errors."""


class QuietHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Quiet: the test knows what was asked and said."""

    def say(self, status: int, data: bytes, **headers: str) -> None:
        self.send_response(status)
        told = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        for name, value in {**told, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
