"""Where a replay of a day stands: what is held, what rests at the exchange, and all on which the rest depends."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from bots.core.breaker import Breaker, ClosedTrade
from bots.core.codes import Code
from bots.core.intent import line_of
from bots.core.position import FillFact, Position
from exchanges.core.decimals import ZERO
from exchanges.core.orders import Side

#: (candle, phase): the order in which things happen.
Place = tuple[int, int]
#: What rests meets the open; the candle before is decided on; what rests meets the range; protections sell.
MET, DECIDED, REACHED, PROTECTED = 0, 1, 2, 3
LAST_PHASE: Final = PROTECTED


def after(place: Place) -> Place:
    return (place[0] + 1, MET) if place[1] == LAST_PHASE else (place[0], place[1] + 1)


class Rests(NamedTuple):
    """An order that waits at the exchange. The candle ``until`` is met by its open alone; None: not ended by time."""

    leg: str
    side: Side
    amount: Decimal
    limit: Decimal
    until: int | None = None

    def stands(self, place: Place) -> bool:
        return self.until is None or place < (self.until, DECIDED)

    def within(self, price: Decimal) -> bool:
        return price <= self.limit if self.side is Side.BUY else price >= self.limit


class Deed(NamedTuple):
    """What became of one order at one place: its fills, and what of it rests from now on.

    ``waited``: it rested before; ``clears``: all that rests is called back first.
    """

    facts: tuple[FillFact, ...]
    code: Code
    leg: str = ""
    rests: Rests | None = None
    waited: bool = False
    clears: bool = False


class Act(NamedTuple):
    """What the replay does with one order: a fill, or an order that rests from now on."""

    fact: FillFact | None
    code: Code
    leg: str = ""
    rests: Rests | None = None
    waited: bool = False
    maker: bool = False
    clears: bool = False

    @property
    def deed(self) -> Deed:
        facts = () if self.fact is None else (self.fact,)
        return Deed(facts, self.code, self.leg, self.rests, self.waited, self.clears)

    @property
    def side(self) -> Side:
        if self.fact is not None:
            return self.fact.side
        return Side.SELL if self.rests is None else self.rests.side


@dataclass(frozen=True, slots=True)
class State:
    """All on which the rest of the day depends. ``highest`` covers the candles before ``seen``, ``peak`` the closes
    before ``closes``; what no limit asks for is not kept, so that equal states compare equal.

    ``inside`` is the candle in whose range an entry that rested was filled: of its prices only the low counts, and
    its close.
    """

    position: Position
    peak: Decimal
    highest: Decimal = ZERO
    seen: int = 0
    closes: int = 0
    loss_streak: int = 0
    last_loss: datetime | None = None
    sent: tuple[int, ...] = ()
    stakes: tuple[Decimal, ...] = ()
    breakers: tuple[Breaker, ...] = ()
    trades: tuple[ClosedTrade, ...] = ()
    resting: Mapping[str, Rests] = field(default_factory=dict)
    lots: Mapping[int, Position] = field(default_factory=dict)
    inside: int = -1

    def standing(self, place: Place) -> list[Rests]:
        return [one for one in self.resting.values() if one.stands(place)]


def without(state: State, leg: str) -> State:
    return replace(state, resting={name: one for name, one in state.resting.items() if name != leg})


def rested(state: State, deed: Deed) -> State:
    """What rests after a deed."""
    if deed.clears:
        state = replace(state, resting={})
    if deed.rests is not None:
        return replace(state, resting={**state.resting, deed.leg: deed.rests})
    known = state.resting.get(deed.leg) if deed.waited else None
    if known is None:
        return state
    left = known.amount - sum((fact.amount for fact in deed.facts), ZERO)
    if left <= 0:
        return without(state, deed.leg)
    return replace(state, resting={**state.resting, deed.leg: known._replace(amount=left)})


def sells_all(side: Side, leg: str) -> bool:
    """A sell of no line is an exit: whatever rests is called back before it."""
    return side is Side.SELL and line_of(leg) is None
