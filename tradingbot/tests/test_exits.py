"""Exits outlive beat and broker: with a real worker whose Redis is gone, a stop-loss still sells."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError, connection
from django.utils import timezone
from redis.exceptions import ConnectionError as Gone

from accounts.audit import CONSOLE
from accounts.models import User
from bots import acting, exits, leases, lifecycle
from bots.core.codes import Code
from bots.core.decision import entry_intent, judged
from bots.models import BotRun, Order, RunPosition, TradeLog
from bots.orders import Cause
from bots.testing import learn_strategies, make_user
from exchanges.adapters import rate_budget
from exchanges.adapters.rate_budget import RateBudget
from exchanges.core.errors import RateLimited
from tradingbot import exits as watch_house
from tradingbot.exits import Watchman
from tradingbot.liveness import BEAT, WORKER, last_heartbeat, record_heartbeat, take_lease
from tradingbot.tests import servers
from tradingbot.tests.places import PROJECT
from tradingbot.tests.waiting import wait_for

AT = datetime(2026, 1, 1, tzinfo=UTC)


def holding_run(user: User) -> BotRun:
    """A paper run on the demo market that has just bought, with a stop-loss far below."""
    at = timezone.now()
    wanted = lifecycle.StartRequest(
        user, "rsi_cross", "BTC/USDT", "1d", "demo", D(1000), limits={"stop_loss_pct": "50"}
    )
    run = lifecycle.start(wanted, at, CONSOLE)
    run = BotRun.objects.select_related("account", "account__wallet", "account__key", "position").get(pk=run.pk)
    cause = Cause("manual:test", "test")
    acting.act(run, cause, lambda now: judged(entry_intent(now), now, Code.SIGNAL_BUY, "for the test"), at)
    run.refresh_from_db()
    assert run.held > 0
    return run


def sink(run: BotRun) -> None:
    """The entry was made at three times the price: the stop-loss is reached."""
    row = RunPosition.objects.get(run=run)
    RunPosition.objects.filter(pk=row.pk).update(entry_price=row.entry_price * 3)


def sold(run: BotRun) -> bool:
    return TradeLog.objects.filter(run=run, side="sell").exists()


def database_url() -> str:
    """The URL by which another process opens the database of this test."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return os.environ["DATABASE_URL"].replace("/postgres?", f"/{name}?")


@contextlib.contextmanager
def worker(redis_url: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "DATABASE_URL": database_url(), "REDIS_URL": redis_url, "EXITS_SCAN_SECONDS": "2"}
    argv = [
        *(sys.executable, "-m", "celery", "-A", "tradingbot", "worker", "--pool", "threads", "--concurrency", "2"),
        *("--queues", "trading", "--without-gossip", "--without-mingle", "--hostname", "test@%h"),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(argv, cwd=PROJECT, env=environment, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.mark.redis
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_stop_loss_sells_within_two_periods_of_the_brokers_death(tmp_path: Path) -> None:
    learn_strategies()
    run = holding_run(make_user())
    take_lease(BEAT, "the test", at=timezone.now(), seconds=3600)
    with contextlib.ExitStack() as stack:
        broker = contextlib.ExitStack()
        url = stack.enter_context(contextlib.closing(_Server(broker))).url
        stack.enter_context(worker(url, tmp_path / "worker.log"))
        wait_for(lambda: last_heartbeat(WORKER) is not None, 40)
        sink(run)
        time.sleep(5)
        assert not sold(run), "While beat and broker speak, the scan leaves everything to them."
        broker.close()
        died = time.monotonic()
        wait_for(lambda: sold(run), 15)
        assert time.monotonic() - died < 2 * 2 + 3, (tmp_path / "worker.log").read_text()
    run.refresh_from_db()
    assert run.held == 0
    assert TradeLog.objects.filter(run=run, side="sell").count() == 1


@pytest.mark.redis
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_worker_that_starts_without_a_broker_takes_over_and_sells(tmp_path: Path) -> None:
    learn_strategies()
    run = holding_run(make_user())
    sink(run)
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    machine = leases.owner_name().rpartition(":")[0]
    leases.take(BotRun.objects.get(pk=run.pk), f"{machine}:{dead.pid}", timezone.now() + timedelta(seconds=60))
    with worker(f"unix://{tmp_path}/nobody.sock", tmp_path / "worker.log"):
        wait_for(lambda: sold(run), 40)
    assert "Released 1 runs" in (tmp_path / "worker.log").read_text()


@pytest.mark.django_db
def test_without_a_database_a_worker_starts_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(at: datetime) -> int:
        raise OperationalError("gone")

    monkeypatch.setattr(exits, "begin", away)
    watch_house.take_back()
    assert "could not be released: gone" in caplog.text


@pytest.mark.django_db
def test_at_the_start_what_was_being_sent_is_doubted_and_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    learn_strategies()
    run = holding_run(make_user())
    Order.objects.update(state="SENDING", ended_at=None, send_at=timezone.now())
    assert exits.doubt(timezone.now()) == 1
    assert run.orders.get().state == "FILLED"


class _Server:
    """A Redis of its own, which ends when told to."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.stack = stack
        try:
            self.url = stack.enter_context(servers.redis_server())
        except servers.MissingPartError as error:
            pytest.skip(str(error))

    def close(self) -> None:
        self.stack.close()


# --- what is silent -------------------------------------------------------------------------------


@pytest.fixture
def broker_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_house.broker, "answers", lambda address: True)


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    made: list[bool] = []

    def scan(at: datetime, *, reconcile: bool = False) -> exits.ExitScan:
        made.append(reconcile)
        return exits.ExitScan(at, faults=["one account was busy"])

    monkeypatch.setattr(exits, "scan", scan)
    return made


def speak(at: datetime) -> None:
    take_lease(BEAT, "the test", at=at, seconds=10)
    record_heartbeat(WORKER, at=at)


def test_nothing_is_silent_while_both_speak(db: None, broker_up: None, scans: list[bool]) -> None:
    speak(AT)
    assert Watchman(1).look(AT) is None
    assert scans == []
    assert Watchman(1, always=True).look(AT) is not None


@pytest.mark.parametrize(
    ("later", "why"), [(9, ""), (10, "No beat leads."), (31, "Nothing has come through the broker for too long.")]
)
def test_who_is_silent_is_told(db: None, broker_up: None, later: int, why: str) -> None:
    speak(AT)
    at = AT + timedelta(seconds=later)
    if later > 30:
        take_lease(BEAT, "the test", at=at, seconds=10)
    assert watch_house.silence(at) == why


def test_before_anything_ever_spoke_it_is_silent(db: None, broker_up: None) -> None:
    assert watch_house.silence(AT) == "No beat leads."


def test_a_broker_that_is_gone_is_silent_at_once(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    speak(AT)
    monkeypatch.setattr(watch_house.broker, "answers", lambda address: False)
    assert watch_house.silence(AT) == "The broker does not answer."


def test_it_scans_each_time_and_reconciles_now_and_then(db: None, broker_up: None, scans: list[bool]) -> None:
    watchman = Watchman(1)
    for _ in range(3):
        watchman.look(AT)
    assert scans == [True, False, False]
    speak(AT)
    assert watchman.look(AT) is None


def test_a_pass_that_fails_does_not_end_the_watch(broker_up: None, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[datetime] = []

    def fail(at: datetime) -> str:
        passes.append(at)
        raise RuntimeError("no database")

    begun: list[datetime] = []
    monkeypatch.setattr(exits, "doubt", begun.append)
    monkeypatch.setattr(watch_house, "silence", fail)
    watchman = Watchman(0.01)
    watchman.start()
    try:
        wait_for(lambda: len(passes) >= 3)
    finally:
        watchman.stop()
    assert len(begun) == 1
    assert not watchman.is_alive()
    count = len(passes)
    time.sleep(0.05)
    assert len(passes) == count


@pytest.mark.django_db
def test_one_pass_sells_and_says_so() -> None:
    learn_strategies()
    run = holding_run(make_user())
    sink(run)
    out = io.StringIO()
    call_command("exits_run", "--once", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert (len(told["orders"]), told["faults"]) == (1, [])
    assert sold(run)
    out = io.StringIO()
    call_command("exits_run", "--once", stdout=out)
    assert out.getvalue().startswith("0 orders to sell")


@pytest.mark.parametrize("text", ["-1", "0", "nan", "inf", "soon"])
def test_a_watch_that_could_not_pause_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="--every: Expected seconds from"):
        call_command("exits_run", f"--every={text}", "--once")


def test_without_the_shared_cache_each_process_counts_its_own_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def __getattr__(self, name: str) -> Any:
            def refuse(*given: Any) -> None:
                raise Gone("Connection refused.")

            return refuse

    monkeypatch.setattr(rate_budget, "caches", {"default": Away()})
    budget = RateBudget("nowhere", cost_per_second=1)

    def spend(times: int) -> None:
        for _ in range(times):
            budget.spend(1, AT, 0)

    spend(14)
    with pytest.raises(RateLimited):
        spend(60)
    budget.ban(AT + timedelta(minutes=1), AT)
    with pytest.raises(RateLimited):
        budget.check(AT)
