"""The same tick by many hands at once, in threads and in processes of their own: one order, one fill, one trade."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from bots import rounds
from bots.models import BotRun, Decision, Fill, Order, TradeLog
from exchanges.tests.loopback import API_KEY, API_SECRET, LoopbackExchange
from tradingbot.tests.journey.console import iso
from tradingbot.tests.journey.desk import (
    AFTER,
    ENTRY,
    EXIT,
    Desk,
)
from tradingbot.tests.journey.stretch import Stretch, play, recorded
from tradingbot.tests.places import PROJECT

SET_UP = """
import json, os, sys
import django
django.setup()
from tradingbot.tests.journey.console import done
at, secrets = sys.argv[1:3]
done("strategy_sync")
done("user_create", "alice@example.com", stdin="correct horse battery staple")
key = done("key_add", "alice@example.com", "binance", "--at", at, stdin=secrets)["id"]
wanted = {"strategy": "rsi_cross", "symbol": "BTC/USDT", "timeframe": "1h", "exchange": "binance", "mode": "live"}
options = [f"--{name}={value}" for name, value in wanted.items()]
done("bot_start", "alice@example.com", *options, "--capital=5000", f"--key={key}", "--yes", "--at", at)
"""

# A turn's clock goes on from --at, but the exchange's stands still: on a slow machine they would differ too far to buy.
STANDING_STILL = """
import sys
import django
django.setup()
from django.core.management import execute_from_command_line
from bots import acting
acting.monotonic = lambda: 0.0
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""


@pytest.mark.django_db
def test_every_tick_three_times_trades_as_once(desk: Desk) -> None:
    for index in range(EXIT + 2):
        for _ in range(3):
            desk.tick(index)
    assert desk.sides() == ["BUY", "SELL"]
    assert desk.states() == ["FILLED", "FILLED"]
    assert Decision.objects.count() == EXIT + 2
    assert TradeLog.objects.count() == 2
    desk.check()


@pytest.mark.django_db(transaction=True)
def test_threads_that_tick_at_once_trade_as_one(desk: Desk) -> None:
    desk.tick(0, 1)
    for index, sides in ((ENTRY, ["BUY"]), (EXIT, ["BUY", "SELL"])):
        at = desk.closes(index) + AFTER
        desk.exchange.clock.set(at)
        assert all_at_once(at, 6) == []
        assert desk.sides() == sides
    desk.check()
    assert (Order.objects.count(), Fill.objects.count(), TradeLog.objects.count()) == (2, 2, 2)
    assert BotRun.objects.get().lease_until is None


def all_at_once(at: datetime, hands: int) -> list[BaseException]:
    """What the threads failed of."""
    failed: list[BaseException] = []
    together = threading.Barrier(hands)

    def tick() -> None:
        try:
            together.wait(10)
            rounds.whole_round(at)
        except BaseException as error:  # noqa: BLE001 - told by the test
            failed.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=tick) for _ in range(hands)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return failed


class Installation:
    """An installation of its own: folder, SQLite file, keys; its commands are real processes."""

    def __init__(self, folder: Path, exchange: LoopbackExchange) -> None:
        self.database = folder / "tradingbot.sqlite3"
        (folder / "static").mkdir(parents=True)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("DATABASE_", "TEST_"))},
            "DJANGO_SETTINGS_MODULE": "tradingbot.settings",
            "VAR_DIR": str(folder),
            "LIVE_TRADING": "on",
            "EXCHANGE_OVERRIDES": json.dumps(exchange.overrides()),
        }
        self.python("manage.py", "migrate", "--verbosity=0")

    def python(self, *words: str) -> None:
        subprocess.run([sys.executable, *words], cwd=PROJECT, env=self.environment, check=True, timeout=120)

    def at_once(self, hands: int, *words: str) -> list[dict[str, Any]]:
        """The answers of as many processes, started together."""
        command = [sys.executable, "-c", STANDING_STILL, *words, "--json"]
        started = [
            subprocess.Popen(command, cwd=PROJECT, env=self.environment, stdout=subprocess.PIPE, text=True)
            for _ in range(hands)
        ]
        answers = [process.communicate(timeout=120)[0] for process in started]
        assert [process.returncode for process in started] == [0] * hands
        return [json.loads(answer) for answer in answers]

    def count(self, table: str) -> int:
        with sqlite3.connect(self.database) as database:
            found: int = database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
        database.close()
        return found


@pytest.mark.slow
def test_processes_that_tick_at_once_trade_as_one(tmp_path: Path) -> None:
    with LoopbackExchange(tmp_path / "books.sqlite3") as exchange:
        exchange.deposit("USDT", "10000")
        stretch: Stretch = recorded()
        play(exchange, stretch)
        (_, bought), (_, sold), *_ = stretch.crosses()
        exchange.clock.set(bought)
        installation = Installation(tmp_path / "var", exchange)
        secrets = json.dumps({"api_key": API_KEY, "api_secret": API_SECRET})
        installation.python("-c", SET_UP, iso(bought), secrets)

        for at, sides in ((bought + AFTER, ["BUY"]), (sold + AFTER, ["BUY", "SELL"])):
            exchange.clock.set(at)
            answers = installation.at_once(3, "bot_tick", "--at", iso(at))
            assert [row["side"] for row in exchange.trades()] == sides
            assert sum(len(answer["orders"]) for answer in answers) == 1

        assert len(exchange.requests("POST", "/api/v3/order")) == 2
        assert [installation.count(table) for table in ("bots_order", "bots_fill", "bots_tradelog")] == [2, 2, 2]
