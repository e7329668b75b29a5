"""How the simulated exchange matches: the same rules for paper runs and for backtests.

An order meets `Point`s, each a price that held from an instant on, or a whole candle:

    market                 fills at the point's open, ± slippage
    limit, immediate       fills at the first point's open when that is within the limit, else expires
    limit                  fills at the open when within the limit, else at the limit when the point's range touches it
    stop-loss              waits for the trigger, then fills like a market order at the trigger (or at the open, when
                           the price jumped over it), or becomes the limit order it names from the next point on

By default the first such point fills the whole amount. With ``volume_share`` a point fills no more than that share of
its volume, and the rest waits for the next one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from exchanges.core.decimals import ONE, ZERO, plain
from exchanges.core.errors import InvalidRequest
from exchanges.core.fees import fee_for, fee_of
from exchanges.core.market import Market
from exchanges.core.orders import OrderRequest, OrderType, ReportStatus, Side
from exchanges.core.slippage import slipped


@dataclass(frozen=True, slots=True)
class SimulationModel:
    """How kind the simulation is; the default fills everything at the quote.

    ``fee`` as a fraction replaces the market's own fees; ``fee_in_base`` takes a buy's fee from the base even where
    the market does not; ``latency`` passes between our sending an order and the exchange's matching it.
    """

    fee: Decimal | None = None
    slippage_bps: Decimal = ZERO
    fee_in_base: bool = False
    volume_share: Decimal | None = None
    latency: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Point:
    """Prices from ``at`` on; a single price has high == low == open. ``volume`` is None where nobody counts it."""

    at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    volume: Decimal | None = None

    @classmethod
    def of(cls, at: datetime, price: Decimal) -> "Point":
        return cls(at, price, price, price)


@dataclass(frozen=True, slots=True)
class WorkingOrder:
    """An accepted order as the exchange keeps it: what was asked, what is filled, whether its stop was hit."""

    side: Side
    type: OrderType
    amount: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    immediate: bool = False
    filled: Decimal = ZERO
    triggered: bool = False

    @property
    def remaining(self) -> Decimal:
        return self.amount - self.filled

    @property
    def waits_for_stop(self) -> bool:
        return self.type is OrderType.STOP_LOSS and not self.triggered

    @property
    def rests(self) -> bool:
        """Whether it may wait for a better price, rather than take the next one."""
        return self.waits_for_stop or (self.limit_price is not None and not self.immediate)


@dataclass(frozen=True, slots=True)
class Execution:
    amount: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    at: datetime

    @property
    def notional(self) -> Decimal:
        return self.amount * self.price


@dataclass(frozen=True, slots=True)
class Progress:
    """An order after some points: its new state, its new status and what was executed on the way."""

    order: WorkingOrder
    status: ReportStatus
    executions: tuple[Execution, ...] = field(default=())


def advance(
    order: WorkingOrder, points: Iterable[Point], market: Market, model: SimulationModel, funds: Decimal
) -> Progress:
    """Let ``order`` meet ``points``, oldest first, until it ends.

    ``funds`` is what it may spend: quote for a buy, base for a sell. An order whose funds do not reach (the price ran
    away while nobody could see it) fills as far as they do and expires.
    """
    executions: list[Execution] = []
    for point in points:
        price = fill_price(order, point, market, model)
        if price is None:
            order = replace(order, triggered=order.triggered or triggers(order, point))
            if order.immediate:
                return Progress(order, ReportStatus.EXPIRED, tuple(executions))
            continue
        wanted = _share(order.remaining, point, market, model)
        execution = _execute(
            order, min(wanted, affordable(order, price, funds, market, model)), price, point, market, model
        )
        order = replace(order, triggered=order.type is OrderType.STOP_LOSS, filled=order.filled + execution.amount)
        if execution.amount:
            executions.append(execution)
            funds -= spent(order.side, execution, market)
        status = _status(order, starved=execution.amount < wanted)
        if status.final:
            return Progress(order, status, tuple(executions))
    return Progress(order, ReportStatus.OPEN, tuple(executions))


def triggers(order: WorkingOrder, point: Point) -> bool:
    """Whether the point reaches the stop: a sell's from above, a buy's from below."""
    if order.type is not OrderType.STOP_LOSS or order.stop_price is None:
        return False
    return point.low <= order.stop_price if order.side is Side.SELL else point.high >= order.stop_price


def fill_price(order: WorkingOrder, point: Point, market: Market, model: SimulationModel) -> Decimal | None:
    """The price at which the point fills the order, or None."""
    if order.waits_for_stop:
        if not triggers(order, point) or order.limit_price is not None:
            return None
        return slipped(_stop_fill(order, point), order.side, model.slippage_bps, market)
    if order.limit_price is None:
        return slipped(point.open, order.side, model.slippage_bps, market)
    if _within(order.side, point.open, order.limit_price):
        return _better(order.side, slipped(point.open, order.side, model.slippage_bps, market), order.limit_price)
    reached = point.low if order.side is Side.BUY else point.high
    return order.limit_price if order.rests and _within(order.side, reached, order.limit_price) else None


def check(order: OrderRequest, market: Market, price: Decimal | None) -> None:
    """Raise InvalidRequest where the exchange's rules refuse the order; ``price`` is the present one, if known."""
    _check_kind(order)
    _check_amount(order.amount, market)
    for name, value in (("limit price", order.limit_price), ("stop price", order.stop_price)):
        if value is not None and (value <= 0 or value % market.price_tick):
            raise InvalidRequest(f"Expected a {name} in steps of {plain(market.price_tick)}, was {plain(value)}.")
    valued_at = order.limit_price or order.stop_price or price
    if valued_at is not None and order.amount * valued_at < market.min_notional:
        raise InvalidRequest(
            f"Expected an order worth at least {plain(market.min_notional)} {market.quote}, "
            f"was {plain(order.amount * valued_at)}."
        )
    if price is not None and order.stop_price is not None and triggers(working(order), Point.of(order.sent_at, price)):
        raise InvalidRequest(f"The stop price {plain(order.stop_price)} would trigger at once.")


def working(order: OrderRequest) -> WorkingOrder:
    return WorkingOrder(
        order.side, order.type, order.amount, order.limit_price, order.stop_price, immediate=order.immediate
    )


def funds_needed(order: WorkingOrder, price: Decimal | None, market: Market, model: SimulationModel) -> Decimal:
    """What the exchange sets aside when it accepts the order: base for a sell, quote for a buy.

    A buy is valued at its limit, else its stop, else the present price; without any of these nothing is set aside.
    An immediate buy never rests, so that it is valued at the present price where that is better than its limit.
    """
    if order.side is Side.SELL:
        return order.remaining
    valued_at = order.limit_price or order.stop_price or price
    if order.immediate and price is not None and valued_at is not None:
        valued_at = min(valued_at, price)
    if valued_at is None:
        return ZERO
    notional = order.remaining * slipped(valued_at, order.side, _slippage(order, model), market)
    return notional if _in_base(market, model) else notional + fee_of(notional, _rate(market, model))


def affordable(order: WorkingOrder, price: Decimal, funds: Decimal, market: Market, model: SimulationModel) -> Decimal:
    """The largest amount that ``funds`` pay for at ``price``, in the market's steps."""
    if order.side is Side.SELL:
        return market.round_amount(funds)
    rate = ZERO if _in_base(market, model) else _rate(market, model)
    return market.round_amount(max(funds, ZERO) / (price * (ONE + rate)))


def spent(side: Side, execution: Execution, market: Market) -> Decimal:
    """What a fill takes from the funds of its order: quote with its fee, or base."""
    if side is Side.SELL:
        return execution.amount
    return execution.notional + (execution.fee if execution.fee_asset == market.quote else ZERO)


def balance_changes(side: Side, execution: Execution, market: Market) -> dict[str, Decimal]:
    """What a fill does to the account, by asset."""
    sign = 1 if side is Side.BUY else -1
    changes = {market.base: sign * execution.amount, market.quote: -sign * execution.notional}
    changes[execution.fee_asset] -= execution.fee
    return changes


def _check_kind(order: OrderRequest) -> None:
    if (order.type is OrderType.STOP_LOSS) != (order.stop_price is not None):
        raise InvalidRequest(f"Expected a stop price for a stop order only, was {order.type} with {order.stop_price}.")
    if order.type is OrderType.MARKET and order.limit_price is not None:
        raise InvalidRequest("Expected a market order without a limit price.")
    if order.type is OrderType.LIMIT and order.limit_price is None:
        raise InvalidRequest("Expected a limit order with its limit price.")
    if order.immediate and order.type is not OrderType.LIMIT:
        raise InvalidRequest(f"Expected immediate-or-cancel on a limit order only, was {order.type}.")


def _check_amount(amount: Decimal, market: Market) -> None:
    if amount <= 0 or amount != market.round_amount(amount):
        raise InvalidRequest(f"Expected an amount in steps of {plain(market.amount_step)}, was {plain(amount)}.")
    if amount < market.min_amount:
        raise InvalidRequest(f"Expected an amount of at least {plain(market.min_amount)}, was {plain(amount)}.")
    if market.max_amount is not None and amount > market.max_amount:
        raise InvalidRequest(f"Expected an amount of at most {plain(market.max_amount)}, was {plain(amount)}.")


def _stop_fill(order: WorkingOrder, point: Point) -> Decimal:
    stop = order.stop_price or ZERO
    return min(point.open, stop) if order.side is Side.SELL else max(point.open, stop)


def _within(side: Side, price: Decimal, limit: Decimal) -> bool:
    return price <= limit if side is Side.BUY else price >= limit


def _better(side: Side, price: Decimal, limit: Decimal) -> Decimal:
    return min(price, limit) if side is Side.BUY else max(price, limit)


def _share(remaining: Decimal, point: Point, market: Market, model: SimulationModel) -> Decimal:
    if model.volume_share is None or point.volume is None:
        return remaining
    return min(remaining, market.round_amount(point.volume * model.volume_share))


def _execute(
    order: WorkingOrder, amount: Decimal, price: Decimal, point: Point, market: Market, model: SimulationModel
) -> Execution:
    waited = order.limit_price is not None and not _within(order.side, point.open, order.limit_price)
    rate = _rate(market, model, maker=waited)
    fee, asset = fee_for(market, order.side, amount, price, rate, in_base=_in_base(market, model))
    return Execution(amount, price, fee, asset, point.at)


def _status(order: WorkingOrder, *, starved: bool) -> ReportStatus:
    if not order.remaining:
        return ReportStatus.CLOSED
    return ReportStatus.EXPIRED if order.immediate or starved else ReportStatus.OPEN


def _rate(market: Market, model: SimulationModel, *, maker: bool = False) -> Decimal:
    if model.fee is not None:
        return model.fee
    return market.maker_fee if maker else market.taker_fee


def _in_base(market: Market, model: SimulationModel) -> bool:
    return market.fee_in_base or model.fee_in_base


def _slippage(order: WorkingOrder, model: SimulationModel) -> Decimal:
    return ZERO if order.limit_price is not None else model.slippage_bps
