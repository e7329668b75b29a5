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
from decimal import Decimal
from typing import Final

from bots.core.backtest.engine import NoCandles
from bots.core.drift.atoms import Atom, atoms_of, standing_of
from bots.core.drift.causes import PROTECTIONS, Evidence, Finding
from bots.core.drift.lines import LinesWalk
from bots.core.drift.pair import Met, Split, split
from bots.core.drift.rest_causes import RestEvidence
from bots.core.drift.rows import Found, Teller, joined
from bots.core.drift.state import MET, PROTECTED, Act, Place, State, after, without
from bots.core.drift.terms import Cause, Drift, Lived, LiveOrder, Tape
from bots.core.drift.walk import Walk
from bots.core.intent import line_of
from exchanges.core.decimals import ZERO, from_float
from exchanges.core.orders import Side
from strategies.core.plan import Grid

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
        self.rests = RestEvidence(self.evidence)
        before = from_float(float(tape.candles.close[tape.first - 1]))
        self.opened = lived.capital + lived.start.position.profit(before)
        self.walk = _walk(tape, lived.capital, self.opened)
        self.teller = Teller(self.walk, self.evidence)
        self.found: list[Found] = []
        self.by_order: dict[int, Found] = {}
        self.asked: dict[tuple[int, int | None], Found] = {}
        self.standing: dict[str, LiveOrder] = {order.leg: order for order in lived.start.resting}
        self.unfilled: dict[str, Found] = {}
        self.pending: Found | None = None
        self.expected = ZERO
        self.valued = 0

    def drift(self) -> Drift:
        begin: Place = (self.tape.first, MET)
        start = self._start()
        steps = list(self.walk.run(start, begin))
        last = steps[-1].state if steps else start
        replayed = self.expected = self.walk.equity(last, self.walk.mark)
        ended = self.walk.equity(self._follow(start, begin), self.walk.mark)
        rows = tuple(joined(self.teller.row(found) for found in sorted(self.found, key=lambda one: one.place)))
        return Drift(
            rows=rows,
            live_pnl=ended - self.opened,
            replay_pnl=replayed - self.opened,
            remainder=ended - replayed - sum((row.effect for row in rows), ZERO),
            mark=self.walk.mark,
            candles=len(self.tape.candles) - self.tape.first,
            replay_trades=sum(act.fact is not None for step in steps for act in step.acts),
        )

    def _start(self) -> State:
        before = self.tape.first - 1
        resting = {order.leg: standing_of(self.walk, order, before, order.amount) for order in self.lived.start.resting}
        return replace(self.walk.begin(self.lived.start), resting=resting)

    def _follow(self, state: State, place: Place) -> State:
        """The run's own way through the day, and at every place the question what the replay would do from there."""
        atoms = deque(atoms_of(self.walk, self.evidence, self.lived.orders))
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

    def _meet(self, state: State, place: Place, group: Sequence[Atom]) -> State:
        self.pulse()
        if self.valued >= MOST_VALUED or self.walk.steps >= MOST_STEPS:
            self.walk.blind, self.expected = True, ZERO
        doing, ended = _halves(group)
        for atom in ended:
            if _followed(atom, doing):
                # The replay, too, may put another in its place here and now.
                state = self._ended(state, place, atom, since=place)
        pairs = [(act, self._taken(act, doing)) for act in self.walk.acts(state, place)]
        state = self._through(state, place, pairs)
        for atom in doing:
            state = self._done(state, place, atom)
        for atom in ended:
            state = self._ended(state, place, atom, since=after(place))
        return state

    def _taken(self, act: Act, atoms: list[Atom]) -> Atom | None:
        """What the run did of the same, taken out of what is left to tell."""
        atom = next((one for one in atoms if self._belong(act, one)), None)
        if atom is not None:
            atoms.remove(atom)
        return atom

    def _belong(self, act: Act, atom: Atom) -> bool:
        if atom.order.side is not act.side:
            return False
        if act.waited or act.rests is not None or line_of(act.leg) is not None:
            return atom.order.leg == act.leg
        return atom.order.id not in self.by_order and not atom.waited

    def _through(self, state: State, place: Place, pairs: Sequence[tuple[Act, Atom | None]]) -> State:
        """One of the replay's acts after the other replaced by what the run did; the others as they are."""
        lived = [atom.deed for _, atom in pairs if atom is not None]
        now = self.walk.all_of(state, place, lived)
        equal = len(lived) == len(pairs) and now == self.walk.all_of(state, place, (act.deed for act, _ in pairs))
        done = 0
        for number, (act, atom) in enumerate(pairs):
            others = [*lived[:done], *(later.deed for later, _ in pairs[number + 1 :])]
            base = state if equal else self.walk.all_of(state, place, others)
            if atom is None:
                self._alone(Found(place, base, act))
            else:
                done += 1
                self._pair(base, place, act, atom)
        return now

    def _value(self, found: Found, state: State, since: Place) -> None:
        """What the day's end is if the replay goes on from there, and by how much that is another one than before."""
        ended = self.walk.final(state, since)
        self.valued += ended != self.expected
        found.effect += ended - self.expected
        self.expected = ended

    def _pair(self, base: State, place: Place, act: Act, atom: Atom) -> None:
        found = self.by_order.get(atom.order.id) or Found(place, base, act)
        now, expected = self.walk.apply(base, place, atom.deed), self.expected
        same = now == self.walk.apply(base, place, act.deed)
        if not same:
            self._value(found, now, after(place))
        if found.told is None and (found.split is None or found.split.finding.cause is Cause.SAME):
            self._judge(found, place, base, act, atom, expected, same=same)
        if found.act is None or found.act.fact is None:
            found.act = act if act.fact is not None else self.walk.coming(base, place, act.leg)
        self._remember(found, atom)

    def _judge(
        self, found: Found, place: Place, base: State, act: Act, atom: Atom, expected: Decimal, *, same: bool
    ) -> None:  # fmt: skip
        if same:
            found.split = Split(Finding(Cause.SAME, ""), {})
        elif act.fact is not None and atom.fills:
            met = Met(place, base, act, act.fact, atom.order, atom.fills)
            found.split = split(self.walk, self.evidence, met, expected, self.expected)
        else:
            found.split, found.told = None, self.rests.asked_otherwise(atom.order, act.rests, place[0])

    def _alone(self, found: Found) -> None:
        """The replay would act, the run does not."""
        act, place = found.act, found.place
        again = self._still_open(found)
        if again is not None:
            # The same, a candle later: it is still not carried out.
            self._value(again, found.before, after(place))
            again.repeated, again.last = again.repeated + 1, place[0]
            return
        self._value(found, found.before, after(place))
        assert act is not None  # noqa: S101 - it is the replay's.
        if act.fact is not None or found.effect:
            self.found.append(found)
        if act.waited:
            found.told = self.rests.unfilled(self.standing.get(act.leg), place[0])
            self.unfilled[act.leg] = found
        elif place[1] == PROTECTED:
            self.pending = found
        else:
            self.asked[place[0], line_of(act.leg)] = found
            if act.fact is None and found.effect:
                placed = self.walk.apply(found.before, place, act.deed)
                found.act = self.walk.coming(placed, after(place), act.leg) or act

    def _still_open(self, found: Found) -> Found | None:
        if found.act is not None and found.act.waited:
            return self.unfilled.get(found.act.leg)
        return self.pending if found.place[1] == PROTECTED else None

    def _done(self, state: State, place: Place, atom: Atom) -> State:
        """The run acts, the replay does not: now, or it would have before."""
        now = self.walk.apply(state, place, atom.deed)
        found = self._twin(atom)
        if found is None:
            found = Found(place, state, replays=False)
            if atom.waited:
                over = atom.order.leg not in state.resting or not state.resting[atom.order.leg].stands(place)
                found.told = self.rests.reached(atom.order, atom.fills[0].price, place[0], over=over)
        self._value(found, now, after(place))
        self._remember(found, atom)
        return now

    def _ended(self, state: State, place: Place, atom: Atom, since: Place) -> State:
        """The run's order waits no longer, the replay's would; ``since`` there it goes on without."""
        order, ours = atom.order, state.resting.get(atom.order.leg)
        standing = self.standing.get(order.leg)
        if ours is None or not ours.stands(after(place)) or standing is None or standing.id != order.id:
            return state
        now = without(state, order.leg)
        found = self.by_order.get(order.id) or Found(
            place, state, replays=False, told=self.rests.ended(order), order=order
        )
        self._value(found, now, since)
        if found.act is None and found.effect:
            found.act = self.walk.coming(state, since, order.leg)
        if found.effect and found not in self.found:
            self.found.append(found)
        return now

    def _twin(self, atom: Atom) -> Found | None:
        """What the replay did earlier for the same reason, or an earlier part of the same order."""
        order = atom.order
        if order.id in self.by_order:
            return self.by_order[order.id]
        if order.rests and atom.waited and order.leg in self.unfilled:
            return self.unfilled[order.leg]
        if order.side is Side.SELL and order.code in PROTECTIONS and self.pending is not None:
            return self.pending
        slot = None if order.candle is None else self.evidence.slot_of(order.candle)
        asked = None if slot is None else self.asked.get((slot, line_of(order.leg)))
        return asked if asked is not None and not asked.atoms and asked.side is order.side else None

    def _remember(self, found: Found, atom: Atom) -> None:
        order = atom.order
        if atom.rests is not None:
            self.standing[order.leg] = order
        if atom.fills:
            found.atoms.append(atom)
            self.pending = None
            self.unfilled.pop(order.leg, None)
        if not atom.fills and not found.effect:
            return
        if found not in self.found:
            self.found.append(found)
        self.by_order[order.id] = found
        found.order = order


def _walk(tape: Tape, capital: Decimal, day_start: Decimal) -> Walk:
    if isinstance(tape.signals.plan, Grid):
        return LinesWalk(tape, capital, day_start, tape.signals.plan)
    return Walk(tape, capital, day_start)


def _halves(group: Sequence[Atom]) -> tuple[list[Atom], list[Atom]]:
    """What was done, and what came to its end."""
    return [atom for atom in group if not atom.ended], [atom for atom in group if atom.ended]


def _followed(ended: Atom, doing: Sequence[Atom]) -> bool:
    """Whether another order took its place at once, so that it was out of the way by then."""
    return any(atom.rests is not None and atom.order.leg == ended.order.leg for atom in doing) and not any(
        atom.order.id == ended.order.id for atom in doing
    )
