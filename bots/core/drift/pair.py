"""One order of the run beside the replay's own: what differs, and what each difference changed of the day's end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from bots.core.drift.causes import Evidence, Finding
from bots.core.drift.state import Act, Deed, Place, State, after
from bots.core.drift.terms import Cause, LiveOrder
from bots.core.drift.walk import Walk
from bots.core.intent import line_of
from bots.core.position import FillFact, average_price
from exchanges.core.decimals import ZERO, from_float
from exchanges.core.orders import Side

#: An exchange rounds its fees; what differs by less is the same fee.
FEE_ROUNDING: Final = Decimal("1e-8")
FEE_SHARE: Final = Decimal("1e-6")
TEN_THOUSAND: Final = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class Split:
    """The primary finding, and per cause what it changed."""

    finding: Finding
    parts: Mapping[Cause, Decimal]


@dataclass(frozen=True, slots=True)
class Met:
    """Where an order of the run met the replay's: the state before both, the fills of each."""

    place: Place
    before: State
    act: Act
    fact: FillFact
    order: LiveOrder
    fills: Sequence[FillFact]

    @property
    def sized_before(self) -> bool:
        """It rested, or works a line: its amount does not follow from the price of this place."""
        return self.act.waited or line_of(self.act.leg) is not None

    def deed(self, facts: Sequence[FillFact]) -> Deed:
        return self.act.deed._replace(facts=tuple(facts))

    @property
    def filled(self) -> Decimal:
        return sum((fill.amount for fill in self.fills), ZERO)

    @property
    def price(self) -> Decimal:
        return average_price(self.fills)


def split(walk: Walk, evidence: Evidence, met: Met, expected: Decimal, ended: Decimal) -> Split:
    """One difference after the other put into the replay's fill; ``expected`` and ``ended`` are the day's ends."""
    steps: list[tuple[Finding, Decimal]] = []
    amount = _amount_at_that_price(walk, met)
    worth = expected
    for finding, fills in _steps(walk, evidence, met, amount):
        now = ended if fills is None else _end(walk, met, fills)
        steps.append((finding, now - worth))
        worth = now
    if not steps:
        return Split(Finding(Cause.SAME, ""), {Cause.SAME: ended - expected})
    last = steps[-1]
    steps[-1] = last[0], last[1] + (ended - worth)
    parts: dict[Cause, Decimal] = {}
    for finding, effect in steps:
        parts[finding.cause] = parts.get(finding.cause, ZERO) + effect
    facts = {name: value for finding, _ in steps for name, value in finding.facts.items()}
    grave = [finding for finding, _ in steps if finding.cause is Cause.UNEXPLAINED]
    primary = grave[0] if grave else max(steps, key=lambda step: abs(step[1]))[0]
    return Split(replace(primary, facts=facts), parts)


def _steps(
    walk: Walk, evidence: Evidence, met: Met, amount: Decimal
) -> list[tuple[Finding, Sequence[FillFact] | None]]:
    """(what differs, the fills with all differences so far); None: those of the run itself."""
    side, candle = met.fact.side, met.place[0]
    maker = met.act.maker
    found: list[tuple[Finding, Sequence[FillFact] | None]] = []
    if met.price != met.fact.price or amount != met.fact.amount:
        found.append((_price(evidence, met), [walk.fact(side, amount, met.price, candle, maker=maker)]))
    charged = [walk.fact(side, fill.amount, fill.price, candle, maker=maker) for fill in met.fills]
    if met.filled != amount:
        found.append((_amount(walk, met, amount), charged))
    fee = _fee(walk, met, charged)
    if fee is not None:
        found.append((fee, None))
    return found


def _end(walk: Walk, met: Met, facts: Sequence[FillFact]) -> Decimal:
    return walk.final(walk.apply(met.before, met.place, met.deed(facts)), after(met.place))


def _amount_at_that_price(walk: Walk, met: Met) -> Decimal:
    """What the replay would have asked for at the price that the run saw."""
    if met.sized_before or met.fact.side is Side.SELL or met.order.amount == met.fact.amount:
        return met.fact.amount
    seen = walk.intended(met.before, met.place[0], met.order.price)
    return met.order.amount if seen == met.order.amount else met.fact.amount


def _price(evidence: Evidence, met: Met) -> Finding:
    ours, theirs = met.fact.price, met.price
    worse = theirs - ours if met.fact.side is Side.BUY else ours - theirs
    facts: dict[str, Any] = {"slippage_bps": round(float(worse / ours * TEN_THOUSAND), 4)}
    if met.order.price not in (ours, theirs):
        facts["price_seen"] = met.order.price
    changed = evidence.differs(met.place[0])
    if "recorded_close" in changed and _as_large(changed, theirs, ours):
        why = "The candle in which it was filled is stored otherwise than it was seen."
        return Finding(Cause.LATE_DATA, why, facts={**facts, **changed})
    better, where = "worse" if worse > 0 else "better", "its limit" if met.act.maker else "the candle's open"
    return Finding(Cause.PRICE, f"Filled {abs(facts['slippage_bps']):g} bps {better} than at {where}.", facts=facts)


def _as_large(changed: Mapping[str, Any], theirs: Decimal, ours: Decimal) -> bool:
    """Whether the candle was corrected by as much as the prices differ, so that one may be the other."""
    corrected = abs(changed["recorded_close"] - changed["stored_close"]) / changed["stored_close"]
    return bool(2 * corrected >= abs(theirs - ours) / ours)


def _amount(walk: Walk, met: Met, amount: Decimal) -> Finding:
    order = met.order
    facts = {"asked": order.amount, "filled": met.filled, "replayed": amount}
    if met.filled < order.amount and (met.sized_before or order.amount == amount):
        return Finding(Cause.PARTIAL_FILL, f"Of {order.amount:f} only {met.filled:f} were filled.", facts=facts)
    if _by_free_money(walk, met):
        told = "The account's free money, less what is kept back for the price to move, was less than the bot's."
        return Finding(Cause.FUNDS, told, facts=facts)
    if _by_fee(walk, met):
        return Finding(Cause.FEE, "The amount leaves room for the fee of that time.", facts=facts)
    return Finding(Cause.UNEXPLAINED, f"It asked for {order.amount:f}, the replay for {amount:f}.", facts=facts)


def _by_free_money(walk: Walk, met: Met) -> bool:
    if met.sized_before or met.order.free is None or met.fact.side is Side.SELL:
        return False
    return walk.intended(met.before, met.place[0], met.order.price, free=met.order.free) == met.order.amount


def _by_fee(walk: Walk, met: Met) -> bool:
    """Whether the order was as large as the fee that was charged leaves room for."""
    if met.sized_before or met.fact.side is Side.SELL:
        return False
    rate = from_float(round(float(_charged(walk, met.fills) / (met.price * met.filled)), 6))
    then = replace(walk.tape.market, taker_fee=rate)
    return walk.intended(met.before, met.place[0], met.order.price, market=then) == met.order.amount


def _charged(walk: Walk, fills: Sequence[FillFact]) -> Decimal:
    """The fees in quote; those in base at their fill's price, those in a third asset not at all."""
    market = walk.tape.market
    worth = {market.quote: lambda fill: fill.fee, market.base: lambda fill: fill.fee * fill.price}
    return sum((worth[fill.fee_asset](fill) for fill in fills if fill.fee_asset in worth), ZERO)


def _fee(walk: Walk, met: Met, charged: Sequence[FillFact]) -> Finding | None:
    ours, theirs = _charged(walk, charged), _charged(walk, met.fills)
    assets = {fill.fee_asset for fill in met.fills}, {fill.fee_asset for fill in charged}
    if assets[0] == assets[1] and abs(theirs - ours) <= max(FEE_ROUNDING, ours * FEE_SHARE):
        return None
    notional, market = met.price * met.filled, walk.tape.market
    rate, market_rate = (
        round(float(theirs / notional), 8),
        float(market.maker_fee if met.act.maker else market.taker_fee),
    )
    told = f"The fee was {100 * rate:g} %, the market's is {100 * market_rate:g} %."
    facts = {"fee_rate": rate, "market_rate": market_rate, "fee_assets": sorted(assets[0])}
    return Finding(Cause.FEE, told, facts=facts)
