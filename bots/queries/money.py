"""Profit, equity and balances; paper and live, and each quote currency, always apart."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import NamedTuple

from accounts.models import User
from bots import connect
from bots.ledger import position_of
from bots.models import BotRun, Decision, Mode, TradeLog, TradingAccount
from bots.queries.runs import latest_prices
from bots.queries.shapes import BalanceView, PnlView
from exchanges.core.decimals import ZERO
from exchanges.core.errors import ExchangeFault

PERIODS = {"1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30), "all": None}
MOST_POINTS = 500


class UnknownPeriod(ValueError):
    """The message names the periods there are."""


class Closed(NamedTuple):
    """What a trade adds to the figures: a tuple, since a period may hold very many."""

    executed_at: datetime
    pnl: Decimal | None
    fee: Decimal


def pnl_of(user: User, period: str, mode: str, at: datetime) -> list[PnlView]:
    """Per mode and quote currency. Realized and fees are of the trades within the period; unrealized is now's.

    ``realized`` is gross of fees: net = realized + unrealized − fees. The series is the capital of the runs plus
    the net profit of their closing trades so far, ending at the present equity. Totals come from the runs' positions,
    so that only the period's own trades are read.
    """
    return pnls_of(user, (period,), mode, at)[period]


def pnls_of(user: User, periods: Iterable[str], mode: str, at: datetime) -> dict[str, list[PnlView]]:
    """The same for several periods that end now, from one reading of the runs, their prices and their trades."""
    since = {period: _since(period, at) for period in periods}
    runs = BotRun.objects.for_user(user).select_related("position")
    if mode:
        runs = runs.filter(mode=mode)
    groups: dict[tuple[str, str], list[BotRun]] = defaultdict(list)
    for run in runs:
        groups[run.mode, run.quote].append(run)
    starts = [start for start in since.values() if start is not None]
    trades = _trades_since(user, min(starts) if len(starts) == len(since) else None)
    prices = latest_prices([run.pk for members in groups.values() for run in members if run.held != 0])
    return {
        period: [
            _pnl(name, members, prices, _from(trades[name], start), start, at)
            for name, members in sorted(groups.items())
        ]
        for period, start in since.items()
    }


def _since(period: str, at: datetime) -> datetime | None:
    if period not in PERIODS:
        raise UnknownPeriod(f"period: Expected one of {', '.join(PERIODS)}, was {period!r}.")
    length = PERIODS[period]
    return None if length is None else at - length


def _from(trades: list[Closed], start: datetime | None) -> list[Closed]:
    """The trades of a period, of those that lie in their order."""
    return trades if start is None else trades[bisect_left(trades, start, key=lambda trade: trade.executed_at) :]


def _trades_since(user: User, since: datetime | None) -> dict[tuple[str, str], list[Closed]]:
    """The period's trades by mode and quote, oldest first."""
    rows = TradeLog.objects.filter(user_id=user.pk).order_by("executed_at", "id")
    if since is not None:
        rows = rows.filter(executed_at__gte=since)
    found: dict[tuple[str, str], list[Closed]] = defaultdict(list)
    names = ("mode", "quote", "executed_at", "pnl", "fee", "fee_asset", "price", "symbol")
    for kind, quote, when, pnl, fee, asset, price, symbol in rows.values_list(*names).iterator(chunk_size=5000):
        found[kind, quote].append(Closed(when, pnl, fee_in_quote(fee, asset, price, symbol, quote)))
    return found


def fee_in_quote(fee: Decimal, asset: str, price: Decimal, symbol: str, quote: str) -> Decimal:
    """A fee taken in base counts at its own trade's price; a third asset's is not converted."""
    if asset == quote:
        return fee
    return fee * price if asset == symbol.split("/")[0] else ZERO


def _pnl(
    name: tuple[str, str],
    runs: Sequence[BotRun],
    prices: Mapping[int, Decision],
    trades: Sequence[Closed],
    since: datetime | None,
    at: datetime,
) -> PnlView:
    mode, quote = name
    capital = sum((run.capital for run in runs), ZERO)
    unrealized, open_fees, closed_net = ZERO, ZERO, ZERO
    for run in runs:
        position, priced = position_of(run.position), prices.get(run.pk)
        if priced is not None and priced.close is not None:
            unrealized += position.unrealized(priced.close)
        open_fees += position.open_fees
        closed_net += position.realized - (position.fees - position.open_fees)
    pnls = [trade.pnl for trade in trades if trade.pnl is not None]
    fees = sum((trade.fee for trade in trades), ZERO)
    net = sum(pnls, ZERO) + unrealized - open_fees
    equity = capital + closed_net + unrealized - open_fees
    began = min([run.started_at for run in runs] + [trade.executed_at for trade in trades[:1]])
    before = capital + closed_net - sum(pnls, ZERO)
    series = equity_series(before, trades, max(since or began, began), equity, at)
    return PnlView(
        quote=quote,
        mode=mode,
        realized=net - unrealized + fees,
        unrealized=unrealized,
        fees=fees,
        net=net,
        equity=equity,
        trades=len(trades),
        win_rate=Decimal(sum(1 for pnl in pnls if pnl > 0)) / len(pnls) if pnls else None,
        max_drawdown=drawdown([value for _, value in series]),
        series=series,
    )


def equity_series(
    before: Decimal, trades: Sequence[Closed], since: datetime, last: Decimal, at: datetime
) -> list[tuple[datetime, Decimal]]:
    """Equity at ``since``, after every closing trade from then on, and now; thinned to a few hundred points."""
    closing = [trade for trade in trades if trade.pnl is not None]
    levels = accumulate((trade.pnl or ZERO for trade in closing), initial=before)
    points = list(zip([since, *(trade.executed_at for trade in closing)], levels, strict=True))
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


def balances_of(user: User | None, at: datetime) -> list[BalanceView]:
    """Free and locked per key and paper wallet; an exchange that does not answer is left out.

    ``user`` None means everybody's (the operator's console).
    """
    views: list[BalanceView] = []
    accounts = TradingAccount.objects.select_related("key", "wallet").order_by("id")
    accounts = accounts if user is None else accounts.filter(owner=user)
    runs = BotRun.objects.all() if user is None else BotRun.objects.for_user(user)
    active = dict(runs.values_list("account_id", "id"))
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
