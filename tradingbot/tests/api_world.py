"""Two users with a key and a run each, and everything that a call must not have changed."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from accounts.models import AuditEntry, User
from bots import testing
from bots.core.risk import Gate
from bots.models import BotRun, Breaker, DriftReport, Incident, RiskLimits, TradingGate
from bots.reconcile import incidents
from exchanges.models import ExchangeKey
from tradingbot.models import IdempotencyRecord


@dataclass(frozen=True, slots=True)
class Owned:
    user: User
    key: ExchangeKey
    run: BotRun
    case: Incident
    breaker: Breaker

    @property
    def ids(self) -> dict[str, int]:
        named = {"user": self.user, "key": self.key, "run": self.run, "case": self.case, "breaker": self.breaker}
        return {name: row.pk for name, row in named.items()}


def owned(email: str) -> Owned:
    user = testing.make_user(email)
    run = make_run(user)
    make_drift(run)
    return Owned(user, make_key(user), run, make_case(run), make_breaker(run))


def make_case(run: BotRun) -> Incident:
    incidents.tell(run.account, "unresolved", "order:1", "An order is in doubt.", {}, testing.START, Gate.REDUCING)
    return Incident.objects.get(account=run.account)


def make_breaker(run: BotRun) -> Breaker:
    """One that has tripped."""
    at = testing.START
    facts = {
        "state": "open",
        "reason": "It lost.",
        "tripped_at": at,
        "since": at,
        "changed_at": at,
        "changed_by": "risk",
    }
    return Breaker.objects.create(level="run", target=run.pk, mode=run.mode, name="max_drawdown", **facts)


def make_drift(run: BotRun) -> DriftReport:
    """Of the run's first day."""
    at = testing.START
    facts = {"state": "done", "created_at": at, "finished_at": at}
    row: DriftReport = DriftReport.objects.create(run=run, day=at.date(), **facts)
    return row


def make_key(user: User, **facts: Any) -> ExchangeKey:
    given = {"encrypted_key": "x", "encrypted_secret": "x", "fingerprint": email_mark(user), "api_key_hint": "last"}
    return ExchangeKey.objects.create(
        **{"owner": user, "exchange": "binance", "created_at": testing.START, **given, **facts}
    )


def email_mark(user: User) -> str:
    return f"mark-{user.pk}"


def make_run(user: User, **wanted: Any) -> BotRun:
    """On the built-in market, which needs no network."""
    return testing.start_run(user, **{"strategy": "rsi_cross", "capital": Decimal(1000), **wanted})


def everything() -> dict[str, Any]:
    """The rows that calls may change, tokens' last use apart."""
    tables = (
        *(BotRun, ExchangeKey, TradingGate, RiskLimits, Incident, Breaker, DriftReport),
        *(AuditEntry, IdempotencyRecord),
    )
    return {table.__name__: list(table.objects.order_by("pk").values()) for table in tables}
