"""Show what candles are stored, their gaps, and whether they are still what was saved."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from django.core.management.base import CommandParser

from accounts.management.base import Exit, Failure
from exchanges import candle_store
from exchanges.candle_store import Coverage
from exchanges.management.candles import CandleCommand, count_line, gap_documents, gap_lines, moment, title


class Command(CandleCommand):
    help = "Show stored candles with their gaps and check them against their checksums."

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_market(parser, required=False)

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = {name: options[name] for name in ("exchange", "symbol", "timeframe") if options[name]}
        markets = [
            (found.exchange, found.symbol, found.timeframe)
            for found in candle_store.datasets()
            if all(getattr(found, name) == value for name, value in wanted.items())
        ]
        if wanted and not markets:
            raise Failure(f"No candles of {title(list(wanted.values()))} are stored.", Exit.NOT_FOUND)
        found = [(candle_store.coverage(*market), candle_store.problems(*market)) for market in markets]
        known = [(coverage, problems) for coverage, problems in found if coverage is not None]
        self.emit(
            {"items": [document(coverage, problems) for coverage, problems in known]},
            [line for coverage, problems in known for line in lines(coverage, problems)] or ["No candles are stored."],
        )
        if any(problems for _, problems in known):
            raise Failure("Some stored candles are damaged: import or download them again.", Exit.INVALID)


def document(coverage: Coverage, problems: list[str]) -> dict[str, object]:
    facts = {field.name: getattr(coverage, field.name) for field in fields(coverage)}
    return {**facts, "gaps": gap_documents(coverage.gaps), "problems": problems}


def lines(coverage: Coverage, problems: list[str]) -> Iterator[str]:
    name = title((coverage.exchange, coverage.symbol, coverage.timeframe))
    yield f"{name}: {coverage.candles:,} candles from {moment(coverage.first)} to {moment(coverage.last)} UTC"
    yield count_line(coverage.gaps, coverage.missing, coverage.zero_volume)
    yield from gap_lines(coverage.gaps)
    yield f"  {coverage.source}, {moment(coverage.stored_at)} UTC"
    yield from (f"  DAMAGED {problem}" for problem in problems)
