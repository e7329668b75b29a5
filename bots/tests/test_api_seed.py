"""The seed's routes on runs that have really traded: their fields, filters, pages and CSV."""

import csv
import io
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test import AsyncClient
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.audit import CONSOLE
from accounts.models import AuditEntry, User
from bots import lifecycle, rounds
from bots.csv_answer import TRADE_COLUMNS, cell, trade_lines
from bots.models import BotRun, Level, Status, TradeLog
from bots.queries import history
from bots.testing import START, Stage, make_user, scripted_candles, start_run
from exchanges.core.errors import Unavailable
from tradingbot.tests.api_client import ApiClient, fields, problem
from tradingbot.tests.api_world import make_key

RUN_FIELDS = {
    "bot_run_id", "status", "mode", "strategy", "params", "exchange", "symbol", "timeframe", "capital", "started_at",
    "stopped_at", "position", "equity", "realized_pnl", "fees", "last_decision", "next_check_at", "heartbeat_at",
    "halted",
}  # fmt: skip
TRADE_FIELDS = {
    "id", "bot_run_id", "symbol", "side", "quantity", "price", "fee", "fee_asset", "pnl", "order_client_id",
    "executed_at",
}  # fmt: skip
BODY = {"strategy": "scripted", "symbol": "BTC/USDT", "timeframe": "1m", "exchange": "demo", "capital": "1000"}


def tick_through(stage: Stage, last: int | None = None) -> None:
    for index in range(len(stage.candles) - 1 if last is None else last + 1):
        rounds.whole_round(stage.closes(index))


@pytest.fixture
def api(alice: User) -> ApiClient:
    return ApiClient(alice)


@pytest.fixture
def traded(alice: User, stage: Stage) -> BotRun:
    """A run that bought at 104 and sold at 107."""
    run = start_run(alice)
    tick_through(stage)
    return run


def test_a_started_run_is_where_location_says(api: ApiClient, stage: Stage) -> None:
    answer = api.post("/bot/start", {**BODY, "limits": {"stop_loss_pct": "5"}})
    assert answer.status_code == 201
    assert answer.json() == {"bot_run_id": BotRun.objects.get().pk, "status": "starting"}
    run = api.get(answer["Location"]).json()
    assert run.keys() == RUN_FIELDS
    assert (run["mode"], run["capital"], run["equity"], run["position"]) == ("paper", "1000", "1000", None)
    assert run["started_at"].endswith("Z")
    assert BotRun.objects.get().limits == {"stop_loss_pct": "5"}
    entry = AuditEntry.objects.get(action="run.started")
    assert (entry.actor_kind, entry.subject) == ("token", f"run:{run['bot_run_id']}")


def test_capital_is_text_or_a_whole_number(api: ApiClient, stage: Stage) -> None:
    assert api.post("/bot/start", {**BODY, "capital": 1000}).status_code == 201
    assert api.post("/bot/start", {**BODY, "capital": "1000.123456789012345678"}).status_code == 201
    assert BotRun.objects.first().capital == D("1000.123456789012345678")


@pytest.mark.parametrize(
    "capital",
    [1.5, True, None, "", "1e3", "1,000", "NaN", "Infinity", "0x10", " 5", "٣", "1" * 19, "0." + "1" * 19, []],
)
def test_capital_that_is_no_decimal_is_named(api: ApiClient, stage: Stage, capital: Any) -> None:
    assert fields(problem(api.post("/bot/start", {**BODY, "capital": capital}), 422)) == ["body.capital"]
    assert BotRun.objects.count() == 0


@pytest.mark.parametrize(
    ("changed", "code", "place"),
    [
        ({"strategy": "nothing"}, "unknown_strategy", "body.strategy"),
        ({"symbol": "BTC/EUR"}, "unknown_symbol", "body.symbol"),
        ({"timeframe": "7m"}, "unknown_timeframe", "body.timeframe"),
        ({"capital": "-1"}, "invalid_capital", "body.capital"),
        ({"capital": "0.01"}, "invalid_capital", "body.capital"),
        ({"params": {"rsi_period": 5}}, "invalid_params", "body.params.rsi_period"),
        ({"strategy": "rsi_cross", "params": {"oversold": 200}}, "invalid_params", "body.params.oversold"),
        ({"limits": {"stop_loss_pct": 100}}, "invalid_limits", "body.limits.stop_loss_pct"),
        ({"limits": {"color": 1}}, "invalid_limits", "body.limits.color"),
        ({"mode": "casino"}, "invalid", "body.mode"),
        ({"params": []}, "invalid", "body.params"),
        ({"exchange_key_id": "1"}, "invalid", "body.exchange_key_id"),
    ],
)
def test_what_cannot_be_started_is_named(
    api: ApiClient, stage: Stage, changed: dict[str, Any], code: str, place: str
) -> None:
    assert place in fields(problem(api.post("/bot/start", {**BODY, **changed}), 422, code))
    assert BotRun.objects.count() == 0


def test_an_unknown_exchange_is_named(api: ApiClient) -> None:
    refused = problem(api.post("/bot/start", {**BODY, "exchange": "mtgox"}), 422, "unknown_exchange")
    assert fields(refused) == ["body.exchange"]
    assert "binance" in refused["detail"]


def test_an_exchange_that_is_down_is_unavailable(api: ApiClient, stage: Stage) -> None:
    stage.down = True
    problem(api.post("/bot/start", BODY), 503, "exchange_unavailable")
    assert BotRun.objects.count() == 0


def test_live_is_refused_while_the_platform_forbids_it(api: ApiClient, alice: User, stage: Stage) -> None:
    live = {**BODY, "mode": "live", "exchange": "demo", "exchange_key_id": make_key(alice, exchange="demo").pk}
    problem(api.post("/bot/start", live), 403, "live_disabled")


def test_live_without_arming_is_refused(api: ApiClient, alice: User, stage: Stage, settings: Any) -> None:
    settings.LIVE_TRADING = True
    key = make_key(alice, permissions="trade", can_withdraw=False, last_checked_at=timezone.now())
    live = {**BODY, "mode": "live", "exchange": "binance", "exchange_key_id": key.pk}
    problem(api.post("/bot/start", live), 403, "not_armed")
    problem(api.post("/bot/start", {**live, "exchange_key_id": None}), 422, "key_required")
    problem(api.post("/bot/start", {**live, "exchange_key_id": 10**25}), 422, "unknown_key")
    assert BotRun.objects.count() == 0


def test_a_strangers_key_is_unknown(api: ApiClient, bob: User, stage: Stage, settings: Any) -> None:
    settings.LIVE_TRADING = True
    live = {**BODY, "mode": "live", "exchange": "binance", "exchange_key_id": make_key(bob).pk}
    problem(api.post("/bot/start", live), 422, "unknown_key")


def test_stopping_twice_is_stopping_once(api: ApiClient, traded: BotRun) -> None:
    first = api.post("/bot/stop", {"bot_run_id": traded.pk})
    assert first.json() == {"bot_run_id": traded.pk, "status": "stopped"}
    assert api.post("/bot/stop", {"bot_run_id": traded.pk}).json() == first.json()
    assert AuditEntry.objects.filter(action="run.stopping").count() == 1


def test_stopping_may_sell_first(api: ApiClient, alice: User, stage: Stage) -> None:
    run = start_run(alice)
    tick_through(stage, 4)
    answer = api.post("/bot/stop", {"bot_run_id": run.pk, "on_open_position": "close"})
    assert answer.json()["status"] == "stopping"
    run.refresh_from_db()
    assert run.close_requested


@pytest.mark.parametrize("body", [{"bot_run_id": True}, {"bot_run_id": 1.0}, {"bot_run_id": "1"}, {}])
def test_an_id_in_a_body_is_a_whole_number(api: ApiClient, traded: BotRun, body: dict[str, Any]) -> None:
    assert fields(problem(api.post("/bot/stop", body), 422)) == ["body.bot_run_id"]
    traded.refresh_from_db()
    assert traded.status == Status.RUNNING


def test_status_says_what_is_held_and_why(api: ApiClient, alice: User, stage: Stage) -> None:
    run = start_run(alice)
    tick_through(stage, 4)
    shown = api.get(f"/bot/status/{run.pk}").json()
    assert shown.keys() == RUN_FIELDS
    assert shown["position"].keys() == {"amount", "entry_price", "unrealized_pnl"}
    assert D(shown["position"]["amount"]) == BotRun.objects.get().held > 0
    assert shown["position"]["entry_price"] == "104"
    assert shown["last_decision"].keys() == {"at", "candle_opened_at", "action", "code", "reason", "confidence"}
    assert shown["last_decision"]["candle_opened_at"] == "2024-01-15T00:04:00Z"
    assert shown["last_decision"]["reason"] == "The script says 0."
    assert (shown["status"], shown["halted"], shown["stopped_at"]) == ("running", None, None)
    assert all(isinstance(shown[name], str) for name in ("capital", "equity", "realized_pnl", "fees"))


def test_the_last_dust_is_still_a_position(api: ApiClient, traded: BotRun) -> None:
    traded.position.amount = D("0.000000000000000001")
    traded.position.save()
    assert api.get(f"/bot/status/{traded.pk}").json()["position"]["amount"] == "0.000000000000000001"
    traded.position.amount = D(0)
    traded.position.save()
    assert api.get(f"/bot/status/{traded.pk}").json()["position"] is None


def test_a_halted_run_says_by_whom(api: ApiClient, traded: BotRun) -> None:
    api.post("/api/v1/kill-switch", {"level": "user", "action": "halt", "reason": "Fire drill."})
    assert api.get(f"/bot/status/{traded.pk}").json()["halted"] == {"level": Level.USER, "reason": "Fire drill."}


def test_runs_are_listed_filtered_and_paged_newest_first(api: ApiClient, alice: User, stage: Stage) -> None:
    runs = [start_run(alice).pk for _ in range(5)]
    lifecycle.pause(BotRun.objects.get(pk=runs[2]), START, CONSOLE)
    shown, path, pages = [], "/bot/list/me?limit=2", 0
    while path:
        page = api.get(path).json()
        assert page.keys() == {"items", "next"}
        shown += [run["bot_run_id"] for run in page["items"]]
        path = f"/bot/list/me?limit=2&cursor={page['next']}" if page["next"] else ""
        pages += 1
    assert (shown, pages) == (runs[::-1], 3)
    assert [r["bot_run_id"] for r in api.get("/bot/list/me?status=paused").json()["items"]] == [runs[2]]
    assert api.get("/bot/list/me?mode=live").json() == {"items": [], "next": None}
    assert api.get("/bot/list/me?limit=5").json()["next"] is None
    assert fields(problem(api.get("/bot/list/me?status=lost"), 422)) == ["query.status"]


@pytest.mark.parametrize("cursor", ["x", "", "AAAA", "YzE", "Yz1", "YzE=", "Y3ggMQ", "%00", "é"])
def test_a_cursor_of_nobodys_is_named(api: ApiClient, cursor: str) -> None:
    if cursor == "YzE":
        assert api.get(f"/bot/list/me?cursor={cursor}").status_code == 200
        return
    assert fields(problem(api.get(f"/bot/list/me?cursor={cursor}"), 422)) == ["query.cursor"]


@pytest.mark.parametrize("runs", [1, 12])
def test_a_list_takes_as_many_statements_for_any_number_of_runs(
    api: ApiClient, alice: User, stage: Stage, runs: int
) -> None:
    for _ in range(runs):
        start_run(alice)
    tick_through(stage, 4)
    api.get("/bot/list/me")
    with CaptureQueriesContext(connection) as captured:
        assert len(api.get("/bot/list/me").json()["items"]) == runs
    assert len(captured) <= 7
    with CaptureQueriesContext(connection) as captured:
        api.get("/trades/history")
    assert len(captured) <= 2


def test_profit_stands_per_mode_and_currency(api: ApiClient, traded: BotRun) -> None:
    (shown,) = api.get("/dashboard/pnl?period=all&mode=paper").json()["items"]
    expected = {"realized", "unrealized", "fees", "net", "equity", "trades", "win_rate", "max_drawdown"}
    assert expected | {"quote", "mode", "series"} == shown.keys()
    assert (shown["quote"], shown["mode"], shown["trades"], shown["win_rate"]) == ("USDT", "paper", 2, "1")
    assert D(shown["net"]) == D(shown["realized"]) + D(shown["unrealized"]) - D(shown["fees"])
    assert D(shown["equity"]) == 1000 + D(shown["net"])
    assert all(at.endswith("Z") and D(value) > 0 for at, value in shown["series"])
    assert api.get("/dashboard/pnl?mode=live").json()["items"] == []
    assert fields(problem(api.get("/dashboard/pnl?period=2d"), 422)) == ["query.period"]


def test_trades_are_listed_and_filtered(api: ApiClient, traded: BotRun) -> None:
    sell, buy = api.get("/trades/history").json()["items"]
    assert sell.keys() == buy.keys() == TRADE_FIELDS
    assert (buy["side"], buy["price"], buy["pnl"], buy["executed_at"]) == ("buy", "104", None, "2024-01-15T00:04:00Z")
    assert (sell["side"], sell["price"]) == ("sell", "107")
    assert D(sell["pnl"]) > 0
    run = f"bot_run_id={traded.pk}"
    for query, ids in [
        (run, [sell, buy]), ("side=buy", [buy]), ("symbol=ETH/USDT", []), ("mode=live", []), ("limit=1", [sell]),
        ("since=2024-01-15T00:05:00Z", [sell]), ("until=2024-01-15T00:07:00Z", [buy]),
        ("until=2024-01-15T01:07:00%2B01:00", [buy]),
    ]:  # fmt: skip
        assert api.get(f"/trades/history?{query}").json()["items"] == ids, query


@pytest.mark.parametrize(
    "query",
    ["since=5", "since=2024-01-15", "since=2024-01-15T00:00:00", "since=yesterday", "until=0001-01-01T00:00:00%2B14:00",
     "side=BUY", "symbol='%20or%201=1", "bot_run_id=x", "limit=1e2", "limit=-1"],
)  # fmt: skip
def test_a_filter_that_means_nothing_is_named(api: ApiClient, query: str) -> None:
    assert fields(problem(api.get(f"/trades/history?{query}"), 422)) == [f"query.{query.split('=')[0]}"]


def test_the_same_rows_come_as_csv(api: ApiClient, traded: BotRun) -> None:
    response = api.get("/trades/history", Accept="text/csv")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))
    shown = api.get("/trades/history").json()["items"]
    assert rows == [{name: "" if value is None else str(value) for name, value in row.items()} for row in shown]
    only = api.get("/trades/history?limit=1", Accept="text/csv")
    assert len(b"".join(only.streaming_content).decode().splitlines()) == 2
    assert api.get("/trades/history", Accept="*/*")["Content-Type"].startswith("application/json")
    problem(api.get("/trades/history?side=x", Accept="text/csv"), 422)


def test_csv_streams_beyond_a_page(api: ApiClient, traded: BotRun) -> None:
    row = TradeLog.objects.first()
    fill = row.fill
    for number in range(600):
        fill.pk, fill.trade_id = None, f"more-{number}"
        fill._state.adding = True
        fill.save()
        row.pk, row.fill = None, fill
        row._state.adding = True
        row.save()
    response = api.get("/trades/history", Accept="text/csv")
    chunks = list(response.streaming_content)
    assert len(chunks) > 1
    assert len(b"".join(chunks).decode().splitlines()) == 1 + TradeLog.objects.count()


def test_a_cell_is_never_a_formula_and_a_number_stays_one(traded: BotRun) -> None:
    trade = history.trades_of(None).items[0]
    odd = replace(trade, fee_asset="=1+1", order_client_id="@x", pnl=D("-5.10"), fee=D("1E-8"), symbol="-A/B")
    header, line = trade_lines([odd])
    row = dict(zip(TRADE_COLUMNS, next(csv.reader([line])), strict=True))
    assert header.strip() == ",".join(TRADE_COLUMNS)
    assert (row["fee_asset"], row["order_client_id"], row["symbol"]) == ("'=1+1", "'@x", "'-A/B")
    assert (row["pnl"], row["fee"]) == ("-5.1", "0.00000001")
    assert [cell(text) for text in ("+1", "\tx", "\rx", "plain", None)] == ["'+1", "'\tx", "'\rx", "plain", ""]


@pytest.mark.django_db(transaction=True)
def test_csv_streams_from_an_asynchronous_server_too() -> None:
    client = ApiClient(make_user())

    async def ask() -> str:
        response = await AsyncClient().get("/trades/history", headers={**client.headers, "Accept": "text/csv"})
        return b"".join([chunk async for chunk in response.streaming_content]).decode()

    assert async_to_sync(ask)().strip() == ",".join(TRADE_COLUMNS)


def test_balances_show_wallets_and_leave_out_what_does_not_answer(
    api: ApiClient, alice: User, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_run(alice)
    tick_through(stage, 4)
    shown = api.get("/api/v1/balances").json()["items"]
    assert {row["asset"] for row in shown} == {"BTC", "USDT"}
    assert {row["bot_run_id"] for row in shown} == {run.pk}
    assert all(isinstance(row["free"], str) and row["locked"] == "0" for row in shown)

    def away(*args: object) -> None:
        raise Unavailable("No.")

    monkeypatch.setattr("bots.connect.open_account", away)
    assert api.get("/api/v1/balances").json()["items"] == []


def test_times_of_another_zone_are_shown_in_utc(api: ApiClient, traded: BotRun) -> None:
    BotRun.objects.update(started_at=START + timedelta(microseconds=1))
    assert api.get(f"/bot/status/{traded.pk}").json()["started_at"] == "2024-01-15T00:00:00.000001Z"


def test_a_candle_script_of_nothing_trades_nothing(alice: User, stage: Stage) -> None:
    stage.candles = scripted_candles([0] * 5)
    start_run(alice)
    tick_through(stage)
    assert ApiClient(alice).get("/trades/history").json() == {"items": [], "next": None}
