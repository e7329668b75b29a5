"""A trade of the run and of its replay on its way into the report: gathered, then told as one row."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from bots.core.codes import Code
from bots.core.drift.atoms import Atom
from bots.core.drift.causes import Evidence, Finding
from bots.core.drift.pair import Split
from bots.core.drift.state import DECIDED, PROTECTED, Act, Place, State
from bots.core.drift.terms import Cause, Leg, LiveOrder, Row
from bots.core.drift.walk import Walk
from bots.core.intent import line_of
from exchanges.core.decimals import ZERO, storable
from exchanges.core.orders import Side


@dataclass(slots=True, eq=False)
class Found:
    """One trade: what the replay would do, what the run did, what that changed."""

    place: Place
    before: State
    act: Act | None = None
    #: Whether the replay acts at this very place; else ``act`` is what it comes to otherwise.
    replays: bool = True
    atoms: list[Atom] = field(default_factory=list)
    effect: Decimal = ZERO
    split: Split | None = None
    told: Finding | None = None
    repeated: int = 1
    last: int | None = None
    order: LiveOrder | None = None

    @property
    def side(self) -> Side:
        return self.atoms[0].order.side if self.act is None else self.act.side


def live_leg(atoms: Sequence[Atom]) -> Leg | None:
    fills = [fill for atom in atoms for fill in atom.fills]
    if not fills:
        return None
    order = atoms[0].order
    amount = sum((fill.amount for fill in fills), ZERO)
    price = fills[0].price if len({fill.price for fill in fills}) == 1 else None
    average = price or storable(sum((fill.notional for fill in fills), ZERO) / amount)
    fee = sum((fill.fee for fill in fills), ZERO)
    at = next(atom.at for atom in atoms if atom.fills)
    asset, told = fills[0].fee_asset, (order.code, order.id, order.state, order.leg)
    return Leg(at, order.side, average, amount, fee, asset, *told)


def replayed_leg(act: Act | None) -> Leg | None:
    """None where the replay's order, too, came to no fill."""
    if act is None or act.fact is None:
        return None
    fact, code = act.fact, act.code.value
    return Leg(
        fact.executed_at, fact.side, fact.price, fact.amount, fact.fee, fact.fee_asset, code, leg=act.leg
    )  # fmt: skip


def joined(rows: Iterable[Row]) -> list[Row]:
    """What the run did not do on several candles for one cause is one difference; so for every line of a grid."""
    found: list[Row] = []
    latest: dict[str, int] = {}
    for row in rows:
        leg = _leg_of(row)
        last = found[latest[leg]] if leg in latest else None
        if last is None or not _one_difference(last, row):
            latest[leg] = len(found)
            found.append(row)
            continue
        parts = {cause: last.parts.get(cause, ZERO) + row.parts.get(cause, ZERO) for cause in (*last.parts, *row.parts)}
        effect, repeated = last.effect + row.effect, last.repeated + row.repeated
        found[latest[leg]] = replace(last, effect=effect, parts=parts, repeated=repeated)
    return found


def _leg_of(row: Row) -> str:
    """The line that it is about; all other trades follow one another."""
    told = row.live or row.replayed
    return told.leg if told is not None and line_of(told.leg) is not None else ""


def _one_difference(first: Row, second: Row) -> bool:
    if first.live is not None or second.live is not None or first.replayed is None or second.replayed is None:
        return False
    same = first.replayed.side is second.replayed.side and first.replayed.code == second.replayed.code
    return same and (first.cause, first.code) == (second.cause, second.code)


class Teller:
    """Puts a difference into the words of a row."""

    def __init__(self, walk: Walk, evidence: Evidence) -> None:
        self.walk, self.evidence = walk, evidence

    def row(self, found: Found) -> Row:
        finding = self._finding(found)
        parts = dict(found.split.parts) if found.split is not None else {}
        rest = found.effect - sum(parts.values(), ZERO)
        parts[finding.cause] = parts.get(finding.cause, ZERO) + rest
        asked = None if found.order is None else found.order.candle
        return Row(
            cause=finding.cause,
            why=finding.why,
            candle=asked or self.evidence.opened(found.place[0] - (found.place[1] == DECIDED)),
            live=live_leg(found.atoms),
            replayed=replayed_leg(found.act),
            effect=found.effect,
            parts=parts,
            code=finding.code,
            facts=finding.facts,
            repeated=found.repeated,
        )

    def _finding(self, found: Found) -> Finding:
        slot, phase = found.place
        order = found.order
        if order is not None and order.code == Code.MANUAL_CLOSE:
            return self.evidence.made(order, slot, Code.NO_SIGNAL)
        if found.told is not None:
            return found.told
        if found.split is not None:
            return found.split.finding
        if not found.replays:
            assert order is not None  # noqa: S101 - a trade has at least one side.
            return self.evidence.made(order, slot, self.walk.word(found.before, slot, order.leg))
        if phase == PROTECTED:
            return self._unsold(found)
        if order is not None:
            return self.evidence.late(order, slot)
        return self.evidence.missed(slot, None if found.act is None else line_of(found.act.leg))

    def _unsold(self, found: Found) -> Finding:
        """Of a protection that was not carried out on many candles the gravest word."""
        act = found.act
        assert act is not None  # noqa: S101 - only the replay's protections stay unsold.
        assert act.fact is not None  # noqa: S101 - and they sell.
        slots = dict.fromkeys((found.place[0], found.last or found.place[0]))
        told = [self.evidence.untouched(slot, act.fact.price, act.code) for slot in slots]
        return next((one for one in told if one.cause is Cause.UNEXPLAINED), told[0])
