"""Candle files by what they are: our CSV, Binance's CSV or zip, freqtrade's JSON and feather."""

import gzip
import zipfile
import zlib
from datetime import datetime
from pathlib import Path

from exchanges.core.arrow_file import MAGIC
from exchanges.core.candle_check import CandleReport
from exchanges.core.candle_csv import looks_like_binance, read_binance_csv, read_candle_csv
from exchanges.core.candle_freqtrade import read_feather, read_json
from exchanges.core.candle_table import CandleFileError, Label
from exchanges.core.candles import Candles

# Far above any month of one-second candles, far below a machine's memory.
MAX_UNPACKED = 1 << 30
# Files that we know and do not read, by their first bytes.
OTHERS = {
    b"PAR1": "Parquet: convert it first (freqtrade convert-data --format-from parquet --format-to feather)",
    b"FEA1": "the feather of before 2020: write it again with a current pandas",
    b"\x89HDF": "HDF5: convert it first (freqtrade convert-data --format-from hdf5 --format-to feather)",
}


def read_candle_file(
    path: Path, timeframe: str, at: datetime, label: Label = "open", most: int = MAX_UNPACKED
) -> tuple[Candles, CandleReport]:
    """Candles of one file, at most ``most`` bytes unpacked. Raises CandleFileError, OSError if it cannot be read."""
    raw = _unpacked(path, most)
    if (what := OTHERS.get(raw[:4])) is not None:
        raise CandleFileError(1, f"Expected CSV, JSON, feather or zip, was {what}.")
    name = path.name.lower().removesuffix(".gz")
    if raw.startswith(MAGIC) or name.endswith(".feather"):
        return read_feather(raw, timeframe, at, label, most)
    if name.endswith(".json"):
        return read_json(raw, timeframe, at, label)
    if looks_like_binance(raw):
        if label == "close":
            raise CandleFileError(1, "Expected a file with close times, was Binance's layout, which has open times.")
        return read_binance_csv(raw, timeframe, at)
    return read_candle_csv(raw, timeframe, at, label)


def _unpacked(path: Path, most: int) -> bytes:
    try:
        if path.suffix.lower() == ".zip":
            return _only_member(path, most)
        if path.suffix.lower() == ".gz":
            with gzip.open(path) as stream:
                return _bounded(stream.read(most + 1), most)
    # What zipfile raises for a member with a password, or packed in a way that it does not know.
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise CandleFileError(1, f"Expected a whole archive ({error}).") from None
    return path.read_bytes()


def _only_member(path: Path, most: int) -> bytes:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".csv")]
        if len(names) != 1:
            raise CandleFileError(1, f"Expected one CSV file in the archive, was {len(names)}.")
        with archive.open(names[0]) as stream:
            return _bounded(stream.read(most + 1), most)


def _bounded(raw: bytes, most: int) -> bytes:
    if len(raw) > most:
        raise CandleFileError(1, f"Expected at most {most / 1024 / 1024:,.0f} MB unpacked, was more.")
    return raw
