"""What the exchange holds of a run's base asset against the fold of all our fills, and the owner's own coins."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from bots.core.risk import Gate
from bots.models import GUARDED, BotRun, CaseKind, Incident, Order, RunPosition, TradingAccount
from bots.reconcile import incidents, resting
from exchanges.core.decimals import ZERO, plain
from exchanges.core.market import Market
from exchanges.core.port import Exchange

#: A balance may differ by this share before it is a disagreement, and by one step of the market's amount.
TOLERANCE = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class Balance:
    """``total`` is the exchange's word, ``held`` the fold of our fills, ``outside`` what was never the runs'."""

    total: Decimal
    held: Decimal
    outside: Decimal

    def agrees(self, market: Market) -> bool:
        allowed = max(market.amount_step, abs(self.held) * TOLERANCE)
        return abs(self.total - self.held - self.outside) <= allowed

    def seen(self, at: datetime) -> dict[str, str]:
        """One pass as a case's evidence keeps it."""
        figures = {"total": self.total, "held": self.held, "outside": self.outside}
        return {"at": at.isoformat(), **{name: plain(figure) for name, figure in figures.items()}}


@dataclass(slots=True)
class Compared:
    """``first_seen``: what is expected of assets that were never looked at before; ``suspects``: told next time."""

    told: int = 0
    first_seen: dict[str, str] = field(default_factory=dict)
    suspects: dict[str, dict[str, str]] = field(default_factory=dict)


def compare(account: TradingAccount, exchange: Exchange, runs: list[BotRun], at: datetime) -> Compared:
    """Base assets of the runs that have not stopped: what the exchange holds beyond our fills must stay what it was.

    Two passes in a row must disagree, and nothing may be in flight but what rests undisturbed: then a case is opened.
    It stays one case however the difference changes; what is expected is changed by a person alone, resolving it.
    """
    found = Compared()
    if not any(run.status in GUARDED for run in runs):
        return found
    filled = _filled_so_far(account)
    rules, balances = exchange.markets(), exchange.fetch_balances()
    # Of a market that is listed no more nobody knows the steps.
    markets = {run.base: run.symbol for run in runs if run.status in GUARDED and run.symbol in rules}
    open_cases = Incident.objects.filter(account=account, kind=CaseKind.BALANCE, resolved_at=None)
    told = set(open_cases.values_list("subject", flat=True))
    for base, symbol in sorted(markets.items()):
        before = account.suspects.get(base)
        if not _nothing_moves(account, exchange, base, filled):
            found.suspects |= {base: before} if before else {}
            continue
        # A person may have taken the balance as right while the exchange was asked.
        account.refresh_from_db(fields=["outside"])
        now = _balance(account, base, balances[base].total if base in balances else ZERO)
        found.first_seen[base] = plain(now.outside)
        if now.agrees(rules[symbol]):
            if base in told:
                incidents.agrees(account, CaseKind.BALANCE, base, at)
        elif base in told or before:
            found.told += _tell(account, base, now, [before] if before else [], at)
        else:
            found.suspects[base] = now.seen(at)
    return found


def _filled_so_far(account: TradingAccount) -> dict[int, Decimal]:
    return dict(Order.objects.filter(account=account).in_flight().values_list("id", "filled"))


def _nothing_moves(account: TradingAccount, exchange: Exchange, base: str, before: dict[int, Decimal]) -> bool:
    """No order in flight can have moved the balance: each rests, and is listed with what we had booked before.

    Asked after the balances were, so that what was filled by then shows in the list.
    """
    rows = list(Order.objects.filter(account=account, run__base=base).in_flight())
    if any(before.get(row.pk) != row.filled for row in rows):
        return False
    return {row.pk for row in rows} == resting.unmoved(rows, exchange, fewest=1)


def _balance(account: TradingAccount, base: str, total: Decimal) -> Balance:
    held = held_of(account, base)
    known = account.outside.get(base, "0" if account.wallet_id else plain(max(total - held, ZERO)))
    return Balance(total, held, Decimal(known))


def held_of(account: TradingAccount, base: str) -> Decimal:
    """The fold of all fills of the account in one asset, less the fees that other markets took in it."""
    rows = RunPosition.objects.filter(run__account=account).select_related("run")
    held = sum((row.amount for row in rows if row.run.base == base), ZERO)
    return held - sum((Decimal(row.other_fees.get(base, 0)) for row in rows if row.run.base != base), ZERO)


def _tell(account: TradingAccount, base: str, now: Balance, before: list[dict[str, str]], at: datetime) -> bool:
    expected = now.held + now.outside
    detail = f"The exchange holds {plain(now.total)} {base}; our books explain {plain(expected)}."
    evidence: dict[str, Any] = {"asset": base, **now.seen(at), "expected": plain(expected)}
    evidence["seen"] = [*before, now.seen(at)]
    return incidents.tell(account, CaseKind.BALANCE, base, detail, evidence, at, Gate.REDUCING)
