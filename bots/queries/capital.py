"""Whose money is whose: per account and quote currency what its runs own, and what is left for the next one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from accounts.models import User
from bots import capital, connect
from bots.models import BotRun, CapitalEntry, TradingAccount
from bots.queries.shapes import Page
from exchanges.core.decimals import ZERO
from exchanges.core.errors import ExchangeFault


@dataclass(frozen=True, slots=True)
class RunCapital:
    """``flows`` are the fills' so far; ``owned`` = capital + flows, never below zero."""

    bot_run_id: int
    symbol: str
    status: str
    capital: Decimal
    flows: Decimal
    owned: Decimal


@dataclass(frozen=True, slots=True)
class CapitalView:
    """``free`` is what the exchange says, ``available`` what no run owns of it; None where it did not answer."""

    account_id: int
    account: str
    mode: str
    exchange: str
    exchange_key_id: int | None
    quote: str
    reserved: Decimal
    flows: Decimal
    owned: Decimal
    free: Decimal | None
    available: Decimal | None
    runs: Sequence[RunCapital]


@dataclass(frozen=True, slots=True)
class CapitalEntryView:
    id: int
    at: datetime
    kind: str
    amount: Decimal
    quote: str
    account_id: int
    mode: str
    exchange: str
    bot_run_id: int
    symbol: str


def capital_of(user: User, at: datetime, *, mode: str = "") -> list[CapitalView]:
    """Every account and quote currency with a run that holds money; live and paper apart, each exchange asked once."""
    runs = capital.holding().filter(user=user).select_related("position", "account", "account__key", "account__wallet")
    groups: dict[tuple[int, str], list[BotRun]] = {}
    for run in runs.filter(mode=mode) if mode else runs:
        groups.setdefault((run.account_id, run.quote), []).append(run)
    free: dict[int, dict[str, Decimal]] = {}
    found = []
    for (account_id, quote), members in sorted(groups.items()):
        if account_id not in free:
            free[account_id] = _free(members[0].account, at)
        found.append(_view(members, quote, free[account_id].get(quote)))
    return found


def _free(account: TradingAccount, at: datetime) -> dict[str, Decimal]:
    """Asset → free; empty when the exchange does not answer."""
    try:
        return {asset: held.free for asset, held in connect.open_account(account, at).fetch_balances().items()}
    except ExchangeFault:
        return {}


def _view(runs: Sequence[BotRun], quote: str, free: Decimal | None) -> CapitalView:
    account = runs[0].account
    left = None if free is None else capital.available(account, quote, free)
    name = account.key.label or account.exchange if account.key else f"paper run {runs[0].pk}"
    return CapitalView(
        account_id=account.pk,
        account=name,
        mode=account.mode,
        exchange=account.exchange,
        exchange_key_id=account.key_id,
        quote=quote,
        reserved=_sum(run.capital for run in runs),
        flows=_sum(run.position.cash for run in runs),
        owned=_sum(capital.owned(run) for run in runs),
        free=free,
        available=left,
        runs=[_run(run) for run in sorted(runs, key=lambda run: -run.pk)],
    )


def _run(run: BotRun) -> RunCapital:
    return RunCapital(run.pk, run.symbol, run.status, run.capital, run.position.cash, capital.owned(run))


def _sum(values: Iterable[Decimal]) -> Decimal:
    return sum(values, ZERO)


def entries_of(user: User, *, limit: int = 100, before: int | None = None) -> Page:
    """The ledger itself, newest first."""
    rows = CapitalEntry.objects.for_user(user).select_related("account", "run").order_by("-id")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows[: limit + 1])
    following = found[limit - 1].pk if len(found) > limit else None
    return Page([_entry(row) for row in found[:limit]], following)


def _entry(row: CapitalEntry) -> CapitalEntryView:
    return CapitalEntryView(
        id=row.pk,
        at=row.at,
        kind=row.kind,
        amount=row.amount,
        quote=row.quote,
        account_id=row.account_id,
        mode=row.account.mode,
        exchange=row.account.exchange,
        bot_run_id=row.run_id,
        symbol=row.run.symbol,
    )
