"""Users' rules in runs and backtests: what a run carries, and what the rule set's later life does to it."""

from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.audit import CONSOLE
from bots import lifecycle
from bots.core.backtest.request import RequestError, asked_for
from bots.models import BotRun, Status
from bots.queries.runs import run_of
from bots.testing import START, start_run
from bots.tick import tick_due
from strategies import operations
from strategies.operations import RuleSetFacts, RuleSetInUse
from strategies.queries import rules

RISES = {
    "entry": {"all": [{"left": {"indicator": "close"}, "operator": "rising"}]},
    "exit": {"any": [{"left": {"indicator": "close"}, "operator": "falling"}]},
    "stop_loss_pct": "5",
    "trailing_stop_pct": "3",
}
BACKTEST = {
    "strategy": "rules", "exchange": "demo", "symbol": "BTC/USDT", "timeframe": "1m", "capital": "1000", "fee": "0.001",
}  # fmt: skip


@pytest.fixture
def rule_set(alice):
    return operations.create_rule_set(alice, RuleSetFacts("Rises", "", RISES), START, CONSOLE)


def test_run_by_a_rule_carries_it_with_its_protections(alice, rule_set):
    view = rules.view_of(rule_set)
    run = start_run(alice, strategy="rules", params=view.params)
    assert run.params == view.params
    assert run.limits == {"stop_loss_pct": "5", "trailing_stop_pct": "3"}
    assert run_of(alice, run.pk).strategy == "rules"


def test_limits_of_the_request_count_instead_of_the_rules(alice, rule_set):
    params = rules.view_of(rule_set).params
    run = start_run(alice, strategy="rules", params=params, limits={"stop_loss_pct": "2"})
    assert run.limits == {"stop_loss_pct": "2", "trailing_stop_pct": "3"}


def test_null_takes_no_protection_away_live_as_in_a_backtest(alice, rule_set):
    params, unsaid = rules.view_of(rule_set).params, {"stop_loss_pct": None}
    run = start_run(alice, strategy="rules", params=params, limits=unsaid)
    tested = asked_for({**BACKTEST, "params": params, "limits": unsaid}).request
    assert run.limits == tested.limits.as_json() == {"stop_loss_pct": "5", "trailing_stop_pct": "3"}


def test_run_by_a_rule_trades_and_says_why(alice, rule_set):
    run = start_run(alice, strategy="rules", params=rules.view_of(rule_set).params)
    for minute in range(1, 15):
        tick_due(START + timedelta(minutes=minute, seconds=1))
    reasons = list(run.decisions.values_list("reason", flat=True))
    assert any(reason.startswith("The entry rule holds. Met: close rising over 1") for reason in reasons)
    assert run.orders.filter(purpose="entry").exists()


def test_edit_and_delete_leave_a_run_as_it_was(alice, rule_set):
    run = start_run(alice, strategy="rules", params=rules.view_of(rule_set).params)
    changed = RuleSetFacts("Rises", "", {**RISES, "stop_loss_pct": "9"})
    operations.update_rule_set(rule_set, changed, START, CONSOLE)
    with pytest.raises(RuleSetInUse):
        operations.delete_rule_set(rule_set, START, CONSOLE, in_use=rules.in_use)
    assert BotRun.objects.get(pk=run.pk).params["definition"]["stop_loss_pct"] == "5"
    BotRun.objects.filter(pk=run.pk).update(status=Status.STOPPED, stopped_at=START)
    operations.delete_rule_set(rule_set, START, CONSOLE, in_use=rules.in_use)


def test_label_of_anothers_rule_set_holds_nothing(alice, bob, rule_set):
    start_run(bob, strategy="rules", params=rules.view_of(rule_set).params)
    assert not rules.in_use(rule_set)


@pytest.mark.parametrize("params", [{}, {"definition": {}}, {"rule_set": 1}])
def test_run_without_a_rule_is_refused(params, alice):
    with pytest.raises(lifecycle.Invalid) as refused:
        start_run(alice, strategy="rules", params=params)
    assert set(refused.value.errors) == {"params.definition"}
    assert not BotRun.objects.exists()


def test_backtest_takes_a_rule_with_its_protections(alice, rule_set):
    asked = asked_for({**BACKTEST, "params": rules.view_of(rule_set).params})
    assert asked.request.limits.stop_loss_pct == Decimal(5)
    assert asked.request.limits.trailing_stop_pct == Decimal(3)
    other = asked_for({**BACKTEST, "params": {"definition": RISES}, "limits": {"stop_loss_pct": "2"}})
    assert (other.request.limits.stop_loss_pct, other.request.limits.trailing_stop_pct) == (Decimal(2), Decimal(3))


@pytest.mark.parametrize("given", [{}, {"params": None}, {"params": {}}, {"params": {"definition": {}}}])
def test_backtest_without_a_rule_is_refused(given):
    with pytest.raises(RequestError) as refused:
        asked_for({**BACKTEST, **given})
    assert set(refused.value.errors) == {"params.definition"}
