from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.models import User
from bots import backtests, lifecycle, research_tasks, sweeps
from bots.core.backtest.engine import NoCandles
from bots.core.result_pack import unpack_document
from bots.core.sweep.plan import SweepError
from bots.models import Backtest, JobState, Sweep, SweepPart
from bots.models.backtest import MOST_ATTEMPTS, SILENCE
from bots.queries import research
from bots.tests.research_cast import AT, GIVEN, GRID, actor, stored, ticking
from exchanges import candle_store
from exchanges.core.candles import from_ms
from exchanges.models import CandleChunk
from exchanges.testing import BTC_USDT
from tradingbot.celery import app


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "PART", 5)


def submitted(user: User, **given: object) -> Sweep:
    return sweeps.submit(user, {**GIVEN, "grid": GRID, "objective": "return_pct", **given}, AT, actor(user))


def finished(row: Sweep, step: float = 0.25) -> Sweep:
    clock = ticking(step)
    for _ in range(10):
        sweeps.work(row.pk, clock)
    return Sweep.objects.get(pk=row.pk)


def test_sweep_is_done_in_parts_and_ranked(alice):
    stored()
    row = submitted(alice)
    assert list(row.parts.values_list("first", "end")) == [(0, 5), (5, 10), (10, 12)]
    assert sweeps.waiting(AT) == [row.pk]
    done = finished(row)
    assert (done.state, done.progress, done.candles, done.sets) == (JobState.DONE, 100.0, 2000, 12)
    document = unpack_document(done.result)
    returns = [ranked["stats"]["return_pct"] for ranked in document["rows"]]
    assert returns == sorted(returns, reverse=True)
    assert len(returns) == 12
    assert all(ranked["agrees"] for ranked in document["rows"])
    best = document["rows"][0]
    assert best["exact"]["return_pct"] == pytest.approx(returns[0], abs=1e-4)
    assert best["params"].keys() == GRID.keys()
    assert sweeps.waiting(AT) == []
    assert done.candles_per_second > 0


def test_best_set_as_a_backtest_gives_the_table_s_figures(alice):
    stored()
    row = finished(submitted(alice, grid={**GRID, "limits.stop_loss_pct": ["3", "6"]}))
    best = unpack_document(row.result)["rows"][0]
    limits = {name.removeprefix("limits."): value for name, value in best["params"].items() if "." in name}
    params = {name: value for name, value in best["params"].items() if "." not in name}
    single = backtests.submit(alice, {**GIVEN, "params": params, "limits": limits}, AT, actor(alice))
    backtests.run(single.pk, ticking())
    stats = unpack_document(Backtest.objects.get(pk=single.pk).result)["stats"]
    assert stats == best["exact"]


def test_walk_forward_and_caveats_are_in_the_result(alice):
    stored()
    row = finished(submitted(alice, walk_forward={"folds": 3}, constraints={"closed_trades": {"min": 1}}))
    document = unpack_document(row.result)
    folds = document["walk_forward"]["folds"]
    assert len(folds) == 3
    assert all(fold["params"].keys() == GRID.keys() for fold in folds)
    assert [fold["test"]["first"] > fold["train"]["last"] for fold in folds] == [True] * 3
    assert 0 <= document["deflated_sharpe_probability"] <= 1
    assert {caveat["code"] for caveat in document["caveats"]} <= {
        "FEW_TRADES", "DEFLATED_SHARPE", "OUT_OF_SAMPLE_DECAY",
    }  # fmt: skip


def test_nothing_that_qualifies_is_said(alice):
    stored()
    document = unpack_document(finished(submitted(alice, constraints={"closed_trades": {"min": 10_000}})).result)
    assert (document["rows"], document["qualifying_sets"]) == ([], 0)
    assert [caveat["code"] for caveat in document["caveats"]] == ["NOTHING_QUALIFIES"]


def test_parts_of_a_dead_worker_are_done_by_the_next_one(alice):
    stored()
    row = submitted(alice)
    dead = row.parts.first()
    SweepPart.objects.claim(dead.pk, "dead", AT)
    sweeps.work(row.pk, ticking())
    row.refresh_from_db()
    assert row.state == JobState.RUNNING
    assert row.parts.filter(state=JobState.DONE).count() == 2
    assert sweeps.waiting(AT) == []
    later = AT + SILENCE * 2
    assert sweeps.waiting(later) == [row.pk]
    assert sweeps.work(row.pk, ticking(start=later))
    assert Sweep.objects.get(pk=row.pk).state == JobState.DONE


def test_sweep_that_kills_its_workers_fails_in_the_end(alice):
    stored(300)
    row = submitted(alice)
    at, first = AT, row.parts.first()
    for attempt in range(1, MOST_ATTEMPTS + 1):
        assert SweepPart.objects.claim(first.pk, "dead", at) == attempt
        at += SILENCE + timedelta(seconds=1)
    assert sweeps.waiting(at) == [row.pk]
    assert sweeps.work(row.pk, ticking(start=at))
    row.refresh_from_db()
    assert (row.state, row.error) == (JobState.FAILED, "The worker died on one of its parts three times.")
    assert row.parts.filter(state=JobState.QUEUED).count() == 2
    assert sweeps.waiting(at) == []


def test_sweep_with_a_part_that_was_given_up_is_looked_at_again(alice):
    stored(300)
    row = submitted(alice)
    row.parts.update(state=JobState.DONE)
    SweepPart.objects.filter(pk=row.parts.first().pk).update(state=JobState.FAILED)
    assert sweeps.waiting(AT) == [row.pk]
    assert sweeps.work(row.pk, ticking())
    assert Sweep.objects.get(pk=row.pk).state == JobState.FAILED


def test_ranking_that_died_is_done_again(alice):
    stored()
    row = submitted(alice)
    finished(row)
    Sweep.objects.filter(pk=row.pk).update(
        state=JobState.RUNNING, phase="ranking", result=None, heartbeat_at=AT, finished_at=None
    )
    assert not sweeps.work(row.pk, ticking(start=AT))
    assert sweeps.work(row.pk, ticking(start=AT + SILENCE * 2))
    assert Sweep.objects.get(pk=row.pk).state == JobState.DONE


def test_worker_lets_go_when_its_turn_is_over(alice):
    stored()
    row = submitted(alice)
    assert sweeps.work(row.pk, ticking(step=25))
    assert 0 < row.parts.filter(state=JobState.DONE).count() < 3
    assert finished(row).state == JobState.DONE


def test_cancel_stops_the_worker_in_the_middle(alice):
    stored()
    row = submitted(alice)
    clock = ticking(step=3)

    def canceling():
        if SweepPart.objects.filter(sweep=row, done__gte=2).exists():
            sweeps.cancel(row, AT, actor(alice))
        return clock()

    assert sweeps.work(row.pk, canceling)
    row.refresh_from_db()
    assert (row.state, row.result) == (JobState.CANCELED, None)
    assert not sweeps.work(row.pk, clock)
    assert sweeps.waiting(AT) == []


def test_candles_that_change_meanwhile_fail_the_sweep(alice):
    candles = stored()
    row = submitted(alice)
    assert sweeps.work(row.pk, ticking(step=25))
    candles.close[500] += 1
    candles.high[500] += 2
    candle_store.save("binance", "BTC/USDT", "1h", candles[500:501], "a correction", AT)
    done = finished(row)
    assert (done.state, done.error) == (
        JobState.FAILED, "The stored candles changed while the sweep ran; start it again.",
    )  # fmt: skip


def test_range_within_a_gap_fails_the_sweep_with_that_sentence(alice):
    made = stored(2000)
    CandleChunk.objects.all().delete()
    for part in (made[:500], made[1500:]):
        candle_store.save("binance", "BTC/USDT", "1h", part, "a test", AT)
    since, until = (from_ms(int(made.opened_at[at])) for at in (600, 1400))
    row = finished(submitted(alice, since=since, until=until))
    assert row.state == JobState.FAILED
    assert row.error == "NoCandles: Expected candles in the range, was none at all."


def test_all_parts_go_by_the_rules_that_the_first_worker_was_told(alice, monkeypatch):
    stored()
    row = submitted(alice)
    coarse = replace(BTC_USDT, amount_step=Decimal("0.01"))
    told = iter([coarse])
    monkeypatch.setattr(sweeps, "market_for", lambda *asked: next(told, None))
    done = finished(row, step=25)
    assert done.state == JobState.DONE
    assert row.parts.count() > 1
    document = unpack_document(done.result)
    assert document["market"]["amount_step"] == "0.01"
    assert all(ranked["agrees"] for ranked in document["rows"])


def test_rules_that_nobody_could_tell_stay_unknown(alice, monkeypatch):
    stored()
    row = submitted(alice)
    told = iter([None])
    monkeypatch.setattr(sweeps, "market_for", lambda *asked: next(told, BTC_USDT))
    assert unpack_document(finished(row, step=25).result)["market"] is None


def test_bug_fails_the_sweep_and_is_not_hidden(alice, monkeypatch):
    stored()
    row = submitted(alice)

    def broken(*args: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("bots.core.sweep.study.Field.evaluated", broken)
    with pytest.raises(ZeroDivisionError):
        sweeps.work(row.pk, ticking())
    row.refresh_from_db()
    assert (row.state, row.error) == (JobState.FAILED, "ZeroDivisionError: a bug")


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"grid": {"nope": [1]}}, SweepError),
        ({"grid": {"oversold": [60], "overbought": [50]}}, SweepError),
        ({"limits": {"cooldown_seconds": 60}}, SweepError),
        ({"exchange": "kraken"}, NoCandles),
    ],
)
def test_wrong_sweep_leaves_nothing_behind(alice, given, fault):
    stored(100)
    with pytest.raises(fault):
        submitted(alice, **given)
    assert not Sweep.objects.exists()
    assert not SweepPart.objects.exists()


def test_quota_counts_only_what_is_unfinished(alice, monkeypatch):
    monkeypatch.setattr(sweeps, "QUOTA", 1)
    stored(300)
    row = submitted(alice)
    with pytest.raises(lifecycle.Conflict) as caught:
        submitted(alice)
    assert caught.value.code == "too_many_sweeps"
    sweeps.cancel(row, AT, actor(alice))
    submitted(alice)


def test_random_search_survives_its_parts(alice):
    stored()
    document = unpack_document(finished(submitted(alice, samples=7, seed=5)).result)
    assert document["sets"] == 7


def test_sweeps_are_listed_newest_first_to_their_owner(alice, bob):
    stored(300)
    rows = [submitted(alice) for _ in range(3)]
    page = research.sweeps_of(alice, limit=2)
    assert ([view.id for view in page.items], page.next) == ([rows[2].pk, rows[1].pk], rows[1].pk)
    assert research.sweeps_of(bob).items == []
    with pytest.raises(Sweep.DoesNotExist):
        research.sweep_model(bob, rows[0].pk)


def test_due_work_is_rung_for_in_its_own_queue(alice, monkeypatch):
    stored(300)
    sweep = submitted(alice)
    single = backtests.submit(alice, GIVEN, AT, actor(alice))
    sent: list[tuple[str, tuple[int, ...]]] = []
    monkeypatch.setattr(app, "send_task", lambda *args, **options: None)
    for task in (research_tasks.research_backtest, research_tasks.research_sweep):
        monkeypatch.setattr(task, "apply_async", lambda args, expires, name=task.name: sent.append((name, args)))
    monkeypatch.setattr(research_tasks, "now", lambda: AT + timedelta(seconds=1))
    research_tasks.research_due()
    assert sent == [
        ("bots.tasks.research_backtest", (single.pk,)),
        *[("bots.tasks.research_sweep", (sweep.pk,))] * research_tasks.HANDS,
    ]
    route = app.amqp.router.route({}, "bots.tasks.research_backtest")
    assert route["queue"].name == "research"


def test_tasks_do_the_work_of_their_ids(alice):
    stored(300)
    sweep, single = submitted(alice), backtests.submit(alice, GIVEN, AT, actor(alice))
    research_tasks.research_backtest(single.pk)
    research_tasks.research_sweep(sweep.pk)
    assert Backtest.objects.get(pk=single.pk).state == JobState.DONE
    assert Sweep.objects.get(pk=sweep.pk).state == JobState.DONE
