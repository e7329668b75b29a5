"""Rules of every shape, for hypothesis."""

from decimal import Decimal

from hypothesis import strategies as st

from strategies.core.catalogue import CATALOGUE
from strategies.core.rule_definition import PROTECTIONS

LEVELS = st.one_of(st.sampled_from([30, 0, -1, 12345.678]), st.floats(-1e12, 1e12, allow_nan=False))


def _value(parameter):
    low, high = parameter.minimum, parameter.maximum
    match parameter.kind:
        case "choice":
            return st.sampled_from(parameter.choices)
        case "int":
            return st.integers(low, high)
        case _:
            return st.floats(low, high)


@st.composite
def operands(draw, names=tuple(CATALOGUE)):
    indicator = CATALOGUE[draw(st.sampled_from(sorted(names)))]
    params = {p.name: draw(_value(p)) for p in indicator.parameters if draw(st.booleans())}
    if indicator.name == "macd":
        params = draw(st.sampled_from([{}, {"fast": 5, "slow": 9}]))
    operand = {"indicator": indicator.name, "params": params}
    return {**operand, "output": draw(st.sampled_from(indicator.outputs))} if draw(st.booleans()) else operand


@st.composite
def conditions(draw):
    left = draw(operands())
    operator = draw(st.sampled_from(["above", "below", "crosses_above", "crosses_below", "rising", "falling"]))
    if operator in ("rising", "falling"):
        return {"left": left, "operator": operator, "candles": draw(st.integers(1, 100))}
    unit = CATALOGUE[left["indicator"]].unit
    comparable = [name for name, known in CATALOGUE.items() if known.unit == unit]
    return {"left": left, "operator": operator, "right": draw(st.one_of(LEVELS, operands(comparable)))}


def groups(members):
    return st.builds(
        lambda word, inner: {word: inner}, st.sampled_from(["all", "any"]), st.lists(members, min_size=1, max_size=2)
    )


DEEP = groups(
    st.one_of(conditions(), groups(st.one_of(conditions(), groups(st.one_of(conditions(), groups(conditions()))))))
)


@st.composite
def definitions(draw):
    guards = {
        p.name: draw(st.decimals(p.minimum, p.maximum, places=4).map(str)) for p in PROTECTIONS if draw(st.booleans())
    }
    exit_ = draw(st.one_of(groups(conditions()), st.none())) if guards else draw(groups(conditions()))
    return {"entry": draw(DEEP), "exit": exit_, **guards}


def fits(definition):
    """Within the bounds of the protections, whose places were rounded."""
    return all(Decimal(definition[p.name]) >= p.minimum for p in PROTECTIONS if p.name in definition)
