"""URLs of a test run: the pages of capital, breakers and promotion at their places, then the whole site."""

from django.urls import include, path

from bots.views import capital

urlpatterns = [
    path("app/capital/", capital.capital_page),
    path("", include("tradingbot.urls")),
]
