"""What OKX tells of a stop order, read: its number, what it became when it triggered, and what that adds up to."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from exchanges.core.candles import from_ms
from exchanges.core.decimals import ZERO
from exchanges.core.errors import Unavailable
from exchanges.core.orders import OrderReport, ReportStatus

PREFIX = "algo:"
#: Its lists of stops, as ccxt's calls; of those that came to something, each state is asked for by itself.
LISTS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("fetch_open_orders", {}),
    ("fetch_closed_orders", {"state": "effective"}),
    ("fetch_canceled_orders", {"state": "canceled"}),
    ("fetch_canceled_orders", {"state": "order_failed"}),
)
ORDINARY = ("fetch_open_orders", "fetch_closed_orders", "fetch_canceled_orders")
#: States of a stop after which it does nothing new; the first two say that it became something.
TRIGGERED = frozenset({"effective", "partially_failed"})
ENDED = TRIGGERED | {"canceled", "order_failed"}

Row = Mapping[str, Any]


def told_of(row: Row) -> Mapping[str, Any]:
    """The exchange's own fields."""
    told = row.get("info")
    return told if isinstance(told, Mapping) else {}


def number_of(row: Row) -> str:
    return str(told_of(row).get("algoId") or "")


def of_a_stop(row: Row) -> bool:
    """Whether an ordinary order is what a stop with a client id became; the stop stands for it."""
    return bool(number_of(row) and told_of(row).get("algoClOrdId"))


def ordinary(row: Row) -> Row:
    """ccxt names what a stop became after the stop, its executions name the order."""
    number = told_of(row).get("ordId")
    return {**row, "id": number} if number else row


def became(row: Row) -> list[str]:
    """Numbers of the ordinary orders: usually one, a large stop may be split."""
    told = told_of(row)
    numbers = told.get("ordIdList") or [told.get("ordId")]
    return list(dict.fromkeys(str(number) for number in numbers if number))


def created(row: Row) -> datetime:
    if not row.get("timestamp"):
        raise Unavailable("Expected the time of a stop in the answer.")
    return from_ms(int(row["timestamp"]))


def triggered(row: Row) -> datetime | None:
    stated = str(told_of(row).get("triggerTime") or "")
    return from_ms(int(stated)) if stated.isdigit() and int(stated) else None


def added_up(stop: OrderReport, row: Row, parts: Sequence[OrderReport]) -> OrderReport:
    """The stop with what its orders did; ``stop`` is its own row, which tells of no execution."""
    filled = sum((part.filled for part in parts), ZERO)
    return replace(
        stop,
        exchange_order_id=PREFIX + number_of(row),
        client_order_id=told_of(row).get("algoClOrdId") or None,
        status=_status(str(told_of(row).get("state")), parts, full=filled >= stop.amount),
        filled=filled,
        average=_average(parts, filled),
    )


def _status(state: str, parts: Sequence[OrderReport], *, full: bool) -> ReportStatus:
    if state not in ENDED or any(not part.status.final for part in parts):
        return ReportStatus.OPEN
    if state in TRIGGERED and not parts:
        # What it became is not told yet.
        return ReportStatus.OPEN
    return ReportStatus.CLOSED if full else ReportStatus.CANCELED


def _average(parts: Sequence[OrderReport], filled: Decimal) -> Decimal | None:
    known = [(part.average, part.filled) for part in parts if part.filled]
    if not known or any(price is None for price, _ in known):
        return None
    return sum(((price or ZERO) * amount for price, amount in known), ZERO) / filled
