"""Nobody asks an exchange that said stop, and nobody spends a unit twice."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache

from exchanges.adapters import rate_budget
from exchanges.adapters.rate_budget import RateBudget
from exchanges.core.errors import BudgetSpent, RateLimited

AT = datetime(2024, 2, 1, 10, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()
    yield
    cache.clear()


def test_ban_holds_until_its_end_for_every_budget_of_the_exchange():
    RateBudget("binance").ban(AT + timedelta(seconds=30), AT)

    with pytest.raises(RateLimited) as fault:
        RateBudget("binance").check(AT + timedelta(seconds=29))

    assert fault.value.retry_at == AT + timedelta(seconds=30)
    RateBudget("binance").check(AT + timedelta(seconds=30))
    RateBudget("okx").check(AT)
    RateBudget("binance", "http://proxy").check(AT)


def test_ban_is_never_shortened():
    budget = RateBudget("binance")
    budget.ban(AT + timedelta(minutes=3), AT)
    budget.ban(AT + timedelta(seconds=5), AT)

    assert budget.banned_until() == AT + timedelta(minutes=3)


def test_spent_budget_refuses_what_cannot_wait(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rate_budget, "WINDOW_SECONDS", 1000)
    budget = RateBudget("binance", cost_per_second=0.01)
    for _ in range(7):
        budget.spend(1, AT, patience=0)

    with pytest.raises(BudgetSpent, match="budget"):
        budget.spend(1, AT, patience=0)


def test_orders_may_spend_what_questions_may_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rate_budget, "WINDOW_SECONDS", 1000)
    budget = RateBudget("binance", cost_per_second=0.01)
    for _ in range(7):
        budget.spend(1, AT, patience=0)

    budget.spend(1, AT, patience=0, urgent=True)
    budget.spend(1, AT, patience=0, urgent=True)
    with pytest.raises(RateLimited):
        budget.spend(1, AT, patience=0, urgent=True)


def test_waiting_spender_gets_the_next_window(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rate_budget, "WINDOW_SECONDS", 1)
    budget = RateBudget("binance", cost_per_second=2)
    started = time.monotonic()
    for _ in range(3):
        budget.spend(1, AT, patience=5)

    assert time.monotonic() - started < 3.2


def test_threads_together_stay_within_the_budget(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rate_budget, "WINDOW_SECONDS", 1000)
    granted = []

    def spend() -> None:
        for _ in range(20):
            try:
                RateBudget("binance", cost_per_second=0.1).spend(1, AT, patience=0)
            except RateLimited:
                continue
            granted.append(1)

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 60 < len(granted) <= 70
