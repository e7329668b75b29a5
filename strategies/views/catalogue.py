"""Pages of the strategy catalogue."""

from functools import lru_cache

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.auth import signed_in
from strategies import queries
from strategies.core.rule_draft import START, given
from strategies.core.rules import RuleStrategy
from strategies.core.strategy import BaseStrategy, StrategyRegistry
from strategies.queries import UnknownStrategy, previews
from strategies.views.drawing import Chart, chart


@signed_in
@require_GET
def strategy_list(request: HttpRequest) -> HttpResponse:
    return render(request, "strategies/strategy_list.html", {"kinds": queries.list_strategies()})


@signed_in
@require_GET
def strategy_detail(request: HttpRequest, name: str) -> HttpResponse:
    try:
        kind = queries.strategy_view(name)
    except UnknownStrategy:
        raise Http404 from None
    strategy = example(name)
    context = {"kind": kind, "chart": drawn(name), "source": previews.FIRST, "strategy": strategy}
    return render(request, "strategies/strategy_detail.html", context)


def example(name: str) -> BaseStrategy:
    """The strategy as it comes; rules, which do not come without one, with the rule that the builder starts with."""
    kind = StrategyRegistry.get(name)
    return kind(given(START)) if issubclass(kind, RuleStrategy) else kind(**kind.example)


@lru_cache(maxsize=64)
def drawn(name: str) -> Chart | None:
    """Code and demo market stay what they are while this process lives."""
    return chart(previews.preview_of(example(name), previews.FIRST))
