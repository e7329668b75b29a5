import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.audit import CONSOLE
from bots import gates
from bots.reconcile import incidents
from bots.testing import start_run


def text(response) -> str:
    return response.content.decode()


def test_the_first_visit_says_what_to_do(alices):
    page = text(alices.get("/app/"))
    assert "No bots yet" in page
    assert "First steps" in page
    assert "/app/account/2fa/totp/activate/" in page


def test_the_checklist_can_be_hidden(alices):
    assert alices.post("/app/checklist/hide/").status_code == 302
    assert "First steps" not in text(alices.get("/app/"))


def test_money_is_shown_per_mode_and_quote(alices, traded):
    page = text(alices.get("/app/?period=all"))
    assert 'class="card purse paper" aria-label="Paper, USDT"' in page
    assert "purse live" not in page
    assert "Net profit, after fees" in page
    assert '<path class="line"' in page
    assert "synthetic market" in page


def test_an_open_position_is_listed_with_its_entry(alices, holding):
    page = text(alices.get("/app/"))
    assert f'href="/app/bots/{holding.pk}/"' in page
    assert 'data-label="Entry">104.00' in page
    assert "1 open" in page


@pytest.mark.parametrize("period", ["1d", "7d", "30d", "all", "", "nonsense"])
def test_any_period_in_the_address_is_answered(period, alices, traded):
    assert alices.get("/app/", {"period": period}).status_code == 200


def test_what_stops_trading_stands_at_the_top(alices, alice, traded):
    gates.switch("user", alice.pk, "halt", "the news", timezone.now(), CONSOLE)
    incidents.tell(traded.account, "overfill", "order:1", "They say 1, we say 2.", {"order": 1}, timezone.now())
    traded.status, traded.status_reason = "error", "No such strategy."
    traded.save()
    page = text(alices.get("/app/"))
    for reason in ("the news", "They say 1, we say 2.", "No such strategy."):
        assert reason in page
    assert 'data-alert="1"' in page


def test_the_number_of_queries_does_not_grow_with_the_bots(alices, alice, stage):
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as seen:
            assert alices.get("/app/").status_code == 200
        return len(seen)

    start_run(alice)
    first = queries()
    for _ in range(7):
        start_run(alice)
    assert queries() <= first
