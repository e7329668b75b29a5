"""Backtests in a real browser: from the form to the report with its chart, with a quiet console."""

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.audit import Actor
from bots import backtests
from bots.models import Backtest
from bots.tests.research_cast import GIVEN
from bots.tests.views.window import fits

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_backtest_goes_from_the_form_to_its_report(page, owner):
    page.goto("/app/backtests/new/")
    page.get_by_label("RSI period").fill("7")
    page.get_by_label("From (UTC)").fill("2026-01-01")
    page.get_by_label("Before (UTC)").fill("2026-02-01")
    assert fits(page)
    page.get_by_role("button", name="Run the backtest").click()
    expect(page.get_by_role("heading", name="Waiting for a worker")).to_be_visible()
    row = Backtest.objects.get(owner=owner)
    assert backtests.run(row.pk, timezone.now)
    # The page finds out by itself that it is done.
    expect(page.get_by_text("than buying and holding")).to_be_visible(timeout=15_000)
    expect(page.locator("#chart canvas").first).to_be_visible()
    expect(page.locator("#chart-legend")).to_contain_text("close")
    assert fits(page)


def test_an_answer_to_an_older_form_overwrites_nothing(page):
    page.goto("/app/backtests/new/")
    held, asked = [], []

    def keep_the_first(route):
        asked.append(route.request.post_data)
        if len(asked) == 1:
            held.append(route)
        else:
            route.continue_()

    page.route("**/app/backtests/new/", keep_the_first)
    with page.expect_request("**/app/backtests/new/"):
        page.get_by_label("RSI period").fill("7")
        page.get_by_label("From (UTC)").focus()
    page.get_by_label("From (UTC)").fill("2026-01-01")
    page.get_by_label("Before (UTC)").press_sequentially("2026-02", delay=60)
    with page.expect_response("**/app/backtests/new/"):
        held[0].continue_()
    page.get_by_label("Before (UTC)").press_sequentially("-01")
    page.get_by_label("Supertrend", exact=True).check()
    expect(page.get_by_label("Factor")).to_be_visible()
    expect(page.get_by_label("From (UTC)")).to_have_value("2026-01-01")
    expect(page.get_by_label("Before (UTC)")).to_have_value("2026-02-01")
    assert "until=2026-02-01" in asked[-1]


def test_a_form_that_is_sent_is_not_redrawn(page):
    page.goto("/app/backtests/new/")
    asked = []

    def hold(route):
        asked.append(route.request.post_data)
        page.wait_for_timeout(600)
        route.continue_()

    page.route("**/app/backtests/new/", hold)
    # In one go, so that no busy machine sends the refresh before the form.
    page.get_by_label("RSI period").evaluate("""(field) => {
      field.value = "7";
      field.dispatchEvent(new Event("change", { bubbles: true }));
      field.form.requestSubmit();
    }""")
    expect(page.get_by_role("heading", name="Waiting for a worker")).to_be_visible()
    assert len(asked) == 1
    assert "rsi_period=7" in asked[0]


def test_the_pages_fit_a_phone_and_an_old_report_shows_one_trade(page, owner):
    asked = {**GIVEN, "exchange": "demo", "since": "2026-01-01", "until": "2026-03-01", "params": {"rsi_period": 7}}
    for _ in range(2):
        row = backtests.submit(owner, asked, timezone.now(), Actor("page", owner))
        assert backtests.run(row.pk, timezone.now)
    page.goto(f"/app/backtests/{row.pk}/")
    page.get_by_title("Show it on the chart").nth(2).click()
    expect(page.get_by_role("heading", name="Trade 3 on 1h candles")).to_be_visible()
    expect(page.locator("#chart canvas").first).to_be_visible()
    assert fits(page)
    paths = ("backtests/", f"backtests/compare/?ids={row.pk},{row.pk - 1}", "sweeps/", "sweeps/new/", "candles/import/")
    for path in paths:
        page.goto(f"/app/{path}")
        assert fits(page), path
