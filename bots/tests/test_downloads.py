"""Downloads as work: quotas, pages, turns, dead workers, an exchange that is away, cancel and resume."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from django.db import IntegrityError, transaction

from accounts.models import AuditEntry, User
from bots import backtests, downloads, lifecycle, research_tasks
from bots.core.backtest.request import RequestError, asked_for
from bots.models import CandleDownload, JobState
from bots.models.backtest import MOST_ATTEMPTS, SILENCE
from bots.queries import research
from bots.queries.downloads import download_view
from bots.tests.research_cast import GIVEN, actor, ticking
from exchanges import candle_download, candle_store
from exchanges.core import demo
from exchanges.core.candles import from_ms, to_ms
from exchanges.core.errors import UnknownExchange, UnknownSymbol, UnknownTimeframe
from exchanges.models import CandleChunk
from exchanges.tests.conftest import loopback as loopback
from exchanges.tests.loopback import LoopbackExchange
from exchanges.tests.loopback.faults import Fault, Kind

AT = datetime(2024, 2, 1, 10, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
COUNT = 3_500
SINCE = AT.replace(second=0) - COUNT * MINUTE
RECORDED = demo.candles("BTC/USDT", "1m", to_ms(SINCE), COUNT + 1)
KEY = ("binance", "BTC/USDT", "1m")
KLINES = "/api/v3/klines"
WANTED = {"exchange": "binance", "symbol": "BTC/USDT", "timeframe": "1m", "since": SINCE.isoformat()}
Clock = Callable[[], datetime]


@pytest.fixture
def binance(loopback: LoopbackExchange) -> LoopbackExchange:
    cache.clear()
    loopback.clock.set(AT)
    loopback.load_candles("BTC/USDT", "1m", RECORDED)
    return loopback


def submitted(user: User, at: datetime = AT, **changed: object) -> CandleDownload:
    return downloads.submit(user, {**WANTED, **changed}, at, actor(user))


def again(row: CandleDownload) -> CandleDownload:
    row.refresh_from_db()
    return row


def is_whole() -> bool:
    return candle_store.load(*KEY).rows() == RECORDED[:COUNT].rows()


def test_download_is_done_and_leaves_out_the_unfinished_candle(alice, binance):
    row = submitted(alice)
    assert (row.candles, row.until) == (COUNT, AT.replace(second=0))
    assert downloads.work(row.pk, ticking(0.1, AT))
    assert not downloads.work(row.pk, ticking(0.1, AT))
    row = again(row)
    assert (row.state, row.progress, row.added, row.pages, row.reached) == ("done", 100.0, COUNT, 4, row.until)
    assert is_whole()
    assert row.candles_per_second > 0
    assert AuditEntry.objects.filter(action="candles.download_submitted", subject=f"download:{row.pk}").exists()


def test_download_of_the_demo_market_is_the_demo_market(alice):
    row = submitted(alice, exchange="demo", timeframe="5m", until=AT.isoformat())
    downloads.work(row.pk, ticking(0.1, AT))
    assert again(row).state == "done"
    stored = candle_store.load("demo", "BTC/USDT", "5m")
    first = -(-to_ms(SINCE) // 300_000) * 300_000
    assert stored.rows() == demo.candles("BTC/USDT", "5m", first, len(stored)).rows()
    assert len(stored) == COUNT // 5


def test_progress_pace_and_time_left_are_told_page_by_page(alice, binance):
    row, seen = submitted(alice), []
    clock = ticking(0.5, AT)

    def watched() -> datetime:
        row.refresh_from_db()
        seen.append(download_view(row))
        return clock()

    downloads.work(row.pk, watched)
    under_way = [view for view in seen if view.state == "running" and view.progress]
    assert {round(view.progress) for view in under_way} == {29, 57, 86, 100}
    assert under_way[0].eta > 0
    assert under_way[0].candles_per_second > 100
    assert under_way[0].phase == "downloading"
    assert under_way[-1].progress == 100


def test_turn_ends_and_the_next_worker_goes_on(alice, binance):
    row = submitted(alice)
    slow = ticking(15, AT)
    turns = 0
    while again(row).state != "done":
        assert row.pk in downloads.waiting(slow())
        assert downloads.work(row.pk, slow)
        turns += 1
    assert turns > 1
    assert is_whole()
    assert len(binance.requests("GET", KLINES)) == 4


def test_dead_workers_download_is_gone_on_with_and_nothing_is_asked_twice(alice, binance, monkeypatch):
    row = submitted(alice)
    pages = candle_download.pages

    def dies(target):
        yield next(pages(target))
        raise SystemExit

    monkeypatch.setattr(candle_download, "pages", dies)
    clock = ticking(0.1, AT)
    with pytest.raises(SystemExit):
        downloads.work(row.pk, clock)
    monkeypatch.setattr(candle_download, "pages", pages)
    assert (again(row).state, row.pages) == ("running", 1)
    assert not downloads.work(row.pk, clock)
    later = ticking(0.1, AT + SILENCE + MINUTE)
    assert downloads.waiting(later()) == [row.pk]
    assert downloads.work(row.pk, later)
    assert again(row).state == "done"
    assert is_whole()
    assert len(binance.requests("GET", KLINES)) == 4


def test_worker_that_gets_on_before_it_dies_may_die_often(alice, binance, monkeypatch):
    row, at = submitted(alice), AT
    pages = candle_download.pages
    monkeypatch.setattr(candle_download, "pages", lambda target: iter([next(pages(target))]))
    monkeypatch.setattr(downloads, "_finish", lambda *args, **facts: None)
    for _ in range(MOST_ATTEMPTS + 1):
        at += SILENCE + MINUTE
        assert downloads.work(row.pk, ticking(0.1, at))
        row = again(row)
        assert row.state == "running"
    assert row.attempts == MOST_ATTEMPTS + 1


def test_exchange_that_is_away_is_asked_again_and_then_given_up(alice, binance):
    row, at = submitted(alice), AT
    binance.faults.add(Fault(Kind.MALFORMED, on=f"GET {KLINES}", times=0))
    for number in range(1, MOST_ATTEMPTS):
        assert downloads.work(row.pk, ticking(0.1, at))
        assert (again(row).state, row.phase) == ("running", "waiting for the exchange"), number
        assert row.error
        at += SILENCE + MINUTE
    assert downloads.work(row.pk, ticking(0.1, at))
    assert (again(row).state, row.added) == ("failed", 0)
    assert row.error != "The worker died on it three times."
    binance.faults.clear()
    downloads.resume(row, at, actor(alice))
    assert (again(row).state, row.error) == ("queued", "")
    downloads.work(row.pk, ticking(0.1, at))
    assert again(row).state == "done"
    assert is_whole()


def test_trouble_that_passes_is_forgotten(alice, binance):
    row = submitted(alice)
    binance.faults.add(Fault(Kind.MALFORMED, on=f"GET {KLINES}", times=1))
    downloads.work(row.pk, ticking(0.1, AT))
    if again(row).state != "done":
        downloads.work(row.pk, ticking(0.1, AT + SILENCE + MINUTE))
    assert (again(row).state, row.error) == ("done", "")
    assert is_whole()


def test_cancel_stops_at_the_next_page_and_resume_goes_on(alice, binance, monkeypatch):
    row = submitted(alice)
    pages = candle_download.pages

    def canceled_on_the_way(target):
        for number, page in enumerate(pages(target)):
            if number == 1:
                downloads.cancel(row, AT, actor(alice))
            yield page

    monkeypatch.setattr(candle_download, "pages", canceled_on_the_way)
    assert downloads.work(row.pk, ticking(0.1, AT))
    assert (again(row).state, row.pages) == ("canceled", 1)
    monkeypatch.setattr(candle_download, "pages", pages)
    assert not downloads.work(row.pk, ticking(0.1, AT))
    downloads.resume(row, AT, actor(alice))
    with pytest.raises(lifecycle.Conflict, match="failed or was canceled"):
        downloads.resume(row, AT, actor(alice))
    downloads.work(row.pk, ticking(0.1, AT))
    assert again(row).state == "done"
    assert is_whole()


def test_late_answer_of_a_worker_that_was_taken_over_changes_nothing(alice, binance, monkeypatch):
    row = submitted(alice)
    pages = candle_download.pages

    def overtaken(target):
        for page in pages(target):
            CandleDownload.objects.filter(pk=row.pk).update(attempts=2)
            yield page

    monkeypatch.setattr(candle_download, "pages", overtaken)
    assert downloads.work(row.pk, ticking(0.1, AT))
    assert (again(row).state, row.added) == ("running", 0)


def test_bug_fails_the_row_with_its_name_and_is_raised(alice, binance, monkeypatch):
    row = submitted(alice)

    def broken(target):
        raise RuntimeError("a bug")
        yield

    monkeypatch.setattr(candle_download, "pages", broken)
    with pytest.raises(RuntimeError):
        downloads.work(row.pk, ticking(0.1, AT))
    assert (again(row).state, row.error) == ("failed", "RuntimeError: a bug")


def test_symbol_that_is_delisted_meanwhile_fails_with_the_reason(alice, binance):
    row = submitted(alice)
    CandleDownload.objects.filter(pk=row.pk).update(symbol="FOO/BAR")
    downloads.work(row.pk, ticking(0.1, AT))
    assert again(row).state == "failed"
    assert "lists no 'FOO/BAR'" in row.error


def test_one_market_is_downloaded_once_at_a_time(alice, bob, binance):
    row = submitted(alice)
    with pytest.raises(lifecycle.Conflict, match="being downloaded already"):
        submitted(bob)
    downloads.cancel(row, AT, actor(alice))
    other = submitted(bob)
    with pytest.raises(lifecycle.Conflict, match="being downloaded already"):
        downloads.resume(row, AT, actor(alice))
    assert (again(row).state, again(other).state) == ("canceled", "queued")
    with pytest.raises(IntegrityError), transaction.atomic():
        CandleDownload.objects.filter(pk=other.pk).update(since=other.until)


def test_quota_counts_what_is_unfinished_and_what_was_asked_for_today(alice, bob):
    for timeframe in ("1m", "5m", "15m")[: downloads.QUOTA]:
        row = submitted(alice, exchange="demo", timeframe=timeframe)
    with pytest.raises(lifecycle.Conflict, match=f"at most {downloads.QUOTA} unfinished"):
        submitted(alice, exchange="demo", timeframe="1h")
    assert submitted(bob, exchange="demo", timeframe="1h").pk
    CandleDownload.objects.filter(owner=alice).update(candles=downloads.MOST_A_DAY // 3)
    downloads.cancel(row, AT, actor(alice))
    with pytest.raises(lifecycle.Conflict, match="in 24 hours"):
        submitted(alice, exchange="demo", timeframe="30m")
    assert submitted(alice, AT + timedelta(days=1, seconds=1), exchange="demo", timeframe="30m").pk
    with pytest.raises(lifecycle.Conflict, match=f"at most {downloads.QUOTA} unfinished"):
        downloads.resume(row, AT, actor(alice))


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"exchange": ""}, RequestError, "exchange: Expected a value"),
        ({"since": None}, RequestError, "since: Expected a value"),
        ({"since": "yesterday"}, RequestError, "since: Expected an ISO-8601"),
        ({"until": "soon"}, RequestError, "until: Expected an ISO-8601"),
        ({"symbol": "BTCUSDT"}, RequestError, "symbol: Expected a symbol such as"),
        ({"exchange": "mtgox"}, UnknownExchange, "Expected one of"),
        ({"symbol": "FOO/BAR"}, UnknownSymbol, "lists no 'FOO/BAR'"),
        ({"timeframe": "7m"}, UnknownTimeframe, "on demo, was '7m'"),
        ({"since": AT.isoformat()}, RequestError, "holds a closed candle"),
        ({"until": SINCE.isoformat()}, RequestError, "holds a closed candle"),
        ({"since": "2000-01-01", "timeframe": "1s"}, RequestError, "at most 2,000,000 candles, was"),
    ],
)
def test_wrong_wish_is_named_and_nothing_is_queued(changed, error, said, alice):
    with pytest.raises(error, match=said):
        submitted(alice, **{"exchange": "demo", **changed})
    assert not CandleDownload.objects.exists()


def test_range_never_reaches_beyond_what_is_closed(alice):
    row = submitted(alice, exchange="demo", until=(AT + timedelta(days=9)).isoformat())
    assert row.until == AT.replace(second=0)
    downloads.work(row.pk, ticking(0.1, AT + timedelta(days=20)))
    assert candle_store.coverage("demo", "BTC/USDT", "1m").last == from_ms(to_ms(row.until)) - MINUTE


def test_due_look_rings_for_downloads_too(alice, monkeypatch):
    row, rung = submitted(alice, exchange="demo"), []
    monkeypatch.setattr(research_tasks.research_download, "apply_async", lambda args, expires: rung.append(args))
    research_tasks.research_due()
    assert rung == [(row.pk,)]
    monkeypatch.setattr(research_tasks, "now", ticking(0.1, AT))
    research_tasks.research_download(row.pk)
    assert again(row).state == JobState.DONE


def test_kept_demo_candles_bound_no_backtest_but_imported_ones_do(alice):
    row = submitted(alice, exchange="demo", until=AT.isoformat())
    downloads.work(row.pk, ticking(0.1, AT))
    asked = {**GIVEN, "exchange": "demo", "timeframe": "1m", "since": "2024-01-20T00:00:00Z"}
    request = asked_for({**asked, "until": "2024-02-03T00:00:00Z"}).request
    frozen = research.frozen(request, AT + timedelta(days=9))
    assert (frozen.since, frozen.until) == (request.since, request.until)
    assert len(research.candles_for(frozen, 0)) == 14 * 1_440
    kept = research.frozen(replace(request, since=SINCE + MINUTE, until=SINCE + 100 * MINUTE), AT)
    assert research.candles_for(kept, 0).rows() == RECORDED[1:100].rows()
    candle_store.save("demo", "BTC/USDT", "1m", RECORDED[:50], "imported from mine.csv", AT + timedelta(days=10))
    imported = CandleChunk.objects.filter(exchange="demo")
    imported.update(source="imported from mine.csv")
    frozen = research.frozen(request, AT + timedelta(days=9))
    assert (frozen.since, frozen.until) == (SINCE, AT.replace(second=0))
    assert len(research.candles_for(frozen, 10)) == COUNT


def test_backtest_keeps_the_demo_candles_it_had_to_compute(alice, monkeypatch):
    asked = {**GIVEN, "exchange": "demo", "timeframe": "15m", "since": "2024-01-30T00:00:00Z"}
    row = backtests.submit(alice, {**asked, "until": "2024-02-01T00:00:00Z"}, AT, actor(alice))
    backtests.run(row.pk, ticking(0.1, AT))
    stored = candle_store.coverage("demo", "BTC/USDT", "15m")
    assert stored.candles >= 192
    assert stored.source == "downloaded from demo"
    computed = research.candles_for(asked_for(row.request).request, 14)

    def never(*args):
        raise AssertionError("Expected stored candles.")

    monkeypatch.setattr(demo, "candles", never)
    assert research.candles_for(asked_for(row.request).request, 14).rows() == computed.rows()
    again = backtests.repeat(again_done(row), AT, actor(alice))
    backtests.run(again.pk, ticking(0.1, AT))
    assert research.backtest_view(again_done(again), AT).reproduced is True


def again_done(row):
    row.refresh_from_db()
    assert row.state == "done"
    return row
