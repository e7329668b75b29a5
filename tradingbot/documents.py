"""The API's public documents: the OpenAPI schema, and two pages that show it with assets of this site."""

from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from ninja.responses import NinjaJSONEncoder

from tradingbot.api import api
from tradingbot.middleware import CSP

# ReDoc makes empty style elements, which it then fills through the CSSOM, and one with its scroll bars' rules:
# these two texts are allowed by their hashes, and no other.
REDOC_STYLES = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
)
REDOC_CSP = CSP.replace("style-src 'self'", f"style-src 'self' {REDOC_STYLES}")


@cache
def schema() -> Any:
    return api.get_openapi_schema(path_prefix="")


@csrf_exempt
@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    return JsonResponse(schema(), encoder=NinjaJSONEncoder)


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    return render(request, "tradingbot/docs.html")


@require_safe
def redoc(request: HttpRequest) -> HttpResponse:
    response = render(request, "tradingbot/redoc.html")
    response["Content-Security-Policy"] = REDOC_CSP
    return response
