"""A rule told back: as JSON that says everything, and as plain sentences."""

from collections.abc import Iterator, Mapping
from typing import Any

from exchanges.core.decimals import plain
from strategies.core.catalogue import CATALOGUE
from strategies.core.rule_definition import PROTECTIONS, Condition, Definition, Group, Operand
from strategies.core.wording import level

NAMES: Mapping[str, str] = {
    "open": "the open",
    "high": "the high",
    "low": "the low",
    "close": "the close",
    "volume": "the volume",
    "typical_price": "the typical price",
    "sma": "the simple mean of {period} closes",
    "ema": "the exponential mean of {period} closes",
    "volume_sma": "the mean volume of {period} candles",
    "rsi": "the RSI of {period} candles ({method})",
    "change_pct": "the change in percent over {period} candles",
    "macd": "the MACD {output} ({fast}, {slow}, {signal})",
    "bollinger": "the {output} Bollinger band ({period}, {stddev})",
    "donchian": "the {output} of the last {period} candles",
    "atr": "the average true range of {period} candles",
    "vwap_rolling": "the VWAP of {period} candles",
    "vwap_session": "the VWAP of the UTC day",
    "supertrend": "the Supertrend ({period}, {factor})",
}
VERBS: Mapping[str, str] = {
    "above": "is above",
    "below": "is below",
    "crosses_above": "crosses above",
    "crosses_below": "crosses below",
    "rising": "is higher than",
    "falling": "is lower than",
}
GUARDS: Mapping[str, str] = {
    "stop_loss_pct": "Sells {} % under the entry price (stop-loss).",
    "take_profit_pct": "Sells {} % over the entry price (target).",
    "trailing_stop_pct": "Sells {} % under the highest price since the entry (trailing stop).",
}


def render(definition: Definition) -> dict[str, Any]:
    """The JSON of a definition, every default written out: `parse_definition` gives the same definition back."""
    rendered: dict[str, Any] = {"entry": _group(definition.entry)}
    if definition.exit is not None:
        rendered["exit"] = _group(definition.exit)
    return rendered | protections(definition)


def protections(definition: Definition) -> dict[str, str]:
    """The stop, the target and the trailing stop that are set, under the names of a run's limits."""
    values = {protection.name: getattr(definition, protection.name) for protection in PROTECTIONS}
    return {name: plain(value) for name, value in values.items() if value is not None}


def _group(group: Group) -> dict[str, Any]:
    return {_word(group): [_group(m) if isinstance(m, Group) else _condition(m) for m in group.members]}


def _word(group: Group) -> str:
    return "all" if group.every else "any"


def _condition(condition: Condition) -> dict[str, Any]:
    rendered: dict[str, Any] = {"left": _operand(condition.left), "operator": condition.operator}
    match condition.right:
        case None:
            rendered["candles"] = condition.candles
        case Operand():
            rendered["right"] = _operand(condition.right)
        case number:
            rendered["right"] = number
    return rendered


def _operand(operand: Operand) -> dict[str, Any]:
    rendered: dict[str, Any] = {"indicator": operand.indicator}
    if operand.params:
        rendered["params"] = dict(operand.params)
    if len(CATALOGUE[operand.indicator].outputs) > 1:
        rendered["output"] = operand.output
    return rendered


def sentences(definition: Definition) -> list[str]:
    """What the rule does: when it buys, when it sells, what protects the position."""
    return [
        f"Buys when {told(definition.entry)}.",
        f"Sells when {told(definition.exit)}." if definition.exit else "There is no exit rule.",
        *(GUARDS[name].format(value) for name, value in protections(definition).items()),
    ]


def told(group: Group, *, inner: bool = False) -> str:
    """The conditions joined by and, or; a group inside a group in brackets."""
    parts = list(_told_members(group))
    text = (" and " if group.every else " or ").join(parts)
    return f"({text})" if inner and len(parts) > 1 else text


def _told_members(group: Group) -> Iterator[str]:
    for member in group.members:
        yield told(member, inner=True) if isinstance(member, Group) else condition_words(member)


def condition_words(condition: Condition) -> str:
    start = f"{operand_words(condition.left)} {VERBS[condition.operator]}"
    match condition.right:
        case None:
            return f"{start} {_ago(condition.candles)}"
        case Operand():
            return f"{start} {operand_words(condition.right)}"
        case number:
            return f"{start} {level(number)}"


def _ago(candles: int) -> str:
    return "one candle ago" if candles == 1 else f"{candles} candles ago"


def operand_words(operand: Operand) -> str:
    values = {name: level(value) if isinstance(value, float) else str(value) for name, value in operand.params}
    return NAMES[operand.indicator].format(output=operand.output, **values)
