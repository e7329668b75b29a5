"""A trade of the run and of its replay on its way into the report: gathered, then told as one row."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from bots.core.codes import Code
from bots.core.drift_pair import Split
from bots.core.drift_terms import Leg, LiveOrder, Row
from bots.core.drift_walk import Act, Place, State
from bots.core.position import FillFact
from exchanges.core.decimals import ZERO, storable
from exchanges.core.orders import Side


@dataclass(frozen=True, slots=True)
class Atom:
    """What one order filled at one place."""

    place: Place
    order: LiveOrder
    fills: tuple[FillFact, ...]
    at: datetime


@dataclass(slots=True, eq=False)
class Found:
    """One trade: what the replay would do, what the run did, what that changed."""

    place: Place
    before: State
    act: Act | None = None
    atoms: list[Atom] = field(default_factory=list)
    effect: Decimal = ZERO
    split: Split | None = None
    repeated: int = 1
    last: int | None = None

    @property
    def side(self) -> Side:
        return self.atoms[0].order.side if self.act is None else self.act.fact.side


def code_of(order: LiveOrder) -> Code:
    return Code(order.code) if order.code in set(Code) else Code.SIGNAL_SELL


def live_leg(atoms: Sequence[Atom]) -> Leg | None:
    if not atoms:
        return None
    order, fills = atoms[0].order, [fill for atom in atoms for fill in atom.fills]
    amount = sum((fill.amount for fill in fills), ZERO)
    price = fills[0].price if len({fill.price for fill in fills}) == 1 else None
    average = price or storable(sum((fill.notional for fill in fills), ZERO) / amount)
    fee = sum((fill.fee for fill in fills), ZERO)
    return Leg(
        atoms[0].at, order.side, average, amount, fee, fills[0].fee_asset, order.code, order.id, order.state
    )  # fmt: skip


def replayed_leg(act: Act) -> Leg:
    fact = act.fact
    return Leg(fact.executed_at, fact.side, fact.price, fact.amount, fact.fee, fact.fee_asset, act.code.value)


def joined(rows: Iterable[Row]) -> list[Row]:
    """What the run did not do on several candles for one cause is one difference."""
    found: list[Row] = []
    for row in rows:
        last = found[-1] if found else None
        if last is None or not _one_difference(last, row):
            found.append(row)
            continue
        parts = {cause: last.parts.get(cause, ZERO) + row.parts.get(cause, ZERO) for cause in (*last.parts, *row.parts)}
        effect, repeated = last.effect + row.effect, last.repeated + row.repeated
        found[-1] = replace(last, effect=effect, parts=parts, repeated=repeated)
    return found


def _one_difference(first: Row, second: Row) -> bool:
    if first.live is not None or second.live is not None or first.replayed is None or second.replayed is None:
        return False
    same = first.replayed.side is second.replayed.side and first.replayed.code == second.replayed.code
    return same and (first.cause, first.code) == (second.cause, second.code)
