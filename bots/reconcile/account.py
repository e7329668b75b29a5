"""Passes over one account: its unsettled orders every few seconds, and its lists and balances every minute."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, QuerySet

from bots import orders
from bots.core.order_state import FINAL, OrderState
from bots.models import BotRun, CaseKind, Order, OrderEvent, Status, TradingAccount
from bots.reconcile import balances, incidents, resting
from bots.reconcile.absence import ID_LENGTH
from bots.reconcile.one_order import NORMAL_PACE, book, settle
from exchanges.core.decimals import ZERO, plain
from exchanges.core.errors import ExchangeFault, RateLimited, UnknownSymbol
from exchanges.core.orders import FillReport, OrderReport, OrderType, Side
from exchanges.core.port import Exchange

log = logging.getLogger(__name__)

#: Orders of an account that one pass asks about; the longest waiting first.
BUDGET = 10
#: The lists are read from this long before the last complete pass.
OVERLAP = timedelta(minutes=10)
#: A run that stopped is looked after for so long.
AFTERCARE = timedelta(minutes=10)
#: An order that ended this long ago and still stands in the exchange's list is no matter of timing.
STANDS_AFTER = timedelta(seconds=60)


@dataclass(slots=True)
class Settled:
    """What a pass over an account's orders did."""

    looked_at: int = 0
    ended: int = 0
    fills: int = 0
    fault: str = ""


@dataclass(slots=True)
class Reconciled:
    """What a comparison of an account with its exchange found."""

    late_fills: int = 0
    orphans: int = 0
    mismatches: int = 0


def settle_account(
    account: TradingAccount, exchange: Exchange, at: datetime, actor: str, *, boot: bool = False
) -> Settled:
    """One pass over the account's orders that are not final; one order's trouble never stops the next."""
    done = Settled()
    live = Order.objects.filter(account=account).live().select_related("run", "account")
    waiting = live.order_by(F("next_settle_at").asc(nulls_first=True), "id")
    rows = list(waiting if boot else waiting.exclude(next_settle_at__gt=at))
    try:
        as_they_were = resting.unmoved(rows, exchange)
    except RateLimited as fault:
        orders.stay_away(account.pk, fault)
        done.fault = f"{fault.code}: {fault.detail}"
        return done
    look_again_later([row for row in rows if row.pk in as_they_were], at)
    asked = [row for row in rows if row.pk not in as_they_were]
    done.looked_at = len(as_they_were)
    for order in asked if boot else asked[:BUDGET]:
        done.looked_at += 1
        try:
            done.fills += settle(order, exchange, actor, at, boot=boot)
        except RateLimited as fault:
            orders.stay_away(account.pk, fault)
            done.fault = f"{fault.code}: {fault.detail}"
            break
        except ExchangeFault as fault:
            done.fault = f"{fault.code}: {fault.detail}"
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            log.exception("order %s could not be settled", order.pk)
            done.fault = f"order {order.pk} could not be settled; the log tells why"
        done.ended += order.ended_at is not None
    return done


def in_use(at: datetime) -> QuerySet[BotRun]:
    """Runs whose orders the exchange may still say something about: a cancel at the end may be followed by a fill."""
    return BotRun.objects.exclude(status=Status.STOPPED, stopped_at__lt=at - AFTERCARE)


def look_again_later(rows: list[Order], at: datetime) -> None:
    """Those whose rest nothing has disturbed; one statement for all of them."""
    if rows:
        Order.objects.filter(pk__in=[row.pk for row in rows]).update(next_settle_at=at + NORMAL_PACE)


def reconcile_account(account: TradingAccount, exchange: Exchange, actor: str, at: datetime) -> Reconciled:
    """Compare the exchange's lists and balances with our books. Nothing is ever traded to repair a difference.

    Raises ExchangeFault; then the next pass looks back as far as this one did. A restored backup brings its own last
    pass with it, so that the lists are read from the backup's time on.
    """
    found = Reconciled()
    runs = list(in_use(at).filter(account=account).order_by("id"))
    since = (account.reconciled_at or min([at, *(run.created_at for run in runs)])) - OVERLAP
    for symbol in sorted({run.symbol for run in runs}):
        # A market that is listed no more has no lists to read; the others' are read.
        with suppress(UnknownSymbol):
            _sweep(account, exchange, symbol, since, actor, at, found)
    compared = balances.compare(account, exchange, runs, at)
    found.mismatches = compared.told
    _remember(account, compared, at)
    return found


def sweep_market(account: TradingAccount, exchange: Exchange, symbol: str, actor: str, at: datetime) -> Reconciled:
    """The lists of one market since the last complete pass, which this is not: balances are not looked at."""
    found = Reconciled()
    _sweep(account, exchange, symbol, (account.reconciled_at or at) - OVERLAP, actor, at, found)
    return found


@transaction.atomic
def _remember(account: TradingAccount, compared: balances.Compared, at: datetime) -> None:
    """What is expected is set once; a person who changes it meanwhile, resolving a case, stands."""
    row = TradingAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
    row.reconciled_at, row.compare_first = at, False
    row.outside, row.suspects = {**compared.first_seen, **row.outside}, compared.suspects
    row.save(update_fields=["reconciled_at", "compare_first", "outside", "suspects"])


def _sweep(
    account: TradingAccount,
    exchange: Exchange,
    symbol: str,
    since: datetime,
    actor: str,
    at: datetime,
    found: Reconciled,
) -> None:
    """Orders that carry our tag must have a row, and executions of our orders must be booked."""
    listed = [r for r in exchange.fetch_recent_orders(symbol, since) if _is_tagged(r)]
    fills = exchange.fetch_fills(symbol, since=since)
    # Of final orders only: the others are still being settled.
    known = {row.client_order_id[:ID_LENGTH]: row for row in _orders_since(account, symbol, since)}
    for report in listed:
        row = known.get((report.client_order_id or "")[:ID_LENGTH])
        if row is None:
            found.orphans += _orphan(account, report, actor, at)
        elif row.state in FINAL and (row.exchange_order_id is None or _still_open(row, report, at)):
            found.late_fills += _late(row, report, fills, at)
    for row in known.values():
        if row.state in FINAL and row.exchange_order_id is not None:
            found.late_fills += book(row, fills, at)


def _is_tagged(report: OrderReport) -> bool:
    return (report.client_order_id or "").startswith(settings.INSTALL_TAG)


def _orders_since(account: TradingAccount, symbol: str, since: datetime) -> list[Order]:
    rows = Order.objects.filter(account=account, symbol=symbol).select_related("run", "account")
    return list(rows.exclude(ended_at__lt=since - OVERLAP).order_by("id"))


def _still_open(row: Order, report: OrderReport, at: datetime) -> bool:
    """What was filled in full can do no more, whatever the list says."""
    ended = row.state != OrderState.FILLED and row.ended_at is not None and at - row.ended_at > STANDS_AFTER
    return ended and not report.status.final


def _late(row: Order, report: OrderReport, fills: Sequence[FillReport], at: datetime) -> int:
    """An order that had ended in our books stands in the exchange's list: it is booked, and told."""
    Order.objects.filter(pk=row.pk, exchange_order_id=None).update(exchange_order_id=report.exchange_order_id)
    row.refresh_from_db()
    detail = f"Order {row.client_order_id} had ended as {row.state} and is {report.status} at the exchange."
    evidence = {"order": row.pk, "exchange_order_id": report.exchange_order_id, "status": report.status.value}
    incidents.tell(row.account, CaseKind.LATE_ORDER, f"order:{row.pk}", detail, evidence, at)
    return book(row, fills, at)


@transaction.atomic
def _orphan(account: TradingAccount, report: OrderReport, actor: str, at: datetime) -> int:
    """An order of ours without a row: a backup was restored. It is adopted by its run, and everything halts."""
    run = BotRun.objects.filter(account=account, symbol=report.symbol).order_by("-id").first()
    subject = f"exchange order:{report.exchange_order_id}"[:96]
    detail = f"Order {report.client_order_id} carries our tag and is not in our books: was a backup restored?"
    evidence = {"exchange_order_id": report.exchange_order_id, "side": report.side, "amount": plain(report.amount)}
    told = incidents.tell(account, CaseKind.ORPHAN, subject, detail, evidence, at)
    if run is not None and told:
        _adopt(run, report, actor, at)
    return int(told)


def _adopt(run: BotRun, report: OrderReport, actor: str, at: datetime) -> None:
    """Write the row that is missing; from here on it is settled like any other."""
    sent_at = report.created_at or at
    order = Order.objects.create(
        run=run,
        account_id=run.account_id,
        symbol=report.symbol,
        slot=f"{run.account_id}:{report.symbol}:orphan-{report.exchange_order_id}"[:96],
        decision_key=f"orphan:{report.client_order_id}",
        client_order_id=report.client_order_id or "",
        purpose="entry" if report.side is Side.BUY else "exit",
        side=report.side.value,
        type=OrderType.LIMIT.value,
        amount=report.amount,
        price=report.average or ZERO,
        state=OrderState.UNKNOWN,
        exchange_order_id=report.exchange_order_id,
        planned_at=sent_at,
        expires_at=sent_at,
        send_at=sent_at,
        next_settle_at=at,
        created_by="reconcile",
    )
    OrderEvent.objects.create(
        order=order, sequence=1, to_state=OrderState.UNKNOWN, cause="adopted by its tag", actor=actor[:64], at=at
    )
