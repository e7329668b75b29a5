"""What holds for a run that works several orders at once: one per slot, each line its own money, none left idle."""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

from bots import ledger
from bots.core import grid, sizing
from bots.core.intent import line_of
from bots.core.risk import Gate
from bots.models import BotRun, Decision, Incident, Order, Status
from bots.situation import worst_gate
from bots.tests.proof.venue import MARKET_RULES, Venue
from bots.tests.proof.world import CANDLE, CAPITAL, GRID, World
from exchanges.core.orders import Side
from strategies import queries as strategies

#: A line that was filled in part and sold keeps less than the exchange would sell.
DUST = MARKET_RULES.min_notional
HAIR = Decimal("1e-6")


def of_the_grid() -> grid.Lines:
    return grid.lines_on(strategies.rebuild("grid", GRID).plan, MARKET_RULES)  # type: ignore[arg-type]


def one_per_slot(venue: Venue) -> list[str]:
    """At the exchange, too, no two orders of one slot ever stood at the same time."""
    slots = dict(Order.objects.values_list("client_order_id", "slot"))
    stood: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for client_id, created, ended in venue.rows("SELECT client_id, created, ended FROM orders ORDER BY created, id"):
        if (slot := slots.get(str(client_id))) is not None:
            stood[slot].append((float(str(created)), float("inf") if ended is None else float(str(ended))))
    return [
        f"slot: two orders of {slot} stood at once"
        for slot, spans in stood.items()
        for earlier, later in pairwise(spans)
        if later[0] < earlier[1]
    ]


def held(world: World) -> list[str]:
    """By the exchange's own trades: no line ever bought more than its share, or sold what was not its own."""
    prices, wrong = of_the_grid(), []
    stake = CAPITAL / (len(prices) - 1)
    legs = {order.client_order_id: order.intent.slot_leg for order in Order.objects.all()}
    lots: dict[int, Decimal] = defaultdict(Decimal)
    cash = least = CAPITAL
    for client_id, side, amount, price, fee, asset in world.venue.rows(
        "SELECT o.client_id, t.side, t.amount, t.price, t.fee, t.fee_asset FROM trades t"
        " JOIN orders o ON o.id = t.order_id ORDER BY t.at, t.id"
    ):
        line, sign = line_of(legs.get(str(client_id), "")), 1 if side == Side.BUY else -1
        coins, money = Decimal(str(amount)) * sign, Decimal(str(amount)) * Decimal(str(price)) * sign
        cash -= money + (Decimal(str(fee)) if asset == "USDT" else 0)
        least = min(least, cash)
        if line is None:
            # All lots are sold together.
            lots.clear()
            continue
        lots[line] += coins - (Decimal(str(fee)) if asset == "BTC" else 0)
        if lots[line] < -HAIR:
            wrong.append(f"line {line}: {lots[line]} oversold")
        if lots[line] * prices[line] > stake + DUST:
            wrong.append(f"line {line}: {lots[line]} held, more than its share")
    return wrong + ([f"exposure: {least} of the run's money left"] if least < -HAIR else [])


def idle(world: World) -> list[str]:
    """After a candle without bad luck every line that should has an order at the exchange, or one that just filled.

    This is what "acted on nine of ten candles" is for other scenarios: a grid asks for no trade on a candle, it asks
    that its lines be worked. So all of them have to be, at the end of every run that nothing holds back.
    """
    if not world.scenario.works_lines or world.run().status != Status.RUNNING:
        return []
    world.calm()
    run = world.run()
    if Incident.objects.exists() or run.status != Status.RUNNING or worst_gate(run)[0] is not Gate.ACTIVE:
        return []
    rows = world.venue.rows("SELECT client_id FROM orders WHERE status = 'open'")
    legs = {order.client_order_id: order.intent.slot_leg for order in Order.objects.all()}
    standing = {line_of(legs.get(str(row[0]), "")) for row in rows}
    latest = world.venue.now() - timedelta(seconds=CANDLE)
    standing |= {line_of(order.intent.slot_leg) for order in run.orders.filter(state="FILLED", planned_at__gt=latest)}
    prices, lots, price = of_the_grid(), ledger.lots_of(run), world.venue.price()
    wrong = []
    for line in range(len(prices) - 1):
        lot = lots[line].amount if line in lots else Decimal(0)
        sells = MARKET_RULES.tradable(sizing.closing_amount(lot, MARKET_RULES), prices[line + 1])
        if (sells or prices[line] < price) and line not in standing:
            wrong.append(f"idle: no order works line {line} at {price}, which holds {lot}{_latest_of(run, line)}")
    return wrong


def _latest_of(run: BotRun, line: int) -> str:
    """What was decided and ordered last for a line, so that a report explains itself."""
    told = [
        f"{order.decision_key} {order.state} since {order.events.latest('id').at:%M:%S.%f}: "
        f"{order.events.latest('id').cause}"
        for order in run.orders.order_by("-id")
        if line_of(order.intent.slot_leg) == line
    ][:2]
    told += [
        f"{row.decision_key} {row.code} at {row.at:%M:%S.%f}: {row.reason}"
        for row in Decision.objects.filter(run=run).order_by("-id")[:6]
    ]
    return "; ".join(["", *told, f"next look {run.next_check_at:%M:%S}"])
