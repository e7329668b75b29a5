"""Rows as a CSV file: streamed, plain numbers, safe to open in a spreadsheet."""

import csv
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
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

TRADE_COLUMNS = tuple(TradeOut.model_fields)
#: Spreadsheets run a cell that begins with one of these.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
LINES_AT_ONCE = 500


class _Line:
    """What the csv module writes to: it hands each line back."""

    def write(self, line: str) -> str:
        return line


def csv_answer(request: HttpRequest, lines: Iterable[str], name: str) -> StreamingHttpResponse:
    """The lines, each with its end, as a file to download; a list however long is never held whole."""
    blocks = _blocks(iter(lines))
    content = _asynchronously(blocks) if isinstance(request, ASGIRequest) else blocks
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)


def trade_lines(trades: Iterable[TradeView]) -> Iterator[str]:
    """The trade log under the API's names."""
    return csv_lines(TRADE_COLUMNS, ([cell(getattr(trade, name)) for name in TRADE_COLUMNS] for trade in trades))


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    writer = csv.writer(_Line())
    yield str(writer.writerow(columns))
    for row in rows:
        yield str(writer.writerow(row))


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


def _blocks(lines: Iterator[str]) -> Iterator[str]:
    while block := "".join(islice(lines, LINES_AT_ONCE)):
        yield block


async def _asynchronously(blocks: Iterator[str]) -> AsyncIterator[str]:
    """One block at a time; Django itself would collect all of them first."""
    following = sync_to_async(lambda: next(blocks, None))
    while (block := await following()) is not None:
        yield block
