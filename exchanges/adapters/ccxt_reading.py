"""ccxt's structures (numbers as text) to ours; what is missing or contradicts the request is no answer."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from exchanges.adapters.ccxt_contracts import Contract, canonical_id
from exchanges.core.candles import from_ms
from exchanges.core.decimals import ZERO
from exchanges.core.errors import Unavailable
from exchanges.core.market import Market
from exchanges.core.orders import Balance, FillReport, OrderReport, OrderRequest, Quote, ReportStatus, Side

# "canceling", None and any word not named here: not final, so it is asked again.
_STATUS = {word: ReportStatus(word) for word in ("closed", "canceled", "expired", "rejected")}


def decimal(value: Any, name: str) -> Decimal:
    """Text, or a whole number of ccxt's own making; a float never becomes money."""
    try:
        number = Decimal(value if isinstance(value, str) else str(int(value)))
    except (InvalidOperation, TypeError, ValueError):
        number = Decimal("NaN")
    if not number.is_finite():
        raise Unavailable(f"Expected a number as {name} in the answer.")
    return number


def optional(value: Any, name: str) -> Decimal | None:
    return None if value is None else decimal(value, name)


def market_of(row: Mapping[str, Any], contract: Contract) -> Market | None:
    """None for what cannot be traded on spot, or whose rules the exchange did not state."""
    steps = row["precision"]
    if not row.get("spot") or row.get("active") is False or not steps.get("amount") or not steps.get("price"):
        return None
    limits = row["limits"]
    return Market(
        symbol=row["symbol"],
        base=row["base"],
        quote=row["quote"],
        amount_step=decimal(steps["amount"], "amount step"),
        price_tick=decimal(steps["price"], "price tick"),
        min_amount=_limit(limits, "amount", "min") or ZERO,
        max_amount=_least(_limit(limits, "amount", "max"), _limit(limits, "market", "max")),
        min_notional=_limit(limits, "cost", "min") or ZERO,
        taker_fee=_fee(row.get("taker")),
        maker_fee=_fee(row.get("maker")),
        fee_in_base=contract.fee_in_base,
    )


def _limit(limits: Mapping[str, Any], kind: str, end: str) -> Decimal | None:
    value = (limits.get(kind) or {}).get(end)
    # Zero is how exchanges write "no limit".
    return decimal(value, f"{kind} limit") or None if value is not None else None


def _least(first: Decimal | None, second: Decimal | None) -> Decimal | None:
    known = [value for value in (first, second) if value is not None]
    return min(known) if known else None


def _fee(value: Any) -> Decimal:
    # ccxt's own constants are floats in a few classes; their shortest text is what was written there.
    return Decimal("0.001") if value is None else Decimal(str(value))


def quote_of(row: Mapping[str, Any], symbol: str, now_ms: int) -> Quote:
    last = row.get("last") or row.get("close")
    bid, ask = row.get("bid") or last, row.get("ask") or last
    quote = Quote(symbol, decimal(bid, "bid"), decimal(ask, "ask"), from_ms(row.get("timestamp") or now_ms))
    if quote.bid <= 0 or quote.ask <= 0:
        raise Unavailable(f"Expected prices above zero for {symbol}.")
    return quote


def report_of(
    row: Mapping[str, Any], contract: Contract, symbol: str, *, sent: OrderRequest | None = None
) -> OrderReport:
    """``sent`` fills in what many exchanges leave out of their first answer, and must not be contradicted."""
    side = row.get("side") or (sent.side if sent else None)
    amount = row.get("amount") if row.get("amount") is not None else (str(sent.amount) if sent else None)
    report = OrderReport(
        exchange_order_id=str(row.get("id") or ""),
        client_order_id=canonical_id(contract.id_style, row.get("clientOrderId")),
        symbol=row.get("symbol") or symbol,
        side=Side(side) if side in {"buy", "sell"} else _no_answer("a side"),
        status=_STATUS.get(row.get("status") or "", ReportStatus.OPEN),
        amount=optional(amount, "amount") or ZERO,
        filled=optional(row.get("filled"), "filled") or ZERO,
        average=optional(row.get("average"), "average"),
        created_at=from_ms(int(row["timestamp"])) if row.get("timestamp") else None,
    )
    if not report.exchange_order_id or report.exchange_order_id == "None":
        _no_answer("an order id")
    if report.symbol != symbol or (sent is not None and report.side is not sent.side):
        _no_answer("our own order")
    return report


def same_order(report: OrderReport, client_order_id: str) -> bool:
    """Whether the answer names our id; exchanges that name none are believed about the id they were asked for."""
    return report.client_order_id is None or report.client_order_id == client_order_id


def _no_answer(what: str) -> Any:
    raise Unavailable(f"Expected {what} in the answer.")


def fill_of(row: Mapping[str, Any], symbol: str) -> FillReport:
    base_quote = symbol.split("/")
    cost, asset = _fee_paid(row, base_quote[1])
    fill = FillReport(
        trade_id=str(row.get("id") or ""),
        exchange_order_id=str(row.get("order") or ""),
        symbol=row.get("symbol") or symbol,
        side=Side(row["side"]) if row.get("side") in {"buy", "sell"} else _no_answer("a side"),
        amount=decimal(row.get("amount"), "amount"),
        price=decimal(row.get("price"), "price"),
        fee=cost,
        fee_asset=asset,
        executed_at=from_ms(int(decimal(row.get("timestamp"), "timestamp"))),
    )
    if not fill.trade_id or fill.symbol != symbol or fill.amount <= 0 or fill.price <= 0:
        _no_answer("a complete execution")
    return fill


def _fee_paid(row: Mapping[str, Any], quote: str) -> tuple[Decimal, str]:
    """The one fee of an execution; zero rows beside it (points, discounts) do not count."""
    stated: Sequence[Mapping[str, Any]] = row.get("fees") or ([row["fee"]] if row.get("fee") else [])
    paid = [(decimal(fee["cost"], "fee"), fee["currency"]) for fee in stated if fee.get("cost") is not None]
    paid = [(cost, asset) for cost, asset in paid if cost > 0 and asset]
    if len({asset for _, asset in paid}) > 1:
        _no_answer("one fee asset per execution")
    return (sum((cost for cost, _ in paid), ZERO), paid[0][1]) if paid else (ZERO, quote)


def balances_of(answer: Mapping[str, Any]) -> dict[str, Balance]:
    free, used = answer.get("free") or {}, answer.get("used") or {}
    balances = {
        asset: Balance(optional(free.get(asset), "free") or ZERO, optional(used.get(asset), "locked") or ZERO)
        for asset in {*free, *used}
    }
    return {asset: balance for asset, balance in sorted(balances.items()) if balance.total}
