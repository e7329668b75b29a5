"""Candle files: every fault with its row and its reason, or every candle."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.core.candle_check import Gap
from exchanges.core.candle_csv import (
    HEADER,
    csv_lines,
    looks_like_binance,
    read_binance_csv,
    read_candle_csv,
)
from exchanges.core.candle_pack import data_sha256
from exchanges.core.candle_table import CandleFileError
from exchanges.core.candles import Candles, from_ms
from exchanges.core.errors import UnknownTimeframe
from tradingbot.tests.places import DATA_DIR, NO_DATA

MINUTE = 60_000
START = 1_767_225_600_000
LATER = datetime(2027, 1, 1, tzinfo=UTC)
GOOD = [
    f"{START},100,102,99,101,5",
    f"{START + MINUTE},101,101.5,100,100.5,0",
    f"{START + 4 * MINUTE},100.5,100.5,98,99,2.25",
]


def read(rows: list[str], label: str = "open", at: datetime = LATER, timeframe: str = "1m") -> Candles:
    candles, _ = read_candle_csv([HEADER, *rows], timeframe, at, label)  # type: ignore[arg-type]
    return candles


def test_good_file_gives_its_candles_and_its_report(tmp_path: Path) -> None:
    path = tmp_path / "candles.csv"
    path.write_text("\n".join([HEADER, *GOOD]) + "\n")
    candles, report = read_candle_csv(path, "1m", LATER)
    assert candles.rows()[2] == [START + 4 * MINUTE, 100.5, 100.5, 98, 99, 2.25]
    assert report.gaps == (Gap(from_ms(START + 2 * MINUTE), 2),)
    assert (report.candles, report.missing, report.longest_gap, report.zero_volume) == (3, 2, 2, 1)
    assert (report.first, report.last) == (from_ms(START), from_ms(START + 4 * MINUTE))
    assert report.sha256 == data_sha256(candles)


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "candles.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([HEADER, *GOOD, ""]).encode())
    candles, _ = read_candle_csv(path.read_bytes(), "1m", LATER)
    assert len(candles) == 3


@pytest.mark.parametrize(
    ("line", "row", "words"),
    [
        (f"{START + MINUTE},101,102,100", 3, "Expected 6 fields, was 4"),
        (f"{START + MINUTE},101,102,100,101,1,7", 3, "Expected 6 fields, was 7"),
        ("", 3, "Expected 6 fields, was 0"),
        (f"{START + MINUTE},101,oops,100,101,1", 3, "Expected a number, was 'oops'"),
        (f"{START + MINUTE},101,,100,101,1", 3, "Expected a number, was ''"),
        (f"{START + MINUTE},101,1_02,100,101,1", 3, "Expected a number, was '1_02'"),
        (f"{START + MINUTE},101,１02,100,101,1", 3, "Expected a number, was '１02'"),
        (f"{START + MINUTE},101,nan,100,101,1", 3, "finite prices"),
        (f"{START + MINUTE},101,inf,100,101,1", 3, "finite prices"),
        (f"{START + MINUTE},101,102,100,101,nan", 3, "finite volume"),
        (f"{START + MINUTE},101,102,100,101,-1", 3, "volume of zero or more, was -1.0"),
        (f"{START + MINUTE},101,102,-100,101,1", 3, "prices above zero"),
        (f"{START + MINUTE},101,102,0,101,1", 3, "prices above zero"),
        (f"{START + MINUTE},101,99,103,101,1", 3, "high at or above low"),
        (f"{START + MINUTE},101,101,100,102,1", 3, "high at or above open and close"),
        (f"{START + MINUTE},99,102,100,101,1", 3, "low at or below open and close"),
        (f"{START},101,102,100,101,1", 3, f"Duplicate: the candle of {START} is there twice"),
        (f"{START - MINUTE},101,102,100,101,1", 3, f"Unsorted: {START - MINUTE} is earlier"),
        (f"{START + MINUTE + 1_000},101,102,100,101,1", 3, f"open time on a full 1m, was {START + 61_000}"),
        (f"{START // 1000 + 60},101,102,100,101,1", 3, "look like seconds"),
        (f"{START * 1000},101,102,100,101,1", 3, "look like microseconds"),
        (f"{START + MINUTE}.5,101,102,100,101,1", 3, "whole number of milliseconds"),
        ("nan,101,102,100,101,1", 3, "time in milliseconds, was nan"),
    ],
)
def test_bad_row_is_named_with_its_reason(line: str, row: int, words: str) -> None:
    with pytest.raises(CandleFileError) as caught:
        read([GOOD[0], line, GOOD[2]])
    assert caught.value.row == row
    assert words in caught.value.reason
    assert str(caught.value) == f"Row {row}: {caught.value.reason}"


@pytest.mark.parametrize("header", ["time,open,high,low,close,volume", "timestamp_ms,open,high,low,close", GOOD[0], ""])
def test_wrong_header_is_row_one(header: str) -> None:
    with pytest.raises(CandleFileError, match="Expected the header timestamp_ms") as caught:
        read_candle_csv([header, *GOOD], "1m", LATER)
    assert caught.value.row == 1


@pytest.mark.parametrize("rows", [[], [""], ["", ""]])
def test_file_without_candles_is_an_error(rows: list[str]) -> None:
    with pytest.raises(CandleFileError, match="Expected candles") as caught:
        read(rows)
    assert caught.value.row == 2


def test_first_fault_of_several_is_the_one_named() -> None:
    rows = [GOOD[0], f"{START + MINUTE},1,1,1,1,-1", f"{START + MINUTE},1,1,1,-1,1"]
    with pytest.raises(CandleFileError) as caught:
        read(rows)
    assert caught.value.row == 3


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (START + 4 * MINUTE - 1, "a candle of the future"),
        (START + 4 * MINUTE, "an unfinished candle"),
        (START + 5 * MINUTE - 1, "an unfinished candle"),
    ],
)
def test_candle_not_closed_yet_is_refused(at: int, words: str) -> None:
    with pytest.raises(CandleFileError, match=words) as caught:
        read(GOOD, at=from_ms(at))
    assert caught.value.row == 4


def test_candle_closing_this_very_moment_is_accepted() -> None:
    assert len(read(GOOD, at=from_ms(START + 5 * MINUTE))) == 3


@pytest.mark.parametrize("late", [0, -1])
def test_close_times_are_shifted_when_told(late: int) -> None:
    rows = [f"{START + MINUTE + late},100,102,99,101,5", f"{START + 2 * MINUTE + late},101,102,100,100.5,1"]
    assert read(rows, label="close").opened_at.tolist() == [START, START + MINUTE]


def test_close_times_are_recognised_when_not_told() -> None:
    rows = [f"{START + MINUTE - 1},100,102,99,101,5", f"{START + 2 * MINUTE - 1},101,102,100,100.5,1"]
    with pytest.raises(CandleFileError, match="say --time close") as caught:
        read(rows)
    assert caught.value.row == 2


def test_unknown_timeframe_is_named() -> None:
    with pytest.raises(UnknownTimeframe, match="'7m'"):
        read(GOOD, timeframe="7m")


FINITE = st.floats(1e-9, 1e9)


@given(st.lists(st.tuples(FINITE, FINITE, FINITE, FINITE, st.floats(0, 1e12)), min_size=1, max_size=20))
def test_written_file_reads_back_bit_for_bit(rows: list[tuple[float, ...]]) -> None:
    table = [
        [START + i * MINUTE, a, max(a, b, c, d), min(a, b, c, d), d, volume]
        for i, (a, b, c, d, volume) in enumerate(rows)
    ]
    candles = Candles.from_rows(table)
    lines = list(csv_lines(candles))
    assert not any("e" in line for line in lines[1:])
    read_back, _ = read_candle_csv(lines, "1m", LATER)
    assert read_back.rows() == candles.rows()


def test_numbers_are_written_without_a_point_they_do_not_need() -> None:
    candles = Candles.from_rows([[START, 100.0, 100.05, 1e-7, 100.0, 0.0]])
    assert list(csv_lines(candles))[1] == f"{START},100,100.05,0.0000001,100,0"


BINANCE = "{t},100,102,99,101,5,{u},505.0,12,2.5,252.5,0"


@pytest.mark.parametrize("unit", [1, 1_000])
@pytest.mark.parametrize("header", ["", "open_time,open,high,low,close,volume,close_time,q,n,a,b,ignore\n"])
def test_binance_public_layout_is_read_in_milliseconds_and_microseconds(unit: int, header: str) -> None:
    rows = [BINANCE.format(t=(START + i * MINUTE) * unit, u=0) for i in range(3)]
    raw = (header + "\n".join(rows)).encode()
    candles, report = read_binance_csv(raw, "1m", LATER)
    assert looks_like_binance(raw)
    assert candles.opened_at.tolist() == [START, START + MINUTE, START + 2 * MINUTE]
    assert candles.volume.tolist() == [5, 5, 5]
    assert report.missing == 0


def test_binance_months_of_either_unit_may_follow_each_other() -> None:
    """Until the end of 2024 the times are in milliseconds, since then in microseconds."""
    rows = [BINANCE.format(t=START + i * MINUTE if i < 2 else (START + i * MINUTE) * 1_000, u=0) for i in range(4)]
    candles, report = read_binance_csv("\n".join(rows).encode(), "1m", LATER)
    assert candles.opened_at.tolist() == [START + i * MINUTE for i in range(4)]
    assert report.missing == 0


def test_binance_layout_with_a_broken_row_names_it() -> None:
    rows = [BINANCE.format(t=START, u=0), "1,2,3"]
    with pytest.raises(CandleFileError, match="Expected 12 fields, was 3") as caught:
        read_binance_csv("\n".join(rows).encode(), "1m", LATER)
    assert caught.value.row == 2
    assert not looks_like_binance(HEADER.encode())


RECORDED = [
    ("btcusdt_1h_binance_2017-08_2019-12.csv", "1h", 20_708, 13, 96, 33, 2),
    ("btcusdt_1h_binance_2020-01_2023-12.csv", "1h", 35_032, 15, 32, 5, 2),
    ("btcusdt_1h_binance_2024-01_2024-04.csv", "1h", 2_679, 0, 0, 0, 0),
    ("btcperp_1m_2022-01.csv", "1m", 45_031, 0, 0, 0, None),
    ("unittestbtc_1m_freqtrade_2017-11.csv", "1m", 13_681, 538, 717, 7, None),
    ("ethbtc_5m_freqtrade_2018-01.csv", "5m", 5_760, 0, 0, 0, None),
    ("xrpeth_1m_freqtrade_2019-10.csv", "1m", 2_469, 676, 1_091, None, None),
]


@pytest.mark.skipif(not DATA_DIR.is_dir(), reason=NO_DATA)
@pytest.mark.parametrize(("name", "timeframe", "count", "gaps", "missing", "longest", "quiet"), RECORDED)
def test_recorded_file_has_the_known_gaps(
    name: str, timeframe: str, count: int, gaps: int, missing: int, longest: int | None, quiet: int | None
) -> None:
    candles, report = read_candle_csv(DATA_DIR / name, timeframe, LATER)
    assert (report.candles, len(report.gaps), report.missing) == (count, gaps, missing)
    assert longest is None or report.longest_gap == longest
    assert quiet is None or report.zero_volume == quiet
    first_lines = (DATA_DIR / name).read_text().splitlines()[:50]
    assert read_candle_csv(first_lines, timeframe, LATER)[0].rows() == candles[:49].rows()
