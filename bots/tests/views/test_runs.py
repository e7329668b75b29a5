import pytest
from django.utils import timezone

from accounts.audit import CONSOLE
from bots import gates, lifecycle
from bots.models import BotRun, Decision, Mode, Order, Status
from bots.testing import start_run
from exchanges.models import ExchangeKey


def text(response) -> str:
    return response.content.decode()


def test_the_list_is_filtered_by_its_address(alices, alice, stage):
    first, second = start_run(alice), start_run(alice)
    lifecycle.pause(second, timezone.now(), CONSOLE)
    assert f"/app/bots/{first.pk}/" in text(alices.get("/app/bots/"))
    paused = text(alices.get("/app/bots/?status=paused"))
    assert f"/app/bots/{first.pk}/" not in paused
    assert f"/app/bots/{second.pk}/" in paused
    assert "No bots match" in text(alices.get("/app/bots/?mode=live"))
    assert alices.get("/app/bots/?status=dancing").status_code == 200


def test_a_bot_says_why_it_does_not_trade(alices, traded):
    page = text(alices.get(f"/app/bots/{traded.pk}/"))
    assert "Why is it not trading?" in page
    assert "The script says 0." in page
    assert "Neither rule asked for a trade on this candle." in page


def test_a_bot_that_holds_says_what_it_waits_for(alices, holding):
    page = text(alices.get(f"/app/bots/{holding.pk}/"))
    assert "Why is it holding?" in page
    assert "from 104.00" in page


def test_a_halted_bot_says_who_halted_it_and_why(alices, traded):
    gates.switch("run", traded.pk, "halt", "looks odd", timezone.now(), CONSOLE)
    page = text(alices.get(f"/app/bots/{traded.pk}/"))
    assert "looks odd" in page
    assert 'data-alert="1"' in page


def test_decisions_show_changes_unless_every_candle_is_wanted(alices, traded):
    assert "SIGNAL_BUY" in text(alices.get(f"/app/bots/{traded.pk}/"))
    changes = text(alices.get(f"/app/bots/{traded.pk}/")).count('id="decision-')
    everything = text(alices.get(f"/app/bots/{traded.pk}/?show=all")).count('id="decision-')
    assert (changes, everything) == (2, Decision.objects.filter(run=traded).count())


def test_trades_and_orders_link_to_the_orders_life(alices, traded):
    for order in Order.objects.filter(run=traded):
        link = f'href="/app/orders/{order.pk}/"'
        assert link in text(alices.get(f"/app/bots/{traded.pk}/?tab=trades"))
        assert link in text(alices.get(f"/app/bots/{traded.pk}/?tab=orders"))
        life = text(alices.get(f"/app/orders/{order.pk}/"))
        for event in order.events.all():
            assert event.to_state in life
            assert event.actor in life


def test_settings_are_shown_with_the_strategy(alices, traded):
    assert "1,000.00 USDT" in text(alices.get(f"/app/bots/{traded.pk}/?tab=settings"))


def test_pause_and_resume_go_through_the_same_door_as_the_api(alices, traded):
    assert alices.post(f"/app/bots/{traded.pk}/pause/").url == f"/app/bots/{traded.pk}/"
    traded.refresh_from_db()
    assert traded.status == Status.PAUSED
    alices.post(f"/app/bots/{traded.pk}/resume/")
    traded.refresh_from_db()
    assert traded.status == Status.RUNNING


def test_a_stopped_bot_cannot_be_paused_and_says_so(alices, traded):
    lifecycle.stop(traded, "keep", timezone.now(), CONSOLE)
    page = text(alices.post(f"/app/bots/{traded.pk}/pause/", follow=True))
    assert "cannot be paused" in page
    assert "Nothing was changed." in page
    assert "Nothing below moves any more." in page
    assert "cannot be resumed" in text(alices.post(f"/app/bots/{traded.pk}/resume/", follow=True))


def test_stopping_states_the_consequence_in_money(alices, holding):
    page = text(alices.get(f"/app/bots/{holding.pk}/stop/"))
    assert "Sell it at the market" in page
    assert "bought at 104.00" in page
    part = text(alices.get(f"/app/bots/{holding.pk}/stop/", HTTP_HX_REQUEST="true"))
    assert "<html" not in part
    assert "autofocus" in part


@pytest.mark.parametrize(("choice", "close"), [("keep", False), ("close", True)])
def test_stopping_does_what_was_chosen(choice, close, alices, holding):
    alices.post(f"/app/bots/{holding.pk}/stop/", {"on_open_position": choice})
    holding.refresh_from_db()
    assert holding.close_requested is close
    assert holding.status == (Status.STOPPING if close else Status.STOPPED)


def test_stopping_without_a_choice_changes_nothing(alices, holding):
    assert alices.post(f"/app/bots/{holding.pk}/stop/", {}).status_code == 422
    holding.refresh_from_db()
    assert holding.status == Status.RUNNING


def test_selling_real_money_wants_the_word(alices, alice, holding):
    sealed = {"encrypted_key": "x", "iv_key": "x", "encrypted_secret": "x", "iv_secret": "x", "key_id": "0"}
    key = ExchangeKey.objects.create(owner=alice, exchange="demo", created_at=timezone.now(), fingerprint="f", **sealed)
    BotRun.objects.filter(pk=holding.pk).update(mode=Mode.LIVE, key=key)
    path = f"/app/bots/{holding.pk}/stop/"
    refused = alices.post(path, {"on_open_position": "close", "word": "sell"})
    assert refused.status_code == 422
    assert "Type SELL" in text(refused)
    assert "This is real money." in text(refused)
    assert 'value="close" checked' in text(refused)
    assert alices.post(path, {"on_open_position": "close", "word": "SELL"}).status_code == 302
    holding.refresh_from_db()
    assert holding.close_requested
