"""Settles every order that is not final, account by account."""

from dataclasses import dataclass, field
from datetime import datetime

from bots import connect, reconcile
from bots.models import BotRun, Order, TradingAccount
from bots.reconcile import Settled
from exchanges.core.errors import ExchangeFault


@dataclass(slots=True)
class SettleReport:
    accounts: int = 0
    looked_at: int = 0
    ended: int = 0
    fills: int = 0
    faults: list[str] = field(default_factory=list)


def settle_all(at: datetime, actor: str, *, run: BotRun | None = None, boot: bool = False) -> SettleReport:
    """Every account with unsettled orders; one account's trouble never stops the next."""
    report = SettleReport()
    waiting = Order.objects.live()
    if run is not None:
        waiting = waiting.filter(run=run)
    accounts = TradingAccount.objects.filter(pk__in=waiting.values("account_id")).select_related("key", "wallet")
    for account in accounts.order_by("id"):
        report.accounts += 1
        try:
            done = reconcile.settle_account(account, connect.open_account(account, at), at, actor, boot=boot)
        except ExchangeFault as fault:
            done = Settled(fault=f"{fault.code}: {fault.detail}")
        report.looked_at += done.looked_at
        report.ended += done.ended
        report.fills += done.fills
        if done.fault:
            report.faults.append(f"account {account.pk}: {done.fault}")
    return report
