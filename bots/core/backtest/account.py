"""A simulated run's books: fills folded as the live ledger folds them, trades, losses in a row, orders sent."""

from bisect import bisect_right
from datetime import datetime, timedelta
from decimal import Decimal

from bots.core import breaker
from bots.core.backtest.terms import Denied, LegFill, OpenTrade, Outcome, Terms, Trade
from bots.core.breaker import Books, Breaker, ClosedTrade
from bots.core.codes import Code
from bots.core.decision import Decided, Opinion, exit_intent, judged
from bots.core.intent import OrderIntent, Purpose
from bots.core.position import FillFact, Position, book
from bots.core.risk import Situation
from exchanges.core.candles import Candles, from_ms
from exchanges.core.decimals import ZERO, from_float
from exchanges.core.fees import fee_of
from exchanges.core.orders import Side
from strategies.core.plan import Plan
from strategies.core.signals import Signals

MINUTE = timedelta(minutes=1)


class Account:
    """What a live run keeps in its rows, in memory; every figure is the fold of the fills.

    ``plan``: how the position is worked, None for all in and all out.
    """

    def __init__(self, candles: Candles, terms: Terms, plan: Plan | None = None) -> None:
        self.candles, self.terms, self.plan = candles, terms, plan
        self.stakes: list[Decimal] = []
        self.fills: list[LegFill] = []
        self.position = Position()
        self.trades: list[Trade] = []
        self.denied: list[Denied] = []
        self.kept: OpenTrade | None = None
        self.order_times: list[int] = []
        self.loss_streak = 0
        self.last_loss: int | None = None
        self.breakers = [Breaker(name) for name in breaker.switched_on(terms.limits)]
        self.closed: list[ClosedTrade] = []

    @property
    def cash(self) -> Decimal:
        return self.terms.capital + self.position.cash

    @property
    def fee_rate(self) -> Decimal:
        return self.terms.market.taker_fee

    @property
    def side(self) -> Side:
        """Of the order that would come next, and so of the price it would see."""
        return Side.SELL if self.position.amount > 0 else Side.BUY

    def equity(self, price: Decimal) -> Decimal:
        return self.terms.capital + self.position.profit(price)

    def situation(
        self, index: int, price: Decimal, mark: Decimal, peak: Decimal, day_start: Decimal, ask: Decimal | None = None
    ) -> Situation:
        """As of the fill candle's open; ``price`` is what an order would see, ``mark`` what equity is measured at.

        ``ask``: what a further buy would see, where that is not the price.
        """
        opened_at = int(self.candles.opened_at[index])
        equity, recent = self.equity(mark), self._orders_since(opened_at - 60_000)
        return Situation(
            at=from_ms(opened_at),
            market=self.terms.market,
            limits=self.terms.limits,
            position=self.position,
            price=price,
            ask=ask,
            stakes=tuple(self.stakes),
            cash=self.cash,
            equity=equity,
            peak_equity=max(peak, equity),
            day_start_equity=day_start,
            orders_last_minute=recent,
            account_orders_last_minute=recent,
            loss_streak=self.loss_streak,
            last_loss_at=None if self.last_loss is None else from_ms(self.last_loss),
            breakers=tuple(breaker.as_of(one, from_ms(opened_at)) for one in self.breakers),
        )

    def _orders_since(self, ms: int) -> int:
        return len(self.order_times) - bisect_right(self.order_times, ms)

    def carry_out(self, decided: Decided, index: int) -> bool:
        """Fill what was decided at the candle's open, or note the denial; whether something was filled."""
        if decided.intent is not None:
            self._fill(decided.intent, index, index - 1, decided.code)
            return True
        if decided.code not in QUIET:
            self.denied.append(Denied(index, decided.code))
        return False

    def protect(self, now: Situation, index: int, code: Code) -> bool:
        """Sell what a touched level asks for, if the exchange would take the order."""
        decided = judged(exit_intent(now, Purpose.STOP), now, code, "")
        if decided.intent is None:
            self.denied.append(Denied(index, decided.code))
            return False
        self._fill(decided.intent, index, None, code)
        return True

    def _fill(self, intent: OrderIntent, index: int, signal: int | None, code: Code) -> None:
        market, price, opened_at = self.terms.market, intent.price, int(self.candles.opened_at[index])
        fee = fee_of(intent.amount * price, self.fee_rate)
        fact = FillFact(intent.side, intent.amount, price, fee, market.quote, from_ms(opened_at))
        booked = book(self.position, fact, market.base, market.quote)
        self.order_times.append(opened_at)
        self.position = booked.position
        if self.plan is not None:
            self.fills.append(LegFill(index, intent.side, price, intent.amount, fee, intent.slot_leg))
        if booked.pnl is None:
            self._enter(index, price, intent.amount, fee)
        else:
            self._close(index, price, signal, fee, booked.pnl, code)

    def _enter(self, index: int, price: Decimal, amount: Decimal, fee: Decimal) -> None:
        """A new trade, or one more stake of it: then the entry price is the average."""
        kept = self.kept
        if kept is None:
            self.stakes, self.kept = [price], OpenTrade(index - 1, index, price, amount, fee)
        else:
            self.stakes.append(price)
            average = self.position.entry_price
            self.kept = kept._replace(entry_price=average, amount=kept.amount + amount, fee=kept.fee + fee)

    def _close(self, index: int, price: Decimal, signal: int | None, fee: Decimal, pnl: Decimal, code: Code) -> None:
        kept = self.kept
        if kept is None or self.position.amount != ZERO:
            raise AssertionError(f"Expected a position that one sell closes, {self.position.amount} was left.")
        self.trades.append(
            Trade(
                kept.signal, kept.entry, signal, index, kept.entry_price, price, kept.amount,
                kept.fee, kept.fee + fee, pnl, code,
            )
        )  # fmt: skip
        self.kept, self.stakes = None, []
        self._remember(kept.entry, index, pnl, code)

    def _remember(self, entry: int, index: int, pnl: Decimal, code: Code) -> None:
        """What the protections ask for, after a sell."""
        if self.breakers:
            self._judge(from_ms(int(self.candles.opened_at[entry])), index, pnl, code)
        if pnl < 0:
            self.loss_streak, self.last_loss = self.loss_streak + 1, int(self.candles.opened_at[index])
        else:
            self.loss_streak = 0

    def _judge(self, entered_at: datetime, index: int, pnl: Decimal, code: Code) -> None:
        """As live: what the trade has made of the circuit breakers. Equity is judged where an entry is decided."""
        at = from_ms(int(self.candles.opened_at[index]))
        self.closed.append(ClosedTrade(entered_at, at, pnl, code))
        books = Books(self.terms.capital)
        self.breakers = [breaker.after_trade(one, self.closed, self.terms.limits, books) for one in self.breakers]

    def outcome(self) -> Outcome:
        return Outcome(self.trades, self.kept, self.position, self.denied, self.fills)


#: Decisions that are no denial.
QUIET = frozenset({Code.WARMING_UP, Code.NO_SIGNAL, Code.ALREADY_IN_POSITION, Code.NO_POSITION_TO_SELL})


def opinion_on(signals: Signals, candles: Candles, index: int) -> Opinion:
    """The opinion without its wording: a backtest makes thousands of decisions and shows a few."""
    return Opinion(
        candle_opened_at=from_ms(int(candles.opened_at[index])),
        close=from_float(candles.close[index]),
        entry=bool(signals.entry[index]),
        exit=bool(signals.exit[index]),
        ready=bool(signals.ready[index]),
        confidence=float(signals.confidence[index]),
        reason_flat="",
        reason_holding="",
        plan=signals.plan,
    )
