"""A wish to trade, and our own risk's no."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from bots.core.codes import Code
from exchanges.core.orders import OrderType, Side

#: Before the number of the line that an order of a grid works.
GRID = "grid:"


def line_of(leg: str) -> int | None:
    """The line that an order works; None for any other order."""
    return int(leg.removeprefix(GRID)) if leg.startswith(GRID) else None


class Purpose(StrEnum):
    ENTRY = "entry"
    EXIT = "exit"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """``price`` is the market's at the decision, for risk and for the marketable limit's band.

    ``rests``: it may wait at the exchange, until ``rest_until`` where that is given; else it is immediate-or-cancel.
    """

    purpose: Purpose
    side: Side
    type: OrderType
    amount: Decimal
    price: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    leg: str = ""
    rests: bool = False
    rest_until: datetime | None = None

    @property
    def notional(self) -> Decimal:
        """At the market; an order that rests can only be filled at its limit or better."""
        return self.amount * (self.limit_price if self.rests and self.limit_price is not None else self.price)

    @property
    def slot_leg(self) -> str:
        """An exit and a stop share a slot: both sell what is held, and it must not be sold twice."""
        return self.leg or (Purpose.EXIT if self.purpose is Purpose.STOP else self.purpose).value

    @property
    def begins_position(self) -> bool:
        """An entry, unless it is one of several: a further stake, or a line of a grid, adds to what is held."""
        several = self.slot_leg.startswith(("dca:", GRID))
        return self.purpose is Purpose.ENTRY and (not several or self.slot_leg == "dca:1")


@dataclass(frozen=True, slots=True)
class Denial:
    code: Code
    detail: str
