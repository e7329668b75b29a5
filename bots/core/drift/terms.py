"""What a drift report is told, and what it says: a run's day as it was, and each trade that would be another one."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from bots.core.breaker import ClosedTrade
from bots.core.limits import Limits
from bots.core.position import Position
from exchanges.core.candles import Candles
from exchanges.core.decimals import ZERO, plain
from exchanges.core.market import Market
from exchanges.core.orders import Side
from strategies.core.signals import Signals

#: Raised whenever the same day could be told otherwise than before.
DRIFT_VERSION: Final = "4"


class Cause(StrEnum):
    """Why a trade is another one in the replay; each trade has exactly one."""

    SAME = "SAME"
    PRICE = "PRICE"
    PARTIAL_FILL = "PARTIAL_FILL"
    FEE = "FEE"
    FUNDS = "FUNDS"
    LATE_DATA = "LATE_DATA"
    DENIED = "DENIED"
    OUTAGE = "OUTAGE"
    MANUAL = "MANUAL"
    UNEXPLAINED = "UNEXPLAINED"


CAUSE_MEANING: Final[dict[Cause, str]] = {
    Cause.SAME: "The bot traded as the replay does.",
    Cause.PRICE: "The market's price was another one than the candle's.",
    Cause.PARTIAL_FILL: "The exchange filled less than was asked for.",
    Cause.FEE: "The exchange took another fee than the market's.",
    Cause.FUNDS: "The account had less free money than the bot's books.",
    Cause.LATE_DATA: "The bot saw the market late, or otherwise than it is stored.",
    Cause.DENIED: "Our own risk, or the exchange, said no.",
    Cause.OUTAGE: "Nobody was at work, the exchange could not be asked, or trading was halted.",
    Cause.MANUAL: "A person closed, paused or stopped the bot.",
    Cause.UNEXPLAINED: "Nothing that was written down explains it: somebody should look.",
}


@dataclass(frozen=True, slots=True)
class LiveFill:
    at: datetime
    amount: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str


@dataclass(frozen=True, slots=True)
class LiveOrder:
    """An order that the run wrote down. ``price`` is the market's at the decision; ``fills`` are those of the day.

    ``candle`` opened the decision, also where a later try stands for it; None for protections and people.
    ``rests``: it waits at its ``limit``, until ``rest_until`` where that is given; ``why`` it was called back.
    """

    id: int
    side: Side
    key: str
    code: str
    candle: datetime | None
    planned_at: datetime
    price: Decimal
    amount: Decimal
    filled: Decimal
    state: str
    reject_code: str = ""
    free: Decimal | None = None
    fills: tuple[LiveFill, ...] = ()
    leg: str = ""
    rests: bool = False
    limit: Decimal | None = None
    rest_until: datetime | None = None
    ended_at: datetime | None = None
    why: str = ""

    @property
    def first_try(self) -> bool:
        return self.candle is not None and ":retry:" not in self.key


@dataclass(frozen=True, slots=True)
class Heard:
    """One row of the journal; ``candle`` is None for what was watched between candles and what people asked for."""

    candle: datetime | None
    at: datetime
    action: str
    code: str
    reason: str
    close: Decimal | None = None
    indicators: Mapping[str, float | None] = field(default_factory=dict)
    order: int | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """What the run was when the day began; ``trades`` are those it had closed, for the protections that count them.

    ``highest`` is the highest price since the entry of what is held, ``stakes`` what each buy of it paid, ``lots`` what
    each line of a grid holds, ``resting`` the orders that wait at the exchange, with what of them is not filled.
    """

    position: Position = field(default_factory=Position)
    stakes: tuple[Decimal, ...] = ()
    highest: Decimal = ZERO
    peak_equity: Decimal | None = None
    trades: tuple[ClosedTrade, ...] = ()
    lots: Mapping[int, Position] = field(default_factory=dict)
    resting: tuple[LiveOrder, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Lived:
    """A run's day: what it did, what it wrote down, when somebody showed signs of life, and what it began with."""

    capital: Decimal
    start: Memory
    orders: Sequence[LiveOrder]
    journal: Sequence[Heard]
    signs: Sequence[datetime] = ()
    #: HOLD rows of that day may have been pruned: a missing row says nothing.
    pruned: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """The day's stored candles, the one before them first, and what the strategy says on them.

    ``first`` is the first candle on which an order could be filled.
    """

    candles: Candles
    signals: Signals
    market: Market
    limits: Limits
    step_ms: int
    first: int = 1


@dataclass(frozen=True, slots=True)
class Leg:
    """One side of the comparison; of several fills the sums, and the average price."""

    at: datetime
    side: Side
    price: Decimal
    amount: Decimal
    fee: Decimal
    fee_asset: str
    code: str
    order: int | None = None
    state: str = ""
    leg: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One trade of the run beside the replay's: ``effect`` is what the difference changed of the day's end, in quote.

    ``parts`` splits it where more than one thing differed; ``repeated`` counts the candles that asked for it.
    """

    cause: Cause
    why: str
    candle: datetime | None
    live: Leg | None
    replayed: Leg | None
    effect: Decimal
    parts: Mapping[Cause, Decimal]
    code: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    repeated: int = 1


@dataclass(frozen=True, slots=True)
class Drift:
    """``difference`` = live − replayed = the rows' effects + ``remainder``; profits in quote, marked at ``mark``."""

    rows: tuple[Row, ...]
    live_pnl: Decimal
    replay_pnl: Decimal
    remainder: Decimal
    mark: Decimal
    candles: int
    replay_trades: int

    @property
    def difference(self) -> Decimal:
        return self.live_pnl - self.replay_pnl

    @property
    def unexplained(self) -> int:
        return sum(row.cause is Cause.UNEXPLAINED for row in self.rows)

    def counts(self) -> dict[str, int]:
        return {cause.value: n for cause in Cause if (n := sum(row.cause is cause for row in self.rows))}

    def effects(self) -> dict[str, Decimal]:
        """Per cause the sum of what it changed."""
        found: dict[str, Decimal] = {}
        for row in self.rows:
            for cause, effect in row.parts.items():
                found[cause.value] = found.get(cause.value, ZERO) + effect
        return found


def as_document(found: Drift) -> dict[str, Any]:
    """As JSON holds it: money and prices as text, times as ISO-8601 in UTC."""
    return {
        "rows": [_json(asdict(row)) for row in found.rows],
        "live_pnl": plain(found.live_pnl),
        "replay_pnl": plain(found.replay_pnl),
        "difference": plain(found.difference),
        "remainder": plain(found.remainder),
        "mark": plain(found.mark),
        "candles": found.candles,
        "replay_trades": found.replay_trades,
        "effects": _json(found.effects()),
        "counts": found.counts(),
    }


def _json(value: Any) -> Any:
    match value:
        case Decimal():
            return plain(value)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case StrEnum():
            return value.value
        case Mapping():
            return {str(name): _json(each) for name, each in value.items()}
        case list() | tuple():
            return [_json(each) for each in value]
        case _:
            return value
