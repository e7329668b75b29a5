"""Badges with a word and an icon: mode, state, the synthetic market."""

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from bots.core.codes import MEANING, Code
from bots.templatetags.icons import icon
from exchanges.core.demo import NAME as DEMO

register = template.Library()

QUIET = frozenset({"NO_SIGNAL", "WARMING_UP", "ALREADY_IN_POSITION", "NO_POSITION_TO_SELL", "CANDLE_OPEN"})
ACTED = frozenset({"SIGNAL_BUY", "SIGNAL_SELL", "TAKE_PROFIT"})
DONE = frozenset({"FILLED"})
WENT_WRONG = frozenset({"REJECTED", "UNKNOWN", "NOT_PLACED"})


@register.simple_tag
def mode_badge(mode: str) -> SafeString:
    word = {"paper": "Paper", "live": "Live"}[mode]
    return format_html('<span class="badge mode {}">{} {}</span>', mode, icon(mode), word)


@register.simple_tag
def state_badge(status: str) -> SafeString:
    return format_html('<span class="badge state {}">{}</span>', status, status.capitalize())


@register.simple_tag
def exchange_name(exchange: str) -> SafeString:
    """The exchange, and wherever it is the built-in one, that its market is made up."""
    if exchange != DEMO:
        return format_html("{}", exchange)
    return format_html(
        '{} <span class="badge synthetic" title="Prices are computed, not real">{} synthetic market</span>',
        exchange,
        icon("synthetic"),
    )


@register.simple_tag
def code_badge(code: str) -> SafeString:
    """A decision's code, with its meaning; loud only where it says something."""
    kind = "" if code in QUIET else "good" if code in ACTED else "warn"
    return format_html('<span class="badge {}" title="{}">{}</span>', kind, meaning(code), code)


@register.simple_tag
def order_badge(state: str) -> SafeString:
    kind = "good" if state in DONE else "bad" if state in WENT_WRONG else ""
    return format_html('<span class="badge {}">{}</span>', kind, state)


@register.filter
def meaning(code: str) -> str:
    """A code's plain sentence."""
    return MEANING[Code(code)] if code in Code.__members__ else ""


@register.simple_tag
def side_mark(side: str) -> SafeString:
    return format_html(
        '<span class="side-mark {}">{} {}</span>', side, "▲" if side == "buy" else "▼", side.capitalize()
    )


@register.simple_tag(takes_context=True)
def query(context: dict[str, Any], **changes: object) -> str:
    """The present query string with some parameters changed; None or empty removes one."""
    given = context["request"].GET.copy()
    given.pop("v", None)
    for name, value in changes.items():
        if value in (None, ""):
            given.pop(name, None)
        else:
            given[name] = str(value)
    text = given.urlencode()
    return f"?{text}" if text else "?"
