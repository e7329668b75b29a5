"""An order is named after its cause, written down, sent once, and then settled; nothing here is repeated.

T1 `decide_and_place` decides and writes the order down; T2 `claim` is the only door to the network; `submit`
sends outside any transaction; T3 `transition` keeps the answer. docs/execution.md tells why.
"""

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q

from bots.core.decision import Decided, warnings
from bots.core.intent import OrderIntent, Purpose
from bots.core.order_state import FINAL, OrderState, require
from bots.core.risk import Situation, check
from bots.ledger import locked_position
from bots.models import GUARDED, BotRun, Decision, Order, OrderEvent, TradingAccount
from bots.situation import Ambient, gates_against, situation, snapshot
from exchanges.core.decimals import ONE, ZERO
from exchanges.core.errors import BudgetSpent, DuplicateOrder, ExchangeFault, RateLimited, Refused
from exchanges.core.market import Market
from exchanges.core.orders import OrderReport, Side
from exchanges.core.port import Exchange

Choose = Callable[[Situation], Decided | None]
#: A planned order older than this is no longer what was decided.
PLAN_LIFE = timedelta(seconds=20)
#: From the claim to the first byte; slower than this and the order is not sent at all.
CLAIM_TO_SEND_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Cause:
    """What made us decide: its key is unique per run, so the same cause can never act twice."""

    decision_key: str
    actor: str
    candle_opened_at: datetime | None = None
    indicators: dict[str, float | None] | None = None
    close: Any = None


@dataclass(frozen=True, slots=True)
class Placed:
    decision: Decision | None
    order: Order | None


class LeaseLost(Exception):
    """Another worker took the run over; the caller drops its view and leaves."""


def candle_key(opened_at: datetime, leg: str = "signal") -> str:
    return f"candle:{opened_at:%Y-%m-%dT%H:%M:%SZ}:{leg}"


def new_client_order_id() -> str:
    """128 bits as 32 hex digits: the install's 32-bit tag and 96 random bits."""
    return f"{settings.INSTALL_TAG}{secrets.token_hex(12)}"


def decide_and_place(
    run_id: int, epoch: int, cause: Cause, choose: Choose, market: Market, ambient: Ambient, at: datetime
) -> Placed:
    """T1: position, gates and limits are read, judged and written under one lock, with the journal's row.

    ``choose`` is pure; None: nothing to decide. A cause that was decided before changes nothing. Raises LeaseLost.
    """
    try:
        with transaction.atomic():
            return _decide_locked(run_id, epoch, cause, choose, market, ambient, at)
    except IntegrityError:
        # The same cause, or an order of another run in the slot: whoever was faster stands. All else is a bug.
        if not _stands_already(run_id, cause):
            raise
        return Placed(None, None)


def _stands_already(run_id: int, cause: Cause) -> bool:
    run = BotRun.objects.get(pk=run_id)
    decided = Decision.objects.filter(run=run, decision_key=cause.decision_key)
    return decided.exists() or Order.objects.live().filter(account=run.account_id, symbol=run.symbol).exists()


def _decide_locked(
    run_id: int, epoch: int, cause: Cause, choose: Choose, market: Market, ambient: Ambient, at: datetime
) -> Placed:
    run = _locked_run(run_id)
    if run.lease_epoch != epoch:
        raise LeaseLost(f"run {run_id}: epoch {epoch} is over")
    if run.status not in GUARDED or Decision.objects.filter(run=run, decision_key=cause.decision_key).exists():
        return Placed(None, None)
    row = locked_position(run)
    now = situation(run, row, market, ambient, at, candle=cause.candle_opened_at)
    decided = choose(now)
    if decided is None:
        return Placed(None, None)
    order = _write_down(run, cause, decided.intent, now, at) if decided.intent else None
    return Placed(journal(run, cause, decided, order, at), order)


def _locked_run(run_id: int) -> BotRun:
    """Every writer locks the run first, then its position, then its orders: nobody meets crosswise."""
    return BotRun.objects.select_for_update(of=("self",), no_key=True).select_related("account").get(pk=run_id)


def _write_down(run: BotRun, cause: Cause, intent: OrderIntent, now: Situation, at: datetime) -> Order:
    order = Order.objects.create(
        run=run,
        account_id=run.account_id,
        symbol=run.symbol,
        slot=f"{run.account_id}:{run.symbol}:{intent.slot_leg}",
        decision_key=cause.decision_key,
        client_order_id=new_client_order_id(),
        purpose=intent.purpose.value,
        side=intent.side.value,
        type=intent.type.value,
        amount=intent.amount,
        price=intent.price,
        limit_price=intent.limit_price,
        stop_price=intent.stop_price,
        rests=intent.rests,
        rest_until=intent.rest_until,
        planned_at=at,
        expires_at=at + PLAN_LIFE,
        next_settle_at=at,
        risk_snapshot=snapshot(now),
        created_by=cause.actor[:24],
    )
    OrderEvent.objects.create(
        order=order, sequence=1, to_state=OrderState.PLANNED, cause=cause.decision_key, actor=cause.actor, at=at
    )
    return order


def journal(run: BotRun, cause: Cause, decided: Decided, order: Order | None, at: datetime) -> Decision:
    return Decision.objects.create(
        run=run,
        decision_key=cause.decision_key,
        at=at,
        candle_opened_at=cause.candle_opened_at,
        close=cause.close,
        action=decided.action.value,
        code=decided.code.value,
        reason=decided.reason[:400],
        confidence=decided.confidence,
        indicators=cause.indicators or {},
        order=order,
    )


def transition(
    order: Order, to: OrderState, cause: str, actor: str, at: datetime, *, only_if: Q | None = None, **facts: Any
) -> bool:
    """The one function that writes an order's state: compare-and-swap with its event; False: somebody was faster."""
    require(OrderState(order.state), to)
    if to in FINAL:
        facts.setdefault("ended_at", at)
    with transaction.atomic():
        unchanged = Order.objects.filter(only_if or Q(), pk=order.pk, state=order.state, fence=order.fence)
        changed = unchanged.update(state=to, fence=F("fence") + 1, **facts)
        if changed:
            # The fence counts the state's changes: it numbers the events without reading them.
            OrderEvent.objects.create(
                order=order,
                sequence=order.fence + 2,
                from_state=order.state,
                to_state=to,
                cause=cause[:300],
                actor=actor[:64],
                at=at,
            )
    order.refresh_from_db()
    return bool(changed)


def claim(order: Order, epoch: int, actor: str, market: Market, ambient: Ambient, at: datetime) -> bool:
    """T2: the only door to the network. Risk is asked again; the kill switch and the lease stand in the WHERE."""
    with transaction.atomic():
        run = _locked_run(order.run_id)
        order.refresh_from_db()
        if order.state != OrderState.PLANNED or run.lease_epoch != epoch:
            return False
        if at > order.expires_at or run.status not in GUARDED:
            why = "too old to send" if at > order.expires_at else "its run has ended"
            transition(order, OrderState.EXPIRED_UNSENT, why, actor, at)
            return False
        intent, now = order.intent, _now(order, run, market, ambient, at)
        if denial := check(intent, now):
            facts: dict[str, Any] = {"reject_code": denial.code, "reject_detail": denial.detail[:300]}
            transition(order, OrderState.DENIED, f"{denial.code}: {denial.detail}", actor, at, **facts)
            return False
        may, why = _may_send(order, run, epoch, at), f"claimed{warnings(intent, now)}"
        return transition(order, OrderState.SENDING, why, actor, at, only_if=may, send_at=at)


def _may_send(order: Order, run: BotRun, epoch: int, at: datetime) -> Q:
    """What must still hold in the very statement that claims."""
    held = Exists(BotRun.objects.filter(pk=OuterRef("run_id"), lease_epoch=epoch))
    return Q(held, ~Exists(gates_against(run, Purpose(order.purpose))), expires_at__gte=at)


def _now(order: Order, run: BotRun, market: Market, ambient: Ambient, at: datetime) -> Situation:
    candle = Decision.objects.filter(order=order).values_list("candle_opened_at", flat=True).first()
    now = situation(run, locked_position(run), market, ambient, at, candle=candle)
    intent = order.intent
    # The order itself stands in its slot, in the rate and in the count; it must not deny itself.
    return replace(
        now,
        busy_legs=now.busy_legs - {intent.slot_leg},
        open_orders=max(0, now.open_orders - 1),
        orders_last_minute=max(0, now.orders_last_minute - 1),
        account_orders_last_minute=max(0, now.account_orders_last_minute - 1),
        selling=now.selling - (intent.amount if intent.side is Side.SELL else ZERO),
        buying=now.buying - (intent.notional * (ONE + market.taker_fee) if intent.side is Side.BUY else ZERO),
    )


def submit(order: Order, exchange: Exchange, began: float, actor: str, at: datetime) -> None:
    """Send a claimed order once and keep the answer; anything but a proof either way is UNKNOWN.

    ``began`` is the monotonic time before the claim. No transaction is open; nothing is ever sent again.
    """
    if order.state != OrderState.SENDING:
        raise ValueError(f"Expected a claimed order, was {order.state}.")
    if why := _too_late(order, began):
        transition(order, OrderState.UNKNOWN, f"{why}; it was not sent", actor, at)
        return
    try:
        report = exchange.create_order(order.request)
    except Refused as refusal:
        _refused(order, refusal, actor, at)
    except DuplicateOrder:
        transition(order, OrderState.UNKNOWN, "the exchange knows our id already", actor, at, next_settle_at=at)
    except ExchangeFault as fault:
        transition(order, OrderState.UNKNOWN, f"no certain answer: {fault.detail}", actor, at, next_settle_at=at)
    else:
        accepted(order, report, actor, at)


def _too_late(order: Order, began: float) -> str:
    """Why a claim must not be followed by its request: the last look before a byte leaves."""
    if monotonic() - began > CLAIM_TO_SEND_SECONDS:
        return "the claim was too old to send"
    # A switch that was engaged while the claim committed was not in the claim's view of the database.
    return "the kill switch was engaged" if gates_against(order.run, Purpose(order.purpose)).exists() else ""


def _refused(order: Order, refusal: Refused, actor: str, at: datetime) -> None:
    if isinstance(refusal, RateLimited):
        stay_away(order.account_id, refusal)
    facts: dict[str, Any] = {"reject_code": refusal.code, "reject_detail": refusal.detail[:300]}
    transition(order, OrderState.REJECTED, f"refused: {refusal.detail}", actor, at, **facts)


def stay_away(account_id: int, fault: RateLimited) -> None:
    """Remember how long the exchange wants no requests; a known ban is never shortened.

    Our own budget for reads bans nobody: what it keeps back is there for orders.
    """
    if fault.retry_at is not None and not isinstance(fault, BudgetSpent):
        shorter = Q(banned_until=None) | Q(banned_until__lt=fault.retry_at)
        TradingAccount.objects.filter(shorter, pk=account_id).update(banned_until=fault.retry_at)


def accepted(order: Order, report: OrderReport, actor: str, at: datetime) -> None:
    """The exchange has the order; what it filled is booked from its trades, never from this reply."""
    if not report.exchange_order_id:
        transition(order, OrderState.UNKNOWN, "the reply carries no id", actor, at, next_settle_at=at)
        return
    facts: dict[str, Any] = {"exchange_order_id": report.exchange_order_id, "next_settle_at": at}
    transition(order, OrderState.OPEN, f"accepted as {report.exchange_order_id}", actor, at, **facts)


def carry_out(
    order: Order, epoch: int, exchange: Exchange, market: Market, ambient: Ambient, actor: str, at: datetime
) -> bool:
    """Claim and send a planned order; False when it was not ours to send any more."""
    began = monotonic()
    if not claim(order, epoch, actor, market, ambient, at):
        return False
    submit(order, exchange, began, actor, at)
    return True


def cancel(order: Order, exchange: Exchange, cause: str, actor: str, at: datetime) -> None:
    """Ask for a cancel; what it did is found out by settling the order, whatever the answer was."""
    if order.state not in (OrderState.OPEN, OrderState.PARTIAL):
        return
    if transition(order, OrderState.CANCELING, cause, actor, at, next_settle_at=at):
        with suppress(ExchangeFault):
            exchange.cancel_order(order.symbol, order.client_order_id)
