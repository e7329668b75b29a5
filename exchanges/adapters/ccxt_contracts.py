"""What each exchange can be trusted with, as captured from the pinned ccxt: one row per exchange.

A row says how our 128-bit order id is written there, by which route an order is found again by that id, how
a late request is made to expire, and what else ccxt's unified calls leave to the caller. Live trading needs
every one of these; an exchange that lacks one offers market data and paper trading only.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from exchanges.core.errors import UnknownExchange
from exchanges.core.orders import StopStyle

SPOT_ONLY: dict[str, Any] = {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}}


class IdStyle(StrEnum):
    HEX = "hex"  # 32 hex digits
    UUID = "uuid"  # 8-4-4-4-12
    GATE = "gate"  # t- and the first 28 hex digits


class Route(StrEnum):
    """How an order is found by our id."""

    ORDER = "order"  # one call that takes the id
    LISTS = "lists"  # the lists of open and of ended orders, filtered by the id
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Contract:
    """One exchange's row.

    ``horizon`` is after how many seconds the exchange itself refuses a request signed with an earlier
    instant; None where it never does. ``envelope`` are the keys every answer of this exchange carries: an
    answer without them is no answer. ``ended`` are the ccxt calls that list orders no longer open. ``stops``: how a
    stop-loss is sent that is found by our id before and after it triggers, as docs/execution.md tells of each exchange;
    without one it is watched. ``stop_horizon``: the horizon of a request that places one, where it is longer.
    """

    exchange: str
    id_style: IdStyle = IdStyle.HEX
    id_param: str = "clientOrderId"
    route: Route = Route.NONE
    route_param: str = "clientOrderId"
    cancel_param: str = "clientOrderId"
    horizon: int | None = None
    fills_of_order: bool = False
    stops: StopStyle = StopStyle.NONE
    stop_horizon: int | None = None
    ended: tuple[str, ...] = ("fetch_closed_orders",)
    envelope: tuple[str, ...] = ()
    fee_in_base: bool = False
    candles_per_call: int = 300
    fills_per_call: int = 100
    orders_per_call: int = 50
    passphrase: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


_ROWS = (
    Contract(
        "binance",
        route=Route.ORDER,
        horizon=5,
        fills_of_order=True,
        stops=StopStyle.LIMIT,
        ended=("fetch_orders",),
        fee_in_base=True,
        candles_per_call=1000,
        fills_per_call=1000,
        orders_per_call=1000,
        options={"fetchMargins": False, "recvWindow": 5_000},
    ),
    Contract(
        "okx",
        route=Route.ORDER,
        horizon=5,
        fills_of_order=True,
        stops=StopStyle.MARKET,
        # Its expTime is for ordinary orders; any signature is refused after 30 s.
        stop_horizon=30,
        ended=("fetch_closed_orders", "fetch_canceled_orders"),
        envelope=("code", "data"),
        fee_in_base=True,
        passphrase=True,
        options={"createOrder": "privatePostTradeOrder"},
    ),
    Contract(
        "bybit",
        id_param="orderLinkId",
        route=Route.LISTS,
        route_param="orderLinkId",
        cancel_param="orderLinkId",
        horizon=5,
        fills_of_order=True,
        stops=StopStyle.MARKET,
        ended=("fetch_canceled_and_closed_orders",),
        envelope=("retCode", "result"),
        fee_in_base=True,
        candles_per_call=1000,
        options={"enableUnifiedMargin": False, "enableUnifiedAccount": True, "recvWindow": 5_000},
    ),
    Contract(
        "kraken",
        id_style=IdStyle.UUID,
        route=Route.LISTS,
        horizon=5,
        fills_of_order=True,
        stops=StopStyle.MARKET,
        envelope=("error",),
        candles_per_call=720,
        fills_per_call=50,
    ),
    Contract(
        "kucoin",
        route=Route.ORDER,
        horizon=5,
        fills_of_order=True,
        envelope=("code",),
        candles_per_call=1500,
        fills_per_call=50,
        passphrase=True,
        options={"uta": False, "fetchTickersFees": False},
    ),
    Contract("bitget", candles_per_call=200, passphrase=True, options={"uta": False}),
    Contract("bitvavo", id_style=IdStyle.UUID, candles_per_call=1440),
    Contract("coinbase", id_style=IdStyle.UUID, id_param="client_order_id"),
    Contract("gate", id_style=IdStyle.GATE, candles_per_call=1000),
    Contract("htx", candles_per_call=1000),
    Contract("mexc", candles_per_call=1000),
)  # fmt: skip
CONTRACTS: Mapping[str, Contract] = {row.exchange: row for row in _ROWS}


def contract_of(exchange: str) -> Contract:
    try:
        return CONTRACTS[exchange]
    except KeyError:
        raise UnknownExchange(f"Expected one of {', '.join(CONTRACTS)}, was {exchange!r}.") from None


def supports_live(exchange: str) -> str | None:
    """None, or the sentence that says why live trading is refused there; raises UnknownExchange."""
    row = contract_of(exchange)
    if row.route is Route.NONE:
        return (
            f"{exchange}: an order cannot be looked up there by our own id in every state, so it trades on paper only."
        )
    if row.horizon is None:
        return f"{exchange}: a delayed order would not expire there, so it trades on paper only."
    if not row.fills_of_order:
        return f"{exchange}: the fills of an order cannot be listed there, so it trades on paper only."
    return None


def render_id(style: IdStyle, client_order_id: str) -> str:
    """32 hex digits as this exchange accepts them."""
    if style is IdStyle.UUID:
        return str(uuid.UUID(hex=client_order_id))
    if style is IdStyle.GATE:
        return f"t-{client_order_id[:28]}"
    return client_order_id


def canonical_id(style: IdStyle, text: str | None) -> str | None:
    """The exchange's spelling back to ours; an id that is not ours comes back as it is."""
    if not text:
        return None
    if style is IdStyle.UUID:
        return text.replace("-", "")
    return text.removeprefix("t-") if style is IdStyle.GATE else text
