"""The rule builder in a real browser: the form and the chart follow every change, and the console stays quiet."""

import pytest
from django.test import Client
from playwright.sync_api import expect, sync_playwright

from strategies.models import RuleSet

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
FAULTS = """() => {
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  const twice = [...new Set(ids)].filter((id) => ids.filter((other) => other === id).length > 1);
  const controls = [...document.querySelectorAll("input:not([type=hidden]), select, textarea")];
  const bare = controls.filter((node) => !node.labels.length);
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  return [...twice, ...bare.map((node) => node.name), ...(wide > 0 ? ["wider by " + wide] : [])];
}"""


@pytest.fixture
def page(chromium, live_server, alice, monkeypatch):
    # Playwright's synchronous interface owns an event loop in this thread.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    client = Client()
    client.force_login(alice)
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        context = browser.new_context(base_url=live_server.url, viewport={"width": 1280, "height": 900})
        context.add_cookies([cookie])
        opened = context.new_page()
        opened.complaints = []
        opened.on("console", lambda said: opened.complaints.append(said.text) if said.type != "log" else None)
        opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
        yield opened
        browser.close()


def test_builder_follows_every_change_and_keeps_the_rule(page):
    page.goto("/app/rules/new/")
    closes = page.locator(".signals path.closes").get_attribute("d")
    page.locator('select[id="entry.0:left"]').select_option("macd.line")
    expect(page.locator('input[id="entry.0:left.macd.fast"]')).to_have_value("12")
    page.locator('select[id="entry.0:right"]').select_option("macd.signal")
    expect(page.locator(".sentences")).to_contain_text("the MACD line (12, 26, 9) crosses above the MACD signal")
    page.locator('button[value="add:entry"]').click()
    expect(page.locator('fieldset[id="entry.1"]')).to_be_visible()
    page.locator('button[value="group:exit"]').click()
    expect(page.locator('fieldset[id="exit.1.0"]')).to_be_visible()
    page.locator('button[value="remove:entry.1"]').click()
    expect(page.locator('fieldset[id="entry.1"]')).to_have_count(0)
    page.locator("#source").select_option("demo ETH/USDT 15m")
    expect(page.locator(".signals path.closes")).not_to_have_attribute("d", closes)
    page.locator('input[id="entry.0:left.macd.fast"]').fill("99")
    page.locator("#name").fill("From a browser")
    expect(page.locator("#error-summary")).to_contain_text("Entry, condition 1: Expected less than slow (26), was 99.")
    page.locator('input[id="entry.0:left.macd.fast"]').fill("10")
    page.locator("#name").focus()
    expect(page.locator("#error-summary")).to_have_count(0)
    assert page.evaluate(FAULTS) == []
    page.get_by_role("button", name="Keep this rule").click()
    expect(page.locator("h1")).to_have_text("From a browser")
    assert RuleSet.objects.get().definition["entry"]["all"][0]["left"]["params"]["fast"] == 10
    page.get_by_role("link", name="Delete").click()
    expect(page.locator("#dialog h2")).to_have_text("Delete From a browser?")
    assert page.complaints == []


def test_a_button_pressed_right_after_typing_does_what_it_says(page):
    page.goto("/app/rules/new/")
    # In one go, so that no busy machine redraws the form between the two.
    page.locator("#name").evaluate("""(field) => {
      field.value = "Typed";
      for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true }));
      document.querySelector('button[value="add:entry"]').click();
    }""")
    expect(page.locator('fieldset[id="entry.1"]')).to_be_visible()
    expect(page.locator("#name")).to_have_value("Typed")
    assert page.complaints == []


def test_json_that_is_no_rule_is_said_beside_what_was_pasted(page):
    page.goto("/app/rules/new/")
    page.get_by_text("As JSON").click()
    page.locator("#json").fill('{"entry": 1')
    page.get_by_role("button", name="Read this JSON into the form").click()
    expect(page.locator("#error-summary")).to_contain_text("Expected JSON.")
    expect(page.locator("#json")).to_have_value('{"entry": 1')
    assert page.complaints == []


@pytest.mark.parametrize(
    "path", ["/app/rules/", "/app/rules/new/", "/app/strategies/supertrend/", "/app/strategies/rules/"]
)
def test_pages_fit_on_a_phone(path, page):
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(path)
    assert page.evaluate(FAULTS) == []
    assert page.complaints == []
