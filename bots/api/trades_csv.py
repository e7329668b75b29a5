"""The trade log as CSV, streamed, safe to open in a spreadsheet."""

import csv
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from decimal import Decimal
from itertools import islice

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from bots.queries.shapes import TradeView
from bots.schemas import TradeOut
from exchanges.core.decimals import plain
from exchanges.schemas import z_text

COLUMNS = tuple(TradeOut.model_fields)
#: Spreadsheets run a cell that begins with one of these.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
ROWS_AT_ONCE = 500


class _Line:
    """What the csv module writes to: it hands each line back."""

    def write(self, line: str) -> str:
        return line


def csv_answer(request: HttpRequest, trades: Iterator[TradeView]) -> StreamingHttpResponse:
    chunks = _chunks(trades)
    content = _asynchronously(chunks) if isinstance(request, ASGIRequest) else chunks
    headers = {"Content-Disposition": 'attachment; filename="trades.csv"'}
    return StreamingHttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)


def csv_lines(trades: Iterator[TradeView]) -> Iterator[str]:
    writer = csv.writer(_Line())
    yield writer.writerow(COLUMNS)
    for trade in trades:
        yield writer.writerow([cell(getattr(trade, name)) for name in COLUMNS])


def cell(value: object) -> str:
    """Numbers plain, times with Z, nothing as nothing; a text never as a formula."""
    match value:
        case None:
            return ""
        case Decimal():
            return plain(value)
        case datetime():
            return z_text(value)
        case str() if value.startswith(FORMULA):
            return f"'{value}"
    return str(value)


def _chunks(trades: Iterator[TradeView]) -> Iterator[str]:
    lines = csv_lines(trades)
    while chunk := "".join(islice(lines, ROWS_AT_ONCE)):
        yield chunk


async def _asynchronously(chunks: Iterator[str]) -> AsyncIterator[str]:
    """One chunk at a time; Django itself would collect all of them first."""
    following = sync_to_async(lambda: next(chunks, None))
    while (chunk := await following()) is not None:
        yield chunk
