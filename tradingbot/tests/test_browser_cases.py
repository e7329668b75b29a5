"""Cases in a real browser: whole and quiet at every width, counted in the head, and the switch two taps away."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from accounts.models import User
from bots.core.risk import Gate
from bots.models import Incident
from bots.reconcile import incidents
from bots.tests.desk import Desk, after
from bots.tests.desk import desk as desk
from bots.tests.test_cases import drifted
from tradingbot.tests.test_browser_pages import FAULTS, Opened, chrome, demo_run, opened, quiet

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
__all__ = ["chrome", "opened"]
EVERY = (
    *("/app/", "/app/bots/", "/app/trades/", "/app/risk/cases/", "/app/risk/breakers/", "/app/capital/"),
    *("/app/keys/", "/app/strategies/", "/app/backtests/", "/app/candles/", "/app/account/"),
)


@pytest.fixture
def alice(desk: Desk) -> User:
    """Whose live account differs from its exchange, and whose paper run has an order in doubt."""
    drifted(desk)
    run = demo_run(desk.run.user, after(0))
    evidence = {"order": 0, "exchange_order_id": "9" * 30}
    incidents.tell(
        run.account, "orphan", "exchange order:" + "9" * 30, "An order of ours has no row.", evidence, after(1)
    )
    incidents.tell(run.account, "unresolved", "order:7", "In doubt.", {"order": 7}, after(2), Gate.REDUCING)
    return desk.run.user


@pytest.mark.parametrize(("width", "theme"), [(360, "dark"), (1280, "light")])
def test_cases_are_whole_and_quiet(opened: Opened, alice: User, tmp_path: Path, width: int, theme: str) -> None:
    page = opened(width, theme).new_page()
    balance = Incident.objects.get(kind="balance_mismatch")
    paths = ["/app/risk/cases/", *(f"/app/risk/cases/{case.pk}/" for case in Incident.objects.all())]
    with quiet(page):
        for number, path in enumerate([*paths, f"/app/bots/{balance.account.runs.get().pk}/", "/app/", "/app/risk/"]):
            page.goto(path)
            assert page.evaluate(FAULTS) == [], path
            page.screenshot(path=tmp_path / f"cases-{width}-{number}.png", full_page=True)
    expect(page.locator("header .button.cases")).to_contain_text("3 open cases")


@pytest.mark.parametrize("width", [360, 1280])
def test_the_switch_is_two_taps_from_every_page(opened: Opened, alice: User, width: int) -> None:
    page = opened(width).new_page()
    for path in (*EVERY, f"/app/risk/cases/{Incident.objects.first().pk}/"):
        page.goto(path)
        page.locator("header .button.stop").click()
        expect(page.locator("#dialog button.danger")).to_be_visible()
        expect(page.locator("#dialog input[value=halt]")).to_be_checked()


def test_a_case_is_resolved_by_hand(opened: Opened, alice: User) -> None:
    case = Incident.objects.get(kind="balance_mismatch")
    page = opened(360).new_page()
    page.goto("/app/")
    page.get_by_role("link", name=f"Case {case.pk}", exact=True).click()
    page.get_by_label("Take the exchange’s balance as right").check()
    page.get_by_label("What was found").fill("Withdrawn on Monday.")
    page.get_by_role("button", name="Resolve the case").click()
    expect(page.locator("main")).to_contain_text("No case holds the account any more.")
    case.refresh_from_db()
    assert case.resolution == "Withdrawn on Monday."
