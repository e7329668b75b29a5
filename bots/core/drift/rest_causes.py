"""Why an order that rests came to another end than the replay's: how it was asked for, met, and called back."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from bots.core.codes import Code
from bots.core.drift.causes import Evidence, Finding
from bots.core.drift.state import Rests
from bots.core.drift.terms import Cause, LiveOrder
from bots.core.order_state import OrderState
from exchanges.core.decimals import from_float, plain

#: By the words with which an order is called back.
CALLED_BACK: Final[dict[str, tuple[Cause, Code | None, str]]] = {
    "the run is paused": (Cause.MANUAL, Code.RUN_PAUSED, "It was called back: a person paused the bot."),
    "the run stops": (Cause.MANUAL, Code.RUN_PAUSED, "It was called back: the bot was stopped."),
    "kill switch": (Cause.OUTAGE, Code.TRADING_HALTED, "It was called back by a kill switch."),
}
UNSURE: Final = frozenset({OrderState.UNKNOWN, OrderState.SENDING})


class RestEvidence:
    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence

    def asked_otherwise(self, order: LiveOrder, ours: Rests | None, slot: int) -> Finding:
        """The run's order and the replay's do not ask for the same."""
        limit, amount = order.limit or order.price, order.amount
        facts: dict[str, Any] = {"limit": limit, "asked": amount}
        if ours is None or limit != ours.limit:
            if ours is not None:
                facts["replayed_limit"] = ours.limit
            if changed := self.evidence.differs(slot - 1):
                return Finding(Cause.LATE_DATA, "The candle is stored otherwise than it was seen.", facts=changed)
            told = "It was asked for at the market's price of that instant, the replay's at the candle's open."
            return Finding(Cause.PRICE, told, facts=facts)
        facts["replayed"] = ours.amount
        if order.free is not None and order.free < ours.amount * ours.limit:
            return Finding(Cause.FUNDS, "The account had less free money than the bot's books.", facts=facts)
        return Finding(Cause.UNEXPLAINED, f"It asked for {plain(amount)}, the replay for {plain(ours.amount)}.",
                       facts=facts)  # fmt: skip

    def unfilled(self, order: LiveOrder | None, slot: int) -> Finding:
        """The stored candle fills it, the exchange did not."""
        if changed := self.evidence.differs(slot):
            return Finding(Cause.LATE_DATA, "The candle is stored otherwise than it was seen.", facts=changed)
        facts = self._range(slot) | ({} if order is None else {"order": order.id, "state": order.state})
        if order is not None and order.state in UNSURE:
            return Finding(Cause.OUTAGE, "Nobody knows what became of the order at the exchange.", facts=facts)
        told = "The candle reached its limit, and the exchange did not fill it, or not all of it, then."
        return Finding(Cause.PARTIAL_FILL, told, facts=facts)

    def reached(self, order: LiveOrder, price: Decimal, slot: int, *, over: bool) -> Finding:
        """The exchange filled it, the stored candle does not."""
        facts: Mapping[str, Any] = {"price": price, **self._range(slot)}
        if changed := self.evidence.differs(slot):
            told = "The candle is stored otherwise than it was seen."
            return Finding(Cause.LATE_DATA, told, order.code, {**facts, **changed})
        if not facts["low"] <= price <= facts["high"]:
            return Finding(
                Cause.LATE_DATA, f"Its price, {plain(price)}, is not in the stored candle.", order.code, facts
            )
        if over:
            silent = order.rest_until is not None and self.evidence.silence(order.rest_until) is not None
            told = "It rested longer than it was to: it was called back late."
            return Finding(Cause.OUTAGE if silent else Cause.LATE_DATA, told, order.code, facts)
        return Finding(Cause.UNEXPLAINED, "The stored candle does not reach its limit.", order.code, facts)

    def ended(self, order: LiveOrder) -> Finding:
        """It was called back, or ended by the exchange, while the replay's goes on waiting."""
        facts = {"order": order.id, "state": order.state}
        if order.why in CALLED_BACK:
            cause, code, told = CALLED_BACK[order.why]
            return Finding(cause, told, "" if code is None else code.value, facts)
        if order.why:
            return Finding(Cause.PARTIAL_FILL, f"It was called back: {order.why}.", facts=facts)
        return Finding(Cause.PARTIAL_FILL, "The exchange ended it before it was filled.", order.reject_code, facts)

    def _range(self, slot: int) -> dict[str, Decimal]:
        made = self.evidence.tape.candles
        return {"low": from_float(float(made.low[slot])), "high": from_float(float(made.high[slot]))}
