"""An order is named after its cause, written down, sent once, and then settled; nothing here is repeated.

T1 `decide_and_place` decides and writes the order down; T2 `claim` is the only door to the network; `submit`
sends outside any transaction; T3 `transition` keeps the answer. docs/execution.md tells why.
"""

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef

from bots.core.codes import Code
from bots.core.decision import Decided
from bots.core.intent import OrderIntent, Purpose
from bots.core.order_state import FINAL, OrderState, require
from bots.core.risk import Situation, check
from bots.ledger import locked_position
from bots.models import BotRun, Decision, Order, OrderEvent
from bots.situation import Ambient, gates_against, situation
from exchanges.core.errors import DuplicateOrder, ExchangeFault, RateLimited, Refused
from exchanges.core.market import Market
from exchanges.core.orders import OrderReport, OrderRequest, OrderType, Side
from exchanges.core.port import Exchange

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
    run_id: int,
    epoch: int,
    cause: Cause,
    choose: Callable[[Situation], Decided | None],
    market: Market,
    ambient: Ambient,
    at: datetime,
) -> Placed:
    """T1: position, gates and limits are read, judged and written under one lock, with the journal's row.

    ``choose`` is pure; None means that there is nothing to decide. A cause that was decided before changes
    nothing. Raises LeaseLost when ``epoch`` is no longer the run's.
    """
    try:
        with transaction.atomic():
            return _decide_locked(run_id, epoch, cause, choose, market, ambient, at)
    except IntegrityError:
        # The same cause or slot, from another worker that was faster: its row stands.
        return Placed(None, None)


def _decide_locked(
    run_id: int,
    epoch: int,
    cause: Cause,
    choose: Callable[[Situation], Decided | None],
    market: Market,
    ambient: Ambient,
    at: datetime,
) -> Placed:
    run = BotRun.objects.select_for_update(of=("self",), no_key=True).select_related("account").get(pk=run_id)
    if run.lease_epoch != epoch:
        raise LeaseLost(f"run {run_id}: epoch {epoch} is over")
    if Decision.objects.filter(run=run, decision_key=cause.decision_key).exists():
        return Placed(None, None)
    row = locked_position(run)
    now = situation(run, row, market, ambient, at)
    decided = choose(now)
    if decided is None:
        return Placed(None, None)
    order = _write_down(run, cause, decided.intent, now, at) if decided.intent else None
    return Placed(journal(run, cause, decided, order, at), order)


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


def snapshot(now: Situation) -> dict[str, str]:
    """What risk looked at, for the order's page."""
    facts = ("price", "cash", "equity", "peak_equity", "day_start_equity", "free", "exposure", "open_orders", "gate")
    return {name: str(getattr(now, name)) for name in facts} | {"limits": str(now.limits.as_json())}


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


def transition(order: Order, to: OrderState, cause: str, actor: str, at: datetime, **facts: Any) -> bool:
    """The one function that writes an order's state: compare-and-swap with its event; False: somebody was faster."""
    require(OrderState(order.state), to)
    if to in FINAL:
        facts.setdefault("ended_at", at)
    with transaction.atomic():
        changed = Order.objects.filter(pk=order.pk, state=order.state, fence=order.fence).update(
            state=to, fence=F("fence") + 1, **facts
        )
        if changed:
            _event(order, to, cause, actor, at)
    order.refresh_from_db()
    return bool(changed)


def _event(order: Order, to: OrderState, cause: str, actor: str, at: datetime) -> None:
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


def claim(order: Order, epoch: int, actor: str, market: Market, ambient: Ambient, at: datetime) -> bool:
    """T2: the only door to the network. Risk is asked again; the kill switch and the lease stand in the WHERE."""
    with transaction.atomic():
        run = BotRun.objects.select_for_update(of=("self",), no_key=True).select_related("account").get(pk=order.run_id)
        order.refresh_from_db()
        if order.state != OrderState.PLANNED or run.lease_epoch != epoch:
            return False
        if at > order.expires_at:
            transition(order, OrderState.EXPIRED_UNSENT, "too old to send", actor, at)
            return False
        if denial := _denied_now(order, run, market, ambient, at):
            code, detail = denial
            facts = {"reject_code": code, "reject_detail": detail[:300]}
            transition(order, OrderState.DENIED, f"{code}: {detail}", actor, at, **facts)
            return False
        swapped = (
            Order.objects.filter(pk=order.pk, state=OrderState.PLANNED, fence=order.fence, expires_at__gte=at)
            .filter(Exists(BotRun.objects.filter(pk=OuterRef("run_id"), lease_epoch=epoch)))
            .filter(~Exists(gates_against(run, Purpose(order.purpose))))
            .update(state=OrderState.SENDING, send_at=at, fence=F("fence") + 1)
        )
        if swapped:
            _event(order, OrderState.SENDING, "claimed", actor, at)
    order.refresh_from_db()
    return bool(swapped)


def _denied_now(order: Order, run: BotRun, market: Market, ambient: Ambient, at: datetime) -> tuple[Code, str] | None:
    now = situation(run, locked_position(run), market, ambient, at)
    # The order itself stands in its slot, in the rate and in the count; it must not deny itself.
    own = frozenset({order.slot.rsplit(":", 1)[1]})
    now = _without(now, own)
    denial = check(intent_of(order), now)
    return (denial.code, denial.detail) if denial else None


def _without(now: Situation, own: frozenset[str]) -> Situation:
    return replace(
        now,
        busy_legs=now.busy_legs - own,
        open_orders=max(0, now.open_orders - 1),
        orders_last_minute=max(0, now.orders_last_minute - 1),
    )


def intent_of(order: Order) -> OrderIntent:
    return OrderIntent(
        Purpose(order.purpose),
        Side(order.side),
        OrderType(order.type),
        order.amount,
        order.price,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        leg=order.slot.rsplit(":", 1)[1],
    )


def request_of(order: Order, sent_at: datetime) -> OrderRequest:
    return OrderRequest(
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=Side(order.side),
        type=OrderType(order.type),
        amount=order.amount,
        sent_at=sent_at,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        immediate=order.type == OrderType.LIMIT,
    )


def submit(order: Order, exchange: Exchange, claimed: float, actor: str, at: datetime) -> None:
    """Send a claimed order once and keep the answer; anything but a proof either way is UNKNOWN.

    ``claimed`` is the monotonic time of the claim. No transaction is open; nothing is ever sent again.
    """
    if order.state != OrderState.SENDING or order.send_at is None:
        raise ValueError(f"Expected a claimed order, was {order.state}.")
    if time.monotonic() - claimed > CLAIM_TO_SEND_SECONDS:
        transition(order, OrderState.UNKNOWN, "the claim was too old to send", actor, at)
        return
    try:
        report = exchange.create_order(request_of(order, order.send_at))
    except Refused as refusal:
        _refused(order, refusal, actor, at)
    except DuplicateOrder:
        transition(order, OrderState.UNKNOWN, "the exchange knows our id already", actor, at, next_settle_at=at)
    except ExchangeFault as fault:
        transition(order, OrderState.UNKNOWN, f"no certain answer: {fault.detail}", actor, at, next_settle_at=at)
    else:
        accepted(order, report, actor, at)


def _refused(order: Order, refusal: Refused, actor: str, at: datetime) -> None:
    if isinstance(refusal, RateLimited) and refusal.retry_at:
        order.account.banned_until = refusal.retry_at
        order.account.save(update_fields=["banned_until"])
    facts = {"reject_code": refusal.code, "reject_detail": refusal.detail[:300]}
    transition(order, OrderState.REJECTED, f"refused: {refusal.detail}", actor, at, **facts)


def accepted(order: Order, report: OrderReport, actor: str, at: datetime) -> None:
    """The exchange has the order; what it filled is booked from its trades, never from this reply."""
    facts = {"exchange_order_id": report.exchange_order_id, "next_settle_at": at}
    transition(order, OrderState.OPEN, f"accepted as {report.exchange_order_id}", actor, at, **facts)


def carry_out(
    order: Order, epoch: int, exchange: Exchange, market: Market, ambient: Ambient, actor: str, at: datetime
) -> bool:
    """Claim and send a planned order; False when it was not ours to send any more."""
    if not claim(order, epoch, actor, market, ambient, at):
        return False
    submit(order, exchange, time.monotonic(), actor, at)
    return True


def cancel(order: Order, exchange: Exchange, cause: str, actor: str, at: datetime) -> None:
    """Ask for a cancel; what it did is found out by settling the order, whatever the answer was."""
    if order.state not in (OrderState.OPEN, OrderState.PARTIAL):
        return
    if transition(order, OrderState.CANCELING, cause, actor, at, next_settle_at=at):
        with suppress(ExchangeFault):
            exchange.cancel_order(order.symbol, order.client_order_id)
