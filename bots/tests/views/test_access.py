"""Who sees and may do what: strangers get 404, nobody is sent to the login, and neither changes anything."""

import pytest
from django.test import Client

from bots.models import BotRun, TradingGate

PLAIN = (
    *("/app/", "/app/bots/", "/app/bots/new/", "/app/trades/", "/app/trades/trades.csv"),
    *("/app/risk/", "/app/risk/stop/", "/app/keys/", "/app/strategies/", "/app/strategies/rsi_cross/"),
)
OWNED = ("bots/{run}/", "bots/{run}/stop/", "bots/{run}/candles/", "bots/{run}/chart.json", "orders/{order}/")
POSTED = ("bots/{run}/pause/", "bots/{run}/resume/", "bots/{run}/stop/", "bots/{run}/drift/")


def path(template: str, run: BotRun) -> str:
    order = run.orders.first()
    return "/app/" + template.format(run=run.pk, order=order.pk if order else 0)


@pytest.mark.parametrize("page", PLAIN)
def test_a_page_is_for_who_is_logged_in(page, client, alices):
    away = client.get(page)
    assert (away.status_code, away.url) == (302, f"/app/account/login/?next={page}")
    assert alices.get(page).status_code == 200


@pytest.mark.parametrize("template", OWNED)
def test_a_thing_is_its_owners(template, client, alices, bobs, traded):
    page = path(template, traded)
    assert client.get(page).status_code == 302
    assert bobs.get(page).status_code == 404
    assert alices.get(page).status_code == 200


@pytest.mark.parametrize("template", POSTED)
def test_a_stranger_changes_nothing(template, client, bobs, traded):
    page = path(template, traded)
    before = traded.status
    assert client.post(page, {"on_open_position": "close"}).status_code == 302
    assert bobs.post(page, {"on_open_position": "close"}).status_code == 404
    traded.refresh_from_db()
    assert traded.status == before


@pytest.mark.parametrize("template", OWNED)
def test_an_id_that_cannot_exist_is_not_found(template, alices):
    assert alices.get("/app/" + template.format(run=2**80, order=2**80)).status_code == 404


@pytest.mark.parametrize("template", ["bots/{run}/pause/", "bots/{run}/resume/"])
def test_a_link_changes_nothing(template, alices, traded):
    assert alices.get(path(template, traded)).status_code == 405


@pytest.mark.parametrize("template", POSTED)
def test_a_form_from_elsewhere_is_refused(template, alice, traded):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)
    answer = strict.post(path(template, traded), {"on_open_position": "keep"})
    assert answer.status_code == 403
    assert "no order was sent" in answer.content.decode()


def test_the_platforms_switch_is_for_staff(alices, alice):
    form = {"level": "platform", "action": "halt", "reason": "I want to"}
    assert alices.post("/app/risk/stop/", form).status_code == 404
    assert not TradingGate.objects.exists()
    alice.is_staff = True
    alice.save()
    assert alices.post("/app/risk/stop/", form).status_code == 302
    assert TradingGate.objects.get().level == "platform"


@pytest.mark.parametrize("level", ["run", "key"])
def test_a_switch_does_not_reach_a_strangers_things(level, bobs, traded):
    form = {"level": level, "target": traded.pk, "action": "halt", "reason": "mine now"}
    assert bobs.post("/app/risk/stop/", form).status_code == 422
    assert not TradingGate.objects.exists()


@pytest.mark.parametrize("page", ["/app/risk/limits/", "/app/keys/new/"])
def test_what_raises_risk_wants_a_second_factor(page, alices):
    answer = alices.get(page)
    assert (answer.status_code, answer.url) == (302, "/app/account/2fa/totp/activate/")


def test_a_strangers_run_cannot_be_copied(bobs, traded):
    assert bobs.get(f"/app/bots/new/?copy={traded.pk}").status_code == 404
