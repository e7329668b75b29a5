"""The candle commands from a shell's view: what they print, store and return."""

import gzip
import io
import json
import zipfile
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from exchanges import candle_store
from exchanges.core import demo
from exchanges.core.candle_csv import csv_lines
from exchanges.core.candles import Candles, from_ms, to_ms
from exchanges.models import CandleChunk

pytestmark = pytest.mark.django_db

FILES = Path(__file__).parent / "files"
MINUTE = 60_000
START = to_ms(datetime(2026, 1, 31, 23, tzinfo=UTC))
CANDLES = demo.candles("BTC/USDT", "1m", START, 120)
MARKET = ("--exchange", "demo", "--symbol", "BTC/USDT", "--timeframe", "1m")
KEY = ("demo", "BTC/USDT", "1m")
AT = "2026-03-01T00:00:00Z"


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def answer(*arguments: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run(*arguments, "--json"))
    return document


def refused(*arguments: str) -> tuple[int, str]:
    with pytest.raises(CommandError) as caught:
        run(*arguments)
    return caught.value.returncode, str(caught.value)


def zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as writer:
        writer.writestr("BTCUSDT-1m-2026-01.csv", content)
    return packed.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "candles.csv"
    path.write_text("\n".join(csv_lines(CANDLES)) + "\n")
    return path


def test_import_stores_the_file_and_reports_it(file: Path) -> None:
    document = answer("candles_import", str(file), *MARKET, "--at", AT)
    assert (document["candles"], document["added"], document["missing"], document["gaps"]) == (120, 120, 0, [])
    assert document["first"] == "2026-01-31T23:00:00Z"
    assert candle_store.load(*KEY).rows() == CANDLES.rows()
    assert "0 added, 0 replaced, 120 known" in run("candles_import", str(file), *MARKET, "--at", AT)


def test_import_reports_gaps_and_keeps_them(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    lines = list(csv_lines(CANDLES))
    path.write_text("\n".join(lines[:11] + lines[14:]))
    document = answer("candles_import", str(path), *MARKET, "--at", AT)
    assert document["gaps"] == [{"start": "2026-01-31T23:10:00Z", "missing": 3}]
    assert len(candle_store.load(*KEY)) == 117
    assert "gap from 2026-01-31 23:10:00: 3 missing" in run("candles_check")


def test_import_of_close_times_shifts_them(tmp_path: Path) -> None:
    path = tmp_path / "closing.csv"
    shifted = Candles(
        CANDLES.opened_at + MINUTE - 1, CANDLES.open, CANDLES.high, CANDLES.low, CANDLES.close, CANDLES.volume
    )
    path.write_text("\n".join(csv_lines(shifted)))
    code, words = refused("candles_import", str(path), *MARKET, "--at", AT)
    assert (code, "--time close" in words) == (4, True)
    run("candles_import", str(path), *MARKET, "--time", "close", "--at", AT)
    assert candle_store.load(*KEY).rows() == CANDLES.rows()


def test_import_with_one_bad_row_names_it_and_stores_nothing(file: Path) -> None:
    file.write_text(file.read_text() + "1,2,3\n")
    code, words = refused("candles_import", str(file), *MARKET, "--at", AT)
    assert (code, words) == (4, "Row 122: Expected 6 fields, was 3.")
    assert CandleChunk.objects.count() == 0


def test_import_of_an_unfinished_candle_is_refused_at_that_instant_only(file: Path) -> None:
    code, words = refused("candles_import", str(file), *MARKET, "--at", "2026-02-01T00:59:59Z")
    assert code == 4
    assert "Row 121: Expected closed candles, was an unfinished candle" in words
    run("candles_import", str(file), *MARKET, "--at", "2026-02-01T01:00:00Z")
    assert len(candle_store.load(*KEY)) == 120


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nowhere.csv", *MARKET], 3),
        ([".", *MARKET], 4),
        (["nowhere.feather", *MARKET], 3),
    ],
)
def test_import_of_what_is_no_file_is_refused(arguments: list[str], code: int) -> None:
    assert refused("candles_import", *arguments)[0] == code


@pytest.mark.parametrize(
    ("option", "value"),
    [("--symbol", "BTCUSDT"), ("--exchange", "My Exchange"), ("--timeframe", "7m"), ("--time", "middle")],
)
def test_import_with_a_wrong_option_is_a_usage_error(file: Path, option: str, value: str) -> None:
    with pytest.raises(CommandError, match="argument"):
        run("candles_import", str(file), *MARKET, option, value)


def binance_lines(unit: int) -> str:
    """As the public files have it: eight decimals, the end of the candle, quote volume, trades, taker's buys, 0."""
    return "".join(
        ",".join(
            [
                str(int(opened) * unit),
                *(f"{price:.8f}" for price in prices),
                f"{volume:.8f}",
                str((int(opened) + MINUTE) * unit - 1),
                "505.25000000,12,2.50000000,252.50000000,0\n",
            ]
        )
        for opened, *prices, volume in CANDLES.rows()
    )


@pytest.mark.parametrize("unit", [1, 1_000])
def test_import_reads_binance_zip_and_freqtrade_json(unit: int, tmp_path: Path) -> None:
    archive = tmp_path / "BTCUSDT-1m-2026-01.zip"
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("BTCUSDT-1m-2026-01.csv", binance_lines(unit))
    assert "which has open times" in refused("candles_import", str(archive), *MARKET, "--time", "close")[1]
    run("candles_import", str(archive), *MARKET, "--at", AT)
    assert candle_store.load(*KEY).rows() == CANDLES.rows()
    packed = tmp_path / "BTC_USDT-1m.json.gz"
    packed.write_bytes(gzip.compress(json.dumps(CANDLES.rows()).encode()))
    assert answer("candles_import", str(packed), *MARKET, "--at", AT)["unchanged"] == 120


def test_import_knows_the_market_by_freqtrades_name() -> None:
    file = FILES / "BTC_USDT-1h.feather"
    document = answer("candles_import", str(file), "--exchange", "binance", "--at", AT)
    assert (document["symbol"], document["timeframe"]) == ("BTC/USDT", "1h")
    assert (document["candles"], document["missing"], document["zero_volume"]) == (57, 3, 1)
    again = answer("candles_import", str(file.with_suffix(".json")), "--exchange", "binance", "--at", AT)
    assert (again["unchanged"], again["sha256"]) == (57, document["sha256"])
    packed = answer("candles_import", str(file.with_suffix(".json.gz")), "--exchange", "binance", "--at", AT)
    assert (packed["added"], packed["unchanged"]) == (0, 57)


def test_import_asks_for_what_the_name_does_not_tell(file: Path) -> None:
    code, words = refused("candles_import", str(file), "--exchange", "demo", "--timeframe", "1m")
    assert (code, words) == (2, "Expected --symbol: the name candles.csv does not tell it.")
    assert "Expected --timeframe" in refused("candles_import", str(file), "--exchange", "a", "--symbol", "A/B")[1]
    assert not CandleChunk.objects.exists()


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"PAR1....PAR1", "was Parquet: convert it first"),
        (b"FEA1....FEA1", "was the feather of before 2020"),
        (b"\x89HDF\r\n", "was HDF5"),
        (b"ARROW1", "was one that breaks off"),
        (b"hello", "Expected an Arrow (feather) file"),
    ],
)
def test_import_refuses_other_files_with_a_way_out(raw: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "BTC_USDT-1h.feather"
    path.write_bytes(raw)
    code, said = refused("candles_import", str(path), "--exchange", "binance")
    assert (code, words in said) == (4, True), said
    assert not CandleChunk.objects.exists()


def test_exported_json_is_freqtrades_file(tmp_path: Path) -> None:
    market = ("--exchange", "binance", "--symbol", "BTC/USDT", "--timeframe", "1h")
    answer("candles_import", str(FILES / "BTC_USDT-1h.feather"), "--exchange", "binance", "--at", AT)
    target = tmp_path / "BTC_USDT-1h.json"
    answer("candles_export", *market, "--format", "json", "--output", str(target))
    assert json.loads(target.read_bytes()) == json.loads((FILES / "BTC_USDT-1h.json").read_bytes())
    assert answer("candles_import", str(target), "--exchange", "other", "--at", AT)["candles"] == 57


def test_import_refuses_a_broken_archive(tmp_path: Path) -> None:
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK")
    assert refused("candles_import", str(broken), *MARKET)[0] == 4
    empty = tmp_path / "empty.zip"
    with zipfile.ZipFile(empty, "w") as writer:
        writer.writestr("readme.txt", "")
    assert "Expected one CSV file in the archive, was 0" in refused("candles_import", str(empty), *MARKET)[1]
    torn = tmp_path / "torn.csv.gz"
    torn.write_bytes(gzip.compress(b"x" * 1_000)[:-9])
    assert refused("candles_import", str(torn), *MARKET)[0] == 4
    spoiled = bytearray(gzip.compress(bytes(range(256)) * 9))
    spoiled[20:40] = b"\xff" * 20
    torn.write_bytes(bytes(spoiled))
    assert "Expected a whole archive" in refused("candles_import", str(torn), *MARKET)[1]
    locked = bytearray(zipped(b"x"))
    # The flags of the member and of its entry in the list: "needs a password".
    for at in (6, bytes(locked).index(b"PK\x01\x02") + 8):
        locked[at] |= 1
    broken.write_bytes(bytes(locked))
    assert "password" in refused("candles_import", str(broken), *MARKET)[1]


def test_export_writes_what_import_reads(file: Path, tmp_path: Path) -> None:
    run("candles_import", str(file), *MARKET, "--at", AT)
    assert run("candles_export", *MARKET) == file.read_text()
    target = tmp_path / "out.csv"
    document = answer("candles_export", *MARKET, "--output", str(target), "--since", "2026-02-01")
    assert document["candles"] == 60
    assert target.read_text().splitlines()[1].startswith(str(to_ms(datetime(2026, 2, 1, tzinfo=UTC))))
    assert refused("candles_export", *MARKET, "--output", str(target))[0] == 4
    assert answer("candles_export", *MARKET)["rows"] == CANDLES.rows()


def test_export_of_nothing_is_not_found() -> None:
    assert refused("candles_export", *MARKET)[0] == 3


def test_check_lists_what_is_stored_and_finds_damage(file: Path) -> None:
    assert run("candles_check") == "No candles are stored.\n"
    run("candles_import", str(file), *MARKET, "--at", AT)
    [item] = answer("candles_check")["items"]
    assert (item["candles"], item["source"], item["problems"]) == (120, "imported from candles.csv", [])
    assert refused("candles_check", "--symbol", "ETH/USDT")[0] == 3
    chunk = CandleChunk.objects.order_by("month").first()
    assert chunk is not None
    CandleChunk.objects.filter(pk=chunk.pk).update(columns=bytes(chunk.columns)[:-1])
    code, words = refused("candles_check")
    assert (code, "damaged" in words) == (4, True)


def test_download_fetches_pages_and_goes_on_where_it_ended() -> None:
    options = ("candles_download", *MARKET, "--since", "2026-01-31T00:00:00Z")
    first = answer(*options, "--until", "2026-02-01", "--at", AT)
    assert (first["added"], first["pages"], first["candles"], first["gaps"]) == (1_440, 2, 1_440, [])
    more = answer(*options, "--until", "2026-02-01T06:00:00Z", "--at", AT)
    assert (more["added"], more["pages"], more["unchanged"], more["candles"]) == (360, 1, 0, 1_800)
    assert answer(*options, "--until", "2026-02-01T06:00:00Z", "--at", AT)["pages"] == 0
    again = answer(*options, "--until", "2026-02-01T06:00:00Z", "--at", AT, "--again")
    assert (again["added"], again["unchanged"]) == (0, 1_800)
    expected = demo.candles("BTC/USDT", "1m", to_ms(datetime(2026, 1, 31, tzinfo=UTC)), 1_800)
    assert candle_store.load(*KEY).rows() == expected.rows()


def test_download_fills_in_before_what_is_stored_and_stops_at_the_last_closed_candle(file: Path) -> None:
    run("candles_import", str(file), *MARKET, "--at", AT)
    at = from_ms(START + 125 * MINUTE + 30_000)
    answer("candles_download", *MARKET, "--since", "2026-01-31T22:30:00Z", "--at", at.isoformat())
    loaded = candle_store.load(*KEY)
    assert loaded.rows() == demo.candles("BTC/USDT", "1m", START - 30 * MINUTE, 155).rows()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--exchange", "mtgox", "--symbol", "BTC/USDT"), 3),
        (("--exchange", "demo", "--symbol", "FOO/BAR"), 3),
    ],
)
def test_download_of_an_unknown_market_is_not_found(options: tuple[str, ...], code: int) -> None:
    arguments = ("candles_download", *options, "--timeframe", "1m", "--since", "2026-01-31")
    assert refused(*arguments)[0] == code


@pytest.mark.parametrize(
    ("since", "until"),
    [("2026-02-01", "2026-02-01"), ("2026-02-01", "2026-01-31"), ("2027-01-01", "2027-02-01")],
)
def test_download_of_a_range_without_a_closed_candle_is_refused(since: str, until: str) -> None:
    code, words = refused("candles_download", *MARKET, "--since", since, "--until", until, "--at", AT)
    assert (code, words) == (4, "--until: Expected a range that holds a closed candle.")
