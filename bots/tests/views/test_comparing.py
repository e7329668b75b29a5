"""The comparison of two backtests trade by trade."""

from decimal import Decimal
from html import unescape

from bots import backtests
from bots.core.backtest.overlap import overlap
from bots.core.result_pack import unpack_document
from bots.templatetags.figures import signed
from bots.tests.research_cast import AT, GIVEN, actor, stored, ticking
from bots.views.comparing import LISTED


def done(user, **changed):
    row = backtests.submit(user, {**GIVEN, **changed}, AT, actor(user))
    backtests.run(row.pk, ticking())
    row.refresh_from_db()
    return row


def trades(row):
    return unpack_document(row.result)["trades"]


def page_of(client, *rows):
    answer = client.get(f"/app/backtests/compare/?ids={','.join(str(row.pk) for row in rows)}")
    assert answer.status_code == 200
    return answer, unescape(answer.content.decode())


def test_shared_and_own_trades_are_counted_and_listed_with_their_profit(alices, alice):
    stored()
    one, two = done(alice), done(alice, params={"rsi_period": 12})
    expected = overlap(trades(one), trades(two))
    assert expected.shared
    assert expected.only_first
    assert expected.only_second
    answer, page = page_of(alices, one, two)
    (pair,) = answer.context["overlaps"]
    assert (pair.shared, pair.alike) == (len(expected.shared), expected.alike)
    assert f"{expected.share_pct:.1f} %" in page
    for row, only in ((one, expected.only_first), (two, expected.only_second)):
        assert f"Only in #{row.pk}: {len(only)} trade" in page
        for trade in only[:LISTED]:
            assert trade["entry_at"][:16].replace("T", " ") in page
    assert sum((side.shared_pnl + side.only_pnl for side, _ in pair.sides), Decimal(0)) == sum(
        Decimal(trade["pnl"]) for row in (one, two) for trade in trades(row)
    )
    assert str(signed(expected.pnl[2], "USDT")) in answer.content.decode()


def test_same_backtest_shares_everything(alices, alice):
    stored(600)
    one, two = done(alice), done(alice)
    _, page = page_of(alices, one, two)
    assert "100.0 %" in page
    assert "Only in" not in page


def test_each_other_is_set_against_the_first_and_another_market_is_not(alices, alice):
    stored(600)
    one, two, three = done(alice), done(alice, fee="0"), done(alice, params={"rsi_period": 6})
    answer, _ = page_of(alices, one, two, three)
    pairs = [[side.row.pk for side, _ in pair.sides] for pair in answer.context["overlaps"]]
    assert pairs == [[one.pk, two.pk], [one.pk, three.pk]]
    foreign = done(alice, exchange="demo", timeframe="1m", since="2025-12-31T12:00:00Z")
    answer, page = page_of(alices, one, foreign)
    assert answer.context["overlaps"] == []
    assert "Trades of" not in page


def test_nothing_traded_is_a_dash(alices, alice):
    stored(20)
    answer, _ = page_of(alices, done(alice), done(alice))
    assert [pair.share for pair in answer.context["overlaps"]] == ["—"]
