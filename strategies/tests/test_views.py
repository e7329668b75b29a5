"""The catalogue's pages."""

import pytest
from django.test import Client

from accounts.tests.cast import user
from strategies import queries
from strategies.models import Strategy

pytestmark = pytest.mark.django_db


@pytest.fixture
def alices() -> Client:
    client = Client()
    client.force_login(user("alice@example.com"))
    return client


def text(response) -> str:
    return response.content.decode()


def test_the_catalogue_lists_every_strategy_with_when_it_does_badly(alices):
    page = text(alices.get("/app/strategies/"))
    kinds = queries.list_strategies()
    assert kinds
    for kind in kinds:
        assert f'href="/app/strategies/{kind.name}/"' in page
    assert page.count("Does badly when:") == len(kinds)


@pytest.mark.parametrize("name", ["rsi_cross", "vwap_cross", "donchian_turtle", "dca", "grid"])
def test_a_strategy_shows_its_formula_and_every_parameter(name, alices):
    page = text(alices.get(f"/app/strategies/{name}/"))
    for parameter in queries.strategy_view(name).parameters["properties"]:
        assert f"<code>{parameter}</code>" in page
    assert "Formula" in page
    assert f"/app/bots/new/?strategy={name}" in page


def test_a_strategy_that_is_switched_off_offers_no_new_bot(alices):
    view = queries.strategy_view("rsi_cross")
    facts = {"description": view.description, "version": "1", "module": "x:Y", "synced_at": "2026-01-01T00:00Z"}
    Strategy.objects.update_or_create(name="rsi_cross", defaults={"enabled": False, **facts})
    page = text(alices.get("/app/strategies/rsi_cross/"))
    assert "switched off" in page
    assert "/app/bots/new/?strategy=rsi_cross" not in page


@pytest.mark.parametrize("name", ["nope", "..", "<script>"])
def test_an_unknown_strategy_is_not_found(name, alices):
    assert alices.get(f"/app/strategies/{name}/").status_code == 404


def test_the_catalogue_is_for_who_is_logged_in(client):
    assert client.get("/app/strategies/").status_code == 302
    assert client.get("/app/strategies/rsi_cross/").status_code == 302
