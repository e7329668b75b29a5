"""Compares our books with the exchange's own after a run, and lists every way in which they disagree."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

from django.conf import settings

from bots import ledger
from bots.core.order_state import FINAL, TRANSITIONS, OrderState
from bots.core.risk import Gate
from bots.models import Decision, Fill, Incident, Order, Status
from bots.situation import worst_gate
from bots.tests.proof import lines
from bots.tests.proof.venue import Venue, instant
from bots.tests.proof.world import (
    CAPITAL,
    KEYS_TO_ROTATE,
    NEW_KEY,
    OLD_KEY,
    Scenario,
    World,
    candles_due,
    credentials_of,
    stop_and_close,
)
from exchanges import operations
from exchanges.models import ExchangeKey

#: The most that one all-in entry may hold, in quote at the venue's first price.
MOST = CAPITAL / 100
NOT_ELIGIBLE = {
    *("UNRESOLVED_ORDER", "TRADING_HALTED", "STATE_REDUCING", "POSITION_MISMATCH", "SELF_CROSS"),
    *("VENUE_BANNED", "VENUE_MAINTENANCE", "RUN_PAUSED"),
}
#: A plan lives 20 s, its request 5 s, and clocks are read in whole seconds.
STALE = timedelta(seconds=27)


@dataclass(slots=True)
class Verdict:
    """``eligible`` candles asked for a trade that nothing forbade; ``acted`` of them led to a sent order."""

    wrong: list[str] = field(default_factory=list)
    eligible: int = 0
    acted: int = 0
    orders: int = 0
    incidents: int = 0
    #: Why candles that asked for a trade did not lead to a sent order.
    missed: list[str] = field(default_factory=list)


def check(world: World, first: float, last: float) -> Verdict:
    verdict = Verdict(orders=len(world.venue.rows("SELECT 1 FROM orders")), incidents=Incident.objects.count())
    for look in (duplicates, ends, fills, exposure, lives, promptness, lines.one_per_slot):
        verdict.wrong += look(world.venue)
    verdict.wrong += secrets()
    if world.scenario.works_lines:
        verdict.wrong += lines.held(world)
    if world.scenario.after is stop_and_close:
        verdict.wrong += closed(world)
    if world.scenario.counted:
        count_actions(world.scenario, verdict, first, last)
    return verdict


def duplicates(venue: Venue) -> list[str]:
    sent = venue.rows("SELECT client_id, COUNT(*) FROM wire GROUP BY client_id HAVING COUNT(*) > 1")
    stand = venue.rows("SELECT client_id, COUNT(*) FROM orders GROUP BY client_id HAVING COUNT(*) > 1")
    keys = Counter(Order.objects.values_list("run_id", "decision_key"))
    wrong = [f"duplicate: {row[0]} was sent {row[1]} times" for row in sent]
    wrong += [f"duplicate: {row[0]} stands {row[1]} times at the exchange" for row in stand]
    return wrong + [f"duplicate: {count} orders for {key}" for key, count in keys.items() if count > 1]


def ends(venue: Venue) -> list[str]:
    """Every order of the exchange has its row, every row its end, and the end is the exchange's."""
    ours = {order.client_order_id: order for order in Order.objects.all()}
    theirs = {str(row[0]): row for row in venue.rows("SELECT client_id, id, status, amount, filled FROM orders")}
    wrong = [f"orphan: {client_id}" for client_id in theirs.keys() - ours.keys()]
    for client_id, order in ours.items():
        if order.state not in FINAL:
            wrong.append(f"unresolved: {order.state}")
        told = Incident.objects.filter(subject=f"order:{order.pk}").exists()
        row = theirs.get(client_id)
        if row is None:
            if order.exchange_order_id or order.filled:
                wrong.append(f"lost: {order.state} is unknown to the exchange")
            continue
        if order.exchange_order_id != str(row[1]):
            wrong.append(f"orphan: {order.state} but stands as {row[1]}")
        full = Decimal(str(row[3])) == Decimal(str(row[4]))
        if not told and full != (order.state == OrderState.FILLED) and order.state in FINAL:
            wrong.append(f"lost: {order.state} but {row[2]} with {row[4]} of {row[3]}")
    return wrong


def fills(venue: Venue) -> list[str]:
    theirs = {
        str(row[0]): tuple(Decimal(str(value)) for value in row[1:])
        for row in venue.rows("SELECT id, amount, price, fee FROM trades")
    }
    rows = list(Fill.objects.all())
    ours = {fill.trade_id: (fill.amount, fill.price, fill.fee) for fill in rows}
    wrong = [] if len(rows) == len(ours) else ["extra fill: one trade id twice"]
    if ours.keys() != theirs.keys():
        wrong.append(f"fills: {len(theirs.keys() - ours.keys())} lost, {len(ours.keys() - theirs.keys())} extra")
    wrong += [f"fill {key} differs" for key in ours.keys() & theirs.keys() if not _same(ours[key], theirs[key])]
    for order in Order.objects.all():
        if not _near(order.filled, sum((fill.amount for fill in order.fills.all()), Decimal(0))):
            wrong.append("filled is not the sum of the fills")
    return wrong


def _same(ours: tuple[Decimal, ...], theirs: tuple[Decimal, ...]) -> bool:
    return all(_near(one, other) for one, other in zip(ours, theirs, strict=True))


def _near(one: Decimal, other: Decimal) -> bool:
    return abs(one - other) < Decimal("1e-9")


def exposure(venue: Venue) -> list[str]:
    """The ledger holds what the exchange holds, and that was never too much."""
    held = held_over_time(venue)[-1]
    wrong = exposure_at_the_exchange(venue)
    for fill in Fill.objects.select_related("run")[:1]:
        row = fill.run.position
        folded = ledger.refold(fill.run)
        if not (_near(row.amount, folded.amount) and _near(row.cash, folded.cash) and _near(row.amount, held)):
            wrong.append(f"position: {row.amount} cached, {folded.amount} folded, {held} at the exchange")
    return wrong


def exposure_at_the_exchange(venue: Venue) -> list[str]:
    """What the run held was never more than one all-in entry, nor less than nothing."""
    held = held_over_time(venue)
    wrong = [f"exposure: {max(held)} held"] if max(held) > MOST * venue.mood.slack else []
    return wrong + ([f"exposure: {min(held)} oversold"] if min(held) < Decimal("-1e-6") else [])


def held_over_time(venue: Venue) -> list[Decimal]:
    held = [Decimal(0)]
    for side, amount, fee, asset in venue.rows("SELECT side, amount, fee, fee_asset FROM trades ORDER BY at, id"):
        moved = Decimal(str(amount)) * (1 if side == "buy" else -1) - (Decimal(str(fee)) if asset == "BTC" else 0)
        held.append(held[-1] + moved)
    return held


def lives(_venue: Venue) -> list[str]:
    """Each order's events are one unbroken walk through the table, and end in its state."""
    wrong = []
    for order in Order.objects.prefetch_related("events"):
        events = list(order.events.all())
        steps = [(event.from_state, event.to_state) for event in events]
        unbroken = all(one[1] == other[0] for one, other in pairwise(steps))
        legal = all(OrderState(to) in TRANSITIONS[OrderState(start)] for start, to in steps if start)
        numbered = [event.sequence for event in events] == list(range(1, len(events) + 1))
        if not (unbroken and legal and numbered and steps and steps[-1][1] == order.state):
            wrong.append(f"events: {steps} of a {order.state} order")
    return wrong


def promptness(venue: Venue) -> list[str]:
    """The exchange accepts nothing that was decided long before."""
    accepted = {str(row[0]): float(str(row[1])) for row in venue.rows("SELECT client_id, created FROM orders")}
    decided = dict(Order.objects.values_list("client_order_id", "planned_at"))
    late = [key for key, at in accepted.items() if key in decided and instant(at) - decided[key] > STALE]
    return [f"stale: {len(late)} orders were accepted long after they were decided"] if late else []


def secrets() -> list[str]:
    """Every key still opens to what was put in, under one of the two master keys."""
    settings.ENCRYPTION_KEYS = [NEW_KEY, OLD_KEY]
    keys = list(ExchangeKey.objects.order_by("id"))
    opened = [operations.credentials_of(key) for key in keys]
    whole = opened == [credentials_of(number) for number in range(KEYS_TO_ROTATE)]
    return [] if whole else ["rotation: a key does not open to what was put in"]


def closed(world: World) -> list[str]:
    run = world.run()
    if Incident.objects.exists() or worst_gate(run)[0] is Gate.HALTED:
        # A halt lets nothing be sold either.
        return []
    return [] if run.status == Status.STOPPED and run.held < Decimal("0.06") else [f"close: {run.status}, {run.held}"]


def count_actions(scenario: Scenario, verdict: Verdict, first: float, last: float) -> None:
    """Of the candles that asked for a trade while nothing forbade it, how many led to a sent order."""
    rows = {row.candle_opened_at: row for row in Decision.objects.select_related("order").exclude(action="HOLD")}
    held_back = Incident.objects.order_by("at").values_list("at", flat=True).first()
    for opened_at in candles_due(scenario, first, last):
        row = rows.get(opened_at)
        if row is not None and row.code in NOT_ELIGIBLE:
            continue
        if held_back is not None and opened_at > held_back - timedelta(seconds=60):
            continue
        verdict.eligible += 1
        if row is not None and row.order is not None and row.order.send_at is not None:
            verdict.acted += 1
        else:
            verdict.missed.append("no row" if row is None else row.order.state if row.order else row.code)
