"""Candle files by what they are: our CSV, Binance's CSV or zip, freqtrade's JSON."""

import gzip
import zipfile
from datetime import datetime
from pathlib import Path

from exchanges.core.candle_check import CandleReport
from exchanges.core.candle_csv import (
    CandleFileError,
    Label,
    looks_like_binance,
    read_binance_csv,
    read_candle_csv,
    read_json,
)
from exchanges.core.candles import Candles

# Far above any month of one-second candles, far below a machine's memory.
MAX_UNPACKED = 1_000_000_000


def read_candle_file(path: Path, timeframe: str, at: datetime, label: Label = "open") -> tuple[Candles, CandleReport]:
    """Candles of one file. Raises CandleFileError, and OSError when the file cannot be read."""
    if path.suffix == ".feather":
        raise CandleFileError(1, "Expected CSV, JSON or zip, was feather: convert it first (freqtrade convert-data).")
    raw = _unpacked(path)
    if path.name.removesuffix(".gz").endswith(".json"):
        return read_json(raw, timeframe, at)
    if looks_like_binance(raw):
        return read_binance_csv(raw, timeframe, at)
    return read_candle_csv(raw, timeframe, at, label)


def _unpacked(path: Path) -> bytes:
    try:
        if path.suffix == ".zip":
            return _only_member(path)
        if path.suffix == ".gz":
            with gzip.open(path) as stream:
                return _bounded(stream.read(MAX_UNPACKED + 1))
    except (zipfile.BadZipFile, gzip.BadGzipFile, EOFError) as error:
        raise CandleFileError(1, f"Expected a whole archive ({error}).") from None
    return path.read_bytes()


def _only_member(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".csv")]
        if len(names) != 1:
            raise CandleFileError(1, f"Expected one CSV file in the archive, was {len(names)}.")
        with archive.open(names[0]) as stream:
            return _bounded(stream.read(MAX_UNPACKED + 1))


def _bounded(raw: bytes) -> bytes:
    if len(raw) > MAX_UNPACKED:
        raise CandleFileError(1, f"Expected at most {MAX_UNPACKED} bytes unpacked, was more.")
    return raw
