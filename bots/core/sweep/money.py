"""What every stay of a set buys: all in, the amount floored to the market's step as the exact ledger floors it."""

from typing import Final

import numpy as np

from bots.core.backtest.terms import Terms, worst_sell_price
from exchanges.core.candles import Candles
from exchanges.core.decimals import from_float
from strategies.core.signals import Flags, Floats

#: Money that buys a whole number of steps may be off by its last bits in float.
ROOM: Final = 1 + 1e-12
#: A float from here on has no fraction: to add it less a half, and take it off again, is to floor.
WHOLE: Final = 2.0**52
#: Of so many steps the last one is no part of any figure.
FINE: Final = 1e8
#: Of the largest order: from here on it is looked at.
NEARLY: Final = 0.9


class Purse:
    """One run's money on one market; amounts are counted in steps."""

    def __init__(self, candles: Candles, terms: Terms) -> None:
        market = terms.market
        self.capital, self.fee, self.step = float(terms.capital), float(terms.fee), float(market.amount_step)
        self.most = np.inf if not market.max_amount else float(market.round_amount(market.max_amount)) / self.step
        least = max(float(market.min_amount), self.step)
        if market.min_notional:
            lowest = worst_sell_price(from_float(candles.low.min()), terms) if len(candles) else 0
            least = max(least, float(market.min_notional / lowest) if lowest else np.inf)
        #: With fewer steps an order might be refused at some price of these candles.
        self.least = least / self.step * (ROOM if least > self.step else 1.0)

    def spent(self, paid: Floats, got: Floats, closed: Flags) -> tuple[Floats, Floats] | None:
        """(cash before, amount) of each stay by its prices; None where the market might refuse an order."""
        dear = paid * (1 + self.fee)
        gains = got * (1 - self.fee) - dear
        gains[~closed] = 0.0
        cash = self.capital * np.concatenate([[1.0], np.cumprod(1 + gains[:-1] / dear[:-1])])
        steps = cash / (dear * self.step)
        capped = steps.max() > self.most * NEARLY
        if steps.min() > max(FINE, self.least) and not capped:
            return cash, cash / dear
        steps = np.array(self._walk(ROOM / (dear * self.step), gains * self.step, capped=capped))
        if steps.min() < self.least:
            return None
        cash = self.capital + np.concatenate([[0.0], np.cumsum(steps * gains)[:-1] * self.step])
        return cash, steps * self.step

    def _walk(self, buying: Floats, gains: Floats, *, capped: bool) -> list[float]:
        """How many steps each stay buys with what the ones before have left, ``buying`` so many per unit of money."""
        cash, found = self.capital, list[float]()
        append, under = found.append, WHOLE - 0.5
        most = self.most if capped else WHOLE
        for share, gain in zip(buying.tolist(), gains.tolist(), strict=True):
            steps = cash * share + under - WHOLE
            if steps > most:
                steps = most
            append(steps)
            cash += steps * gain
        return found
