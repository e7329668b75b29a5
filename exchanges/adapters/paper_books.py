"""The rows behind the simulated exchange: what a wallet holds, asked for and got."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.db.models import QuerySet

from exchanges.core import simulated
from exchanges.core.decimals import ZERO, plain
from exchanges.core.errors import InsufficientFunds
from exchanges.core.market import Market
from exchanges.core.orders import Balance, FillReport, OrderReport, OrderRequest, OrderType, ReportStatus, Side
from exchanges.core.simulated import Progress, SimulationModel, WorkingOrder
from exchanges.models import SimulatedBalance, SimulatedFill, SimulatedOrder, SimulatedWallet


class Books:
    """One wallet's rows; every writing method expects to run in a transaction that holds `lock`."""

    def __init__(self, wallet: SimulatedWallet) -> None:
        self.wallet = wallet

    def lock(self) -> None:
        SimulatedWallet.objects.select_for_update().get(pk=self.wallet.pk)

    def find(self, symbol: str, client_order_id: str) -> SimulatedOrder | None:
        return self._orders().filter(symbol=symbol, client_order_id=client_order_id).first()

    def knows(self, client_order_id: str) -> bool:
        return self._orders().filter(client_order_id=client_order_id).exists()

    def reread(self, row: SimulatedOrder) -> SimulatedOrder:
        return self._orders().get(pk=row.pk)

    def open_orders(self) -> QuerySet[SimulatedOrder]:
        return self._orders().filter(status=ReportStatus.OPEN)

    def orders_since(self, symbol: str, since: datetime) -> QuerySet[SimulatedOrder]:
        return self._orders().filter(symbol=symbol, accepted_at__gte=since)

    def fills(self, symbol: str, exchange_order_id: str | None, since: datetime | None) -> Sequence[FillReport]:
        rows = SimulatedFill.objects.filter(order__wallet=self.wallet, order__symbol=symbol).select_related("order")
        if exchange_order_id is not None:
            rows = rows.filter(order__pk=int(exchange_order_id))
        if since is not None:
            rows = rows.filter(executed_at__gte=since)
        return [_fill_report(row) for row in rows.order_by("pk")]

    def balances(self) -> dict[str, Balance]:
        locked: dict[str, Decimal] = {}
        for row in self.open_orders():
            asset = _reserved_asset(row)
            locked[asset] = locked.get(asset, ZERO) + _still_reserved(row)
        totals = self._totals()
        return {
            asset: Balance(total - locked.get(asset, ZERO), locked.get(asset, ZERO)) for asset, total in totals.items()
        }

    def reserve(self, order: WorkingOrder, market: Market, price: Decimal | None, model: SimulationModel) -> Decimal:
        """What the order sets aside; raises InsufficientFunds."""
        asset = market.quote if order.side is Side.BUY else market.base
        balance = self.balances().get(asset)
        free = balance.free if balance else ZERO
        needed = simulated.funds_needed(order, price, market, model)
        if free <= 0 or needed > free:
            raise InsufficientFunds(f"Expected {plain(needed)} {asset}, free were {plain(free)}.")
        return needed

    def accept(self, order: OrderRequest, reserve: Decimal, at: datetime) -> SimulatedOrder:
        return SimulatedOrder.objects.create(
            wallet=self.wallet, client_order_id=order.client_order_id, symbol=order.symbol, side=order.side,
            type=order.type, amount=order.amount, limit_price=order.limit_price, stop_price=order.stop_price,
            immediate=order.immediate, reserved=reserve, status=ReportStatus.OPEN, accepted_at=at, matched_until=at,
        )  # fmt: skip

    def funds(self, row: SimulatedOrder) -> Decimal:
        """What the order may spend: its own reserve and whatever is free."""
        asset = _reserved_asset(row)
        balance = self.balances().get(asset)
        return (balance.free if balance else ZERO) + _still_reserved(row)

    def record(self, row: SimulatedOrder, progress: Progress, market: Market, matched_until: datetime) -> None:
        for execution in progress.executions:
            SimulatedFill.objects.create(
                order=row, amount=execution.amount, price=execution.price, fee=execution.fee,
                fee_asset=execution.fee_asset, executed_at=execution.at,
            )  # fmt: skip
            for asset, change in simulated.balance_changes(Side(row.side), execution, market).items():
                self._book(asset, change)
        row.triggered = progress.order.triggered
        row.matched_until = matched_until
        row.save(update_fields=["triggered", "matched_until"])
        if progress.status.final:
            ended_at = progress.executions[-1].at if progress.executions else matched_until
            self.end(row, progress.status, ended_at)

    def end(self, row: SimulatedOrder, status: ReportStatus, at: datetime) -> None:
        row.status, row.ended_at = status, at
        row.save(update_fields=["status", "ended_at"])

    def working(self, row: SimulatedOrder) -> WorkingOrder:
        return WorkingOrder(
            Side(row.side), OrderType(row.type), row.amount, row.limit_price, row.stop_price,
            immediate=row.immediate, filled=_filled(row), triggered=row.triggered,
        )  # fmt: skip

    def report(self, row: SimulatedOrder) -> OrderReport:
        filled = _filled(row)
        notional = sum((fill.amount * fill.price for fill in row.fills.all()), ZERO)
        return OrderReport(
            exchange_order_id=str(row.pk), client_order_id=row.client_order_id, symbol=row.symbol,
            side=Side(row.side), status=ReportStatus(row.status), amount=row.amount, filled=filled,
            average=notional / filled if filled else None, created_at=row.accepted_at,
        )  # fmt: skip

    def _orders(self) -> QuerySet[SimulatedOrder]:
        return SimulatedOrder.objects.filter(wallet=self.wallet).prefetch_related("fills").order_by("pk")

    def _totals(self) -> dict[str, Decimal]:
        totals = {self.wallet.quote: self.wallet.deposit}
        for row in SimulatedBalance.objects.filter(wallet=self.wallet):
            totals[row.asset] = totals.get(row.asset, ZERO) + row.change
        return totals

    def _book(self, asset: str, change: Decimal) -> None:
        # Added in Python: SQLite would add decimals as floats.
        row, _ = SimulatedBalance.objects.get_or_create(wallet=self.wallet, asset=asset)
        row.change = Decimal(row.change) + change
        row.save(update_fields=["change"])


def _filled(row: SimulatedOrder) -> Decimal:
    return sum((fill.amount for fill in row.fills.all()), ZERO)


def _reserved_asset(row: SimulatedOrder) -> str:
    base, _, quote = row.symbol.partition("/")
    return quote if row.side == Side.BUY else base


def _still_reserved(row: SimulatedOrder) -> Decimal:
    """The reserve less what fills took of it."""
    asset = _reserved_asset(row)
    for_buy = row.side == Side.BUY
    taken = sum(
        (
            (fill.amount * fill.price if for_buy else fill.amount)
            + (fill.fee if fill.fee_asset == asset and for_buy else ZERO)
            for fill in row.fills.all()
        ),
        ZERO,
    )
    return max(Decimal(row.reserved) - taken, ZERO)


def _fill_report(row: SimulatedFill) -> FillReport:
    return FillReport(
        trade_id=str(row.pk), exchange_order_id=str(row.order_id), symbol=row.order.symbol, side=Side(row.order.side),
        amount=row.amount, price=row.price, fee=row.fee, fee_asset=row.fee_asset, executed_at=row.executed_at,
    )  # fmt: skip
