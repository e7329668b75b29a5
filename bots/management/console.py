"""What the commands about runs share: whose run it is, and how a run, order or trade reads as a line."""

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

from ninja import Schema

from accounts.management.base import ConsoleCommand, Exit
from bots.arming import ArmingRefused
from bots.core.limits import LimitError
from bots.lifecycle import Conflict, ExchangeDown, Invalid, NotPermitted, WrongStatus
from bots.models import BotRun, Order
from bots.operations import WrongTarget
from bots.queries.cases import CaseView
from bots.queries.shapes import BalanceView, DecisionView, OrderView, Page, RunView, TradeView
from bots.schemas import BalanceOut, CaseOut, DecisionOut, OrderOut, RunOut, TradeOut
from exchanges.core.decimals import plain
from exchanges.core.errors import ExchangeFault
from exchanges.models import ExchangeKey
from exchanges.schemas import cursor_text


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
        WrongTarget: Exit.USAGE,
        WrongStatus: Exit.INVALID,
        NotPermitted: Exit.REFUSED,
        ArmingRefused: Exit.REFUSED,
        ExchangeDown: Exit.UNAVAILABLE,
        ExchangeFault: Exit.UNAVAILABLE,
    }


def how_many(text: str) -> int:
    """An option's value: a whole number above zero."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 10**9:
        raise argparse.ArgumentTypeError(f"Expected a whole number above zero, was {text!r}.")
    return int(text)


def run_document(run: RunView) -> dict[str, Any]:
    """The API's `GET /bot/status` object, with the run's limits."""
    return {**_as_in_the_api(RunOut, run), "limits": dict(run.limits)}


def order_document(order: OrderView) -> dict[str, Any]:
    """The API's order object, with the order's life; and whose it is, since all runs' orders stand in one list."""
    return {"bot_run_id": order.bot_run_id, **_as_in_the_api(OrderOut, order)}


def trade_document(trade: TradeView) -> dict[str, Any]:
    return _as_in_the_api(TradeOut, trade)


def decision_document(decision: DecisionView) -> dict[str, Any]:
    return _as_in_the_api(DecisionOut, decision)


def balance_document(balance: BalanceView) -> dict[str, Any]:
    return _as_in_the_api(BalanceOut, balance)


def case_document(case: CaseView) -> dict[str, Any]:
    return _as_in_the_api(CaseOut, case)


def page_document(page: Page, document: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """The API's list object; ``next`` is the cursor that the API goes on from."""
    return {"items": [document(item) for item in page.items], "next": cursor_text(page.next)}


def _as_in_the_api(schema: type[Schema], view: object) -> dict[str, Any]:
    return schema.model_validate(view).model_dump(mode="json", by_alias=True)


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
