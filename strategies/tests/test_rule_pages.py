"""The pages of a user's rules, as a browser without scripts uses them, and with htmx."""

import json
import re
from html.parser import HTMLParser

import pytest
from django.test import Client

from strategies.core.rule_draft import START, draft_of, given, written
from strategies.core.rules import parse_definition
from strategies.models import RuleSet, RuleSetVersion
from strategies.tests.cases import DEFINITION, OTHER, rule_set

pytestmark = pytest.mark.django_db
NEW = "/app/rules/new/"


class Controls(HTMLParser):
    """What a form would send, and its buttons."""

    def __init__(self, page):
        super().__init__()
        self.sent, self.buttons, self._select, self._area = {}, [], "", ""
        self.feed(page[page.index('<form id="rule"') : page.index("</form>")])

    def handle_starttag(self, tag, attrs):
        facts = dict(attrs)
        if tag == "input":
            self.sent[facts["name"]] = facts.get("value", "")
        elif tag == "select":
            self._select = facts["name"]
        elif tag == "option" and (self._select not in self.sent or "selected" in facts):
            self.sent[self._select] = facts["value"]
        elif tag == "textarea":
            self._area = facts["name"]
            self.sent[self._area] = ""
        elif tag == "button":
            self.buttons.append(facts.get("value", ""))

    def handle_data(self, data):
        if self._area:
            self.sent[self._area] += data

    def handle_endtag(self, tag):
        if tag == "textarea":
            self._area = ""


def text(response):
    return response.content.decode()


@pytest.fixture
def alices(alice):
    client = Client()
    client.force_login(alice)
    return client


@pytest.fixture
def bobs(bob):
    client = Client()
    client.force_login(bob)
    return client


def draft_texts(definition=DEFINITION):
    return {"name": "Dips", "description": "", **written(draft_of(parse_definition(definition)))}


# --- building without scripts ------------------------------------------------------------------------------------


def test_new_rule_begins_with_one_that_is_complete(alices):
    page = text(alices.get(NEW))
    controls = Controls(page)
    assert (controls.sent["entry.0:left"], controls.sent["entry.0:right.number"]) == ("rsi", "30")
    assert "Buys when the RSI of 14 candles (cutler) crosses above 30." in page
    assert "<svg" in page
    assert {"save", "add:entry", "group:entry", "remove:entry.0", "add:exit"} <= set(controls.buttons)
    # Enter presses the first button of a form, which must not be one that removes something.
    assert controls.buttons[0] == "refresh"
    assert not RuleSet.objects.exists()


def test_what_the_page_holds_is_kept_as_it_stands(alices, alice):
    sent = Controls(text(alices.get(NEW))).sent
    answer = alices.post(NEW, {**sent, "name": "Mine", "description": "Why.", "do": "save"})
    row = RuleSet.objects.get()
    assert answer.url == f"/app/rules/{row.pk}/"
    assert (row.owner, row.name, row.description) == (alice, "Mine", "Why.")
    assert parse_definition(row.definition) == parse_definition(given(START))
    page = text(alices.get(answer.url))
    assert "Mine is kept as version 1" in page
    again = Controls(page).sent
    assert again["version"] == "1"
    alices.post(answer.url, {**again, "do": "save"})
    assert RuleSet.objects.get().version == 1


def test_rows_are_added_filled_in_and_removed_by_buttons(alices):
    sent = Controls(text(alices.get(NEW))).sent
    sent = Controls(text(alices.post(NEW, {**sent, "do": "add:entry"}))).sent
    sent |= {"entry.1:left": "macd.line", "entry.1:operator": "rising"}
    page = text(alices.post(NEW, {**sent, "do": "refresh"}))
    sent = Controls(page).sent
    assert {"entry.1:candles", "entry.1:left.macd.fast", "entry:word"} <= sent.keys()
    assert "entry.1:right" not in sent
    sent |= {"entry.1:candles": "3", "entry:word": "any"}
    page = text(alices.post(NEW, {**sent, "do": "group:entry"}))
    assert "or the MACD line (12, 26, 9) is higher than 3 candles ago or the RSI" in page
    sent = Controls(page).sent
    page = text(alices.post(NEW, {**sent, "do": "remove:entry.0"}))
    assert "Buys when the MACD line" in page
    assert not RuleSet.objects.exists()


def test_group_fits_in_a_group_until_they_are_four_deep(alices):
    page, place = text(alices.get(NEW)), "entry"
    for _ in range(3):
        assert f'value="group:{place}"' in page
        page = text(alices.post(NEW, {**Controls(page).sent, "do": f"group:{place}"}))
        place = f"{place}.1" if place == "entry" or place.count(".") else place
    assert f'value="group:{place}"' not in page
    assert "This is not a rule yet" not in page


def test_operand_of_another_unit_is_not_on_offer(alices):
    sent = Controls(text(alices.get(NEW))).sent
    sent |= {"entry.0:left": "close", "entry.0:right": "ema"}
    page = text(alices.post(NEW, {**sent, "do": "refresh"}))
    assert "the close crosses above the exponential mean of 20 closes" in page
    right = page.split('id="entry.0:right"')[1].split("</select>")[0]
    assert 'value="sma"' in right
    assert 'value="volume_sma"' not in right
    page = text(alices.post(NEW, {**Controls(page).sent, "entry.0:left": "volume", "do": "refresh"}))
    assert Controls(page).sent["entry.0:right"] == "number"


def test_rule_without_exit_needs_a_protection(alices):
    sent = {**Controls(text(alices.get(NEW))).sent, "do": "remove:exit.0"}
    page = text(alices.post(NEW, sent))
    assert "There is no exit rule." in page
    page = text(alices.post(NEW, {**Controls(page).sent, "stop_loss_pct": ""}))
    assert "This is not a rule yet" in page
    assert '<a href="#exit">Exit: Expected an exit rule, a stop, a target or a trailing stop' in page


# --- what is wrong -----------------------------------------------------------------------------------------------


def test_error_stands_at_its_condition_and_entries_are_kept(alices):
    sent = {**draft_texts(), "entry.0:right.number": "thirty", "do": "save"}
    answer = alices.post(NEW, sent)
    page = text(answer)
    assert answer.status_code == 422
    assert '<a href="#entry.0">Entry, condition 1: Expected a number from' in page
    assert 'id="entry.0:error"' in page
    assert Controls(page).sent["entry.0:right.number"] == "thirty"
    assert "Nothing to draw yet" in page
    assert not RuleSet.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": ""}, "Expected 1 to 80 printable characters"),
        ({"description": "\x00"}, "Expected at most 2000 printable characters"),
        ({"stop_loss_pct": "100"}, "Stop-loss: Expected a decimal number from 0.01 to 99"),
        ({"entry.0:left.rsi.period": "1"}, "Entry, condition 1: Expected a whole number from 2 to 200"),
        ({"entry:size": "0"}, "Entry: Expected a list of 1 to 32"),
        ({"entry:size": "40"}, "Entry: Expected a list of 1 to 32"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_kept(wrong, message, alices):
    answer = alices.post(NEW, {**draft_texts(), **wrong, "do": "save"})
    assert answer.status_code == 422
    assert message in text(answer)
    assert not RuleSet.objects.exists()


def test_name_that_is_taken_is_a_conflict(alices, alice):
    rule_set(alice)
    answer = alices.post(NEW, {**draft_texts(), "do": "save"})
    assert answer.status_code == 409
    assert "You have a rule set named Dips already." in text(answer)


def test_name_is_escaped(alices, alice):
    made = rule_set(alice, name="<script>alert(1)</script>", description="<b>")
    for path in ("/app/rules/", f"/app/rules/{made.pk}/", f"/app/rules/{made.pk}/delete/"):
        page = text(alices.get(path))
        assert "<script>alert(1)" not in page
        assert "&lt;script&gt;alert(1)" in page


# --- versions ----------------------------------------------------------------------------------------------------


def test_edit_makes_a_version_and_an_older_one_can_be_brought_back(alices, alice):
    made = rule_set(alice)
    path = f"/app/rules/{made.pk}/"
    sent = Controls(text(alices.get(path))).sent
    alices.post(path, {**sent, "stop_loss_pct": "7.5", "do": "save"})
    assert RuleSet.objects.get().version == 2
    old = Controls(text(alices.get(f"{path}?version=1"))).sent
    assert (old["stop_loss_pct"], old["version"]) == ("5", "2")
    alices.post(path, {**old, "do": "save"})
    assert RuleSet.objects.get().definition["stop_loss_pct"] == "5"
    assert RuleSetVersion.objects.count() == 3
    for version in ("9", "x", "-1", "99999999999"):
        assert alices.get(f"{path}?version={version}").status_code == 404


def test_second_window_does_not_overwrite_the_first(alices, alice):
    made = rule_set(alice)
    path = f"/app/rules/{made.pk}/"
    first, second = (Controls(text(alices.get(path))).sent for _ in range(2))
    alices.post(path, {**first, "name": "First", "do": "save"})
    answer = alices.post(path, {**second, "name": "Second", "do": "save"})
    assert answer.status_code == 409
    assert "Version 2 was saved since version 1 was read." in text(answer)
    assert RuleSet.objects.get().name == "First"


def test_page_links_to_a_bot_and_a_backtest_with_it(alices, alice):
    made = rule_set(alice)
    for path in ("/app/rules/", f"/app/rules/{made.pk}/"):
        page = text(alices.get(path))
        assert f"/app/bots/new/?strategy=rules&amp;rule_set={made.pk}" in page
        assert f"/app/backtests/new/?strategy=rules&amp;rule_set={made.pk}" in page


# --- JSON, htmx, preview -----------------------------------------------------------------------------------------


def test_pasted_json_becomes_the_form(alices, alice):
    page = text(
        alices.post(NEW, {**draft_texts(), "json": json.dumps({"name": "x", "definition": OTHER}), "do": "json"})
    )
    assert Controls(page).sent["stop_loss_pct"] == "7.5"
    assert json.loads(Controls(page).sent["json"].strip())["stop_loss_pct"] == "7.5"


@pytest.mark.parametrize(
    ("pasted", "message"),
    [
        ("{", "Expected JSON."),
        ("[" * 50_000, "Expected JSON."),
        ("[]", "Expected an object"),
        ('{"entry": 1}', "entry: Ex"),
    ],
)
def test_pasted_json_that_is_no_rule_changes_nothing(pasted, message, alices):
    answer = alices.post(NEW, {**draft_texts(), "json": pasted, "do": "json"})
    assert answer.status_code == 422
    assert message in text(answer)
    assert Controls(text(answer)).sent["stop_loss_pct"] == "5"


def test_export_is_what_import_takes(alices, alice):
    made = rule_set(alice)
    answer = alices.get(f"/app/rules/{made.pk}/rule.json")
    assert answer["Content-Disposition"] == f'attachment; filename="rule-{made.pk}.json"'
    assert json.loads(answer.content) == {"name": "Dips", "description": "", "definition": made.definition}


def test_htmx_gets_the_form_alone_with_the_chart(alices):
    page = text(alices.post(NEW, {**draft_texts(), "do": "refresh"}, headers={"HX-Request": "true"}))
    assert page.lstrip().startswith('<form id="rule"')
    assert "<svg" in page


def test_preview_is_of_the_chosen_candles(alices):
    page = text(alices.post(NEW, {**draft_texts(), "source": "demo ETH/USDT 15m", "do": "refresh"}))
    assert Controls(page).sent["source"] == "demo ETH/USDT 15m"
    prices = [float(price.replace(",", "")) for price in re.findall(r'class="high">([\d,.]+)<', page)]
    assert 1_500 < prices[0] < 6_000
    unknown = text(alices.post(NEW, {**draft_texts(), "source": "kraken BTC/USDT 1h", "do": "refresh"}))
    assert Controls(unknown).sent["source"] == "demo BTC/USDT 15m"


# --- whose it is -------------------------------------------------------------------------------------------------


PATHS = ("/app/rules/{}/", "/app/rules/{}/delete/", "/app/rules/{}/rule.json")


@pytest.mark.parametrize("path", PATHS)
def test_anothers_rule_does_not_exist(path, bobs, alice):
    made = rule_set(alice)
    assert bobs.get(path.format(made.pk)).status_code == 404
    if not path.endswith("json"):
        assert bobs.post(path.format(made.pk), {**draft_texts(OTHER), "do": "save"}).status_code == 404
    assert RuleSet.objects.get().version == 1
    assert RuleSet.objects.get().deleted_at is None
    assert "Dips" not in text(bobs.get("/app/rules/"))


@pytest.mark.parametrize("path", ["/app/rules/", NEW, *(path.format(1) for path in PATHS)])
def test_rules_are_for_who_is_logged_in(path, client):
    assert client.get(path).status_code == 302
    assert client.get(path).url.startswith("/app/account/login/")


@pytest.mark.parametrize("number", [0, 10**25])
def test_rule_that_cannot_exist_is_not_found(number, alices):
    assert alices.get(f"/app/rules/{number}/").status_code == 404


# --- the list, deleting ------------------------------------------------------------------------------------------


def test_list_is_empty_then_full_then_paged(alices, alice, django_assert_max_num_queries):
    assert "No rules yet" in text(alices.get("/app/rules/"))
    made = [rule_set(alice, name=f"Rule {index}") for index in range(51)]
    with django_assert_max_num_queries(6):
        page = text(alices.get("/app/rules/"))
    assert page.count("Buys when the RSI") == 50
    assert f"?before={made[1].pk}" in page
    rest = text(alices.get(f"/app/rules/?before={made[1].pk}"))
    assert rest.count("Buys when the RSI") == 1
    assert text(alices.get("/app/rules/?before=x")).count("Buys when the RSI") == 50


def test_delete_asks_first_and_is_refused_while_in_use(alices, alice, used):
    made = rule_set(alice)
    path = f"/app/rules/{made.pk}/delete/"
    assert "Delete Dips?" in text(alices.get(path))
    assert text(alices.get(path, headers={"HX-Request": "true"})).startswith("<form")
    assert RuleSet.objects.get().deleted_at is None
    used.add(made.pk)
    assert "cannot be deleted" in text(alices.get(path))
    assert alices.post(path).status_code == 409
    used.clear()
    assert alices.post(path).url == "/app/rules/"
    assert RuleSet.objects.get().deleted_at is not None
    assert alices.get(f"/app/rules/{made.pk}/").status_code == 404


def test_rule_deleted_in_another_window_is_not_found(alices, alice, monkeypatch):
    made = rule_set(alice)
    RuleSet.objects.update(deleted_at=made.created_at)
    monkeypatch.setattr("strategies.queries.rules.rule_set_model", lambda user, number: made)
    assert alices.post(f"/app/rules/{made.pk}/", {**draft_texts(OTHER), "do": "save"}).status_code == 404


def test_facts_of_a_form_are_bounded(alices):
    answer = alices.post(NEW, {**draft_texts(), "name": "x" * 10_000, "description": "y" * 100_000, "do": "save"})
    assert answer.status_code == 422
    assert len(Controls(text(answer)).sent["name"]) == 160


def test_a_redraw_without_a_session_reloads_the_page_and_draws_no_login(client, alice):
    page, htmx = f"/app/rules/{rule_set(alice).pk}/", {"HX-Request": "true"}
    for answer in (client.post(page, {"do": "refresh"}, headers=htmx), client.get(f"{page}delete/", headers=htmx)):
        assert (answer.status_code, answer.content, answer["HX-Refresh"]) == (200, b"", "true")
    assert client.get(page).url == f"/app/account/login/?next={page}"
