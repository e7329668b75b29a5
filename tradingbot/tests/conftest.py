"""The least rows that the platform's own tests need, and a desk with a live run at the loopback exchange."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from accounts.tests.cast import user
from bots.models import BotRun, TradingAccount
from exchanges.models import ExchangeKey, SimulatedWallet
from strategies.models import Strategy
from tradingbot.tests.journey.desk import Desk, add_key, open_exchange, play_script, start_live, trader

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def active_run(db) -> Callable[..., BotRun]:
    def make(**fields: object) -> BotRun:
        owner = user("alice@example.com")
        wallet = SimulatedWallet.objects.create(exchange="demo", quote="USDT", deposit=Decimal(1000), created_at=NOW)
        account = TradingAccount.objects.create(owner=owner, mode="paper", exchange="demo", wallet=wallet)
        facts = {
            "user": owner,
            "account": account,
            "exchange": "demo",
            "symbol": "BTC/USDT",
            "timeframe": "1m",
            "mode": "paper",
        }
        facts |= {
            "timeframe": "1m",
            "strategy": Strategy.objects.create(name="any", synced_at=NOW),
            "status": "running",
        }
        facts |= {"base": "BTC", "quote": "USDT", "capital": Decimal(1000), "created_at": NOW, "started_at": NOW}
        return BotRun.objects.create(**facts | fields)

    return make


@pytest.fixture
def exchange_key(db) -> Callable[..., ExchangeKey]:
    def make(**fields: object) -> ExchangeKey:
        facts = {"exchange": "binance", "encrypted_key": "x", "encrypted_secret": "x", "created_at": NOW}
        return ExchangeKey.objects.create(**{"owner": user("alice@example.com")} | facts | fields)

    return make


@pytest.fixture
def desk(tmp_path: Path, settings: Any) -> Iterator[Desk]:
    settings.LIVE_TRADING = True
    with open_exchange(tmp_path) as exchange:
        play_script(exchange)
        owner = trader()
        yield Desk(exchange, start_live(owner, add_key(owner)))
