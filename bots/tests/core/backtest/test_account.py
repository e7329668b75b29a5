from decimal import Decimal as D

import pytest

from bots.core.backtest import judged
from bots.core.backtest.account import Account, opinion_on
from bots.core.backtest.terms import Denied, Terms
from bots.core.codes import Code
from bots.core.decision import decide
from bots.core.position import Position
from bots.tests.core.candles_cast import STRICT, flat_candles, signals, terms


def account(prices: list[float]) -> Account:
    return Account(flat_candles(prices), Terms(D(1000), STRICT))


def entered(books: Account) -> Account:
    now = books.situation(1, D(100), D(100), D(1000), D(1000))
    assert books.carry_out(decide(opinion_on(signals(3, [0]), books.candles, 0), now), 1)
    return books


def test_protective_exit_that_the_exchange_would_refuse_is_a_denial_and_no_trade():
    books = entered(account([100, 100, 100]))
    now = books.situation(2, D("0.01"), D("0.01"), D(1000), D(1000))
    assert not books.protect(now, 2, Code.STOP_LOSS)
    assert books.denied == [Denied(2, Code.MIN_NOTIONAL)]
    assert books.trades == []


def test_position_that_one_sell_does_not_close_is_a_bug():
    books = entered(account([100, 100, 100]))
    books.position = Position(D(3), D(100))
    now = books.situation(2, D(100), D(100), D(1000), D(1000))
    books.kept = None
    with pytest.raises(AssertionError, match="one sell closes"):
        books.protect(now, 2, Code.STOP_LOSS)


def test_protection_that_sold_nothing_leaves_the_position_open(monkeypatch):
    monkeypatch.setattr(Account, "protect", lambda *_: False)
    outcome = judged.walk(flat_candles([100, 100, 90, 90]), signals(4, [0]), terms(stop_loss_pct=D(5)))
    assert outcome.trades == []
    assert outcome.open is not None
