"""Every page in a real browser: quiet console, strict CSP, both themes, phone and desk, live without reload."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from accounts.audit import CONSOLE
from accounts.models import User
from accounts.tests.cast import user
from bots import lifecycle, rounds
from bots.lifecycle import StartRequest
from bots.models import BotRun, Order, TradeLog
from bots.tests.views.test_keys import make_key
from strategies import operations as strategies

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PAGES = (
    *("/app/", "/app/bots/", "/app/bots/new/", "/app/bots/{run}/", "/app/bots/{run}/?tab=trades"),
    *("/app/bots/{run}/?tab=orders", "/app/bots/{run}/?tab=settings", "/app/bots/{run}/candles/"),
    *("/app/bots/{run}/stop/", "/app/orders/{order}/", "/app/trades/", "/app/risk/", "/app/risk/stop/", "/app/keys/"),
    *("/app/strategies/", "/app/strategies/rsi_cross/", "/app/account/"),
)
# One heading; every control and button has a name; ids are unique; no style or handler stands in the markup; nothing
# is wider than the window, or than the card that a table's row becomes on a phone.
FAULTS = """() => {
  const faults = [];
  const heads = document.querySelectorAll("main h1").length;
  if (heads !== 1) faults.push("h1: " + heads);
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) faults.push("twice: " + id);
  for (const node of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
    if (!node.labels.length) faults.push("no label: " + node.name);
  for (const node of document.querySelectorAll("button, a[href]"))
    if (!node.textContent.trim()) faults.push("no name: " + node.outerHTML.slice(0, 80));
  for (const node of document.querySelectorAll("main [style]:not(#chart *), [onclick], style:not(#chart *)"))
    faults.push("inline: " + node.outerHTML.slice(0, 300));
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) faults.push("wider than the window by " + wide);
  for (const row of document.querySelectorAll("table.cards tbody tr")) {
    const style = getComputedStyle(row);
    const edge = row.getBoundingClientRect().right - parseFloat(style.paddingRight);
    for (const cell of style.display === "grid" ? row.children : [])
      if (cell.getBoundingClientRect().right > edge + 1) faults.push("out of its card: " + cell.textContent.trim());
  }
  for (const node of document.querySelectorAll(".button.stop, .stops .button"))
    if (node.getBoundingClientRect().height < 44) faults.push("small: " + node.textContent.trim());
  return faults;
}"""


@pytest.fixture(scope="module")
def chrome(chromium: str) -> Iterator[Browser]:
    with pytest.MonkeyPatch.context() as patch:
        # Playwright's synchronous interface owns an event loop in this thread.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
            yield browser
            browser.close()


@pytest.fixture
def alice(db: None) -> User:
    strategies.sync(timezone.now(), CONSOLE)
    return user("alice@example.com")


Opened = Callable[..., BrowserContext]


@pytest.fixture
def opened(chrome: Browser, live_server, alice: User) -> Iterator[Opened]:
    """A browser window in which Alice is logged in."""
    client = Client()
    client.force_login(alice)
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
    contexts: list[BrowserContext] = []

    def open_window(width: int = 1280, theme: str = "light", scripts: bool = True) -> BrowserContext:
        size = {"width": width, "height": 800}
        context = chrome.new_context(
            viewport=size, color_scheme=theme, java_script_enabled=scripts, base_url=live_server.url
        )
        context.add_cookies([cookie])
        contexts.append(context)
        return context

    yield open_window
    for context in contexts:
        context.close()


@contextmanager
def quiet(page: Page) -> Iterator[None]:
    """Nothing is said on the console: no error, no violation of the Content-Security-Policy."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    yield
    assert said == []


def demo_run(owner: User, at: datetime, timeframe: str = "1s") -> BotRun:
    wanted = StartRequest(
        user=owner, strategy="rsi_cross", symbol="BTC/USDT", timeframe=timeframe, exchange="demo",
        capital=Decimal(1000), params={"rsi_period": 7},
    )  # fmt: skip
    return lifecycle.start(wanted, at, CONSOLE)


def traded(owner: User) -> BotRun:
    """A bot on the demo market that has bought and sold, up to now."""
    at = timezone.now() - timedelta(seconds=90)
    run = demo_run(owner, at)
    while at < timezone.now() or TradeLog.objects.filter(side="sell").count() < 1:
        at += timedelta(seconds=1)
        rounds.whole_round(at)
    return run


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")])
def test_every_page_is_whole_and_quiet(width, theme, opened, alice, tmp_path: Path):
    run = traded(alice)
    make_key(alice)
    order = Order.objects.first()
    page = opened(width, theme).new_page()
    with quiet(page):
        for template in PAGES:
            page.goto(template.format(run=run.pk, order=order.pk))
            if template.endswith("{run}/"):
                page.wait_for_selector("#chart canvas")
            # First: a screenshot hides the caret by an inline style.
            assert page.evaluate(FAULTS) == [], template
            name = re.sub(r"\W+", "_", template).strip("_")
            page.screenshot(path=str(tmp_path / f"{name}_{width}_{theme}.png"))


def test_the_themes_are_the_systems_unless_one_is_chosen(opened, alice):
    background = "getComputedStyle(document.body).backgroundColor"
    light, dark = opened(theme="light").new_page(), opened(theme="dark").new_page()
    for page in (light, dark):
        page.goto("/app/")
    assert light.evaluate(background) != dark.evaluate(background)
    User.objects.update(theme="dark")
    light.reload()
    assert light.evaluate(background) == dark.evaluate(background)


def test_an_open_page_follows_the_bot_without_reload(opened, alice):
    run = traded(alice)
    page = opened().new_page()
    with quiet(page):
        page.goto(f"/app/bots/{run.pk}/?tab=trades")
        page.wait_for_selector("#chart canvas")
        page.evaluate("document.getElementById('chart').mark = 'the same'; window.mark = 'the same'")
        before, at = TradeLog.objects.count(), timezone.now()
        while TradeLog.objects.count() == before:
            at += timedelta(seconds=1)
            rounds.whole_round(at)
        expect(page.locator("[data-label='Side']")).to_have_count(min(TradeLog.objects.count(), 25), timeout=15_000)
        assert page.evaluate("[window.mark, document.getElementById('chart').mark]") == ["the same", "the same"]


def test_a_swap_keeps_what_is_open_and_the_focus(opened, alice):
    run = traded(alice)
    page = opened().new_page()
    page.goto("/app/")
    page.locator(".curve summary").first.click()
    page.locator("#live a", has_text="All bots").focus()
    lifecycle.pause(run, timezone.now(), CONSOLE)
    expect(page.locator("#live .state.paused").first).to_be_visible(timeout=15_000)
    assert page.locator(".curve details").first.evaluate("node => node.open")
    assert page.evaluate("document.activeElement.textContent") == "All bots"


def test_a_lost_connection_is_said(opened, alice):
    demo_run(alice, timezone.now())
    context = opened()
    page = context.new_page()
    page.goto("/app/")
    context.set_offline(True)
    expect(page.locator("#connection")).to_be_visible(timeout=15_000)
    expect(page.locator("#connection")).to_contain_text("UTC. Trying again")
    context.set_offline(False)
    expect(page.locator("#connection")).to_be_hidden(timeout=30_000)


def test_stop_is_two_taps_and_escape_changes_nothing(opened, alice):
    run = demo_run(alice, timezone.now())
    page = opened(width=360).new_page()
    with quiet(page):
        page.goto("/app/trades/")
        page.locator("header .button.stop").click()
        dialog = page.locator("#dialog")
        expect(dialog).to_be_visible()
        expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        assert page.url.endswith("/app/trades/")
        page.locator("header .button.stop").click()
        dialog.get_by_role("button", name="Do it now").click()
        page.wait_for_url("**/app/risk/")
        expect(page.locator("#live")).to_contain_text("Halted at level user: Stopped by hand")
    run.refresh_from_db()
    assert run.status == "starting"


def test_the_new_bot_form_redraws_and_keeps_what_was_typed(opened, alice):
    page = opened().new_page()
    with quiet(page):
        page.goto("/app/bots/new/")
        page.fill("#id_capital", "4321")
        page.get_by_label("EMA cross").check()
        expect(page.locator("#id_param_rsi_period")).to_have_count(0)
        expect(page.locator("#id_capital")).to_have_value("4321")
        expect(page.locator(".sentence")).to_contain_text("With 4,321.00 USDT of play money")
        page.get_by_role("button", name="Start paper bot").dblclick()
        page.wait_for_url(re.compile(r"/app/bots/\d+/"))
    assert BotRun.objects.get().strategy.name == "ema_cross"


def test_a_mistake_moves_the_focus_to_the_summary(opened, alice):
    page = opened().new_page()
    page.goto("/app/bots/new/")
    page.fill("#id_symbol", "FOO/BAR")
    page.get_by_role("button", name="Start paper bot").click()
    expect(page.locator("#error-summary")).to_be_focused()
    expect(page.locator("#id_symbol")).to_have_value("FOO/BAR")


def test_without_javascript_a_bot_is_started_watched_and_stopped(opened, alice):
    page = opened(scripts=False).new_page()
    page.goto("/app/bots/new/")
    page.get_by_label("MACD cross").check()
    page.get_by_role("button", name="Show this strategy’s parameters").click()
    expect(page.locator("#id_param_rsi_period")).to_have_count(0)
    page.get_by_role("button", name="Start paper bot").click()
    expect(page.locator("main")).to_contain_text("Why is it not trading?")
    page.get_by_role("link", name="Show as table").click()
    expect(page.locator("tbody tr").first).to_be_visible()
    page.go_back()
    page.get_by_role("link", name="Stop…").click()
    page.get_by_role("button", name="Stop the bot").click()
    expect(page.locator("main")).to_contain_text("is stopped")
    assert BotRun.objects.get().status == "stopped"


def test_shortcuts_go_places_and_can_be_switched_off(opened, alice):
    page = opened().new_page()
    page.goto("/app/")
    page.keyboard.type("gb")
    page.wait_for_url("**/app/bots/")
    page.keyboard.press("?")
    page.get_by_label("Single-key shortcuts on this device").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.type("gt")
    page.wait_for_timeout(300)
    assert page.url.endswith("/app/bots/")


def test_the_answer_to_a_second_click_changes_no_open_question(opened, alice):
    page = opened().new_page()
    asked = []

    def hold_the_second(route):
        asked.append(route)
        if len(asked) == 1:
            route.continue_()

    with quiet(page):
        page.goto("/app/trades/")
        page.route("**/app/risk/stop/", hold_the_second)
        page.locator("header .button.stop").evaluate("(link) => { link.click(); link.click(); }")
        page.locator("#dialog [value=reduce]").check()
        patience = 200
        while len(asked) < 2 and patience:
            page.wait_for_timeout(50)
            patience -= 1
        with page.expect_response("**/app/risk/stop/"):
            asked[1].continue_()
        page.wait_for_timeout(300)
        assert page.locator("#dialog [value=reduce]").is_checked()


def test_a_selection_that_ends_beside_a_dialog_does_not_close_it(opened, alice):
    page = opened().new_page()
    page.goto("/app/trades/")
    page.locator("header .button.stop").click()
    place = page.get_by_label("Why, for the log").bounding_box()
    page.mouse.move(place["x"] + 40, place["y"] + 10)
    page.mouse.down()
    page.mouse.move(5, place["y"] + 10)
    page.mouse.up()
    expect(page.locator("#dialog")).to_be_visible()
    page.mouse.click(5, place["y"])
    expect(page.locator("#dialog")).to_be_hidden()


def test_a_refresh_does_not_free_a_form_that_is_sent(opened, alice):
    run = demo_run(alice, timezone.now())
    page = opened().new_page()
    page.goto(f"/app/bots/{run.pk}/")
    page.evaluate("addEventListener('submit', (event) => event.preventDefault())")
    page.get_by_role("button", name="Pause").click()
    lifecycle.pause(run, timezone.now(), CONSOLE)
    expect(page.locator("#live .state.paused")).to_be_visible(timeout=15_000)
    expect(page.get_by_role("button", name="Pause")).to_be_disabled()


def test_a_form_whose_sending_was_stopped_can_be_sent_again(opened, alice):
    page = opened().new_page()
    page.goto("/app/bots/new/")
    page.route("**/app/bots/new/", lambda route: None)
    # Both by the clock of the page: from here nothing reaches it while it waits for an answer.
    page.evaluate("""() => {
      setTimeout(() => document.getElementById("start").requestSubmit(), 100);
      setTimeout(() => window.stop(), 600);
    }""")
    page.wait_for_timeout(1000)
    page.unroute("**/app/bots/new/")
    page.get_by_role("button", name="Start paper bot").click()
    page.wait_for_url(re.compile(r"/app/bots/\d+/"))


@pytest.mark.parametrize("path", ["/app/bots/new/", "/app/backtests/new/", "/app/sweeps/new/", "/app/rules/new/"])
def test_a_form_that_could_not_be_redrawn_says_so_until_it_is(path, opened, alice):
    page = opened(width=360).new_page()
    page.goto(path)
    form, note = page.locator("form.start"), page.get_by_role("alert").filter(has_text="could not be brought up")
    for trouble in (lambda route: route.abort(), lambda route: route.fulfill(status=503)):
        expect(note).to_be_hidden()
        # From the far end of the form, too.
        form.locator("button.big").scroll_into_view_if_needed()
        page.route(f"**{path}", trouble)
        form.dispatch_event("change")
        expect(note).to_be_visible()
        expect(note).to_be_in_viewport()
        page.unroute(f"**{path}")
        form.dispatch_event("change")
        expect(note).to_be_hidden()


# What a browser does that comes back to a form, without its own haste or delay; "pageshow" is always later.
REFILL = """addEventListener("DOMContentLoaded", () => {
  window.changes = 0;
  addEventListener("change", () => { window.changes += 1; });
  for (const id of %s) document.getElementById(id).checked = true;
});"""


def test_a_form_that_the_browser_filled_in_again_is_redrawn(opened, alice):
    page = opened().new_page()
    page.add_init_script(REFILL % ["strategy-ema_cross"])
    with quiet(page):
        page.goto("/app/bots/new/")
        expect(page.locator("#id_param_rsi_period")).to_have_count(0)
        expect(page.locator("#id_param_fast_period")).to_be_visible()
        assert page.get_by_label("EMA cross").is_checked()
        assert page.evaluate("window.changes") == 1


@pytest.mark.parametrize("path", ["/app/bots/new/", "/app/backtests/new/", "/app/sweeps/new/", "/app/rules/new/"])
def test_a_form_as_it_was_drawn_asks_for_nothing(path, opened, alice):
    page = opened().new_page()
    page.add_init_script(REFILL % [])
    page.goto(path)
    assert page.evaluate("[document.readyState, window.changes]") == ["complete", 0]
