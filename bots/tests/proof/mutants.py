"""Safeguards switched off one at a time, with the layers that would hide it off too; every mutant must be caught.

Nothing here can be reached from the product: a mutant is a patch that a forked child of the harness puts on itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic_ns
from typing import Any

from bots.tests.proof.terms import Mood

ALWAYS = timedelta(days=999)


@dataclass(frozen=True, slots=True)
class Mutant:
    """``mode``: kill at crash points, race of workers, the kill switch at crash points, or a restored backup."""

    name: str
    switched_off: str
    mutate: Callable[[Mood], None]
    scenarios: tuple[str, ...] = ("entry",)
    mode: str = "kill"
    without: tuple[str, ...] = ()


# --- Sending ---------------------------------------------------------------------------------------


def _submit_then(on_fault: Callable[..., None]) -> Callable[..., None]:
    """`orders.submit` with another answer to whatever is not a proof."""
    from bots import orders
    from exchanges.core.errors import ExchangeFault, Refused

    def submit(order: Any, exchange: Any, began: float, actor: str, at: datetime) -> None:
        try:
            report = exchange.create_order(order.request)
        except Refused as refusal:
            orders._refused(order, refusal, actor, at)
        except ExchangeFault as fault:
            on_fault(order, exchange, fault, actor, at)
        else:
            orders.accepted(order, report, actor, at)

    return submit


def timeout_is_failure(_mood: Mood) -> None:
    from bots import orders
    from bots.core.order_state import OrderState

    orders.submit = _submit_then(
        lambda order, exchange, fault, actor, at: orders.transition(order, OrderState.REJECTED, "failed", actor, at)
    )
    no_sweep()


def duplicate_is_refusal(_mood: Mood) -> None:
    from bots import orders
    from bots.core.order_state import OrderState
    from exchanges.core.errors import DuplicateOrder

    def on_fault(order: Any, exchange: Any, fault: Exception, actor: str, at: datetime) -> None:
        state = OrderState.REJECTED if isinstance(fault, DuplicateOrder) else OrderState.UNKNOWN
        orders.transition(order, state, "answered", actor, at)

    orders.submit = _submit_then(on_fault)
    no_sweep()


def blind_retry(_mood: Mood) -> None:
    from bots import orders
    from bots.core.order_state import OrderState
    from exchanges.core.errors import ExchangeFault

    def again(order: Any, exchange: Any, fault: Exception, actor: str, at: datetime) -> None:
        for _ in range(2):
            try:
                report = exchange.create_order(replace(order.request, sent_at=exchange.now()))
            except ExchangeFault:
                continue
            orders.accepted(order, report, actor, at)
            return
        orders.transition(order, OrderState.UNKNOWN, "tried three times", actor, at)

    orders.submit = _submit_then(again)


def send_then_write(_mood: Mood) -> None:
    """The exchange is asked before the claim is committed: freqtrade's order of writing."""
    from bots import orders
    from exchanges.core.errors import ExchangeFault

    def carry_out(order: Any, epoch: int, exchange: Any, market: Any, ambient: Any, actor: str, at: datetime) -> bool:
        order.send_at = at
        try:
            report = exchange.create_order(order.request)
        except ExchangeFault:
            return False
        if not orders.claim(order, epoch, actor, market, ambient, at):
            return False
        orders.accepted(order, report, actor, at)
        return True

    orders.carry_out = carry_out
    no_sweep()


def one_transaction(mood: Mood) -> None:
    """Claim, send and result in one transaction: a kill rolls the claim back."""
    from django.db import transaction

    from bots import orders

    mood.strict = False
    orders.carry_out = transaction.atomic(orders.carry_out)
    no_sweep()


def sent_however_old(_mood: Mood) -> None:
    from bots import orders
    from bots.core.order_state import OrderState
    from bots.reconcile import one_order

    orders.PLAN_LIFE = ALWAYS
    settle = one_order._ask
    one_order._ask = lambda order, *rest: 0 if order.state == OrderState.PLANNED else settle(order, *rest)


# --- Looking up ------------------------------------------------------------------------------------


def one_miss_is_absence(_mood: Mood) -> None:
    from bots.reconcile import absence

    absence.MISSES_NEEDED, absence.HORIZON = 1, timedelta(0)
    absence._unexplained = lambda *_: set()
    no_sweep()


def no_horizon(mood: Mood) -> None:
    """Requests are good for ever, and nobody waits for late ones."""
    from bots.reconcile import absence

    mood.window = 1e9
    absence.HORIZON = timedelta(0)
    no_sweep()


def not_signed_with_the_claim(mood: Mood) -> None:
    """The wait is there, but the exchange accepts a request however late it comes."""
    mood.window = 1e9
    no_sweep()


def an_error_is_a_miss(mood: Mood) -> None:
    from bots.reconcile import absence, one_order
    from exchanges.core.errors import ExchangeFault

    mood.trouble = 0.6
    absence.HORIZON = timedelta(0)
    absence.proved = lambda order, exchange, at: order.miss_count >= absence.MISSES_NEEDED
    ask = one_order._ask

    def _ask(order: Any, exchange: Any, actor: str, at: datetime) -> int:
        try:
            return ask(order, exchange, actor, at)
        except ExchangeFault:
            absence.missed(order, exchange, actor, at)
            return 0

    one_order._ask = _ask
    no_sweep()


def one_source(_mood: Mood) -> None:
    from bots.reconcile import absence

    absence.second_source = lambda *_: None
    absence._unexplained = lambda *_: set()
    no_sweep()


def vanished_is_canceled(_mood: Mood) -> None:
    from bots import orders
    from bots.core.order_state import OrderState
    from bots.reconcile import absence

    missed = absence.missed
    absence.second_source = lambda *_: None

    def _missed(order: Any, exchange: Any, actor: str, at: datetime) -> None:
        if order.state in (OrderState.OPEN, OrderState.PARTIAL):
            orders.transition(order, OrderState.CANCELED, "gone", actor, at)
        else:
            missed(order, exchange, actor, at)

    absence.missed = _missed
    no_sweep()


def sending_is_believed(_mood: Mood) -> None:
    """A SENDING order is left to its sender for ever."""
    from bots.reconcile import one_order

    one_order._give_up_waiting = lambda *_, **__: False
    no_sweep()


# --- Fills and ends --------------------------------------------------------------------------------


def no_sweep() -> None:
    """The layer behind most others: the comparison of whole lists, which finds late what was missed."""
    from bots.reconcile import account

    account._sweep = lambda *_: None
    account._compare_balances = lambda *_: 0


def status_ends_an_order(_mood: Mood) -> None:
    from bots.core.order_state import OrderState
    from bots.reconcile import one_order
    from exchanges.core.orders import ReportStatus

    state_after = one_order.state_after

    def by_status(order: Any, report: Any) -> OrderState:
        if report.status is ReportStatus.CLOSED:
            return OrderState.FILLED
        return OrderState.EXPIRED if report.status.final else state_after(order, report)

    one_order.state_after = by_status
    no_sweep()


def cancel_not_found_is_canceled(_mood: Mood) -> None:
    from bots import orders
    from bots.core.order_state import OrderState
    from exchanges.core.errors import ExchangeFault, OrderNotFound

    def cancel(order: Any, exchange: Any, cause: str, actor: str, at: datetime) -> None:
        if order.state in (OrderState.OPEN, OrderState.PARTIAL) and orders.transition(
            order, OrderState.CANCELING, cause, actor, at
        ):
            try:
                exchange.cancel_order(order.symbol, order.client_order_id)
            except OrderNotFound:
                orders.transition(order, OrderState.CANCELED, "not found", actor, at)
            except ExchangeFault:
                return

    orders.cancel = cancel
    no_sweep()


def late_fills_are_dropped(_mood: Mood) -> None:
    no_sweep()


def fills_booked_again(_mood: Mood) -> None:
    """Neither our list of known trades nor the unique constraint."""
    from bots import ledger

    class Nothing(set[str]):
        def __init__(self, *_: object) -> None:
            super().__init__()

    ledger.set = Nothing  # type: ignore[attr-defined]


def totals_are_incremented(_mood: Mood) -> None:
    """Fills in one transaction, the sums that follow from them in the next, by increments."""
    from django.db import transaction

    from bots import ledger
    from bots.models import Fill, Order
    from bots.reconcile import one_order

    def record_fills(order: Any, reports: Any, at: datetime) -> ledger.Recorded:
        known = set(order.fills.values_list("trade_id", flat=True))
        fresh = [report for report in reports if report.trade_id not in known]
        with transaction.atomic():
            for report in fresh:
                Fill.objects.create(
                    order=order, run=order.run, account_id=order.account_id, symbol=order.symbol,
                    trade_id=report.trade_id, side=report.side.value, amount=report.amount, price=report.price,
                    fee=report.fee, fee_asset=report.fee_asset, executed_at=report.executed_at, booked_at=at,
                )  # fmt: skip
        with transaction.atomic():
            row = ledger.locked_position(order.run)
            fresh_order = Order.objects.get(pk=order.pk)
            for fill in Fill.objects.filter(order=order, trade_id__in=[report.trade_id for report in fresh]):
                ledger._store(
                    row, ledger.book(ledger.position_of(row), ledger.fact(fill), "BTC", "USDT").position, fill.pk
                )
                fresh_order.filled += fill.amount
            fresh_order.save(update_fields=["filled"])
            row.save()
            order.run.__class__.objects.filter(pk=order.run_id).update(held=row.amount)
        return ledger.Recorded(len(fresh))

    ledger.record_fills = record_fills
    one_order.book = lambda order, reports, at: (
        record_fills(order, [fill for fill in reports if one_order._is_of(order, fill)], at).added
    )


# --- Deciding --------------------------------------------------------------------------------------


def no_facts_first() -> None:
    """Nor does a decision wait until the earlier orders are settled, or the lists were read."""
    from bots import acting, reconcile

    acting.settle_open_orders = lambda *_, **__: None
    reconcile.caught_up = lambda run, exchange, actor, at: True


def legs_are_never_busy() -> None:
    """Neither the slot nor what orders in flight may still buy or sell is looked at."""
    from bots.core import risk

    guards = (risk.slot_is_free, risk.nothing_is_sold_twice, risk.money_is_there)
    risk.CHECKS = tuple(rule for rule in risk.CHECKS if rule not in guards)


def no_candle_key(mood: Mood) -> None:
    """Each try of a candle has a key of its own; the slot does not help either."""
    from bots import tick

    mood.silent = frozenset({"order", "recent orders"})
    tick.candle_key = lambda opened_at, leg="signal": f"candle:{opened_at:%H:%M}:{leg}:{monotonic_ns()}"
    no_facts_first()
    legs_are_never_busy()


def no_slot(mood: Mood) -> None:
    """A second order of the same leg may be placed while the first is in doubt."""
    mood.silent = frozenset({"order", "recent orders"})
    no_facts_first()
    legs_are_never_busy()


def stop_and_exit_apart(mood: Mood) -> None:
    """A stop does not wait for an exit that is in doubt, and nobody adds up what both would sell."""
    from bots.core import risk
    from bots.core.intent import OrderIntent

    risk.CHECKS = tuple(rule for rule in risk.CHECKS if rule is not risk.nothing_is_sold_twice)
    mood.silent = frozenset({"order", "recent orders"})
    OrderIntent.slot_leg = property(lambda self: self.leg or self.purpose.value)  # type: ignore[assignment]
    no_facts_first()


def no_leases() -> None:
    from django.db.models import F

    from bots import leases, orders
    from bots.models import BotRun

    def take(run: Any, owner: str, at: datetime) -> int:
        BotRun.objects.filter(pk=run.pk).update(lease_owner=owner, lease_epoch=F("lease_epoch"))
        return int(run.lease_epoch)

    leases.take = take
    locked = orders._locked_run

    class AnyEpoch(int):
        def __ne__(self, other: object) -> bool:
            return False

        __hash__ = int.__hash__

    def _locked_run(run_id: int) -> Any:
        run = locked(run_id)
        run.lease_epoch = AnyEpoch(run.lease_epoch)
        return run

    orders._locked_run = _locked_run


def lease_off(_mood: Mood) -> None:
    """Nothing keeps two workers apart: neither lease and epoch nor the cause's key nor the slot."""
    from bots import tick

    no_leases()
    tick.candle_key = lambda opened_at, leg="signal": f"candle:{opened_at:%H:%M}:{leg}:{monotonic_ns()}"
    legs_are_never_busy()


def _transition_blindly(_mood: Mood | None = None) -> None:
    """States are written whatever the row says by now."""
    from django.db import transaction
    from django.db.models import F

    from bots import orders
    from bots.core.order_state import FINAL
    from bots.models import Order, OrderEvent

    def transition(
        order: Any, to: Any, cause: str, actor: str, at: datetime, *, only_if: Any = None, **facts: Any
    ) -> bool:
        if to in FINAL:
            facts.setdefault("ended_at", at)
        with transaction.atomic():
            Order.objects.filter(pk=order.pk).update(state=to, fence=F("fence") + 1, **facts)
            OrderEvent.objects.create(
                order=order, sequence=OrderEvent.objects.filter(order=order).count() + 1, from_state=order.state,
                to_state=to, cause=cause[:300], actor=actor[:64], at=at,
            )  # fmt: skip
        order.refresh_from_db()
        return True

    orders.transition = transition


def no_fence(_mood: Mood) -> None:
    """A worker that was overtaken writes its old view all the same."""
    from bots.reconcile import one_order

    _transition_blindly()
    one_order.SENDING_MAX_AGE = timedelta(seconds=-1)


def no_claim(_mood: Mood) -> None:
    """The claim asks neither for the order's state nor for the lease: whoever sees PLANNED sends."""
    from django.db import transaction

    from bots import orders
    from bots.core.order_state import OrderState

    no_leases()
    _transition_blindly()

    def claim(order: Any, epoch: int, actor: str, market: Any, ambient: Any, at: datetime) -> bool:
        with transaction.atomic():
            return orders.transition(order, OrderState.SENDING, "claimed", actor, at, send_at=at)

    orders.claim = claim


def sell_beside_what_rests(_mood: Mood) -> None:
    """An exit leaves the stop at the exchange; no slot and no sum of sells holds it back."""
    from bots import acting

    clear = acting.clear_resting

    def but_for_exits(turn: Any, why: str) -> bool:
        return why == "an exit comes first" or clear(turn, why)

    acting.clear_resting = but_for_exits
    legs_are_never_busy()


# --- Several orders of one run ---------------------------------------------------------------------


def lines_are_never_busy(_mood: Mood) -> None:
    """A line whose order rests, or is in doubt, is taken for a free one; nothing behind it looks either."""
    from bots.core import grid

    wish_of = grid.wish_of
    grid.wish_of = lambda lines, line, now: wish_of(lines, line, replace(now, busy_legs=frozenset()))
    legs_are_never_busy()


def unlisted_is_ended(_mood: Mood) -> None:
    """What the list of open orders does not show is taken for canceled, and not asked about."""
    from bots import orders, reconcile
    from bots.core.order_state import OrderState
    from bots.reconcile import resting
    from exchanges.core.errors import ExchangeFault

    def unmoved(rows: Any, exchange: Any, fewest: int = 2) -> set[int]:
        waiting = [row for row in rows if row.rests and row.state in (OrderState.OPEN, OrderState.PARTIAL)]
        try:
            listed = (
                {report.exchange_order_id for report in exchange.fetch_open_orders("BTC/USDT")} if waiting else set()
            )
        except ExchangeFault:
            return set()
        for row in waiting:
            if row.exchange_order_id not in listed:
                orders.transition(row, OrderState.CANCELED, "not in the list", "mutant", exchange.now())
        return {row.pk for row in waiting}

    resting.unmoved = reconcile.unmoved = unmoved
    no_sweep()


def end_leaves_its_lines(_mood: Mood) -> None:
    """A run that stops neither calls back what rests nor waits for it; no sum of sells holds its exit back."""
    from bots import acting, lifecycle, watch
    from bots.models import BotRun, Status

    def finish_stop(run: Any, at: datetime) -> bool:
        return bool(BotRun.objects.filter(pk=run.pk).update(status=Status.STOPPED, stopped_at=at))

    watch._clear = lambda *_: None
    acting.clear_resting = lambda *_, **__: True
    lifecycle.finish_stop = finish_stop
    legs_are_never_busy()


def nobody_looks_after_the_end(_mood: Mood) -> None:
    """What is filled after the cancel with which a run ended is never heard of; such fills are no rarity here."""
    from bots.reconcile import account
    from bots.tests.proof import venue

    account.AFTERCARE = timedelta(0)
    venue.CANCEL_FAULTS = {"ok": 1, "fills after": 1}


def switch_is_read_once(_mood: Mood) -> None:
    """The kill switch counts when an order is decided, and never again."""
    from bots import orders
    from bots.core import risk
    from bots.models import TradingGate

    orders.gates_against = lambda run, purpose: TradingGate.objects.none()
    check = orders.check
    gates = (risk.trading_is_not_halted, risk.entries_are_allowed)

    def without_gates(intent: Any, now: Any) -> Any:
        return next((d for rule in risk.CHECKS if rule not in gates and (d := rule(intent, now)) is not None), None)

    orders.check = without_gates
    assert check is not without_gates


def a_backup_is_trusted(_mood: Mood) -> None:
    """What the database says is all there is: in the first minute no list is read, whoever orders."""
    from bots import reconcile, settling

    compare, began = settling.reconcile_all, list[datetime]()

    def later(at: datetime, actor: str, **chosen: Any) -> settling.ReconcileReport:
        began.append(at)
        return compare(at, actor, **chosen) if at - began[0] > timedelta(minutes=1) else settling.ReconcileReport()

    settling.reconcile_all = later
    reconcile.caught_up = lambda run, exchange, actor, at: True


MUTANTS = (
    Mutant("timeout is failure", "anything but a proof is UNKNOWN", timeout_is_failure),
    Mutant("blind retry", "one send per order", blind_retry),
    Mutant("send, then write", "write-ahead", send_then_write),
    Mutant("one transaction", "the claim's own commit before the send", one_transaction),
    Mutant("one miss is absence", "three spaced misses", one_miss_is_absence),
    Mutant("no horizon", "waiting until late requests are refused", no_horizon),
    Mutant("signed late", "signing with the claim's instant", not_signed_with_the_claim),
    Mutant("error is a miss", "only a successful look-up counts", an_error_is_a_miss),
    Mutant("one source", "the second source", one_source),
    Mutant("duplicate is refusal", "a known id is looked up", duplicate_is_refusal),
    Mutant("vanished is canceled", "an open order that is not found is in doubt", vanished_is_canceled),
    Mutant("sending is believed", "SENDING is in doubt after a while and at boot", sending_is_believed),
    Mutant("sent however old", "a plan expires", sent_however_old),
    Mutant("status ends an order", "an end counts when the fills add up", status_ends_an_order),
    Mutant("cancel not found", "what a cancel did is fetched", cancel_not_found_is_canceled, ("cancel",)),
    Mutant("late fills dropped", "fills of final orders are booked", late_fills_are_dropped, ("cancel",)),
    Mutant("fills again", "unique trade ids", fills_booked_again, without=("fill_booked_once",)),
    Mutant("totals incremented", "sums are folded, never incremented", totals_are_incremented),
    Mutant("no candle key", "one decision per cause", no_candle_key, without=("order_one_live_per_slot",)),
    Mutant("no slot", "one live order per slot", no_slot, without=("order_one_live_per_slot",)),
    Mutant("stop beside exit", "a stop waits for an exit in doubt", stop_and_exit_apart, ("fall",)),
    Mutant(
        "sell beside what rests",
        "what rests is cleared before everything is sold",
        sell_beside_what_rests,
        ("resting fall",),
        without=("order_one_live_per_slot",),
    ),
    Mutant(
        "lines never busy",
        "one live order per line",
        lines_are_never_busy,
        ("grid",),
        without=("order_one_live_per_slot",),
    ),
    Mutant("unlisted is ended", "what the open list does not show is asked about", unlisted_is_ended, ("grid",)),
    Mutant("end leaves its lines", "a run ends when nothing of it rests", end_leaves_its_lines, ("grid close",)),
    Mutant("nobody looks after the end", "a stopped run is looked after", nobody_looks_after_the_end, ("grid close",)),
    Mutant("no claim", "the claim's compare-and-swap", no_claim, mode="race"),
    Mutant("no fence", "the fence of every state change", no_fence, mode="race"),
    Mutant("no lease", "lease and epoch", lease_off, mode="race", without=("order_one_live_per_slot",)),
    Mutant("switch read once", "the kill switch in the claim", switch_is_read_once, mode="switch"),
    Mutant("backup is trusted", "the lists are read before the first order", a_backup_is_trusted, ("exit",), "restore"),
)
BY_NAME = {mutant.name: mutant for mutant in MUTANTS}
