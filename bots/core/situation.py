"""All that a decision of one run may know: its money, its position, its orders, and who permits what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from bots.core import breaker
from bots.core.limits import Limits
from bots.core.position import Position
from exchanges.core.decimals import ZERO
from exchanges.core.market import Market
from exchanges.core.orders import Side


class Gate(StrEnum):
    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class Permit(StrEnum):
    """Whether live orders of this key are permitted; paper is always GRANTED."""

    GRANTED = "GRANTED"
    LIVE_DISABLED = "LIVE_DISABLED"
    NOT_ARMED = "NOT_ARMED"
    ARMING_EXPIRED = "ARMING_EXPIRED"
    PAPER_ONLY = "PAPER_ONLY"
    KEY_CAN_WITHDRAW = "KEY_CAN_WITHDRAW"
    KEY_CHECK_STALE = "KEY_CHECK_STALE"


@dataclass(frozen=True, slots=True)
class Standing:
    """An order of the account that may wait in the exchange's book.

    ``firm``: it stands there for certain, and nobody has called it back.
    """

    side: Side
    limit: Decimal
    firm: bool = True


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision of one run may know. Money in quote, amounts in base.

    ``price`` is the market's now, ``cash`` the run's own money; ``free`` the account's free quote balance
    (None: not asked); ``exposure`` the user's other positions in this quote and mode; ``equity``,
    ``peak_equity`` and ``day_start_equity`` are the run's; ``selling`` what its sells in flight may still sell;
    ``ask`` what a buy would pay where ``price`` is what a sell would get; ``stakes`` what each entry into the open
    position paid, the first one first, where a position has several; ``buying`` what its own buys in flight may still
    cost; ``lots`` the amount that each line of a grid holds; ``standing`` the account's orders of this symbol that may
    wait in the book; ``exchange_at`` the exchange's clock when it was asked; ``candle_closes_at`` the end of the candle
    that is acted on; ``held_by_case``: no person's switch but an open case closed the gate.
    """

    at: datetime
    market: Market
    limits: Limits
    position: Position
    price: Decimal
    cash: Decimal
    equity: Decimal
    peak_equity: Decimal
    day_start_equity: Decimal
    free: Decimal | None = None
    exposure: Decimal = ZERO
    open_orders: int = 0
    orders_last_minute: int = 0
    account_orders_last_minute: int = 0
    loss_streak: int = 0
    last_loss_at: datetime | None = None
    busy_legs: frozenset[str] = frozenset()
    selling: Decimal = ZERO
    gate: Gate = Gate.ACTIVE
    gate_reason: str = ""
    permit: Permit = Permit.GRANTED
    paused: bool = False
    stale: bool = False
    skew: timedelta | None = None
    banned_until: datetime | None = None
    breakers: tuple[breaker.Breaker, ...] = ()
    #: The best that is offered for what we sell; None: the price.
    bid: Decimal | None = None
    ask: Decimal | None = None
    stakes: tuple[Decimal, ...] = ()
    buying: Decimal = ZERO
    lots: Mapping[int, Decimal] = field(default_factory=dict)
    standing: tuple[Standing, ...] = ()
    exchange_at: datetime | None = None
    candle_closes_at: datetime | None = None
    maintenance: bool = False
    held_by_case: bool = False
    key_unbound: bool = False

    def price_for(self, side: Side) -> Decimal:
        return self.ask if side is Side.BUY and self.ask is not None else self.price
