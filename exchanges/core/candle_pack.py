"""Candles as bytes: narrow integer columns that unpack at the speed of memory, bit for bit.

Prices and volumes are decimals that were written down once, so each column is stored as whole numbers of its last
decimal, each as the difference to its neighbour (close to the last close, open to that close, high and low to the
body), in the narrowest integer type that holds the chunk. Where a source's float is not the nearest one to its
decimal (0.09946999000000001), the few units in the last place between them are stored beside it. A column that is no
decimal at all is stored as it is. Nothing is compressed beyond that: see docs/candles.md for the measurements.

    b"TBC1" | length of head (uint32) | head (JSON) | columns, one after the other
"""

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from exchanges.core.candles import Candles, Floats, Millis

MAGIC: Final = b"TBC1"
MAX_DECIMALS: Final = 12
EXACT: Final = 2.0**53
NARROW: Final = ("u1", "i1", "<u2", "<i2", "<u4", "<i4", "<i8")
#: What reading a damaged head raises beside ValueError: a type that is none, a name or a number that is another.
DAMAGED: Final = (struct.error, LookupError, TypeError, AttributeError, ArithmeticError, SyntaxError, MemoryError)
Array = npt.NDArray[Any]


def pack(candles: Candles) -> bytes:
    writer = _Writer()
    writer.integers("opened_at", np.diff(candles.opened_at, prepend=np.int64(0)))
    writer.prices(candles)
    writer.volume(candles.volume)
    head = json.dumps({"count": len(candles), "columns": writer.columns}, separators=(",", ":")).encode()
    return b"".join([MAGIC, struct.pack("<I", len(head)), head, *writer.parts])


def unpack(blob: bytes | memoryview) -> Candles:
    """Raises ValueError for bytes that `pack` did not make, or that were cut short."""
    if bytes(blob[:4]) != MAGIC:
        raise ValueError(f"Expected packed candles, was {bytes(blob[:4])!r}.")
    try:
        return _unpacked(blob)
    except DAMAGED as error:
        raise ValueError(f"Expected whole packed candles, was damaged ones ({error}).") from None


def _unpacked(blob: bytes | memoryview) -> Candles:
    (length,) = struct.unpack_from("<I", blob, 4)
    head = json.loads(bytes(blob[8 : 8 + length]))
    reader = _Reader(blob, 8 + length, head["count"], head["columns"])
    opened_at = np.cumsum(reader.integers("opened_at"))
    prices = reader.prices()
    return Candles(opened_at, *prices, reader.decimals("volume"))


def data_sha256(candles: Candles) -> str:
    """Of the columns' bytes one after the other: open times as little-endian int64, then open, high, low, close and
    volume as little-endian float64. Independent of how the candles are stored."""
    digest = hashlib.sha256(np.ascontiguousarray(candles.opened_at, dtype="<i8").data)
    for column in (candles.open, candles.high, candles.low, candles.close, candles.volume):
        digest.update(np.ascontiguousarray(column, dtype="<f8").data)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Decimals:
    """A float column as whole numbers of its last decimal, and how many representable floats it is off them."""

    places: int
    whole: Millis
    ulps: Millis


class _Writer:
    def __init__(self) -> None:
        self.columns: dict[str, Any] = {}
        self.parts: list[bytes] = []

    def integers(self, name: str, values: Millis) -> None:
        """The first value goes into the head: it is a level, where all others are differences."""
        first, rest = (int(values[0]), values[1:]) if len(values) else (0, values)
        if not len(rest) or int(rest.min()) == int(rest.max()):
            self.columns[name] = {"first": first, "all": int(rest[0]) if len(rest) else 0}
            return
        kind = _narrowest(rest)
        self.columns[name] = {"first": first, "type": kind}
        self.parts.append(rest.astype(kind).tobytes())

    def floats(self, name: str, values: Floats) -> None:
        self.columns[name] = {"type": "<f8"}
        self.parts.append(values.astype("<f8").tobytes())

    def prices(self, candles: Candles) -> None:
        columns = (candles.open, candles.high, candles.low, candles.close)
        needed = [places_of(column) for column in columns]
        places = max((each for each in needed if each is not None), default=0)
        if None in needed or max(float(np.abs(column).max(initial=0.0)) for column in columns) * 10.0**places >= EXACT:
            for name, column in zip(("open", "high", "low", "close"), columns, strict=True):
                self.floats(name, column)
            return
        opened, high, low, close = (as_decimals(column, places) for column in columns)
        before = np.concatenate([np.zeros(min(1, len(candles)), dtype=np.int64), close.whole[:-1]])
        self.columns["places"] = places
        self.integers("close", np.diff(close.whole, prepend=np.int64(0)))
        self.integers("open", opened.whole - before)
        self.integers("high", high.whole - np.maximum(opened.whole, close.whole))
        self.integers("low", np.minimum(opened.whole, close.whole) - low.whole)
        for name, packed in (("open", opened), ("high", high), ("low", low), ("close", close)):
            self.integers(f"{name}_ulps", packed.ulps)

    def volume(self, values: Floats) -> None:
        places = places_of(values)
        if places is None:
            self.floats("volume", values)
            return
        column = as_decimals(values, places)
        self.columns["volume_places"] = places
        self.integers("volume", column.whole)
        self.integers("volume_ulps", column.ulps)


class _Reader:
    def __init__(self, blob: bytes | memoryview, offset: int, count: int, columns: dict[str, Any]) -> None:
        self.blob = blob
        self.count = count
        self.columns = columns
        self.offsets: dict[str, int] = {}
        for name, column in columns.items():
            if isinstance(column, dict) and "type" in column:
                self.offsets[name] = offset
                offset += np.dtype(column["type"]).itemsize * (count - ("first" in column))
        if offset != len(blob):
            raise ValueError(f"Expected {offset} bytes of packed candles, was {len(blob)}.")

    def integers(self, name: str) -> Millis:
        column = self.columns[name]
        values = np.empty(self.count, dtype=np.int64)
        values[1:] = column["all"] if "all" in column else self._array(name, self.count - 1)
        values[:1] = column["first"]
        return values

    def decimals(self, name: str) -> Floats:
        if f"{name}_places" not in self.columns:
            return self._array(name, self.count).astype(np.float64)
        return self._floats(self.integers(name), self.columns[f"{name}_places"], name)

    def prices(self) -> tuple[Floats, Floats, Floats, Floats]:
        if "places" not in self.columns:
            opened, high, low, close = (
                self._array(name, self.count).astype(np.float64) for name in ("open", "high", "low", "close")
            )
            return opened, high, low, close
        closes = np.cumsum(self.integers("close"))
        opens = self.integers("open")
        opens[1:] += closes[:-1]
        highs = self.integers("high")
        highs += np.maximum(opens, closes)
        lows = np.minimum(opens, closes)
        lows -= self.integers("low")
        places = self.columns["places"]
        return (
            self._floats(opens, places, "open"), self._floats(highs, places, "high"),
            self._floats(lows, places, "low"), self._floats(closes, places, "close"),
        )  # fmt: skip

    def _floats(self, whole: Millis, places: int, name: str) -> Floats:
        values: Floats = whole / 10.0**places
        ulps = self.columns[f"{name}_ulps"]
        if ulps.get("all") != 0 or ulps["first"]:
            values = (values.view(np.int64) + self.integers(f"{name}_ulps")).view(np.float64)
        return values

    def _array(self, name: str, count: int) -> Array:
        kind = np.dtype(self.columns[name]["type"])
        return np.frombuffer(self.blob, kind, count, self.offsets[name])


def _narrowest(values: Millis) -> str:
    least, most = int(values.min()), int(values.max())
    return next(kind for kind in NARROW if np.iinfo(kind).min <= least and most <= np.iinfo(kind).max)


def places_of(values: Floats) -> int | None:
    """The fewest decimals that write every value down, give or take two units in the last place of a float."""
    if not np.isfinite(values).all():
        return None
    largest = float(np.abs(values).max(initial=0.0))
    for places in range(MAX_DECIMALS + 1):
        if largest * 10.0**places >= EXACT:
            break
        if np.abs(as_decimals(values, places).ulps).max(initial=0) <= 2:
            return places
    return None


def as_decimals(values: Floats, places: int) -> Decimals:
    whole = np.rint(values * 10.0**places).astype(np.int64)
    nearest = whole / 10.0**places
    return Decimals(places, whole, np.asarray(values, dtype=np.float64).view(np.int64) - nearest.view(np.int64))
