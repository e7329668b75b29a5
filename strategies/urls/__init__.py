"""The strategy catalogue; included under strategies/."""

from django.urls import URLPattern, path

from strategies.views import catalogue

urlpatterns: list[URLPattern] = [
    path("", catalogue.strategy_list, name="strategies_list"),
    path("<str:name>/", catalogue.strategy_detail, name="strategies_detail"),
]
