import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections

from accounts.models import AuditEntry, User
from bots import backtests, lifecycle
from bots.core.backtest.engine import NoCandles
from bots.core.backtest.request import RequestError, asked_for
from bots.core.backtest.study import report_of
from bots.core.result_pack import unpack_document
from bots.models import Backtest, JobState
from bots.models.backtest import MOST_ATTEMPTS, SILENCE
from bots.queries import research
from bots.tests.research_cast import AT, GIVEN, actor, stored, ticking
from exchanges import candle_store
from exchanges.core.candle_pack import data_sha256
from exchanges.core.errors import UnknownSymbol
from strategies.core.errors import UnknownStrategy
from strategies.models import Strategy
from strategies.queries import StrategyDisabled


def submitted(user: User, **given: object) -> Backtest:
    return backtests.submit(user, {**GIVEN, **given}, AT, actor(user))


def carried_out(row: Backtest) -> Backtest:
    assert backtests.run(row.pk, ticking())
    return Backtest.objects.get(pk=row.pk)


def test_backtest_of_stored_candles_is_done_and_kept(alice):
    candles = stored()
    row = carried_out(submitted(alice))
    assert (row.state, row.progress, row.phase, row.candles) == (JobState.DONE, 100.0, "done", 2000)
    assert row.data_sha256 == data_sha256(candles)
    document = unpack_document(row.result)
    expected = report_of(asked_for(GIVEN), candles)
    assert document["stats"] == json.loads(json.dumps(document["stats"]))
    assert len(document["trades"]) == len(expected.trades) == row.stats["closed_trades"] > 10
    assert document["stats"]["final_equity"] == format(expected.stats.final_equity, "f").rstrip("0")
    assert row.candles_per_second > 0
    assert AuditEntry.objects.filter(action="backtest.submitted", subject=f"backtest:{row.pk}").exists()


def test_range_is_spelled_out_so_that_it_means_the_same_tomorrow(alice):
    candles = stored()
    row = submitted(alice)
    assert (row.request["since"], row.request["until"]) == ("2024-01-01T00:00:00Z", "2024-03-24T08:00:00Z")
    row = submitted(alice, since="2024-02-01T00:00:00Z")
    assert row.request["since"] == "2024-02-01T00:00:00Z"
    done = carried_out(row)
    data = unpack_document(done.result)["data"]
    assert (data["first"], data["warmup_candles"]) == ("2024-02-01T00:00:00Z", 16)
    assert data["candles"] == len(candles) - 31 * 24


def test_repetition_reproduces_the_result_bit_for_bit(alice):
    stored()
    first = carried_out(submitted(alice, limits={"stop_loss_pct": "5"}))
    again = carried_out(backtests.repeat(first, AT, actor(alice)))
    assert again.repeats == first
    assert again.result_sha256 == first.result_sha256
    assert bytes(again.result) == bytes(first.result)
    assert research.backtest_view(again, AT).reproduced is True
    assert research.backtest_view(first, AT).reproduced is None


def test_repetition_on_changed_candles_says_so(alice):
    candles = stored()
    first = carried_out(submitted(alice))
    candles.close[500] += 1
    candles.high[500] += 2
    candle_store.save("binance", "BTC/USDT", "1h", candles[500:501], "a correction", AT)
    again = carried_out(backtests.repeat(first, AT, actor(alice)))
    assert research.backtest_view(again, AT).reproduced is False
    assert again.data_sha256 != first.data_sha256


def test_unfinished_backtest_is_not_repeated(alice):
    stored()
    with pytest.raises(lifecycle.Conflict) as caught:
        backtests.repeat(submitted(alice), AT, actor(alice))
    assert caught.value.code == "not_done"


def test_checks_are_a_backtest_s_other_kind(alice):
    stored(800)
    row = backtests.submit(alice, GIVEN, AT, actor(alice), Backtest.Kind.CHECKS)
    document = unpack_document(carried_out(row).result)
    assert document["lookahead"]["differing"] == 0
    assert [fill["name"] for fill in document["fills"]][-1] == "one candle later"
    assert document["monte_carlo"]["runs"] == 1000


def test_demo_market_needs_no_stored_candles(alice):
    row = carried_out(submitted(alice, exchange="demo", since="2025-12-01T00:00:00Z"))
    assert (row.state, row.candles) == (JobState.DONE, 31 * 24 + 2 * 16)
    document = unpack_document(row.result)
    assert document["data"]["candles"] == 31 * 24
    assert document["market"]["amount_step"] == "0.00001"
    assert submitted(alice, exchange="demo").request["until"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"strategy": "nope"}, UnknownStrategy),
        ({"params": {"rsi_period": 0}}, RequestError),
        ({"exchange": "kraken"}, NoCandles),
        ({"since": "2025-01-01T00:00:00Z"}, NoCandles),
        ({"until": "2023-01-01T00:00:00Z"}, NoCandles),
        ({"exchange": "demo", "symbol": "XYZ/USDT"}, UnknownSymbol),
        ({"exchange": "demo", "timeframe": "1s", "since": "2020-01-01T00:00:00Z"}, NoCandles),
    ],
)
def test_wrong_request_leaves_nothing_behind(alice, given, fault):
    stored(100)
    with pytest.raises(fault):
        submitted(alice, **given)
    assert not Backtest.objects.exists()


def test_disabled_strategy_is_not_tried(alice):
    stored(100)
    Strategy.objects.filter(name="rsi_cross").update(enabled=False)
    with pytest.raises(StrategyDisabled):
        submitted(alice)


def test_quota_counts_only_what_is_unfinished(alice, bob, monkeypatch):
    monkeypatch.setattr(backtests, "QUOTA", 2)
    stored(300)
    first = submitted(alice)
    submitted(alice)
    with pytest.raises(lifecycle.Conflict) as caught:
        submitted(alice)
    assert caught.value.code == "too_many_backtests"
    submitted(bob)
    carried_out(first)
    submitted(alice)


def last_place_is_taken_once(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtests, "QUOTA", 2)
    stored(300)

    def ask(_: int) -> str:
        try:
            return submitted(user).state
        except lifecycle.Conflict as refused:
            return refused.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        answers = sorted(pool.map(ask, range(6)))
    assert answers == [JobState.QUEUED] * 2 + ["too_many_backtests"] * 4
    assert Backtest.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_requests_at_once_keep_the_quota(alice, monkeypatch):
    last_place_is_taken_once(alice, monkeypatch)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_requests_at_once_keep_the_quota_on_postgresql(alice, monkeypatch):
    last_place_is_taken_once(alice, monkeypatch)


def test_one_worker_takes_it_and_the_next_finds_nothing(alice):
    stored(300)
    row = submitted(alice)
    assert Backtest.objects.claim(row.pk, "one", AT) == 1
    assert Backtest.objects.claim(row.pk, "two", AT) is None
    assert not backtests.run(row.pk, ticking())
    assert backtests.waiting(AT) == []


def test_dead_worker_s_backtest_is_done_by_the_next_one(alice):
    stored(300)
    row = submitted(alice)
    Backtest.objects.claim(row.pk, "dead", AT)
    later = AT + SILENCE + timedelta(seconds=1)
    assert backtests.waiting(later) == [row.pk]
    assert backtests.run(row.pk, ticking(start=later))
    done = Backtest.objects.get(pk=row.pk)
    assert (done.state, done.attempts) == (JobState.DONE, 2)
    # The first one was only slow, and comes back: its word no longer counts.
    assert not Backtest.objects.beat(row.pk, 1, later)
    assert not Backtest.objects.finish(row.pk, 1, JobState.FAILED, later, error="late")


def test_backtest_that_kills_its_workers_fails_in_the_end(alice):
    stored(300)
    row = submitted(alice)
    at = AT
    for attempt in range(1, MOST_ATTEMPTS + 1):
        assert Backtest.objects.claim(row.pk, "dead", at) == attempt
        at += SILENCE + timedelta(seconds=1)
    assert Backtest.objects.claim(row.pk, "next", at) is None
    row.refresh_from_db()
    assert (row.state, row.error) == (JobState.FAILED, "The worker died on it three times.")
    assert backtests.waiting(at) == []


def test_canceled_backtest_is_not_begun(alice):
    stored(300)
    row = submitted(alice)
    backtests.cancel(row, AT, actor(alice))
    row.refresh_from_db()
    assert (row.state, row.finished_at) == (JobState.CANCELED, AT)
    assert not backtests.run(row.pk, ticking())


def test_cancel_while_it_runs_ends_it_at_the_next_sign_of_life(alice):
    stored(300)
    row = submitted(alice)
    clock = ticking()

    def canceling():
        if Backtest.objects.filter(pk=row.pk, phase="computing").exists():
            Backtest.objects.cancel(row.pk, AT)
        return clock()

    assert backtests.run(row.pk, canceling)
    row.refresh_from_db()
    assert (row.state, row.result) == (JobState.CANCELED, None)


def test_finished_backtest_is_not_canceled(alice):
    stored(300)
    row = carried_out(submitted(alice))
    backtests.cancel(row, AT, actor(alice))
    row.refresh_from_db()
    assert row.state == JobState.DONE


def test_candles_that_vanished_fail_the_row_with_the_reason(alice):
    stored(300)
    row = submitted(alice)
    candle_store.CandleChunk.objects.all().delete()
    done = carried_out(row)
    assert done.state == JobState.FAILED
    assert done.error == "NoCandles: Expected candles in the range, was none at all."


def test_bug_fails_the_row_and_is_not_hidden(alice, monkeypatch):
    stored(300)
    row = submitted(alice)

    def broken(*args: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(backtests, "report_of", broken)
    with pytest.raises(ZeroDivisionError):
        backtests.run(row.pk, ticking())
    row.refresh_from_db()
    assert (row.state, row.error) == (JobState.FAILED, "ZeroDivisionError: a bug")


def test_view_tells_how_long_it_will_take(alice):
    stored(300)
    row = submitted(alice)
    assert research.backtest_view(row, AT).eta is None
    Backtest.objects.claim(row.pk, "one", AT)
    Backtest.objects.beat(row.pk, 1, AT, progress=25.0, phase="computing")
    row.refresh_from_db()
    assert research.backtest_view(row, AT + timedelta(seconds=10)).eta == pytest.approx(30.0)


def test_lists_page_newest_first_and_hold_only_one_s_own(alice, bob):
    stored(300)
    rows = [submitted(alice) for _ in range(3)]
    page = research.backtests_of(alice, limit=2)
    assert [view.id for view in page.items] == [rows[2].pk, rows[1].pk]
    rest = research.backtests_of(alice, limit=2, before=page.next)
    assert ([view.id for view in rest.items], rest.next) == ([rows[0].pk], None)
    assert research.backtests_of(bob).items == []
    with pytest.raises(Backtest.DoesNotExist):
        research.backtest_model(bob, rows[0].pk)


def test_trades_and_equity_come_in_pages(alice):
    candles = stored()
    row = carried_out(submitted(alice))
    trades = unpack_document(row.result)["trades"]
    first = research.trades_of(row, limit=5)
    second = research.trades_of(row, limit=5, after=first.next)
    assert [*first.items, *second.items] == trades[:10]
    assert research.trades_of(row, limit=500).next is None
    points = research.equity_of(row, limit=1500)
    rest = research.equity_of(row, limit=1500, after=points.next)
    assert len(points.items) + len(rest.items) == len(candles)
    assert points.items[0]["equity"] == "1000"
    assert float(rest.items[-1]["buy_and_hold"]) == pytest.approx(1000 * candles.close[-1] / candles.close[0])
    assert max(point["drawdown_pct"] for point in [*points.items, *rest.items]) == pytest.approx(
        row.stats["max_drawdown_pct"]
    )
    empty = submitted(alice)
    assert (research.trades_of(empty).items, research.equity_of(empty).items) == ([], [])
