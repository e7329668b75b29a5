"""Which trades two backtests share: those that were entered at the same instant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from exchanges.core.decimals import ZERO

Trade = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Overlap:
    """``shared`` holds both sides of each common entry; the others are in the order of time."""

    shared: Sequence[tuple[Trade, Trade]]
    only_first: Sequence[Trade]
    only_second: Sequence[Trade]

    @property
    def share_pct(self) -> float | None:
        """Common entries of all that either made; None where neither traded."""
        every = len(self.shared) + len(self.only_first) + len(self.only_second)
        return 100 * len(self.shared) / every if every else None

    @property
    def alike(self) -> int:
        """Of the common entries those that were left at the same instant, too."""
        return sum(first["exit_at"] == second["exit_at"] for first, second in self.shared)

    @property
    def pnl(self) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        """(shared of the first, shared of the second, only the first's, only the second's), net of fees."""
        return (
            total([first for first, _ in self.shared]),
            total([second for _, second in self.shared]),
            total(self.only_first),
            total(self.only_second),
        )


def overlap(first: Sequence[Trade], second: Sequence[Trade]) -> Overlap:
    """Of closed trades as reports keep them; a backtest enters at most once at an instant."""
    by_entry = {trade["entry_at"]: trade for trade in second}
    known = {trade["entry_at"] for trade in first}
    return Overlap(
        shared=[(trade, by_entry[trade["entry_at"]]) for trade in first if trade["entry_at"] in by_entry],
        only_first=[trade for trade in first if trade["entry_at"] not in by_entry],
        only_second=[trade for trade in second if trade["entry_at"] not in known],
    )


def total(trades: Sequence[Trade]) -> Decimal:
    return sum((Decimal(trade["pnl"]) for trade in trades), ZERO)
