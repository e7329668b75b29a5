from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from bots.core.backtest.overlap import overlap


def trade(entry: int, exit_: int, pnl: str = "1"):
    return {"entry_at": f"{entry:03}", "exit_at": f"{exit_:03}", "pnl": pnl}


def test_trades_are_shared_by_their_entry():
    first = [trade(1, 2, "5"), trade(3, 4, "-2.5"), trade(7, 9, "1")]
    second = [trade(3, 6, "-1"), trade(7, 9, "2"), trade(8, 9, "0.5"), trade(11, 12, "0.25")]
    found = overlap(first, second)
    assert [(one["entry_at"], other["exit_at"]) for one, other in found.shared] == [("003", "006"), ("007", "009")]
    assert ([one["entry_at"] for one in found.only_first], len(found.only_second)) == (["001"], 2)
    assert (found.share_pct, found.alike) == (40.0, 1)
    assert found.pnl == (D("-1.5"), D(1), D(5), D("0.75"))


def test_no_trades_share_nothing():
    assert overlap([], []).share_pct is None
    assert overlap([trade(1, 2)], []).share_pct == 0.0


entries = st.sets(st.integers(0, 60), max_size=20).map(sorted)


@given(entries, entries)
def test_every_trade_is_on_exactly_one_side(first, second):
    made = overlap([trade(at, at + 1) for at in first], [trade(at, at + 2) for at in second])
    back = overlap([trade(at, at + 2) for at in second], [trade(at, at + 1) for at in first])
    assert len(made.shared) + len(made.only_first) == len(first)
    assert len(made.shared) + len(made.only_second) == len(second)
    assert (made.share_pct, len(made.only_first)) == (back.share_pct, len(back.only_second))
    if first == second and first:
        assert made.share_pct == 100
