"""The wire: reads a request, verifies its signature, meets it with its fault, answers."""

import contextlib
import hashlib
import hmac
import json
import socket
import struct
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from exchanges.tests.local_server import LocalServer, QuietHandler
from exchanges.tests.loopback import control
from exchanges.tests.loopback.books import Row
from exchanges.tests.loopback.faults import Fault, Kind
from exchanges.tests.loopback.routes import PUBLIC, SIGNED, Call
from exchanges.tests.loopback.rules import Rejected

if TYPE_CHECKING:
    from exchanges.tests.loopback.exchange import LoopbackExchange

MAX_WINDOW_MS = 60_000


class Server(LocalServer):
    request_queue_size = 128

    def __init__(self, exchange: "LoopbackExchange", port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.exchange = exchange


class Handler(QuietHandler):
    server: Server

    def _serve(self) -> None:
        method, parts = self.command, urlsplit(self.path)
        exchange = self.server.exchange
        fault = exchange.faults.take(method, parts.path) if not parts.path.startswith("/control/") else None
        if fault is not None and fault.kind is Kind.DROP_DURING:
            self._drop(reset=True)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if parts.path.startswith("/control/"):
            self._answer(*control.answer(exchange, method, parts.path, body))
            return
        payload = "&".join(text for text in (parts.query, body) if text)
        params = dict(parse_qsl(payload, keep_blank_values=True))
        journal = exchange.journal(method, parts.path, params, fault)
        if fault is not None and fault.kind is Kind.DROP_BEFORE:
            self._drop()
            return
        if fault is not None and fault.kind is Kind.DELAY:
            time.sleep(fault.seconds)
        if fault is not None and fault.kind is Kind.ANSWER and not fault.executed:
            status, answer = fault.status, fault.body
        else:
            status, answer = self._process(method, parts.path, payload, params, fault)
        exchange.books.update("requests", journal, status=status)
        self._answer_with(fault, status, answer)

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the base class's names

    def _process(
        self, method: str, path: str, payload: str, params: dict[str, str], fault: Fault | None
    ) -> tuple[int, str]:
        exchange, route = self.server.exchange, f"{method} {path}"
        ms = exchange.clock.ms
        try:
            exchange.matching.sweep(ms)
            if route in PUBLIC:
                return 200, json.dumps(PUBLIC[route](Call(exchange, params, ms, None, fault)))
            if route not in SIGNED:
                return 404, "<html><body>Not found</body></html>"
            account = self._verified(payload, params, ms)
            return 200, json.dumps(SIGNED[route](Call(exchange, params, ms, account, fault)))
        except Rejected as refusal:
            return refusal.status, json.dumps({"code": refusal.code, "msg": refusal.text})

    def _verified(self, payload: str, params: dict[str, str], ms: int) -> Row:
        key = self.headers.get("X-MBX-APIKEY", "")
        account = self.server.exchange.books.row("SELECT * FROM accounts WHERE api_key = ?", key)
        if not key or not params.get("signature"):
            raise Rejected(-2014, "API-key format invalid.", 401)
        if account is None:
            raise Rejected(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        signed, _, signature = payload.rpartition("&signature=")
        expected = hmac.new(account["api_secret"].encode(), signed.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, signature):
            raise Rejected(-1022, "Signature for this request is not valid.")
        stamp, window = int(params.get("timestamp") or 0), int(params.get("recvWindow") or 5_000)
        if window > MAX_WINDOW_MS:
            raise Rejected(-1131, "recvWindow must be less than 60000.")
        if stamp >= ms + self.server.exchange.clock.tolerance_ms or ms - stamp > window:
            raise Rejected(-1021, "Timestamp for this request is outside of the recvWindow.")
        return account

    # --- Answers -----------------------------------------------------------------------------------

    def _answer_with(self, fault: Fault | None, status: int, text: str) -> None:
        kind = fault.kind if fault else None
        if fault is None or kind in {
            Kind.LAG,
            Kind.LATE,
            Kind.PARTIAL,
            Kind.FILL_AFTER_CANCEL,
            Kind.DUPLICATE,
            Kind.DELAY,
        }:
            self._answer(status, text)
        elif kind is Kind.ANSWER:
            self._answer(fault.status, fault.body, fault.headers)
        elif kind in {Kind.DROP_AFTER, Kind.RESET_AFTER}:
            self._drop(reset=kind is Kind.RESET_AFTER)
        elif kind is Kind.TRUNCATE:
            self._answer(status, text, send=len(text) // 2)
            self._drop()
        elif kind is Kind.DRIP:
            self._answer(status, text, send=0)
            self._drip(text, fault.seconds)
        elif kind is Kind.DELAY_AFTER:
            time.sleep(fault.seconds)
            self._answer(status, text)
        else:
            self._answer(200, "" if kind is Kind.EMPTY else text[: len(text) // 2] + '"}')

    def _answer(self, status: int, text: str, headers: dict[str, str] | None = None, send: int | None = None) -> None:
        data = text.encode()
        self.send_response(status)
        html = text.startswith("<")
        for name, value in {
            "Content-Type": "text/html" if html else "application/json;charset=UTF-8",
            "Content-Length": str(len(data)),
            "X-MBX-USED-WEIGHT-1M": "1",
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data if send is None else data[:send])
        self.wfile.flush()

    def _drip(self, text: str, seconds: float) -> None:
        with contextlib.suppress(OSError):
            for byte in text.encode():
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(seconds)

    def _drop(self, *, reset: bool = False) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            if reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            else:
                self.connection.shutdown(socket.SHUT_RDWR)
