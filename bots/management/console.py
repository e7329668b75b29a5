"""What the commands about runs share: whose run it is, and how a run, order or trade reads as a line."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from accounts.management.base import ConsoleCommand, Exit
from bots.arming import ArmingRefused
from bots.core.limits import LimitError
from bots.lifecycle import Conflict, ExchangeDown, Invalid, NotPermitted, WrongStatus
from bots.models import BotRun, Order
from bots.queries.shapes import DecisionView, OrderView, RunView, TradeView
from exchanges.core.decimals import plain
from exchanges.core.errors import ExchangeFault
from exchanges.models import ExchangeKey


class RunCommand(ConsoleCommand):
    """Domain errors of runs and orders as exit codes."""

    failures: ClassVar[Mapping[type[Exception], int]] = {
        **ConsoleCommand.failures,
        BotRun.DoesNotExist: Exit.NOT_FOUND,
        Order.DoesNotExist: Exit.NOT_FOUND,
        ExchangeKey.DoesNotExist: Exit.NOT_FOUND,
        Invalid: Exit.INVALID,
        Conflict: Exit.INVALID,
        LimitError: Exit.INVALID,
        WrongStatus: Exit.INVALID,
        NotPermitted: Exit.REFUSED,
        ArmingRefused: Exit.REFUSED,
        ExchangeDown: Exit.UNAVAILABLE,
        ExchangeFault: Exit.UNAVAILABLE,
    }


def run_document(run: RunView) -> dict[str, Any]:
    """The API's `GET /bot/status` object."""
    position = run.position
    return {
        "bot_run_id": run.bot_run_id,
        "status": run.status,
        "mode": run.mode,
        "strategy": run.strategy,
        "params": run.params,
        "limits": run.limits,
        "exchange": run.exchange,
        "symbol": run.symbol,
        "timeframe": run.timeframe,
        "capital": run.capital,
        "started_at": run.started_at,
        "stopped_at": run.stopped_at,
        "position": None
        if position is None
        else {
            "amount": position.amount,
            "entry_price": position.entry_price,
            "unrealized_pnl": position.unrealized_pnl,
        },
        "equity": run.equity,
        "realized_pnl": run.realized_pnl,
        "fees": run.fees,
        "last_decision": run.last_decision,
        "next_check_at": run.next_check_at,
        "heartbeat_at": run.heartbeat_at,
        "halted": None if run.halted is None else {"level": run.halted.level, "reason": run.halted.reason},
    }


def order_document(order: OrderView) -> dict[str, Any]:
    """The API's order object, with the order's life."""
    names = (
        "client_order_id", "exchange_order_id", "bot_run_id", "symbol", "purpose", "side", "type", "amount", "price",
        "state", "filled", "average", "created_at",
    )  # fmt: skip
    events = [{"at": e.at, "from": e.from_state or None, "to": e.to_state, "cause": e.cause} for e in order.events]
    return {**{name: getattr(order, name) for name in names}, "events": events}


def trade_document(trade: TradeView) -> dict[str, Any]:
    names = (
        "id", "bot_run_id", "symbol", "side", "quantity", "price", "fee", "fee_asset", "pnl", "order_client_id",
        "executed_at",
    )  # fmt: skip
    return {name: getattr(trade, name) for name in names}


def decision_document(decision: DecisionView) -> dict[str, Any]:
    names = ("at", "candle_opened_at", "action", "code", "reason", "confidence", "indicators")
    return {name: getattr(decision, name) for name in names}


def run_lines(runs: Iterable[RunView]) -> Iterator[str]:
    for run in runs:
        held = plain(run.position.amount) if run.position else "flat"
        yield (
            f"#{run.bot_run_id:<5} {run.mode:<5} {run.status:<8} {run.strategy} {run.symbol} {run.timeframe} on"
            f" {run.exchange}: {held}, equity {run.equity:.2f} {run.quote}"
        )


def order_lines(orders: Iterable[OrderView]) -> Iterator[str]:
    for order in orders:
        yield (
            f"{order.created_at:%Y-%m-%d %H:%M:%S} run {order.bot_run_id} {order.side} {plain(order.amount)}"
            f" {order.symbol} {order.state}, filled {plain(order.filled)} ({order.client_order_id})"
        )


def trade_lines(trades: Iterable[TradeView]) -> Iterator[str]:
    for trade in trades:
        pnl = "" if trade.pnl is None else f", pnl {trade.pnl:+.4f} {trade.quote}"
        yield (
            f"{trade.executed_at:%Y-%m-%d %H:%M:%S} run {trade.bot_run_id} {trade.side} {plain(trade.quantity)}"
            f" {trade.symbol} at {plain(trade.price)}{pnl}"
        )


def decision_lines(decisions: Iterable[DecisionView]) -> Iterator[str]:
    for decision in decisions:
        yield f"{decision.at:%Y-%m-%d %H:%M:%S} {decision.action:<4} {decision.code}: {decision.reason}"
