"""Columns of an Arrow (feather) file that hold times or numbers, found by its footer.

Every place in the file is computed here, in a language that notices when it lies outside; a library gets nothing but
single packed columns, with the room that they may fill. Layout: Apache Arrow's "IPC File Format" with the tables of
``File.fbs``, ``Schema.fbs`` and ``Message.fbs``, in FlatBuffers.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import cramjam
import numpy as np
import numpy.typing as npt

MAGIC: Final = b"ARROW1"
# The type union of Schema.fbs, and how many buffers a column of each takes in a batch.
FLOAT, TIMESTAMP = 3, 10
TYPES: Final = {
    1: "null", 2: "int", FLOAT: "float", 4: "binary", 5: "text", 6: "bool", 7: "decimal", 8: "date", 9: "time",
    TIMESTAMP: "timestamp", 11: "interval", 15: "fixed binary", 18: "duration", 19: "binary", 20: "text",
}  # fmt: skip
BUFFERS: Final = {"null": 0, "binary": 3, "text": 3}
UNITS: Final = ("s", "ms", "us", "ns")
CODECS: Final = (cramjam.lz4, cramjam.zstd)
# More of either than any writer makes, and few enough to look at.
MOST_FIELDS, MOST_BATCHES = 10_000, 100_000


class ArrowFileError(ValueError):
    """Not an Arrow file, only a part of one, or one with other columns."""


@dataclass(frozen=True, slots=True)
class Column:
    """``unit`` is that of a timestamp, whose values are int64, and empty for float64; ``absent`` ones mean nothing."""

    unit: str
    values: npt.NDArray[Any]
    absent: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Place:
    """Which node and which buffers of every batch are a column's."""

    node: int
    buffer: int
    unit: str


def read_columns(raw: bytes, names: Sequence[str], most: int) -> dict[str, Column]:
    """The named columns, whole. Raises ArrowFileError, also where they would fill more than ``most`` bytes."""
    if not raw.startswith(MAGIC):
        raise ArrowFileError("Expected an Arrow (feather) file, was something else.")
    if not raw.endswith(MAGIC) or len(raw) < 24:
        raise ArrowFileError("Expected a whole Arrow (feather) file, was one that breaks off.")
    try:
        return _Reader(raw).columns(names, most)
    except (struct.error, IndexError, OverflowError, UnicodeDecodeError, cramjam.DecompressionError):
        raise ArrowFileError("Expected a whole Arrow (feather) file, was a damaged one.") from None


class _Reader:
    """Reads little-endian numbers and FlatBuffers tables at places in one file."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        (length,) = struct.unpack_from("<i", raw, len(raw) - 10)
        self.footer = self._pointed(len(raw) - 10 - length)

    def columns(self, names: Sequence[str], most: int) -> dict[str, Column]:
        places = self._places(names)
        batches = [(batch, body, self._whole(batch, 0)) for batch, body in self._batches()]
        rows = sum(count for _, _, count in batches)
        if any(count < 0 for _, _, count in batches):
            raise ArrowFileError("Expected a whole Arrow (feather) file, was a damaged one.")
        if rows * 8 * len(names) > most:
            raise ArrowFileError(f"Expected at most {most / 1024 / 1024:,.0f} MB unpacked, was more.")
        found = {}
        for name, place in places.items():
            parts = [self._part(batch, body, count, place) for batch, body, count in batches]
            kind = np.int64 if place.unit else np.float64
            values = [np.frombuffer(data, kind) for data, _ in parts]
            found[name] = Column(
                place.unit,
                np.concatenate(values) if values else np.empty(0, kind),
                np.concatenate([absent for _, absent in parts]) if parts else np.empty(0, bool),
            )
        return found

    def _places(self, names: Sequence[str]) -> dict[str, _Place]:
        schema = self._table(self.footer, 1)
        if self._number("<h", schema, 0):
            raise ArrowFileError("Expected a little-endian Arrow (feather) file, was a big-endian one.")
        found: dict[str, _Place] = {}
        buffer = 0
        for node, field in enumerate(self._vector(schema, 1, 4, MOST_FIELDS)):
            table = self._pointed(field)
            name = self._text(table, 0)
            if name in names:
                found[name] = _Place(node, buffer, self._unit(table, name))
            if len(found) == len(names):
                return found
            buffer += self._buffers(table, name)
        absent = ", ".join(name for name in names if name not in found)
        raise ArrowFileError(f"Expected the columns {', '.join(names)}, was one without {absent}.")

    def _unit(self, field: int, name: str) -> str:
        kind = self._number("<B", field, 2)
        details = self._table(field, 3)
        if kind == TIMESTAMP and not self._slot(field, 4):
            return UNITS[self._number("<h", details, 0)]
        if kind == FLOAT and not self._slot(field, 4) and self._number("<h", details, 0) == 2:
            return ""
        raise ArrowFileError(f"Expected a timestamp or doubles in the column {name}, was {self._kind(kind)}.")

    def _buffers(self, field: int, name: str) -> int:
        """How many a column takes that stands before the ones that are wanted."""
        kind = self._number("<B", field, 2)
        if self._slot(field, 4):
            return 2
        if kind not in TYPES:
            raise ArrowFileError(f"Expected plain columns before the candles, was {name} with {self._kind(kind)}.")
        return BUFFERS.get(TYPES[kind], 2)

    def _kind(self, kind: int) -> str:
        return TYPES.get(kind, f"Arrow's type {kind}") if kind != FLOAT else "floats of another width"

    def _batches(self) -> Iterator[tuple[int, int]]:
        """Each batch's table, and where its body begins."""
        for block in self._vector(self.footer, 3, 24, MOST_BATCHES):
            offset, metadata = struct.unpack_from("<qi", self.raw, block)
            marker = struct.unpack_from("<I", self.raw, offset)[0]
            message = self._pointed(offset + (8 if marker == 0xFFFFFFFF else 4))
            yield self._table(message, 2), offset + metadata

    def _part(self, batch: int, body: int, rows: int, place: _Place) -> tuple[bytes | memoryview, Any]:
        """A column's bytes in one batch, and which of its values are absent."""
        length, missing = struct.unpack_from("<qq", self.raw, self._item(batch, 1, place.node))
        if length != rows:
            raise ArrowFileError("Expected columns of one length, was a damaged Arrow (feather) file.")
        data = self._bytes(batch, body, place.buffer + 1, rows * 8)
        if not missing:
            return data, np.zeros(rows, dtype=bool)
        bits = np.frombuffer(self._bytes(batch, body, place.buffer, (rows + 7) // 8), np.uint8)
        return data, np.unpackbits(bits, count=rows, bitorder="little") == 0

    def _bytes(self, batch: int, body: int, index: int, wanted: int) -> memoryview:
        """The first ``wanted`` bytes of one of a batch's buffers, unpacked."""
        offset, length = struct.unpack_from("<qq", self.raw, self._item(batch, 2, index))
        start, end = body + offset, body + offset + length
        if not 0 <= start <= end <= len(self.raw):
            raise ArrowFileError("Expected a whole Arrow (feather) file, was one that breaks off.")
        data = memoryview(self.raw)[start:end]
        if self._slot(batch, 3) and length:
            data = self._unpacked(data, self._number("<b", self._table(batch, 3), 0), wanted)
        if len(data) < wanted:
            raise ArrowFileError("Expected a whole Arrow (feather) file, was a damaged one.")
        return data[:wanted]

    @staticmethod
    def _unpacked(data: memoryview, codec: int, wanted: int) -> memoryview:
        """A packed buffer begins with its length; -1 says that this one was left as it is."""
        (length,) = struct.unpack_from("<q", data)
        if length == -1:
            return data[8:]
        # Writers pad to 64 bytes at most.
        if not wanted <= length <= wanted + 64:
            raise ArrowFileError("Expected a whole Arrow (feather) file, was a damaged one.")
        room = np.empty(length, np.uint8)
        if CODECS[codec].decompress_into(data[8:], room) != length:
            raise ArrowFileError("Expected a whole Arrow (feather) file, was a damaged one.")
        return room.data

    def _whole(self, table: int, index: int) -> int:
        return self._number("<q", table, index)

    def _number(self, form: str, table: int, index: int) -> int:
        """A table's number; 0 when it is not written."""
        at = self._slot(table, index)
        return int(struct.unpack_from(form, self.raw, at)[0]) if at else 0

    def _text(self, table: int, index: int) -> str:
        at = self._table(table, index)
        (length,) = struct.unpack_from("<I", self.raw, at)
        return self.raw[at + 4 : at + 4 + length].decode()

    def _vector(self, table: int, index: int, width: int, most: int) -> Iterator[int]:
        """Where each item of a table's vector stands."""
        start = self._table(table, index)
        (count,) = struct.unpack_from("<I", self.raw, start)
        if count > most:
            raise ArrowFileError("Expected a whole Arrow (feather) file, was a damaged one.")
        return (start + 4 + width * i for i in range(count))

    def _item(self, table: int, vector: int, index: int) -> int:
        """The place of one of the 16-byte items of a table's vector."""
        start = self._table(table, vector)
        if index >= struct.unpack_from("<I", self.raw, start)[0]:
            raise IndexError(index)
        return start + 4 + 16 * index

    def _table(self, table: int, index: int) -> int:
        """What a table's field points to; IndexError when it has none."""
        at = self._slot(table, index)
        if not at:
            raise IndexError(index)
        return self._pointed(at)

    def _pointed(self, at: int) -> int:
        return at + int(struct.unpack_from("<I", self.raw, at)[0])

    def _slot(self, table: int, index: int) -> int:
        """Where a table's field stands; 0 when it has none."""
        vtable = table - struct.unpack_from("<i", self.raw, table)[0]
        (size,) = struct.unpack_from("<H", self.raw, vtable)
        place = 4 + 2 * index
        offset = struct.unpack_from("<H", self.raw, vtable + place)[0] if place < size else 0
        return table + offset if offset else 0
