"""URLs of a test run: the pages of capital, breakers and promotion at their places, then the whole site."""

from django.urls import include, path

from bots.views import breakers, capital

urlpatterns = [
    path("app/capital/", capital.capital_page),
    path("app/risk/breakers/", breakers.breakers_page),
    path("app/risk/breakers/<int:breaker_id>/reset/", breakers.breaker_reset),
    path("", include("tradingbot.urls")),
]
