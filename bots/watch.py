"""Between candles: protections on the latest price, exits that failed, stops that wait, entries to call back."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from django.db.models import Q

from bots import acting, connect, lifecycle, retries, stops
from bots.acting import Moment
from bots.core import protection, sizing
from bots.core.codes import MEANING, Code
from bots.core.decision import Decided, exit_intent, judged
from bots.core.intent import GRID, Purpose
from bots.core.risk import Gate, Situation
from bots.models import BotRun, Decision, Order, RunPosition, Status
from bots.models.run import BotRunQuerySet
from bots.orders import Cause
from bots.situation import limits_of, worst_gate
from bots.troubles import apart
from exchanges import market_data
from exchanges.core.decimals import plain
from exchanges.core.errors import ExchangeFault, UnknownSymbol
from exchanges.core.market import Market
from exchanges.core.orders import Quote
from strategies.core.signals import Action

#: Runs that buy nothing now, so that no entry of theirs may rest.
IDLE = {Status.PAUSED: "the run is paused", Status.ERROR: "the run is in error"}
#: Wishes to sell that are told as what they are, however often they were denied.
PROTECTING = frozenset({Code.STOP_LOSS, Code.BREAK_EVEN, Code.TAKE_PROFIT, Code.TRAILING_STOP, Code.MANUAL_CLOSE})


@dataclass(slots=True)
class WatchReport:
    looked_at: int = 0
    orders: list[int] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Wish:
    """Why a position is to be sold now; the key names the cause, so that it acts once."""

    key: str
    code: Code
    reason: str
    purpose: Purpose = Purpose.EXIT


def watch_positions(at: datetime) -> WatchReport:
    """Every run that holds something or is stopping, also one in error; one price per market."""
    report = WatchReport()
    _watch_all(BotRun.objects.guarded(), report, at)
    _call_back_entries(report, at)
    return report


def watch_run(run_id: int, at: datetime) -> WatchReport:
    """The same for one run, for whoever has just changed it."""
    report = WatchReport()
    _watch_all(BotRun.objects.guarded().filter(pk=run_id), report, at)
    return report


def _watch_all(guarded: BotRunQuerySet, report: WatchReport, at: datetime) -> None:
    runs = (
        guarded.filter(Q(held__gt=0) | Q(status=Status.STOPPING))
        .select_related("account", "account__key", "account__wallet", "position")
        .order_by("exchange", "symbol", "id")
    )
    prices: dict[tuple[str, str], tuple[Market, Quote] | None] = {}
    moment = Moment(at)
    for run in runs:
        report.looked_at += 1
        name = (run.exchange, run.symbol)
        if name not in prices:
            prices[name] = _price(run, report, at)
        if (found := prices[name]) is not None:
            # Whatever befalls one run, the others' stops go on.
            with apart(f"run {run.pk}", report.faults):
                _watch(run, *found, report, moment.of(run.mode))


def _price(run: BotRun, report: WatchReport, at: datetime) -> tuple[Market, Quote] | None:
    try:
        return market_data.market(run.exchange, run.symbol, at), market_data.quote(run.exchange, run.symbol, at)
    except (ExchangeFault, UnknownSymbol) as trouble:
        report.faults.append(f"{run.exchange} {run.symbol}: {trouble}")
        return None


def _watch(run: BotRun, market: Market, quote: Quote, report: WatchReport, at: datetime) -> None:
    holding = not sizing.flat(run.held, quote.bid, market)
    if holding:
        _raise_peak(run.position, quote)
        wish = wish_to_sell(run, market, quote, at)
        if wish is None:
            _keep_stop(run, market, report, at)
        elif not stops.may_still_sell(run, wish.code, at):
            _sell(run, wish, report, at)
    if run.status == Status.STOPPING:
        _clear(run, report, at)
        run.refresh_from_db()
        if (not run.close_requested or sizing.flat(run.held, quote.bid, market)) and lifecycle.finish_stop(run, at):
            report.stopped.append(run.pk)


def _keep_stop(run: BotRun, market: Market, report: WatchReport, at: datetime) -> None:
    try:
        stops.keep(run, market, at)
    except ExchangeFault as fault:
        report.faults.append(f"run {run.pk}: {fault.detail}")


def _clear(run: BotRun, report: WatchReport, at: datetime) -> None:
    """A run that stops leaves nothing behind at the exchange."""
    if run.orders.resting().exists():
        try:
            acting.clear_run(run, "the run stops", at)
        except ExchangeFault as fault:
            report.faults.append(f"run {run.pk}: {fault.detail}")


def _raise_peak(row: RunPosition, quote: Quote) -> None:
    """Compare-and-swap: whoever saw an older peak changes nothing."""
    if row.peak_price is None or quote.bid > row.peak_price:
        RunPosition.objects.filter(pk=row.pk, peak_price=row.peak_price).update(peak_price=quote.bid)
        row.peak_price = quote.bid


def wish_to_sell(run: BotRun, market: Market, quote: Quote, at: datetime) -> Wish | None:
    """A person's wish first, then a protection, then an exit that was decided and did not sell."""
    since = f"{run.position.opened_at:%Y%m%dT%H%M%S}" if run.position.opened_at else "0"
    if run.close_requested:
        return _again(run, Wish(f"manual:close:{since}", Code.MANUAL_CLOSE, MEANING[Code.MANUAL_CLOSE]), at)
    limits = limits_of(run)
    set_off = protection.levels(run.position.entry_price, run.position.peak_price, limits, market)
    code = protection.reached(set_off, quote.bid)
    if code is not None:
        return _again(run, Wish(f"risk:{code.value}:{since}", code, _told(code, quote, set_off), Purpose.STOP), at)
    sells = Decision.objects.filter(run=run, action=Action.SELL.value).exclude(code=Code.DATA_STALE.value)
    # What a line of a grid sells is not an exit from the position, nor is a stop that rests.
    last = sells.exclude(decision_key__startswith=stops.KEY).exclude(decision_key__contains=f":{GRID}").first()
    if last is None or (run.position.opened_at and last.at < run.position.opened_at):
        return None
    if last.order is not None and last.order.ended_at is None:
        return None
    return _again(run, Wish(last.decision_key, _code_of(last), last.reason.split(" Denied:")[0]), at)


def _code_of(decision: Decision) -> Code:
    """A denied exit keeps its wish, not its denial."""
    code = Code(decision.code)
    return code if code in PROTECTING else Code.SIGNAL_SELL


def _again(run: BotRun, wish: Wish, at: datetime) -> Wish | None:
    """Not too often, and each try under a key of its own."""
    key = retries.next_key(run, wish.key, at)
    return None if key is None else replace(wish, key=key)


def _told(code: Code, quote: Quote, set_off: protection.Levels) -> str:
    level = {
        Code.STOP_LOSS: set_off.stop,
        Code.BREAK_EVEN: set_off.break_even,
        Code.TAKE_PROFIT: set_off.target,
        Code.TRAILING_STOP: set_off.trailing,
    }[code]
    return f"{MEANING[code]} Price {plain(quote.bid)}, level {plain(level) if level is not None else '—'}."


def _sell(run: BotRun, wish: Wish, report: WatchReport, at: datetime) -> None:
    def choose(now: Situation) -> Decided | None:
        if sizing.flat(now.position.amount, now.price, now.market):
            return None
        return judged(exit_intent(now, wish.purpose), now, wish.code, wish.reason, 1.0)

    cause = Cause(wish.key, "watch", indicators={})
    try:
        acted = acting.act(run, cause, choose, at, full_exit=True)
    except ExchangeFault as fault:
        report.faults.append(f"run {run.pk}: {fault.detail}")
        return
    if acted.order is not None:
        report.orders.append(acted.order.pk)


def _call_back_entries(report: WatchReport, at: datetime) -> None:
    """Orders whose time is over, and entries that a kill switch or a pause no longer allows; then settled as ever."""
    for order in acting.due_back(Order.objects.all(), at):
        _call_back(order, "rested as long as it might", report, at)
    entries = Order.objects.filter(purpose=Purpose.ENTRY.value, state__in=["OPEN", "PARTIAL"])
    gates: dict[int, Gate] = {}
    for order in entries.select_related("run", "account", "account__key", "account__wallet").order_by("id"):
        if order.run_id not in gates:
            gates[order.run_id] = worst_gate(order.run)[0]
        gate = gates[order.run_id]
        if gate is not Gate.ACTIVE:
            _call_back(order, "kill switch", report, at)
        elif order.run.status in IDLE:
            _call_back(order, IDLE[Status(order.run.status)], report, at)


def _call_back(order: Order, why: str, report: WatchReport, at: datetime) -> None:
    try:
        acting.call_back(order, connect.open_account(order.account, at), why, acting.worker_name(), at)
    except (ExchangeFault, UnknownSymbol) as trouble:
        report.faults.append(f"order {order.pk}: {trouble}")
