"""Settles every order that is not final, and compares every account with its exchange, account by account."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q, QuerySet

from bots import connect, orders, reconcile
from bots.acting import Moment
from bots.models import BotRun, Order, TradingAccount
from bots.reconcile import Settled
from bots.troubles import apart
from exchanges.core.errors import ExchangeFault, RateLimited
from exchanges.core.port import Exchange


@dataclass(slots=True)
class SettleReport:
    accounts: int = 0
    looked_at: int = 0
    ended: int = 0
    fills: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ReconcileReport:
    accounts: int = 0
    late_fills: int = 0
    orphans: int = 0
    mismatches: int = 0
    faults: list[str] = field(default_factory=list)


def settle_all(
    at: datetime,
    actor: str,
    *,
    run: BotRun | None = None,
    account: TradingAccount | None = None,
    boot: bool = False,
) -> SettleReport:
    """Every account with unsettled orders; one account's trouble never stops the next."""
    report = SettleReport()
    waiting = Order.objects.live()
    if run is not None:
        waiting = waiting.filter(run=run)
    if account is not None:
        waiting = waiting.filter(account=account)

    def settle(row: TradingAccount, exchange: Exchange) -> None:
        done: Settled = reconcile.settle_account(row, exchange, at, actor, boot=boot)
        report.looked_at += done.looked_at
        report.ended += done.ended
        report.fills += done.fills
        if done.fault:
            report.faults.append(f"account {row.pk}: {done.fault}")

    accounts = TradingAccount.objects.filter(pk__in=waiting.values("account_id"))
    report.accounts = _each(accounts.filter(Q(banned_until=None) | Q(banned_until__lte=at)), settle, report.faults, at)
    return report


def reconcile_all(
    at: datetime, actor: str, *, account: TradingAccount | None = None, mode: str | None = None
) -> ReconcileReport:
    """Every account (of a mode) with a run that has not stopped: late fills, orders without a row, balances."""
    report = ReconcileReport()

    def compare(account: TradingAccount, exchange: Exchange) -> None:
        found = reconcile.reconcile_account(account, exchange, actor, at)
        report.late_fills += found.late_fills
        report.orphans += found.orphans
        report.mismatches += found.mismatches

    in_use = reconcile.in_use(at).values("account_id")
    accounts = TradingAccount.objects.filter(Q(banned_until=None) | Q(banned_until__lte=at), pk__in=in_use)
    if account is not None:
        accounts = accounts.filter(pk=account.pk)
    if mode is not None:
        accounts = accounts.filter(mode=mode)
    report.accounts = _each(accounts, compare, report.faults, at)
    return report


def _each(
    accounts: QuerySet[TradingAccount],
    work: Callable[[TradingAccount, Exchange], None],
    faults: list[str],
    at: datetime,
) -> int:
    """Do the work for each account that wants to be asked, and collect the faults."""
    count, moment = 0, Moment(at)
    for account in accounts.select_related("key", "wallet").order_by("id"):
        count += 1
        with apart(f"account {account.pk}", faults):
            _ask(account, work, faults, moment.of(account.mode))
    return count


def _ask(
    account: TradingAccount, work: Callable[[TradingAccount, Exchange], None], faults: list[str], at: datetime
) -> None:  # fmt: skip
    try:
        work(account, connect.open_account(account, at))
    except ExchangeFault as fault:
        if isinstance(fault, RateLimited):
            orders.stay_away(account.pk, fault)
        faults.append(f"account {account.pk}: {fault.code}: {fault.detail}")
