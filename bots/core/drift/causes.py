"""Why a trade of the replay did not happen, or happened otherwise: told from what was written down at the time."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import numpy as np

from bots.core.codes import MEANING, Code
from bots.core.drift.terms import Cause, Heard, Lived, LiveOrder, Tape
from bots.core.intent import line_of
from bots.core.order_state import OrderState
from exchanges.core.candles import from_ms, to_ms
from exchanges.core.decimals import from_float, plain
from exchanges.core.orders import Side

S = OrderState
#: An order this long after its candle's close is late.
PROMPT: Final = timedelta(seconds=5)
#: Signs of life come at least as often: with every candle, and with every point of the equity curve.
POINTS: Final = timedelta(minutes=5)
#: So many of them missing, one after the other, and nobody was at work.
MISSED: Final = 2.5
LEAST_SILENCE: Final = timedelta(seconds=30)
#: Indicators are kept rounded; what differs by less is the same.
CLOSE_ENOUGH: Final = 1e-6

DATA: Final = frozenset({Code.DATA_STALE, Code.DATA_GAP, Code.CANDLE_OPEN})
DOWN: Final = frozenset({
    Code.EXCHANGE_UNAVAILABLE, Code.VENUE_MAINTENANCE, Code.VENUE_BANNED, Code.TRADING_HALTED, Code.STATE_REDUCING,
    Code.POSITION_MISMATCH,
})  # fmt: skip
PERSON: Final = frozenset({Code.RUN_PAUSED, Code.MANUAL_CLOSE})
#: What sells between candles.
PROTECTIONS: Final = frozenset({Code.STOP_LOSS, Code.BREAK_EVEN, Code.TAKE_PROFIT, Code.TRAILING_STOP})
#: Decisions that placed an order.
ORDERED: Final = frozenset({Code.SIGNAL_BUY, Code.SIGNAL_SELL, Code.MANUAL_CLOSE, *PROTECTIONS})


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause, a sentence about it, the stable code that the journal or the exchange gave, and the facts."""

    cause: Cause
    why: str
    code: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def of_code(code: str, why: str) -> Finding:
    """What a code of the journal stands for."""
    if code in DATA:
        return Finding(Cause.LATE_DATA, why, code)
    if code in DOWN:
        return Finding(Cause.OUTAGE, why, code)
    return Finding(Cause.MANUAL if code in PERSON else Cause.DENIED, why, code)


class Evidence:
    """What was written down about the day, by candle."""

    def __init__(self, lived: Lived, tape: Tape) -> None:
        self.lived, self.tape = lived, tape
        self.rows: dict[datetime, list[Heard]] = {}
        for row in sorted(lived.journal, key=lambda row: row.at):
            if row.candle is not None:
                self.rows.setdefault(row.candle, []).append(row)
        self.signs = sorted({*lived.signs, *(row.at for row in lived.journal)})
        self.step = timedelta(milliseconds=tape.step_ms)

    def opened(self, index: int) -> datetime:
        return from_ms(int(self.tape.candles.opened_at[index]))

    def index_of(self, candle: datetime) -> int | None:
        index = int(np.searchsorted(self.tape.candles.opened_at, to_ms(candle)))
        found = index < len(self.tape.candles) and int(self.tape.candles.opened_at[index]) == to_ms(candle)
        return index if found else None

    def slot_of(self, candle: datetime) -> int:
        """The candle at whose open an order that this one caused is filled."""
        return int(np.searchsorted(self.tape.candles.opened_at, to_ms(candle), side="right"))

    def silence(self, at: datetime) -> tuple[datetime | None, datetime | None] | None:
        """The stretch without a sign of life around an instant, when it is too long for somebody at work."""
        index = bisect_right(self.signs, at)
        first = self.signs[index - 1] if index else None
        last = self.signs[index] if index < len(self.signs) else None
        if first is None or last is None:
            return first, last
        allowed = max(MISSED * min(self.step, POINTS), LEAST_SILENCE)
        return (first, last) if last - first > allowed else None

    def differs(self, index: int) -> dict[str, Any]:
        """What the journal recorded of a candle and what is stored of it now, where these are not the same."""
        stored = from_float(float(self.tape.candles.close[index]))
        for row in self.rows.get(self.opened(index), ()):
            if row.close is not None and row.close != stored:
                return {"recorded_close": row.close, "stored_close": stored}
            for name, column in self.tape.signals.indicators.items():
                if name in row.indicators and not _same(row.indicators[name], float(column[index])):
                    told, now = row.indicators[name], float(column[index])
                    return {"indicator": name, "recorded": told, "stored": None if np.isnan(now) else now}
        return {}

    def missed(self, slot: int, line: int | None = None) -> Finding:
        """Why the signal on the candle before this one did not become a trade; of a grid, at this line."""
        candle = self.opened(slot - 1)
        failed = [
            order for order in self.lived.orders
            if order.candle == candle and not order.fills and line_of(order.leg) == line
        ]  # fmt: skip
        rows = self.rows.get(candle, [])
        wish = next((row for row in rows if row.action != "HOLD" and row.code not in ORDERED), None)
        waited = next((row for row in rows if row.code in DOWN), None)
        if waited is not None and (wish is None or wish.code == Code.DATA_STALE):
            # It was seen late because there was nobody to ask.
            return of_code(waited.code, waited.reason)
        if wish is not None:
            return self._wish(wish, candle)
        if failed:
            return self.failed(failed[0])
        if self.tape.signals.plan is not None and rows and rows[0].at - candle - self.step > PROMPT:
            # While it holds, a further stake or line that was missed is told as a candle on which it held.
            return self._late(rows[0].at, candle, rows[0].code, "The candle was seen late.")
        return self._held(rows[0], slot - 1) if rows else self._nothing(candle)

    def _wish(self, row: Heard, candle: datetime) -> Finding:
        if row.code != Code.DATA_STALE:
            return of_code(row.code, row.reason)
        return self._late(row.at, candle, row.code, row.reason)

    def _late(self, at: datetime, candle: datetime, code: str, why: str) -> Finding:
        """A candle was seen at that instant: because nobody was at work, or because it came late."""
        closed = candle + self.step
        late = {"seconds_late": (at - closed).total_seconds()}
        silence = self.silence(closed) if at - closed > PROMPT else None
        if silence is not None:
            return Finding(Cause.OUTAGE, _silent(silence), code, late)
        return Finding(Cause.LATE_DATA, why, code, late)

    def _held(self, row: Heard, index: int) -> Finding:
        """It looked, and saw no signal."""
        if row.code == Code.WARMING_UP:
            return Finding(Cause.LATE_DATA, "The bot knew too few candles then.", row.code)
        changed = self.differs(index)
        if changed:
            return Finding(Cause.LATE_DATA, _changed(changed), row.code, changed)
        return Finding(Cause.UNEXPLAINED, f"It saw the same candle and decided: {row.reason}", row.code)

    def _nothing(self, candle: datetime) -> Finding:
        if self.lived.pruned:
            return Finding(Cause.UNEXPLAINED, "The journal of that day was pruned: it cannot tell any more.")
        silence = self.silence(candle + self.step)
        if silence is not None:
            return Finding(Cause.OUTAGE, _silent(silence))
        return Finding(Cause.LATE_DATA, "The candle is stored now, but was not there when the bot looked.")

    def failed(self, order: LiveOrder) -> Finding:
        """An order that was written down and filled nothing on that day."""
        facts = {"order": order.id, "state": order.state}
        told = MEANING[Code(order.reject_code)] if order.reject_code in set(Code) else ""
        match order.state:
            case S.DENIED:
                found = of_code(order.reject_code, told or "Risk said no when the order was to be sent.")
                return Finding(found.cause, found.why, found.code, facts)
            case S.REJECTED | S.NOT_PLACED:
                code = order.reject_code or Code.ORDER_REJECTED.value
                cause = Cause.OUTAGE if code in DOWN else Cause.DENIED
                return Finding(cause, told or MEANING[Code.ORDER_REJECTED], code, facts)
            case S.CANCELED | S.EXPIRED:
                return Finding(Cause.PARTIAL_FILL, "The order ended without a fill.", facts=facts)
            case S.FILLED:
                return Finding(Cause.OUTAGE, "The order was filled only after the day.", facts=facts)
            case _:
                return Finding(Cause.OUTAGE, f"The order never reached a fill; it is {order.state}.", facts=facts)

    def untouched(self, slot: int, level: Decimal, code: Code) -> Finding:
        """Why a protection that the stored candle sets off did not sell."""
        begin, end = self.opened(slot), self.opened(slot) + self.step
        told = [row for row in self.lived.journal if begin <= row.at <= end + self.step]
        denied = next((row for row in told if row.action == "SELL" and row.code not in ORDERED), None)
        if denied is not None:
            return of_code(denied.code, denied.reason)
        tried = [order for order in self.lived.orders if begin <= order.planned_at <= end and order.side is Side.SELL]
        failed = next((order for order in tried if not order.fills), None)
        if failed is not None:
            return self.failed(failed)
        down = next((row for row in told if row.code in DOWN), None)
        if down is not None:
            return of_code(down.code, down.reason)
        silence = self.silence(end)
        if silence is not None:
            return Finding(Cause.OUTAGE, _silent(silence))
        return self._between_looks(slot, level, code)

    def _between_looks(self, slot: int, level: Decimal, code: Code) -> Finding:
        close = from_float(float(self.tape.candles.close[slot]))
        facts = {"level": level, "close": close}
        if changed := self.differs(slot):
            return Finding(Cause.LATE_DATA, _changed(changed), code.value, changed)
        beyond = close >= level if code is Code.TAKE_PROFIT else close <= level
        if beyond:
            told = f"The price closed beyond the level {plain(level)}, and nothing was sold."
            return Finding(Cause.UNEXPLAINED, told, code.value, facts)
        told = "The price touched the level between two looks; the bot looks every few seconds."
        return Finding(Cause.LATE_DATA, told, code.value, facts)

    def late(self, order: LiveOrder, slot: int) -> Finding:
        """Why an order that its candle asked for was filled on a later one."""
        candle = self.opened(slot - 1)
        first = next((row for row in self.rows.get(candle, ()) if row.action != "HOLD"), None)
        if first is not None and first.code not in ORDERED:
            return self._wish(first, candle)
        failed = [one for one in self.lived.orders if one.candle == candle and not one.fills and one.id < order.id]
        if failed:
            return self.failed(failed[0])
        closed = candle + self.step
        facts = {"seconds_late": (order.planned_at - closed).total_seconds()}
        if order.planned_at - closed <= PROMPT:
            return Finding(Cause.PARTIAL_FILL, "The exchange filled the order only later.", order.code, facts)
        silence = self.silence(closed)
        if silence is not None:
            return Finding(Cause.OUTAGE, _silent(silence), order.code, facts)
        return Finding(Cause.LATE_DATA, "The candle was seen late, and the order followed it.", order.code, facts)

    def made(self, order: LiveOrder, slot: int, replayed: Code) -> Finding:
        """Why the run traded where the replay does not; ``replayed`` is what the replay decided on that candle."""
        if order.code in PERSON:
            return Finding(Cause.MANUAL, MEANING[Code(order.code)], order.code)
        if order.candle is None:
            return self._protected(order, slot)
        index = self.index_of(order.candle)
        if index is None:
            inside = self.opened(0) <= order.candle <= self.opened(len(self.tape.candles) - 1)
            told = "not stored" if inside else "of another day"
            return Finding(Cause.LATE_DATA, f"The candle that it acted on is {told}.", order.code)
        if slot > self.slot_of(order.candle):
            return self.late(order, index + 1)
        if changed := self.differs(index):
            return Finding(Cause.LATE_DATA, _changed(changed), order.code, changed)
        if replayed is Code.WARMING_UP:
            return Finding(Cause.LATE_DATA, "Too few candles are stored before that one.", replayed.value)
        if replayed not in (Code.NO_SIGNAL, Code.ALREADY_IN_POSITION, Code.NO_POSITION_TO_SELL, *ORDERED):
            told = f"The replay is denied it under the limits as they are now: {MEANING[replayed]}"
            return Finding(Cause.DENIED, told, replayed.value)
        return Finding(Cause.UNEXPLAINED, "The stored candle asks for no such trade.", order.code)

    def _protected(self, order: LiveOrder, slot: int) -> Finding:
        """A protection of the run that the stored candle does not set off."""
        low, high = (from_float(float(column[slot])) for column in (self.tape.candles.low, self.tape.candles.high))
        facts = {"price": order.price, "low": low, "high": high}
        if changed := self.differs(slot):
            return Finding(Cause.LATE_DATA, _changed(changed), order.code, {**facts, **changed})
        if order.code in PROTECTIONS and not low <= order.price <= high:
            told = f"The price that set it off, {plain(order.price)}, is not in the stored candle."
            return Finding(Cause.LATE_DATA, told, order.code, facts)
        return Finding(Cause.UNEXPLAINED, "The stored candle sets off no protection.", order.code, facts)


def _same(told: float | None, now: float) -> bool:
    if told is None or np.isnan(now):
        return told is None and bool(np.isnan(now))
    return abs(told - now) <= CLOSE_ENOUGH * max(1.0, abs(now))


def _changed(facts: Mapping[str, Any]) -> str:
    if "recorded_close" in facts:
        closes = plain(facts["recorded_close"]), plain(facts["stored_close"])
        return f"The candle closed at {closes[0]} when it was seen; stored is {closes[1]}."
    return (
        f"{facts['indicator']} was {facts['recorded']} when it was seen; of the stored candles it is {facts['stored']}."
    )


def _silent(stretch: tuple[datetime | None, datetime | None]) -> str:
    first, last = stretch
    since = f"{first:%H:%M:%S}" if first else "the beginning"
    until = f"{last:%H:%M:%S} UTC" if last else "the end"
    return f"Nothing was written down from {since} to {until}: nobody was at work."
