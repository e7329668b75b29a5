"""The drift report in a real browser: asked for on the bot's page, read trade by trade, on a phone and a desk."""

from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from bots import drift
from bots.models import BotRun, DriftReport
from bots.testing import Stage, scripted_candles, staged
from bots.tests.drift_cast import NIGHT, live, store
from bots.tests.views.window import fits

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def lived(owner: User, monkeypatch: pytest.MonkeyPatch) -> BotRun:
    """A day with one trade as replayed, one that fell into an outage, and one at a candle that was corrected."""
    script = [0, 1, 0, 2, 0, 0, 1, 0, 0, 2, 0, 0, 1, 0, 0, 2, 0, 0]
    prices = [60_000 + 37 * index + 250 * (index % 4) for index in range(len(script))]
    candles = scripted_candles(script, prices)
    with staged(Stage(candles), monkeypatch.setattr) as stage:
        lives = live(owner, stage)
        lives.happens |= {index: lambda: False for index in range(5, 9)}
        lives.through()
        prices[13] += 120
        store(scripted_candles(script, prices), "1m")
        run = BotRun.objects.get(pk=lives.run.pk)
        yield run


def test_a_day_is_compared_and_read(page: Page, lived: BotRun) -> None:
    page.goto(f"/app/bots/{lived.pk}/?tab=drift")
    expect(page.get_by_text("No day was compared yet.")).to_be_visible()
    page.get_by_label("Day (UTC)").fill("2024-01-15")
    page.get_by_role("button", name="Compare now").click()
    expect(page.get_by_text("is being compared with its replay")).to_be_visible()
    row = DriftReport.objects.get(run=lived)
    if row.state == "queued":
        assert drift.run(row.pk, lambda: NIGHT + timedelta(minutes=1))
    page.goto(f"/app/bots/{lived.pk}/?tab=drift")
    assert fits(page)
    page.get_by_role("link", name="2024-01-15").click()
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        expect(page.get_by_role("heading", name="Trade by trade")).to_be_visible()
        expect(page.get_by_text("nobody was at work", exact=False).first).to_be_visible()
        assert fits(page)
    assert page.get_by_text("Late data").count() >= 1
