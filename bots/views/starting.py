"""A new bot: one page from the strategy to the sentence that says what it will do."""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts.auth import actor_of, signed_in, user_of
from accounts.models import User
from bots import lifecycle
from bots.forms import StartForm
from bots.lifecycle import StartRefused, StartRequest
from bots.models import Mode
from bots.queries import runs
from bots.queries.keys import KeyUse, key_uses
from bots.templatetags.figures import money
from bots.views.shell import found_or_404
from exchanges import connect, market_data
from exchanges.core.candles import TIMEFRAMES
from exchanges.core.demo import NAME as DEMO
from exchanges.core.errors import ExchangeFault, UnknownExchange
from strategies import queries as strategies
from strategies.core.errors import ParameterError
from strategies.core.strategy import StrategyRegistry
from strategies.queries import StrategyView
from strategies.queries.rules import rule_set_of

ONCE_FOR = 24 * 3600
MOST_SYMBOLS = 3000
MARKET = ("exchange", "symbol", "timeframe")
Entries = Mapping[str, Any]
DEFAULTS: Entries = {
    "strategy": "rsi_cross",
    "exchange": DEMO,
    "symbol": "BTC/USDT",
    "timeframe": "1m",
    "capital": "1000",
    "mode": Mode.PAPER.value,
}


@signed_in
@require_http_methods(["GET", "POST"])
def run_new(request: HttpRequest) -> HttpResponse:
    """GET shows the form (``?copy=`` fills in another bot's settings); POST starts, or only redraws it."""
    user, at = user_of(request), timezone.now()
    if request.method == "GET":
        entries = {**DEFAULTS, **_copied(user, request), "token": uuid.uuid4().hex}
        return _page(request, user, _form(user, entries, at, None), entries, at)
    entries = request.POST.dict()
    if "refresh" in entries:
        return _page(request, user, _form(user, entries, at, None), entries, at)
    form = _form(user, entries, at, request.POST)
    if form.is_valid() and (answer := _started(request, user, form, at)) is not None:
        return answer
    return _page(request, user, form, entries, at, status=422)


def _started(request: HttpRequest, user: User, form: StartForm, at: datetime) -> HttpResponse | None:
    """The way to the new bot, or None with the reasons in the form."""
    mark = f"started:{user.pk}:{form.cleaned_data['token']}"
    if not cache.add(mark, 0, ONCE_FOR):
        messages.info(request, "This form was sent before, so no second bot was started.")
        first = cache.get(mark)
        return redirect("bots_detail", first) if first else redirect("bots_list")
    try:
        wanted = _wanted(user, form)
        run = lifecycle.start(wanted, at, actor_of(request))
    except (StartRefused, ParameterError) as refused:
        cache.delete(mark)
        form.refuse(_errors(refused))
        return None
    cache.set(mark, run.pk, ONCE_FOR)
    messages.success(request, f"Bot {run.pk} is started. It decides when the next {run.timeframe} candle closes.")
    return redirect("bots_detail", run.pk)


def _wanted(user: User, form: StartForm) -> StartRequest:
    given = form.cleaned_data
    live = given["mode"] == Mode.LIVE
    return StartRequest(
        user=user,
        strategy=given["strategy"],
        symbol=given["symbol"].strip().upper(),
        timeframe=given["timeframe"],
        exchange=given["exchange"],
        capital=given["capital"],
        mode=given["mode"],
        exchange_key_id=given["exchange_key_id"] if live else None,
        params=StrategyRegistry.get(given["strategy"]).parse(form.texts),
        limits=form.limits,
    )


def _errors(refused: StartRefused | ParameterError) -> Mapping[str, str]:
    if isinstance(refused, ParameterError):
        return {f"params.{name}": text for name, text in refused.errors.items()}
    return refused.errors or {"": refused.detail}


def _form(user: User, entries: Entries, at: datetime, data: Any) -> StartForm:
    """Bound to ``data`` to be checked, or showing the entries as they are."""
    view = _strategy(str(entries.get("strategy", "")))
    uses = key_uses(user, at)
    exchange = str(entries.get("exchange", ""))
    choices = {
        "strategy": [(kind.name, kind.name) for kind in strategies.list_strategies() if kind.enabled],
        "exchange": [(name, "demo (synthetic market)" if name == DEMO else name) for name in connect.exchange_names()],
        "timeframe": [(name, name) for name in _timeframes(exchange)],
        "exchange_key_id": [("", "Choose a key"), *[_key_choice(use) for use in uses if use.key.exchange == exchange]],
    }
    schema = view.parameters if view else {}
    if data is not None:
        return StartForm(data, choices=choices, schema=schema)
    return StartForm(initial=dict(entries), choices=choices, schema=schema)


def _page(
    request: HttpRequest, user: User, form: StartForm, entries: Entries, at: datetime, status: int = 200
) -> HttpResponse:
    exchange = str(entries.get("exchange", ""))
    view = _strategy(str(entries.get("strategy", "")))
    context = {
        "at": at,
        "form": form,
        "kinds": [kind for kind in strategies.list_strategies() if kind.enabled],
        "chosen": view,
        "symbols": _symbols(exchange, at),
        "synthetic": exchange == DEMO,
        "exchange": exchange,
        "live": entries.get("mode") == Mode.LIVE,
        "live_trading": settings.LIVE_TRADING,
        "uses": [use for use in key_uses(user, at) if use.key.exchange == exchange],
        "sentence": sentence(entries, view),
    }
    partial = bool(getattr(request, "htmx", False))
    return render(request, "bots/_run_new_form.html" if partial else "bots/run_new.html", context, status=status)


def sentence(entries: Entries, view: StrategyView | None) -> Sequence[str]:
    """What the bot will do, from the entries as they stand; nothing while they make no sense yet."""
    symbol, capital = str(entries.get("symbol", "")).strip().upper(), _number(entries.get("capital"))
    if view is None or "/" not in symbol or not capital:
        return []
    quote = symbol.split("/")[1]
    real = entries.get("mode") == Mode.LIVE
    money_text = f"{money(capital, quote)} {quote} of {'your real' if real else 'play'} money"
    place = f"{symbol} on {entries.get('exchange')}"
    lines = [
        f"With {money_text}, this bot watches {place} and decides whenever a {entries.get('timeframe')} candle closes.",
        view.description,
    ]
    guards = [
        f"{before} {entries[name]}{after}"
        for name, before, after in (
            ("limit_stop_loss_pct", "it sells", " % under the entry price"),
            ("limit_take_profit_pct", "it sells", " % over it"),
            ("limit_break_even_pct", "once the price was", " % over it, it sells no lower than what pays for the fees"),
            ("limit_trailing_stop_pct", "it sells", " % under the highest price since the entry"),
            ("limit_limit_offset_pct", "it buys by orders that rest", " % under the market"),
            ("limit_max_daily_loss", "a day’s loss of", f" {quote} ends new entries until 00:00 UTC"),
            ("limit_max_drawdown_pct", "a fall of", " % from its highest equity ends new entries"),
        )
        if entries.get(name)
    ]
    lines.append(
        f"Whatever the strategy says: {'; '.join(guards)}."
        if guards
        else "It has no stop-loss: a position is closed only by the strategy’s own exit, or by you."
    )
    lines.append("Orders go to the exchange." if real else "No order leaves this machine; fees are counted as if real.")
    return lines


def _copied(user: User, request: HttpRequest) -> Entries:
    """Another bot's settings, always for paper; or what a link names."""
    copied, rule_set = (_id(request.GET.get(name, "")) for name in ("copy", "rule_set"))
    if copied is not None:
        run = found_or_404(lambda: runs.run_of(user, copied))
        return {
            "strategy": run.strategy,
            "exchange": run.exchange,
            "symbol": run.symbol,
            "timeframe": run.timeframe,
            "capital": f"{run.capital.normalize():f}",
            **{f"param_{name}": _shown(value) for name, value in run.params.items()},
            **{f"limit_{name}": value for name, value in run.limits.items()},
        }
    named = {name: request.GET[name] for name in ("strategy", *MARKET) if request.GET.get(name)}
    if rule_set is not None:
        rules = found_or_404(lambda: rule_set_of(user, rule_set))
        params = {f"param_{name}": _shown(value) for name, value in rules.params.items()}
        return {**named, **params, **{f"limit_{name}": value for name, value in rules.limits.items()}}
    return named


def _id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _shown(value: object) -> object:
    """A parameter as a form shows it: a structure as JSON."""
    return json.dumps(value, indent=1) if isinstance(value, Mapping | list) else value


def _strategy(name: str) -> StrategyView | None:
    return strategies.strategy_view(name) if name in StrategyRegistry.list_all() else None


def _symbols(exchange: str, at: datetime) -> list[str]:
    """Suggestions only: an exchange that does not answer leaves the field free."""
    try:
        return sorted(market_data.markets(exchange, at))[:MOST_SYMBOLS] if exchange == DEMO else []
    except (ExchangeFault, UnknownExchange):
        return []


def _timeframes(exchange: str) -> Sequence[str]:
    try:
        return market_data.timeframes(exchange)
    except (ExchangeFault, UnknownExchange):
        return list(TIMEFRAMES)


def _key_choice(use: KeyUse) -> tuple[str, str]:
    armed = "armed for live" if use.armed_until else "not armed"
    return str(use.key.id), f"{use.key.label or use.key.exchange} …{use.key.api_key_hint} ({armed})"


def _number(text: object) -> Decimal | None:
    try:
        number = Decimal(str(text))
    except InvalidOperation:
        return None
    return number if number.is_finite() and 0 < number < Decimal("1e15") else None
