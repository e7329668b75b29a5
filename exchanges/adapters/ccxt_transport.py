"""The HTTP session under ccxt: one send per request, a deadline for the whole of it, no redirect, no retry."""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from exchanges.core.errors import NotSent, Unavailable

CALL_SECONDS = 10.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024
_CHUNK = 64 * 1024


class TransportSession(requests.Session):
    """``begin`` starts the clock of one call; every request of that call shares what is left of it.

    requests' own timeout is per read, so a dripping answer never ends; and name resolution has none. The
    request therefore runs in a thread that is given up when the time is over; it ends by itself soon after.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        for scheme in ("http://", "https://"):
            self.mount(scheme, HTTPAdapter(max_retries=Retry(0, read=False, redirect=False)))
        self.status = 0
        self.answer_headers: dict[str, str] = {}
        self.begin()

    def begin(self) -> None:
        self._ends = time.monotonic() + CALL_SECONDS
        self.status, self.answer_headers = 0, {}

    @property
    def seconds_left(self) -> float:
        return self._ends - time.monotonic()

    def request(self, method: str, url: str, **options: Any) -> requests.Response:  # type: ignore[override]
        left = self.seconds_left
        if left <= 0:
            raise NotSent(f"No time was left of the {CALL_SECONDS:.0f} s for one call.")
        work = _Request(super().request, (method, url), options | {"timeout": left, "allow_redirects": False})
        response = work.result(left)
        self.status = response.status_code
        self.answer_headers = {name.lower(): value for name, value in response.headers.items()}
        return response


class _Request(threading.Thread):
    """One request in a thread of its own; its outcome is taken once, within the time given."""

    def __init__(
        self, send: Callable[..., requests.Response], target: tuple[str, str], options: dict[str, Any]
    ) -> None:
        super().__init__(daemon=True, name="exchange-request")
        self._send, self._target, self._options = send, target, options
        self._streaming: requests.Response | None = None
        self._response: requests.Response | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._response = self._complete()
        except BaseException as error:  # noqa: BLE001 - handed over to the waiting thread, whatever it is
            self._error = error

    def result(self, seconds: float) -> requests.Response:
        self.start()
        self.join(seconds)
        if self._error is not None:
            raise self._error
        if self._response is None:
            self._give_up()
            raise Unavailable(f"No complete answer within {CALL_SECONDS:.0f} s.")
        return self._response

    def _complete(self) -> requests.Response:
        self._streaming = response = self._send(*self._target, **self._options, stream=True)
        parts: list[bytes] = []
        size = 0
        for chunk in response.iter_content(_CHUNK):
            parts.append(chunk)
            size += len(chunk)
            if size > MAX_ANSWER_BYTES:
                response.close()
                raise Unavailable(f"The answer was longer than {MAX_ANSWER_BYTES} bytes.")
        response._content = b"".join(parts)
        return response

    def _give_up(self) -> None:
        """Wake the thread from its read, so that a dripping answer does not keep it alive."""
        if self._streaming is not None:
            with contextlib.suppress(OSError, RuntimeError, ValueError):
                self._streaming.raw.shutdown()
