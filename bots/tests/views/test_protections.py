"""A bot's page says what protects its position, at which price and where; an order's page says that it rests."""

import pytest
from django.test import Client

from accounts.models import User
from bots.forms import LimitsForm
from bots.models import BotRun, Order
from bots.queries.protections import protections_of
from bots.testing import Stage, start_run
from bots.tests.views.conftest import play
from exchanges import connect
from exchanges.core.orders import StopStyle


def text(response) -> str:
    return response.content.decode()


def held(alice: User, stage: Stage, **limits: object) -> BotRun:
    run = start_run(alice, limits=limits)
    play(stage, 4)
    run.refresh_from_db()
    assert run.held > 0
    return run


def test_a_resting_stop_and_a_watched_target_are_told_apart(alices: Client, alice: User, stage: Stage) -> None:
    run = held(alice, stage, stop_loss_pct="5", take_profit_pct="50", stop_on_exchange=True)
    order = Order.objects.get(run=run, type="stop_loss")
    page = text(alices.get(f"/app/bots/{run.pk}/"))
    assert "What protects this position" in page
    assert f'<a href="/app/orders/{order.pk}/">rests on the exchange</a>' in page
    assert "watched from here" in page
    # Why it holds is the strategy's word, not that a stop was put there.
    assert "The price reached the stop-loss" not in page.split('<nav class="tabs"')[0]
    life = text(alices.get(f"/app/orders/{order.pk}/"))
    assert "until it is filled or called back" in life
    assert "Set off at" in life


def test_every_protection_has_its_level(alice: User, stage: Stage) -> None:
    run = held(alice, stage, stop_loss_pct="5", trailing_stop_pct="10", take_profit_pct="50", break_even_pct="40")
    found = protections_of(run.pk)
    assert found is not None
    told = {one.code: one.level for one in found.items}
    # The break-even stop is not armed yet.
    assert set(told) == {"STOP_LOSS", "TRAILING_STOP", "TAKE_PROFIT"}
    paid = run.position.entry_price
    assert (told["STOP_LOSS"], told["TAKE_PROFIT"]) == (paid * 95 / 100, paid * 3 / 2)
    assert found.note == ""


def test_a_position_without_protection_says_so(alices: Client, holding: BotRun) -> None:
    assert "No stop and no target" in text(alices.get(f"/app/bots/{holding.pk}/"))


def test_a_bot_that_holds_nothing_needs_none(alices: Client, traded: BotRun) -> None:
    assert protections_of(traded.pk) is None
    assert "What protects this position" not in text(alices.get(f"/app/bots/{traded.pk}/"))


def test_where_no_stop_can_rest_the_page_says_why(
    alices: Client, alice: User, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bots.connect.stop_style", lambda run: StopStyle.NONE)
    run = held(alice, stage, stop_loss_pct="5", stop_on_exchange=True)
    assert "so the stop is watched" in text(alices.get(f"/app/bots/{run.pk}/"))
    monkeypatch.setattr("bots.connect.stop_style", lambda run: connect.stop_style("binance"))
    assert "put there with the next look" in text(alices.get(f"/app/bots/{run.pk}/"))


def test_the_form_starts_a_bot_whose_entries_and_stop_rest(alices: Client) -> None:
    page = text(alices.get("/app/bots/new/"))
    for name in ("limit_entry_type", "limit_limit_offset_pct", "limit_limit_timeout_seconds", "limit_stop_on_exchange"):
        assert f'name="{name}"' in page


def test_the_users_limits_do_not_offer_how_orders_are_sent() -> None:
    assert {"entry_type", "stop_on_exchange"} & set(LimitsForm().fields) == set()
