"""What goes wrong, on which request and how often: a programmable queue of bad luck."""

import threading
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    # The request is not processed.
    DROP_BEFORE = "drop_before"  # connection closed, nothing done
    DROP_DURING = "drop_during"  # connection reset before the request was read; the journal does not know it
    DELAY = "delay"  # processed only after `seconds`
    ANSWER = "answer"  # `status`, `body`, `headers` instead of an answer; processed first if `executed`
    # The request is processed, its answer suffers.
    DROP_AFTER = "drop_after"
    RESET_AFTER = "reset_after"
    TRUNCATE = "truncate"  # half of the body
    EMPTY = "empty"  # 200 without a body
    MALFORMED = "malformed"  # 200 with broken JSON
    DRIP = "drip"  # one byte every `seconds`
    DELAY_AFTER = "delay_after"
    DUPLICATE = "duplicate"  # executed, and answered with "Duplicate order sent."
    # The market behaves.
    LAG = "lag"  # the order is visible to look-ups only after `seconds` of the server's clock
    LATE = "late"  # accepted by the gateway, reaches the book after `seconds`; the answer is a time-out (504)
    PARTIAL = "partial"  # only `fraction` fills; the rest stays for `seconds`, or expires (market, IOC)
    FILL_AFTER_CANCEL = "fill_after_cancel"  # `fraction` of the rest fills `seconds` after "canceled"


@dataclass(frozen=True, slots=True)
class Fault:
    """``on`` is "METHOD /path" or a prefix of it, such as "POST /api/v3/order"; ``times`` 0 means always."""

    kind: Kind
    on: str = ""
    times: int = 1
    skip: int = 0
    seconds: float = 0.0
    fraction: str = "0.5"
    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    executed: bool = False


def http_error(on: str, status: int = 502, *, executed: bool = False, times: int = 1) -> Fault:
    """A gateway's HTML page."""
    page = f"<html><body><h1>{status} Bad Gateway</h1></body></html>"
    return Fault(Kind.ANSWER, on, times, status=status, body=page, executed=executed)


def refusal(on: str, code: int, text: str, *, status: int = 400, times: int = 1, **headers: str) -> Fault:
    """Binance's own JSON error; header names are written with underscores."""
    body = f'{{"code":{code},"msg":"{text}"}}'
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(Kind.ANSWER, on, times, status=status, body=body, headers=named)


def too_many(on: str = "", retry_after: int = 30, *, banned: bool = False, times: int = 1) -> Fault:
    text = "Way too many requests; IP banned." if banned else "Too many requests."
    status = 418 if banned else 429
    return refusal(on, -1003, text, status=status, times=times, Retry_After=str(retry_after))


def clock_skew(on: str = "", times: int = 1) -> Fault:
    return refusal(on, -1021, "Timestamp for this request is outside of the recvWindow.", times=times)


def maintenance(on: str = "", times: int = 0) -> Fault:
    return refusal(on, 1, "System is under maintenance.", status=503, times=times)


class Faults:
    """Rules in the order they were added; the first that matches a request is taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Fault] = []

    def add(self, *faults: Fault) -> None:
        with self._lock:
            self._rules.extend(faults)

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def pending(self) -> list[Fault]:
        with self._lock:
            return list(self._rules)

    def take(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for index, rule in enumerate(self._rules):
                if f"{method} {path}".startswith(rule.on):
                    return self._use(index, rule)
        return None

    def _use(self, index: int, rule: Fault) -> Fault | None:
        if rule.skip:
            self._rules[index] = replace(rule, skip=rule.skip - 1)
            return None
        if rule.times == 1:
            del self._rules[index]
        elif rule.times:
            self._rules[index] = replace(rule, times=rule.times - 1)
        return rule


def from_json(value: dict[str, Any]) -> Fault:
    return Fault(**{**value, "kind": Kind(value["kind"])})
