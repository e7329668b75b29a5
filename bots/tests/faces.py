"""URLs of a test run: the pages of capital, breakers and promotion at their places, then the whole site."""

from django.urls import include, path

from bots.views import breakers, capital, promotion

urlpatterns = [
    path("app/capital/", capital.capital_page),
    path("app/risk/breakers/", breakers.breakers_page),
    path("app/risk/breakers/<int:breaker_id>/reset/", breakers.breaker_reset),
    path("app/bots/<int:run_id>/promote/", promotion.run_promote),
    path("", include("tradingbot.urls")),
]
