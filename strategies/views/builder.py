"""The rule builder's form: a draft as fields with what each offers, and the errors at their conditions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from strategies.core.catalogue import CATALOGUE
from strategies.core.errors import RuleError
from strategies.core.parameters import Parameter
from strategies.core.rule_definition import LOOKING_BACK, MAX_DEPTH, OPERATORS, PROTECTIONS
from strategies.core.rule_draft import NUMBER, OPERANDS, Branch, Draft, Row, Side, place_of

LABELS: Mapping[str, str] = {
    "open": "Open",
    "high": "High",
    "low": "Low",
    "close": "Close",
    "volume": "Volume",
    "typical_price": "Typical price",
    "sma": "Simple mean (SMA)",
    "ema": "Exponential mean (EMA)",
    "volume_sma": "Mean volume",
    "rsi": "RSI",
    "change_pct": "Change, %",
    "macd": "MACD",
    "bollinger": "Bollinger band",
    "donchian": "Donchian channel",
    "atr": "Average true range",
    "vwap_rolling": "VWAP, rolling",
    "vwap_session": "VWAP, UTC day",
    "supertrend": "Supertrend",
}
GROUPS = (("Prices", "price"), ("Percent", "percent"), ("Volumes", "volume"))
VERBS: Mapping[str, str] = {
    "above": "is above",
    "below": "is below",
    "crosses_above": "crosses above",
    "crosses_below": "crosses below",
    "rising": "is higher than before",
    "falling": "is lower than before",
}
WORDS = (("all", "all of these hold"), ("any", "any of these holds"))
Choice = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Field:
    """``choices`` is empty for what is typed."""

    name: str
    label: str
    value: str
    choices: tuple[Choice, ...] = ()
    help: str = ""
    placeholder: str = ""
    numeric: str = "decimal"


@dataclass(frozen=True, slots=True)
class SideFields:
    """``groups`` are the operands on offer by unit; ``number`` is there when a number was chosen."""

    name: str
    label: str
    value: str
    groups: tuple[tuple[str, tuple[Choice, ...]], ...]
    number: Field | None
    params: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class RowFields:
    place: str
    title: str
    left: SideFields
    operator: Field
    right: SideFields | None
    candles: Field | None
    error: str


@dataclass(frozen=True, slots=True)
class BranchFields:
    """``members`` holds rows and branches; ``may_nest`` whether one more group fits in."""

    place: str
    title: str
    word: Field
    size: int
    members: tuple["RowFields | BranchFields", ...]
    may_nest: bool
    error: str

    is_group = True


@dataclass(frozen=True, slots=True)
class BuilderFields:
    entry: BranchFields
    exit: BranchFields
    protections: tuple[Field, ...]
    errors: tuple[tuple[str, str], ...]


def fields_of(draft: Draft, error: RuleError | None) -> BuilderFields:
    """``errors`` are (place, sentence), for the summary above the form."""
    errors = {place_of(error.path): error.message} if error else {}
    typed = dict(draft.protections)
    return BuilderFields(
        entry=_branch(draft.entry, "entry", "Entry", errors, 1),
        exit=_branch(draft.exit, "exit", "Exit", errors, 1),
        protections=tuple(_protection(known, typed.get(known.name, "")) for known in PROTECTIONS),
        errors=tuple(_summary(place, text) for place, text in errors.items()),
    )


def title_of(place: str) -> str:
    """``entry.0.1`` as people count: Entry, condition 1.2."""
    top, *steps = place.split(".")
    words = {"stop_loss_pct": "Stop-loss", "take_profit_pct": "Target", "trailing_stop_pct": "Trailing stop"}
    name = words.get(top, top.capitalize())
    return f"{name}, condition {'.'.join(str(int(step) + 1) for step in steps)}" if steps else name


def _summary(place: str, text: str) -> tuple[str, str]:
    return place, f"{title_of(place)}: {text}"


def _protection(parameter: Parameter, value: str) -> Field:
    return Field(parameter.name, title_of(parameter.name) + ", %", value, help=parameter.help, placeholder="none")


def _branch(branch: Branch, place: str, title: str, errors: Mapping[str, str], depth: int) -> BranchFields:
    members = tuple(_members(branch, place, errors, depth))
    word = Field(f"{place}:word", f"{title} when", branch.word, WORDS)
    return BranchFields(place, title, word, len(members), members, depth < MAX_DEPTH, errors.get(place, ""))


def _members(branch: Branch, place: str, errors: Mapping[str, str], depth: int) -> Iterator[RowFields | BranchFields]:
    for index, member in enumerate(branch.members):
        here = f"{place}.{index}"
        if isinstance(member, Branch):
            yield _branch(member, here, title_of(here).replace("condition", "group"), errors, depth + 1)
        else:
            yield _row(member, here, errors)


def _row(row: Row, place: str, errors: Mapping[str, str]) -> RowFields:
    unit = _unit(row.left)
    back = row.operator in LOOKING_BACK
    candles = Field(f"{place}:candles", "Candles ago", row.candles, numeric="numeric")
    return RowFields(
        place=place,
        title=title_of(place),
        left=_side(row.left, f"{place}:left", "Indicator", [unit for _, unit in GROUPS], number=False),
        operator=Field(f"{place}:operator", "Operator", row.operator, tuple((o, VERBS[o]) for o in OPERATORS)),
        right=None if back else _side(_comparable(row.right, unit), f"{place}:right", "Than", [unit], number=True),
        candles=candles if back else None,
        error=errors.get(place, ""),
    )


def _unit(side: Side) -> str:
    return CATALOGUE[side.name.split(".")[0]].unit


def _comparable(right: Side, unit: str) -> Side:
    """What cannot be compared with the left side is not on offer any more: a number then."""
    return right if right.name == NUMBER or _unit(right) == unit else Side(NUMBER)


def _side(side: Side, name: str, label: str, units: Sequence[str], *, number: bool) -> SideFields:
    offered = [(title, tuple(_choices(unit))) for title, unit in GROUPS if unit in units]
    if number:
        offered.insert(0, ("Fixed", ((NUMBER, "a number"),)))
    level = Field(f"{name}.number", "Number", side.number) if side.name == NUMBER else None
    return SideFields(name, label, side.name, tuple(offered), level, tuple(_params(side, name)))


def _choices(unit: str) -> Iterator[Choice]:
    for operand in OPERANDS:
        indicator, _, output = operand.partition(".")
        if CATALOGUE[indicator].unit == unit:
            yield operand, f"{LABELS[indicator]}: {output}" if output else LABELS[indicator]


def _params(side: Side, name: str) -> Iterator[Field]:
    if side.name == NUMBER:
        return
    indicator = side.name.split(".")[0]
    for parameter in CATALOGUE[indicator].parameters:
        default = f"{parameter.default:g}" if isinstance(parameter.default, float) else str(parameter.default)
        yield Field(
            name=f"{name}.{indicator}.{parameter.name}",
            label=parameter.name.capitalize(),
            value=dict(side.params).get(parameter.name, default),
            choices=tuple((choice, choice) for choice in parameter.choices),
            help=parameter.help,
            numeric="numeric" if parameter.kind == "int" else "decimal",
        )
