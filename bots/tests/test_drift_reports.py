"""Drift reports as work: which days are due, for whom, once, again, and with which candles."""

from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from accounts.audit import CONSOLE
from accounts.models import AuditEntry, User
from bots import drift, drift_tasks, ledger, lifecycle
from bots.models import BotRun, Decision, DriftReport
from bots.queries import drift as reports
from bots.queries import drift_day
from bots.testing import START, Stage, make_user, scripted_candles, staged, start_run
from bots.tests.desk import Desk, after
from bots.tests.drift_cast import DAY, NIGHT, causes, live, reported, store
from exchanges import candle_store, market_data
from exchanges.core.errors import Unavailable
from exchanges.core.orders import FillReport, Side

SECOND = timedelta(days=1)


def rows(run: BotRun) -> list[tuple[str, int, str]]:
    found = DriftReport.objects.filter(run=run).order_by("day", "version")
    return [(f"{row.day:%m-%d}", row.version, row.state) for row in found]


def ended(run: BotRun, at: Any) -> None:
    BotRun.objects.filter(pk=run.pk).update(status="stopped", stopped_at=at)
    run.refresh_from_db()


def failed(run: BotRun, at: Any = NIGHT) -> str:
    """What a report that cannot be made says."""
    row = drift.submit(run, DAY, at, CONSOLE)
    assert drift.run(row.pk, lambda: at)
    row.refresh_from_db()
    assert row.state == "failed"
    return row.error


def test_every_day_that_is_over_is_planned_once(alice: User) -> None:
    run = start_run(alice)
    assert drift.plan(START + timedelta(hours=23)) == 0
    assert drift.plan(NIGHT) == 1
    assert drift.plan(NIGHT) == 0
    assert drift.plan(NIGHT + SECOND) == 1
    assert rows(run) == [("01-15", 1, "queued"), ("01-16", 1, "queued")]


def test_planning_takes_as_many_statements_for_many_runs_as_for_one(
    alice: User, django_assert_num_queries: Any
) -> None:
    for _ in range(3):
        start_run(alice)
    drift.plan(NIGHT)
    with django_assert_num_queries(2 * drift.LOOK_BACK):
        assert drift.plan(NIGHT) == 0


def test_a_day_is_not_over_before_its_last_candle_can_be_asked_for(alice: User) -> None:
    start_run(alice)
    assert drift.plan(START + SECOND + timedelta(minutes=5)) == 0


def test_a_platform_that_was_down_catches_up_but_not_for_ever(alice: User) -> None:
    run = start_run(alice)
    assert drift.plan(NIGHT + timedelta(days=9)) == drift.LOOK_BACK
    assert rows(run)[0][0] == "01-22"


def test_a_finished_run_is_compared_for_its_last_day_and_no_further(alice: User) -> None:
    run = start_run(alice)
    ended(run, START + timedelta(days=1, hours=2))
    assert drift.plan(NIGHT + timedelta(days=2)) == 2
    assert [day for day, _, _ in rows(run)] == ["01-15", "01-16"]


def test_one_users_backlog_stands_in_nobodys_way(alice: User, bob: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "QUOTA", 2)
    mine, others = [start_run(alice) for _ in range(4)], start_run(bob)
    assert drift.plan(NIGHT) == 3
    assert sum(bool(rows(run)) for run in mine) == 2
    assert rows(others)
    with pytest.raises(lifecycle.Conflict, match="at most 2 unfinished"):
        drift.submit(mine[-1], DAY, NIGHT, CONSOLE)


@pytest.mark.parametrize(
    ("day", "code"),
    [(DAY, "day_not_over"), (DAY - SECOND, "day_outside_run"), (DAY + 2 * SECOND, "day_outside_run")],
)
def test_a_day_without_the_run_cannot_be_asked_for(alice: User, day: Any, code: str) -> None:
    run = start_run(alice)
    at = START + timedelta(hours=5) if code == "day_not_over" else NIGHT + timedelta(days=9)
    if code == "day_outside_run":
        ended(run, START + timedelta(days=1))
    with pytest.raises(lifecycle.Invalid) as refused:
        drift.submit(run, day, at, CONSOLE)
    assert refused.value.code == code
    assert not DriftReport.objects.exists()


def test_comparing_again_appends_a_version_and_replaces_nothing(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    store(stage.candles, "1m")
    first = reported(run)
    second = reported(run)
    assert (first.version, second.version) == (1, 2)
    assert reports.report_of(run.pk, DAY).version == 2
    assert reports.report_of(run.pk, DAY, 1).id == first.pk
    assert [view.version for view in reports.days_of(run.pk).items] == [2]
    asked = AuditEntry.objects.filter(action="drift.asked").order_by("pk")
    assert [entry.detail["version"] for entry in asked] == [1, 2]


def test_a_day_that_waits_is_not_queued_twice(alice: User) -> None:
    run = start_run(alice)
    assert drift.submit(run, DAY, NIGHT, CONSOLE) == drift.submit(run, DAY, NIGHT, CONSOLE)
    assert drift._queue(run, DAY, NIGHT).version == 1


def test_a_dead_workers_report_is_taken_over(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    store(stage.candles, "1m")
    row = drift.submit(run, DAY, NIGHT, CONSOLE)
    assert DriftReport.objects.claim(row.pk, "dead", NIGHT) == 1
    assert not drift.run(row.pk, lambda: NIGHT + timedelta(seconds=30))
    later = NIGHT + timedelta(seconds=61)
    assert drift.waiting(later) == [row.pk]
    assert drift.run(row.pk, lambda: later)
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("done", 2)


def test_a_report_that_was_taken_over_is_dropped(alice: User, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    run = start_run(alice)
    store(stage.candles, "1m")
    row = drift.submit(run, DAY, NIGHT, CONSOLE)
    loaded = drift._candles

    def stolen(*args: Any) -> Any:
        DriftReport.objects.filter(pk=row.pk).update(attempts=2)
        return loaded(*args)

    monkeypatch.setattr(drift, "_candles", stolen)
    seconds = iter(range(0, 10_000, 11))
    assert drift.run(row.pk, lambda: NIGHT + timedelta(seconds=next(seconds)))
    row.refresh_from_db()
    assert (row.state, row.document) == ("running", None)


def at_binance(run: BotRun) -> None:
    BotRun.objects.filter(pk=run.pk).update(exchange="binance")
    run.refresh_from_db()


def test_missing_candles_are_downloaded(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    at_binance(run)
    row = reported(run)
    assert row.state == "done"
    assert len(candle_store.load("binance", "BTC/USDT", "1m")) == len(stage.candles)
    assert row.data_sha256


def test_without_candles_the_report_says_so_and_is_tried_again(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    at_binance(run)
    stage.down = True
    assert failed(run) == "No candles of binance BTC/USDT 1m on 2024-01-15 are known."
    assert drift.plan(NIGHT + timedelta(hours=1)) == 0
    assert drift.plan(NIGHT + timedelta(hours=7)) == 1
    assert rows(run) == [("01-15", 1, "failed"), ("01-15", 2, "queued")]


def test_an_exchange_that_tells_no_rules_fails_the_report(
    alice: User, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_run(alice)
    store(stage.candles, "1m")

    def silent(*args: Any) -> None:
        raise Unavailable("It does not answer.")

    monkeypatch.setattr(market_data, "market", silent)
    assert failed(run) == "It does not answer."


def test_a_strategy_that_is_gone_fails_the_report(alice: User) -> None:
    run = start_run(alice)
    run.strategy.name = "gone"
    run.strategy.save()
    assert "gone" in failed(run)


def test_more_candles_than_a_report_may_download_are_not_asked_for(
    alice: User, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_run(alice)
    at_binance(run)
    monkeypatch.setattr(drift, "MOST_DOWNLOADED", 10)
    assert failed(run).startswith("No candles")
    assert candle_store.coverage("binance", "BTC/USDT", "1m") is None


def test_a_bug_fails_the_report_and_is_raised(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> None:
        raise RuntimeError("A bug.")

    monkeypatch.setattr(drift, "carry_out", broken)
    row = drift.submit(start_run(alice), DAY, NIGHT, CONSOLE)
    with pytest.raises(RuntimeError):
        drift.run(row.pk, lambda: NIGHT)
    row.refresh_from_db()
    assert (row.state, row.error) == ("failed", "RuntimeError: A bug.")


def test_the_synthetic_market_needs_no_stored_candles(alice: User) -> None:
    run = start_run(alice, strategy="rsi_cross", timeframe="5m")
    row = reported(run)
    assert row.document["candles"] == 288
    # Nobody ticked it: whatever the replay traded, nobody was at work for.
    assert set(row.counts) <= {"OUTAGE"}
    assert row.difference == -row.replay_pnl


def test_a_position_is_carried_over_midnight(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    script = [0.0] * 1500
    script[1430] = 1
    script[1460] = 2
    candles = scripted_candles(script, [100 + index / 100 for index in range(1500)])
    with staged(Stage(candles), monkeypatch.setattr) as stage:
        lives = live(alice, stage, limits={"trailing_stop_pct": "20", "max_drawdown_pct": "50"})
        for index in (1, 1430, 1440, 1460):
            lives.through([index])
        store(candles, "1m", NIGHT + SECOND)
        first = reported(lives.run, at=NIGHT + SECOND)
        second = reported(lives.run, DAY + SECOND, NIGHT + SECOND)
    assert (causes(first), causes(second)) == (["SAME"], ["SAME"])
    assert (first.difference, second.difference) == (0, 0)
    assert drift_day.lived_of(lives.run, DAY + SECOND, NIGHT + SECOND).start.position.amount > 0
    assert second.live_pnl > 0


def test_a_day_begins_with_the_stakes_that_the_ledger_knows(desk: Desk) -> None:
    order = desk.sent()
    for number, (price, amount) in enumerate([("50000", "0.001"), ("51000", "0.003")]):
        report = FillReport(str(number), "1", "BTC/USDT", Side.BUY, D(amount), D(price), D(0), "USDT", after(number))
        ledger.record_fills(order, [report], after(number))
    stakes = drift_day.lived_of(desk.run, DAY + SECOND, NIGHT + SECOND).start.stakes
    assert stakes == ledger.stakes_of(desk.run) == (D(50_750),)


def test_a_pruned_journal_is_no_evidence(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    store(stage.candles, "1m")
    Decision.objects.all().delete()
    row = reported(run, at=NIGHT + timedelta(days=30))
    assert set(row.counts) == {"UNEXPLAINED"}
    assert "pruned" in row.document["rows"][0]["why"]


def test_the_task_plans_and_rings(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    start_run(alice)
    rung: list[int] = []
    monkeypatch.setattr(drift_tasks, "now", lambda: NIGHT)
    monkeypatch.setattr(drift_tasks.research_drift, "apply_async", lambda args, expires: rung.append(args[0]))
    drift_tasks.research_drift_due()
    assert rung == list(DriftReport.objects.values_list("pk", flat=True)) != []


def test_the_task_carries_one_out(alice: User, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    run = start_run(alice)
    store(stage.candles, "1m")
    monkeypatch.setattr(drift_tasks, "now", lambda: NIGHT)
    row = drift.submit(run, DAY, NIGHT, CONSOLE)
    drift_tasks.research_drift(row.pk)
    row.refresh_from_db()
    assert row.state == "done"


def test_gathering_a_day_takes_a_fixed_number_of_statements(
    alice: User, stage: Stage, django_assert_max_num_queries: Any
) -> None:
    lives = live(alice, stage)
    lives.through()
    with django_assert_max_num_queries(11):
        drift_day.lived_of(lives.run, DAY, NIGHT)


def test_hints_tell_each_run_once_and_only_the_newest_version(alice: User, stage: Stage) -> None:
    run, other = start_run(alice), start_run(make_user("carol@example.com"))
    facts = {"state": "done", "created_at": NIGHT, "finished_at": NIGHT, "trades": 3}
    DriftReport.objects.create(run=run, day=DAY, unexplained=2, **facts)
    DriftReport.objects.create(run=run, day=DAY + SECOND, unexplained=1, **facts)
    DriftReport.objects.create(run=run, day=DAY + 2 * SECOND, unexplained=4, **facts)
    DriftReport.objects.create(run=run, day=DAY + 2 * SECOND, version=2, unexplained=0, **facts)
    DriftReport.objects.create(run=other, day=DAY, unexplained=9, **facts)
    (hint,) = reports.unexplained_of(alice, NIGHT)
    assert (hint.bot_run_id, hint.day, hint.unexplained) == (run.pk, DAY + SECOND, 3)
    assert reports.unexplained_of(alice, NIGHT + timedelta(days=30)) == []


def test_days_are_paged_by_day(alice: User) -> None:
    run = start_run(alice)
    for back in range(5):
        DriftReport.objects.create(run=run, day=DAY + back * SECOND, created_at=NIGHT)
    first = reports.days_of(run.pk, limit=2)
    rest = reports.days_of(run.pk, limit=9, before=first.next)
    assert [view.day.day for view in first.items] == [19, 18]
    assert [view.day.day for view in rest.items] == [17, 16, 15]
    assert rest.next is None
