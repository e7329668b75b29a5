"""What the candle commands share: naming a market, failures and how coverage is shown."""

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from django.core.management.base import CommandParser

from accounts.management.base import ConsoleCommand, Exit
from exchanges.core.candle_check import Gap
from exchanges.core.candle_table import CandleFileError
from exchanges.core.candles import TIMEFRAMES
from exchanges.core.errors import ExchangeFault, UnknownExchange, UnknownSymbol, UnknownTimeframe

GAPS_SHOWN = 10


class CandleCommand(ConsoleCommand):
    failures: ClassVar[Mapping[type[Exception], int]] = {
        **ConsoleCommand.failures,
        CandleFileError: Exit.INVALID,
        UnknownTimeframe: Exit.INVALID,
        UnknownExchange: Exit.NOT_FOUND,
        UnknownSymbol: Exit.NOT_FOUND,
        FileNotFoundError: Exit.NOT_FOUND,
        IsADirectoryError: Exit.INVALID,
        PermissionError: Exit.REFUSED,
        ExchangeFault: Exit.UNAVAILABLE,
    }

    def add_market(self, parser: CommandParser, *, required: bool = True, named: bool = False) -> None:
        """``named``: symbol and timeframe may be left to a file's name."""
        told = "default: as the file's name says" if named else None
        parser.add_argument("--exchange", required=required, type=exchange_name, metavar="NAME")
        parser.add_argument(
            "--symbol", required=required and not named, type=symbol_name, metavar="BASE/QUOTE", help=told
        )
        parser.add_argument(
            "--timeframe", required=required and not named, choices=tuple(TIMEFRAMES), metavar="TIMEFRAME", help=told
        )


def exchange_name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,31}", text):
        raise argparse.ArgumentTypeError(f"Expected a name in small letters such as binance, was {text!r}.")
    return text


def symbol_name(text: str) -> str:
    if not re.fullmatch(r"[A-Z0-9]{1,15}/[A-Z0-9]{1,15}", text):
        raise argparse.ArgumentTypeError(f"Expected a symbol such as BTC/USDT, was {text!r}.")
    return text


def market_of(options: Mapping[str, Any]) -> tuple[str, str, str]:
    return options["exchange"], options["symbol"], options["timeframe"]


def title(market: Sequence[str]) -> str:
    return " ".join(market)


def moment(at: datetime | None) -> str:
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def count_line(gaps: Sequence[Gap], missing: int, zero_volume: int) -> str:
    return f"  {len(gaps):,} gaps with {missing:,} missing candles, {zero_volume:,} without volume"


def gap_lines(gaps: Sequence[Gap]) -> Iterator[str]:
    """The longest gaps, in the order of time."""
    longest = sorted(sorted(gaps, key=lambda gap: -gap.missing)[:GAPS_SHOWN], key=lambda gap: gap.start)
    for gap in longest:
        yield f"  gap from {moment(gap.start)}: {gap.missing:,} missing"
    if len(gaps) > len(longest):
        yield f"  and {len(gaps) - len(longest):,} shorter gaps"


def gap_documents(gaps: Sequence[Gap]) -> list[dict[str, object]]:
    return [{"start": gap.start, "missing": gap.missing} for gap in gaps]
