"""A file that makes no sense is one clear error naming the row on every face, and nothing of it is stored."""

import io
from html import unescape
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.core.management.base import CommandError

from accounts.models import User
from bots.tests.research_cast import GIVEN
from bots.tests.views.conftest import browser
from exchanges.models import CandleChunk
from tradingbot.tests.places import PROJECT

FILES = PROJECT / "exchanges" / "tests" / "files"
HEADER = "timestamp_ms,open,high,low,close,volume"
HOUR, START = 3_600_000, 1_704_067_200_000
MARKET = ["--exchange", "binance", "--symbol", "BTC/USDT", "--timeframe", "1h"]
OPTIONS = [part for name, value in GIVEN.items() for part in (f"--{name}", str(value))]


def candle(number: int, prices: str = "1,2,0.5,1,1") -> str:
    return f"{START + number * HOUR},{prices}"


CASES = {
    "duplicate": ([candle(0), candle(1), candle(1)], 4),
    "unsorted": ([candle(0), candle(2), candle(1)], 4),
    "misaligned": ([candle(0), f"{START + HOUR + 60_000},1,2,0.5,1,1"], 3),
    "future": ([candle(0), f"{START + 10**12 // HOUR * HOUR},1,2,0.5,1,1"], 3),
    "seconds for milliseconds": ([f"{START // 1000},1,2,0.5,1,1"], 2),
    "microseconds": ([f"{START * 1000},1,2,0.5,1,1"], 2),
    "close-time labels": ([f"{START + HOUR - 1},1,2,0.5,1,1", f"{START + 2 * HOUR - 1},1,2,0.5,1,1"], 2),
    "not a number": ([candle(0), candle(1, "1,2,nan,1,1")], 3),
    "infinite": ([candle(0), candle(1, "1,inf,0.5,1,1")], 3),
    "negative price": ([candle(0), candle(1, "1,2,-0.5,1,1")], 3),
    "zero price": ([candle(0, "0,2,0,1,1")], 2),
    "negative volume": ([candle(0), candle(1, "1,2,0.5,1,-1")], 3),
    "high under low": ([candle(0, "1,0.5,2,1,1")], 2),
    "words": ([candle(0), candle(1, "one,2,0.5,1,1")], 3),
    "fields missing": ([candle(0), "1,2,3"], 3),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_file_names_its_row_on_every_face_and_stores_nothing(case: str, alice: User, tmp_path: Path) -> None:
    rows, row = CASES[case]
    text = "\n".join([HEADER, *rows]) + "\n"
    path = tmp_path / "candles.csv"
    path.write_text(text)
    assert said_everywhere(alice, path).startswith(f"Row {row}: ")


def said_everywhere(user: User, path: Path) -> str:
    """What both commands and the page say of a file, which is the same; nothing is stored."""
    said = set()
    for command in (["candles_import", str(path), *MARKET], ["backtest_run", *OPTIONS, "--csv", str(path)]):
        with pytest.raises(CommandError) as refused:
            call_command(*command, stdout=io.StringIO(), stderr=io.StringIO())
        assert refused.value.returncode == 4
        said.add(str(refused.value))
    assert len(said) == 1
    (words,) = said
    form = {"exchange": "binance", "symbol": "BTC/USDT", "timeframe": "1h", "time": "open"}
    given = {**form, "file": SimpleUploadedFile(path.name, path.read_bytes())}
    answer = browser(user).post("/app/candles/import/", given)
    assert answer.status_code == 422
    assert f"{words} Nothing was stored." in unescape(answer.content.decode())
    assert not CandleChunk.objects.exists()
    return words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nan.feather", "Row 8: Expected a finite volume"),
        ("no_close.feather", "Row 1: Expected the columns date, open, high, low, close, volume, was one without close"),
        ("text.feather", "Row 1: Expected a timestamp or doubles in the column volume"),
        ("empty.feather", "Row 1: Expected candles"),
    ],
)
def test_bad_feather_is_refused_on_every_face(name: str, words: str, alice: User) -> None:
    assert said_everywhere(alice, FILES / name).startswith(words)


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("a.feather", (FILES / "zstd.feather").read_bytes()[:-700], "one that breaks off"),
        ("a.feather", b"timestamp_ms,open", "Expected an Arrow (feather) file"),
        ("a.parquet", b"PAR1", "was Parquet"),
        ("a.json", b"[[1767225600, 1, 2, 0.5, 1, 1]]", "look like seconds"),
        ("a.json", b"[[1767225600000, 1, 2, 0.5, 1, null]]", "Expected 6 numbers"),
        ("a.json.gz", b"\x1f\x8b\x08\x00", "Expected a whole archive"),
    ],
)
def test_broken_packing_is_refused_on_every_face(
    name: str, raw: bytes, words: str, alice: User, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    said = said_everywhere(alice, path)
    assert said.startswith("Row 1: ")
    assert words in said


def test_unfinished_last_candle_is_refused_with_its_row(alice: User, tmp_path: Path) -> None:
    path = tmp_path / "candles.csv"
    path.write_text("\n".join([HEADER, candle(0), candle(1)]) + "\n")
    at = "2024-01-01T01:59:59Z"
    for command in (["candles_import", str(path), *MARKET], ["backtest_run", *OPTIONS, "--csv", str(path)]):
        with pytest.raises(CommandError, match="Row 3: Expected closed candles"):
            call_command(*command, "--at", at, stdout=io.StringIO(), stderr=io.StringIO())
    assert not CandleChunk.objects.exists()
