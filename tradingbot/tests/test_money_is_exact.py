"""No float in the money path: read from the source, so that none can hide in a branch that no test takes."""

import ast
from pathlib import Path

import pytest

from tradingbot.tests.places import PROJECT

MONEY = (
    "bots/acting.py bots/assess.py bots/breakers.py bots/capital.py bots/ledger.py bots/lifecycle.py bots/orders.py",
    "bots/settling.py bots/situation.py bots/tick.py bots/watch.py bots/core/breaker.py bots/core/decision.py",
    "bots/core/intent.py bots/core/limits.py bots/core/position.py bots/core/protection.py bots/core/risk.py",
    "bots/core/situation.py bots/core/sizing.py bots/reconcile/*.py bots/models/*.py bots/core/own_orders.py",
    "bots/core/joint.py bots/joint_breakers.py",
    "exchanges/core/decimals.py exchanges/core/fees.py exchanges/core/market.py exchanges/core/orders.py",
    "exchanges/core/simulated.py exchanges/core/slippage.py exchanges/models/exact.py exchanges/models/simulated.py",
    "exchanges/adapters/ccxt_exchange.py exchanges/adapters/ccxt_reading.py exchanges/adapters/paper*.py",
)
FILES = sorted({path for line in MONEY for name in line.split() for path in PROJECT.glob(name)})
#: Floats that are no money, by what stands on their line: opinions, durations, and doors that text leaves by.
ELSE = {
    "confidence": "an opinion's strength",
    "indicators": "what a strategy saw",
    "SECONDS": "a duration",
    "began": "a duration",
    "value: float": "decimals.from_float, the one door in",
    "repr(float(value))": "the same: by its shortest text",
    "isinstance(value,": "limits from JSON, by their text",
    "row: Sequence[float]": "a candle, by decimals.from_float",
    "str(float(voice.candles.close": "a candle's close, by its text",
    "wish.reason, 1.0": "an opinion's strength",
    "progress": "a backtest's share done",
    "per_second": "a speed",
}


def floats(source: str) -> list[tuple[int, str]]:
    """(line, what) of each float literal, `float`, float column and division into one."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            found.append((node.lineno, repr(node.value)))
        elif isinstance(node, ast.Name) and node.id == "float":
            found.append((node.lineno, "float"))
        elif isinstance(node, ast.Attribute) and node.attr in {"FloatField", "float64", "isclose", "fsum"}:
            found.append((node.lineno, node.attr))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_no_float_is_money(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    wrong = [
        f"{path.relative_to(PROJECT)}:{line}: {what}"
        for line, what in floats("\n".join(lines))
        if not any(words in lines[line - 1] for words in ELSE)
    ]
    assert wrong == []


def test_the_money_path_is_whole() -> None:
    assert len(FILES) >= 35
    assert {path.name for path in FILES} >= {"decision.py", "ledger.py", "one_order.py", "paper.py", "exact.py"}


def test_a_float_would_be_seen() -> None:
    assert floats("price = 0.1\nx: float = 1\nfield = models.FloatField()") == [
        (1, "0.1"), (2, "float"), (3, "FloatField"),
    ]  # fmt: skip
    assert floats("price = Decimal('0.1') * 2 / 3") == []
