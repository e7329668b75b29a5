"""ccxt's exceptions to ours: an exception refuses an order only where its exact class or code proves it.

ccxt's tree does not separate "refused" from "unknown": a bare ExchangeError may be a time-out inside the
exchange, InvalidOrder may say that an order with our id exists. So the table is an allow-list, by exact class
name (ccxt itself is not imported here), and whatever is not in it is Unavailable.
"""

import json
import re
from datetime import datetime
from http import HTTPStatus
from typing import Any

from exchanges.core.candles import from_ms
from exchanges.core.errors import (
    ClockSkew,
    DuplicateOrder,
    ExchangeFault,
    InsufficientFunds,
    InvalidRequest,
    KeyInvalid,
    Maintenance,
    MarketClosed,
    NotSent,
    OrderNotFound,
    PermissionMissing,
    RateLimited,
    Refused,
    Unavailable,
)
from exchanges.scrub import scrub

BY_CLASS: dict[str, type[ExchangeFault]] = {
    "AccountSuspended": KeyInvalid,
    "ArgumentsRequired": InvalidRequest,
    "AuthenticationError": KeyInvalid,
    "BadRequest": InvalidRequest,
    "BadSymbol": InvalidRequest,
    "DDoSProtection": RateLimited,
    "DuplicateOrderId": DuplicateOrder,
    "InsufficientFunds": InsufficientFunds,
    "InvalidNonce": ClockSkew,
    "InvalidOrder": InvalidRequest,
    "MarketClosed": MarketClosed,
    "NotSupported": InvalidRequest,
    "OnMaintenance": Maintenance,
    "OperationRejected": Refused,
    "OrderNotFound": OrderNotFound,
    "PermissionDenied": PermissionMissing,
    "RateLimitExceeded": RateLimited,
}
# What an exchange's own code proves, where ccxt's class says less or says it wrongly.
BY_CODE: dict[str, dict[str, type[ExchangeFault]]] = {
    # ccxt turns -2015 into a retryable DDoSProtection once any private call has succeeded.
    "binance": {"-1003": RateLimited, "-1015": RateLimited, "-1021": ClockSkew, "-2015": KeyInvalid},
    # 50036 is what a late request gets for its expTime; 51011 is "Order ID already exists", InvalidOrder to ccxt;
    # 51065 and 51068 say that of a stop.
    "okx": {
        **dict.fromkeys(("50036", "50102"), ClockSkew),
        **dict.fromkeys(("51011", "51016", "51065", "51068"), DuplicateOrder),
        **dict.fromkeys(("51149", "4006"), Unavailable),
        "50061": RateLimited,
    },
    # 170146 "Order creation timeout" and 170035 "Submitted to the system" are InvalidOrder and BadRequest to ccxt,
    # and so are 110008 and 170139, which say that an order was executed.
    "bybit": {
        **dict.fromkeys(("12141", "10014", "110030", "110072", "140030", "170141"), DuplicateOrder),
        **dict.fromkeys(("110008", "170035", "170139", "170143", "170144", "170146", "170147", "170191"), Unavailable),
        **dict.fromkeys(("-2013", "110001", "110010", "140010", "170142", "170213"), OrderNotFound),
        "10002": ClockSkew,
        "10009": RateLimited,
    },
    # 330005 is "The order has been filled", 400400 "Parameter error/service abnormal".
    "kucoin": {
        **dict.fromkeys(("126033", "126044"), DuplicateOrder),
        **dict.fromkeys(("100004", "330005", "400400", "408000"), Unavailable),
        "400002": ClockSkew,
    },
    # Bare ExchangeErrors to ccxt; Kraken's document says of each that the order was not taken.
    "kraken": {
        **dict.fromkeys(("EOrder:Cost minimum not met", "EOrder:Tick size check failed"), InvalidRequest),
        **dict.fromkeys(("EOrder:Orders limit exceeded", "EOrder:Positions limit exceeded"), InvalidRequest),
        "EAPI:Invalid signature": KeyInvalid,
        "EService:Deadline elapsed": Refused,
        "EOrder:Unknown order": OrderNotFound,
    },
    "gate": {"REPEATED_CREATION": DuplicateOrder, "ORDER_CANCELLED": Unavailable, "ORDER_CLOSED": Unavailable},
}
_DUPLICATE = re.compile(r"(?i)duplicate|clOrdId already exist|clientO(?:rder)?Id.{0,20}exist")
# Words with which an exchange says that it does not know itself.
_DOUBTFUL = re.compile(r"(?i)time[ -]?out|timed out|busy|being processed|for processing|internal error|disconnect")
_BANNED_UNTIL = re.compile(r"(?i)banned until (\d{13})")
_NEVER_CONNECTED = frozenset({"ConnectTimeoutError", "NameResolutionError", "NewConnectionError"})
_CODE_KEYS = ("sCode", "code", "retCode", "ret_code", "err-code", "label", "errorCode", "error")
_TEXT_KEYS = ("sMsg", "msg", "retMsg", "ret_msg", "err-msg", "message", "error_description")
_TOO_MANY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.IM_A_TEAPOT})
_DETAIL_CHARS = 160


def classify(error: BaseException, *, writing: bool, status: int = 0) -> ExchangeFault:
    """Our fault for whatever a ccxt call raised; ``writing`` is True for what may have changed an account.

    ``status`` is the answer's HTTP status, 0 without one: a gateway's 5xx proves nothing, whatever its body says.
    """
    if isinstance(error, ExchangeFault):
        return error
    exchange, code, text = _said(error)
    detail = _detail(error, code, text)
    # Kraken's sentence is its code.
    said = f"{code} {text}"
    if _never_connected(error):
        return NotSent(detail)
    fault = BY_CODE.get(exchange, {}).get(code)
    if fault is None and writing and _DUPLICATE.search(said):
        fault = DuplicateOrder
    if fault is None and type(error).__module__ == "ccxt.base.errors":
        fault = BY_CLASS.get(type(error).__name__)
        if status in _TOO_MANY and not code:
            # A gateway's page; on OKX ccxt calls it unavailable, and its limit would go unheard.
            fault = RateLimited
    if writing and fault is not None and _unproven(fault, said, status):
        fault = Unavailable
    return (fault or Unavailable)(detail, retry_at=_banned_until(text))


def _unproven(fault: type[ExchangeFault], said: str, status: int) -> bool:
    if not issubclass(fault, Refused):
        return False
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or _DOUBTFUL.search(said) is not None


def _banned_until(text: str) -> datetime | None:
    found = _BANNED_UNTIL.search(text)
    return from_ms(int(found[1])) if found else None


def _never_connected(error: BaseException) -> bool:
    """Whether urllib3 says that no connection was made; a broken TLS handshake or proxy is not that."""
    cause: BaseException | None = error
    for _ in range(4):
        if cause is None:
            return False
        first = cause.args[0] if cause.args else None
        if type(getattr(first, "reason", None)).__name__ in _NEVER_CONNECTED:
            return True
        cause = cause.__cause__
    return False


def _said(error: BaseException) -> tuple[str, str, str]:
    """(exchange, its code, its message) out of "binance {json}" or "kraken EOrder:…"."""
    exchange, _, rest = str(error).partition(" ")
    body = _body(rest)
    if body is not None:
        return exchange, _first(body, _CODE_KEYS), _first(body, _TEXT_KEYS)
    # Without a body only a short plain sentence is the exchange's own; an address or page is not repeated.
    plain = rest if len(rest) <= 2 * _DETAIL_CHARS and "://" not in rest and "<" not in rest else ""
    return exchange, plain.strip(), plain


def _body(text: str) -> dict[str, Any] | None:
    start = text.find("{")
    if start < 0:
        return None
    try:
        value = json.loads(text[start:])
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    inner = value.get("data")
    # OKX wraps the order's own code one level down, beside a code that only says "failed".
    if isinstance(inner, list) and inner and isinstance(inner[0], dict) and inner[0].get("sCode"):
        return {**value, **inner[0]}
    return value


def _first(body: dict[str, Any], keys: tuple[str, ...]) -> str:
    for key in keys:
        value = body.get(key)
        if isinstance(value, list):
            value = ", ".join(str(part) for part in value)
        if value not in (None, ""):
            return str(value)
    return ""


def _detail(error: BaseException, code: str, text: str) -> str:
    """Class, code and the exchange's short message; never an address, header or body."""
    said = text if text == code or not code else f"{code} {text}"
    said = scrub(" ".join(said.split()))[:_DETAIL_CHARS]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
