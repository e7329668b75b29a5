"""The main job on real input: sign up, add a key, arm it, trade live by RSI cross; every face shows the same trades."""

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.test import Client

from accounts.audit import CONSOLE
from accounts.models import User
from bots.core.sizing import flat
from bots.ledger import refold
from bots.models import Arming, BotRun, TradeLog
from exchanges import market_data
from exchanges.core.candles import from_ms
from exchanges.models import ExchangeKey
from exchanges.tests.loopback import API_KEY, API_SECRET, LoopbackExchange
from exchanges.tests.loopback.wiring import in_place_of_binance
from strategies import operations as strategies
from tradingbot.tests.journey.console import done, iso
from tradingbot.tests.journey.person import Person
from tradingbot.tests.journey.stretch import Stretch, moved_to_now, play, recorded, waves

pytestmark = pytest.mark.django_db
EMAIL = "dora@example.com"
#: A moment after the close, as beat would ring.
AFTER = timedelta(seconds=2)
Trade = tuple[str, Decimal, Decimal, Decimal, str]


@pytest.fixture
def exchange(tmp_path: Path, settings: object) -> Iterator[LoopbackExchange]:
    settings.LIVE_TRADING = True  # type: ignore[attr-defined]
    with in_place_of_binance(tmp_path / "books.sqlite3") as loopback:
        loopback.deposit("USDT", "10000")
        yield loopback


def tick_through(exchange: LoopbackExchange, stretch: Stretch) -> None:
    for index in stretch.ticks:
        at = stretch.closes(index) + AFTER
        exchange.clock.set(at)
        assert done("bot_tick", "--at", iso(at))["faults"] == []


def at_the_exchange(exchange: LoopbackExchange) -> list[Trade]:
    return [
        (row["side"].lower(), Decimal(row["amount"]), Decimal(row["price"]), Decimal(row["fee"]), row["fee_asset"])
        for row in exchange.trades()
    ]


def in_the_trade_log(run_id: int) -> list[Trade]:
    names = ("side", "quantity", "price", "fee", "fee_asset")
    return list(TradeLog.objects.filter(run_id=run_id).order_by("id").values_list(*names))


def as_documents(rows: list[dict[str, str]]) -> list[Trade]:
    return [
        (row["side"], Decimal(row["quantity"]), Decimal(row["price"]), Decimal(row["fee"]), row["fee_asset"])
        for row in reversed(rows)
    ]


def on_a_page(page: str) -> list[Trade]:
    """The trade table as it is read: side, exact amount, price and fee, fee asset; the oldest first."""
    found = []
    for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL):
        cells = dict(re.findall(r'<td[^>]*data-label="([^"]+)"[^>]*>(.*?)</td>', row, re.DOTALL))
        exact = dict(re.findall(r'data-label="([^"]+)" title="([^"]+)"', row))
        if "Side" in cells and "Fee" in exact:
            side = "buy" if re.search(r"\bbuy\b", cells["Side"], re.IGNORECASE) else "sell"
            asset = re.sub(r"<[^>]+>", "", cells["Fee"]).split()[-1]
            found.append((side, *(Decimal(exact[name]) for name in ("Amount", "Price", "Fee")), asset))
    return found[::-1]


def in_the_admin(page: str) -> list[Trade]:
    cells = [re.findall(r'class="field-(\w+)[^"]*">(?:<[^>]+>)*([^<]*)', row) for row in page.split("<tr")]
    rows = [dict(row) for row in cells if dict(row).get("side")]
    return [
        (row["side"], *(Decimal(row[name].replace(",", "")) for name in ("quantity", "price", "fee")), row["fee_asset"])
        for row in reversed(rows)
    ]


def test_the_stand_in_for_the_recording_crosses_both_ways() -> None:
    stand_in = Stretch(moved_to_now(waves()), range(60, 120))
    sides = [side for side, _ in stand_in.crosses()]
    assert sides == ["buy", "sell"] * (len(sides) // 2)
    assert len(sides) >= 4


def test_a_person_trades_live_and_every_face_shows_the_same_trades(exchange: LoopbackExchange) -> None:
    strategies.sync(from_ms(0), CONSOLE)
    stretch = recorded()
    play(exchange, stretch)
    dora = Person(EMAIL)
    dora.sign_up()
    dora.set_up_second_factor()
    dora.add_key("binance", API_KEY, API_SECRET)
    key = ExchangeKey.objects.get(owner__email=EMAIL)
    assert (key.permissions, API_SECRET in dora.browser.open("/app/keys/")) == ("trade", False)
    dora.arm(key.pk, API_KEY[-4:])
    assert Arming.objects.get(key=key, dropped_at=None).by == "page"
    run_id = dora.start_live(key.pk, capital="5000")

    tick_through(exchange, stretch)
    compared = done("orders_reconcile", "--at", iso(exchange.clock.now))
    assert [compared[name] for name in ("orders", "late_fills", "orphans", "mismatches", "faults")] == [0, 0, 0, 0, []]

    expected = at_the_exchange(exchange)
    crosses = stretch.crosses()
    assert [trade[0] for trade in expected] == [side for side, _ in crosses]
    assert len(expected) >= 4
    assert [from_ms(row["at_ms"]) for row in exchange.trades()] == [at + AFTER for _, at in crosses]
    assert in_the_trade_log(run_id) == expected
    exchange.clock.run()
    assert on_a_page(dora.browser.open(f"/app/bots/{run_id}/?tab=trades")) == expected
    assert on_a_page(dora.browser.open("/app/trades/")) == expected
    token = done("token_create", EMAIL, "--scopes", "read")["token"]
    answer = Client().get("/trades/history", headers={"Authorization": f"Bearer {token}"}).json()
    assert (as_documents(answer["items"]), answer["next"]) == (expected, None)
    assert as_documents(done("trade_list", "--run", run_id)["items"]) == expected
    User.objects.filter(email=EMAIL).update(is_staff=True, is_superuser=True)
    assert in_the_admin(dora.browser.open("/admin/bots/tradelog/")) == expected
    the_books_agree(exchange, BotRun.objects.get(pk=run_id))


def the_books_agree(exchange: LoopbackExchange, run: BotRun) -> None:
    """Fees in base on buys: the position is the fold of the fills, dust stays, and it is what is there."""
    assert run.status == "running"
    buys = run.fills.filter(side="buy")
    assert {fill.fee_asset for fill in buys} == {"BTC"}
    held = sum(
        ((fill.amount if fill.side == "buy" else -fill.amount) - (fill.fee if fill.fee_asset == "BTC" else 0))
        for fill in run.fills.all()
    )
    market = market_data.market("binance", "BTC/USDT", run.heartbeat_at)
    assert refold(run).amount == run.held == held == exchange.balances()["BTC"][0]
    assert 0 < held < market.amount_step or held == 0
    assert flat(held, run.fills.last().price, market)
    assert refold(run).cash == exchange.balances()["USDT"][0] - 10_000
    for ours, theirs in zip(run.orders.order_by("id"), exchange.orders(), strict=True):
        assert (ours.client_order_id, ours.state, ours.filled) == (
            theirs["client_id"],
            "FILLED",
            Decimal(theirs["filled"]),
        )
