"""The strategy catalogue; included under strategies/."""

from django.urls import URLPattern, path

from strategies import views

urlpatterns: list[URLPattern] = [
    path("", views.strategy_list, name="strategies_list"),
    path("<str:name>/", views.strategy_detail, name="strategies_detail"),
]
