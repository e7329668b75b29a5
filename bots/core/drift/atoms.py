"""What the run did, as the replay would see it: each order's rest, fills and end at the place where they belong."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

import numpy as np

from bots.core.codes import Code
from bots.core.drift.causes import Evidence
from bots.core.drift.state import DECIDED, MET, PROTECTED, REACHED, Deed, Place, Rests, sells_all
from bots.core.drift.terms import LiveFill, LiveOrder
from bots.core.drift.walk import Walk
from bots.core.order_state import OrderState
from bots.core.position import FillFact
from exchanges.core.candles import to_ms
from exchanges.core.decimals import ZERO, from_float
from exchanges.core.orders import Side

#: What never stood at the exchange.
NEVER: Final = frozenset({
    OrderState.PLANNED, OrderState.DENIED, OrderState.REJECTED, OrderState.NOT_PLACED, OrderState.EXPIRED_UNSENT,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Atom:
    """What became of one order at one place; ``rests`` is what of it stands there from now on."""

    place: Place
    order: LiveOrder
    fills: tuple[FillFact, ...]
    at: datetime
    rests: Rests | None = None
    ended: bool = False

    @property
    def waited(self) -> bool:
        return self.order.rests and self.rests is None

    @property
    def deed(self) -> Deed:
        left = self.rests
        if left is not None:
            amount = left.amount - sum((fill.amount for fill in self.fills), ZERO)
            left = left._replace(amount=amount) if amount > 0 else None
        order = self.order
        clears = bool(self.fills) and sells_all(order.side, order.leg)
        return Deed(self.fills, code_of(order), order.leg, left, self.waited, clears)


def code_of(order: LiveOrder) -> Code:
    return Code(order.code) if order.code in set(Code) else Code.SIGNAL_SELL


def atoms_of(walk: Walk, evidence: Evidence, orders: Iterable[LiveOrder]) -> list[Atom]:
    return sorted(
        _Places(walk, evidence).atoms(list(orders)), key=lambda one: (one.place, one.ended, one.at, one.order.id)
    )


def standing_of(walk: Walk, order: LiveOrder, candle: int, amount: Decimal) -> Rests:
    """An order of the run as the replay would know it."""
    until = None if order.rest_until is None else walk.until(order.rest_until, candle)
    return Rests(order.leg, order.side, amount, order.limit or order.price, until)


class _Places:
    def __init__(self, walk: Walk, evidence: Evidence) -> None:
        self.walk, self.evidence, self.tape = walk, evidence, walk.tape
        self.entered: dict[int, datetime] = {}

    def atoms(self, orders: list[LiveOrder]) -> Iterator[Atom]:
        yield from self._at_once([order for order in orders if not order.rests])
        begun = {order.id for order in self.evidence.lived.start.resting}
        for order in orders:
            if order.rests and order.state not in NEVER:
                yield from self._resting(order, placed=order.id not in begun)

    def _at_once(self, orders: list[LiveOrder]) -> list[Atom]:
        """The fills in their order, those of one order at one place together."""
        fills = sorted(
            ((fill.at, order.id, order, fill) for order in orders for fill in order.fills), key=lambda one: one[:2]
        )
        places = self._in_order([self._place(order, fill) for _, _, order, fill in fills])
        atoms: list[Atom] = []
        for (at, number, order, fill), place in zip(fills, places, strict=True):
            fact, last = self._fact(order, fill, place), atoms[-1] if atoms else None
            if last is not None and (last.place, last.order.id) == (place, number):
                atoms[-1] = replace(last, fills=(*last.fills, fact))
            else:
                atoms.append(Atom(place, order, (fact,), at))
        return atoms

    def _fact(self, order: LiveOrder, fill: LiveFill, place: Place) -> FillFact:
        time = self.walk.time(place[0])
        since = self.entered.setdefault(order.id, time) if order.side is Side.BUY else None
        return FillFact(order.side, fill.amount, fill.price, fill.fee, fill.fee_asset, time, since)

    def _in_order(self, places: list[Place]) -> list[Place]:
        """What was filled before an order at a candle's open belongs to the candle before: it was a look at its end."""
        for index in range(len(places) - 2, -1, -1):
            following = places[index + 1]
            if places[index] > following:
                earlier = following[0] - 1
                places[index] = (
                    (earlier, PROTECTED) if following[1] == DECIDED and earlier >= self.tape.first else following
                )
        return places

    def _slot(self, at: datetime) -> int:
        """The candle of an instant."""
        slot = int(np.searchsorted(self.tape.candles.opened_at, to_ms(at), side="right")) - 1
        return min(max(slot, self.tape.first), len(self.tape.candles) - 1)

    def _asked(self, order: LiveOrder) -> int | None:
        return None if order.candle is None else self.evidence.slot_of(order.candle)

    def _place(self, order: LiveOrder, fill: LiveFill) -> Place:
        """The candle in which it was filled: at its open where the candle before asked for it, else inside."""
        asked = self._asked(order)
        # In a gap the next candle's open is what the replay fills at.
        slot = min(max(self._slot(fill.at), asked or 0), len(self.tape.candles) - 1)
        return slot, DECIDED if order.first_try and asked == slot else PROTECTED

    def _resting(self, order: LiveOrder, *, placed: bool) -> Iterator[Atom]:
        begun = min(max(self._slot(order.planned_at), self._asked(order) or 0), len(self.tape.candles) - 1)
        begun = begun if placed else self.tape.first - 1
        at_once: tuple[FillFact, ...] = ()
        last: Place = (begun, DECIDED)
        later: list[Atom] = []
        for fill in sorted(order.fills, key=lambda one: one.at):
            place = max(last, self._met(order, fill, begun))
            fact, last = self._fact(order, fill, place), place
            if place == (begun, DECIDED):
                at_once = (*at_once, fact)
            elif later and later[-1].place == place:
                later[-1] = replace(later[-1], fills=(*later[-1].fills, fact))
            else:
                later.append(Atom(place, order, (fact,), fill.at))
        if placed:
            rests = standing_of(self.walk, order, begun, order.amount)
            yield Atom((begun, DECIDED), order, at_once, order.planned_at, rests)
        yield from later
        if order.ended_at is not None and order.filled < order.amount:
            yield Atom(max(last, (self._slot(order.ended_at), DECIDED)), order, (), order.ended_at, ended=True)

    def _met(self, order: LiveOrder, fill: LiveFill, begun: int) -> Place:
        """At the candle's open where that is within the limit, else in its range."""
        slot = max(self._slot(fill.at), begun)
        opened = from_float(float(self.tape.candles.open[slot]))
        if not standing_of(self.walk, order, begun, order.amount).within(opened):
            return slot, REACHED
        return slot, DECIDED if slot == begun else MET
