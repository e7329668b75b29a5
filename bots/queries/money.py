"""Profit, equity and balances; paper and live, and each quote currency, always apart."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate

from accounts.models import User
from bots import connect
from bots.ledger import position_of
from bots.models import BotRun, Mode, TradeLog, TradingAccount
from bots.queries.runs import latest_prices
from bots.queries.shapes import BalanceView, PnlView
from exchanges.core.decimals import ZERO
from exchanges.core.errors import ExchangeFault

PERIODS = {"1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30), "all": None}
HUNDRED = Decimal(100)
MOST_POINTS = 500


class UnknownPeriod(ValueError):
    """The message names the periods there are."""


def pnl_of(user: User, period: str, mode: str, at: datetime) -> list[PnlView]:
    """Per mode and quote currency. Realized and fees are of closed amounts within the period; unrealized is now's.

    ``realized`` here is gross of fees: net = realized + unrealized − fees. The series is the capital of the
    runs plus the net profit of their trades so far, ending at the present equity.
    """
    if period not in PERIODS:
        raise UnknownPeriod(f"period: Expected one of {', '.join(PERIODS)}, was {period!r}.")
    length = PERIODS[period]
    runs = BotRun.objects.for_user(user).select_related("position")
    trades = TradeLog.objects.filter(user_id=user.pk).order_by("executed_at", "id")
    if mode:
        runs, trades = runs.filter(mode=mode), trades.filter(mode=mode)
    groups: dict[tuple[str, str], list[BotRun]] = defaultdict(list)
    for run in runs:
        groups[run.mode, run.quote].append(run)
    since = None if length is None else at - length
    return [
        _pnl(kind, quote, members, list(trades.filter(mode=kind, quote=quote)), since, at)
        for (kind, quote), members in sorted(groups.items())
    ]


def _pnl(
    mode: str, quote: str, runs: Sequence[BotRun], trades: Sequence[TradeLog], since: datetime | None, at: datetime
) -> PnlView:
    prices = latest_prices([run.pk for run in runs if run.held != 0])
    unrealized = ZERO
    open_fees = ZERO
    for run in runs:
        position = position_of(run.position)
        priced = prices.get(run.pk)
        if position.amount and priced is not None and priced.close is not None:
            unrealized += position.unrealized(priced.close)
        open_fees += position.open_fees
    recent = [trade for trade in trades if since is None or trade.executed_at >= since]
    closed = [trade.pnl for trade in recent if trade.pnl is not None]
    fees = sum((trade_fee(trade) for trade in recent), ZERO)
    # A closing trade's pnl is net of both legs; gross is that plus the fees that it carries.
    net = sum(closed, ZERO) + unrealized - open_fees
    capital = sum((run.capital for run in runs), ZERO)
    began = min([run.started_at for run in runs] + [trade.executed_at for trade in trades[:1]])
    equity = capital + _all_net(trades) + unrealized - open_fees
    series = equity_series(capital, trades, max(since or began, began), equity, at)
    wins = sum(1 for pnl in closed if pnl > 0)
    return PnlView(
        quote=quote,
        mode=mode,
        realized=net - unrealized + fees,
        unrealized=unrealized,
        fees=fees,
        net=net,
        equity=equity,
        trades=len(recent),
        win_rate=Decimal(wins) / len(closed) if closed else None,
        max_drawdown=drawdown([value for _, value in series]),
        series=series,
    )


def trade_fee(trade: TradeLog) -> Decimal:
    """In quote; a fee taken in base at its own trade's price; a third asset's is not converted."""
    fee: Decimal = trade.fee
    if trade.fee_asset == trade.quote:
        return fee
    base = trade.symbol.split("/")[0]
    return fee * Decimal(trade.price) if trade.fee_asset == base else ZERO


def _all_net(trades: Iterable[TradeLog]) -> Decimal:
    total: Decimal = sum((trade.pnl for trade in trades if trade.pnl is not None), ZERO)
    return total


def equity_series(
    capital: Decimal, trades: Sequence[TradeLog], since: datetime, last: Decimal, at: datetime
) -> list[tuple[datetime, Decimal]]:
    """Equity at ``since``, after every closing trade from then on, and now; thinned to a few hundred points."""
    closing = [trade for trade in trades if trade.pnl is not None]
    levels = list(accumulate((trade.pnl or ZERO for trade in closing), initial=capital))
    points = [(trade.executed_at, level) for trade, level in zip(closing, levels[1:], strict=True)]
    before = [level for when, level in points if when < since]
    points = [(since, before[-1] if before else capital), *[point for point in points if point[0] >= since]]
    if len(points) > MOST_POINTS:
        step = len(points) / MOST_POINTS
        points = [points[int(i * step)] for i in range(MOST_POINTS)]
    return [*points, (at, last)]


def drawdown(levels: Sequence[Decimal]) -> Decimal | None:
    """Largest (peak − equity) / peak as a fraction; None without a peak above zero."""
    worst, peak = ZERO, None
    for level in levels:
        peak = level if peak is None or level > peak else peak
        if peak > 0:
            worst = max(worst, (peak - level) / peak)
    return worst if peak is not None and peak > 0 else None


def balances_of(user: User, at: datetime) -> list[BalanceView]:
    """Free and locked per key and paper wallet; an exchange that does not answer is left out."""
    views: list[BalanceView] = []
    accounts = TradingAccount.objects.filter(owner=user).select_related("key", "wallet").order_by("id")
    active = dict(BotRun.objects.for_user(user).values_list("account_id", "id"))
    for account in accounts:
        if account.key is not None and account.key.deleted_at is not None:
            continue
        try:
            balances = connect.open_account(account, at).fetch_balances()
        except ExchangeFault:
            continue
        run_id = active.get(account.pk) if account.mode == Mode.PAPER else None
        name = account.key.label or account.exchange if account.key else f"paper run {run_id}"
        views += [
            BalanceView(name, account.mode, account.exchange, account.key_id, run_id, asset, held.free, held.locked)
            for asset, held in sorted(balances.items())
            if held.total
        ]
    return views
