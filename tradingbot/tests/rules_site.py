"""The site with the rules' pages and routes, for their tests (`urls` marker)."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from ninja import NinjaAPI

from accounts.auth import TokenAuth
from strategies.api import rules
from strategies.operations import RuleSetProblem
from tradingbot import problems
from tradingbot.api import StrictParser
from tradingbot.problems import Problem
from tradingbot.urls import urlpatterns as site

api = NinjaAPI(urls_namespace="rules-under-test", auth=TokenAuth("admin"), parser=StrictParser(), docs_url=None)
problems.install(api)
api.add_router("", rules.router)


@api.exception_handler(RuleSetProblem)
def conflict(request: HttpRequest, problem: RuleSetProblem) -> HttpResponse:
    return Problem(409, problem.code, str(problem)).response(request)


urlpatterns = [
    path("app/rules/", include("strategies.urls.rules")),
    path("", api.urls),
    *site,
]
