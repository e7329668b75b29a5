"""The one trade on trial of a half-open breaker: two runs that ask for it at once cannot both have it."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from threading import Barrier, BrokenBarrierError

import pytest
from django.db import connections

from accounts.audit import CONSOLE
from bots import operations, orders
from bots.core.codes import Code
from bots.core.decision import Decided
from bots.core.risk import Situation
from bots.models import BotRun, Breaker, Level, Order
from bots.orders import Cause, Placed
from bots.situation import Ambient
from bots.testing import MARKET, START, Stage, learn_strategies, make_user, start_run
from bots.tests.desk import PRICE, buy
from exchanges.core.orders import Quote

AT = START + timedelta(hours=2)


def half_open() -> list[BotRun]:
    """Two paper runs of one user, whose guard against stop-losses has waited its time out."""
    learn_strategies()
    user = make_user()
    runs = [start_run(user) for _ in range(2)]
    operations.set_limits(Level.USER, user.pk, {"stop_loss_guard_count": 2}, START, CONSOLE)
    Breaker.objects.create(
        level="user", target=user.pk, mode="paper", name="stop_loss_guard", state="open", reason="Two stops.",
        tripped_at=START, half_open_at=START + timedelta(hours=1), since=START, changed_at=START, changed_by="risk",
    )  # fmt: skip
    return runs


def both_at_once(runs: list[BotRun]) -> list[Placed]:
    """Both read before either writes, unless something makes one of them wait."""
    together = Barrier(len(runs))

    def choose(now: Situation) -> Decided:
        with suppress(BrokenBarrierError):
            together.wait(1.5)
        return buy(now)

    def enter(run: BotRun) -> Placed:
        ambient = Ambient(Quote(MARKET.symbol, PRICE, PRICE, AT), run.capital, stale=False)
        try:
            return orders.decide_and_place(run.pk, 0, Cause("candle:1", "test"), choose, MARKET, ambient, AT)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(runs)) as pool:
        return list(pool.map(enter, runs))


def one_trial(stage: Stage) -> None:
    placed = both_at_once(half_open())
    assert sorted(one.decision.code for one in placed if one.decision) == [Code.CIRCUIT_BREAKER, Code.SIGNAL_BUY]
    assert Order.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_ticks_at_once_take_one_trial(stage: Stage) -> None:
    one_trial(stage)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_ticks_at_once_take_one_trial_on_postgresql(stage: Stage) -> None:
    one_trial(stage)
