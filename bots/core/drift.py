"""The drift report: a run's day beside its replay on the stored candles, every difference with its cause and its money.

The run's own state is followed, and the replay is asked at every step what it would do *from there*. Wherever the two
part, the day's end is computed twice: as if the replay went on from what it would have done, and from what the run did.
The difference of the two is the effect, with all that follows from it; what the run does like the replay from then on
is the same trade again. These effects add up, without a rest, to the difference between the day as it was and the
replay of the whole day from its beginning.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

import numpy as np

from bots.core.backtest import NoCandles
from bots.core.codes import Code
from bots.core.drift_causes import PROTECTIONS, Evidence, Finding
from bots.core.drift_pair import Met, Split, split
from bots.core.drift_rows import Atom, Found, code_of, joined, live_leg, replayed_leg
from bots.core.drift_terms import Cause, Drift, Lived, LiveFill, LiveOrder, Row, Tape
from bots.core.drift_walk import Act, Place, State, Walk, after
from bots.core.position import FillFact
from exchanges.core.candles import to_ms
from exchanges.core.decimals import ZERO, from_float
from exchanges.core.orders import Side

#: Differences whose money is computed; the money of any further ones is in the remainder.
MOST_VALUED: Final = 2_000
#: The same bound in what the replays may cost together: some minutes.
MOST_STEPS: Final = 2_000_000
Pulse = Callable[[], None]


def compare(lived: Lived, tape: Tape, pulse: Pulse = lambda: None) -> Drift:
    """Raises NoCandles where there is nothing to replay; ``pulse`` is called again and again, and may end it."""
    if len(tape.candles) <= tape.first:
        raise NoCandles("Expected stored candles of the day, was none.")
    return _Comparison(lived, tape, pulse).drift()


class _Comparison:
    def __init__(self, lived: Lived, tape: Tape, pulse: Pulse) -> None:
        self.lived, self.tape, self.pulse = lived, tape, pulse
        self.evidence = Evidence(lived, tape)
        before = from_float(float(tape.candles.close[tape.first - 1]))
        self.opened = lived.capital + lived.start.position.profit(before)
        self.walk = Walk(tape, lived.capital, self.opened)
        self.found: list[Found] = []
        self.by_order: dict[int, Found] = {}
        self.asked: dict[int, Found] = {}
        self.pending: Found | None = None
        self.expected = ZERO
        self.valued = 0

    def drift(self) -> Drift:
        begin: Place = (self.tape.first, 0)
        start = self.walk.begin(self.lived.start)
        acts = list(self.walk.run(start, begin))
        replayed = self.expected = self.walk.equity(acts[-1] if acts else start, self.walk.mark)
        ended = self.walk.equity(self._follow(start, begin), self.walk.mark)
        rows = tuple(joined(self._row(found) for found in self.found))
        return Drift(
            rows=rows,
            live_pnl=ended - self.opened,
            replay_pnl=replayed - self.opened,
            remainder=ended - replayed - sum((row.effect for row in rows), ZERO),
            mark=self.walk.mark,
            candles=len(self.tape.candles) - self.tape.first,
            replay_trades=len(acts),
        )

    def _follow(self, state: State, place: Place) -> State:
        """The run's own way through the day, and at every place the question what the replay would do from there."""
        atoms = deque(self._atoms())
        while True:
            waiting = [self.walk.upcoming(state, place), atoms[0].place if atoms else None]
            ahead = [one for one in waiting if one is not None]
            if not ahead:
                return state
            place = min(ahead)
            group: list[Atom] = []
            while atoms and atoms[0].place <= place:
                group.append(atoms.popleft())
            state = self._meet(state, place, group)
            place = after(place)

    def _atoms(self) -> list[Atom]:
        """The fills in their order, those of one order at one place together."""
        fills = sorted(
            ((fill.at, order.id, order, fill) for order in self.lived.orders for fill in order.fills),
            key=lambda one: one[:2],
        )
        places = self._in_order([self._place(order, fill) for _, _, order, fill in fills])
        entered: dict[int, datetime] = {}
        atoms: list[Atom] = []
        for (at, number, order, fill), place in zip(fills, places, strict=True):
            time = self.walk.time(place[0])
            since = entered.setdefault(number, time) if order.side is Side.BUY else None
            fact = FillFact(order.side, fill.amount, fill.price, fill.fee, fill.fee_asset, time, since)
            last = atoms[-1] if atoms else None
            if last is not None and (last.place, last.order.id) == (place, number):
                atoms[-1] = replace(last, fills=(*last.fills, fact))
            else:
                atoms.append(Atom(place, order, (fact,), at))
        return atoms

    def _in_order(self, places: list[Place]) -> list[Place]:
        """What was filled before an order at a candle's open belongs to the candle before: it was a look at its end."""
        for index in range(len(places) - 2, -1, -1):
            following = places[index + 1]
            if places[index] > following:
                earlier = following[0] - 1
                places[index] = (earlier, 1) if following[1] == 0 and earlier >= self.tape.first else following
        return places

    def _place(self, order: LiveOrder, fill: LiveFill) -> Place:
        """The candle in which it was filled: at its open where the candle before asked for it, else inside."""
        last = len(self.tape.candles) - 1
        slot = int(np.searchsorted(self.tape.candles.opened_at, to_ms(fill.at), side="right")) - 1
        asked = None if order.candle is None else self.evidence.slot_of(order.candle)
        # In a gap the next candle's open is what the replay fills at.
        slot = min(max(slot, asked or 0, self.tape.first), last)
        return slot, 0 if order.first_try and asked == slot else 1

    def _meet(self, state: State, place: Place, group: Sequence[Atom]) -> State:
        self.pulse()
        if self.valued >= MOST_VALUED or self.walk.steps >= MOST_STEPS:
            self.walk.blind, self.expected = True, ZERO
        act = self.walk.act(state, place)
        first = group[0] if group else None
        if act is not None and first is not None and self._belong(act, first):
            state = self._pair(Found(place, state, act, [first]), first)
            group = group[1:]
        elif act is not None:
            self._alone(Found(place, state, act))
        for atom in group:
            state = self._done(state, place, atom)
        return state

    def _belong(self, act: Act, atom: Atom) -> bool:
        return atom.order.side is act.fact.side and atom.order.id not in self.by_order

    def _value(self, found: Found, state: State, place: Place) -> None:
        """What the day's end is now, and by how much that is another one than before."""
        self.valued += 1
        ended = self.walk.final(state, after(place))
        found.effect += ended - self.expected
        self.expected = ended

    def _pair(self, found: Found, atom: Atom) -> State:
        act, place, before = found.act, found.place, found.before
        assert act is not None  # noqa: S101 - _meet pairs only what the replay does.
        state = self.walk.apply(before, place, atom.fills, code_of(atom.order))
        self._remember(found, atom)
        if state == self.walk.apply(before, place, [act.fact], act.code):
            found.split = Split(Finding(Cause.SAME, ""), {})
            return state
        expected = self.expected
        self._value(found, state, place)
        met = Met(place, before, act, atom.order, atom.fills)
        found.split = split(self.walk, self.evidence, met, expected, self.expected)
        return state

    def _alone(self, found: Found) -> None:
        """The replay would act, the run does not."""
        if found.place[1] == 1 and self.pending is not None:
            # The same protection, a candle later: it is still not carried out.
            self._value(self.pending, found.before, found.place)
            self.pending.repeated, self.pending.last = self.pending.repeated + 1, found.place[0]
            return
        self._value(found, found.before, found.place)
        self.found.append(found)
        if found.place[1] == 1:
            self.pending = found
        else:
            self.asked[found.place[0]] = found

    def _done(self, state: State, place: Place, atom: Atom) -> State:
        """The run acts, the replay does not: now, or it would have before."""
        now = self.walk.apply(state, place, atom.fills, code_of(atom.order))
        found = self._twin(atom)
        if found is None:
            found = Found(place, state, atoms=[])
        self._value(found, now, place)
        found.atoms.append(atom)
        self._remember(found, atom)
        return now

    def _twin(self, atom: Atom) -> Found | None:
        """What the replay did earlier for the same reason, or an earlier part of the same order."""
        order = atom.order
        if order.id in self.by_order:
            return self.by_order[order.id]
        if order.side is Side.SELL and order.code in PROTECTIONS and self.pending is not None:
            return self.pending
        asked = None if order.candle is None else self.asked.get(self.evidence.slot_of(order.candle))
        return asked if asked is not None and not asked.atoms and asked.side is order.side else None

    def _remember(self, found: Found, atom: Atom) -> None:
        if found not in self.found:
            self.found.append(found)
        self.by_order[atom.order.id] = found
        self.pending = None

    def _row(self, found: Found) -> Row:
        finding = self._finding(found)
        parts = dict(found.split.parts) if found.split is not None else {}
        rest = found.effect - sum(parts.values(), ZERO)
        parts[finding.cause] = parts.get(finding.cause, ZERO) + rest
        candle = found.place[0] if found.place[1] else found.place[0] - 1
        asked = found.atoms[0].order.candle if found.atoms else None
        return Row(
            cause=finding.cause,
            why=finding.why,
            candle=asked or self.evidence.opened(candle),
            live=live_leg(found.atoms),
            replayed=None if found.act is None else replayed_leg(found.act),
            effect=found.effect,
            parts=parts,
            code=finding.code,
            facts=finding.facts,
            repeated=found.repeated,
        )

    def _finding(self, found: Found) -> Finding:
        slot, phase = found.place
        order = found.atoms[0].order if found.atoms else None
        if order is not None and order.code == Code.MANUAL_CLOSE:
            return self.evidence.made(order, slot, Code.NO_SIGNAL)
        if found.split is not None:
            return found.split.finding
        if found.act is None:
            assert order is not None  # noqa: S101 - a trade has at least one side.
            return self.evidence.made(order, slot, self.walk.decided(found.before, slot)[1])
        if phase == 1:
            return self._unsold(found)
        return self.evidence.missed(slot) if order is None else self.evidence.late(order, slot)

    def _unsold(self, found: Found) -> Finding:
        """Of a protection that was not carried out on many candles the gravest word."""
        assert found.act is not None  # noqa: S101 - only the replay's protections stay unsold.
        slots = dict.fromkeys((found.place[0], found.last or found.place[0]))
        told = [self.evidence.untouched(slot, found.act.fact.price, found.act.code) for slot in slots]
        return next((one for one in told if one.cause is Cause.UNEXPLAINED), told[0])
