"""What we ask of an exchange and what it answers; amounts in base, prices in quote, times aware UTC."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP_LOSS = "stop_loss"


class StopStyle(StrEnum):
    """How an exchange takes a stop-loss that is found again by our own id; NONE: it has to be watched from here."""

    NONE = "none"
    MARKET = "market"
    LIMIT = "limit"  # only with the limit that it then becomes


class ReportStatus(StrEnum):
    """The exchange's own word, reduced to what a decision needs; `filled` says the rest."""

    OPEN = "open"
    CLOSED = "closed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"

    @property
    def final(self) -> bool:
        return self is not ReportStatus.OPEN


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One order, ready to be signed. ``client_order_id`` is 32 hex digits; adapters render it.

    ``limit_price`` is None only for MARKET and a stop that triggers a market sell. ``sent_at`` is the
    claim's instant: the request is signed with it, so that a late one is refused by the exchange.
    """

    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    amount: Decimal
    sent_at: datetime
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    immediate: bool = False  # immediate-or-cancel: a marketable limit that must not rest


@dataclass(frozen=True, slots=True)
class OrderReport:
    """The exchange's word on one order. ``filled`` and ``average`` may lag behind its fills."""

    exchange_order_id: str
    client_order_id: str | None
    symbol: str
    side: Side
    status: ReportStatus
    amount: Decimal
    filled: Decimal
    average: Decimal | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FillReport:
    """One execution. ``fee`` is in ``fee_asset`` and never negative; no fee is zero in the quote."""

    trade_id: str
    exchange_order_id: str
    symbol: str
    side: Side
    amount: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    executed_at: datetime


@dataclass(frozen=True, slots=True)
class Quote:
    """Best prices at an instant; bid == ask where only a last price is known."""

    symbol: str
    bid: Decimal
    ask: Decimal
    at: datetime

    def price_for(self, side: Side) -> Decimal:
        return self.ask if side is Side.BUY else self.bid


@dataclass(frozen=True, slots=True)
class Balance:
    free: Decimal
    locked: Decimal

    @property
    def total(self) -> Decimal:
        return self.free + self.locked


@dataclass(frozen=True, slots=True)
class KeyPermissions:
    """What a key may do, as the exchange states it; ``ip_restricted`` is None where it does not say."""

    can_read: bool
    can_trade: bool
    can_withdraw: bool
    ip_restricted: bool | None = None
