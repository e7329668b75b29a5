import pytest
from django.template import Context, Template
from django.test import RequestFactory

from bots.core.codes import Code
from bots.templatetags import icons, marks


def test_paper_and_live_differ_by_word_and_icon():
    paper, live = marks.mode_badge("paper"), marks.mode_badge("live")
    assert "Paper" in paper
    assert "Live" in live
    assert icons.PATHS["paper"] in paper
    assert icons.PATHS["live"] in live


def test_the_demo_market_is_always_called_synthetic():
    assert "synthetic market" in marks.exchange_name("demo")
    assert marks.exchange_name("binance") == "binance"


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_a_badge_that_explains_it(code):
    assert code.value in marks.code_badge(code.value)
    assert marks.meaning(code.value)


def test_an_unknown_code_is_shown_as_it_is():
    assert "BRAND_NEW" in marks.code_badge("BRAND_NEW")


def test_marks_escape_what_they_show():
    assert "<script>" not in marks.exchange_name("<script>")
    assert "<script>" not in marks.order_badge("<script>")


def test_a_query_keeps_the_filter_and_drops_the_poll():
    request = RequestFactory().get("/", {"symbol": "BTC/USDT", "before": "9", "v": "abc"})
    template = Template("{% load marks %}{% query before=None %} {% query before=3 %}")
    assert template.render(Context({"request": request})) == "?symbol=BTC%2FUSDT ?symbol=BTC%2FUSDT&amp;before=3"
