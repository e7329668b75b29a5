import html
import re

import pytest
from django.test import override_settings
from django.utils import timezone

from accounts.audit import CONSOLE
from bots.models import BotRun
from bots.testing import start_run
from bots.views.starting import sentence
from exchanges.models import ExchangeKey
from strategies import queries as strategies
from strategies.operations import RuleSetFacts, create_rule_set

NEW = "/app/bots/new/"
FORM = {
    "strategy": "rsi_cross",
    "exchange": "demo",
    "symbol": "BTC/USDT",
    "timeframe": "1m",
    "capital": "1000",
    "mode": "paper",
    "token": "a" * 32,
    "param_rsi_period": "14",
    "param_oversold": "30",
    "param_overbought": "70",
    "param_rsi_method": "wilder",
}


def text(response) -> str:
    return response.content.decode()


def test_the_form_preselects_paper_and_shows_the_strategys_parameters(alices):
    page = text(alices.get(NEW))
    assert re.search(r'value="paper" id="mode-paper" checked', page)
    assert 'name="param_rsi_period"' in page
    assert "of play money, this bot watches BTC/USDT on demo" in page
    assert "Start paper bot" in page


def test_another_strategy_brings_its_own_parameters(alices):
    page = text(alices.post(NEW, {**FORM, "strategy": "ema_cross", "refresh": "1"}))
    assert 'name="param_rsi_period"' not in page
    assert 'name="param_fast' in page
    assert not BotRun.objects.exists()


def test_a_redraw_for_the_script_is_the_form_alone(alices):
    part = text(alices.post(NEW, {**FORM, "refresh": "1"}, HTTP_HX_REQUEST="true"))
    assert part.lstrip().startswith("<form")


def test_a_paper_bot_starts_with_what_was_typed(alices, alice):
    answer = alices.post(NEW, {**FORM, "limit_stop_loss_pct": "5"})
    run = BotRun.objects.get()
    assert answer.url == f"/app/bots/{run.pk}/"
    assert (run.user, run.mode, run.params["rsi_period"], run.limits) == (alice, "paper", 14, {"stop_loss_pct": "5"})


def test_the_same_form_sent_twice_starts_one_bot(alices):
    first, second = alices.post(NEW, FORM), alices.post(NEW, FORM)
    assert first.url == second.url
    assert BotRun.objects.count() == 1


def test_a_refused_form_can_be_corrected_and_sent_again(alices):
    assert alices.post(NEW, {**FORM, "capital": "0.5"}).status_code == 422
    assert alices.post(NEW, FORM).status_code == 302


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"symbol": "FOO/BAR"}, "#id_symbol"),
        ({"capital": "-1"}, "#id_capital"),
        ({"capital": "NaN"}, "#id_capital"),
        ({"capital": "one"}, "#id_capital"),
        ({"timeframe": "7m"}, "#id_timeframe"),
        ({"exchange": "nowhere"}, "#id_exchange"),
        ({"strategy": "nope"}, "#id_strategy"),
        ({"param_rsi_period": "1"}, "#id_param_rsi_period"),
        ({"param_rsi_period": "many"}, "#id_param_rsi_period"),
        ({"param_oversold": "80"}, "#id_param_oversold"),
        ({"limit_stop_loss_pct": "150"}, "#id_limit_stop_loss_pct"),
        ({"limit_max_open_orders": "1.5"}, "#id_limit_max_open_orders"),
    ],
)
def test_a_mistake_is_named_with_a_link_and_entries_are_kept(wrong, where, alices):
    answer = alices.post(NEW, {**FORM, "capital": "1234", **wrong})
    page = text(answer)
    assert answer.status_code == 422
    assert 'id="error-summary"' in page
    assert f'href="{where}' in page
    assert 'value="1234"' in page or "capital" in wrong
    assert not BotRun.objects.exists()


def test_live_wants_a_key_and_the_markets_name(alices):
    page = text(alices.post(NEW, {**FORM, "mode": "live", "exchange": "binance"}))
    assert "Live trading needs one of your keys." in page
    assert "Type BTC/USDT to confirm" in page


def test_live_is_refused_with_the_reason_where_it_is_switched_off(alices, alice, stage):
    sealed = {"encrypted_key": "x", "iv_key": "x", "encrypted_secret": "x", "iv_secret": "x", "key_id": "0"}
    key = ExchangeKey.objects.create(
        owner=alice, exchange="binance", created_at=timezone.now(), fingerprint="f", permissions="trade", **sealed
    )
    form = {**FORM, "mode": "live", "exchange": "binance", "exchange_key_id": key.pk, "confirmation": "BTC/USDT"}
    assert "Live trading is switched off on this platform" in text(alices.post(NEW, form))
    with override_settings(LIVE_TRADING=True):
        refused = alices.post(NEW, form)
    assert refused.status_code == 422
    assert 'id="error-summary"' in text(refused)
    assert not BotRun.objects.exists()


def test_a_copy_has_the_settings_and_is_paper(alices, alice, stage):
    run = start_run(alice, limits={"max_daily_loss": "77"})
    page = text(alices.get(f"{NEW}?copy={run.pk}"))
    assert 'value="77"' in page
    assert 'value="scripted" id="strategy-scripted" checked' in page
    assert 'id="mode-paper" checked' in page


def test_a_link_can_choose_the_strategy(alices):
    assert 'value="macd_cross" id="strategy-macd_cross" checked' in text(alices.get(f"{NEW}?strategy=macd_cross"))
    assert alices.get(f"{NEW}?strategy=nope&copy=x").status_code == 200


def test_the_sentence_names_the_guards(alice):
    view = strategies.strategy_view("rsi_cross")
    entries = {**FORM, "limit_stop_loss_pct": "5", "limit_max_daily_loss": "{0}"}
    said = " ".join(sentence(entries, view))
    assert "it sells 5 % under the entry price" in said
    assert "a day’s loss of {0} USDT" in said
    assert "No order leaves this machine" in said
    assert "no stop-loss" in " ".join(sentence(FORM, view))
    assert "your real money" in " ".join(sentence({**FORM, "mode": "live"}, view))


@pytest.mark.parametrize("entries", [{}, {**FORM, "symbol": "BTC"}, {**FORM, "capital": "x"}, {**FORM, "capital": "0"}])
def test_no_sentence_while_the_entries_make_no_sense(entries, alice):
    assert sentence(entries, strategies.strategy_view("rsi_cross")) == []
    assert sentence(FORM, None) == []


def test_a_rule_of_ones_own_fills_the_form_in_and_starts(alices, alice, bobs):
    fast, slow = ({"indicator": "sma", "params": {"period": period}} for period in (3, 9))
    definition = {
        "entry": {"all": [{"left": fast, "operator": "crosses_above", "right": slow}]},
        "exit": {"any": [{"left": fast, "operator": "crosses_below", "right": slow}]},
    }
    rules = create_rule_set(alice, RuleSetFacts("mine", "", definition), timezone.now(), CONSOLE)
    page = f"{NEW}?strategy=rules&rule_set={rules.pk}"
    assert bobs.get(page).status_code == 404
    field = re.search(r'name="param_definition"[^>]*>(.*?)</textarea>', text(alices.get(page)), re.DOTALL)
    shown = html.unescape(field[1])
    started = alices.post(NEW, {**FORM, "strategy": "rules", "param_definition": shown})
    assert started.status_code == 302
    assert BotRun.objects.get().strategy.name == "rules"
