"""Bad input at the operator's console: a named error with the row, the contract's exit code, nothing half-written."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from accounts.models import ApiToken, AuditEntry, User
from bots.models import BotRun
from bots.testing import learn_strategies, make_user
from exchanges.models import CandleChunk, ExchangeKey
from strategies.models import Strategy
from tradingbot.tests.api_client import ApiClient
from tradingbot.tests.journey.console import done, manage

pytestmark = pytest.mark.django_db
HEADER = "timestamp_ms,open,high,low,close,volume"
START = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp() * 1000)
HOUR = 3_600_000
EMAIL = "alice@example.com"
MARKET = ["--exchange", "binance", "--symbol", "BTC/USDT", "--timeframe", "1h"]
STUDY = ["--strategy", "rsi_cross", "--capital", "1000", "--fee", "0.001"]
Rows = list[list[Any]]


def good(count: int = 40) -> Rows:
    return [[START + index * HOUR, 100 + index, 102 + index, 99 + index, 101 + index, 5] for index in range(count)]


def swapped(rows: Rows) -> Rows:
    rows[9], rows[10] = rows[10], rows[9]
    return rows


def doubled(rows: Rows) -> Rows:
    return [*rows[:11], rows[10], *rows[11:]]


def changed(row: int, column: int, value: Any) -> Callable[[Rows], Rows]:
    def change(rows: Rows) -> Rows:
        rows[row][column] = value
        return rows

    return change


def in_seconds(rows: Rows) -> Rows:
    return [[row[0] // 1000, *row[1:]] for row in rows]


def unfinished(rows: Rows) -> Rows:
    """The last candle is still forming."""
    present = int(datetime.now(UTC).timestamp() * 1000) // HOUR * HOUR
    return [[present - (len(rows) - 1 - index) * HOUR, *row[1:]] for index, row in enumerate(rows)]


#: (what is wrong, how to make it, a word of the message; the row, counted as an editor does, where one is to blame)
WRONG: list[tuple[str, Callable[[Rows], Rows], str]] = [
    ("duplicate", doubled, "13"),
    ("unsorted", swapped, "12"),
    ("misaligned", changed(10, 0, START + 10 * HOUR + 60_000), "12"),
    ("unfinished last candle", unfinished, "41"),
    ("seconds for milliseconds", in_seconds, "second"),
    ("high under low", changed(10, 2, 1), "12"),
    ("not a number", changed(10, 4, "much"), "12"),
    ("negative price", changed(10, 1, -3), "12"),
    ("NaN", changed(10, 4, "nan"), "12"),
]


def written(folder: Path, rows: Rows, header: str = HEADER) -> Path:
    path = folder / "candles.csv"
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


@pytest.mark.parametrize(("name", "spoil", "told"), WRONG, ids=[name for name, *_ in WRONG])
def test_a_spoiled_candle_file_is_refused_with_its_row(
    tmp_path: Path, name: str, spoil: Callable[[Rows], Rows], told: str
) -> None:
    learn_strategies()
    path = written(tmp_path, spoil(good()))
    for command, words in (("candles_import", [path, *MARKET]), ("backtest_run", [*STUDY, *MARKET, "--csv", path])):
        answer = manage(command, *words, "--json")
        assert (answer.code, answer.out) == (4, ""), f"{command}: {answer.err}"
        assert told in answer.err, f"{command}: {answer.err}"
        assert "Traceback" not in answer.err
    assert not CandleChunk.objects.exists()


@pytest.mark.parametrize("text", ["", "a,b,c\n1,2,3\n", HEADER, "\x00\x01", "{}"])
def test_a_file_that_holds_no_candles_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "candles.csv"
    path.write_text(text)
    assert manage("candles_import", path, *MARKET).code == 4
    assert not CandleChunk.objects.exists()


def test_gaps_are_told_and_stay(tmp_path: Path) -> None:
    rows = good()
    path = written(tmp_path, [*rows[:10], *rows[13:]])
    told = done("candles_import", path, *MARKET)
    assert (told["candles"], told["missing"], len(told["gaps"])) == (37, 3, 1)
    assert done("candles_import", path, *MARKET)["added"] == 0


def test_a_good_file_is_studied_without_a_trace(tmp_path: Path) -> None:
    learn_strategies()
    report = done("backtest_run", *STUDY, *MARKET, "--csv", written(tmp_path, good()))
    assert {"stats", "trades"} <= set(report)
    assert not CandleChunk.objects.exists()


@pytest.mark.parametrize(
    ("name", "words", "stdin", "code"),
    [
        ("candles_import", ["/no/such/file.csv", *MARKET], "", 3),
        ("candles_import", ["x.csv", "--exchange", "binance"], "", 2),
        ("candles_import", ["x.csv", *MARKET, "--time", "noon"], "", 2),
        ("backtest_run", [*MARKET], "", 2),
        ("backtest_run", ["--strategy", "astrology", *STUDY[2:], *MARKET, "--csv", "/no/such/file.csv"], "", 3),
        ("user_create", [EMAIL], "correct horse battery staple", 4),
        ("user_create", ["dora@example.com"], "short", 4),
        ("user_create", [], "", 2),
        ("token_create", ["nobody@example.com", "--scopes", "read"], "", 3),
        ("token_create", [EMAIL, "--scopes", "everything"], "", 4),
        ("token_create", [EMAIL, "--scopes", "read", "--expires", "soon"], "", 2),
        ("key_add", ["nobody@example.com", "binance"], "{}", 3),
        ("key_add", [EMAIL, "binance"], "{", 4),
        ("key_add", [EMAIL, "binance"], '{"api_key": "k"}', 4),
        ("key_add", [EMAIL, "nowhere"], json.dumps({"api_key": "k" * 20, "api_secret": "s" * 20}), 4),
        ("key_list", ["nobody@example.com"], "", 3),
        ("key_check", ["999"], "", 3),
        ("key_rotate", ["--batch", "0"], "", 2),
        ("strategy_list", ["--nonsense"], "", 2),
    ],
)
def test_every_failure_has_its_code_and_leaves_nothing(name: str, words: list[str], stdin: str, code: int) -> None:
    make_user(EMAIL)
    before = list(AuditEntry.objects.values_list("id", flat=True))
    answer = manage(name, *words, "--json", stdin=stdin)
    assert (answer.code, answer.out) == (code, ""), answer.err
    assert "Traceback" not in answer.err
    assert User.objects.count() == 1
    assert [table.objects.count() for table in (ApiToken, ExchangeKey, BotRun)] == [0, 0, 0]
    assert list(AuditEntry.objects.values_list("id", flat=True)) == before


def test_strategies_are_told_as_the_api_tells_them() -> None:
    done("strategy_sync")
    api = ApiClient(make_user(EMAIL), "read").get("/strategies/list").json()
    told = done("strategy_list")
    fields = {"name", "description", "enabled", "version", "parameters"}
    ours, theirs = (
        {item["name"]: {name: item[name] for name in fields} for item in listing["items"]} for listing in (told, api)
    )
    assert ours == theirs
    assert set(ours) == set(Strategy.objects.values_list("name", flat=True))
    assert told["next"] is None


def test_a_token_of_the_console_is_shown_once_and_works() -> None:
    make_user(EMAIL)
    told = done("token_create", EMAIL, "--scopes", "read,trade", "--expires", "30d")
    assert set(told) == {"token", "prefix", "scopes", "expires_at"}
    assert ApiClient(token=told["token"]).get("/bot/list/me").status_code == 200
    assert ApiClient(token=told["token"]).delete("/exchange/keys/1").status_code == 403


def test_the_demo_is_loaded_once_however_often() -> None:
    first = done("demo_load", stdin="")
    runs = list(BotRun.objects.order_by("id").values_list("id", "symbol", "mode", "exchange"))
    again = done("demo_load", stdin="")
    assert list(BotRun.objects.order_by("id").values_list("id", "symbol", "mode", "exchange")) == runs
    assert {(mode, exchange) for *_, mode, exchange in runs} == {("paper", "demo")}
    assert User.objects.get().email == "demo@example.com"
    assert set(first) == set(again)
