"""The table of ccxt's exceptions, pinned: a new class or a moved code shows here before it shows in an account."""

import json

import ccxt
import pytest
from ccxt.base import errors as ccxt_tree

from exchanges.adapters.ccxt_clients import new_client
from exchanges.adapters.ccxt_contracts import CONTRACTS, supports_live
from exchanges.adapters.ccxt_errors import BY_CLASS, classify
from exchanges.core import errors as ours
from exchanges.core.errors import (
    ClockSkew,
    DuplicateOrder,
    InsufficientFunds,
    InvalidRequest,
    KeyInvalid,
    OrderNotFound,
    RateLimited,
    Refused,
    Unavailable,
)

LIVE = [name for name in CONTRACTS if supports_live(name) is None]
TREE = {
    "AccountNotEnabled": "Unavailable",
    "AccountSuspended": "KeyInvalid",
    "AddressPending": "Unavailable",
    "ArgumentsRequired": "InvalidRequest",
    "AuthenticationError": "KeyInvalid",
    "BadRequest": "InvalidRequest",
    "BadResponse": "Unavailable",
    "BadSymbol": "InvalidRequest",
    "BaseError": "Unavailable",
    "CancelPending": "Unavailable",
    "ChecksumError": "Unavailable",
    "ContractUnavailable": "Unavailable",
    "DDoSProtection": "RateLimited",
    "DuplicateOrderId": "DuplicateOrder",
    "ExchangeClosedByUser": "Unavailable",
    "ExchangeError": "Unavailable",
    "ExchangeNotAvailable": "Unavailable",
    "InsufficientFunds": "InsufficientFunds",
    "InvalidAddress": "Unavailable",
    "InvalidNonce": "ClockSkew",
    "InvalidOrder": "InvalidRequest",
    "InvalidProxySettings": "Unavailable",
    "ManualInteractionNeeded": "Unavailable",
    "MarginModeAlreadySet": "Unavailable",
    "MarketClosed": "MarketClosed",
    "NetworkError": "Unavailable",
    "NoChange": "Unavailable",
    "NotSupported": "InvalidRequest",
    "NullResponse": "Unavailable",
    "OnMaintenance": "Maintenance",
    "OperationFailed": "Unavailable",
    "OperationRejected": "Refused",
    "OrderImmediatelyFillable": "Unavailable",
    "OrderNotCached": "Unavailable",
    "OrderNotFillable": "Unavailable",
    "OrderNotFound": "OrderNotFound",
    "PermissionDenied": "PermissionMissing",
    "RateLimitExceeded": "RateLimited",
    "RequestTimeout": "Unavailable",
    "RestrictedLocation": "Unavailable",
    "UnsubscribeError": "Unavailable",
}


def test_every_class_of_ccxts_tree_has_the_fault_that_is_pinned():
    classes = [kind for kind in vars(ccxt_tree).values() if isinstance(kind, type) and issubclass(kind, Exception)]

    table = {kind.__name__: type(classify(kind("binance said no"), writing=True)).__name__ for kind in classes}

    assert table == TREE


def test_only_exact_classes_count():
    class LikeInvalidOrder(ccxt.InvalidOrder):
        """A subclass that some later ccxt might bring."""

    assert type(classify(LikeInvalidOrder("binance no"), writing=True)) is Unavailable


@pytest.mark.parametrize("error", [KeyError("id"), ValueError("bad"), TypeError(), RuntimeError("secret=abc")])
def test_our_own_bugs_while_parsing_leave_an_order_unknown(error: Exception):
    fault = classify(error, writing=True)

    assert type(fault) is Unavailable
    assert str(fault) == type(error).__name__


def test_our_own_faults_pass_unchanged():
    fault = RateLimited("later")

    assert classify(fault, writing=True) is fault


def raised_by(exchange: str, body: str, status: int = 200) -> Exception | None:
    """What the unmodified client makes of an answer."""
    api = new_client(exchange, None).api
    url = "https://api.binance.com/api/v3/order" if exchange == "binance" else "https://x/order"
    try:
        api.handle_errors(status, "", url, "POST", {}, body, json.loads(body), {}, None)
    except Exception as error:  # noqa: BLE001 - it is what the test is about
        return error
    return None


def answer(exchange: str, code: str, text: str = "no") -> str:
    bodies = {
        "binance": {"code": code, "msg": text},
        "okx": {"code": "1", "data": [{"sCode": code, "sMsg": text}], "msg": ""},
        "bybit": {"retCode": code, "retMsg": text, "result": {}},
        "kraken": {"error": [code], "result": {}},
        "kucoin": {"code": code, "msg": text},
    }
    return json.dumps(bodies[exchange])


@pytest.mark.parametrize(
    ("exchange", "code", "text", "expected"),
    [
        ("binance", "-2010", "Duplicate order sent.", DuplicateOrder),
        ("binance", "-2010", "Account has insufficient balance for requested action.", InsufficientFunds),
        ("binance", "-2011", "Unknown order sent.", OrderNotFound),
        ("binance", "-2013", "Order does not exist.", OrderNotFound),
        ("binance", "-2015", "Invalid API-key, IP, or permissions for action.", KeyInvalid),
        ("binance", "-1021", "Timestamp for this request is outside of the recvWindow.", ClockSkew),
        ("binance", "-1007", "Timeout waiting for response from backend server.", Unavailable),
        ("binance", "-1006", "An unexpected response was received.", Unavailable),
        ("okx", "51016", "Duplicated client order ID", DuplicateOrder),
        ("okx", "51008", "Insufficient balance", InsufficientFunds),
        ("okx", "51149", "Order timed out.", Unavailable),
        ("okx", "50004", "Endpoint request timeout", Unavailable),
        ("okx", "50102", "Timestamp request expired", ClockSkew),
        ("okx", "51603", "Order does not exist", OrderNotFound),
        ("bybit", "170141", "Duplicate clientOrderId", DuplicateOrder),
        ("bybit", "110072", "OrderLinkedID is duplicate", DuplicateOrder),
        ("bybit", "110030", "Duplicate orderId", DuplicateOrder),
        ("bybit", "170146", "Order creation timeout", Unavailable),
        ("bybit", "170035", "Submitted to the system for processing!", Unavailable),
        ("bybit", "10000", "Server Timeout", Unavailable),
        ("bybit", "10016", "Internal server error", Unavailable),
        ("bybit", "10002", "invalid request, please check your timestamp", ClockSkew),
        ("bybit", "110001", "Order does not exist", OrderNotFound),
        ("kucoin", "126044", "clientOid duplicate", DuplicateOrder),
        ("kucoin", "408000", "Network timeout, please try again later", Unavailable),
        ("kucoin", "200004", "Balance insufficient!", InsufficientFunds),
        ("kucoin", "400002", "KC-API-TIMESTAMP invalid", ClockSkew),
        ("kraken", "EService:Timeout", "", Unavailable),
        ("kraken", "EService:Deadline elapsed", "", Refused),
        ("kraken", "EService:Unavailable", "", Unavailable),
        ("kraken", "EOrder:Insufficient funds", "", InsufficientFunds),
        ("kraken", "EAPI:Invalid nonce", "", ClockSkew),
        ("kraken", "EAPI:Invalid key", "", KeyInvalid),
        ("kraken", "EOrder:Unknown order", "", OrderNotFound),
        ("kraken", "EOrder:Rate limit exceeded", "", RateLimited),
    ],
)
def test_exchanges_own_word_decides(exchange: str, code: str, text: str, expected: type[ours.ExchangeFault]):
    error = raised_by(exchange, answer(exchange, code, text))

    assert error is not None
    assert type(classify(error, writing=True)) is expected


@pytest.mark.parametrize("exchange", LIVE)
def test_no_known_code_is_a_refusal_outside_the_allow_list(exchange: str):
    allowed = {name for name, fault in BY_CLASS.items() if issubclass(fault, Refused)}
    codes = [str(code) for code in new_client(exchange, None).api.exceptions["exact"]]
    unproven = []
    for code in codes:
        error = raised_by(exchange, answer(exchange, code))
        if error is not None and type(error).__name__ not in allowed | {"ExchangeError"}:
            unproven += [code] if isinstance(classify(error, writing=True), Refused) else []

    assert len(codes) >= 15
    assert unproven == []


@pytest.mark.parametrize("exchange", LIVE)
def test_code_that_nobody_has_seen_is_unknown(exchange: str):
    error = raised_by(exchange, answer(exchange, "987654321", "Something new."))

    assert error is not None
    assert type(classify(error, writing=True)) is Unavailable


@pytest.mark.parametrize("word", ["Order creation timeout", "Request timed out", "System busy, try again later"])
def test_refusal_that_admits_doubt_is_unknown_for_an_order(word: str):
    error = ccxt.InvalidOrder("binance " + answer("binance", "-1", word))

    assert type(classify(error, writing=True)) is Unavailable
    assert type(classify(error, writing=False)) is InvalidRequest


def test_gateways_5xx_proves_nothing():
    error = ccxt.BadRequest("binance " + answer("binance", "-1016", "No longer available."))

    assert type(classify(error, writing=True, status=503)) is Unavailable
    assert type(classify(error, writing=True, status=400)) is InvalidRequest


def test_ban_end_is_read_from_the_message():
    text = "Way too much request weight used; IP banned until 1706781661000."
    fault = classify(ccxt.DDoSProtection("binance 418 " + answer("binance", "-1003", text)), writing=False)

    assert fault.retry_at is not None
    assert fault.retry_at.isoformat() == "2024-02-01T10:01:01+00:00"


@pytest.mark.parametrize(
    "text",
    [
        "binance GET https://api.binance.com/api/v3/order?timestamp=1&signature=abcdef",
        "binance GET https://api.binance.com/x 502 Bad Gateway <html>signature=abcdef</html>",
        'binance {"code":-1,"msg":"bad apiKey=abcdef and signature=abcdef"}',
        "binance " + "abcdef" * 200,
    ],
)
def test_message_repeats_no_address_header_or_body(text: str):
    fault = classify(ccxt.NetworkError(text), writing=True)

    assert "abcdef" not in str(fault)
    assert "http" not in str(fault)
    assert len(str(fault)) < 200
