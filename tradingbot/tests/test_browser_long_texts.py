"""The longest texts in a real browser, from a phone to a desk: nothing widens the page, is cut off or overlaps."""

from typing import Any

import pytest
from django.apps import apps
from django.db import models
from django.utils import timezone

from accounts.audit import CONSOLE
from accounts.models import User
from accounts.tests.cast import user
from bots import backtests, gates
from bots.core.breaker import State
from bots.models import Backtest, Breaker, Incident, Order
from bots.reconcile import incidents
from bots.tests.research_cast import GIVEN
from bots.tests.views.test_keys import make_key
from exchanges.models import ExchangeKey
from strategies import operations as strategies
from strategies.core.rule_draft import START, given
from strategies.models import MAX_DESCRIPTION, MAX_NAME, RuleSet
from strategies.operations import RuleSetFacts
from tradingbot.tests.test_browser_pages import FAULTS, Opened, chrome, opened, quiet, traded

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
__all__ = ["chrome", "opened"]
REASON = f"A reason with {'W' * 80} in it. " * 9
LONG = {
    "symbol": "1000000MOG/USDT:USDT",
    "base": "1000000MOG",
    "label": "W" * 80,
    **dict.fromkeys(("reason", "detail", "error", "resolution", "status_reason", "reject_detail"), REASON),
}
TABS = ("decisions", "trades", "orders", "settings")
PAGES = (
    *("/app/", "/app/bots/", "/app/bots/new/", *(f"/app/bots/{{run}}/?tab={tab}" for tab in TABS), "/app/trades/"),
    *("/app/bots/{run}/candles/", "/app/bots/{run}/stop/", "/app/orders/{order}/", "/app/risk/", "/app/risk/stop/"),
    *("/app/risk/cases/", "/app/risk/cases/{case}/", "/app/risk/breakers/", "/app/capital/", "/app/keys/"),
    *("/app/keys/{key}/delete/", "/app/rules/", "/app/rules/new/", "/app/rules/{rule}/", "/app/rules/{rule}/delete/"),
    *("/app/backtests/", "/app/backtests/new/", "/app/backtests/{good}/", "/app/backtests/{bad}/", "/app/sweeps/new/"),
    *("/app/strategies/", "/app/candles/", "/app/account/", "/app/account/email/"),
)
# Cut off; beyond the window and out of a scrolled region; out of its own box; one control upon another; moving.
UNREADABLE = """() => {
  const faults = [], width = document.documentElement.clientWidth;
  const box = (node) => node.getBoundingClientRect();
  const seen = (node) => box(node).width > 1 && !node.closest("svg, .visually-hidden, #chart, dialog");
  const tell = (fault, node) => faults.push(`${fault}: ${node.tagName}.${node.className} ${node.textContent.trim()}`);
  const texts = "td, th, dd, dt, p, h1, h2, span.badge, a.button, button, label, legend, li";
  for (const node of [...document.querySelectorAll("main *, header *, footer *")].filter(seen)) {
    const spills = node.scrollWidth > node.clientWidth + 1, hides = getComputedStyle(node).overflowX;
    if (spills && ["hidden", "clip"].includes(hides) && !node.matches("input, select, progress")) tell("cut", node);
    if (spills && node.clientWidth && node.matches(texts)) tell("spills", node);
    if (box(node).right > width + 1 && !node.closest(".scroll, .tabs, .flush")) tell("beyond", node);
  }
  const controls = [...document.querySelectorAll("main :is(a.button, button, input, select, textarea)")].filter(seen);
  for (const [index, one] of controls.entries()) for (const other of controls.slice(index + 1)) {
    const a = box(one), b = box(other), wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    if (wide > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1) tell("overlaps", other);
  }
  for (const motion of document.getAnimations()) tell("moves", motion.effect.target);
  return faults;
}"""


@pytest.fixture
def alice(db: None) -> User:
    strategies.sync(timezone.now(), CONSOLE)
    return user(f"{'w' * 60}@{'w' * 60}.example.com")


def stretch() -> None:
    """What a person or an exchange words becomes as long as its column may hold; what is append-only stays."""
    for model in (ExchangeKey, *apps.get_app_config("bots").get_models()):
        if model.__name__ in {"Fill", "OrderEvent", "BreakerEvent"}:
            continue
        columns = [column for column in model._meta.fields if isinstance(column, models.CharField | models.TextField)]
        if long := {column.name: LONG[column.name][: column.max_length] for column in columns if column.name in LONG}:
            model._base_manager.update(**long)


def long_stories(owner: User) -> dict[str, Any]:
    """A bot that traded, a key, a case, a switch, a breaker, a rule and two backtests, in the longest words."""
    run, at = traded(owner), timezone.now()
    incidents.tell(run.account, "orphan", "exchange order:" + "9" * 30, "x", {"exchange_order_id": "9" * 60}, at)
    gates.switch("user", owner.pk, "halt", "x", at, CONSOLE)
    Breaker.objects.create(
        level="run", target=run.pk, mode="paper", name="loss_streak", state=State.OPEN.value, changed_by="x",
        tripped_at=at, changed_at=at, since=at,
    )  # fmt: skip
    facts = RuleSetFacts("N" * MAX_NAME, "D" * MAX_DESCRIPTION, given(START))
    rule: RuleSet = strategies.create_rule_set(owner, facts, at, CONSOLE)
    asked = {**GIVEN, "exchange": "demo", "since": "2026-01-01", "until": "2026-02-01", "params": {"rsi_period": 7}}
    good, bad = (backtests.submit(owner, asked, at, CONSOLE) for _ in range(2))
    assert backtests.run(good.pk, timezone.now)
    Backtest.objects.filter(pk=bad.pk).update(state="failed", finished_at=at)
    ids = {"run": run.pk, "rule": rule.pk, "good": good.pk, "bad": bad.pk, "key": make_key(owner).pk}
    stretch()
    return {**ids, "order": Order.objects.first().pk, "case": Incident.objects.get().pk}


# 640 is a desk of 1280 at 200 %; from 720 on the tables are tables.
@pytest.mark.parametrize("width", [360, 640, 768, 1280])
def test_the_longest_texts_can_be_read(width: int, opened: Opened, alice: User) -> None:
    ids = long_stories(alice)
    page = opened(width).new_page()
    page.emulate_media(reduced_motion="reduce")
    with quiet(page):
        for template in PAGES:
            page.goto(template.format(**ids))
            page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
            assert page.evaluate(FAULTS) + page.evaluate(UNREADABLE) == [], template
