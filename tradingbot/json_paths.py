"""What holds on every JSON path, whatever the view behind it does: problems instead of pages, HEAD, CORS."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from tradingbot.problems import Problem

Next = Callable[[HttpRequest], HttpResponse]
PAGES = {"/", "/app", "/docs", "/redoc"}
KEPT = ("Allow", "Retry-After", "WWW-Authenticate")
EXPOSED = "Location, Retry-After, X-Request-ID, Idempotent-Replay"
METHODS = "GET, HEAD, POST, PUT, DELETE"
HEADERS = "authorization, content-type, accept, idempotency-key, x-request-id"


def is_json_path(path: str) -> bool:
    """Everything but the pages, the administration, static files and the two documents; unknown paths included."""
    prefixes = ("/app/", "/static/", f"/{settings.ADMIN_PATH}")
    return path not in PAGES and f"{path}/" != f"/{settings.ADMIN_PATH}" and not path.startswith(prefixes)


@csrf_exempt
def not_found(request: HttpRequest) -> HttpResponse:
    """The view of every JSON path that no route knows, for any method and with any number of slashes."""
    return Problem(404).response(request)


class JsonPathMiddleware:
    """Replaces any other document of failure, such as Django's own pages; answers HEAD as GET."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_json_path(request.path):
            return self.get_response(request)
        if request.method == "HEAD":
            request.method = "GET"
        response = self.get_response(request)
        if response.status_code < 400 or "json" in response.get("Content-Type", ""):
            return response
        kept = {name: response[name] for name in KEPT if name in response}
        response.close()
        return Problem(response.status_code, headers=kept).response(request)


class CorsMiddleware:
    """Lets the pages of CORS_ALLOWED_ORIGINS call JSON paths; never with cookies, which these do not read anyway."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not settings.CORS_ALLOWED_ORIGINS or not is_json_path(request.path):
            return self.get_response(request)
        origin = request.headers.get("Origin", "")
        welcome = origin in settings.CORS_ALLOWED_ORIGINS
        preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        response = _preflight() if welcome and preflight else self.get_response(request)
        response["Vary"] = ", ".join(filter(None, [response.get("Vary"), "Origin"]))
        if welcome:
            response["Access-Control-Allow-Origin"] = origin
            response["Access-Control-Expose-Headers"] = EXPOSED
        return response


def _preflight() -> HttpResponse:
    headers = {
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": HEADERS,
        "Access-Control-Max-Age": "600",
    }
    return HttpResponse(status=204, headers=headers)
