"""How a strategy's position is worked where one order in and one order out are not all there is."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Scaling:
    """One position, bought in up to ``stakes`` equal parts of the capital.

    A further part is bought only at ``drop_pct`` percent under the last one's price, or lower.
    """

    stakes: int
    drop_pct: Decimal

    def highest(self, last: Decimal) -> Decimal:
        """The highest price at which a part may follow one that was bought at ``last``."""
        return last * (1 - self.drop_pct / 100)


@dataclass(frozen=True, slots=True)
class Grid:
    """Lines at fixed prices, the lowest first: bought at one, sold at the next one up, each with its own money."""

    lines: tuple[Decimal, ...]

    @property
    def cells(self) -> int:
        """Pairs of neighboring lines: as many parts of the capital."""
        return len(self.lines) - 1


Plan = Scaling | Grid
