"""Two users with a key and a run each, and everything that a call must not have changed."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from accounts.models import AuditEntry, User
from bots import testing
from bots.models import BotRun, RiskLimits, TradingGate
from exchanges.models import ExchangeKey
from tradingbot.models import IdempotencyRecord


@dataclass(frozen=True, slots=True)
class Owned:
    user: User
    key: ExchangeKey
    run: BotRun

    @property
    def ids(self) -> dict[str, int]:
        return {"user": self.user.pk, "key": self.key.pk, "run": self.run.pk}


def owned(email: str) -> Owned:
    user = testing.make_user(email)
    return Owned(user, make_key(user), make_run(user))


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
    tables = (BotRun, ExchangeKey, TradingGate, RiskLimits, AuditEntry, IdempotencyRecord)
    return {table.__name__: list(table.objects.order_by("pk").values()) for table in tables}
