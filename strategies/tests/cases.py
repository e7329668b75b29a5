"""A rule set of Alice's, and the rules that tests play with."""

from accounts.audit import CONSOLE
from accounts.tests import cast
from strategies import operations
from strategies.operations import RuleSetFacts

DEFINITION = {
    "entry": {"all": [{"left": {"indicator": "rsi"}, "operator": "crosses_above", "right": 30}]},
    "exit": {"any": [{"left": {"indicator": "rsi"}, "operator": "crosses_below", "right": 70}]},
    "stop_loss_pct": "5",
}
OTHER = {**DEFINITION, "stop_loss_pct": "7.50"}
WRONG = {"entry": {"all": [{"left": {"indicator": "rsi"}, "operator": "crosses_above", "right": "thirty"}]}}


def facts(name="Dips", description="", definition=None):
    return RuleSetFacts(name, description, DEFINITION if definition is None else definition)


def rule_set(owner, **wanted):
    return operations.create_rule_set(owner, facts(**wanted), cast.NOW, CONSOLE)
