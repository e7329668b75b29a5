"""freqtrade's files as freqtrade writes them, and every fault in them with its row."""

import gzip
import json
import random
import struct
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from exchanges.core.arrow_file import MAGIC, ArrowFileError, read_columns
from exchanges.core.candle_freqtrade import COLUMNS, Named, json_lines, named, read_feather, read_json
from exchanges.core.candle_table import CandleFileError
from exchanges.core.candles import Candles, from_ms

FILES = Path(__file__).parents[1] / "files"
LATER = datetime(2027, 1, 1, tzinfo=UTC)
HOUR = 3_600_000
MINUTE = 60_000
START = 1_767_225_600_000
UNPACKED = (FILES / "unpacked.feather").read_bytes()


def feather(name: str) -> Candles:
    return read_feather((FILES / f"{name}.feather").read_bytes(), "1h", LATER)[0]


def recorded() -> list[list[float]]:
    rows: list[list[float]] = json.loads((FILES / "BTC_USDT-1h.json").read_bytes())
    return rows


@pytest.mark.parametrize(
    "name",
    ["BTC_USDT-1h", "zstd", "unpacked", "in_s", "in_ms", "in_us", "in_ns", "batches", "more_columns"],
)
def test_feather_holds_the_candles_of_freqtrades_own_json(name: str) -> None:
    candles, report = read_feather((FILES / f"{name}.feather").read_bytes(), "1h", LATER)
    assert candles.rows() == recorded()
    assert (report.candles, report.missing, report.zero_volume) == (57, 3, 1)


def test_column_that_does_not_shrink_is_read_packed_or_as_it_lies() -> None:
    noise = np.random.default_rng(1).random(57) + 1e-9
    raw = (FILES / "incompressible.feather").read_bytes()
    # LZ4 keeps such a column as it is, behind 11 bytes of its own; other writers say so by a length of -1.
    start = raw.index(noise.tobytes()) - 19
    as_it_lies = struct.pack("<q", -1) + noise.tobytes() + bytes(11)
    for written in (raw, raw[:start] + as_it_lies + raw[start + len(as_it_lies) :]):
        candles, _ = read_feather(written, "1h", LATER)
        assert [row[:5] for row in candles.rows()] == [row[:5] for row in recorded()]
        assert candles.volume.tolist() == noise.tolist()


def test_close_times_are_shifted_when_told() -> None:
    raw = (FILES / "BTC_USDT-1h.feather").read_bytes()
    assert read_feather(raw, "1h", LATER, "close")[0].opened_at[0] == START - HOUR


def column(index: int) -> npt.NDArray[np.float64]:
    return np.array([row[index] for row in recorded()])


def changed(index: int, row: int, value: float) -> bytes:
    """The unpacked file with another value in one of its columns; a time in milliseconds."""
    values = column(index) if index else column(0).astype(np.int64)
    scale = 1 if index else unit_of_dates()
    before = (values * scale).astype(values.dtype)
    after = before.copy()
    after[row] = value * scale if np.isfinite(value) else value
    assert UNPACKED.count(before.tobytes()) == 1
    return UNPACKED.replace(before.tobytes(), after.tobytes())


def unit_of_dates() -> int:
    return next(scale for scale in (1, 1_000, 1_000_000) if (column(0).astype(np.int64) * scale).tobytes() in UNPACKED)


@pytest.mark.parametrize(
    ("index", "row", "value", "words"),
    [
        (0, 4, START + 3 * HOUR, "Duplicate"),
        (0, 4, START + HOUR, "Unsorted"),
        (0, 4, START + 4 * HOUR + MINUTE, "on a full 1h"),
        (0, 4, START // 1_000, "look like seconds"),
        (0, 4, START * 1_000, "look like microseconds"),
        (1, 4, float("nan"), "finite prices"),
        (2, 4, float("inf"), "finite prices"),
        (3, 4, -1.0, "above zero"),
        (4, 4, 99_999.0, "high at or above open and close"),
        (5, 4, -0.5, "volume of zero or more"),
    ],
)
def test_bad_value_names_its_row(index: int, row: int, value: float, words: str) -> None:
    with pytest.raises(CandleFileError, match=words) as caught:
        read_feather(changed(index, row, value), "1h", LATER)
    assert caught.value.row == row + 1


def test_value_that_pandas_wrote_as_absent_is_not_a_number() -> None:
    with pytest.raises(CandleFileError, match="finite volume, was nan") as caught:
        feather("nan")
    assert caught.value.row == 8


def test_time_within_a_millisecond_is_refused() -> None:
    raw = (FILES / "in_ns.feather").read_bytes()
    times = column(0).astype(np.int64) * 1_000_000
    odd = times.copy()
    odd[9] += 1
    with pytest.raises(CandleFileError, match="Expected whole milliseconds, was 1767258000000000001 ns") as caught:
        read_feather(raw.replace(times.tobytes(), odd.tobytes()), "1h", LATER)
    assert caught.value.row == 10


@pytest.mark.parametrize(
    ("at", "words", "row"),
    [(START + 59 * HOUR, "an unfinished candle", 57), (START + 20 * HOUR, "a candle of the future", 21)],
)
def test_candle_not_closed_yet_is_refused(at: int, words: str, row: int) -> None:
    with pytest.raises(CandleFileError, match=words) as caught:
        read_feather(UNPACKED, "1h", from_ms(at))
    assert caught.value.row == row


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_close", "Expected the columns date, open, high, low, close, volume, was one without close"),
        ("text", "a timestamp or doubles in the column volume, was text"),
        ("single", "a timestamp or doubles in the column volume, was floats of another width"),
        ("coded", "a timestamp or doubles in the column volume"),
        ("number_dates", "a timestamp in the column date, was float"),
        ("dated_volume", "doubles in the column volume, was timestamp"),
        ("list_first", "plain columns before the candles, was list with Arrow's type 12"),
        ("empty", "Expected candles, was the end of the file"),
    ],
)
def test_other_columns_are_refused_by_name(name: str, words: str) -> None:
    with pytest.raises(CandleFileError, match=words) as caught:
        feather(name)
    assert caught.value.row == 1


@pytest.mark.parametrize("raw", [b"", b"hello", b"PAR1", MAGIC, MAGIC * 3, UNPACKED[:-1], UNPACKED[:3_000]])
def test_what_is_no_whole_arrow_file_is_refused(raw: bytes) -> None:
    with pytest.raises(CandleFileError, match=r"Expected an? .*Arrow"):
        read_feather(raw, "1h", LATER)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (struct.pack("<q", 57), struct.pack("<q", -1), "a damaged one"),
        (struct.pack("<qq", 57, 0), struct.pack("<qq", 56, 0), "columns of one length"),
        (struct.pack("<q", 456), struct.pack("<q", 448), "a damaged one"),
        (struct.pack("<q", 456), struct.pack("<q", 1 << 40), "one that breaks off"),
    ],
)
def test_numbers_that_contradict_the_file_are_refused(before: bytes, after: bytes, words: str) -> None:
    assert before in UNPACKED
    with pytest.raises(CandleFileError, match=words):
        read_feather(UNPACKED.replace(before, after), "1h", LATER)


@pytest.mark.parametrize("length", [0, 455, 1 << 40, -2])
def test_packed_column_that_claims_another_length_is_not_unpacked(length: int) -> None:
    raw = (FILES / "zstd.feather").read_bytes()
    claim = struct.pack("<q", 456) + b"\x28\xb5\x2f\xfd"
    assert raw.count(claim) == 6
    with pytest.raises(CandleFileError, match="a damaged one"):
        read_feather(raw.replace(claim, struct.pack("<q", length) + claim[8:]), "1h", LATER)


@pytest.mark.parametrize("name", ["BTC_USDT-1h", "zstd", "unpacked", "more_columns"])
def test_damage_is_always_one_error_of_ours(name: str) -> None:
    """Single and several bytes anywhere; what remains readable is candles."""
    whole = (FILES / f"{name}.feather").read_bytes()
    chance = random.Random(name)
    said = set()
    for _ in range(1_500):
        raw = bytearray(whole)
        for _ in range(chance.choice((1, 1, 4))):
            raw[chance.randrange(6, len(raw) - 6)] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
        try:
            assert len(read_feather(bytes(raw), "1h", LATER)[0]) <= 57
        except CandleFileError as error:
            said.add(error.reason[:40])
    assert len(said) > 5


def test_rows_without_end_are_refused_before_they_are_unpacked() -> None:
    with pytest.raises(CandleFileError, match="Expected at most 0 MB unpacked, was more"):
        read_feather(UNPACKED, "1h", LATER, most=57 * 48 - 1)
    assert len(read_feather(UNPACKED, "1h", LATER, most=57 * 48)[0]) == 57


def test_first_wanted_column_alone_is_read() -> None:
    found = read_columns(UNPACKED, ["date"], 1_000)
    assert list(found) == ["date"]
    with pytest.raises(ArrowFileError, match="was one without weight"):
        read_columns(UNPACKED, [*COLUMNS, "weight"], 1_000_000)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("BTC_USDT-1h.feather", Named("BTC/USDT", "1h")),
        ("ETH_BTC-5m.json", Named("ETH/BTC", "5m")),
        ("1000SATS_USDT-1d.json.gz", Named("1000SATS/USDT", "1d")),
        ("BTCUSDT-1m-2025-01.zip", Named("", "1m")),
        ("BTCUSDT-1h-2025-01-31.csv", Named("", "1h")),
        ("BTC_USDT-7m.feather", Named()),
        ("BTCUSDT-9h-2025-01.zip", Named()),
        ("BTC_USDT_USDT-1h-futures.feather", Named()),
        ("BTC_USDT-1h-mark.feather", Named()),
        ("candles.csv", Named()),
    ],
)
def test_name_tells_the_market(name: str, expected: Named) -> None:
    assert named(name) == expected


def test_freqtrade_json_is_read() -> None:
    assert read_json((FILES / "BTC_USDT-1h.json").read_bytes(), "1h", LATER)[0].rows() == recorded()
    packed = gzip.decompress((FILES / "BTC_USDT-1h.json.gz").read_bytes())
    assert read_json(packed, "1h", LATER)[0].rows() == recorded()


def test_written_json_reads_back_bit_for_bit() -> None:
    rows = [[START, 0.1 + 0.2, 1e22, 1e-7, 0.09946999000000001, 0.0], [START + HOUR, 1, 1, 1, 1, 5e-324]]
    candles = Candles.from_rows(rows)
    text = "\n".join(json_lines(candles))
    assert json.loads(text) == rows
    assert read_json(text.encode(), "1h", LATER)[0].rows() == rows


@pytest.mark.parametrize(
    ("text", "row", "words"),
    [
        ("{", 1, "Expected JSON"),
        ("{}", 1, "Expected a list"),
        ("[]", 1, "Expected a list"),
        ("[" * 100_000, 1, "lists in lists"),
        (json.dumps([[START, 1, 1, 1, 1, 1], [1, 2, 3]]), 2, "Expected 6 numbers"),
        (json.dumps([[START, 1, 1, 1, "1", 1]]), 1, "Expected 6 numbers"),
        (json.dumps([[START, 1, 1, 1, 1, True]]), 1, "Expected 6 numbers"),
        (json.dumps([[START, 1, 1, 1, 1, None]]), 1, "Expected 6 numbers"),
        (json.dumps([[START, 1, 1, 1, 1, 1], [START, 1, 1, 1, 1, 10**400]]), 2, "Expected 6 numbers"),
        (json.dumps([[START, 1, 1, 1, 1, 1], 7]), 2, "Expected 6 numbers"),
        (json.dumps([[START, 1, 1, 1, 1, 1], [START, 1, 1, 1, 1, 1]]), 2, "Duplicate"),
        (json.dumps([[START, 1, 1, 1, 1, 1], [START + HOUR, 1, 1, 1, float("nan"), 1]]), 2, "finite prices"),
        (json.dumps([[START // 1000, 1, 1, 1, 1, 1]]), 1, "look like seconds"),
    ],
)
def test_bad_json_names_the_row(text: str, row: int, words: str) -> None:
    with pytest.raises(CandleFileError, match=words) as caught:
        read_json(text.encode(), "1h", LATER)
    assert caught.value.row == row
