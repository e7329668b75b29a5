"""Results as bytes: JSON documents and float columns, compressed, the same bytes for the same result."""

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import numpy as np

from bots.core.sweep.scores import COLUMNS, Scores
from exchanges.core.candles import Candles
from exchanges.core.decimals import plain
from strategies.core.signals import Floats

#: Points of an equity curve that are kept: more than any screen is wide.
MOST_POINTS: Final = 4_000
LEVEL: Final = 6


def pack_document(document: Mapping[str, Any]) -> tuple[bytes, str]:
    """(compressed canonical JSON, its SHA-256)."""
    text = json.dumps(document, default=_jsonable, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()
    return zlib.compress(text, LEVEL), hashlib.sha256(text).hexdigest()


def unpack_document(blob: bytes | memoryview) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(zlib.decompress(blob))
    return document


def _jsonable(value: object) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(f"Expected a value that JSON can hold, was {type(value).__name__}.")


def pack_equity(candles: Candles, equity: Floats) -> bytes:
    """Times, equity and closes, thinned to as many points as are kept: each the last candle of its stretch."""
    count = len(candles)
    points = min(count, MOST_POINTS)
    picked = np.arange(1, points + 1) * count // points - 1
    columns = (candles.opened_at[picked].astype(np.float64), equity[picked], candles.close[picked])
    return zlib.compress(np.stack(columns).astype("<f8").tobytes(), LEVEL)


def unpack_equity(blob: bytes | memoryview) -> Floats:
    """Rows: opened_at in ms, equity, close."""
    rows: Floats = np.frombuffer(zlib.decompress(blob), "<f8").reshape(3, -1).T
    return rows


def pack_scores(windows: Sequence[Scores]) -> bytes:
    """One block of columns per window."""
    columns = np.stack([np.stack([getattr(scores, name) for name in COLUMNS]) for scores in windows])
    return zlib.compress(columns.astype("<f8").tobytes(), LEVEL)


def unpack_scores(blob: bytes | memoryview, windows: int) -> list[Scores]:
    columns = np.frombuffer(zlib.decompress(blob), "<f8").reshape(windows, len(COLUMNS), -1)
    return [Scores(*window) for window in columns]
